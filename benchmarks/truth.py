"""Forecasts of the held-out largest scale on published studies: `python benchmarks/truth.py`.

Every method gets the same rows and the same held-out ones, and no setting per study: Rung's combined forecast
(`rung select`) and its default fit, careful and careless practice, variable projection, the package `chinchilla`, the
learning-curve forms M1 to M4 and the broken law, and two baselines. Told per study: median absolute relative error, bias, coverage of the 90 %
interval of a new run, and the mean interval score (Winkler 1972), in percent of the loss. What the laws stray by is
learnt from the other studies alone.
"""

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import polars as pl
from scipy.optimize import brentq, curve_fit, least_squares, minimize, nnls

import rung
import rung.fitting.backtest.discrepancy
from rung.forecasting import compare_held_out

sys.path.append(str(Path(__file__).parent))
import peers
import studies

DISCREPANCY = sys.modules["rung.fitting.backtest.discrepancy"]
LEVEL = 0.9
DELTA = 1e-3


class Form:
    """A law for SciPy: its value at log coefficients, starts, and whether residuals are those of the logarithm."""

    def __init__(self, size, value, draw, *, logs=True):
        self.size, self.value, self.draw, self.logs = size, value, draw, logs

    def scale(self, values):
        return np.log(values) if self.logs else values


def columns(runs):
    return {name: runs[name].to_numpy().astype(float) for name in runs.columns if name not in ("loss", "run")}


def form_of(study):
    """The form that practice fits: Hoffmann's for surfaces, a power law with a floor for curves."""
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
    """Log-Huber from many starts, pairs bootstrap, and residual noise: how the field's best practice does it."""
    form, x = form_of(study), columns(study.fitted)
    y = form.scale(study.fitted["loss"].to_numpy())
    ahead = columns(study.ahead)

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
        forecasts.append(form.scale(form.value(theta, ahead)))
    residual = y - form.scale(form.value(best.x, x))
    widened = residual * np.sqrt(len(y) / max(len(y) - form.size, 1))
    drawn = np.stack(forecasts) + rng.choice(widened, (resamples, len(study.ahead)))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    if form.logs:
        low, high = np.exp(low), np.exp(high)
    return form.value(best.x, ahead), low, high


def careless(study, rng):
    """curve_fit from one start, plain least squares, its own covariance."""
    form, x, y = form_of(study), columns(study.fitted), study.fitted["loss"].to_numpy()
    ahead = columns(study.ahead)
    start = {
        3: np.array([1.0, np.log(abs(y.min()) / 2), 0.3]),
        5: np.array([5.0, 5.0, 0.5, 0.3, 0.3]),
        7: np.array([5.0, 5.0, 5.0, 0.3, 0.3, 0.3, 1.7]),
    }[form.size]
    theta, covariance = curve_fit(lambda _, *t: form.value(np.array(t), x), np.zeros(len(y)), y, start, maxfev=20000)
    value = form.value(theta, ahead)
    if not np.all(np.isfinite(covariance)):
        return value, None, None
    drawn = np.array([form.value(t, ahead) for t in rng.multivariate_normal(theta, covariance, 200, method="eigh")])
    noise = np.std(y - form.value(theta, x), ddof=form.size)
    low, high = np.quantile(drawn + noise * rng.standard_normal(drawn.shape), [0.05, 0.95], axis=0)
    return value, low, high


def projected(study, _rng):
    """Variable projection on a grid of exponents, least squares."""
    x, y = columns(study.fitted), study.fitted["loss"].to_numpy()
    ahead = columns(study.ahead)
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
        [np.ones(len(study.ahead)), *(ahead[name] ** -power for name, power in zip(names, exponents, strict=True))],
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
    return form_of(study).value(theta, columns(study.ahead)), None, None


def last(study, _rng):
    scale = studies.scale_of(study.fitted)
    top = scale >= scale.max() / 1.1
    return np.full(len(study.ahead), study.fitted["loss"].to_numpy()[top].mean()), None, None


def line(study, _rng):
    slope, height = np.polyfit(np.log(studies.scale_of(study.fitted)), np.log(study.fitted["loss"].to_numpy()), 1)
    return np.exp(height + slope * np.log(studies.scale_of(study.ahead))), None, None


def m4(study, rng):
    """M4, (L - e) / (e0 - L)^a = b x^-c, by least squares of the logarithm of both sides, and solved for L."""
    x, y = np.log(study.fitted["tokens"].to_numpy().astype(float)), study.fitted["loss"].to_numpy()
    ahead = np.log(study.ahead["tokens"].to_numpy().astype(float))

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
    wanted = best.x[3] - np.exp(best.x[4]) * ahead
    ends = floor + (top - floor) * np.array([1e-12, 1 - 1e-12])
    return np.array([brentq(lambda loss, w=w: excess(best.x, loss)[0] - w, *ends) for w in wanted]), None, None


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
        ahead = study.ahead["tokens"].to_numpy().astype(float)
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
        return np.exp(value(best.x, ahead)), None, None

    return method


