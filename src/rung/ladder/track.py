"""Where runs are logged in addition to their folders."""

from __future__ import annotations

from dataclasses import dataclass

from rung.errors import LadderError
from rung.messages import did_you_mean

TRACKERS = ("mlflow", "wandb", "tensorboard")
"""Trackers that a ladder file may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The tracker of a ladder's runs; plain values, so it can be sent to any worker.

    Attributes:
        to: mlflow, wandb or tensorboard; "" for no tracker.
        address: Server or folder; "" for the default of the tracker's library.
        experiment: Name of the experiment that holds the runs.
    """

    to: str = ""
    address: str = ""
    experiment: str = "rung"

    def __post_init__(self) -> None:
        if self.to not in {"", *TRACKERS}:
            raise LadderError(
                f"to = {self.to!r} is not known; it is one of {', '.join(TRACKERS)}.{did_you_mean(self.to, TRACKERS)}"
            )
