"""The tutorial of docs/treatments.md: its commands, run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).parent.parent
COMMANDS = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_tutorial_ends_in_a_table_of_worths(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    blocks = COMMANDS.findall((ROOT / "docs" / "treatments.md").read_text())
    assert len(blocks) == 6
    # One thread: beside another test that computes, several would wait for each other.
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(blocks)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    measured = pl.read_csv(tmp_path / "measured.csv")
    loss = dict(zip(measured["run"], measured["loss"], strict=True))
    assert loss["base"] < loss["half"] < loss["smallest-gone"]
    assert loss["half"] < loss["three-tenths"]
    worth = pl.read_csv(tmp_path / "worth.csv")
    assert set(worth["treatment"]) == {"smallest-gone", "half", "three-tenths", "merged"}
    told = worth.filter(pl.col("refused").is_null() | (pl.col("refused") == ""))
    by_name = dict(zip(told["treatment"], told["size_multiplier"], strict=True))
    assert by_name["half"] < 1
    assert told.filter(pl.col("size_multiplier_low") > pl.col("size_multiplier_high")).is_empty()
