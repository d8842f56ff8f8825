"""Every kind of result has a figure, with its numbers as text, and the same bytes for the same result."""

import datetime as dt
import re

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import ReportError
from rung.planning.allocation import compare_approaches
from rung.planning.cost import Cluster, accelerator_named, cost
from rung.report import Scene, render_figure
from rung.report.figures.style import count_axis
from rung.worth import effects

SIZES = np.geomspace(2e7, 2e9, 6)


def law(params, tokens, gain=1.0):
    return 1.8 + 400 / params**0.34 + 1500 / (gain * tokens) ** 0.37


def table(gain=1.0, seed=0):
    rng = np.random.default_rng(seed)
    params, ratio = (part.ravel() for part in np.meshgrid(SIZES, [10.0, 20.0, 40.0]))
    tokens = params * ratio
    loss = law(params, tokens, gain) + rng.normal(0, 0.004, len(params))
    names = [f"g{gain}-{index}" for index in range(len(params))]
    return pl.DataFrame({"run": names, "params": params, "tokens": tokens, "loss": loss})


@pytest.fixture(scope="module")
def fit():
    return rung.fit(table(), "E + A / N^alpha + B / D^beta", draws=0)


def sweep():
    rates, batches = (part.ravel() for part in np.meshgrid(np.geomspace(1e-4, 1e-2, 5), np.geomspace(1e4, 1e6, 5)))
    rows = []
    for params in (3e7, 1e8):
        loss = 3 + 0.02 * np.log(rates / 1e-3) ** 2 + 0.01 * np.log(batches / 1e5) ** 2
        rows.append(
            pl.DataFrame({"params": params, "tokens": 20 * params, "lr": rates, "batch_tokens": batches, "loss": loss})
        )
    return pl.concat(rows)


def models():
    rng = np.random.default_rng(1)
    params = 10 ** rng.uniform(8.5, 10, 12)
    tokens = params * rng.uniform(20, 200, 12)
    dates = [dt.date(2023, 1, 1) + dt.timedelta(days=60 * index) for index in range(12)]
    gain = 1.3 ** np.arange(12)
    names = [f"m{index}" for index in range(12)]
    return pl.DataFrame(
        {"model": names, "params": params, "tokens": tokens, "loss": law(params, tokens, gain), "date": dates}
    )


def resampled():
    return rung.fit(table(), LAW, draws=60)


def treated(sizes):
    params = np.repeat(np.geomspace(1e8, 1e9, sizes), 2)
    gain = np.tile([0.6, 1.4], sizes)
    loss = law(gain * params, 20 * params)
    return pl.DataFrame(
        {"treatment": ["pruned", "merged"] * sizes, "params": params, "tokens": 20 * params, "loss": loss}
    )


LAW = "E + A / N^alpha + B / D^beta"
PLANS = pl.DataFrame({"name": ["wide", "long"], "params": [4e9, 1e9], "tokens": [2e11, 8e11]})


def each():
    both = pl.concat([table().with_columns(corpus=pl.lit(name)) for name in ("a", "b")])
    return rung.fit_each(both, "E + A / N^alpha", by="corpus", effort="quick")


def price():
    return cost(1e22, Cluster(accelerator=accelerator_named("h100-sxm"), count=64), params=1e9)


MADE = {
    "forecast": (lambda fit: rung.forecast(fit, N=7e10, D=1.4e12), "beyond the runs"),
    "inversion": (lambda fit: rung.invert(fit, 2.2, tokens_per_param=20), "asked"),
    "plans": (lambda fit: rung.forecast_plans(fit, PLANS), "wide"),
    "fits": (lambda _: each(), "alpha"),
    "backtest": (lambda _: rung.backtest(table(), LAW), "repeating the largest run"),
    "selection": (lambda _: rung.select(table(), [LAW, "E + A / N^alpha"]), "times the largest scale"),
    "allocation": (lambda fit: rung.allocate(fit, flops=1e22), "within 0.1 % of the lowest"),
    "frontier": (lambda fit: rung.allocate_budgets(fit, [1e22, 1e23, 1e24]), "Chinchilla"),
    "comparison": (lambda _: rung.compare(table(), table(1.4, 3), names=("old", "new")), "new measured by old"),
    "density": (lambda fit: rung.density(fit, loss=2.3, params=1e9, tokens=2e10), "over params"),
    "densities": (lambda fit: rung.densities(fit, models()), "m11"),
    "trend": (lambda fit: rung.densities(fit, models(), date="date"), "records of their time"),
    "effects": (lambda _: effects(resampled(), treated(sizes=1)), "pruned: compute"),
    "effects over sizes": (lambda _: effects(resampled(), treated(sizes=4)), "size multiplier, 90 % interval"),
    "next runs": (lambda fit: rung.next_runs(fit, decide=1e22, budget=1e21), "planned, most useful first"),
    "tuning": (lambda _: rung.tune(sweep(), params=1e9, tokens=2e10), "lowest loss of it"),
    "price": (lambda _: price(), "days"),
}
"""For each kind of result how it is made, and a text that its figure must show."""

RUNS = {"next runs": table, "tuning": sweep}
"""The runs that stand around a result."""


@pytest.mark.parametrize("kind", MADE)
def test_every_result_has_a_figure(kind, fit):
    make, text = MADE[kind]
    result = make(fit)
    scene = Scene(fit=fit, runs=rung.read_runs(RUNS[kind]()) if kind in RUNS else None)
    first, second = (render_figure(result, "svg", scene) for _ in range(2))
    assert first == second
    written = first.decode()
    assert text in " ".join(re.findall(r">([^<]+)<", written))
    assert f"<dc:title>{result.headline()[:10]}" in written


