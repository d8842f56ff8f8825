"""Pages from templates; whatever comes from a user's table stays text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = files("rung.report") / "templates"
"""The folder of the templates, with the style and the script of a report."""


@cache
def environment() -> Environment:
    """The templates of this room, with everything escaped and no name left undefined."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("rung.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
