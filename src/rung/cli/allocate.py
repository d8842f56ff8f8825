"""`rung allocate`: how large a model and how much data, for a budget or a target loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.budget import Machines, OtherBudget, cluster_of, flops_of
from rung.cli.options import (
    LIMITS,
    Budget,
    BytesPerParam,
    Cost,
    Figure,
    Inputs,
    Json,
    Law,
    LevelOfFit,
    Output,
    TargetLoss,
)
from rung.cli.output import figure_kinds, require_kinds, say, scene_of, show, write_result
from rung.cli.table_options import LawOptions, TableOptions, pairs, read_law, read_selected, tables_and_inputs
from rung.errors import PlanError

if TYPE_CHECKING:
    from rung.fitting import Fit
    from rung.planning.cost import Price

TOLERANCE = 0.001

_MOST_BUDGETS = 200
"""Most budgets of a range."""


@Parameter(name="*", group=LIMITS)
@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """What limits an allocation."""

    tolerance: Annotated[float, Parameter(name=["--tolerance", "--within"])] = TOLERANCE
    """Share of the lowest loss that counts as good as the best; 0.001 by default."""
    tokens_per_param: float | None = None
    """Fix D / N."""
    unique_tokens: str | None = None
    """The unique tokens that there are; more are repeats, valued by the data-constrained law."""
    max_params: str | None = None
    """The largest size."""
    sizes: str | None = None
    """The sizes that can be built, such as 1B,3B,7B."""
    active_share: float | None = None
    """Of a mixture of experts: the share of N that one token uses; the cost is then 6 times it times N D."""
    memory: str | None = None
    """Bytes that weights, gradients and optimizer state may take."""


def allocate(
    source: Annotated[str, Parameter(name="FIT")],
    /,
    *inputs: Inputs,
    flops: Budget = None,
    other: OtherBudget = OtherBudget(),  # noqa: B008  # frozen
    loss: TargetLoss = None,
    cost: Cost = "6*N*D",
    limits: LimitOptions = LimitOptions(),  # frozen
    machines: Machines = Machines(),  # noqa: B008  # frozen
    bytes_per_param: BytesPerParam = 16.0,
    law: Law = "chinchilla",
    options: LawOptions = LawOptions(),  # noqa: B008  # frozen
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: LevelOfFit = None,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Find the size and the data that reach the lowest loss for a budget, or a target loss at the lowest cost.

    A range of budgets, --flops 1e21:1e25:9, gives a row for each. Given a table of runs instead of a fit, compare Hoffmann's three approaches, and what parabolas miss on the table's own grid.

    Parameters
    ----------
    source
        A fit that rung fit RUNS -o fit.json wrote (- for standard input), a law of the book with constants, or a table of runs.
    inputs
        Other variables of the law or the cost, and the level of each group: U=100B, corpus=c4.
    """
    if flops is not None and ":" in flops:
        _frontier(source, inputs, (flops, loss, cost), limits, level, (output, figure), json=json)
        return
    budget = flops_of(machines, other, flops=flops)
    if (budget is None) == (loss is None):
        raise PlanError(
            "give a budget (--flops 1e24, or --hours, --days, --money with --hardware) or a target loss (--loss 2.0): one or the other."
        )
    kinds = require_kinds(output, {".json": "the result", ".csv": "the result as a table"}) | figure_kinds(figure)
    if not _is_fit(source):
        others = (inputs and tables_and_inputs(inputs)[1], cost != "6*N*D", limits != LimitOptions(), level is not None)
        if budget is None or any(others):
            raise PlanError(
                f"{source} is a table of runs: its three approaches are compared for a budget at 6 N D, --flops 1e24, and nothing else. "
                "For limits, a target loss or another cost make a fit first: rung fit RUNS -o fit.json."
            )
        found, around = _approaches([source, *inputs], law, options, rows, budget)
        write_result(found, kinds, scene_of(kinds, **around))
        show(found, json=json)
        return
    if (law, options, rows) != ("chinchilla", LawOptions(), TableOptions()):
        raise PlanError(
            f"{source} is fitted already: laws, columns and rows are chosen where the fit is made, with rung fit."
        )
    answer, price, fit = _allocation(source, inputs, (budget, loss, cost), limits, machines, bytes_per_param, level)
    write_result(answer, kinds, scene_of(kinds, fit=fit))
    show(answer, json=json, more={"price": price.to_dict()} if price else {}, below=[price] if price else [])


def _is_fit(source: str) -> bool:
    from rung.files import STANDARD_INPUT
    from rung.fitting import is_published

    return source.lower().endswith(".json") or source == STANDARD_INPUT or is_published(source)


