"""Trackers that a run tells of itself to while it trains, beside its folder: MLflow, W&B, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from rung.errors import LadderError
from rung.files import write_text
from rung.ladder.ladder_file import TRACKERS
from rung.ladder.training.run_folder import RunFolder
from rung.ladder.training.worker import Tracker


def make_tracker(wish: tuple[str, str, str], folder: RunFolder, say: Callable[[str], None]) -> Tracker | None:
    """The tracker of a run by name, address and experiment; None where none is wished for.

    A run that is taken up again goes on under the name that it had there.

    Raises:
        LadderError: There is no such tracker, its package is not installed, or it does not answer.
    """
    name, address, experiment = wish
    if not name:
        return None
    if name not in TRACKERS:
        raise LadderError(f"[track] to = {name!r} is not known; it is one of {', '.join(TRACKERS)}.")
    try:
        make: dict[str, Callable[[str, str, RunFolder], Tracker]]
        make = {"mlflow": Mlflow, "wandb": Wandb, "tensorboard": TensorBoard}
        return Tolerant(make[name](address, experiment, folder), name, say)
    except ModuleNotFoundError as error:
        raise LadderError(f'[track] to = "{name}" needs {error.name}: pip install "rung[{name}]".') from None
    except Exception as error:  # noqa: BLE001  # trackers raise what they like, and a user wants one sentence of it
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LadderError(f"[track] to = {name!r} at {address or 'its own place'} does not answer: {text}") from None


class Tolerant:
    """A tracker whose failure is said once and ends the telling, not the training."""

    def __init__(self, tracker: Tracker, name: str, say: Callable[[str], None]) -> None:
        self.tracker: Tracker | None = tracker
        self.name, self.say = name, say

    def _tell(self, tell: Callable[[Tracker], None]) -> None:
        if self.tracker is None:
            return
        try:
            tell(self.tracker)
        except Exception as error:  # noqa: BLE001  # the same
            text = (str(error).strip() or type(error).__name__).splitlines()[0]
            self.say(f"{self.name} answers no more ({text}); the run goes on, and its folder has everything.")
            self.tracker = None

    def log(self, line: Mapping[str, Any]) -> None:
        self._tell(lambda tracker: tracker.log(line))

    def end(self, status: str) -> None:
        self._tell(lambda tracker: tracker.end(status))


def settings(folder: RunFolder) -> dict[str, Any]:
    """What a tracker is told about a run once: sizes, data, recipe."""
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
    """The numbers of one line of metrics that have a curve."""
    return {
        **{name: float(line[name]) for name in ("train_loss", "lr", "tokens") if name in line},
        **{name: float(value) for name, value in line.get("evaluation", {}).items()},
    }


class Mlflow:
    """A run of an MLflow server or store."""

    def __init__(self, address: str, experiment: str, folder: RunFolder) -> None:
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(tracking_uri=address or None)
        known = self.client.get_experiment_by_name(experiment)
        place = known.experiment_id if known else self.client.create_experiment(experiment)
        kept = folder.path / "mlflow.json"
        if kept.exists():
            self.run = str(json.loads(kept.read_text())["run"])
        else:
            self.run = self.client.create_run(place, run_name=folder.path.name).info.run_id
            for name, value in settings(folder).items():
                self.client.log_param(self.run, name, value)
            write_text(kept, json.dumps({"run": self.run}))

    def log(self, line: Mapping[str, Any]) -> None:
        for name, value in scalars(line).items():
            self.client.log_metric(self.run, name, value, step=int(line["step"]))

    def end(self, status: str) -> None:
        self.client.set_terminated(self.run, {"done": "FINISHED", "failed": "FAILED"}.get(status, "KILLED"))


class Wandb:
    """A run of W&B; WANDB_MODE=offline keeps it on this machine."""

    def __init__(self, address: str, experiment: str, folder: RunFolder) -> None:
        import wandb

        kept = folder.path / "wandb.json"
        if not kept.exists():
            write_text(kept, json.dumps({"run": uuid4().hex[:12]}))
        self.run = wandb.init(
            project=experiment,
            name=folder.path.name,
            id=json.loads(kept.read_text())["run"],
            resume="allow",
            config=settings(folder),
            dir=address or str(folder.path),
        )

    def log(self, line: Mapping[str, Any]) -> None:
        self.run.log(scalars(line), step=int(line["step"]))

    def end(self, status: str) -> None:
        self.run.finish(exit_code=0 if status == "done" else 1)


class TensorBoard:
    """Event files, in the run's folder by default."""

    def __init__(self, address: str, experiment: str, folder: RunFolder) -> None:
        del experiment
        from torch.utils.tensorboard.writer import SummaryWriter

        place = f"{address}/{folder.path.name}" if address else str(folder.path / "tensorboard")
        self.writer = SummaryWriter(place)
        self.writer.add_text("settings", json.dumps(settings(folder)))

    def log(self, line: Mapping[str, Any]) -> None:
        for name, value in scalars(line).items():
            self.writer.add_scalar(name, value, int(line["step"]))

    def end(self, status: str) -> None:
        del status
        self.writer.close()
