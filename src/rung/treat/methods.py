"""The methods of merging, each on parts of one tensor at a time.

theta_0 is the base, tau_i = theta_i - theta_0 the task vector of expert i with weight w_i, lambda the scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import ModelError
from rung.models import Weights
from rung.treat.trimming import PART, least_kept

_STRAIGHT = 0.9995
"""Cosine from which two tensors are so nearly parallel that a straight line joins them."""

Combine = Callable[[Sequence[Array]], Array]
"""From the same part of a tensor of every model to that of the merged one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """Numbers of the methods.

    Attributes:
        weights: The weight of each expert (of each model for average); 1 each by default.
        scale: lambda, by which the merged task vector is multiplied.
        keep: Share of each task vector that TIES keeps: its largest entries.
        trim: Where the largest entries are sought: "global", over the model (the paper's), or "tensor" (mergekit's).
        drop: Share of each task vector that DARE drops at random.
        at: Where SLERP stops between the first model (0) and the second (1).
        seed: Seed of what DARE drops.
    """

    weights: tuple[float, ...] = ()
    scale: float = 1.0
    keep: float = 0.2
    trim: str = "global"
    drop: float = 0.5
    at: float = 0.5
    seed: int = 0

    def used(self, method: str) -> dict[str, Any]:
        """The numbers that a method uses."""
        return {name: getattr(self, name) for name in METHODS[method].options}


