"""Reading a table of checkpoint rows, compared with Polars: `python benchmarks/reading.py FILE COLUMN ...`."""

import statistics
import sys

import polars as pl

from measure import median_and_range, peak_memory, timed
from rung.runs import plausibility, read_runs

WARM, ROUNDS = 2, 7
"""Rounds before the measurement, and measured rounds."""


def validated(file):
    plausibility(read_runs(file))


def main():
    file, *columns = sys.argv[1:]
    pairs = [
        (timed(validated, file)[0], timed(lambda: pl.read_parquet(file, columns=columns))[0])
        for _ in range(WARM + ROUNDS)
    ]
    ours, theirs = zip(*pairs[WARM:], strict=True)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"| reading 1,000,000 checkpoint rows / Polars | {median_and_range(ours)} | {median_and_range(theirs)} "
        f"| **{statistics.median(ratios):.3g}** [{min(ratios):.3g} to {max(ratios):.3g}] | | {peak_memory():.0f} |"
    )


if __name__ == "__main__":
    main()
