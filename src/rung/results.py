"""What every result can do: print itself in a line, in full and as HTML, and compare by value."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from typing import Any

import numpy as np

from rung.errors import RungError
from rung.findings import Finding, most_severe_first

_LONGEST = 60
"""Characters of a name in the first column of a table as text; HTML and JSON keep them all."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people: the first column to the left, the others to the right.

    Attributes:
        header: The names of the columns.
        rows: The cells of each row, as text.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """The table as aligned text, the same on a terminal and in a pipe."""
        names = _shortened([row[0] for row in self.rows])
        cells = [list(self.header), *([name, *row[1:]] for name, row in zip(names, self.rows, strict=True))]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.header))]
        lines = []
        for row in cells:
            padded = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append("  ".join([row[0].ljust(widths[0]), *padded[1:]]).rstrip())
        return "\n".join(lines)

    def html(self) -> str:
        """The table as HTML."""

        def cells(row: Sequence[str], tag: str) -> str:
            return "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)

        body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in self.rows)
        return f"<table><thead><tr>{cells(self.header, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def _shortened(names: Sequence[str]) -> list[str]:
    """Names without the middle of long ones, so that one of them does not widen a table; as they are where two would look alike."""
    short = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 23]}...{name[-20:]}" for name in names]
    return short if len(set(short)) == len(set(names)) else list(names)


Block = str | Table
"""A paragraph or a table of a summary."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A result in full: paragraphs and tables, an empty line between them."""

    blocks: Sequence[Block]

    def text(self) -> str:
        """The summary as text, as the command prints it."""
        return "\n\n".join(block if isinstance(block, str) else block.text() for block in self.blocks)

    def html(self) -> str:
        """The summary as HTML, for a notebook."""
        return "".join(
            f"<pre>{html.escape(block)}</pre>" if isinstance(block, str) else block.html() for block in self.blocks
        )


class Result(ABC):
    """A result: a frozen value that prints itself and compares by value. Subclasses are dataclasses with `eq=False`."""

    __slots__ = ()

    @abstractmethod
    def headline(self) -> str:
        """The result in a line."""

    @abstractmethod
    def describe(self) -> Summary:
        """The result in full."""

    def findings(self) -> Sequence[Finding]:
        """What a notebook shows below the summary; the warnings, where the result has any."""
        return getattr(self, "warnings", ())

    def summary(self) -> str:
        """The result as text, the same as the command prints."""
        return self.describe().text()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.headline()}>"

    def _repr_html_(self) -> str:
        warnings = "".join(
            f"<li><code>{html.escape(finding.code)}</code> {html.escape(str(finding))}</li>"
            for finding in most_severe_first(self.findings())
        )
        return self.describe().html() + self._svg() + (f"<ul>{warnings}</ul>" if warnings else "")

    def _svg(self) -> str:
        """The figure of this result, as `draw_figure` draws it; nothing for one that has none."""
        try:
            # By the public name: what draws is imported when a notebook shows a result.
            text = import_module("rung").render_figure(self, "svg").decode()
        except RungError:
            return ""
        return str(text[text.index("<svg") :])

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and same_values(self, other)

    def __hash__(self) -> int:
        raise TypeError(f"unhashable type: {type(self).__name__!r}")


def plain_fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, as they are."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def same_values(one: Any, other: Any) -> bool:
    """Whether two values are equal, arrays element by element and nan equal to nan."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        same_shape = np.shape(one) == np.shape(other)
        return same_shape and bool(np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f"))
    if is_dataclass(one) and not isinstance(one, type):
        return type(one) is type(other) and all(
            same_values(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    if isinstance(one, Mapping):
        same_keys = isinstance(other, Mapping) and list(one) == list(other)
        return same_keys and all(same_values(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        same_length = isinstance(other, tuple | list) and len(one) == len(other)
        return same_length and all(map(same_values, one, other))
    return bool(one == other) or (one != one and other != other)  # nan  # noqa: PLR0124
