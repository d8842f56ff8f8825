"""Optima that starts reach on planted tables of every law of the law book: `python benchmarks/starts.py`."""

import sys
from pathlib import Path

import numpy as np

from rung.fitting.estimate.design import make_design
from rung.fitting.estimate.initial_points import balanced_starts, projected_starts
from rung.fitting.estimate.multistart import AGREEMENT, PROJECTED_CANDIDATES, PROJECTED_STARTS
from rung.fitting.estimate.objective import OBJECTIVES
from rung.fitting.estimate.problem import make_problem
from rung.laws import law_book
from rung.runs import read_runs

sys.path.append(str(Path(__file__).parent.parent / "tests"))
import planted

SEEDS = (0, 1)
"""Seeds of the tables of each law."""

GAIN = 1e-4
"""Relative decrease of the objective by a second solve above which the first one had not converged."""


def counts(name, seed):
    """Number of first starts; of these, how many agree, are reported as converged, and are wrongly reported so."""
    entry, rng = law_book()[name], np.random.default_rng(seed)
    runs, objective = read_runs(planted.noisy_table(name, seed=seed)), OBJECTIVES[entry.objective]
    problem = make_problem(entry.law, make_design(runs, entry.law, objective, target=entry.target), objective)
    projected = projected_starts(entry.law, problem.design, PROJECTED_STARTS, PROJECTED_CANDIDATES, rng)
    starts = np.concatenate([projected, balanced_starts(entry.law, problem.design, 48, rng)])
    weights = problem.design.weights[None, :]
    with np.errstate(all="ignore"):
        first = problem.first_stage(problem.workspace(len(starts)), starts, weights)
        second = problem.first_stage(problem.workspace(len(starts)), first.unconstrained_JK, weights)
    wrong = first.converged_J & (second.objective_J < first.objective_J * (1 - GAIN))
    best = min(first.objective_J.min(), second.objective_J.min())
    agree = first.objective_J <= best * (1 + AGREEMENT)
    return len(starts), int(agree.sum()), int(first.converged_J.sum()), int(wrong.sum())


def main():
    print("| law | starts | agree | called converged | wrongly |\n|---|---|---|---|---|")
    total = np.zeros(4, dtype=int)
    for name in law_book():
        found = np.sum([counts(name, seed) for seed in SEEDS], axis=0)
        total += found
        if found[1] < 0.5 * found[0] or found[3]:
            print(f"| {name} | {' | '.join(map(str, found))} |", flush=True)
    print(f"| all {len(law_book())} laws | {' | '.join(map(str, total))} |")


if __name__ == "__main__":
    main()
