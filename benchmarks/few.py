"""Few runs of real tables: `python benchmarks/few.py [--seeds 3]`.

On each table of runs in parameters and tokens (benchmarks/studies.py) the smaller scale is a pool, from which runs are
selected for a share of its cost, and Hoffmann's law forecasts the larger scale. Runs are selected by `rung next`, repeated,
or at random, with the same fit (benchmarks/pools.py). The settings of both were chosen on other pools. The output shows
the error of the logarithm of the loss, its ratio to that of random runs on the same table, and how many of the rows the
intervals contain.
"""

import argparse
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import polars as pl

import pools
import studies

SHARES = (0.01, 0.05, 0.2)
"""Shares of the pool's cost."""

WAYS = ("ours", "random")
"""How runs are selected, in pools.WAYS."""

MOST_POOL, MOST_TARGETS = 200, 30
"""Most runs of the pool, and most target rows, of a table."""

LAW = "E + A / params^alpha + B / tokens^beta"
BOUNDS = {"E": (0, np.inf), "A": (0, np.inf), "alpha": (0, np.inf), "B": (0, np.inf), "beta": (0, np.inf)}


def at_most(rows, most):
    return rows if len(rows) <= most else rows.sample(most, seed=0)


def task_of(study):
    """The smaller scale as a pool, and the larger as target rows."""
    parts = [
        at_most(rows.select("params", "tokens", "loss"), most).with_columns(split=pl.lit(split))
        for rows, most, split in ((study.fitted, MOST_POOL, "train"), (study.held_out, MOST_TARGETS, "test"))
    ]
    rows = pl.concat(parts).with_columns(cost=6.0 * pl.col("params") * pl.col("tokens"))
    return pools.Task.of(rows, [LAW], [BOUNDS], ["loss"])


def judged(name, way, seed):
    """Root mean square error at each share, nan where no run is affordable; and whether intervals contain each row."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    task = task_of(next(study for study in studies.surfaces() if study.name == name))
    forecasts, *_, inside = pools.run(task, SHARES, seed, *pools.WAYS[way])
    truth = np.log(task.truth[0])
    errors = [np.sqrt(np.mean((np.log(one[0]) - truth) ** 2)) if one is not None else np.nan for one in forecasts]
    return errors, inside


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", help="tables whose name contains this")
    arguments = parser.parse_args()
    names = [study.name for study in studies.surfaces() if not arguments.only or arguments.only in study.name]
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as workers:
        cases = [(name, way, seed) for name in names for way in WAYS for seed in range(arguments.seeds)]
        found = list(workers.map(judged, *zip(*cases, strict=True)))
    error = {
        way: np.array(
            [
                np.median(
                    [one for (n, w, _), (one, _) in zip(cases, found, strict=True) if (n, w) == (name, way)], axis=0
                )
                for name in names
            ]
        )
        for way in WAYS
    }
    for index, name in enumerate(names):
        print(f"{name}: ours {np.round(error['ours'][index], 4)}, random {np.round(error['random'][index], 4)}")
    ratio = np.log(error["ours"] / error["random"])
    print(f"{len(names)} tables at {SHARES} of the pool's cost")
    for way in WAYS:
        inside = np.concatenate([rows for (_, w, _), (_, rows) in zip(cases, found, strict=True) if w == way])
        print(
            f"{way}: median error {np.round(np.nanmedian(error[way], axis=0), 4)}, intervals contain {100 * inside.mean():.0f} %"
        )
    print(
        f"ours over random: geometric mean {np.round(np.exp(np.nanmean(ratio, axis=0)), 2)}, lower on "
        f"{np.sum(ratio < 0, axis=0)} of {np.sum(np.isfinite(ratio), axis=0)} tables"
    )


if __name__ == "__main__":
    main()
