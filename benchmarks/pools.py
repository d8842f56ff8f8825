"""The next run out of real pools: `python benchmarks/pools.py [--tasks ...] [--seeds 10] [--ways ours,...]`.

The protocol of ScaleBench (arXiv:2604.22753): a pool of runs with costs, target rows whose inputs are given, and a law.
Runs are selected one at a time until a share of the pool's cost is spent. The score is R2 over the target rows of all
groups together, clipped to -1..1, averaged over laws and seeds. Values of runs that were not selected are not used.

Ours is what `rung next RUNS --pool ... --target ...` does, repeated with one more run each time. It is compared with the
published selection and our fit (`theirs`), our selection and the published kind of fit (`usual`), the published selection
and fit (`both`), random runs and our fit (`random`), the whole pool and our fit (`whole`), and the published figures.
"""

import argparse
import json
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl

import rung
import studies
from mspe import Pursuit
from rung.fitting.uncertainty.distributions import student_quantile
from rung.laws import SYMBOLS, Law
from rung.planning.experiments.from_runs import information_from_runs
from rung.planning.experiments.greedy_design import greedy_design
from rung.planning.experiments.next_runs import MOST, POWERS
from rung.planning.experiments.targets import Targets

SHARES = {
    "parallel": (0.01, 0.05, 0.10),
    "data_constrained": (0.01, 0.05, 0.10),
    "domain_mixture": (0.20, 0.35, 0.50),
    "sparsity": (0.20, 0.35, 0.50),
    "sft": (0.01, 0.05, 0.10),
}
"""Shares of the pool's cost that each task is scored at."""

PUBLISHED = {
    "parallel": ((-1.0, 0.77, 0.99), (-1.0, 0.70, 0.99), 0.99),
    "data_constrained": ((0.73, 0.85, 0.86), (0.71, 0.83, 0.85), 0.79),
    "domain_mixture": ((0.64, 0.89, 0.95), (0.57, 0.91, 0.95), 0.81),
    "sparsity": ((0.31, 0.44, 0.53), (0.12, 0.39, 0.51), 0.37),
    "sft": None,
}
"""Scores of their method, of the best of the others, and of the whole pool.

Source: README of PlanarG/active-sl, Table 2, which leaves out the task of fine-tuning."""

WAYS = {
    "ours": ("ours", "ours"),
    "theirs": ("theirs", "ours"),
    "usual": ("ours", "theirs"),
    "both": ("theirs", "theirs"),
    "random": ("random", "ours"),
    "whole": ("whole", "ours"),
}
"""The method that selects the runs, and the method that fits them."""

FIRST_SHARE = 0.3
"""Share of the first budget for the first runs, which are spaced evenly in the logarithm of cost."""

LEVEL = 0.9
"""Coverage of the intervals."""


@dataclass(frozen=True, eq=False)
class Task:
    """One group of a pool.

    Attributes:
        pool: The runs that can be selected.
        laws: The law of each target column.
        bounds: The bounds of each law's coefficients.
        target_names: The target columns.
        cost: Cost of each run of the pool.
        truth: Each target column in the target rows.
        pool_columns: Each law's variables in the pool.
        target_columns: Each law's variables in the target rows.
        targets: The same, as targets of the planner.
        size: Largest number of coefficients of the laws.
    """

    pool: pl.DataFrame
    laws: list[Law]
    bounds: list[dict[str, tuple[float, float]]]
    target_names: list[str]
    cost: np.ndarray
    truth: list[np.ndarray]
    pool_columns: list[dict[str, np.ndarray]]
    target_columns: list[dict[str, np.ndarray]]
    targets: list[Targets]
    size: int

    @staticmethod
    def of(rows, formulas, bounds, target_names):
        """A task from the rows of a group, of which the column `split` says whether they are pool or target."""
        pool, test = rows.filter(pl.col("split") == "train"), rows.filter(pl.col("split") == "test")
        laws = []
        for formula, limits in zip(formulas, bounds, strict=True):
            clauses = ", ".join(f"{name} in ({low:.12g}, {high:.12g})" for name, (low, high) in limits.items())
            laws.append(Law.parse(f"{formula} with {clauses}", variables=rows.columns))
        target_columns = [columns_of(law, test) for law in laws]
        names = tuple(map(str, range(len(test))))
        return Task(
            pool=pool,
            laws=laws,
            bounds=bounds,
            target_names=target_names,
            cost=pool["cost"].to_numpy().astype(float),
            truth=[test[target].to_numpy().astype(float) for target in target_names],
            pool_columns=[columns_of(law, pool) for law in laws],
            target_columns=target_columns,
            targets=[Targets(names=names, columns=columns, decision=None) for columns in target_columns],
            size=max(len(law.free) for law in laws),
        )


