"""A full fit and a selection, compared with the plain fit: `python benchmarks/together.py`.

The plain fit is the search and 1000 resamples. The full one adds profile intervals, diagnosis, a backtest of 6 cuts and a
selection over 10 laws, on the 240 points. The output shows CPU seconds in paired rounds.
"""

import statistics

import numpy as np

import rung
from engine import table
from measure import median_and_range, timed
from rung.fitting.estimate.multistart import search
from rung.fitting.estimate.setup import set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.fitting.uncertainty.bootstrap import bootstrap

ROUNDS = 5
LAWS = (
    "chinchilla",
    "chinchilla-tied",
    "densing-loss",
    "kaplan-nd",
    "kaplan-floor",
    "E + A / N^alpha",
    "E + B / D^beta",
    "E + (a * (D / N)^eta + b * (D / N)^-eta) * (N * D)^-eta",
    "E + A / (N * D)^alpha",
    "E + A / N^alpha + B / D^beta + G / (N * D)^gamma",
)


def plain(runs):
    setup = set_up(runs, FitSpecification(law="chinchilla"))
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        bootstrap(setup.problem, search(setup.problem, rng), 1000, rng)


def everything(runs):
    rung.fit(runs, draws=1000)
    rung.select(runs, LAWS)


def main():
    runs = table()
    plain(runs)
    measured = [(timed(everything, runs)[0], timed(plain, runs)[0]) for _ in range(ROUNDS)]
    ratios = [ours / theirs for ours, theirs in measured]
    print("| all of it, CPU s | plain fit, CPU s | ratio | goal |\n|---|---|---|---|")
    print(
        f"| {median_and_range([ours for ours, _ in measured])} | {median_and_range([theirs for _, theirs in measured])} "
        f"| **{statistics.median(ratios):.3g}** [{min(ratios):.3g} to {max(ratios):.3g}] | at most 10 |"
    )
    alone = [timed(rung.fit, runs)[0] / theirs for _, theirs in measured]
    print(f"\nthe fit with intervals, diagnosis and backtest alone: {statistics.median(alone):.3g} times the plain fit")


if __name__ == "__main__":
    main()