def rung_method(verb):
    def method(study, _rng):
        family = study.family
        known = tuple(one for one in DISCREPANCY.studies.__wrapped__() if one.name != family)
        original = DISCREPANCY.studies
        DISCREPANCY.studies = lambda: known
        try:
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
            if verb == "select":
                named = {"clark-2022": [law, "clark-bilinear"], "vocabulary": [law]}.get(law, ())
                fitted = rung.select(table, named, target="loss")
            else:
                fitted = rung.fit(table, law, draws=0, target="loss")
            said = compare_held_out(fitted, rung.read_runs(study.ahead))
        finally:
            DISCREPANCY.studies = original
        points = said.points
        low = np.array([np.nan if p.low is None else p.low for p in points])
        high = np.array([np.nan if p.high is None else p.high for p in points])
        return np.array([p.forecast for p in points]), low, high

    return method


def winkler(measured, low, high):
    """Mean interval score: the width, and 2 / (1 - level) times what a measurement lies outside by."""
    miss = np.maximum(low - measured, 0) + np.maximum(measured - high, 0)
    return float(np.mean((high - low + 2 / (1 - LEVEL) * miss) / np.abs(measured)))


def judge(study, method, seed):
    measured = study.ahead["loss"].to_numpy()
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
    parser.add_argument("--methods", help="comma-separated, for a quick look")
    parser.add_argument("-o", "--output", help="keep the figures as JSON")
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
        [*studies.surfaces(), *studies.routing(), studies.vocabulary()]
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
            "held": len(study.ahead),
            "methods": found,
        }
        shown = [
            f"{name} {100 * one['error']:.2f}"
            + (f" [{one['coverage']:.2f} {100 * one['winkler']:.1f}]" if one.get("winkler") is not None else "")
            if "error" in one
            else f"{name} -"
            for name, one in found.items()
        ]
        print(f"{study.name:42s} {len(study.fitted):4d}/{len(study.ahead):<3d} " + "  ".join(shown), flush=True)
    if arguments.output:
        Path(arguments.output).write_text(json.dumps(result, indent=1) + "\n")
    summarise(result)


def applies(name, surface, columns):
    """Whether a method has a form for a study's columns."""
    if name in ("M1", "M2", "M3", "M4", "broken"):
        return not surface
    if name == "package":
        return {"params", "tokens"} <= columns
    if "characters" in columns:
        return name not in ("projection", "line")
    return name not in ("careful", "careless", "projection") or "num_experts" not in columns


def summarise(result):
    """The shares that docs/benchmarks.md states."""
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
        better = sum(mine["rmsle"] < theirs["rmsle"] for mine, theirs in both)
        mean = [np.exp(np.mean(np.log([pair[side]["rmsle"] for pair in both]))) for side in (0, 1)] if both else [0, 0]
        print(
            f"learning-curve benchmark: better RMSLE than {peer} on {better} of {len(both)}; geometric mean "
            f"{100 * mean[0]:.2f} % against {100 * mean[1]:.2f} %"
        )


def shares(studies_told, name):
    """How one method stands beside the others over some studies."""
    near, written, twice, scored, covers, scores = 0, 0, 0, 0, [], []
    for one in studies_told:
        mine = one["methods"].get(name, {})
        others = {
            other: m["error"]
            for other, m in one["methods"].items()
            if "error" in m and not other.startswith("rung") and other != name
        }
        if "error" in mine and others:
            scored += 1
            near += mine["error"] <= 1.05 * min(others.values())
            written += mine["error"] <= 1.05 * min(error for other, error in others.items() if other != "package")
            twice += mine["error"] > 2 * min(others.values())
        if "coverage" in mine:
            covers.append(mine["coverage"])
        peer = one["methods"].get("careful", {})
        if mine.get("winkler") is not None and peer.get("winkler") is not None:
            scores.append(mine["winkler"] < peer["winkler"])
    held = (
        f"coverage {np.mean(covers):.2f}, at least .70 on {sum(c >= 0.7 for c in covers)} of {len(covers)}"
        if covers
        else "no intervals"
    )
    return f"lowest or within 5 % on {near} of {scored} ({written} without the package), above twice the lowest on {twice}; {held}; better interval score than careful on {sum(scores)} of {len(scores)}"


if __name__ == "__main__":
    main()
