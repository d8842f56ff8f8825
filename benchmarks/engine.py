"""Fits compared with peers, in paired rounds of one process: `python benchmarks/engine.py [JOB ...]`.

The reference procedures are slow: each round runs a random part of their starts or resamples and scales the time up.
--full runs them once in full.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from scipy.optimize import minimize

import peers
import rung
from measure import median_and_range, peak_memory, timed
from rung.fitting.estimate.design import make_design
from rung.fitting.estimate.multistart import screened_starts, search
from rung.fitting.estimate.objective import objective_named
from rung.fitting.estimate.problem import make_problem
from rung.fitting.uncertainty.bootstrap import run_counts
from rung.laws import find_law
from rung.laws.syntax import Clause
from rung.runs import read_runs

BEST = 1.018274018e-3
"""Objective of the global optimum on the Chinchilla points."""

ROUNDS = 5
"""Paired rounds of a job."""


def table():
    """The 240 points of Hoffmann's figure 4 that the replication kept."""
    folder = Path(os.environ.get("RUNG_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
    if not (folder / "chinchilla_epoch.csv").exists():
        raise SystemExit(f"chinchilla_epoch.csv is not in {folder}; set RUNG_DATA to the folder that holds it.")
    return read_runs(folder / "chinchilla_epoch.csv").where("excluded_in_replication = 0")


def problem_of(runs, law="chinchilla", objective="log-huber"):
    found, minimised = find_law(law), objective_named(objective)
    return make_problem(found, make_design(runs, found, minimised), minimised)


def logs(runs):
    return tuple(np.log(runs.numbers(column)) for column in ("params", "tokens", "loss"))


def report(job, ours, theirs, notes):
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    print(
        f"| {job} | {median_and_range(ours)} | {median_and_range(theirs)} | **{statistics.median(ratios):.3g}** [{min(ratios):.3g} to {max(ratios):.3g}] | {notes} |",
        flush=True,
    )


def default_fit(*, full):
    """The default fit, including its own starts and compilation, compared with 4500 starts of L-BFGS-B."""
    runs = table()
    values = [search(problem_of(runs), np.random.default_rng(seed)) for seed in range(50)]
    problem = problem_of(runs)
    worst = max(problem.objective.total(found.residuals, problem.design.weights) for found in values)
    share = len(peers.GRID) if full else 60
    ours, theirs, best = [], [], np.inf
    for round_ in range(1 if full else ROUNDS):
        starts = peers.GRID[np.random.default_rng(round_).permutation(len(peers.GRID))[:share]]
        ours.append(
            np.mean([timed(lambda s=s: search(problem_of(runs), np.random.default_rng(s)))[0] for s in range(10)])
        )
        seconds, (_, value) = timed(peers.published_fit, starts, *logs(runs))
        theirs.append(seconds * len(peers.GRID) / share)
        best = min(best, value)
    report(
        "default fit / 4500 starts",
        ours,
        theirs,
        f"worst objective of 50 seeds {worst:.13g} (goal {BEST:.10g}); theirs {best:.13g}",
    )


def same_starts(*, full):
    """The same 4500 starts for both."""
    runs = table()
    problem = problem_of(runs)
    a, b, e, alpha, beta = peers.GRID.T
    # An exponent of 0 has no logarithm; 0.001 replaces it.
    starts = np.column_stack([e, a, np.log(np.maximum(alpha, 1e-3)), b, np.log(np.maximum(beta, 1e-3))])
    share = len(peers.GRID) if full else 60
    ours, theirs = [], []
    for round_ in range(1 if full else ROUNDS):
        seconds, found = timed(problem.solve, starts, problem.design.weights[None, :])
        ours.append(seconds)
        part = peers.GRID[np.random.default_rng(round_).permutation(len(peers.GRID))[:share]]
        theirs.append(timed(peers.published_fit, part, *logs(runs))[0] * len(peers.GRID) / share)
    reached = np.mean(found.objective_J <= found.objective_J.min() * (1 + 1e-9))
    report("4500 starts, one for one", ours, theirs, f"ours reaches the best from {100 * reached:.0f} % of them")


def bootstrap(*, full):
    """4000 refits from the optimum, compared with BFGS with automatic gradients on the same resamples."""
    runs = table()
    problem = problem_of(runs)
    optimum = search(problem, np.random.default_rng(0))
    share = 4000 if full else 40
    ours, theirs, gaps = [], [], []
    for round_ in range(1 if full else ROUNDS):
        weights = run_counts(np.zeros(240, dtype=int), 4000, np.random.default_rng(round_))
        warm = np.tile(optimum.unconstrained, (4000, 1))
        seconds, found = timed(lambda w=weights, u=warm: problem.solve(u, w, warm=True))
        ours.append(seconds)
        seconds, values = timed(peers.published_bootstrap, weights[:share], *logs(runs))
        theirs.append(seconds * 4000 / share)
        gaps.append(np.max(found.objective_J[:share] / values - 1))
    report("4000 bootstrap refits", ours, theirs, f"largest relative excess of our objective {max(gaps):.1e}")


def broken_law(*, full):
    """Two breaks, 8 coefficients, 10,000 checkpoint rows, compared with L-BFGS-B with our exact gradients, same starts."""
    del full
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(np.log(1e6), np.log(1e11), 10_000))
    law = find_law("broken-2")
    truth = {
        "a": 0.05,
        "b": 3.0,
        "c0": 0.05,
        "d1": 3e7,
        "f1": 0.2,
        "c1": 0.25,
        "d2": 2e9,
        "f2": 0.25,
        "c2": -0.2,
    }
    y = law.value(truth, {"x": x}) * np.exp(0.01 * rng.standard_normal(len(x)))
    runs = read_runs(pl.DataFrame({"x": x, "loss": y}))
    law = law.restrict([Clause("a", fixed=0.05)])
    objective = objective_named("log-huber", 0.01)
    problem = make_problem(law, make_design(runs, law, objective), objective)
    weights = problem.design.weights[None, :]
    space = problem.workspace(1)

    def value_and_gradient(u):
        prediction, jacobian = space.evaluate(u[None, :])
        residual = problem.target - prediction[0]
        psi = np.clip(residual, -0.01, 0.01)
        value = np.sum(psi * (residual - psi / 2))
        return (value, -jacobian[:, 0] @ psi) if np.isfinite(value) else (1e10, np.zeros(len(u)))

    def scipy_from(starts):
        with np.errstate(all="ignore"):
            options = {"maxiter": 5000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-10}
            return min(
                minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options).fun
                for start in starts
            )

    ours, theirs, excess = [], [], []
    for round_ in range(3):
        starts = screened_starts(problem, 2048, 48, np.random.default_rng(round_))
        seconds, found = timed(lambda s=starts: problem.solve(s, weights))
        ours.append(seconds)
        seconds, best = timed(scipy_from, starts)
        theirs.append(seconds)
        excess.append(found.objective_J.min() / best - 1)
    shown = ", ".join(f"{value:+.1e}" for value in excess)
    report(
        "broken law, 10,000 rows, 48 starts",
        ours,
        theirs,
        f"our best relative to theirs, each round: {shown}",
    )