def columns_of(law, frame):
    return {name: frame[SYMBOLS.get(name, name)].to_numpy().astype(float) for name in law.variables}


@dataclass(frozen=True)
class Ours:
    """Rung's procedure: the first run of the best plan for the remaining budget, from the runs selected so far.

    Attributes:
        task: The task.
        seed: Seed of the solver's starts.
    """

    task: Task
    seed: int

    def predictives(self, selected, candidates):
        """The joint predictive distribution of each target column over candidates and target rows."""
        task, found = self.task, []
        runs = rung.read_runs(task.pool.filter(pl.Series(selected)))
        for index, (law, target) in enumerate(zip(task.laws, task.target_names, strict=True)):
            state = information_from_runs(runs, law, target, self.seed)
            columns = {name: column[candidates] for name, column in task.pool_columns[index].items()}
            found.append(state.predictive(columns, task.targets[index]))
        return found

    def choose(self, selected, affordable, remaining):
        predictives = self.predictives(selected, affordable)
        costs = self.task.cost[affordable]
        designs = [greedy_design(predictives, costs, remaining, power, MOST) for power in POWERS]
        best = min(designs, key=lambda design: design.variance[-1])
        return int(np.flatnonzero(affordable)[best.selected[0]])

    def forecast(self, selected):
        """Forecasts of the target rows for each target column, and whether the interval contains each measured value."""
        if selected.sum() < 2:
            values = [self.task.pool[target].to_numpy()[selected] for target in self.task.target_names]
            only = [np.full(len(truth), value[0]) for truth, value in zip(self.task.truth, values, strict=True)]
            return only, np.empty(0)
        # The forecasts need a candidate, but do not depend on which: here the first selected run.
        first = np.zeros(len(selected), dtype=bool)
        first[np.flatnonzero(selected)[0]] = True
        forecasts, inside = [], []
        for predictive, truth in zip(self.predictives(selected, first), self.task.truth, strict=True):
            mean = predictive.mean[predictive.candidates :]
            std = np.sqrt(predictive.variance()[predictive.candidates :] + predictive.noise)
            half_width = predictive.inflation * student_quantile((1 + LEVEL) / 2, predictive.degrees) * std
            forecasts.append(np.exp(mean))
            inside.append(np.abs(np.log(truth) - mean) < half_width)
        return forecasts, np.concatenate(inside)


def first_runs(cost, budget, count):
    """Runs spaced evenly in the logarithm of cost, as many as a part of the first budget allows."""
    order = np.argsort(cost)
    for most in range(min(count, len(cost)), 1, -1):
        allowed = order[cost[order] <= FIRST_SHARE * budget]
        if len(allowed) < 2:
            break
        indices = np.unique(np.linspace(0, len(allowed) - 1, most).round().astype(int))
        if cost[allowed[indices]].sum() <= FIRST_SHARE * budget:
            return allowed[indices]
    return order[np.cumsum(cost[order]) <= budget][:2]


def initial_runs(task, chooser, budget):
    """The runs that are selected before the first choice."""
    selected = np.zeros(len(task.cost), dtype=bool)
    if chooser == "whole":
        selected[:] = True
    elif chooser == "ours":
        selected[first_runs(task.cost, budget, task.size + 1)] = True
    elif chooser == "theirs":
        selected[Pursuit.first(task.cost, task.size, budget)] = True
    return selected


