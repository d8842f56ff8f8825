"""Files below a folder, and the names of the runs that they hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rung.errors import RunsError
from rung.findings import Finding
from rung.progress import reported
from rung.runs.sources.tracked_run import Found, TrackedRun

_MEANINGLESS = frozenset(
    {
        "metrics",
        "metric",
        "log",
        "logs",
        "progress",
        "history",
        "output",
        "outputs",
        "results",
        "train",
        "training",
        "checkpoints",
        "run",
    }
)
"""File and folder names that every run has, so that they name none."""


def below(address: str, kind: str, patterns: tuple[str, ...]) -> list[Path]:
    """The files that an address means: the file itself, or all below a folder that match a pattern.

    Raises:
        RunsError: There are none.
    """
    root = Path(address)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise RunsError(f"{kind}:{address}: there is no such file or folder.")
    files = sorted({file for pattern in patterns for file in root.rglob(pattern) if file.is_file()})
    if not files:
        raise RunsError(f"{kind}:{address}: there is no file {' or '.join(patterns[:2])} below it.")
    return files


def content_of(file: Path) -> bytes:
    """The bytes of a file.

    Raises:
        RunsError: It cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise RunsError(f"{file} cannot be read: {error.strerror}.") from None


def read_each(files: Iterable[Path], read: Callable[[Path], Iterable[TrackedRun]]) -> Found:
    """The runs of all files; a file that cannot be read is named and left out.

    Raises:
        RunsError: None can be read.
    """
    runs: list[TrackedRun] = []
    broken: list[RunsError] = []
    whole = 0
    for file in reported(list(files), "files"):
        try:
            runs += read(file)
            whole += 1
        except RunsError as error:
            broken.append(error)
    if broken and not whole:
        raise broken[0]
    return Found(
        runs=runs, findings=tuple(Finding("damaged", f"{error.text.rstrip('.')}; it is left out.") for error in broken)
    )


def names_of(paths: list[Path], root: Path) -> dict[Path, str]:
    """A name for the run of each path: its own, or where that says nothing or is shared, with the folders above it."""
    parts = {path: _parts(path, root) for path in paths}
    names = {path: _short(part, 1) for path, part in parts.items()}
    for depth in range(2, 12):
        count = Counter(names.values())
        if max(count.values(), default=1) == 1:
            break
        names = {path: _short(parts[path], depth) if count[name] > 1 else name for path, name in names.items()}
    return names


def _parts(path: Path, root: Path) -> list[str]:
    """The parts of a path below the root that may name a run, the file's own last."""
    inside = path.relative_to(root) if root.is_dir() and path.is_relative_to(root) else Path(path.name)
    if not inside.parts:
        return [path.resolve().name]
    stem = inside.name
    for ending in (".gz", *inside.suffixes[::-1]):
        stem = (
            stem.removesuffix(ending)
            if ending in {".gz", ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".log", ".txt", ".out", ".err"}
            else stem
        )
    parts = [*inside.parts[:-1], stem]
    above = [root.resolve().name] if root.is_dir() else [path.resolve().parent.name]
    meaning = [part for part in parts if part.lower() not in _MEANINGLESS]
    return meaning or [*above, *parts]


def _short(parts: list[str], depth: int) -> str:
    return "/".join(parts[-depth:])


def json_object(file: Path) -> dict[str, Any]:
    """A file that holds one JSON object.

    Raises:
        RunsError: It cannot be read, or holds something else.
    """
    try:
        content = json.loads(content_of(file).decode())
    except RecursionError:
        raise RunsError(f"{file} cannot be read: it is nested too deeply.") from None
    except ValueError as error:
        raise RunsError(f"{file} is not whole JSON: {error}.") from None
    if not isinstance(content, dict):
        raise RunsError(f"{file} holds a {type(content).__name__}, not an object.")
    return content
