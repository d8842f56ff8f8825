"""Where the power-law region of public learning curves begins, and the error eight times beyond it.

    python benchmarks/learning_curves.py

Curves of four learners on every data set of LCDB 1.1 with 20,000 samples or more, cut at an eighth of their largest size; the law of the region
is asked about the largest. Beside it: the law of all sizes, and the last error before the cut.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

from rung.errors import FitError
from rung.fitting import learning_curve

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from documents import data_folder

LEARNERS = ("ens.RandomForest", "LogisticRegression", "MLP", "KNN")
LEAST, BEYOND, FEWEST = 20_000, 8, 12


def curves():
    table = pl.read_parquet(data_folder() / "lcdb11_learning_curves.parquet").with_columns(
        pl.col("dataset_name", "learner").cast(pl.String)
    )
    large = table.filter(pl.col("train_size").max().over("dataset_name") >= LEAST, pl.col("learner").is_in(LEARNERS), pl.col("error_test") > 0)  # fmt: skip
    for _, rows in large.sort("dataset_name", "learner", "train_size").group_by("dataset_name", "learner", maintain_order=True):  # fmt: skip
        yield rows["train_size"].to_numpy().astype(float), rows["error_test"].to_numpy().astype(float)


def off(fit, size, error):
    alpha, beta, gamma = (fit.values.get(name, 0.0) for name in ("alpha", "beta", "gamma"))
    return abs(np.log((alpha * size**-beta + gamma) / error))


def main():
    rows = []
    for size, error in curves():
        kept = size <= size[-1] / BEYOND
        if kept.sum() < FEWEST:
            continue
        try:
            found, whole = (learning_curve(size[kept], error[kept], region=region) for region in ("auto", None))
        except FitError:
            continue
        ends = [off(one.fit, size[-1], error[-1]) for one in (found, whole)]
        rows.append(
            (*ends, abs(np.log(error[kept][-1] / error[-1])), found.last / found.first, size[kept][-1] / size[0])
        )
    region, whole, last, span, full = np.array(rows).T
    print(f"{len(rows)} curves, error at {BEYOND} times the largest size: median, mean")
    for name, value in (("law of the region", region), ("law of all sizes", whole), ("the last error", last)):
        print(f"  {name}: {np.median(value):.1%}, {value.mean():.1%}")
    print(f"  the region spans a factor of {np.median(span):.0f} of {np.median(full):.0f} (median)")


if __name__ == "__main__":
    main()
