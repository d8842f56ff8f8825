"""`rung import`: a table of runs from where the runs are tracked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.options import Json, Output
from rung.cli.output import require_kinds, warn

if TYPE_CHECKING:
    from rung.runs.sources import Imported


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Names:
    """What the store calls what Rung needs, where the rules do not find it."""

    loss: str = ""
    """The metric that is the loss; by default the last value of a held-out one, or the mean of a training loss over the last 5 % of the steps."""
    params: str = ""
    """N: the configuration key, or a number."""
    tokens: str = ""
    """The metric, or the configuration key, that is D."""
    step: str = ""
    """The metric that counts the trainer's steps."""
    batch_tokens: str = ""
    """The tokens of one step: a number, or the configuration key."""


def import_(
    source: Annotated[str, Parameter(name="KIND:ADDRESS")],
    /,
    *,
    experiment: str = "",
    names: Names = Names(),  # frozen
    checkpoints: Annotated[bool, Parameter(negative="")] = False,
    output: Output = (),
    json: Json = False,
) -> None:
    """Read runs from where they are kept: mlflow:ADDRESS, wandb:FOLDER, wandb:ENTITY/PROJECT, tensorboard:FOLDER, trainer:FOLDER, lm-eval:FOLDER, csv:FILE, jsonl:FILE, log:FILE.

    Parameters
    ----------
    source
        Kind and address.
    experiment
        The experiment, of an MLflow server.
    checkpoints
        A row for each value of the loss, instead of one for each run.
    """
    from rung.cli.table_file import KINDS, write_frame
    from rung.runs.sources import ColumnOverrides, import_runs

    kinds = require_kinds(output, KINDS)
    overrides = ColumnOverrides(
        loss=names.loss,
        params=names.params,
        tokens=names.tokens,
        step=names.step,
        batch_tokens=names.batch_tokens,
        checkpoints=checkpoints,
    )
    found = import_runs(source, experiment=experiment, overrides=overrides)
    for path in kinds:
        write_frame(found.frame, path)
    print(found.frame.write_json() if json else _describe(found, written=bool(kinds)))
    warn(found.warnings)


_FIRST: tuple[str, ...] = ("run", "revision", "params", "tokens", "step", "loss", "status")
"""Columns that are printed."""

_SHOWN = 60
"""Rows that are printed; more are only counted."""


def _describe(found: Imported, *, written: bool) -> str:
    """The table, and where each column comes from."""
    from rung.messages import counted
    from rung.results import Table
    from rung.units import format_count, format_value

    def cell(name: str, value: Any) -> str:
        if name in {"run", "step", "status", "revision"} or value is None:
            return "-" if value is None else str(value)
        return format_count(value) if name in {"params", "tokens"} else format_value(value)

    frame = found.frame
    columns = [name for name in _FIRST if name in frame.columns]
    if "loss" not in columns:
        columns += [name for name in frame.columns if name not in columns and not name.endswith("_stderr")][:4]
    rows = [
        [cell(name, value) for name, value in row.items()]
        for row in frame.select(columns).head(_SHOWN).iter_rows(named=True)
    ]
    more = frame.height - len(rows)
    rest = (
        f"\n... and {counted(more, 'more row', 'more rows')}{'' if written else '; -o runs.csv keeps them'}"
        if more
        else ""
    )
    wide = max((len(name) for name in found.mapping), default=0)
    rules = "\n".join(f"{column:{wide}}  {rule}" for column, rule in found.mapping.items())
    return f"{Table(columns, rows).text()}{rest}\n\n{rules}"
