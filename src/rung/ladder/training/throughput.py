"""The training time of a ladder on this machine, extrapolated by FLOPs from a few timed steps of a few runs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rung.errors import LadderError
from rung.ladder.cores import own_cores
from rung.ladder.execution.options import Launch
from rung.ladder.rung import Rung
from rung.units import format_bytes

_MOST_FLOPS = 3e11
"""Steps with more FLOPs than this are not timed, so that an estimate stays quick [FLOP]."""
_TIMED = 3
"""Steps that are timed of each run, after an untimed first one [count]."""


_SURELY_MORE = 4.0
"""How many times the memory an estimate must be before a run is refused: estimates are off by a factor."""

_MOST_MEMORY = 1e14
"""Memory that no node of a cluster has [bytes]."""


def state_bytes(rung: Rung) -> float:
    """Memory of weights, gradients, optimizer moments and average weights in fp32, without activations [bytes]."""
    copies = 2 + (2 if rung.recipe.optimizer == "adamw" else 1) + (1 if rung.recipe.ema else 0)
    return 4.0 * copies * rung.counts.total


def activation_bytes(rung: Rung) -> float:
    """Estimated memory of what one pass keeps for its backward pass [bytes].

    68 s b h L bytes for s b items of one pass, width h and L layers, in fp32 without attention scores.
    Source: Korthikanti et al. 2022, arXiv:2205.05198, equation 1 (34 s b h bytes a layer, in 16 bits).
    """
    items = min(rung.recipe.micro_batch or rung.batch, rung.batch) * rung.made_family.item_tokens
    per_value = 34.0 if rung.recipe.precision == "bf16" else 68.0
    return per_value * items * rung.size.width * rung.size.depth


def require_possible(rungs: Sequence[Rung], launch: Launch) -> None:
    """Refuse runs that no memory could hold: on this machine where it trains them itself, otherwise anywhere.

    Raises:
        LadderError: A run needs several times the memory that there is, by the estimate.
    """
    here = launch.launcher in {"here", "local"} and not launch.device.startswith("cuda")
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) if here else _MOST_MEMORY
    for rung in rungs:
        # A batch is drawn whole, as whole numbers of eight bytes, however small its parts are.
        drawn = 8.0 * rung.batch * rung.made_family.item_tokens
        needed = state_bytes(rung) + activation_bytes(rung) + drawn
        if needed > _SURELY_MORE * memory:
            where = f"this machine has {format_bytes(memory)}" if here else f"no machine has {format_bytes(memory)}"
            raise LadderError(
                f"{rung.name} needs about {format_bytes(needed)} ({format_bytes(activation_bytes(rung))} of it activations of one pass, {format_bytes(drawn)} the "
                f"batch), and {where}. Set micro_batch in [recipe] for the activations, or take a smaller batch or size."
            )


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
    torch.set_num_threads(launch.threads or max(1, own_cores() // launch.workers))
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
