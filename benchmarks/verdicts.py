"""Verdicts over scale on planted metrics, and how many items order two models.

    python benchmarks/verdicts.py [--repeats 50] [--noise 0.01]

Six kinds of metric over twelve scales from 1e7 to 1e10 with two runs each and 1 % noise (undetermined: five scales within a factor of
four and 8 %), each on tables of its own; then tables of 40 metrics of which 30 are flat; then pairs of models on 20,000 planted items, from
whose first 400 the number of items that order them nine times in ten is computed, and checked by drawing as many items 500 times; then the
interval of the stability of planted courses. `--only stability` prints that alone.
"""

import argparse
from collections import Counter

import numpy as np
import polars as pl

from rung.skill import compare_scores, quality, verdicts

SCALES = np.repeat(np.geomspace(1e7, 1e10, 12), 2)
KINDS = {
    "scales": lambda x: 2.3 * (x / 1e7) ** -0.1,
    "scales, with a floor": lambda x: 1.5 + 1.5 * (x / 1e7) ** -0.3,
    "emergent": lambda x: 0.69 / np.maximum(1, x / 8e8) ** 0.15,
    "flat": lambda x: np.full(len(x), 0.62),
    "inverse": lambda x: 0.4 * (x / 1e7) ** 0.05,
    "plateau": lambda x: 2.0 * (np.minimum(x, 3e8) / 1e7) ** -0.12,
    "undetermined": lambda x: 2 * (x / 1e8) ** -0.05,
}


def planted(kind, rng, noise=0.01):
    x = np.geomspace(1e8, 4e8, 5) if kind == "undetermined" else SCALES
    noise = 0.08 if kind == "undetermined" else noise
    return x, KINDS[kind](x) * np.exp(noise * rng.standard_normal(len(x)))


def one_by_one(repeats, noise):
    for kind in KINDS:
        said = Counter()
        for seed in range(repeats):
            x, loss = planted(kind, np.random.default_rng([seed, 1]), noise)
            said[verdicts(pl.DataFrame({"params": x, "loss": loss}), ["loss"]).verdicts[0].verdict] += 1
        print(f"{kind:22} " + ", ".join(f"{name} {count}" for name, count in said.most_common()) + f" of {repeats}")


def together(repeats):
    shares, found = [], []
    for seed in range(repeats):
        rng = np.random.default_rng([seed, 2])
        columns = {f"loss{k}": planted("scales" if k < 10 else "flat", rng)[1] for k in range(40)}
        said = verdicts(pl.DataFrame({"params": SCALES, **columns}), list(columns)).verdicts
        trends = [number for number, one in enumerate(said) if one.verdict not in {"flat", "undetermined"}]
        shares.append(np.mean([number >= 10 for number in trends]) if trends else 0.0)
        found.append(np.mean([number in trends for number in range(10)]))
    print(
        f"\n40 metrics, 30 of them flat: {np.mean(shares):.3f} of the trends are false (asked 0.05), {np.mean(found):.2f} of the true ones found"
    )


def ordering(repeats):
    shares = []
    for seed in range(repeats):
        rng = np.random.default_rng([seed, 3])
        difficulty = rng.standard_normal(20_000)
        right = [(difficulty + 0.6 * rng.standard_normal(20_000) + gain > 0).astype(float) for gain in (0.0, 0.15)]
        items = [f"q{k}" for k in range(20_000)]
        tables = [
            pl.DataFrame({"model": [name] * 400, "item": items[:400], "score": one[:400]})
            for name, one in zip("AB", right, strict=True)
        ]
        needed = compare_scores(tables).comparisons[0].needed
        exact = (
            compare_scores(
                [
                    pl.DataFrame({"model": [name] * 20_000, "item": items, "score": one})
                    for name, one in zip("AB", right, strict=True)
                ]
            )
            .comparisons[0]
            .needed
        )
        draws = rng.integers(20_000, size=(500, max(int(np.ceil(exact)), 2)))
        gaps = (right[1] - right[0])[draws].mean(axis=1)
        shares.append((needed, exact, np.mean(gaps > 0) + 0.5 * np.mean(gaps == 0)))
    needed, exact, order = np.array(shares).T
    print(
        f"\nitems that order two models nine times in ten: {np.median(exact):.0f} from 20,000 items; the order then came out right in {np.mean(order):.3f} of the draws (asked 0.86 to 0.94)"
    )
    known = np.isfinite(needed)
    low, high = np.quantile(needed[known] / exact[known], [0.25, 0.75])
    print(
        f"from 400 items alone the number is {np.median(needed[known] / exact[known]):.2f} of that (half of them {low:.2f} to {high:.2f})"
    )


def courses(seed, count, rho, rises, runs=3):
    """Runs whose score saturates, or not, with noise of which neighbouring checkpoints share a part."""
    rng = np.random.default_rng(seed)
    frames = []
    for run in range(runs):
        noise = rng.standard_normal(count)
        for at in range(1, count):
            noise[at] = rho * noise[at - 1] + np.sqrt(1 - rho**2) * noise[at]
        score = rises * (1 - np.exp(-4 * np.linspace(0.02, 1, count))) + 0.2 * noise
        frames.append(pl.DataFrame({"run": [f"r{run}"] * count, "step": np.arange(count), "acc": score}))
    return pl.concat(frames)


def stability(repeats=200):
    print("stability of three runs: its 90 % interval holds the mean of other courses, and its width over their spread")
    for rises, rho, count in [(a, b, c) for a in (1.0, 0.0) for b in (0.0, 0.6) for c in (12, 40, 100)]:
        found = [quality(courses(seed, count, rho, rises), ["acc"]).measures[0] for seed in range(repeats)]
        mean, apart = np.mean([one.stability for one in found]), np.std([one.stability for one in found])
        holds = np.mean([one.low <= mean <= one.high for one in found])
        width = np.mean([one.high - one.low for one in found]) / (2 * 1.645 * apart)
        print(
            f"  {'rising' if rises else 'noise alone'}, {count} checkpoints, correlation {rho:g}: {holds:.2f}, {width:.2f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--only", choices=["stability"])
    given = parser.parse_args()
    repeats = given.repeats
    if given.only is None:
        one_by_one(repeats, given.noise)
        together(repeats)
        ordering(repeats)
    stability()


if __name__ == "__main__":
    main()
