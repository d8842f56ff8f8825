"""Errors of laws by distance: `python benchmarks/law_errors.py [-o src/rung/fitting/backtest/law_errors.json]`.

Every law that `rung select` compares by default in N and D, and Farseer, are fitted to the smaller scales of the published
studies and scored on larger ones, near and 10, 30, 100 and 300 times as far. rung.fitting.backtest.law_prior uses the
figures.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np

import rung
import studies
from rung.fitting.estimate.multistart import QUICK
from rung.fitting.estimate.setup import set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.fitting.report import FitOptions, fit_setup
from rung.fitting.selection import CANDIDATES

LAWS = (*CANDIDATES[("N", "D")], "farseer")


def error_of(part, law):
    """Mean absolute error of the logarithm of the loss over the rows held out, each at most 1; None without a value."""
    table = rung.read_runs(part.fitted)
    setup = set_up(table, FitSpecification(law=law, target="loss"))
    fit, _ = fit_setup(setup, FitOptions(draws=0, effort=QUICK, interval="sandwich"))
    held = part.held_out
    where = {symbol: held[column].to_numpy().astype(float) for symbol, column in (("N", "params"), ("D", "tokens"))}
    forecast = np.log(fit.law.value(fit.values, where))
    error = np.minimum(np.abs(forecast - np.log(held["loss"].to_numpy())), 1.0)
    return float(np.mean(error)) if np.all(np.isfinite(error)) else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    rows, names = [], []
    print(f"| part | fitted, held out | {' | '.join(LAWS)} |")
    for whole in studies.surfaces():
        for part in (whole, *studies.far_parts(whole)):
            errors = {}
            for law in LAWS:
                try:
                    errors[law] = error_of(part, law)
                except rung.RungError:
                    errors[law] = None
            shown = ["-" if error is None else f"{100 * error:.2f}" for error in errors.values()]
            print(f"| {part.name} | {len(part.fitted)}, {len(part.held_out)} | {' | '.join(shown)} |", flush=True)
            scale = studies.scale_of(part.runs)
            distance = float(np.log(np.median(scale[part.held]) / scale[~part.held].max()))
            known = {law: round(error, 6) for law, error in errors.items() if error is not None}
            names.append(part.name)
            rows.append({"study": part.family, "distance": round(distance, 3), "errors": known})
    for factor in (1, *studies.FACTORS):
        part = [
            row["errors"]
            for row, name in zip(rows, names, strict=True)
            if name.endswith(f" {factor}x") or (factor == 1 and name[-1] != "x")
        ]
        means = [np.exp(np.mean(np.log([errors[law] for errors in part if law in errors]))) for law in LAWS]
        place = "near" if factor == 1 else f"{factor}x"
        print(f"| {place}: geometric mean | {len(part)} parts | {' | '.join(f'{100 * mean:.2f}' for mean in means)} |")
    if arguments.output:
        content = {"made_by": "benchmarks/law_errors.py", "version": rung.__version__, "parts": rows}
        Path(arguments.output).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
