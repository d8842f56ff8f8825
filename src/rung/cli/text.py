"""Tables for people: aligned text, the same on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from rung.units import format_value


def table(header: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Columns aligned by their widest cell: the first to the left, the others to the right."""
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for row in cells:
        first, *rest = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append((indent + "  ".join([first, *rest])).rstrip())
    return "\n".join(lines)


def interval(low: float | None, high: float | None) -> str:
    """An interval in words; an end that is open, or was not determined, as such."""
    if low is None and high is None:
        return "not determined"
    if high is None:
        return f"{format_value(low)} or more"
    if low is None:
        return f"{format_value(high)} or less"
    return f"{format_value(low)} to {format_value(high)}"
