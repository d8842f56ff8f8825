"""Reading a table of checkpoint rows, compared with Polars: `python benchmarks/reading.py FILE COLUMN ...`, Parquet or CSV."""

import statistics
import sys

import polars as pl

from measure import median_and_range, peak_memory, timed
from rung.runs import plausibility, read_runs

WARM, ROUNDS = 2, 7
"""Rounds before the measurement, and measured rounds."""


def validated(file):
    plausibility(read_runs(file))


def theirs_of(file, columns):
    return pl.read_csv(file, columns=columns) if file.endswith(".csv") else pl.read_parquet(file, columns=columns)


def main():
    file, *columns = sys.argv[1:]
    pairs = [(timed(validated, file)[0], timed(lambda: theirs_of(file, columns))[0]) for _ in range(WARM + ROUNDS)]
    ours, theirs = zip(*pairs[WARM:], strict=True)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"| reading 1,000,000 checkpoint rows of {file.rpartition('.')[2]} / Polars | {median_and_range(ours)} | {median_and_range(theirs)} "
        f"| **{statistics.median(ratios):.3g}** [{min(ratios):.3g} to {max(ratios):.3g}] | | {peak_memory():.0f} |"
    )


if __name__ == "__main__":
    main()
