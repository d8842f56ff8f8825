"""The next run out of real pools: `python benchmarks/pools.py [--tasks ...] [--seeds 10]`.

The protocol of ScaleBench (arXiv:2604.22753): a pool of runs with costs, a target region whose inputs are known, a law
with bounds; runs are bought one at a time until a share of the pool's cost is spent, and the score is R2 over the target
rows of all groups together, clipped to -1..1, averaged over laws and seeds. Values of runs that were not bought are
not used. Ours: least squares with a weak prior that the bought rows give by themselves (the spread of share-balanced
starts), modes weighed by their posterior, and the run that takes most off the variance of the target, by Laplace and
between modes, over a power of its cost. Beside it: the whole pool and runs drawn by chance with our fit, our runs with the usual fit (the
single best of 64 starts of L-BFGS-B inside the bounds), and the published figures.
"""

import argparse
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from scipy.optimize import minimize

import rung
from rung.fit.design import column_of, make_design
from rung.fit.objective import objective_named
from rung.fit.pull import Prior
from rung.fit.search import make_problem
from rung.fit.starts import balanced_starts, projected_starts
from rung.laws import Law

sys.path.append(str(Path(__file__).parent))
import studies

SHARES = {
    "parallel": (0.01, 0.05, 0.10),
    "data_constrained": (0.01, 0.05, 0.10),
    "domain_mixture": (0.20, 0.35, 0.50),
    "sparsity": (0.20, 0.35, 0.50),
}
PUBLISHED = {
    "parallel": ((-1.0, 0.77, 0.99), (-1.0, 0.70, 0.99), 0.99),
    "data_constrained": ((0.73, 0.85, 0.86), (0.71, 0.83, 0.85), 0.79),
    "domain_mixture": ((0.64, 0.89, 0.95), (0.57, 0.91, 0.95), 0.81),
    "sparsity": ((0.31, 0.44, 0.53), (0.37, 0.39, 0.51), 0.37),
}
"""README of PlanarG/active-sl, Table 2: their method, the best of the others, and all of the pool."""

FIRST_SHARE = 0.3
"""Share of the first budget that the first runs, spread evenly over the logarithm of cost, may take."""

POWER = 0.4
TRUST = 2.0
STARTS = 24
MODES = 6
NOISE = 0.02
"""Least noise, in spreads of the bought values, so that few rows are never met exactly."""


class Task:
    """One law on one group: its problems (one for each target), and its pool."""

    def __init__(self, rows, formulas, bounds, targets):
        train, test = rows.filter(pl.col("split") == "train"), rows.filter(pl.col("split") == "test")
        self.cost = train["cost"].to_numpy().astype(float)
        self.y = [train[target].to_numpy().astype(float) for target in targets]
        self.truth = [test[target].to_numpy().astype(float) for target in targets]
        measure = objective_named("squares", None)
        # A law strays with distance: rows far from the target in the logarithm of cost say less of it.
        away = np.abs(np.log(self.cost) - np.mean(np.log(test["cost"].to_numpy().astype(float))))
        self.trust = 1 / (1 + away) ** TRUST
        self.problems, self.ahead = [], []
        for formula, limits, target in zip(formulas, bounds, targets, strict=True):
            clauses = ", ".join(f"{name} in ({low:.12g}, {high:.12g})" for name, (low, high) in limits.items())
            law = Law.parse(f"{formula} with {clauses}", variables=train.columns)
            # The law's design knows the pool's inputs alone: the values of runs not bought stay out.
            masked = train.with_columns(pl.Series(target, np.ones(len(train))))
            design = make_design(rung.read_runs(masked), law, measure, target=target)
            self.problems.append(make_problem(law, design, measure))
            columns = {name: test[column_of(name)].to_numpy().astype(float) for name in law.variables}
            space = design.at(columns, {}).workspace(law, "plain", STARTS + MODES + 8)
            self.ahead.append(space)
        self.space = [problem.workspace(STARTS + MODES + 8) for problem in self.problems]


def relative(trust, values, seen):
    """The trust in each row over the square of its value; values far below those seen count as the lowest."""
    return trust / np.maximum(np.abs(np.nan_to_num(values, nan=np.max(np.abs(seen)))), np.min(np.abs(seen))) ** 2


