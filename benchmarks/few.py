"""Few runs of real tables: `python benchmarks/few.py [--seeds 3]`.

On each table of runs in parameters and tokens (benchmarks/studies.py), the smaller scale is a pool from which runs are
bought for a share of its cost, and the larger is to be told under Hoffmann's law: by `rung next` again and again, and by
chance, with the same fit (benchmarks/pools.py). Their settings were chosen on other pools. Told are the error of the
logarithm of the loss, its ratio to that of chance on the same table, and how many of the rows intervals hold.
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
WAYS = ("ours", "random")
MOST_POOL, MOST_AHEAD = 200, 30
LAW = "E + A / params^alpha + B / tokens^beta"
RANGES = {"E": (0, np.inf), "A": (0, np.inf), "alpha": (0, np.inf), "B": (0, np.inf), "beta": (0, np.inf)}


def some(rows, most):
    return rows if len(rows) <= most else rows.sample(most, seed=0)


def task_of(study):
    """The smaller scale as a pool, the larger as rows to be told."""
    parts = [
        some(rows.select("params", "tokens", "loss"), most).with_columns(split=pl.lit(split))
        for rows, most, split in ((study.fitted, MOST_POOL, "train"), (study.ahead, MOST_AHEAD, "test"))
    ]
    rows = pl.concat(parts).with_columns(cost=6.0 * pl.col("params") * pl.col("tokens"))
    return pools.Task(rows, [LAW], [RANGES], ["loss"])


def judged(name, way, seed):
    """Root mean square error at each share, nan where fewer than two runs can be bought; and what intervals held."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    task = task_of(next(study for study in studies.surfaces() if study.name == name))
    said, *_, held = pools.run(task, SHARES, seed, *pools.WAYS[way])
    truth = np.log(task.truth[0])
    errors = [np.sqrt(np.mean((np.log(one[0]) - truth) ** 2)) if one is not None else np.nan for one in said]
    return errors, held


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    names = [study.name for study in studies.surfaces()]
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as workers:
        asked = [(name, way, seed) for name in names for way in WAYS for seed in range(arguments.seeds)]
        found = list(workers.map(judged, *zip(*asked, strict=True)))
    error = {
        way: np.array(
            [
                np.median(
                    [one for (n, w, _), (one, _) in zip(asked, found, strict=True) if (n, w) == (name, way)], axis=0
                )
                for name in names
            ]
        )
        for way in WAYS
    }
    for place, name in enumerate(names):
        print(f"{name}: ours {np.round(error['ours'][place], 4)}, chance {np.round(error['random'][place], 4)}")
    ratio = np.log(error["ours"] / error["random"])
    print(f"{len(names)} tables at {SHARES} of the pool's cost")
    for way in WAYS:
        held = np.concatenate([h for (_, w, _), (_, h) in zip(asked, found, strict=True) if w == way])
        print(
            f"{way}: median error {np.round(np.nanmedian(error[way], axis=0), 4)}, intervals hold {100 * held.mean():.0f} %"
        )
    print(
        f"ours over chance: geometric mean {np.round(np.exp(np.nanmean(ratio, axis=0)), 2)}, lower on "
        f"{np.sum(ratio < 0, axis=0)} of {np.sum(np.isfinite(ratio), axis=0)} tables"
    )


if __name__ == "__main__":
    main()
