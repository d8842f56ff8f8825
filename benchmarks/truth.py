"""Forecasts of the held-out largest scale on published studies: `python benchmarks/truth.py`.

Every method gets the same rows, the same held-out rows, and no setting per study: Rung's combined forecast (`rung select`)
and its default fit, careful and careless practice, variable projection, the package `chinchilla`, the learning-curve forms
M1 to M4 and the broken law, and two baselines. The output shows for each study the median absolute relative error, and in
brackets the coverage of the 90 % interval of a new run and the mean interval score (Winkler 1972), in percent of the loss.
The model discrepancy is learnt from the other studies only.
"""

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl
from scipy.optimize import brentq, curve_fit, least_squares, minimize, nnls

import peers
import rung
import studies
from rung.fitting.backtest import discrepancy, law_prior
from rung.forecasting import compare_held_out

LEVEL = 0.9
"""Coverage of the intervals."""

DELTA = 1e-3
"""Threshold of Huber's loss."""


@dataclass(frozen=True)
class Form:
    """A law for SciPy.

    Attributes:
        size: Number of coefficients.
        value: The law at coefficients, most of them logarithms, and columns.
        draw: A start, from a random generator.
        logs: Whether residuals are differences of logarithms.
    """

    size: int
    value: Callable
    draw: Callable
    logs: bool = True

    def scale(self, values):
        """Values on the scale of the residuals."""
        return np.log(values) if self.logs else values


def columns(runs):
    return {name: runs[name].to_numpy().astype(float) for name in runs.columns if name not in ("loss", "run")}


def form_of(study):
    """The form of common practice: Hoffmann's for surfaces, a power law with an irreducible loss for curves."""
    loss = float(study.fitted["loss"].mean())
    if {"params", "tokens"} <= set(study.runs.columns):

        def value(theta, x):
            a, b, e, alpha, beta = theta
            return np.exp(a - alpha * np.log(x["params"])) + np.exp(b - beta * np.log(x["tokens"])) + np.exp(e)

        def draw(rng):
            return np.array(
                [
                    rng.uniform(0, 15),
                    rng.uniform(0, 15),
                    np.log(loss) - rng.exponential(0.7),
                    rng.uniform(0.1, 0.8),
                    rng.uniform(0.1, 0.8),
                ]
            )

        return Form(5, value, draw)
    if "characters" in study.runs.columns:
        names = ("params_non_vocab", "params_vocab", "characters")

        def value(theta, x):
            terms = (np.exp(theta[i] - theta[3 + i] * np.log(x[name])) for i, name in enumerate(names))
            return sum(terms) - np.exp(theta[6])

        def draw(rng):
            return np.concatenate([rng.uniform(-2, 10, 3), rng.uniform(0.1, 0.8, 3), [rng.uniform(1, 2)]])

        return Form(7, value, draw, logs=False)
    x_name = "tokens" if "tokens" in study.runs.columns else "params"

    def value(theta, x):
        b, e, beta = theta
        return np.exp(b - beta * np.log(x[x_name])) + np.exp(e)

    def draw(rng):
        return np.array([rng.uniform(-3, 10), np.log(loss) - rng.exponential(1.0), rng.uniform(0.05, 1.0)])

    return Form(3, value, draw)


def huber(r, weights):
    inside = np.minimum(np.abs(r), DELTA)
    return float(np.sum(weights * inside * (np.abs(r) - inside / 2)))


