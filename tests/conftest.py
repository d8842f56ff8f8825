import os
import subprocess
import sys
from pathlib import Path

import pytest

import rung

ROOT = Path(__file__).parent.parent


def data_folder():
    """Where published training runs lie: RUNG_DATA, or the folder shared/data beside the checkout."""
    return Path(os.environ.get("RUNG_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture
def study():
    """The path of a published table, or a skip that says why."""

    def path(name):
        file = data_folder() / name
        if not file.exists():
            pytest.skip(
                f"the published table {name} is not in {data_folder()}; set RUNG_DATA to the folder that holds it"
            )
        return file

    return path


@pytest.fixture
def chinchilla(study):
    """The 240 rows of Hoffmann's figure 4 that the replication kept."""
    return rung.read_runs(study("chinchilla_epoch.csv")).where("excluded_in_replication = 0")


@pytest.fixture
def command(tmp_path):
    """Run the command line in a process of its own, in an empty folder."""

    def run(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "rung.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=options.pop("cwd", tmp_path),
            timeout=120,
            check=False,
            **options,
        )

    return run


@pytest.fixture
def runs_csv(tmp_path):
    """A small plain table: 40 runs of a known law with 1 % noise, columns under other names."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(1)
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e9), 40))
    tokens = params * np.exp(rng.uniform(np.log(5), np.log(100), 40))
    loss = (1.8 + 400 / params**0.34 + 900 / tokens**0.31) * np.exp(0.005 * rng.standard_normal(40))
    file = tmp_path / "runs.csv"
    pl.DataFrame(
        {"model": [f"m{i}" for i in range(40)], "n_params": params, "num_tokens": tokens, "val_loss": loss}
    ).write_csv(file)
    return file
