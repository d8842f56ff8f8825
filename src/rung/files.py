"""Writing files so that an interruption loses nothing: beside the old one, then in its place."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.errors import ReportError

if TYPE_CHECKING:
    import polars as pl

STANDARD_INPUT = "<standard input>"
"""The name of a file that comes through a pipe."""


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


_FORMULA = re.compile(r"^[=+@\t\r]|^-[^0-9.]")
"""What a spreadsheet takes for a formula and runs."""


def neutral_csv(frame: pl.DataFrame) -> str:
    """A table as CSV whose texts and names no spreadsheet runs: one such as =cmd() gets an apostrophe before it."""
    import polars as pl

    texts = pl.col(pl.String)
    safe = frame.with_columns(
        pl.when(texts.str.contains(_FORMULA.pattern)).then("'" + texts).otherwise(texts).name.keep()
    )
    return safe.rename({name: f"'{name}" for name in safe.columns if _FORMULA.search(name)}).write_csv()


def write_text(path: str | Path, text: str) -> None:
    """Write text to a file; see write_bytes."""
    write_bytes(path, text.encode())


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file; see write_all."""
    write_all({path: content})


def write_all(contents: Mapping[str | Path, bytes]) -> None:
    """Write files whole or not at all: the old ones stay until every new one is complete.

    Pipes and devices have no old content to keep, and are written last.

    Raises:
        ReportError: A folder is not there or cannot be written.
    """
    complete: dict[Path, Path] = {}
    streams = [path for path in contents if Path(path).exists() and not Path(path).is_file()]
    files = {path: content for path, content in contents.items() if path not in streams}
    try:
        for path, content in files.items():
            # Through a link, the file that it names is replaced, and not the link.
            file = Path(path).resolve()
            beside = file.with_name(f".{file.name}.{os.getpid()}.part")
            complete[beside] = file
            with _write_errors(path):
                beside.write_bytes(content)
        for path, (beside, file) in zip(files, complete.items(), strict=True):
            with _write_errors(path):
                beside.replace(file)
        for path in streams:
            with _write_errors(path):
                Path(path).write_bytes(contents[path])
    finally:
        for beside in complete:
            with suppress(OSError):
                beside.unlink(missing_ok=True)


@contextmanager
def _write_errors(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}. Choose another path.") from None


def require_writable(path: str | Path) -> None:
    """Check before the work that its result can be written.

    Raises:
        ReportError: The folder is not there or cannot be written.
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise ReportError(
            f"{path} cannot be written: there is no folder {str(folder)!r}. Make it, or choose another path."
        )
    if Path(path).is_dir():
        raise ReportError(f"{path} cannot be written: it is a folder. Name a file.")
    if not os.access(folder, os.W_OK):
        raise ReportError(f"{path} cannot be written: the folder {str(folder)!r} is read-only. Choose another path.")


def digest_of(content: Mapping[str, Any]) -> str:
    """A digest of plain values, the same after they went through JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def state_folder() -> Path:
    """Where programs keep what they remember of a person: tables dropped onto the app, its fits, the list of papers."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "rung"


def read_text(path: str | Path) -> str:
    """The text of a file, or of standard input.

    Raises:
        OSError: The file cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    if str(path) == STANDARD_INPUT:
        return sys.stdin.read()
    return Path(path).read_text(encoding="utf-8")
