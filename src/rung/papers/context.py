"""Papers given as context: the laws that the listed papers build on, checked on public tables or planted data."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.fitting import Fit
from rung.fitting import fit as fit_law
from rung.laws import law_book
from rung.papers.claims import FORM, FULL, Claim, not_checked
from rung.papers.tables import Tables
from rung.runs import Runs, read_runs


def kaplan(tables: Tables) -> list[Claim]:
    """Kaplan et al. 2020, arXiv:2001.08361: runs planted by L(N, D) with the published constants and 1 % noise."""
    del tables
    entry = law_book()["kaplan-nd"]
    rng = np.random.default_rng(0)
    params, tokens = (
        part.ravel() for part in np.meshgrid(np.geomspace(1e5, 1.5e9, 10), np.geomspace(2.2e7, 2.3e10, 8))
    )
    loss = entry.law.value(entry.constants, {"N": params, "D": tokens}) * np.exp(
        0.01 * rng.standard_normal(len(params))
    )
    found = fit_law(pl.DataFrame({"params": params, "tokens": tokens, "loss": loss}), entry.law, draws=0)
    names = ("alpha_N", "alpha_D")
    inside = all(_holds(found, name, entry.constants[name]) for name in names)
    return [
        Claim(
            what="the intervals of both exponents of L(N, D) contain the planted values",
            published=", ".join(f"{name} {entry.constants[name]}" for name in names),
            measured=", ".join(f"{name} {_with_interval(found, name)}" for name in names),
            scale=FORM,
            held=inside,
        )
    ]


def besiroglu(tables: Tables) -> list[Claim]:
    """Besiroglu et al. 2024, arXiv:2404.10102: a refit of the points of Hoffmann's figure 4."""
    what, published = "the refit of 240 points", "E 1.8172, A 477.84, B 2143.86, alpha 0.34731, beta 0.36718"
    try:
        runs = read_runs(tables.path("chinchilla_epoch.csv"))
    except RungError as why:
        return [not_checked(what, published, why)]
    kept = runs.where("excluded_in_replication = 0")
    found, everything = fit_law(kept, draws=1000), fit_law(runs, draws=0)
    errors = {"E": 0.026, "alpha": 0.015, "beta": 0.021}
    wanted = {"E": 1.81722, "A": 477.83, "B": 2143.4, "alpha": 0.34731, "beta": 0.36717}
    measured_errors = {name: found.coefficients[name].std_error or np.nan for name in errors}
    named = {finding.code for finding in everything.warnings}
    return [
        Claim(
            what=what,
            published=published,
            measured=", ".join(f"{name} {value:.5g}" for name, value in found.values.items()),
            scale=FULL,
            held=all(abs(found.values[name] / value - 1) < 1e-4 for name, value in wanted.items()),
        ),
        Claim(
            what="standard errors by the bootstrap",
            published=", ".join(f"{name} {value}" for name, value in errors.items()),
            measured=", ".join(f"{name} {value:.3f}" for name, value in measured_errors.items()),
            scale=FULL,
            held=all(abs(measured_errors[name] / value - 1) < 0.1 for name, value in errors.items()),
        ),
        Claim(
            what="five points change B, and a warning names them",
            published="B about 12,830 on all 245 points",
            measured=f"B {everything.values['B']:.0f}; {'named' if 'influential_runs' in named else 'not named'}",
            scale=FULL,
            held=abs(everything.values["B"] / 12830 - 1) < 0.01 and "influential_runs" in named,
        ),
    ]


def chinchilla(tables: Tables) -> list[Claim]:
    """Hoffmann et al. 2022, arXiv:2203.15556: by three approaches the best size grows as C^0.5."""
    what = "exponent of params in compute by the {}"
    approaches = {"envelope (approach 1)": 0.50, "IsoFLOP profiles (approach 2)": 0.49, "surface (approach 3)": 0.46}
    try:
        runs = read_runs(tables.path("chinchilla_epoch.csv")).where("excluded_in_replication = 0")
    except RungError as why:
        return [not_checked(what.format(name), f"exponent {value}", why) for name, value in approaches.items()]
    surface = fit_law(runs, draws=0)
    measured = [*_frontier(runs), surface.derived["params_exponent"].value]
    low, high = surface.derived["params_exponent"].low, surface.derived["params_exponent"].high
    shown = [f"{value:.3f}" for value in measured[:2]] + [f"{measured[2]:.3f} (90 %: {low:.3f} to {high:.3f})"]
    # The points were read off a figure: the approaches agree to about 0.06, as the replication found.
    return [
        Claim(
            what=what.format(name),
            published=f"exponent {value:.2f}",
            measured=shown[index],
            scale=FULL,
            held=abs(measured[index] - value) <= 0.06,
        )
        for index, (name, value) in enumerate(approaches.items())
    ]


