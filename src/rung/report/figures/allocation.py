"""An allocation: the loss along sizes of equal cost, the best one, its interval and the flat region."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.fitting import Fit
from rung.forecasting import ask, predict
from rung.laws import evaluate, names, parse_formula
from rung.planning.allocation import Allocation
from rung.report.figures.style import LAW, RUN, band, bars, count_axis, headed, named
from rung.units import format_count, format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rung.arrays import Array
    from rung.report.figures.draw import Scene

_AROUND = 20.0
"""How many times smaller and larger than the best size the loss is drawn at least."""

_POINTS, _HALVINGS = 80, 80


def draw(axes: Axes, result: Allocation, scene: Scene) -> None:
    """The loss along N at equal cost; for other variables, the best value of each with its interval."""
    sizes = _equal_cost(result)
    if scene.fit is None or sizes is None or {"N", "D"} - set(scene.fit.law.variables):
        _choices(axes, result)
        return
    params, tokens = sizes
    value, low, high = _losses(scene.fit, result, params, tokens)
    band(axes, params, low, high, f"{100 * result.level:g} % of the law")
    axes.plot(params, value, color=LAW, linewidth=1.5, label=f"law at {format_count(result.budget)}, {result.cost}")
    choice = result.choices["params"]
    axes.axvspan(
        *choice.flat,
        color="#009e73",
        alpha=0.13,
        linewidth=0,
        label=f"within {100 * result.tolerance:g} % of the lowest",
    )
    first, last = choice.interval
    bottom = float(np.nanmin(value)) - 0.05 * float(np.ptp(value))
    if first is not None or last is not None:
        ends = [params[0] if first is None else first, params[-1] if last is None else last]
        label = f"{100 * result.level:g} % interval of the best size"
        axes.plot(ends, [bottom, bottom], color=RUN, linewidth=3, solid_capstyle="butt", label=label)
    axes.plot([choice.value], [result.loss], "*", color=RUN, markersize=12, zorder=5, label="best")
    if result.sizes:
        shown = [one for one in result.sizes if {"params", result.target} <= set(one)]
        axes.plot(
            [one["params"] for one in shown],
            [one[result.target] for one in shown],
            "x",
            color="#111827",
            label="sizes that can be trained",
        )
    count_axis(axes, "x", params)
    axes.set_xlabel(named("params"))
    axes.set_ylabel(named(result.target))
    ratio = result.tokens_per_param
    headed(
        axes,
        f"N {format_count(choice.value)}, D {format_count(result.choices['tokens'].value)}"
        + ("" if ratio is None else f", {format_value(ratio, 3)} tokens per parameter"),
    )
    axes.legend(loc="best")


def _equal_cost(result: Allocation) -> tuple[Array, Array] | None:
    """Sizes around the best, and the tokens that spend the budget at each; None where N and D are not what was chosen."""
    if {"params", "tokens"} - set(result.choices):
        return None
    formula = parse_formula(result.cost)
    others = {name: result.given.get(name) for name in {one.name for one in names(formula)} - {"N", "D"}}
    if any(not isinstance(value, int | float) for value in others.values()):
        return None
    best, flat = result.choices["params"].value, result.choices["params"].flat
    params = np.geomspace(min(best / _AROUND, flat[0] / 2), max(best * _AROUND, flat[1] * 2), _POINTS)
    low, high = np.full(_POINTS, 0.0), np.full(_POINTS, np.log(1e40))
    fixed = {name: np.full(_POINTS, float(value)) for name, value in others.items()}  # type: ignore[arg-type]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        cost = np.broadcast_to(evaluate(formula, {**fixed, "N": params, "D": np.exp(middle)}), params.shape)
        low, high = np.where(cost < result.budget, middle, low), np.where(cost < result.budget, high, middle)
    tokens = np.exp(low)
    usable = (tokens > 1) & (tokens < 1e39)
    return params[usable], tokens[usable]


def _losses(fit: Fit, result: Allocation, params: Array, tokens: Array) -> tuple[Array, Array, Array]:
    given = {name: value for name, value in result.given.items() if name in {*fit.law.variables, *fit.groups}}
    variables: dict[str, object] = {"N": params, "D": tokens}
    variables |= {
        name: value if isinstance(value, str) else np.full(len(params), value) for name, value in given.items()
    }
    found = predict(fit, ask(fit, variables))
    return found.value, found.law_low, found.law_high


def _choices(axes: Axes, result: Allocation) -> None:
    values = [choice.value for choice in result.choices.values()]
    bars(axes, [named(name) for name in result.choices], values, [[one.interval for one in result.choices.values()]])
    count_axis(axes, "x", [bound for one in result.choices.values() for bound in (one.value, *one.interval) if bound])
    axes.set_xlabel(f"best value, and its {100 * result.level:g} % interval")
    headed(axes, result.headline())
