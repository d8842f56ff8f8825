"""Writing files so that an interruption loses nothing: beside the old one, then in its place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rung.errors import ReportError

STANDARD_INPUT = "<standard input>"
"""What stands for a table that comes through a pipe."""


def write_text(path: str | Path, text: str) -> None:
    """Write text to a file; see write_bytes."""
    write_bytes(path, text.encode())


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file; see write_all."""
    write_all({path: content})


def write_all(contents: Mapping[str | Path, bytes]) -> None:
    """Write files whole or not at all: the old ones stay until every new one is complete.

    What is no file, such as a pipe or a device, has nothing to keep and is written last.

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
            with _told(path):
                beside.write_bytes(content)
        for path, (beside, file) in zip(files, complete.items(), strict=True):
            with _told(path):
                beside.replace(file)
        for path in streams:
            with _told(path):
                Path(path).write_bytes(contents[path])
    finally:
        for beside in complete:
            with suppress(OSError):
                beside.unlink(missing_ok=True)


@contextmanager
def _told(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}. Choose another place.") from None


def require_writable(path: str | Path) -> None:
    """Find out before the work that its result could not be kept.

    Raises:
        ReportError: The folder is not there or cannot be written.
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise ReportError(
            f"{path} cannot be written: there is no folder {str(folder)!r}. Make it, or choose another place."
        )
    if Path(path).is_dir():
        raise ReportError(f"{path} cannot be written: it is a folder. Name a file.")
    if not os.access(folder, os.W_OK):
        raise ReportError(f"{path} cannot be written: the folder {str(folder)!r} is read-only. Choose another place.")
