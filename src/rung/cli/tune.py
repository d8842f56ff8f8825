"""`rung tune`: learning rate and batch."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Inputs, Json, Output, Seed
from rung.cli.output import figure_kinds, require_kinds, scene_of, show, write_result
from rung.cli.table_options import TableOptions, pairs, read_selected, tables_and_inputs
from rung.errors import PlanError

_NAMES = {"N": "params", "params": "params", "D": "tokens", "tokens": "tokens"}


def tune(
    *inputs: Inputs,
    params_active: Annotated[str | None, Parameter(group=QUESTION)] = None,
    batch_step: Annotated[str | None, Parameter(group=QUESTION)] = None,
    target: Annotated[str, Parameter(group=QUESTION)] = "loss",
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Propose learning rate and batch for a run, and score the rules by regret on your own sweeps.

    Parameters
    ----------
    inputs
        The run: N=1B D=20B. N is without embeddings; for a mixture of experts, all parameters. Files among them are tables of sweeps with params, tokens, lr, batch_tokens and loss: grids of runs at the same params and tokens.
    params_active
        Parameters that one token meets, for a mixture of experts.
    batch_step
        Tokens that the hardware takes at once, of which the batch is a multiple; a power of two of tokens by default.
    target
        The column of losses; loss by default.
    """
    from rung.planning.tuning import tune as tune_run
    from rung.units import parse_number

    kinds = require_kinds(output, {".json": "the result", ".csv": "the proposals"}) | figure_kinds(figure)
    tables, named = tables_and_inputs(inputs)
    if not tables and (rows != TableOptions() or target != "loss"):
        raise PlanError("columns and rows belong to a table of sweeps, and none is given.")
    given = {name: parse_number(text) for name, text in pairs(named, "input").items()}
    unknown = [name for name in given if name not in _NAMES]
    if unknown:
        raise PlanError(f"{unknown[0]!r} does not describe a run here; give N and D: N=1B D=20B.")
    sweeps = read_selected(tables, rows, target) if tables else None
    found = tune_run(
        sweeps,
        params_active=parse_number(params_active) if params_active else None,
        batch_step=parse_number(batch_step) if batch_step else None,
        target=target,
        seed=seed,
        **{_NAMES[name]: value for name, value in given.items()},
    )
    write_result(found, kinds, scene_of(kinds, runs=sweeps))
    show(found, json=json)
