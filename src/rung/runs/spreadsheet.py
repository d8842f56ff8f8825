"""Tables in spreadsheets: the first sheet that holds one."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rung.errors import RunsError
from rung.files import csv_text
from rung.messages import first_line
from rung.runs.columns import columns_meant
from rung.runs.text import TextTable, read_csv


def read_spreadsheet(file: Path) -> TextTable:
    """The sheet of a spreadsheet with the most columns that are recognised; of several, the first.

    Raises:
        RunsError: fastexcel is not installed, or the file is no spreadsheet.
    """
    try:
        import fastexcel
    except ModuleNotFoundError:
        raise RunsError(
            f'{file.name}: spreadsheets need fastexcel, which is not installed: pip install "rung[excel]", or save the sheet as CSV.'
        ) from None
    try:
        book = fastexcel.read_excel(file)
        sheets = [
            (name, _rows(book.load_sheet(name, header_row=None, dtypes="string").to_polars()))
            for name in book.sheet_names
        ]
    except Exception as error:  # noqa: BLE001  # the reader raises its own kinds, and a user needs one sentence
        raise RunsError(f"{file.name} cannot be read as a spreadsheet: {first_line(error)[:200]}.") from None
    filled = [(name, rows) for name, rows in sheets if len(rows) > 1]
    if not filled:
        raise RunsError(f"{file.name} holds no sheet with rows.")
    # Notes and settings may stand on sheets before the one with the runs.
    name, rows = max(filled, key=lambda sheet: _recognised(sheet[1]))
    table = read_csv(csv_text(rows).encode(), f"{file.name}, sheet {name}")
    others = f"; {len(filled) - 1} more with rows left out" if len(filled) > 1 else ""
    return TextTable(table.frame, (f"sheet {name!r}{others}", *table.notes))


def _recognised(rows: list[list[str]]) -> int:
    """The most columns that one of a sheet's first lines names."""
    return max(len({column for cell in row for column in columns_meant(cell)}) for row in rows[:20])


def _rows(frame: pl.DataFrame) -> list[list[str]]:
    """The cells of a sheet as texts, without empty rows."""
    rows = [["" if cell is None else str(cell) for cell in row] for row in frame.rows()]
    return [row for row in rows if any(cell.strip() for cell in row)]
