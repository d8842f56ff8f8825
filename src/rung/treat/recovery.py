"""Pruning in stages, with training between them that what stays can make up for what goes.

    share after stage i of S    s (1 - (1 - i / S)^3)
    rate within a stage         falls in a line from its height to 0, and begins anew with each stage
    objective                   (1 - soft) CE + soft KL(dense model || pruned model)

The matrices that are pruned go on learning, with their zeros held at zero; embedding, head and norms stay as they are.

Source: Zhu and Gupta 2017, arXiv:1710.01878, for the shares; Kurtic et al. 2022, arXiv:2203.07259, for the rate and the dense model as a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rung.errors import ModelError
from rung.messages import counted
from rung.models import OpenModel, open_model
from rung.progress import reported
from rung.treat.calibration import windows_of_text
from rung.treat.pruners import PRUNE, Work
from rung.treat.pruning import Pruning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

LEARNING_RATE = 1e-4
"""Height of the learning rate by default."""

_BETAS = (0.9, 0.95)
_CLIP = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How a pruned model goes on learning.

    Attributes:
        batches: The text, as batches of windows (rows, tokens + 1).
        steps: Batches that are learnt, over all stages [count].
        stages: In how many stages the share is reached [count].
        lr: Height of the learning rate.
        soft: Share of the objective that learns from the dense model.
        teacher: The dense model; None without one.
    """

    batches: Sequence[Tensor]
    steps: int
    stages: int
    lr: float
    soft: float
    teacher: OpenModel | None

    @classmethod
    def of(cls, model: OpenModel, place: Path, how: Pruning) -> Recovery:
        """What a request asks for: as many windows of the text as there are, again and again where more tokens are asked for.

        Raises:
            ModelError: There are fewer batches than stages.
        """
        wanted = max(round(how.recover / (how.context or model.context)), 1)
        batches = windows_of_text(
            model, how.calibrate, count=wanted, context=how.context, seed=how.seed + 1, fewer=True
        )
        order = np.random.default_rng(how.seed).permutation(len(batches))
        steps, stages = max(round(wanted / batches[0].shape[0]), 1), how.stages or 1
        if steps < stages:
            raise ModelError(f"--recover {how.recover:g} is {counted(steps, 'batch', 'batches')}, fewer than --stages {stages}. Ask for more tokens.")  # fmt: skip
        soft = how.soft or 0.0
        return cls(
            batches=[batches[index] for index in order],
            steps=steps,
            stages=stages,
            lr=how.lr or LEARNING_RATE,
            soft=soft,
            teacher=open_model(place, device=how.device) if soft else None,
        )

    def batch(self, step: int) -> Tensor:
        """What is learnt in a step."""
        return self.batches[step % len(self.batches)]

    @property
    def tokens(self) -> int:
        """Tokens that are learnt [count]."""
        return sum(_tokens_of(self.batch(step)) for step in range(self.steps))


def _tokens_of(batch: Tensor) -> int:
    return int(batch.shape[0] * (batch.shape[1] - 1))


def prune_and_recover(work: Work, recovery: Recovery | None) -> tuple[float | None, float]:
    """Prune in place, in stages and with training where that is asked: which damping was used, and the cost [FLOP]."""
    if recovery is None:
        return PRUNE[work.how.method](work)
    damp, cost = None, 0.0
    for stage in reported(range(1, recovery.stages + 1), "stages"):
        part = replace(work, how=replace(work.how, to=share_after(stage, recovery.stages, work.sparsity)))
        damp, of_pruning = PRUNE[work.how.method](part)
        first = recovery.steps * (stage - 1) // recovery.stages
        last = recovery.steps * stage // recovery.stages
        cost += of_pruning + _learn(work, recovery, range(first, last))
    return damp, cost


def share_after(stage: int, stages: int, share: float) -> float:
    """The share of zeros after a stage, counted from 1: quickly at first, while much can go."""
    return share * (1 - (1 - stage / stages) ** 3)


def rate_at(done: int, steps: int, height: float) -> float:
    """The learning rate of a stage after so many of its steps."""
    return height * (1 - done / steps)


def _learn(work: Work, recovery: Recovery, steps: range) -> float:
    """Learn some batches with the zeros of the matrices held; what it cost [FLOP]."""
    import torch

    masks = [layer.matrix != 0 for layer in work.layers]
    weights: list[Any] = [layer.module.weight for layer in work.layers]
    cost = 0.0
    with _learning(work.model, weights):
        optimizer = torch.optim.AdamW(weights, lr=recovery.lr, betas=_BETAS, weight_decay=0.0)
        for done, step in enumerate(steps):
            batch = recovery.batch(step)
            for group in optimizer.param_groups:
                group["lr"] = rate_at(done, len(steps), recovery.lr)
            optimizer.zero_grad(set_to_none=True)
            loss = _objective(work.model, recovery, batch)
            if not torch.isfinite(loss):
                raise ModelError(f"the loss is not finite after {step} batches of recovery. Take a smaller --lr.")
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(weights, _CLIP)
            optimizer.step()
            for layer, mask in zip(work.layers, masks, strict=True):
                layer.matrix.mul_(mask)
            # Forward and backward, and forward through the teacher.
            passes = 3 + (recovery.teacher is not None)
            cost += passes * work.model.size.flops_per_token(batch.shape[1] - 1) * _tokens_of(batch)
    return cost


def _objective(model: OpenModel, recovery: Recovery, tokens: Tensor) -> Tensor:
    import torch
    from torch.nn import functional

    logits = model.logits(tokens[:, :-1]).flatten(0, 1).float()
    hard = functional.cross_entropy(logits, tokens[:, 1:].reshape(-1))
    if recovery.teacher is None:
        return hard
    with torch.no_grad():
        wanted = functional.log_softmax(recovery.teacher.logits(tokens[:, :-1]).flatten(0, 1).float(), dim=-1)
    apart = functional.kl_div(functional.log_softmax(logits, dim=-1), wanted, log_target=True, reduction="batchmean")
    return (1 - recovery.soft) * hard + recovery.soft * apart


@contextmanager
def _learning(model: OpenModel, weights: Sequence[Any]) -> Iterator[None]:
    """A context in which these weights and no others have gradients."""
    import torch

    before = [(one, one.requires_grad) for one in model.network.parameters()]
    try:
        for one, _ in before:
            one.requires_grad_(False)
        for one in weights:
            one.requires_grad_(True)
        with torch.enable_grad():
            yield
    finally:
        for one, wanted in before:
            one.requires_grad_(wanted)
            one.grad = None