def run(task, shares, seed, chooser, fitter):
    """Forecasts of the targets at each share, None where no run is affordable; steps and their CPU seconds; and whether
    our 90 % intervals contain each row."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(task.cost))
    budgets = [share * task.cost.sum() for share in shares]
    selected = initial_runs(task, chooser, budgets[0])
    ours, theirs = Ours(task, seed), Pursuit(task, rng)
    result, inside, steps, seconds = [], [], 0, 0.0
    for budget in budgets:
        while True:
            remaining = budget - task.cost[selected].sum()
            affordable = ~selected & (task.cost <= remaining)
            if not affordable.any():
                break
            if chooser == "random":
                at = next(index for index in order if affordable[index])
            elif selected.sum() < 2:
                at = int(np.argmin(np.where(affordable, task.cost, np.inf)))
            else:
                started = time.process_time()
                if chooser == "ours":
                    at = ours.choose(selected, affordable, remaining)
                else:
                    at = theirs.choose(selected, affordable)
                steps, seconds = steps + 1, seconds + time.process_time() - started
            selected[at] = True
        if not selected.any():
            result.append(None)
        else:
            forecasts, contained = (ours if fitter == "ours" else theirs).forecast(selected)
            result.append(forecasts)
            inside.append(contained)
    return result, steps, seconds, np.concatenate([*inside, np.empty(0)])


def score(truths, forecasts):
    """R2 over all target rows of the groups that have a forecast, clipped to -1..1."""
    pairs = [(t, f) for t, f in zip(truths, forecasts, strict=True) if f is not None]
    if not pairs:
        return -1.0
    truth = np.concatenate([np.concatenate(t) for t, _ in pairs])
    value = np.concatenate([np.concatenate(f) for _, f in pairs])
    total = np.sum((truth - truth.mean()) ** 2)
    found = 1 - np.sum((value - truth) ** 2) / total if np.all(np.isfinite(value)) else -1.0
    return float(np.clip(found, -1, 1))


def law_rows(task):
    """The laws of a task: name, formulas, bounds of the coefficients, and target columns."""
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


def judged(name, law, way, seed):
    """Scores at each share of one law, one way and one seed; steps, CPU seconds, and whether intervals contain each row."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    frame = studies.read(f"scalebench/{name}.parquet")
    formulas, bounds, targets = next(rest for found, *rest in law_rows(name) if found == law)
    tasks = [Task.of(rows, formulas, bounds, targets) for _, rows in frame.group_by("group", maintain_order=True)]
    found = [run(task, SHARES[name], seed, *WAYS[way]) for task in tasks]
    scores = [score([t.truth for t in tasks], [one[0][at] for one in found]) for at in range(len(SHARES[name]))]
    return scores, *(sum(one[at] for one in found) for at in (1, 2)), np.concatenate([one[3] for one in found])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", default=",".join(SHARES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--ways", default="ours,random,whole")
    parser.add_argument("--laws", default="", help="only these")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-o", dest="output", help="write every score as JSON lines")
    arguments = parser.parse_args()
    kept = Path(arguments.output).open("a") if arguments.output else None  # noqa: SIM115
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as workers:
        for name in arguments.tasks.split(","):
            laws = [law for law, *_ in law_rows(name) if not arguments.laws or law in arguments.laws.split(",")]
            published = "published {}, best of the others {}, whole pool {}".format(*PUBLISHED[name] or ["none"] * 3)
            print(f"== {name} at {SHARES[name]}: {published}")
            for way in arguments.ways.split(","):
                seeds = range(1 if way == "whole" else arguments.seeds)
                cases = [(law, seed) for law in laws for seed in seeds]
                jobs = [workers.submit(judged, name, law, way, seed) for law, seed in cases]
                found = [job.result() for job in jobs]
                scores = np.array([one for one, *_ in found]).reshape(len(laws), len(seeds), -1)
                flat = scores.reshape(-1, scores.shape[2])
                steps, seconds = (sum(one[at] for one in found) for at in (1, 2))
                inside = np.concatenate([one[3] for one in found])
                print(
                    f"   {way}: mean {np.round(flat.mean(axis=0), 2)}, standard deviation {np.round(flat.std(axis=0), 2)}, "
                    f"median {np.round(np.median(flat, axis=0), 2)}, {len(seeds)} seeds"
                    + (f", {1000 * seconds / steps:.0f} ms of CPU per step" if steps else "")
                    + (f", intervals contain {100 * inside.mean():.0f} %" if len(inside) else "")
                )
                for law, own in zip(laws, scores.mean(axis=1), strict=True):
                    print(f"      {law} {np.round(own, 2)}", flush=True)
                if kept:
                    lines = [
                        {"task": name, "way": way, "law": l, "seed": s, "r2": f[0]}
                        for (l, s), f in zip(cases, found, strict=True)
                    ]
                    kept.write("".join(json.dumps(line) + "\n" for line in lines))
                    kept.flush()


if __name__ == "__main__":
    main()