def careful(study, rng, starts=64, resamples=200):
    """Best practice: log-Huber from many starts, a bootstrap of rows, and residual noise."""
    form, x = form_of(study), columns(study.fitted)
    y = form.scale(study.fitted["loss"].to_numpy())
    held_out = columns(study.held_out)

    def objective(theta, weights):
        with np.errstate(all="ignore"):
            found = huber(y - form.scale(form.value(theta, x)), weights)
        return found if np.isfinite(found) else 1e9

    ones = np.ones(len(y))
    best = min(
        (minimize(objective, form.draw(rng), (ones,), method="L-BFGS-B") for _ in range(starts)), key=lambda f: f.fun
    )
    forecasts = []
    for _ in range(resamples):
        weights = np.bincount(rng.integers(len(y), size=len(y)), minlength=len(y)).astype(float)
        theta = minimize(objective, best.x, (weights,), method="L-BFGS-B").x
        forecasts.append(form.scale(form.value(theta, held_out)))
    residual = y - form.scale(form.value(best.x, x))
    widened = residual * np.sqrt(len(y) / max(len(y) - form.size, 1))
    drawn = np.stack(forecasts) + rng.choice(widened, (resamples, len(study.held_out)))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    if form.logs:
        low, high = np.exp(low), np.exp(high)
    return form.value(best.x, held_out), low, high


def careless(study, rng):
    """Careless practice: `curve_fit` from one start, by plain least squares, with its own covariance."""
    form, x, y = form_of(study), columns(study.fitted), study.fitted["loss"].to_numpy()
    held_out = columns(study.held_out)
    start = {
        3: np.array([1.0, np.log(abs(y.min()) / 2), 0.3]),
        5: np.array([5.0, 5.0, 0.5, 0.3, 0.3]),
        7: np.array([5.0, 5.0, 5.0, 0.3, 0.3, 0.3, 1.7]),
    }[form.size]
    theta, covariance = curve_fit(lambda _, *t: form.value(np.array(t), x), np.zeros(len(y)), y, start, maxfev=20000)
    value = form.value(theta, held_out)
    if not np.all(np.isfinite(covariance)):
        return value, None, None
    drawn = np.array([form.value(t, held_out) for t in rng.multivariate_normal(theta, covariance, 200, method="eigh")])
    noise = np.std(y - form.value(theta, x), ddof=form.size)
    low, high = np.quantile(drawn + noise * rng.standard_normal(drawn.shape), [0.05, 0.95], axis=0)
    return value, low, high


def projected(study, _rng):
    """Variable projection on a grid of exponents, by least squares."""
    x, y = columns(study.fitted), study.fitted["loss"].to_numpy()
    held_out = columns(study.held_out)
    names = [name for name in ("params", "tokens") if name in x]
    grid = np.arange(0.02, 1.2, 0.02)
    best = (np.inf, None, None)
    for exponents in np.stack(np.meshgrid(*[grid] * len(names)), axis=-1).reshape(-1, len(names)):
        basis = np.stack(
            [np.ones(len(y)), *(x[name] ** -power for name, power in zip(names, exponents, strict=True))], axis=1
        )
        scale = np.linalg.norm(basis, axis=0)
        amplitude, error = nnls(basis / scale, y)
        if error < best[0]:
            best = (error, amplitude / scale, exponents)
    _, amplitude, exponents = best
    basis = np.stack(
        [
            np.ones(len(study.held_out)),
            *(held_out[name] ** -power for name, power in zip(names, exponents, strict=True)),
        ],
        axis=1,
    )
    return basis @ amplitude, None, None


def package(study, _rng):
    """The package `chinchilla` 0.2.0 from its 72 starts."""
    with tempfile.TemporaryDirectory() as folder:
        study.fitted.select(C=6 * pl.col("params") * pl.col("tokens"), N="params", D="tokens", loss="loss").write_csv(
            Path(folder) / "df.csv"
        )
        theta = peers.chinchilla_package(folder)
    return form_of(study).value(theta, columns(study.held_out)), None, None


def last(study, _rng):
    """Baseline: the mean loss at the largest fitted scale."""
    scale = studies.scale_of(study.fitted)
    largest = scale >= scale.max() / 1.1
    return np.full(len(study.held_out), study.fitted["loss"].to_numpy()[largest].mean()), None, None


def line(study, _rng):
    """Baseline: a straight line in the logarithms of loss and scale."""
    slope, height = np.polyfit(np.log(studies.scale_of(study.fitted)), np.log(study.fitted["loss"].to_numpy()), 1)
    return np.exp(height + slope * np.log(studies.scale_of(study.held_out))), None, None