class Modes:
    """What is known of one target after some runs: internal numbers, weights, covariance of each."""

    def __init__(self, points, weights, noise, prior):
        self.points, self.weights, self.noise, self.prior = points, weights, noise, prior


def fitted(task, place, bought, rng, before):
    """Least squares with a weak prior from many starts, on the bought rows."""
    problem, space, y = task.problems[place], task.space[place], task.y[place]
    rows = np.flatnonzero(bought)
    seen = y[rows]
    spread = max(float(np.std(seen)), 1e-3 * abs(float(np.mean(seen))), 1e-12)
    design = replace(problem.design.take(rows), target=seen)
    drawn = balanced_starts(problem.law, design, 64, rng)
    drawn = np.clip(np.where(np.isfinite(drawn), drawn, 0.0), -30, 30)
    middle = np.median(drawn, axis=0)
    wide = np.maximum(2 * np.median(np.abs(drawn - middle), axis=0), 1.5)
    starts = [drawn[:STARTS]]
    if len(rows) > 2:
        starts.append(np.clip(projected_starts(problem.law, design, 6, 256, rng), -30, 30))
    if before is not None:
        starts.append(before.points)
    starts = np.concatenate(starts)[: space.lanes]
    noise = (NOISE * spread) ** 2 if before is None else before.noise
    # Errors are relative: a weight for each row, in squares of the mean.
    trust = relative(task.trust, y, seen)
    weights = np.where(bought, trust / np.mean(trust[rows]), 0.0)[None, :]
    target = np.where(bought, y, 0.0)
    for _ in range(2):
        prior = Prior(mean=middle, weight=noise / wide**2, noise=noise)
        now = replace(problem, target=target, prior=prior, spread=spread)
        with np.errstate(all="ignore"):
            found = now.solve(starts, weights, space=space, tolerance=1e-7)
        order = np.argsort(found.objective_J)
        best = found.internal_JK[order[0]]
        with np.errstate(all="ignore"):
            prediction, jacobian = space.evaluate(best[None, :])
        residual = (target - prediction[0])[rows]
        J = jacobian[:, 0][:, rows] * np.sqrt(weights[0, rows])
        residual = residual * np.sqrt(weights[0, rows])
        held = J @ J.T
        used = np.trace(np.linalg.lstsq(held + np.diag(prior.weight), held, rcond=None)[0])
        # Two rows' worth of a small noise before any residual is seen.
        free = max(len(rows) - used, 0.0)
        noise = max((residual @ residual + 2 * (NOISE * spread) ** 2) / (free + 2), 1e-16)
    values = found.objective_J[order]
    chosen = [order[0]]
    for at, value in zip(order[1:], values[1:], strict=True):
        apart = min(np.max(np.abs(found.internal_JK[at] - found.internal_JK[one])) for one in chosen)
        if len(chosen) < MODES and np.isfinite(value) and apart > 0.3 and value - values[0] < 6 * noise:
            chosen.append(at)
    weight = np.exp(-(found.objective_J[chosen] - values[0]) / noise)
    return Modes(found.internal_JK[chosen], weight / weight.sum(), noise, (middle, wide))


def told(task, place, modes, bought):
    """The target rows by all modes: their weighted median, kept within one range of what was seen."""
    with np.errstate(all="ignore"):
        values = task.ahead[place].evaluate(modes.points)[0].copy()
    seen = task.y[place][bought]
    reach = max(float(np.ptp(seen)), 1e-9)
    values = np.clip(np.nan_to_num(values, nan=seen.mean()), seen.min() - reach, seen.max() + reach)
    order = np.argsort(values, axis=0)
    total = np.cumsum(modes.weights[order], axis=0)
    at = np.argmax(total >= 0.5, axis=0)
    return np.take_along_axis(values, order, axis=0)[at, np.arange(values.shape[1])]