def _frontier(runs: Runs) -> tuple[float, float]:
    """The exponent of params in compute: from the lowest losses, and from the minima of parabolas at equal compute.

    A parabola in x = log N has its minimum at -b / (2 a), with a the quadratic and b the linear coefficient.
    """
    params, flops, loss = (runs.numbers(name) for name in ("params", "flops", "loss"))
    index = np.round(np.log10(flops) * 4).astype(int)
    lowest: list[tuple[float, float]] = []
    centres: list[tuple[float, float]] = []
    for bin_ in np.unique(index):
        rows = np.flatnonzero(index == bin_)
        if len(rows) < 6:
            continue
        best = rows[np.argmin(loss[rows])]
        lowest.append((float(np.log(flops[best])), float(np.log(params[best]))))
        x = np.log(params[rows])
        quadratic, linear, _ = np.polyfit(x, loss[rows], 2)
        centre = -linear / (2 * quadratic)
        # A parabola counts if it opens upwards and its minimum lies within the sizes that were run.
        if quadratic > 0 and x.min() < centre < x.max():
            centres.append((float(np.mean(np.log(flops[rows]))), float(centre)))
    return _slope(lowest), _slope(centres)


def _slope(points: list[tuple[float, float]]) -> float:
    x, y = np.array(points).T
    return float(np.polyfit(x, y, 1)[0])


def muennighoff(tables: Tables) -> list[Claim]:
    """Muennighoff et al. 2023, arXiv:2305.16264: the value of repeated tokens falls with each repetition."""
    what, published = (
        "with the single-epoch law fixed, the value of repeated tokens decays over R_D* repetitions",
        "R_D* 15.39, R_N* 5.31",
    )
    try:
        runs = read_runs(tables.path("datablations_final.csv")).where("loss < 10")
    except RungError as why:
        return [not_checked(what, published, why)]
    book = law_book()["muennighoff-2023"]
    single = {name: book.constants[name] for name in ("E", "A", "B", "alpha", "beta") if name in book.constants}
    free = {name: value for name, value in single.items() if name in book.law.coefficient_names}
    found = fit_law(runs.take(runs.numbers("epochs") >= 1), book.law, fix=free, draws=0)
    inside = all(_holds(found, name, value) for name, value in book.constants.items() if name in found.coefficients)
    return [
        Claim(
            what=what,
            published=published,
            measured=", ".join(f"{name} {_with_interval(found, name)}" for name in found.coefficients),
            scale=FULL,
            held=inside,
        )
    ]


def gadre(tables: Tables) -> list[Claim]:
    """Gadre et al. 2024, arXiv:2403.08540: over-trained runs follow one law, and small runs forecast larger ones."""
    what, published = (
        "smaller runs forecast the C4 loss of runs of 411M parameters",
        "0.7 % at 1.4B and 6.9B, which are not in the table",
    )
    try:
        runs = read_runs(tables.path("gadre_overtraining.csv"), {"loss": "loss_c4_val"}).where(
            "train_dataset = 'c4_original'"
        )
    except RungError as why:
        return [not_checked(what, published, why)]
    large = runs.numbers("params") > 4e8
    fit = fit_law(runs.take(~large), "gadre-2024", draws=0)
    held_out = runs.take(large)
    columns = (("N", "params"), ("D", "tokens"), ("C", "flops"))
    forecast = fit.law.value(fit.values, {name: held_out.numbers(column) for name, column in columns})
    error = float(np.median(np.abs(forecast / held_out.numbers("loss") - 1)))
    return [
        Claim(
            what=what,
            published=published,
            measured=f"{100 * error:.2f} % (median of {len(held_out)} runs)",
            scale=FULL,
            held=error < 0.03,
        )
    ]


def learning_curves(tables: Tables) -> list[Claim]:
    """Alabdulmohsin et al. 2022, arXiv:2209.06640: curves extrapolated beyond their fitted part; M4 beats M1 to M3."""
    what, published = (
        "a shifted power law (M3) extrapolates better than a plain one (M1), and so does one with a floor (M2)",
        "M1 worst in every domain",
    )
    try:
        table = pl.read_csv(tables.path("learning_curve_benchmark.csv"))
    except RungError as why:
        return [not_checked(what, published, why)]
    errors: dict[str, list[float]] = {"m1": [], "m2": [], "m3": []}
    for _, curve in table.filter((pl.col("domain") == "IC") & (pl.col("metric_value") > 0)).group_by(
        "task", "model", maintain_order=True
    ):
        points = curve.select(
            x=pl.col("seen_examples").cast(pl.Float64), loss="metric_value", split="is_training_split"
        ).unique(maintain_order=True)
        fitted, held = points.filter(pl.col("split") == 1), points.filter(pl.col("split") == 0)
        if len(held) < 2 or len(fitted) < 8:
            continue
        for name, found_errors in errors.items():
            found = fit_law(fitted.drop("split"), name, draws=0, interval="sandwich")
            forecast = found.law.value(found.values, {"x": held["x"].to_numpy()})
            found_errors.append(float(np.sqrt(np.mean(np.log(forecast / held["loss"].to_numpy()) ** 2))))
    medians = {name: float(np.median(found)) for name, found in errors.items()}
    return [
        Claim(
            what=what,
            published=published,
            measured=", ".join(f"{name.upper()} {value:.3f}" for name, value in medians.items())
            + f" (median RMSLE of {len(errors['m1'])} vision curves)",
            scale=FULL,
            held=medians["m3"] < medians["m1"] and medians["m2"] < medians["m1"],
        )
    ]


def _holds(found: Fit, name: str, value: float) -> bool:
    estimate = found.coefficients[name]
    return estimate.low is not None and estimate.high is not None and estimate.low <= value <= estimate.high


def _with_interval(found: Fit, name: str) -> str:
    from rung.units import format_interval, format_value

    estimate = found.coefficients[name]
    return f"{format_value(estimate.value)} ({format_interval(estimate.low, estimate.high)})"
