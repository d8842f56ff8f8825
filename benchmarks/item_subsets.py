"""Subsets of planted items beside items dealt at random, on models that did not choose them.

    python benchmarks/item_subsets.py

Models of one ability answer items of unequal difficulty and discrimination; 20 worlds of each number of models, 800 items.
"""

import numpy as np
import polars as pl
from scipy.special import expit

from rung.skill import item_subsets

WORLDS, ITEMS = 20, 800


def answers(seed, models):
    rng = np.random.default_rng(seed)
    ability, slope, difficulty = rng.normal(0, 1, models), np.exp(rng.normal(0, 0.4, ITEMS)), rng.normal(0, 1.2, ITEMS)
    right = rng.random((models, ITEMS)) < expit(slope * (ability[:, None] - difficulty))
    names = {"model": np.repeat(np.arange(models), ITEMS).astype(str), "item": np.tile(np.arange(ITEMS), models).astype(str)}  # fmt: skip
    return pl.DataFrame({**names, "correct": right.ravel().astype(float)})


def main():
    for models in (10, 30, 100):
        sizes = [item_subsets([answers(seed, models)]).sizes for seed in range(WORLDS)]
        print(f"{models} models: items, tau and error in points, the same at random")
        for of_size in zip(*sizes, strict=True):
            tau, error, tau_random, error_random = np.mean([(one.tau, one.error, one.tau_random, one.error_random) for one in of_size], axis=0)  # fmt: skip
            print(f"  {of_size[0].items:4} {tau:.3f} {100 * error:6.2f}   {tau_random:.3f} {100 * error_random:6.2f}")


if __name__ == "__main__":
    main()
