"""How long a ladder will take here: a few steps of a few of its runs are timed, and the rest follows from their FLOPs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rung.ladder.execution.options import Launch
from rung.ladder.rung import Rung

_MOST_FLOPS = 3e11
"""A step that computes more than this is not tried for an estimate."""
_TIMED = 3


def state_bytes(rung: Rung) -> float:
    """Memory of weights, gradients, moments and average, all in fp32; activations are not in it [bytes]."""
    copies = 2 + (2 if rung.recipe.optimizer == "adamw" else 1) + (1 if rung.recipe.ema else 0)
    return 4.0 * copies * rung.counts.total


def step_flops(rung: Rung) -> float:
    """FLOPs of one step [FLOP]."""
    return rung.flops_exact / rung.steps


def seconds(rungs: Sequence[Rung], launch: Launch, keep: Path | None) -> list[float] | None:
    """Seconds that each run takes on this machine, by timing; None where every step is too much to try.

    A step takes a time for each layer and a time for each FLOP; evaluations count as a third of a step's FLOPs.
    """
    import torch

    from rung.ladder.training.trainer import Trainer, best_device

    few = sorted((rung for rung in rungs if step_flops(rung) <= _MOST_FLOPS), key=step_flops)
    if not few:
        return None
    before = torch.get_num_threads()
    torch.set_num_threads(launch.threads or max(1, (os.cpu_count() or 1) // launch.workers))
    measured = []
    for place in sorted({0, len(few) // 2, len(few) - 1}):
        rung = few[place]
        trainer = Trainer(rung, device=best_device(launch.device), keep=keep)
        float(trainer.advance())
        began = time.perf_counter()
        for _ in range(_TIMED):
            loss = trainer.advance()
        float(loss)
        measured.append((rung.size.depth, step_flops(rung), (time.perf_counter() - began) / _TIMED))
    torch.set_num_threads(before)
    per_layer, per_flop = _rates(np.array(measured))
    return [
        rung.steps * (per_layer * rung.size.depth + per_flop * step_flops(rung)) + per_flop * _evaluation_flops(rung)
        for rung in rungs
    ]


def _rates(measured: np.ndarray) -> tuple[float, float]:
    """Seconds for a layer and for a FLOP, neither below zero, by relative error."""
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
