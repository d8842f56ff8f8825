import os
import subprocess
import sys
from pathlib import Path

import pytest


def bound_to_a_core():
    """Bind a worker of pytest-xdist, and all that it starts, to a core of its own: threads of several workers on one core wait for each other."""
    worker, count = os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if worker.startswith("gw") and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if 1 < len(cores) <= count:
            os.sched_setaffinity(0, {cores[int(worker[2:]) % len(cores)]})


bound_to_a_core()  # before NumPy counts the cores

import rung  # noqa: E402

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
