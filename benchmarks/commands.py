"""Whole commands and reading, compared with the libraries that they use: `python benchmarks/commands.py`."""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from engine import table
from measure import median_and_range, of_command

ROUNDS = 7
"""Paired rounds of each job."""

RUNG = Path(sys.executable).with_name("rung")


def pair(job, ours, theirs):
    """Measure two commands in paired rounds, and print one row."""
    measured = [(of_command(ours), of_command(theirs)) for _ in range(ROUNDS)]
    cpu = [a[0] / b[0] for a, b in measured]
    wall = [a[1] / b[1] for a, b in measured]
    memory = max(a[2] for a, _ in measured)
    print(
        f"| {job} | {median_and_range([a[0] for a, _ in measured])} | {median_and_range([b[0] for _, b in measured])} "
        f"| **{statistics.median(cpu):.3g}** [{min(cpu):.3g} to {max(cpu):.3g}] | {statistics.median(wall):.3g} | {memory:.0f} |",
        flush=True,
    )


def million_rows(folder):
    rng = np.random.default_rng(0)
    rows = 1_000_000
    file = folder / "checkpoints.parquet"
    pl.DataFrame(
        {
            "run": np.repeat([f"run-{i}" for i in range(1000)], 1000),
            "step": np.tile(np.arange(1000), 1000) + 1,
            "params": np.repeat(np.exp(rng.uniform(16, 23, 1000)), 1000),
            "tokens": rng.uniform(1e8, 1e12, rows),
            "loss": rng.uniform(2, 4, rows),
            "lr": rng.uniform(1e-4, 1e-3, rows),
        }
    ).write_parquet(file)
    return file


def main():
    python = sys.executable
    # Modules are compiled once, as on any machine that has run the command before.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print(
        "| command | ours, CPU s | theirs, CPU s | ours / theirs, CPU | wall | our peak MB |\n|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = folder / "runs.csv"
        table().frame.select("params", "tokens", "loss").write_csv(runs)
        pair("`rung --help` / `import numpy`", [RUNG, "--help"], [python, "-c", "import numpy"])
        pair(
            "`rung fit` 240 rows, 1000 draws / `import numpy, polars`",
            [RUNG, "fit", runs],
            [python, "-c", "import numpy, polars"],
        )
        for module in ("scipy.special", "scipy.optimize", "scipy.stats"):
            pair(
                f"`import numpy, polars, {module}` / `import numpy, polars`",
                [python, "-c", f"import numpy, polars, {module}"],
                [python, "-c", "import numpy, polars"],
            )
        file = million_rows(folder)
        columns = ["run", "step", "params", "tokens", "loss", "lr"]
        # Only the reading is compared: the import is the same for both and comes first.
        reading = Path(__file__).with_name("reading.py")
        subprocess.run([python, reading, file, *columns], check=True)
        text = file.with_suffix(".csv")
        pl.read_parquet(file).write_csv(text)
        subprocess.run([python, reading, text, *columns], check=True)


if __name__ == "__main__":
    main()
