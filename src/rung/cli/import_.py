"""`rung import`: a table of runs from where the runs are tracked."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.table_options import say
from rung.cli.text import table


def import_(
    source: Annotated[str, Parameter(name="KIND:PLACE")],
    /,
    *,
    experiment: str = "",
    loss: str = "",
    params: str = "",
    tokens: str = "",
    checkpoints: Annotated[bool, Parameter(negative="")] = False,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Read runs from where they are tracked: mlflow:ADDRESS, wandb:FOLDER, tensorboard:FOLDER, trainer:FOLDER, lm-eval:FOLDER, csv:FILE.

    Parameters
    ----------
    source
        Kind and place.
    experiment
        The experiment, of an MLflow server.
    loss
        The metric that is the loss; a held-out one's last value by default, or a training loss's mean over the last 5 % of the steps.
    params
        The entry of the configuration that is N.
    tokens
        The metric, or the entry of the configuration, that is D.
    checkpoints
        A row for each value of the loss, instead of one for each run.
    output
        Write the table: .csv, .parquet or .jsonl.
    json
        Print the table as JSON instead of text.
    """
    from rung.cli.table_file import require_table, write_frame
    from rung.runs.sources import ColumnOverrides, import_runs
    from rung.units import format_count, format_value

    require_table(output)
    overrides = ColumnOverrides(loss=loss, params=params, tokens=tokens, checkpoints=checkpoints)
    found = import_runs(source, experiment=experiment, overrides=overrides)
    if output:
        write_frame(found.frame, output)
    if json:
        print(found.frame.write_json())
    else:
        columns = [name for name in ("run", "params", "tokens", "step", "loss") if name in found.frame.columns]
        rows = [
            [
                str(value)
                if name in {"run", "step"} or value is None
                else (format_count if name in {"params", "tokens"} else format_value)(value)
                for name, value in row.items()
            ]
            for row in found.frame.select(columns).iter_rows(named=True)
        ]
        print(table(columns, rows))
        print()
        wide = max(len(name) for name in found.mapping)
        for column, rule in found.mapping.items():
            print(f"{column:{wide}}  {rule}")
    say(*(f"warning: {finding.text}" for finding in found.warnings))
