"""The command line: each verb parses, calls one public function, and prints."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

from rung.errors import RungError
from rung.files import STANDARD_INPUT

_LONG = (["ladder"], ["reproduce"])
"""Commands that train, and so may run for hours."""


def main() -> NoReturn:
    """Run the command line and exit."""
    arguments = sys.argv[1:]
    if arguments[:1] not in _LONG:
        # Looking for cycles takes a twentieth of a short command's time, and it leaves few.
        gc.disable()
    debug = "--debug" in arguments
    try:
        status = _run([text for text in arguments if text != "--debug"])
        sys.stdout.flush()
    except RungError as error:
        if debug:
            raise
        from rung.messages import printable, shortened

        print(shortened(printable(f"{type(error).__name__}: {error.text}")), file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("interrupted: every file is as it was, or written whole", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        # The reader of a pipe has left (`rung laws | head`); there is nobody to tell.
        _silence()
        status = 1
    except OSError as error:
        if debug:
            raise
        what = f"{error.filename} cannot be read or written" if error.filename else "the output cannot be written"
        print(f"ReportError: {what}: {error.strerror or error}.", file=sys.stderr)
        _silence()
        status = 1
    except Exception as error:  # whatever it is, a user needs a sentence and not a traceback
        if debug:
            raise
        from rung.messages import first_line, printable, shortened

        what = shortened(printable(f"{type(error).__name__}: {first_line(error)}"), 300)
        print(
            f"InternalError: {what}. This is a fault of Rung itself; --debug shows where.",
            file=sys.stderr,
        )
        _silence()
        status = 1
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    """Parse, run the command, and return its exit status."""
    if arguments in ([], ["--help"], ["-h"]):
        from rung.cli.commands import overview

        print(overview())
        return 0
    from rung.cli.app import app

    if "--help" not in arguments and "-h" not in arguments:
        from rung.cli.printable import Printable

        sys.stdout = Printable(sys.stdout)
    try:
        # A lone hyphen is a file, not an option, to people and to the reader, but not to the parser.
        words = [STANDARD_INPUT if text == "-" else text for text in arguments]
        if sys.stderr.isatty():
            from rung.cli.waiting import Waiting
            from rung.progress import listening

            with listening(Waiting()):
                app(words)
        else:
            app(words)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def _silence() -> None:
    """Let what is still to be written to standard output go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