def gains(task, place, modes, bought):
    """What each run of the pool takes off the mean variance of the target, in units of its spread."""
    rows = np.flatnonzero(bought)
    _, wide = modes.prior
    total = np.zeros(len(bought))
    pool, ahead = [], []
    for point, weight in zip(modes.points, modes.weights, strict=True):
        with np.errstate(all="ignore"):
            value, jacobian = task.space[place].evaluate(point[None, :])
            far, reach = task.ahead[place].evaluate(point[None, :])
        pool.append(value[0].copy())
        ahead.append(far[0].copy())
        J, G = (np.clip(np.nan_to_num(part[:, 0]), -1e6, 1e6) for part in (jacobian, reach))
        trust = relative(task.trust, np.where(bought, task.y[place], pool[-1]), task.y[place][rows])
        trust = trust / np.mean(trust[rows])
        information = (J[:, rows] * trust[rows]) @ J[:, rows].T / modes.noise + np.diag(wide**-2.0)
        scale = np.sqrt(np.diag(information))
        S = np.linalg.pinv(information / np.outer(scale, scale), hermitian=True) / np.outer(scale, scale)
        moved = S @ J
        spread = modes.noise / trust + np.einsum("km,km->m", J, moved)
        total += weight * np.mean((G.T @ moved) ** 2, axis=0) / spread
    if len(pool) > 1:
        pool, ahead = np.nan_to_num(np.array(pool)), np.nan_to_num(np.array(ahead))
        apart = modes.weights @ (pool - modes.weights @ pool) ** 2
        total += np.mean(modes.weights @ (ahead - modes.weights @ ahead) ** 2) * apart / (apart + modes.noise)
    return total / max(np.var(task.y[place][bought]), 1e-12)


def first_runs(cost, budget, count):
    """Runs spread evenly over the logarithm of cost, as many as a part of the first budget allows."""
    order = np.argsort(cost)
    for most in range(min(count, len(cost)), 0, -1):
        allowed = order[cost[order] <= FIRST_SHARE * budget]
        if not len(allowed):
            break
        places = np.unique(np.linspace(0, len(allowed) - 1, most).round().astype(int))
        if cost[allowed[places]].sum() <= FIRST_SHARE * budget:
            return allowed[places]
    cheapest = order[:1]
    return cheapest if cost[cheapest[0]] <= budget else order[:0]


def bounded_fit(task, place, bought, rng, limits):
    """The usual fit: the single best of 64 starts of L-BFGS-B inside the bounds."""
    problem, y = task.problems[place], task.y[place]
    law, rows = problem.law, np.flatnonzero(bought)
    columns = {name: column[rows] for name, column in problem.design.columns.items()}
    low, high = (np.array([limits[c.name][end] for c in law.free]) for end in (0, 1))
    names = [c.name for c in law.free]

    def error(theta):
        with np.errstate(all="ignore"):
            found = float(np.mean((law.value(dict(zip(names, theta, strict=True)), columns) - y[rows]) ** 2))
        return found if np.isfinite(found) else 1e12

    best = None
    for _ in range(64):
        found = minimize(error, rng.uniform(low, high), method="L-BFGS-B", bounds=list(zip(low, high, strict=True)))
        if best is None or found.fun < best.fun:
            best = found
    return dict(zip(names, best.x, strict=True))


def begun(task, budget, choice):
    """The runs that are bought before any is chosen."""
    bought = np.zeros(len(task.cost), dtype=bool)
    size = max(problem.design.size for problem in task.problems)
    if choice == "whole":
        bought[:] = True
    elif choice == "gain":
        bought[first_runs(task.cost, budget, size + 1)] = True
    return bought


def run(task, shares, rng, choice, usual=None):
    """Predictions of the target at each share, for each target; None where nothing can be bought."""
    budgets = [share * task.cost.sum() for share in shares]
    order = rng.permutation(len(task.cost))
    bought = begun(task, budgets[0], choice)
    modes = [None] * len(task.problems)
    result, steps, seconds = [], 0, 0.0
    for budget in budgets:
        while True:
            left = budget - task.cost[bought].sum()
            open_ = ~bought & (task.cost <= left)
            if not open_.any():
                break
            if choice == "random":
                bought[next(place for place in order if open_[place])] = True
                continue
            if not bought.any():
                bought[np.argmin(np.where(open_, task.cost, np.inf))] = True
                continue
            began = time.process_time()
            modes = [fitted(task, place, bought, rng, modes[place]) for place in range(len(modes))]
            gain = sum(gains(task, place, modes[place], bought) for place in range(len(modes)))
            steps, seconds = steps + 1, seconds + time.process_time() - began
            score = np.where(open_, gain / (task.cost / task.cost.sum()) ** POWER, -np.inf)
            bought[int(np.argmax(score))] = True
        if not bought.any():
            result.append(None)
            continue
        if usual is None:
            modes = [fitted(task, place, bought, rng, modes[place]) for place in range(len(modes))]
            result.append([told(task, place, modes[place], bought) for place in range(len(modes))])
        else:
            found = []
            for place, problem in enumerate(task.problems):
                theta = bounded_fit(task, place, bought, rng, usual[place])
                found.append(problem.law.value(theta, task.ahead[place].columns))
            result.append(found)
    return result, steps, seconds


