"""Rolling origins of learning curves: `python benchmarks/origins.py`.

The first part of each of 15 published curves of translation, and a forecast of its last point, 4 to 32 times as far:
coverage and width of the 90 % interval of `rung select`, without a setting for these curves, beside the published bootstrap
and certificate. The discrepancy prior leaves these curves' study out.
"""

import warnings
from unittest.mock import patch

import numpy as np
import polars as pl

import rung
import studies
from rung.fitting.backtest import discrepancy

MOST_POINTS = 24
"""Points to which a longer curve is cut, evenly by rank, as the published study did."""


def main():
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    targets = studies.read("rolling_origin_targets.csv")
    curves = studies.read("learning_curve_benchmark.csv")
    others = tuple(one for one in discrepancy.studies() if one.name != "curves NMT")
    found = []
    with patch.object(discrepancy, "studies", lambda: others):
        for row in targets.iter_rows(named=True):
            curve = curves.filter((pl.col("task") == row["task"]) & (pl.col("model") == row["model"])).sort(
                "seen_examples"
            )
            kept = np.unique(np.round(np.linspace(0, len(curve) - 1, min(len(curve), MOST_POINTS))).astype(int))
            pilot = curve[kept][: row["pilot_points"]].select(
                tokens=pl.col("seen_examples").cast(pl.Float64), loss="metric_value"
            )
            said = rung.forecast_selection(rung.select(pilot), D=float(row["target_examples"]))
            low, high = said.run_interval
            found.append((low <= row["target_value"] <= high, high - low, abs(said.value - row["target_value"])))
            print(
                f"{row['model']}, {row['pilot_points']} points, {row['target_horizon']:.0f}x: {said.value:.3f} "
                f"({low:.3f} to {high:.3f}), measured {row['target_value']:.3f}"
            )
    inside, width, error = (np.array(part) for part in zip(*found, strict=True))
    print("\n| method | coverage | median width | median absolute error |\n|---|---|---|---|")
    print(f"| rung select | {inside.mean():.2f} | {np.median(width):.3f} | {np.median(error):.4f} |")
    for name in ("bootstrap", "certificate_3x", "certificate_4x"):
        widths = targets[f"{name}_upper"] - targets[f"{name}_lower"]
        print(f"| published {name} | {targets[f'{name}_covered'].mean():.2f} | {widths.median():.3f} | |")


if __name__ == "__main__":
    main()
