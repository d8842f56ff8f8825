"""The training time of a ladder on this machine, extrapolated by FLOPs from a few timed steps of a few runs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rung.ladder.execution.options import Launch
from rung.ladder.rung import Rung

_MOST_FLOPS = 3e11
"""Steps with more FLOPs than this are not timed, so that an estimate stays quick [FLOP]."""
_TIMED = 3
"""Steps that are timed of each run, after an untimed first one [count]."""


def state_bytes(rung: Rung) -> float:
    """Memory of weights, gradients, optimizer moments and average weights in fp32, without activations [bytes]."""
    copies = 2 + (2 if rung.recipe.optimizer == "adamw" else 1) + (1 if rung.recipe.ema else 0)
    return 4.0 * copies * rung.counts.total


def step_flops(rung: Rung) -> float:
    """FLOPs of one step [FLOP]."""
    return rung.flops_exact / rung.steps


def seconds(rungs: Sequence[Rung], launch: Launch, keep: Path | None) -> list[float] | None:
    """Time of each run on this machine, from timed steps; None if every step is too large to time [s].

    The time of a step is a * depth + b * FLOPs; a and b are estimated from the timed steps. An evaluation costs a third
    of the FLOPs of a training step on the same items: it has no backward pass.
    """
    import torch

    from rung.ladder.training.trainer import Trainer, best_device

    timeable = sorted((rung for rung in rungs if step_flops(rung) <= _MOST_FLOPS), key=step_flops)
    if not timeable:
        return None
    before = torch.get_num_threads()
    torch.set_num_threads(launch.threads or max(1, (os.cpu_count() or 1) // launch.workers))
    measured = []
    for index in sorted({0, len(timeable) // 2, len(timeable) - 1}):
        rung = timeable[index]
        trainer = Trainer(rung, device=best_device(launch.device), keep=keep)
        float(trainer.advance())
        start = time.perf_counter()
        for _ in range(_TIMED):
            loss = trainer.advance()
        float(loss)
        measured.append((rung.size.depth, step_flops(rung), (time.perf_counter() - start) / _TIMED))
    torch.set_num_threads(before)
    per_layer, per_flop = _rates(np.array(measured))
    return [
        rung.steps * (per_layer * rung.size.depth + per_flop * step_flops(rung)) + per_flop * _evaluation_flops(rung)
        for rung in rungs
    ]


def _rates(measured: np.ndarray) -> tuple[float, float]:
    """Seconds per layer and per FLOP, by least squares of the relative error.

    If only one run was timed, or one of the two would not be positive, the time per layer is 0 and the time per FLOP is
    the largest of the timed runs.
    """
    depth, flops, taken = measured.T
    if len(measured) > 1:
        found = np.linalg.lstsq(np.stack([depth / taken, flops / taken], axis=1), np.ones(len(taken)), rcond=None)[0]
        if (found > 0).all():
            return float(found[0]), float(found[1])
    return 0.0, float((taken / flops).max())


def _evaluation_flops(rung: Rung) -> float:
    family = rung.made_family
    evaluations = len(rung.evaluate.steps(rung.recipe, rung.steps))
    return evaluations * rung.evaluate.items * family.item_tokens * family.flops_per_token(rung.size) / 3
