"""The parser of the command line; each command's function is imported when it is used."""

from __future__ import annotations

from cyclopts import App, Parameter

from rung.cli.commands import COMMANDS, DESCRIPTION, EPILOGUE
from rung.cli.settings import settings
from rung.version import __version__

app = App(
    name="rung",
    version=__version__,
    help=DESCRIPTION,
    help_epilogue=EPILOGUE,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    help_formatter="plain",
    default_parameter=Parameter(show_default=False),
    config=settings,
)
app.register_install_completion_command(show=False)
for _name, _command in COMMANDS.items():
    # A command of several commands is an app of its own, which says how its help looks.
    if _command.target.endswith(":app"):
        app.command(_command.target, name=_name, help=_command.help)
    else:
        _examples = "Examples:\n" + "\n".join(f"  {example}" for example in _command.examples)
        app.command(_command.target, name=_name, help=_command.help, help_epilogue=_examples, help_formatter="default")