@dataclass(slots=True)
class Work:
    """Models that are merged, and what a method found out about them.

    Attributes:
        models: The models.
        options: The numbers of the method.
        least: For each expert, the size from which an entry of its task vector is kept.
    """

    models: Sequence[Weights]
    options: MergeOptions
    least: list[float] = field(default_factory=list)

    def parts(self, name: str) -> Iterator[list[Array]]:
        """The same parts of a tensor of every model, one after another."""
        for parts in zip(*(model.floats(name, PART) for model in self.models), strict=True):
            yield list(parts)

    def weights(self, count: int) -> Array:
        """The weights of the experts."""
        return np.array(self.options.weights or (1.0,) * count, dtype=np.float32)

    def names(self) -> list[str]:
        """The tensors of floats."""
        return [name for name, info in self.models[0].tensors.items() if info.is_float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method.

    Attributes:
        meaning: Its formula, with its source.
        options: The numbers that it uses.
        tensor: Prepares one tensor, by its place and name, and says how its parts are combined.
        begin: Looks at the whole models first.
        based: Whether the first model is the base.
        count: The fewest and most models.
    """

    meaning: str
    options: tuple[str, ...]
    tensor: Callable[[Work, int, str], Combine]
    begin: Callable[[Work], None] = lambda _: None
    based: bool = True
    count: tuple[int, int] = (2, 1000)

    def require(self, models: int, options: MergeOptions) -> None:
        """Refuse a number of models or of weights, and numbers out of their range.

        Raises:
            ModelError: One of these does not serve.
        """
        least, most = self.count
        if not least <= models <= most:
            wanted = f"{least}" if least == most else f"{least} or more"
            raise ModelError(
                f"{models} models are given, and this method takes {wanted}{', the base first' if self.based else ''}."
            )
        weighted = models - 1 if self.based else models
        if "weights" in self.options and options.weights and len(options.weights) != weighted:
            raise ModelError(
                f"{len(options.weights)} weights are given for {weighted} {'experts' if self.based else 'models'}."
            )
        if not np.all(np.isfinite([*options.weights, options.scale, options.at])):
            raise ModelError("weights, scale and at must be finite numbers.")
        if "weights" in self.options and not self.based and options.weights and not sum(options.weights) > 0:
            raise ModelError("the weights of an average must sum to more than 0.")
        if "keep" in self.options and not 0 < options.keep <= 1:
            raise ModelError(f"--keep {options.keep:g} must be a share above 0 and at most 1.")
        if "drop" in self.options and not 0 <= options.drop < 1:
            raise ModelError(f"--drop {options.drop:g} must be a share from 0 to below 1.")
        if "trim" in self.options and options.trim not in {"global", "tensor"}:
            raise ModelError(f"--trim {options.trim}: choose global or tensor.")


def _average(work: Work, index: int, name: str) -> Combine:
    del index, name
    weights = work.weights(len(work.models))
    whole = weights.sum()

    def combine(parts: Sequence[Array]) -> Array:
        total: Array = weights[0] * parts[0]
        for weight, part in zip(weights[1:], parts[1:], strict=True):
            total += weight * part
        total /= whole
        return total

    return combine


def _task_arithmetic(work: Work, index: int, name: str) -> Combine:
    del index, name
    weights, scale = work.weights(len(work.models) - 1), np.float32(work.options.scale)

    def combine(parts: Sequence[Array]) -> Array:
        total: Array = weights[0] * (parts[1] - parts[0])
        for weight, part in zip(weights[1:], parts[2:], strict=True):
            total += weight * (part - parts[0])
        total *= scale
        total += parts[0]
        return total

    return combine


def _ties_begin(work: Work) -> None:
    """The size from which entries are kept, of each expert over its whole model, where trimming is global."""
    if work.options.trim == "global":
        work.least = [
            least_kept(work.models[0], work.models[expert], work.names(), work.options.keep)
            for expert in range(1, len(work.models))
        ]


def _ties(work: Work, index: int, name: str) -> Combine:
    del index
    count = len(work.models) - 1
    least = work.least or [
        least_kept(work.models[0], work.models[expert], [name], work.options.keep) for expert in range(1, count + 1)
    ]
    weights = work.weights(count)

    def combine(parts: Sequence[Array]) -> Array:
        tasks = [part - parts[0] for part in parts[1:]]
        for task, size in zip(tasks, least, strict=True):
            task[np.abs(task) < size] = 0.0
        return parts[0] + np.float32(work.options.scale) * _elected(tasks, weights)

    return combine


def _elected(tasks: Sequence[Array], weights: Array) -> Array:
    """The mean, entry by entry, of the task vectors whose sign is that of their sum."""
    weighted = [weight * task for weight, task in zip(weights, tasks, strict=True)]
    sign = np.sign(np.sum(weighted, axis=0))
    total, share = np.zeros_like(tasks[0]), np.zeros_like(tasks[0])
    for weight, task in zip(weights, weighted, strict=True):
        agrees = (np.sign(task) == sign) & (task != 0)
        total += np.where(agrees, task, np.float32(0.0))
        share += np.where(agrees, weight, np.float32(0.0))
    merged: Array = np.divide(total, share, out=np.zeros_like(total), where=share != 0)
    return merged


def _dropped(work: Work, index: int) -> Callable[[Sequence[Array]], list[Array]]:
    """Task vectors of which a random share is dropped and the rest enlarged, so that their mean stays."""
    rngs = [np.random.default_rng([work.options.seed, expert, index]) for expert in range(1, len(work.models))]
    kept = 1.0 - work.options.drop

    def tasks_of(parts: Sequence[Array]) -> list[Array]:
        return [
            np.where(
                rng.random(len(part), dtype=np.float32) < kept, (part - parts[0]) / np.float32(kept), np.float32(0.0)
            )
            for rng, part in zip(rngs, parts[1:], strict=True)
        ]

    return tasks_of


def _dare(work: Work, index: int, name: str) -> Combine:
    del name
    tasks_of, weights = _dropped(work, index), work.weights(len(work.models) - 1) * np.float32(work.options.scale)

    def combine(parts: Sequence[Array]) -> Array:
        total = parts[0].copy()
        for weight, task in zip(weights, tasks_of(parts), strict=True):
            total += weight * task
        return total

    return combine


def _dare_ties(work: Work, index: int, name: str) -> Combine:
    del name
    tasks_of, weights = _dropped(work, index), work.weights(len(work.models) - 1)
    return lambda parts: parts[0] + np.float32(work.options.scale) * _elected(tasks_of(parts), weights)


def _slerp(work: Work, index: int, name: str) -> Combine:
    del index
    return _on_arc(_products(work.parts(name)), work.options.at, lambda parts: (parts[0], parts[1]))


def _task_slerp(work: Work, index: int, name: str) -> Combine:
    del index
    gram = _products([part - parts[0] for part in parts[1:]] for parts in work.parts(name))
    turned = _on_arc(gram, work.options.at, lambda parts: (parts[1] - parts[0], parts[2] - parts[0]))
    return lambda parts: parts[0] + np.float32(work.options.scale) * turned(parts)


def _on_arc(gram: Array, at: float, pair: Callable[[Sequence[Array]], tuple[Array, Array]]) -> Combine:
    lengths = np.sqrt(np.diag(gram))
    cosine = float(gram[0, 1] / (lengths[0] * lengths[1])) if lengths.all() else 1.0
    if abs(cosine) > _STRAIGHT:
        first, second = 1 - at, at
    else:
        angle = float(np.arccos(cosine))
        first, second = (float(np.sin(share * angle) / np.sin(angle)) for share in (1 - at, at))

    def combine(parts: Sequence[Array]) -> Array:
        one, other = pair(parts)
        joined: Array = np.float32(first) * one + np.float32(second) * other
        return joined

    return combine


def _stock(work: Work, index: int, name: str) -> Combine:
    del index
    count = len(work.models) - 1
    gram = _products([part - parts[0] for part in parts[1:]] for parts in work.parts(name))
    lengths = np.sqrt(np.diag(gram))
    pairs = [(i, j) for i in range(count) for j in range(i)]
    cosines = [gram[i, j] / (lengths[i] * lengths[j]) for i, j in pairs if lengths[i] * lengths[j] > 0]
    cosine = float(np.clip(np.mean(cosines), 0.0, 1.0)) if cosines else 1.0
    share = np.float32(count * cosine / (1 + (count - 1) * cosine))

    def combine(parts: Sequence[Array]) -> Array:
        mean = np.mean(parts[1:], axis=0, dtype=np.float32)
        joined: Array = share * mean + (1 - share) * parts[0]
        return joined

    return combine


def _products(parts: Iterator[list[Array]]) -> Array:
    """The scalar products of some tensors with each other, from their parts (k, k)."""
    total: Any = 0.0
    for some in parts:
        stacked = np.stack(some)
        total = total + (stacked @ stacked.T).astype(np.float64)
    return np.asarray(total)


METHODS: dict[str, Method] = {
    "average": Method(
        meaning="theta = sum w_i theta_i / sum w_i",
        options=("weights",),
        tensor=_average,
        based=False,
    ),
    "task-arithmetic": Method(
        meaning="theta = theta_0 + lambda sum w_i tau_i (Ilharco et al. 2023, arXiv:2212.04089)",
        options=("weights", "scale"),
        tensor=_task_arithmetic,
    ),
    "ties": Method(
        meaning="theta = theta_0 + lambda times the mean of trimmed tau_i of the elected sign (Yadav et al. 2023, arXiv:2306.01708)",
        options=("weights", "scale", "keep", "trim"),
        tensor=_ties,
        begin=_ties_begin,
    ),
    "dare": Method(
        meaning="theta = theta_0 + lambda sum w_i tau_i, of which a share is dropped and the rest enlarged (Yu et al. 2024, arXiv:2311.03099)",
        options=("weights", "scale", "drop", "seed"),
        tensor=_dare,
    ),
    "dare-ties": Method(
        meaning="as dare, with the mean of the elected sign in place of the sum",
        options=("weights", "scale", "drop", "seed"),
        tensor=_dare_ties,
    ),
    "slerp": Method(
        meaning="theta on the arc between two models, tensor by tensor (Shoemake 1985)",
        options=("at",),
        tensor=_slerp,
        based=False,
        count=(2, 2),
    ),
    "task-slerp": Method(
        meaning="theta = theta_0 + lambda times the arc between two task vectors, tensor by tensor",
        options=("at", "scale"),
        tensor=_task_slerp,
        count=(3, 3),
    ),
    "model-stock": Method(
        meaning="theta = t mean(theta_i) + (1 - t) theta_0, t = k c / (1 + (k - 1) c) by the cosine c between task vectors "
        "(Jang et al. 2024, arXiv:2403.19522)",
        options=(),
        tensor=_stock,
        count=(3, 1000),
    ),
}
"""Every method by its name."""
