"""The command line: each verb parses, calls one public function, and prints."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from rung.errors import RungError
from rung.files import STANDARD_INPUT


def main() -> NoReturn:
    """Run the command line and exit."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        from rung.cli.app import app

        # A lone hyphen is a file, not an option, to people and to the reader, but not to the parser.
        app([STANDARD_INPUT if text == "-" else text for text in arguments if text != "--debug"])
    except RungError as error:
        if debug:
            raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted: every file is as it was, or written whole", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has left (`rung laws | head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)