def m4(study, rng):
    """M4, (L - e) / (e0 - L)^a = b x^-c, by least squares of the logarithm of both sides, solved for L."""
    x, y = np.log(study.fitted["tokens"].to_numpy().astype(float)), study.fitted["loss"].to_numpy()
    held_out = np.log(study.held_out["tokens"].to_numpy().astype(float))

    def excess(theta, loss):
        floor, top = y.min() / (1 + np.exp(-theta[0])), y.max() * (1 + np.exp(theta[1]))
        return np.log(loss - floor) - np.exp(theta[2]) * np.log(top - loss), floor, top

    def residual(theta):
        return excess(theta, y)[0] - theta[3] + np.exp(theta[4]) * x

    best = None
    for _ in range(40):
        start = np.array([rng.normal(0, 2), rng.normal(-1, 2), rng.normal(-1, 1), rng.normal(0, 3), rng.normal(-1, 1)])
        found = least_squares(residual, start, max_nfev=400)
        if np.isfinite(found.cost) and (best is None or found.cost < best.cost):
            best = found
    _, floor, top = excess(best.x, y)
    right_side = best.x[3] - np.exp(best.x[4]) * held_out
    bracket = floor + (top - floor) * np.array([1e-12, 1 - 1e-12])
    values = np.array([brentq(lambda loss, w=w: excess(best.x, loss)[0] - w, *bracket) for w in right_side])
    return values, None, None


def curve_method(name):
    """M1 to M3 and the broken law by least squares in logarithms from many starts."""

    def value(theta, x):
        match name:
            case "M1":
                return theta[0] - theta[1] * np.log(x)
            case "M2":
                return np.logaddexp(theta[0] - theta[1] * np.log(x), theta[2])
            case "M3":
                return np.logaddexp(theta[0] - theta[1] * np.log(x + np.exp(theta[3])), theta[2])
            case _:
                # One break, in logarithms: a + b x^-c0 (1 + (x / d)^(1 / f))^(-c1 f).
                b, c0, a, c1, d, f = theta
                bend = np.logaddexp(0.0, (np.log(x) - d) / np.exp(f))
                return np.logaddexp(b - c0 * np.log(x) - c1 * np.exp(f) * bend, a)

    def method(study, rng):
        x, y = study.fitted["tokens"].to_numpy().astype(float), np.log(study.fitted["loss"].to_numpy())
        held_out = study.held_out["tokens"].to_numpy().astype(float)
        size = {"M1": 2, "M2": 3, "M3": 4}.get(name, 6)
        best = None
        for _ in range(40):
            start = np.array(
                [
                    rng.uniform(y.min(), y.max() + 4),
                    rng.uniform(0.02, 1),
                    y.min() - rng.exponential(1),
                    np.log(x.min()) + rng.normal() if name == "M3" else rng.uniform(-0.3, 0.5),
                    rng.uniform(np.log(x.min()), np.log(x.max())),
                    rng.normal() - 1,
                ]
            )[:size]
            try:
                found = least_squares(lambda t: value(t, x) - y, start, max_nfev=400)
            except ValueError:
                continue
            if best is None or found.cost < best.cost:
                best = found
        return np.exp(value(best.x, held_out)), None, None

    return method


def rung_method(command):
    """The forecasts of `rung select` or of `rung fit`, with a discrepancy prior from the other studies only."""

    def method(study, _rng):
        others = tuple(one for one in discrepancy.studies() if one.name != study.family)
        parts = tuple(one for one in law_prior.study_errors() if one.study != study.family)
        with (
            patch.object(discrepancy, "studies", lambda: others),
            patch.object(law_prior, "study_errors", lambda: parts),
        ):
            table = rung.read_runs(study.fitted)
            law = (
                "clark-2022"
                if "num_experts" in study.runs.columns
                else "chinchilla"
                if {"params", "tokens"} <= set(study.runs.columns)
                else "vocabulary"
                if "characters" in study.runs.columns
                else "E + B / D^beta"
            )
            if command == "select":
                named = {"clark-2022": [law, "clark-bilinear"], "vocabulary": [law]}.get(law, ())
                fitted = rung.select(table, named, target="loss")
            else:
                fitted = rung.fit(table, law, draws=0, target="loss")
            points = compare_held_out(fitted, rung.read_runs(study.held_out)).points
        low = np.array([np.nan if p.low is None else p.low for p in points])
        high = np.array([np.nan if p.high is None else p.high for p in points])
        return np.array([p.forecast for p in points]), low, high

    return method


