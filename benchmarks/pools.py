"""The next run out of real pools: `python benchmarks/pools.py [--tasks ...] [--seeds 10] [--ways ours,...]`.

The protocol of ScaleBench (arXiv:2604.22753): a pool of runs with costs, a target region whose inputs are known, a law;
runs are bought one at a time until a share of the pool's cost is spent, and the score is R2 over the target rows of
all groups together, clipped to -1..1, averaged over laws and seeds. Values of runs that were not bought are not used.

Ours is what `rung next RUNS --pool ... --target ...` does, again and again with one run more. Beside it: the published
choice with our fit (`theirs`), our choice with the published kind of fit (`usual`), the published choice and fit
(`both`), runs by chance with our fit (`random`), the whole pool with our fit (`whole`), and the published figures.
"""

import argparse
import json
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl

import rung
from rung.fitting.uncertainty.distributions import student_quantile
from rung.laws import SYMBOLS, Law
from rung.planning.experiments.from_runs import information_from_runs
from rung.planning.experiments.greedy_design import greedy_design
from rung.planning.experiments.next_runs import POWERS
from rung.planning.experiments.targets import Targets

sys.path.append(str(Path(__file__).parent))
import studies
from mspe import Pursuit

SHARES = {
    "parallel": (0.01, 0.05, 0.10),
    "data_constrained": (0.01, 0.05, 0.10),
    "domain_mixture": (0.20, 0.35, 0.50),
    "sparsity": (0.20, 0.35, 0.50),
    "sft": (0.01, 0.05, 0.10),
}
PUBLISHED = {
    "parallel": ((-1.0, 0.77, 0.99), (-1.0, 0.70, 0.99), 0.99),
    "data_constrained": ((0.73, 0.85, 0.86), (0.71, 0.83, 0.85), 0.79),
    "domain_mixture": ((0.64, 0.89, 0.95), (0.57, 0.91, 0.95), 0.81),
    "sparsity": ((0.31, 0.44, 0.53), (0.12, 0.39, 0.51), 0.37),
    "sft": None,
}
"""README of PlanarG/active-sl, Table 2: their method, the best of the others, and all of the pool. The task of
fine-tuning was left out there."""

WAYS = {
    "ours": ("ours", "ours"),
    "theirs": ("theirs", "ours"),
    "usual": ("ours", "theirs"),
    "both": ("theirs", "theirs"),
    "random": ("random", "ours"),
    "whole": ("whole", "ours"),
}
"""Who chooses the runs, and who fits them."""

FIRST_SHARE = 0.3
"""Share of the first budget that the first runs, spread evenly over the logarithm of cost, may take."""


class Task:
    """One group of a pool: the runs, the laws of its targets, and the rows that are to be told."""

    def __init__(self, rows, formulas, bounds, targets):
        self.pool, test = rows.filter(pl.col("split") == "train"), rows.filter(pl.col("split") == "test")
        self.targets, self.bounds = targets, bounds
        self.cost = self.pool["cost"].to_numpy().astype(float)
        self.truth = [test[target].to_numpy().astype(float) for target in targets]
        self.laws = []
        for formula, limits in zip(formulas, bounds, strict=True):
            clauses = ", ".join(f"{name} in ({low:.12g}, {high:.12g})" for name, (low, high) in limits.items())
            self.laws.append(Law.parse(f"{formula} with {clauses}", variables=rows.columns))
        self.here = [columns_of(law, self.pool) for law in self.laws]
        self.ahead = [columns_of(law, test) for law in self.laws]
        self.aims = [
            Targets(names=tuple(map(str, range(len(test)))), columns=columns, decision=None) for columns in self.ahead
        ]
        self.size = max(len(law.free) for law in self.laws)


def columns_of(law, frame):
    return {name: frame[SYMBOLS.get(name, name)].to_numpy().astype(float) for name in law.variables}


class Ours:
    """The product's procedure: what the bought runs say, and the first run of the best plan for what is left."""

    def __init__(self, task, seed):
        self.task, self.seed = task, seed
        self.modes = [None] * len(task.laws)
        self.held = []

    def beliefs(self, bought, open_):
        task, found = self.task, []
        runs = rung.read_runs(task.pool.filter(pl.Series(bought)))
        for place, (law, target) in enumerate(zip(task.laws, task.targets, strict=True)):
            known = information_from_runs(runs, law, target, self.seed)
            columns = {name: column[open_] for name, column in task.here[place].items()}
            belief, self.modes[place] = known.belief(columns, task.aims[place])
            found.append(belief)
        return found

    def choose(self, bought, open_, left):
        beliefs = self.beliefs(bought, open_)
        prices = self.task.cost[open_]
        plans = [greedy_design(beliefs, prices, left, power, 100) for power in POWERS]
        best = min(plans, key=lambda plan: plan.variance[-1])
        return int(np.flatnonzero(open_)[best.chosen[0]])

    def tell(self, bought):
        # Any run serves as a candidate here: aims alone are asked for.
        some = np.zeros(len(bought), dtype=bool)
        some[np.flatnonzero(bought)[0]] = True
        self.held = []
        if bought.sum() < 2:
            values = [self.task.pool[target].to_numpy()[bought] for target in self.task.targets]
            return [np.full(len(truth), value[0]) for truth, value in zip(self.task.truth, values, strict=True)]
        beliefs = self.beliefs(bought, some)
        for belief, modes, truth in zip(beliefs, self.modes, self.task.truth, strict=True):
            spread = np.sqrt(belief.variance()[belief.candidates :] + belief.noise)
            root = student_quantile(0.95, modes.degrees)
            self.held.append(np.abs(np.log(truth) - belief.mean[belief.candidates :]) < belief.stretch * root * spread)
        return [np.exp(belief.mean[belief.candidates :]) for belief in beliefs]