def _allocation(
    source: str,
    inputs: Sequence[str],
    asked: tuple[float | None, float | None, str],
    limits: LimitOptions,
    machines: Machines,
    bytes_per_param: float,
    level: float | None,
) -> tuple[Any, Price | None, Fit]:
    from rung.fitting import as_fit
    from rung.planning.allocation import allocate as allocate_run
    from rung.planning.cost import cost as price_of
    from rung.units import parse_bytes, parse_number

    fit: Fit = as_fit(source)
    given: dict[str, Any] = {
        name: text if name in fit.groups else parse_number(text) for name, text in pairs(inputs, "input").items()
    }
    flops, loss, cost = asked
    answer = allocate_run(
        fit, flops=flops, loss=loss, cost=cost, level=level, **_limits(limits, bytes_per_param), **given
    )
    if limits.memory and "params" in answer.limited:
        most = parse_bytes(limits.memory) / bytes_per_param
        if most <= answer.choices["params"].value * 1.001:
            say(f"note: the limit of params is --memory {limits.memory} at {bytes_per_param:g} bytes for each.")
    cluster = cluster_of(machines)
    params = answer.choices["params"].value if "params" in answer.choices else None
    price = price_of(answer.budget, cluster, params=params, bytes_per_param=bytes_per_param) if cluster else None
    return answer, price, fit


def _limits(limits: LimitOptions, bytes_per_param: float) -> dict[str, Any]:
    """The limits as arguments of `allocate`."""
    from rung.units import parse_bytes, parse_number

    largest = [parse_number(limits.max_params)] if limits.max_params else []
    if limits.memory:
        if not bytes_per_param > 0:
            raise PlanError(f"--bytes-per-param {bytes_per_param:g} must be positive.")
        largest.append(parse_bytes(limits.memory) / bytes_per_param)
    return {
        "tokens_per_param": limits.tokens_per_param,
        "unique_tokens": parse_number(limits.unique_tokens) if limits.unique_tokens else None,
        "max_params": min(largest) if largest else None,
        "sizes": [parse_number(size) for size in limits.sizes.split(",")] if limits.sizes is not None else (),
        "tolerance": limits.tolerance,
        "active_share": limits.active_share,
    }


def _frontier(
    source: str,
    inputs: Sequence[str],
    asked: tuple[str, float | None, str],
    limits: LimitOptions,
    level: float | None,
    files: tuple[Sequence[str], Sequence[str]],
    *,
    json: bool,
) -> None:
    """Print the best allocation of each budget of a range."""
    import numpy as np

    from rung.fitting import as_fit
    from rung.planning.allocation import allocate_budgets
    from rung.units import parse_number

    flops, loss, cost = asked
    kinds = require_kinds(files[0], {".json": "the result", ".csv": "a row for each budget"}) | figure_kinds(files[1])
    if loss is not None:
        raise PlanError("--loss and a range of budgets are two questions; give one.")
    if not _is_fit(source):
        raise PlanError(
            f"{source} is a table of runs. For a range of budgets make a fit first: rung fit RUNS -o fit.json."
        )
    parts = flops.split(":")
    count = int(parts[2]) if len(parts) == 3 and parts[2].isdigit() else 0
    low, high = (parse_number(part) for part in parts[:2])
    if not (0 < low < high and 2 <= count <= _MOST_BUDGETS):
        raise PlanError(
            f"--flops {flops}: write a range as LOW:HIGH:COUNT with LOW under HIGH and COUNT from 2 to {_MOST_BUDGETS}: 1e21:1e25:9."
        )
    fit = as_fit(source)
    given = {name: text if name in fit.groups else parse_number(text) for name, text in pairs(inputs, "input").items()}
    found = allocate_budgets(
        fit, np.geomspace(low, high, count).tolist(), cost=cost, level=level, **_limits(limits, 16.0), **given
    )
    write_result(found, kinds)
    show(found, json=json)


def _approaches(
    tables: Sequence[str], law: str, options: LawOptions, rows: TableOptions, flops: float
) -> tuple[Any, dict[str, Any]]:
    from rung.fitting import fit
    from rung.planning.allocation import compare_approaches

    choice = read_law(law, read_selected(tables, rows, options.target), rows, options)
    found = fit(
        choice.runs,
        choice.law,
        objective=choice.objective,
        delta=options.delta,
        target=choice.target,
        weights=options.weights,
        draws=0,
    )
    return compare_approaches(choice.runs, found, flops), {"fit": found, "runs": choice.runs}