def winkler(measured, low, high):
    """Mean interval score over the measured loss, |y|.

    The score of one interval is its width plus 2 / (1 - level) times the distance of a measurement outside it.

    Source: Winkler 1972.
    """
    miss = np.maximum(low - measured, 0) + np.maximum(measured - high, 0)
    return float(np.mean((high - low + 2 / (1 - LEVEL) * miss) / np.abs(measured)))


def judge(study, method, seed):
    """Errors, bias and interval scores of a method on a study; or why it failed."""
    measured = study.held_out["loss"].to_numpy()
    try:
        value, low, high = method(study, np.random.default_rng(seed))
    except (rung.RungError, RuntimeError, ValueError, np.linalg.LinAlgError) as error:
        return {"failed": f"{type(error).__name__}: {error}"[:120]}
    relative = value / measured - 1
    found = {
        "error": float(np.median(np.abs(relative))),
        "bias": float(np.median(relative)),
        "rmsle": float(np.sqrt(np.mean(np.log(np.maximum(value, 1e-12) / measured) ** 2))),
    }
    if low is not None and np.isfinite(low).any() and np.isfinite(high).any():
        bounded = np.isfinite(low) & np.isfinite(high)
        inside = np.where(np.isnan(low), -np.inf, low) <= measured
        inside &= measured <= np.where(np.isnan(high), np.inf, high)
        found |= {
            "coverage": float(np.mean(inside)),
            "winkler": winkler(measured[bounded], low[bounded], high[bounded]) if bounded.any() else None,
        }
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--curves", type=int, default=12, help="curves of each collection")
    parser.add_argument("--only", help="studies whose name contains this")
    parser.add_argument("--surfaces", action="store_true", help="no curves")
    parser.add_argument("--far", action="store_true", help="surfaces at 10, 30, 100 and 300 times the scales fitted")
    parser.add_argument("--methods", help="comma-separated, for a quick look")
    parser.add_argument("-o", "--output", help="write the figures as JSON")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    methods = {
        "rung select": rung_method("select"),
        "rung fit": rung_method("fit"),
        "careful": careful,
        "careless": careless,
        "projection": projected,
        "package": package,
        "last": last,
        "line": line,
        "M1": curve_method("M1"),
        "M2": curve_method("M2"),
        "M3": curve_method("M3"),
        "M4": m4,
        "broken": curve_method("broken"),
    }
    wanted = arguments.methods.split(",") if arguments.methods else list(methods)
    result = {}
    chosen = (
        [part for whole in studies.surfaces() for part in studies.far_parts(whole)]
        if arguments.far
        else [*studies.surfaces(), *studies.routing(), studies.vocabulary()]
        if arguments.surfaces
        else studies.all_studies(arguments.curves)
    )
    for study in chosen:
        if arguments.only and arguments.only not in study.name:
            continue
        surface = "tokens" not in study.runs.columns or "params" in study.runs.columns
        found = {}
        for name in wanted:
            if not applies(name, surface, set(study.runs.columns)):
                continue
            found[name] = judge(study, methods[name], 0)
        result[study.name] = {
            "family": study.family,
            "fitted": len(study.fitted),
            "held": len(study.held_out),
            "methods": found,
        }
        shown = [
            f"{name} {100 * one['error']:.2f}"
            + (f" [{one['coverage']:.2f} {100 * one['winkler']:.1f}]" if one.get("winkler") is not None else "")
            if "error" in one
            else f"{name} -"
            for name, one in found.items()
        ]
        print(f"{study.name:42s} {len(study.fitted):4d}/{len(study.held_out):<3d} " + "  ".join(shown), flush=True)
    if arguments.output:
        Path(arguments.output).write_text(json.dumps(result, indent=1) + "\n")
    if arguments.far:
        by_distance(result)
    else:
        summarise(result)


