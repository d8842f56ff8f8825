"""Importing from stores, compared with the stores' own clients: values and time. `python benchmarks/stores.py [mlflow|tensorboard|wandb|tables]`.

200 generated runs a store: every imported number is compared with what the store's own client gives. Then the time of an
import of 1,100 MLflow runs over HTTP beside `search_runs`, and of long event files beside TensorBoard's accumulator.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from rung.runs.sources import ColumnOverrides, import_runs
from test_import import mlflow_server

RUNS = 200


def planted(rng):
    """Settings, steps and losses of one run."""
    steps = np.arange(1, rng.integers(4, 20)) * int(rng.integers(10, 200))
    losses = 2 + 100 / steps + 0.01 * rng.standard_normal(len(steps))
    return (
        {
            "n_params": int(10 ** rng.uniform(6, 9)),
            "global_batch_size": int(rng.integers(1, 64)),
            "seq_len": 128,
            "lr": float(rng.uniform(1e-4, 1e-2)),
        },
        steps,
        losses,
    )


def compare(name, found, expected):
    """Print how many runs and numbers agree; `expected` gives params, tokens, step and loss by run."""
    rows = {row["run"]: row for row in found.frame.to_dicts()}
    wrong = [
        (run, column, rows.get(run, {}).get(column), value)
        for run, values in expected.items()
        for column, value in values.items()
        if rows.get(run, {}).get(column) != value
    ]
    count = sum(len(values) for values in expected.values())
    print(f"| {name} | {len(rows)} of {len(expected)} | {count - len(wrong)} of {count} |", *wrong[:3], flush=True)


def mlflow_store(folder):
    import mlflow
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    with mlflow_server(folder) as address:
        client = MlflowClient(address)
        experiment = client.create_experiment("sweep")
        rng = np.random.default_rng(0)
        for index in range(1100):
            settings, steps, losses = planted(rng)
            run = client.create_run(experiment, run_name=f"r{index}").info.run_id
            points = [
                Metric("eval_loss", float(loss), 1_700_000_000_000 + at, int(step))
                for at, (step, loss) in enumerate(zip(steps, losses, strict=True))
            ]
            client.log_batch(run, points, [Param(key, str(value)) for key, value in settings.items()])
            client.set_terminated(run)
        mlflow.set_tracking_uri(address)
        frame = mlflow.search_runs(["0", experiment], max_results=5000)
        last = {row["tags.mlflow.runName"]: row for row in frame.to_dict("records")}
        found = import_runs(f"mlflow:{address}", experiment="sweep")
        expected = {}
        for index in range(1100):
            row = last[f"r{index}"]
            step = client.get_metric_history(row["run_id"], "eval_loss")[-1].step if index < RUNS else None
            expected[f"r{index}"] = {
                "loss": row["metrics.eval_loss"],
                "params": float(row["params.n_params"]),
                "lr": float(row["params.lr"]),
            }
            if step is not None:
                expected[f"r{index}"] |= {
                    "step": step,
                    "tokens": float(step * int(row["params.global_batch_size"]) * 128),
                }
        compare("MLflow over HTTP, pandas over search_runs", found, expected)
        ratios, ours, theirs = [], [], []
        for _ in range(5):
            begun = time.perf_counter()
            mlflow.search_runs([experiment], max_results=5000)
            middle = time.perf_counter()
            import_runs(f"mlflow:{address}", experiment="sweep")
            ended = time.perf_counter()
            ours.append(ended - middle)
            theirs.append(middle - begun)
            ratios.append(ours[-1] / theirs[-1])
        print(
            f"1,100 runs over HTTP: {np.median(ours):.2f} s, search_runs {np.median(theirs):.2f} s, ratio {np.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]"
        )


def tensorboard_store(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    rng = np.random.default_rng(1)
    for index in range(RUNS):
        settings, steps, losses = planted(rng)
        with SummaryWriter(str(folder / f"r{index}")) as writer:
            writer.add_text("settings", str(settings).replace("'", '"'))
            for step, loss in zip(steps, losses, strict=True):
                writer.add_scalar("eval/loss", loss, int(step))
                writer.add_scalar("tokens", 1000.0 * step, int(step))
    expected = {}
    for index in range(RUNS):
        accumulator = EventAccumulator(str(folder / f"r{index}"), size_guidance={"scalars": 0})
        accumulator.Reload()
        loss, tokens = accumulator.Scalars("eval/loss")[-1], accumulator.Scalars("tokens")[-1]
        expected[f"r{index}"] = {"loss": loss.value, "step": loss.step, "tokens": tokens.value}
    compare("TensorBoard, its event accumulator", import_runs(f"tensorboard:{folder}"), expected)
    long = folder / "long"
    with SummaryWriter(str(long)) as writer:
        for step in range(150_000):
            writer.add_scalar("train/loss", 2 + 1 / (step + 1), step)
            writer.add_scalar("tokens", 1000.0 * step, step)
    begun = time.perf_counter()
    EventAccumulator(str(long), size_guidance={"scalars": 0}).Reload().Scalars("train/loss")
    middle = time.perf_counter()
    import_runs(f"tensorboard:{long}")
    print(
        f"300,000 events: {time.perf_counter() - middle:.1f} s, event accumulator {middle - begun:.1f} s, ratio {(time.perf_counter() - middle) / (middle - begun):.2f}"
    )


def wandb_store(folder):
    import wandb

    os.environ["WANDB_MODE"], os.environ["WANDB_SILENT"] = "offline", "true"
    rng = np.random.default_rng(2)
    expected = {}
    for index in range(RUNS):
        settings, steps, losses = planted(rng)
        run = wandb.init(
            project="p",
            name=f"r{index}",
            dir=str(folder),
            config=settings,
            settings=wandb.Settings(x_disable_stats=True, console="off"),
        )
        for step, loss in zip(steps, losses, strict=True):
            run.log({"eval/loss": float(loss), "train/global_step": int(step)})
        # What the client itself says of the run: its summary, from which its server and exports are filled.
        summary = dict(run.summary)
        tokens = float(summary["train/global_step"] * settings["global_batch_size"] * settings["seq_len"])
        expected[f"r{index}"] = {
            "loss": summary["eval/loss"],
            "step": summary["train/global_step"],
            "params": float(settings["n_params"]),
            "lr": settings["lr"],
            "tokens": tokens,
        }
        run.finish()
    wandb.teardown()
    compare("W&B offline, its own summary", import_runs(f"wandb:{folder}"), expected)


def tables(folder):
    """Long tables of checkpoints, whose only peer is the reading of their text."""
    import json

    import polars as pl

    steps = np.arange(1, 300_001)
    frame = pl.DataFrame(
        {"step": steps, "val_loss": 2 + 1 / steps, "tokens": steps * 1000, "n_params": np.full(len(steps), 1e6)}
    )
    frame.write_csv(folder / "long.csv")
    (folder / "long.jsonl").write_text("".join(json.dumps(row) + "\n" for row in frame.to_dicts()))
    for kind, read in (("csv", pl.read_csv), ("jsonl", pl.read_ndjson)):
        begun = time.perf_counter()
        read(folder / f"long.{kind}")
        middle = time.perf_counter()
        found = import_runs(f"{kind}:{folder / f'long.{kind}'}", overrides=ColumnOverrides(checkpoints=True))
        assert found.frame["loss"].to_list() == frame["val_loss"].to_list()
        print(
            f"| 300,000 rows of {kind}, every checkpoint | {time.perf_counter() - middle:.2f} s | Polars alone {middle - begun:.2f} s |"
        )


STORES = {"mlflow": mlflow_store, "tensorboard": tensorboard_store, "wandb": wandb_store, "tables": tables}


def main():
    names = sys.argv[1:] or list(STORES)
    if len(names) > 1:
        for name in names:
            subprocess.run([sys.executable, __file__, name], check=True)
        return
    print("| store, and its own client | runs | numbers equal |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        STORES[names[0]](Path(folder))


if __name__ == "__main__":
    main()
