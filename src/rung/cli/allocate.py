"""`rung allocate`: how large a model and how much data, for a budget or a wished loss."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from rung.cli.budget import BUDGET, Machines, Spend, cluster_of, describe_price, flops_of
from rung.cli.table_options import ROWS, LawOptions, TableOptions, pairs, read_law, read_selected, say
from rung.cli.text import table
from rung.errors import PlanError

if TYPE_CHECKING:
    from rung.fitting import Fit
    from rung.planning.allocation import Allocation, Approaches
    from rung.planning.cost import Price
    from rung.runs import Runs

LIMITS = Group("Limits", sort_key=1)
WITHIN = 0.001


def allocate(
    source: Annotated[str, Parameter(name="FIT")],
    /,
    *inputs: Annotated[str, Parameter(name="NAME=VALUE")],
    flops: Annotated[str | None, Parameter(group=BUDGET)] = None,
    spend: Spend = Spend(),  # noqa: B008  # frozen
    loss: Annotated[float | None, Parameter(group=BUDGET)] = None,
    cost: Annotated[str, Parameter(group=BUDGET)] = "6*N*D",
    within: Annotated[float, Parameter(group=BUDGET)] = WITHIN,
    tokens_per_param: Annotated[float | None, Parameter(group=LIMITS)] = None,
    unique_tokens: Annotated[str | None, Parameter(group=LIMITS)] = None,
    max_params: Annotated[str | None, Parameter(group=LIMITS)] = None,
    sizes: Annotated[str | None, Parameter(group=LIMITS)] = None,
    memory: Annotated[str | None, Parameter(group=LIMITS)] = None,
    bytes_per_param: Annotated[float, Parameter(group=LIMITS)] = 16.0,
    machines: Machines = Machines(),  # noqa: B008  # frozen
    law: Annotated[str, Parameter(group=ROWS)] = "chinchilla",
    measure: LawOptions = LawOptions(),  # noqa: B008  # frozen
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Find the size and the data that reach the lowest loss for a budget, or a wished loss at the lowest cost.

    Given a table of runs instead of a fit, it tells Hoffmann's three approaches side by side, and what parabolas miss by on the table's own grid.

    Parameters
    ----------
    source
        A fit that `rung fit RUNS -o fit.json` wrote, or a table of runs.
    inputs
        Other variables of the law or the cost, and the level of each group: U=100B, corpus=c4.
    flops
        The budget in FLOPs, such as 1e24.
    loss
        A wished value of the target instead of a budget: the cheapest run that reaches it.
    cost
        What a run costs in FLOPs, as a formula: "6*N*D" by default; "6*N*D + 2*N*2e12" serves 2e12 tokens.
    within
        Share of the lowest loss that counts as good as the best; 0.001 by default.
    tokens_per_param
        Fix D / N.
    unique_tokens
        The tokens that there are; more are repeats, valued by the data-constrained law.
    max_params
        The largest size.
    sizes
        The sizes that can be built, such as 1B,3B,7B.
    memory
        Bytes that weights, gradients and optimizer state may take.
    bytes_per_param
        Bytes of those for one parameter; 16 by default (mixed precision with Adam).
    law
        For a table of runs: the law that is fitted, in N and D.
    json
        Print one JSON object instead of text.
    """
    from rung.planning.allocation import allocate as allocate_run
    from rung.planning.cost import cost as price_of
    from rung.units import parse_number

    budget = flops_of(machines, spend, flops=flops)
    if budget is None and loss is None:
        raise PlanError(
            "give a budget (--flops 1e24, or --hours, --days, --money with --hardware) or a wished loss (--loss 2.0)."
        )
    if budget is not None and loss is not None:
        raise PlanError("a budget and a wished loss are two wishes; give one.")
    if not source.lower().endswith(".json"):
        limits = (tokens_per_param, unique_tokens, max_params, sizes, memory)
        if budget is None or inputs or cost != "6*N*D" or within != WITHIN or any(one is not None for one in limits):
            raise PlanError(
                f"{source} is a table of runs: its three approaches are compared for a budget at 6 N D, --flops 1e24, and nothing else. "
                "For limits, a wish or another cost make a fit first: rung fit RUNS -o fit.json."
            )
        runs, fit = _fitted(source, law, measure, rows)
        _tell_approaches(runs, fit, budget, json=json)
        return
    if (law, measure, rows) != ("chinchilla", LawOptions(), TableOptions()):
        raise PlanError(
            f"{source} is fitted already: laws, columns and rows are chosen where the fit is made, with rung fit."
        )
    from rung.fitting import read_fit

    fit = read_fit(source)
    given = {name: text if name in fit.groups else parse_number(text) for name, text in pairs(inputs, "input").items()}
    largest = [parse_number(max_params)] if max_params else []
    if memory:
        if not bytes_per_param > 0:
            raise PlanError(f"--bytes-per-param {bytes_per_param:g} must be positive.")
        largest.append(parse_number(memory) / bytes_per_param)
    answer = allocate_run(
        fit,
        flops=budget,
        loss=loss,
        cost=cost,
        tokens_per_param=tokens_per_param,
        unique_tokens=parse_number(unique_tokens) if unique_tokens else None,
        max_params=min(largest) if largest else None,
        sizes=[parse_number(size) for size in sizes.split(",")] if sizes is not None else (),
        tolerance=within,
        **given,
    )
    cluster = cluster_of(machines)
    params = answer.choices["params"].value if "params" in answer.choices else None
    price = price_of(answer.budget, cluster, params=params, bytes_per_param=bytes_per_param) if cluster else None
    if json:
        content = answer.to_dict() | ({"price": price.to_dict()} if price else {})
        print(json_module.dumps(content, allow_nan=False))
    else:
        print(describe(answer, fit, price))
    say(*(f"warning: {finding.text}" for finding in answer.warnings))