def score(truths, said):
    """R2 over all target rows of the groups that could be predicted, clipped."""
    pairs = [(t, s) for t, s in zip(truths, said, strict=True) if s is not None]
    if not pairs:
        return -1.0
    truth = np.concatenate([np.concatenate(t) for t, _ in pairs])
    value = np.concatenate([np.concatenate(s) for _, s in pairs])
    rest = np.sum((truth - truth.mean()) ** 2)
    found = 1 - np.sum((value - truth) ** 2) / rest if np.all(np.isfinite(value)) else -1.0
    return float(np.clip(found, -1, 1))


def law_rows(task):
    table = studies.read("scalebench/laws.csv").filter(pl.col("task") == task)
    for name in table["law"].unique(maintain_order=True):
        part = table.filter(pl.col("law") == name)
        bounds = [
            {
                coefficient: (float(low), float(high))
                for coefficient, low, high in zip(
                    row["coefficient_names"].split(),
                    row["lower_bounds"].split(),
                    row["upper_bounds"].split(),
                    strict=True,
                )
            }
            for row in part.iter_rows(named=True)
        ]
        yield name, part["formula"].to_list(), bounds, part["target"].to_list()


def judged(name, ways, seeds, laws):
    """Scores of every way on one task, and the steps and CPU seconds of ours."""
    frame = studies.read(f"scalebench/{name}.parquet")
    scores = {way: [] for way in ways}
    steps = seconds = 0
    for law, formulas, bounds, targets in law_rows(name):
        if laws and law not in laws:
            continue
        tasks = [Task(rows, formulas, bounds, targets) for _, rows in frame.group_by("group", maintain_order=True)]
        own = {way: [] for way in ways}
        # The usual fit takes seconds for each target, so it is made once.
        for way, seed in [(kind, at) for kind in ways for at in range(1 if kind in ("usual", "whole") else seeds)]:
            found = [
                run(
                    task,
                    SHARES[name],
                    np.random.default_rng(seed),
                    way if way in ("random", "whole") else "gain",
                    bounds if way == "usual" else None,
                )
                for task in tasks
            ]
            if way == "ours":
                steps += sum(count for _, count, _ in found)
                seconds += sum(took for *_, took in found)
            said = [predictions for predictions, *_ in found]
            own[way].append(
                [score([t.truth for t in tasks], [one[at] for one in said]) for at in range(len(SHARES[name]))]
            )
        for way in ways:
            scores[way] += own[way]
        told = "; ".join(f"{way} {np.round(np.mean(own[way], axis=0), 2)}" for way in ways)
        print(f"{name} {law} {told}", flush=True)
    return scores, steps, seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", default=",".join(SHARES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--ways", default="ours,random,whole,usual")
    parser.add_argument("--laws", default="", help="only these")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    for name in arguments.tasks.split(","):
        ways = arguments.ways.split(",")
        scores, steps, seconds = judged(name, ways, arguments.seeds, [law for law in arguments.laws.split(",") if law])
        best, other, everything = PUBLISHED[name]
        print(f"== {name} at {SHARES[name]}: published {best}, best of the others {other}, whole pool {everything}")
        for way in ways:
            print(
                f"   {way}: mean {np.round(np.mean(scores[way], axis=0), 2)}, median {np.round(np.median(scores[way], axis=0), 2)}"
            )
        if steps:
            print(f"   {1000 * seconds / steps:.0f} ms of CPU a step", flush=True)


if __name__ == "__main__":
    main()