def by_distance(result):
    """Print how the combined forecast does at each distance, beside the plain fit and careful practice."""
    for factor in studies.FACTORS:
        part = [one for name, one in result.items() if name.endswith(f" {factor}x")]
        print(f"\n{factor} times as far: {len(part)} tables")
        for name in ("rung select", "rung fit", "careful"):
            print(f"  {name}: {shares(part, name)}")
        pairs = [
            (one["methods"]["rung select"]["error"], one["methods"]["rung fit"]["error"])
            for one in part
            if all("error" in one["methods"].get(name, {}) for name in ("rung select", "rung fit"))
        ]
        errors = [100 * float(np.exp(np.mean(np.log(side)))) for side in zip(*pairs, strict=True)]
        above = sum(ours > 1.5 * plain for ours, plain in pairs)
        print(
            f"  geometric mean of the errors: select {errors[0]:.2f} %, plain fit {errors[1]:.2f} %; select above 1.5 "
            f"times the plain fit on {above} of {len(pairs)}"
        )


def applies(name, surface, columns):
    """Whether a method has a form for the columns of a study."""
    if name in ("M1", "M2", "M3", "M4", "broken"):
        return not surface
    if name == "package":
        return {"params", "tokens"} <= columns
    if "characters" in columns:
        return name not in ("projection", "line")
    return name not in ("careful", "careless", "projection") or "num_experts" not in columns


def summarise(result):
    """Print the shares that docs/benchmarks.md states."""
    curves = {name: one for name, one in result.items() if name.startswith(("curve", "lcdb"))}
    surfaces = {name: one for name, one in result.items() if name not in curves}
    for title, part in (("studies of surfaces", surfaces), ("curves", curves)):
        print(f"\n{title}: {len(part)}")
        for name in ("rung select", "rung fit", "careful"):
            print(f"  {name}: {shares(part.values(), name)}")
    own = [one["methods"] for name, one in curves.items() if name.startswith("curve")]
    for peer in ("M1", "M2", "M3", "M4", "broken"):
        both = [
            (m["rung select"], m[peer])
            for m in own
            if "rmsle" in m.get("rung select", {}) and "rmsle" in m.get(peer, {})
        ]
        better = sum(ours["rmsle"] < theirs["rmsle"] for ours, theirs in both)
        mean = [np.exp(np.mean(np.log([pair[side]["rmsle"] for pair in both]))) for side in (0, 1)] if both else [0, 0]
        print(
            f"learning-curve benchmark: better RMSLE than {peer} on {better} of {len(both)}; geometric mean "
            f"{100 * mean[0]:.2f} % against {100 * mean[1]:.2f} %"
        )


def shares(judged_studies, name):
    """How one method compares with the others over some studies, in words."""
    near, without_package, twice, scored, covers, scores = 0, 0, 0, 0, [], []
    for one in judged_studies:
        ours = one["methods"].get(name, {})
        others = {
            other: m["error"]
            for other, m in one["methods"].items()
            if "error" in m and not other.startswith("rung") and other != name
        }
        if "error" in ours and others:
            scored += 1
            near += ours["error"] <= 1.05 * min(others.values())
            without_package += ours["error"] <= 1.05 * min(
                error for other, error in others.items() if other != "package"
            )
            twice += ours["error"] > 2 * min(others.values())
        if "coverage" in ours:
            covers.append(ours["coverage"])
        peer = one["methods"].get("careful", {})
        if ours.get("winkler") is not None and peer.get("winkler") is not None:
            scores.append(ours["winkler"] < peer["winkler"])
    coverage = (
        f"coverage {np.mean(covers):.2f}, at least .70 on {sum(c >= 0.7 for c in covers)} of {len(covers)}"
        if covers
        else "no intervals"
    )
    return f"lowest or within 5 % on {near} of {scored} ({without_package} without the package), above twice the lowest on {twice}; {coverage}; better interval score than careful on {sum(scores)} of {len(scores)}"


if __name__ == "__main__":
    main()
