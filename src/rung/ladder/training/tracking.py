"""Trackers that log a run while it trains, in addition to its folder: MLflow, W&B and TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import uuid4

from rung.errors import LadderError
from rung.files import write_text
from rung.ladder.track import Track
from rung.ladder.training.run_folder import RunFolder
from rung.messages import first_line


class Tracker(Protocol):
    """Where a run is logged in addition to its folder."""

    def log(self, line: Mapping[str, Any]) -> None:
        """Log one line of the metrics."""
        ...

    def end(self, status: str) -> None:
        """Close the run with its status."""
        ...


def make_tracker(track: Track, folder: RunFolder, say: Callable[[str], None]) -> Tracker | None:
    """The tracker of a run; None if none is requested.

    A resumed run continues as the same run of the tracker.

    Raises:
        LadderError: The package of the tracker is not installed, or the tracker does not answer.
    """
    name, address = track.to, track.address
    if not name:
        return None
    try:
        make: dict[str, Callable[[str, str, RunFolder], Tracker]]
        make = {"mlflow": Mlflow, "wandb": Wandb, "tensorboard": TensorBoard}
        return Tolerant(make[name](address, track.experiment, folder), name, say)
    except ModuleNotFoundError as error:
        raise LadderError(f'[track] to = "{name}" needs {error.name}: pip install "rung[{name}]".') from None
    except Exception as error:  # noqa: BLE001  # trackers raise any exception, and a user needs one sentence of it
        text = first_line(error)
        raise LadderError(
            f"[track] to = {name!r} at {address or 'its default address'} does not answer: {text}"
        ) from None


class Tolerant:
    """A tracker whose first failure is reported and ends the tracking, while the training continues."""

    def __init__(self, tracker: Tracker, name: str, say: Callable[[str], None]) -> None:
        self.tracker: Tracker | None = tracker
        self.name, self.say = name, say

    def _call(self, call: Callable[[Tracker], None]) -> None:
        if self.tracker is None:
            return
        try:
            call(self.tracker)
        except Exception as error:  # noqa: BLE001  # trackers raise any exception, and none may end the training
            text = first_line(error)
            self.say(f"{self.name} no longer answers ({text}); the run continues, and its folder records everything.")
            self.tracker = None

    def log(self, line: Mapping[str, Any]) -> None:
        self._call(lambda tracker: tracker.log(line))

    def end(self, status: str) -> None:
        self._call(lambda tracker: tracker.end(status))


def settings(folder: RunFolder) -> dict[str, Any]:
    """Settings that are logged once for each run: sizes, data and recipe."""
    rung = folder.rung()
    counts = rung.counts
    return {
        "family": rung.family.name,
        "params": rung.params,
        "params_total": counts.total,
        "params_non_embedding": counts.non_embedding,
        "tokens": rung.tokens,
        "width": rung.size.width,
        "depth": rung.size.depth,
        "batch_tokens": rung.batch * rung.made_family.item_tokens,
        "lr": rung.recipe.lr,
        "seed": rung.seed,
    }


def scalars(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in one line of metrics that are logged as curves."""
    return {
        **{name: float(line[name]) for name in ("train_loss", "lr", "tokens") if name in line},
        **{name: float(value) for name, value in line.get("evaluation", {}).items()},
    }


class Mlflow:
    """A run on an MLflow server or in a local store."""

    def __init__(self, address: str, experiment: str, folder: RunFolder) -> None:
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(tracking_uri=address or None)
        known = self.client.get_experiment_by_name(experiment)
        experiment_id = known.experiment_id if known else self.client.create_experiment(experiment)
        record = folder.path / "mlflow.json"
        if record.exists():
            self.run = str(json.loads(record.read_text())["run"])
        else:
            self.run = self.client.create_run(experiment_id, run_name=folder.path.name).info.run_id
            for name, value in settings(folder).items():
                self.client.log_param(self.run, name, value)
            write_text(record, json.dumps({"run": self.run}))

    def log(self, line: Mapping[str, Any]) -> None:
        for name, value in scalars(line).items():
            self.client.log_metric(self.run, name, value, step=int(line["step"]))

    def end(self, status: str) -> None:
        self.client.set_terminated(self.run, {"done": "FINISHED", "failed": "FAILED"}.get(status, "KILLED"))


class Wandb:
    """A run of W&B; with WANDB_MODE=offline it stays on this machine."""

    def __init__(self, address: str, experiment: str, folder: RunFolder) -> None:
        import wandb

        record = folder.path / "wandb.json"
        if not record.exists():
            write_text(record, json.dumps({"run": uuid4().hex[:12]}))
        self.run = wandb.init(
            project=experiment,
            name=folder.path.name,
            id=json.loads(record.read_text())["run"],
            resume="allow",
            config=settings(folder),
            dir=address or str(folder.path),
        )

    def log(self, line: Mapping[str, Any]) -> None:
        self.run.log(scalars(line), step=int(line["step"]))

    def end(self, status: str) -> None:
        self.run.finish(exit_code=0 if status == "done" else 1)


class TensorBoard:
    """TensorBoard's event files, in the run folder by default."""

    def __init__(self, address: str, experiment: str, folder: RunFolder) -> None:
        del experiment
        from torch.utils.tensorboard.writer import SummaryWriter

        path = f"{address}/{folder.path.name}" if address else str(folder.path / "tensorboard")
        self.writer = SummaryWriter(path)
        self.writer.add_text("settings", json.dumps(settings(folder)))

    def log(self, line: Mapping[str, Any]) -> None:
        for name, value in scalars(line).items():
            self.writer.add_scalar(name, value, int(line["step"]))

    def end(self, status: str) -> None:
        del status
        self.writer.close()
