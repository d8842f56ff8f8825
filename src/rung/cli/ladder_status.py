"""How far the runs of a ladder are, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rung.cli.output import as_json
from rung.errors import LadderError

if TYPE_CHECKING:
    from rung.ladder.execution import RunStatus


def print_statuses(statuses: list[RunStatus], *, json: bool) -> None:
    """How far each run is, as a table or as JSON."""
    if json:
        print(as_json([one.to_dict() for one in statuses]))
        return
    from rung.results import Table
    from rung.units import format_value

    rows = [
        [one.run, one.status, f"{one.step} of {one.steps}", format_value(one.loss), duration(one.time_s)]
        for one in statuses
    ]
    print(Table(["run", "status", "step", "loss", "time"], rows).text())
    for one in statuses:
        if one.reason:
            print(f"{one.run}: {one.reason}")


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def require_torch() -> None:
    from importlib.util import find_spec

    for package in ("torch", "safetensors"):
        if find_spec(package) is None:
            raise LadderError(f'training needs {package}, which is not installed: pip install "rung[train]".')
