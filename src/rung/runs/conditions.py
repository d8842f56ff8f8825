"""Conditions on rows: SQL text that is parsed to an expression, and never executed as a program."""

from __future__ import annotations

import re

import polars as pl

from rung.errors import RunsError
from rung.units import parse_number

_QUOTED = re.compile(r"""('[^']*'|"[^"]*")""")
"""Text in quotes, where a suffix means nothing."""

_SUFFIXED = re.compile(r"(?<![\w.])(?:\d[\d_]*\.?\d*|\.\d+)[KMBGTPkmbgtp]\b")
"""A number with a suffix, such as 1.5B."""


def parse_condition(text: str, option: str) -> pl.Expr:
    """The expression of a condition such as "corpus = 'c4' and params > 1.5B".

    Raises:
        RunsError: The text is not a condition.
    """
    parts = _QUOTED.split(text)
    plain = "".join(part if index % 2 else _SUFFIXED.sub(_number, part) for index, part in enumerate(parts))
    try:
        expression = pl.sql_expr(plain)
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        raise unreadable(text, option, error) from None
    if any(root.startswith("_POLARS") for root in expression.meta.root_names()):
        raise RunsError(f"{option} {text!r}: a query inside a condition is not supported. {_EXAMPLE}")
    unaliased = expression.meta.undo_aliases()
    if not unaliased.meta.eq(expression):
        # SQL reads a word after an expression as its new name, so the condition would mean less than was written.
        name = expression.meta.output_name()
        raise RunsError(f"{option} {text!r}: {name!r} does not belong there. {_EXAMPLE}")
    return expression


_EXAMPLE = "Write a condition like \"corpus = 'c4' and params > 1e7\"."
"""The remedy in every message about a condition."""


def unreadable(text: str, option: str, error: Exception) -> RunsError:
    """The error for a condition that cannot be read or applied."""
    why = (str(error).strip().splitlines() or ["it cannot be read"])[0].rstrip(".").replace("`", "")
    return RunsError(f"{option} {text!r}: {why}. {_EXAMPLE}")


def _number(match: re.Match[str]) -> str:
    return repr(parse_number(match[0]))
