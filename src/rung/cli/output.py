"""What a command prints and writes: a result as text or JSON, its warnings, and files."""

from __future__ import annotations

import json as json_module
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rung.errors import ReportError
from rung.messages import listed, printable, shortened

if TYPE_CHECKING:
    from rung.findings import Finding
    from rung.report import Scene
    from rung.results import Result

Writer = Callable[[], bytes]
"""Gives the content of a file when everything else is done."""


def say(*lines: str) -> None:
    """Print lines for people on standard error."""
    for line in lines:
        print(shortened(printable(line)), file=sys.stderr)


def warn(findings: Iterable[Finding]) -> None:
    """Print findings on standard error, the most severe first."""
    from rung.findings import most_severe_first

    say(*(f"{'note' if one.severity == 'note' else 'warning'}: {one.text}" for one in most_severe_first(findings)))


def as_json(content: Any) -> str:
    """Plain values as one line of JSON; numbers that are not finite are null."""
    try:
        return json_module.dumps(content, allow_nan=False)
    except ValueError:
        return json_module.dumps(_finite(content), allow_nan=False)


def _finite(content: Any) -> Any:
    """The same content without numbers that are not finite."""
    if isinstance(content, Mapping):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def require_kinds(paths: Sequence[str], kinds: Mapping[str, str]) -> dict[str, str]:
    """The ending of each output file, before the work.

    Args:
        paths: The files.
        kinds: Each ending that can be written, and what it holds.

    Raises:
        ReportError: An ending is none of these, or a folder is not there.
    """
    from rung.files import STANDARD_INPUT, require_writable

    found = {}
    for path in paths:
        if path in {"-", STANDARD_INPUT}:
            raise ReportError("-o - names no file. Give one, or take --json, which prints to standard output.")
        kind = "." + path.rpartition(".")[2].lower()
        if kind not in kinds:
            options = listed([f"{ending} ({what})" for ending, what in kinds.items()])
            raise ReportError(f"-o {path}: the ending says what is written; use {options}.")
        require_writable(path)
        found[path] = kind
    return found


def show(result: Result, *, json: bool, more: Mapping[str, Any] | None = None, below: Sequence[Result] = ()) -> None:
    """Print a result, and its findings on standard error.

    Args:
        result: The result.
        json: Whether as JSON.
        more: What else the JSON holds.
        below: Results that follow as text.
    """
    if json:
        print(as_json({**_plain(result), **(more or {})}))
    else:
        print("\n\n".join(one.summary() for one in (result, *below)))
    warn([finding for one in (result, *below) for finding in one.findings()])


def figure_kinds(figures: Sequence[str]) -> dict[str, str]:
    """The ending of each figure, before the work.

    Raises:
        ReportError: A file has another ending, or a folder is not there.
    """
    if not figures:
        return {}
    from rung.files import require_writable
    from rung.report import figure_kind

    for path in figures:
        require_writable(path)
    return {path: figure_kind(path) for path in figures}


def scene_of(kinds: Mapping[str, str], **around: Any) -> Scene | None:
    """What stands around a result in its figures; None, without an import, where none is drawn."""
    if all(kind.startswith(".") for kind in kinds.values()):
        return None
    from rung.report import Scene

    return Scene(**around)


def write_result(result: Result, kinds: Mapping[str, str], scene: Scene | None = None) -> None:
    """Write a result as .json, as .csv where it is a table, or as a figure; all files or none.

    Args:
        result: The result.
        kinds: The ending of each file.
        scene: What stands around the result in a figure.
    """
    from rung.files import write_all

    write_all({path: content_of(result, kind, scene) for path, kind in kinds.items()})


def content_of(result: Result, kind: str, scene: Scene | None = None) -> bytes:
    """A result as the content of a file."""
    if not kind.startswith("."):
        from rung.report import Scene, render_figure

        return render_figure(result, kind, scene or Scene())
    if kind == ".csv":
        from rung.files import neutral_csv

        frame: Any = result
        return neutral_csv(frame.to_frame()).encode()
    return (as_json(_plain(result)) + "\n").encode()


def _plain(result: Result) -> dict[str, Any]:
    """A result as plain values."""
    plain: Any = result
    content: dict[str, Any] = plain.to_dict()
    return content
