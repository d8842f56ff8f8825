"""`rung tune`: learning rate and batch, by published laws and a user's own sweeps."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.table_options import TableOptions as Rows
from rung.cli.table_options import pairs, read_selected, say
from rung.cli.text import table
from rung.errors import PlanError

if TYPE_CHECKING:
    from rung.planning.tuning import Tuning


def tune(
    source: Annotated[str | None, Parameter(name="SWEEPS")] = None,
    /,
    *inputs: Annotated[str, Parameter(name="NAME=VALUE")],
    params_active: str | None = None,
    batch_step: str | None = None,
    target: str = "loss",
    seed: int = 0,
    rows: Rows = Rows(),  # noqa: B008  # frozen
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Propose learning rate and batch for a run, and score the rules by regret on your own sweeps.

    Parameters
    ----------
    source
        A table of sweeps with params, tokens, lr, batch_tokens and loss: grids of runs at the same params and tokens.
    inputs
        The run asked about: N=1B D=20B. N is without embeddings; for a mixture of experts, all parameters.
    params_active
        Parameters that one token meets, for a mixture of experts.
    batch_step
        Tokens that the hardware takes at once, of which the batch is a multiple; a power of two of tokens by default.
    target
        The column of losses; loss by default.
    seed
        Seed of the resamples; 0 by default.
    json
        Print one JSON object instead of text.
    """
    from rung.planning.tuning import tune as tune_run
    from rung.units import parse_number

    if source is not None and "=" in source:
        inputs = (source, *inputs)
        source = None
    if source is None and (rows != Rows() or target != "loss"):
        raise PlanError("columns and rows belong to a table of sweeps, and none is given.")
    given = {name: parse_number(text) for name, text in pairs(inputs, "input").items()}
    known = {"N": "params", "params": "params", "D": "tokens", "tokens": "tokens"}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise PlanError(f"{unknown[0]!r} is not what a run is asked about by; give N and D: N=1B D=20B.")
    found = tune_run(
        read_selected(source, rows) if source is not None else None,
        params_active=parse_number(params_active) if params_active else None,
        batch_step=parse_number(batch_step) if batch_step else None,
        target=target,
        seed=seed,
        **{known[name]: value for name, value in given.items()},
    )
    print(json_module.dumps(found.to_dict(), allow_nan=False) if json else describe(found))
    say(*(f"warning: {finding.text}" for finding in found.warnings))


def describe(found: Tuning) -> str:
    """A tuning as text for people."""
    from rung.units import format_count, format_percent, format_value

    lines = []
    if found.proposals:
        rows = [
            [one.rule, format_value(one.lr, 3), format_count(one.batch_tokens), f"{one.batch_rounded:,.0f}", one.source]
            for one in found.proposals
        ]
        lines += [table(["rule", "peak lr", "batch, tokens", "rounded", "source"], rows), ""]
        lines += [f"{one.rule}: {one.convention}" for one in found.proposals]
    if found.scores:
        rows = [
            [
                one.rule,
                "-" if one.outside == found.grids else format_percent(one.mean),
                "-" if one.outside == found.grids else format_percent(one.worst),
                str(one.outside) if one.outside else "-",
                "yes" if one.held_out else "no",
            ]
            for one in found.scores
        ]
        lines += [
            *([""] if lines else []),
            f"regret over {found.grids} grid{'s' if found.grids > 1 else ''}: loss at the proposed point over the lowest of the grid, less one",
            "",
            table(["rule", "mean", "worst", "off the grid", "held out"], rows),
        ]
    return "\n".join(lines)
