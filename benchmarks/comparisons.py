"""False verdicts and coverage of comparisons: `python benchmarks/comparisons.py [--repeats 300]`.

Two recipes are planted by L = 1.8 + 480 / N^0.34 + 1500 / D^0.36 with 0.5 % noise, the second worth `gain` times as many N and
D. Four designs: both on one path of 20 tokens per parameter; both on a grid of N and D; a grid of few numbers of tokens against
one of tokens per parameter; isoFLOP slices against such a grid. Without a gain "better" is false; with one, the interval of the
compute multiplier should hold gain^2 (on one path that of size along C).
"""

import argparse
import warnings

import numpy as np
import polars as pl

from rung.worth import compare, compare_seeds

NOISE = 0.005


def runs(n, d, gain, rng):
    loss = 1.8 + 480 / (gain * n) ** 0.34 + 1500 / (gain * d) ** 0.36
    return pl.DataFrame({"params": n, "tokens": d, "loss": loss * np.exp(NOISE * rng.standard_normal(len(n)))})


def path():
    n = np.geomspace(2e7, 2e9, 10)
    return n, 20 * n


def grid():
    return tuple(part.ravel() for part in np.meshgrid(np.geomspace(5e7, 1e9, 5), np.geomspace(1e9, 2e10, 4)))


def few_tokens():
    return tuple(part.ravel() for part in np.meshgrid([5e7, 1.2e8, 3.5e8, 7.6e8], [1e9, 3e9, 1e10]))


def ratios():
    n = np.repeat(np.geomspace(6e7, 1e9, 7), 4)
    return n, n * np.tile([10.0, 20.0, 40.0, 80.0], 7)


def isoflop():
    c = np.repeat([1e18, 3e18, 1e19, 3e19], 6)
    n = np.sqrt(c / 6 / 20) * np.tile(np.geomspace(0.3, 3, 6), 4)
    return n, c / 6 / n


DESIGNS = {
    "one path": (path, path),
    "one grid": (grid, grid),
    "few tokens, ratios": (few_tokens, ratios),
    "isoFLOP, ratios": (isoflop, ratios),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=300)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        "| design | better, of equal recipes | coverage at 1x | better, at 1.2x of N and D | coverage |\n|---|---|---|---|---|"
    )
    for name, (first, second) in DESIGNS.items():
        cells = []
        for gain in (1.0, 1.2):
            said, inside = 0, 0
            for seed in range(arguments.repeats):
                rng = np.random.default_rng(seed)
                found = compare(runs(*first(), 1.0, rng), runs(*second(), gain, rng))
                said += found.better is not None
                last = found.constant[-1]
                truth = gain**2
                inside += (last.low or 0) <= truth <= (last.high or np.inf)
            cells += [f"{100 * said / arguments.repeats:.1f} %", f"{100 * inside / arguments.repeats:.0f} %"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print("\n| seeds of each | better, of equal recipes | coverage |\n|---|---|---|")
    for count in (2, 3, 5, 10):
        said, inside = 0, 0
        for seed in range(10 * arguments.repeats):
            rng = np.random.default_rng(seed)
            pair = [pl.DataFrame({"loss": 3 + 0.01 * rng.standard_normal(count)}) for _ in range(2)]
            found = compare_seeds(*pair)
            said += found.better is not None
            inside += found.low <= 0 <= found.high
        total = 10 * arguments.repeats
        print(f"| {count} | {100 * said / total:.1f} % | {100 * inside / total:.0f} % |", flush=True)


if __name__ == "__main__":
    main()
