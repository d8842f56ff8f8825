"""Model discrepancy in published studies: `python benchmarks/discrepancy.py [-o src/rung/fitting/backtest/discrepancy.json]`.

For every study a law is fitted to the smaller scales and scored on the larger ones, over rolling cuts. The result is the
tau of largest likelihood for those errors: once for the law that `rung fit` uses by default (chinchilla, or a power law
with an irreducible loss for curves of one variable), once for the combined forecast of `rung select`. Parts of one study
count as one. rung.fitting.backtest.discrepancy defines tau.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np

import rung
import studies
from rung.fitting.backtest.discrepancy import GRID, tau_log_likelihood
from rung.fitting.estimate.setup import set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.fitting.report import FitOptions, fit_setup
from rung.fitting.selection import combined_backtest


def default_law(study):
    if {"params", "tokens"} <= set(study.runs.columns):
        return "chinchilla"
    if "characters" in study.runs.columns:
        return "vocabulary"
    return "clark-2022" if "num_experts" in study.runs.columns else "E + B / D^beta"


def log_likelihood(scored):
    """Log-likelihood of each tau of the grid for a backtest, and its number of cuts; None where it has none."""
    if scored is None:
        return None
    values, cuts = tau_log_likelihood(scored)
    return (values, cuts) if cuts else None


def measured(study):
    """Log-likelihoods of tau for the default law and for the combined forecast of one study."""
    table = rung.read_runs(study.runs)
    setup = set_up(table, FitSpecification(law=default_law(study), target="loss"))
    _, rolled = fit_setup(setup, FitOptions(interval="sandwich", draws=0))
    single = log_likelihood(rolled.scored)
    try:
        combined = log_likelihood(combined_backtest(table))
    except rung.RungError:
        combined = None
    return single, combined


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output")
    parser.add_argument("--curves", type=int, default=12, help="curves of each collection")
    parser.add_argument("--only", help="studies whose name contains this")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    families = {}
    for study in studies.all_studies(arguments.curves):
        if arguments.only and arguments.only not in study.name:
            continue
        try:
            single, combined = measured(study)
        except rung.RungError as error:
            print(f"{study.name}: {error}", file=sys.stderr)
            continue
        shown = []
        for index, found in enumerate((single, combined)):
            if found is not None:
                families.setdefault(study.family, ([], []))[index].append(found[0])
                shown.append(f"{GRID[int(np.argmax(found[0]))]:.2f} over {found[1]} cuts")
        print(f"{study.name:45s} {'; '.join(shown)}", flush=True)
    rows = []
    for family, parts in families.items():
        # The mean, not the sum: parts of a study are not independent.
        taus = [float(GRID[int(np.argmax(np.mean(part, axis=0)))]) if part else None for part in parts]
        rows.append({"study": family, "tau": round(taus[0], 3), "tau_combined": round(taus[1], 3) if taus[1] else None})
        print(rows[-1])
    if arguments.output:
        content = {"made_by": "benchmarks/discrepancy.py", "version": rung.__version__, "studies": rows}
        Path(arguments.output).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