def packages(*, full):
    """Comparison with the package `chinchilla` from 72 starts, and with a grid with variable projection."""
    del full
    runs = table()
    columns = {name: runs.numbers(name) for name in ("params", "tokens", "loss")}
    with tempfile.TemporaryDirectory() as folder:
        frame = {
            "C": 6 * columns["params"] * columns["tokens"],
            "N": columns["params"],
            "D": columns["tokens"],
            "loss": columns["loss"],
        }
        pl.DataFrame(frame).write_csv(Path(folder) / "df.csv")
        ours = [timed(lambda: search(problem_of(runs), np.random.default_rng(0)))[0] for _ in range(3)]
        package, grid = [], []
        for _ in range(3):
            seconds, theta = timed(peers.chinchilla_package, folder)
            package.append(seconds)
    value = peers.huber_objective(theta, *logs(runs), np.ones(240))
    report("package chinchilla 0.2.0, 72 starts", ours, package, f"its objective {value:.10g}")
    for _ in range(3):
        seconds, (e, a, b, alpha, beta) = timed(peers.projected_grid, *columns.values())
        grid.append(seconds)
    value = peers.huber_objective(np.array([np.log(a), np.log(b), np.log(e), alpha, beta]), *logs(runs), np.ones(240))
    squares = rung.fit(runs, objective="squares", draws=0)
    ours = [timed(lambda: search(problem_of(runs, objective="squares"), np.random.default_rng(0)))[0] for _ in range(3)]
    rss = float(np.sum((columns["loss"] - (e + a / columns["params"] ** alpha + b / columns["tokens"] ** beta)) ** 2))
    report(
        "grid 100 x 100 with variable projection, squares",
        ours,
        grid,
        f"its sum of squares {rss:.8g}, ours {squares.objective_value:.8g}; its log-Huber {value:.6g}",
    )


JOBS = {job.__name__: job for job in (default_fit, same_starts, bootstrap, broken_law, packages)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs", nargs="*", choices=[*JOBS, []], default=[])
    parser.add_argument("--full", action="store_true", help="run the reference procedures once in full")
    arguments = parser.parse_args()
    print("| job | ours, CPU s: median [min to max] | theirs | theirs / ours | |\n|---|---|---|---|---|")
    for name in arguments.jobs or JOBS:
        JOBS[name](full=arguments.full)
    print(f"\npeak memory of this process {peak_memory():.0f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
