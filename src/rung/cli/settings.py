"""Settings that repeat: `rung.toml` of the project, printed when it is used.

The file holds a table for each command with its options, such as

    [fit]
    law = "kaplan-floor"
    last = true

An option of the command line wins over the file. The file is searched from the current folder upwards.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import ArgumentCollection

FILE = "rung.toml"


def settings(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Take options that the command line leaves open from the settings file, and print which."""
    path = next((folder / FILE for folder in (Path.cwd(), *Path.cwd().parents) if (folder / FILE).is_file()), None)
    if path is None:
        return
    from cyclopts.config import Toml

    given = {argument.name for argument in arguments if argument.tokens}
    Toml(path)(app, commands, arguments)
    used = [
        f"{argument.name} {' '.join(token.value for token in argument.tokens)}"
        for argument in arguments
        if argument.tokens and argument.name not in given
    ]
    if used:
        print(f"note: from {path.name}: {', '.join(used)}", file=sys.stderr)
