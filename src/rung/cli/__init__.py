"""The command line: each verb parses, calls one public function, and prints."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from cyclopts import App, Parameter

import rung
from rung.errors import RungError
from rung.files import STANDARD_INPUT

VERBS: dict[str, tuple[str, str]] = {
    "fit": ("rung.cli.fit:fit", "Fit a law to a table of runs: which law, how sure."),
    "forecast": (
        "rung.cli.forecast:forecast",
        "Ask a fit about runs not made: loss, or the size a loss needs.",
    ),
    "laws": ("rung.cli.laws:laws", "The law book: published laws with source, convention and constants."),
}
"""Each verb's function, imported when the verb is used, and its line in the help."""

app = App(
    name="rung",
    version=rung.__version__,
    help="From a table of training runs to a scaling law, a forecast and its uncertainty.",
    help_epilogue="Exit status: 0 done, 1 data or wish cannot be served, 2 usage.\n--debug shows tracebacks.",
    help_formatter="plain",
    default_parameter=Parameter(show_default=False),
)
for _name, (_target, _help) in VERBS.items():
    app.command(_target, name=_name, help=_help, help_formatter="default")


def main() -> NoReturn:
    """Run the command line and exit."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        # A lone hyphen is a file, not an option, to people and to the reader, but not to the parser.
        app([STANDARD_INPUT if text == "-" else text for text in arguments if text != "--debug"])
    except RungError as error:
        if debug:
            raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted: no file was changed", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has left (`rung laws | head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)
