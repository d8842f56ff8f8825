"""`rung import`: a table of runs from where the runs are tracked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.options import Json, Output
from rung.cli.output import require_kinds, warn

if TYPE_CHECKING:
    from rung.runs.sources import Imported


def import_(
    source: Annotated[str, Parameter(name="KIND:ADDRESS")],
    /,
    *,
    experiment: str = "",
    loss: str = "",
    params: str = "",
    tokens: str = "",
    checkpoints: Annotated[bool, Parameter(negative="")] = False,
    output: Output = (),
    json: Json = False,
) -> None:
    """Read runs from where they are tracked: mlflow:ADDRESS, wandb:FOLDER, tensorboard:FOLDER, trainer:FOLDER, lm-eval:FOLDER, csv:FILE.

    Parameters
    ----------
    source
        Kind and address.
    experiment
        The experiment, of an MLflow server.
    loss
        The metric that is the loss; by default the last value of a held-out one, or the mean of a training loss over the last 5 % of the steps.
    params
        The configuration key that is N.
    tokens
        The metric, or the configuration key, that is D.
    checkpoints
        A row for each value of the loss, instead of one for each run.
    """
    from rung.cli.table_file import KINDS, write_frame
    from rung.runs.sources import ColumnOverrides, import_runs

    kinds = require_kinds(output, KINDS)
    overrides = ColumnOverrides(loss=loss, params=params, tokens=tokens, checkpoints=checkpoints)
    found = import_runs(source, experiment=experiment, overrides=overrides)
    for path in kinds:
        write_frame(found.frame, path)
    print(found.frame.write_json() if json else _describe(found))
    warn(found.warnings)


def _describe(found: Imported) -> str:
    """The table, and where each column comes from."""
    from rung.results import Table
    from rung.units import format_count, format_value

    def cell(name: str, value: Any) -> str:
        if name in {"run", "step"} or value is None:
            return str(value)
        return format_count(value) if name in {"params", "tokens"} else format_value(value)

    columns = [name for name in ("run", "params", "tokens", "step", "loss") if name in found.frame.columns]
    rows = [
        [cell(name, value) for name, value in row.items()] for row in found.frame.select(columns).iter_rows(named=True)
    ]
    wide = max(len(name) for name in found.mapping)
    rules = "\n".join(f"{column:{wide}}  {rule}" for column, rule in found.mapping.items())
    return f"{Table(columns, rows).text()}\n\n{rules}"