def test_a_forecast_without_its_fit_shows_its_intervals(fit):
    assert "loss" in render_figure(rung.forecast(fit, N=7e10, D=1.4e12), "svg").decode()


def profiles():
    params, compute = (part.ravel() for part in np.meshgrid(np.geomspace(1e7, 1e9, 9), [1e18, 1e19, 1e20]))
    frame = pl.DataFrame({"params": params, "flops": compute, "tokens": compute / (6 * params)})
    frame = frame.with_columns(loss=pl.Series(law(params, compute / (6 * params))))
    fit = rung.fit(frame, "E + A / N^alpha + B / D^beta", draws=0)
    runs = rung.read_runs(frame)
    return compare_approaches(runs, fit, 1e22), Scene(fit=fit, runs=runs)


def test_profiles_show_their_bottoms():
    found, scene = profiles()
    written = render_figure(found, "svg", scene).decode()
    assert "where their parabolas are lowest" in written


def drawn(result, scene):
    """The lines, areas and points of a figure by label: each as an array of x and y."""
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    rung.draw_figure(axes, result, scene.runs, fit=scene.fit)
    found = {line.get_label(): line.get_xydata() for line in axes.lines}
    found |= {area.get_label(): area.get_paths()[0].vertices for area in axes.collections if area.get_paths()}
    return found, axes


def test_a_forecast_ends_where_it_says(fit):
    found = rung.forecast(fit, N=7e10, D=1.4e12)
    parts, _ = drawn(found, Scene(fit=fit))
    at = 6 * 7e10 * 1.4e12
    assert parts["asked"] == pytest.approx(np.array([[at, found.value]]))
    for label, interval in (("of the law", found.law_interval), ("of a new run", found.run_interval)):
        x, y = parts[f"90 % {label}"].T
        ends = y[np.isclose(x, at)]
        assert (ends.min(), ends.max()) == pytest.approx(interval, rel=1e-6)


def test_an_allocation_stands_at_the_lowest_point_of_its_curve(fit):
    found = rung.allocate(fit, flops=1e22)
    parts, _ = drawn(found, Scene(fit=fit))
    assert parts["best"] == pytest.approx(np.array([[found.choices["params"].value, found.loss]]))
    params, loss = next(part for label, part in parts.items() if label.startswith("law at")).T
    assert params[np.argmin(loss)] == pytest.approx(found.choices["params"].value, rel=0.1)
    assert loss.min() == pytest.approx(found.loss, rel=1e-4)
    # Away from the best size each point spends the same budget.
    for size, value in zip(params[::20], loss[::20], strict=True):
        assert rung.forecast(fit, N=size, D=1e22 / (6 * size)).value == pytest.approx(value)


def test_a_comparison_draws_its_multipliers():
    found = rung.compare(table(), table(1.4, 3), names=("old", "new"))
    parts, _ = drawn(found, Scene())
    wanted = np.array([(one.at, one.value) for one in found.by_scale])
    assert parts["multiplier, if it may change with scale"] == pytest.approx(wanted)


def test_the_mark_of_a_profile_is_the_lowest_point_of_its_curve():
    found, scene = profiles()
    _, axes = drawn(found, scene)
    curves, marks = ([line for line in axes.lines if (line.get_marker() == "v") is mark] for mark in (False, True))
    inside = [one for one in found.profiles if one.parabola.status == "inside"]
    assert len(curves) == len(found.profiles)
    assert [mark.get_xdata()[0] for mark in marks] == pytest.approx([np.exp(one.parabola.at) for one in found.profiles])
    assert inside
    for one, curve, mark in zip(found.profiles, curves, marks, strict=True):
        if one in inside:
            assert mark.get_ydata()[0] == pytest.approx(curve.get_ydata().min(), rel=1e-4)


def test_a_figure_on_ones_own_axes_and_of_ones_own_size(fit, tmp_path):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    rung.draw_figure(axes, rung.allocate(fit, flops=1e22), fit=fit)
    assert axes.get_xlabel() == "parameters N"
    rung.draw_figure(tmp_path / "a.pdf", rung.forecast(fit, N=1e10, D=1e11), fit=fit, size=(3.3, 2.4))
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/MediaBox [ 0 0 237.6 172.8 ]" in content


def test_a_file_of_another_kind(fit, tmp_path):
    with pytest.raises(ReportError, match=r"\.png, \.svg or \.pdf"):
        rung.draw_figure(tmp_path / "a.gif", fit)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ((1e8, 1e11), ["100M", "1B", "10B", "100B"]),
        ((2e9, 9e9), ["2B", "4B", "6B", "8B"]),
        ((2.1, 2.6), ["2.1", "2.2", "2.3", "2.4", "2.5", "2.6"]),
    ],
)
def test_round_numbers_on_a_logarithmic_axis(values, labels):
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    count_axis(axes, "x", values)
    figure.draw_without_rendering()
    low, high = axes.get_xlim()
    seen = [label.get_text() for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert seen == labels


def test_the_command_draws_what_it_answers(command, tmp_path):
    table().write_csv(tmp_path / "runs.csv")
    command("fit", tmp_path / "runs.csv", "--draws", "0", "-o", tmp_path / "fit.json")
    done = command(
        "forecast",
        tmp_path / "fit.json",
        "N=7B",
        "D=1T",
        "--figure",
        tmp_path / "f.svg",
        "--figure",
        tmp_path / "f.png",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "f.svg").stat().st_size > 5000
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    refused = command("forecast", tmp_path / "fit.json", "N=1B:9B:3", "D=1T", "--figure", tmp_path / "g.svg")
    assert refused.returncode == 1
    assert "not a grid" in refused.stderr
    assert not (tmp_path / "g.svg").exists()