def first_runs(cost, budget, count):
    """Runs spread evenly over the logarithm of cost, as many as a part of the first budget allows."""
    order = np.argsort(cost)
    for most in range(min(count, len(cost)), 1, -1):
        allowed = order[cost[order] <= FIRST_SHARE * budget]
        if len(allowed) < 2:
            break
        places = np.unique(np.linspace(0, len(allowed) - 1, most).round().astype(int))
        if cost[allowed[places]].sum() <= FIRST_SHARE * budget:
            return allowed[places]
    return order[np.cumsum(cost[order]) <= budget][:2]


def begun(task, chooser, budget):
    """The runs that are bought before any is chosen."""
    bought = np.zeros(len(task.cost), dtype=bool)
    if chooser == "whole":
        bought[:] = True
    elif chooser == "ours":
        bought[first_runs(task.cost, budget, task.size + 1)] = True
    elif chooser == "theirs":
        bought[Pursuit.first(task.cost, task.size, budget)] = True
    return bought


def run(task, shares, seed, chooser, fitter):
    """Predictions of the targets at each share; None where nothing can be bought. And steps, their CPU seconds, and whether our
    90 % intervals held each row."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(task.cost))
    budgets = [share * task.cost.sum() for share in shares]
    bought = begun(task, chooser, budgets[0])
    ours, theirs = Ours(task, seed), Pursuit(task, rng)
    result, held, steps, seconds = [], [], 0, 0.0
    for budget in budgets:
        while True:
            left = budget - task.cost[bought].sum()
            open_ = ~bought & (task.cost <= left)
            if not open_.any():
                break
            if chooser == "random":
                at = next(place for place in order if open_[place])
            elif bought.sum() < 2:
                at = int(np.argmin(np.where(open_, task.cost, np.inf)))
            else:
                began = time.process_time()
                at = ours.choose(bought, open_, left) if chooser == "ours" else theirs.choose(bought, open_)
                steps, seconds = steps + 1, seconds + time.process_time() - began
            bought[at] = True
        if not bought.any():
            result.append(None)
        else:
            result.append((ours if fitter == "ours" else theirs).tell(bought))
            held.append(np.concatenate(ours.held) if ours.held else np.empty(0))
    return result, steps, seconds, np.concatenate([*held, np.empty(0)])


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


def judged(name, law, way, seed):
    """Scores at each share of one law, one way and one seed; steps, CPU seconds, and rows that intervals held."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    frame = studies.read(f"scalebench/{name}.parquet")
    formulas, bounds, targets = next(rest for found, *rest in law_rows(name) if found == law)
    tasks = [Task(rows, formulas, bounds, targets) for _, rows in frame.group_by("group", maintain_order=True)]
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
            said = "published {}, best of the others {}, whole pool {}".format(*PUBLISHED[name] or ["none"] * 3)
            print(f"== {name} at {SHARES[name]}: {said}")
            for way in arguments.ways.split(","):
                seeds = range(1 if way == "whole" else arguments.seeds)
                asked = [(law, seed) for law in laws for seed in seeds]
                jobs = [workers.submit(judged, name, law, way, seed) for law, seed in asked]
                found = [job.result() for job in jobs]
                scores = np.array([one for one, *_ in found]).reshape(len(laws), len(seeds), -1)
                flat = scores.reshape(-1, scores.shape[2])
                steps, seconds = (sum(one[at] for one in found) for at in (1, 2))
                held = np.concatenate([one[3] for one in found])
                print(
                    f"   {way}: mean {np.round(flat.mean(axis=0), 2)}, spread {np.round(flat.std(axis=0), 2)}, median "
                    f"{np.round(np.median(flat, axis=0), 2)}, {len(seeds)} seeds"
                    + (f", {1000 * seconds / steps:.0f} ms of CPU a step" if steps else "")
                    + (f", intervals hold {100 * held.mean():.0f} %" if len(held) else "")
                )
                for law, own in zip(laws, scores.mean(axis=1), strict=True):
                    print(f"      {law} {np.round(own, 2)}", flush=True)
                if kept:
                    lines = [
                        {"task": name, "way": way, "law": l, "seed": s, "r2": f[0]}
                        for (l, s), f in zip(asked, found, strict=True)
                    ]
                    kept.write("".join(json.dumps(line) + "\n" for line in lines))
                    kept.flush()


if __name__ == "__main__":
    main()