def describe(answer: Allocation, fit: Fit, price: Price | None) -> str:
    """An allocation as text for people."""
    from rung.units import format_count, format_interval, format_value

    percent = f"{100 * fit.level:g} %"
    asked = (
        f"{format_count(answer.budget)} by {answer.cost}"
        if answer.target_loss is None
        else f"{fit.target} {format_value(answer.target_loss)}, lowest cost by {answer.cost}"
    )
    given = ", ".join(
        f"{name} {value if isinstance(value, str) else format_count(value)}" for name, value in answer.given.items()
    )
    rows = [
        [
            name,
            format_count(choice.value),
            format_interval(*choice.interval, format_count) if choice.interval[0] != choice.interval[1] else "fixed",
            format_interval(*choice.flat, format_count),
        ]
        for name, choice in answer.choices.items()
    ]
    ratio = answer.tokens_per_param
    if ratio is not None:
        params, tokens = answer.choices["params"].flat, answer.choices["tokens"].flat
        ends = (tokens[0] / params[1], tokens[1] / params[0])
        rows.append(
            ["tokens per parameter", format_value(ratio, 3), "", format_interval(*ends, lambda x: format_value(x, 3))]
        )
    lines = [
        f"wanted     {asked}",
        *([f"given      {given}"] if given else []),
        "",
        table(
            [
                "",
                "best",
                f"{percent} interval of the best",
                f"within {100 * answer.tolerance:g} % of the lowest {fit.target}",
            ],
            rows,
        ),
        "",
        f"cost       {format_count(answer.budget)}",
        f"{fit.target:<10} {format_value(answer.loss)}; {percent}: the law {format_interval(*answer.law_interval)}, a new run {format_interval(*answer.run_interval)}",
        *(describe_price(price) if price else []),
        "",
        f"extrapolation factor {answer.extrapolation_factor:.3g}"
        + ("" if answer.extrapolation_factor > 1 else " (inside the range of the runs)"),
    ]
    return "\n".join(lines)


def _fitted(path: str, law: str, measure: LawOptions, selection: TableOptions) -> tuple[Runs, Fit]:
    from rung.fitting import fit

    wish = read_law(law, read_selected(path, selection), selection, measure)
    found = fit(
        wish.runs,
        wish.law,
        objective=wish.objective,
        delta=measure.delta,
        target=wish.target,
        weights=measure.weights,
        draws=0,
    )
    return wish.runs, found


def _tell_approaches(runs: Runs, fit: Fit, flops: float, *, json: bool) -> None:
    from rung.planning.allocation import compare_approaches

    found = compare_approaches(runs, fit, flops)
    print(json_module.dumps(found.to_dict(), allow_nan=False) if json else describe_approaches(found, fit))
    say(*(f"warning: {finding.text}" for finding in fit.warnings))


def describe_approaches(found: Approaches, fit: Fit) -> str:
    """The three approaches as text for people."""
    from rung.units import format_count, format_interval, format_percent

    def ends(number: float | None) -> str:
        return f"{number:.3f}"

    head = [
        "approach",
        "N grows as C^",
        f"{100 * fit.level:g} % interval",
        f"N at {format_count(found.flops)} FLOPs",
        "bias there",
    ]
    rows = [
        [
            one.name,
            f"{one.exponent:.3f}",
            format_interval(*one.interval, ends),
            format_count(one.params),
            format_percent(one.bias, signed=True),
        ]
        for one in found.approaches
    ]
    profiles = [
        [
            format_count(one.flops),
            str(one.sizes),
            format_count(one.lowest),
            "opens downwards" if one.centre is None else format_count(one.centre),
            "yes" if one.inside else "no",
            format_percent(one.bias, signed=True),
        ]
        for one in found.profiles
    ]
    inside = sum(one.inside for one in found.profiles)
    return "\n".join(
        [
            table(head, rows),
            "",
            "bias: what the approach says of the fitted law's own noise-free losses at these points, less the law's best size",
            "",
            table(["flops", "sizes", "lowest loss at", "parabola's bottom", "inside", "its bias"], profiles),
            "",
            f"{inside} of {len(found.profiles)} parabolas have their bottom among their sizes"
            + ("; the others are left out" if inside < len(found.profiles) else "")
            + ("; compute is in bins of a quarter of a decade" if found.binned else ""),
        ]
    )
