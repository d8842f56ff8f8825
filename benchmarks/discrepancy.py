"""What laws strayed by in published studies: `python benchmarks/discrepancy.py [-o src/rung/fit/discrepancy.json]`.

For every study a law is fitted to the smaller scales and scored on the larger, over rolling cuts, and the tau under
which those errors are likeliest is kept: once for the law that `rung fit` takes by default (chinchilla, or a power law
with a floor for curves of one variable), once for the combined forecast of `rung select`. Parts of one study count as
one. See rung.fit.discrepancy for what tau is.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np

import rung
from rung.fitting.backtest.discrepancy import GRID, likelihood
from rung.fitting.estimate.setup import set_up
from rung.fitting.report import fit_setup
from rung.fitting.selection import combined_backtest

sys.path.append(str(Path(__file__).parent))
import studies


def default_law(study):
    if {"params", "tokens"} <= set(study.runs.columns):
        return "chinchilla"
    if "characters" in study.runs.columns:
        return "vocabulary"
    return "clark-2022" if "num_experts" in study.runs.columns else "E + B / D^beta"


def likeliest(scored):
    """The tau under which a backtest is likeliest, and over how many cuts; None where it has none."""
    if scored is None:
        return None
    chance, cuts = likelihood(scored)
    return (chance, cuts) if cuts else None


def measured(study):
    """Log-likelihoods of tau for the default law and for the combined forecast of one study."""
    table = rung.read_runs(study.runs)
    setup = set_up(table, default_law(study), target="loss")
    _, rolled = fit_setup(setup, level=0.9, method="sandwich", draws=0, seed=0)
    alone = likeliest(rolled.scored)
    try:
        together = likeliest(combined_backtest(table))
    except rung.RungError:
        together = None
    return alone, together


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output")
    parser.add_argument("--curves", type=int, default=12)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    families = {}
    for study in studies.all_studies(arguments.curves):
        try:
            alone, together = measured(study)
        except rung.RungError as error:
            print(f"{study.name}: {error}", file=sys.stderr)
            continue
        shown = []
        for place, found in enumerate((alone, together)):
            if found is not None:
                families.setdefault(study.family, ([], []))[place].append(found[0])
                shown.append(f"{GRID[int(np.argmax(found[0]))]:.2f} over {found[1]} cuts")
        print(f"{study.name:45s} {'; '.join(shown)}", flush=True)
    rows = []
    for family, parts in families.items():
        # The mean, not the sum: parts of a study share its faults.
        taus = [float(GRID[int(np.argmax(np.mean(part, axis=0)))]) if part else None for part in parts]
        rows.append({"study": family, "tau": round(taus[0], 3), "tau_combined": round(taus[1], 3) if taus[1] else None})
        print(rows[-1])
    if arguments.output:
        content = {"made_by": "benchmarks/discrepancy.py", "version": rung.__version__, "studies": rows}
        Path(arguments.output).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
