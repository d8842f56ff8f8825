"""How a run is trained: optimizer, schedule, batch, learning rate; what depends on size is a formula of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rung.errors import FormulaError, LadderError
from rung.laws import evaluate, names, parse_formula, symbol_of

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("constant-decay", "cosine", "constant")
PRECISIONS = ("fp32", "bf16")
_FORMULAS = ("batch_tokens", "lr", "lr_vectors", "weight_decay")

SCOPE = ("N", "D", "width", "depth", "batch_tokens", "context")
"""Names that a recipe's formulas may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How runs are trained. A number, or a formula of N, D, width, depth, context and batch_tokens, which names its own reference size.

    Attributes:
        optimizer: adamw or sgd.
        batch_tokens: Tokens in a step.
        lr: Peak learning rate.
        lr_vectors: The same for vectors (biases, gains); as for matrices by default.
        weight_decay: Decoupled, on matrices alone. Below zero it pulls rows to unit length instead, as in arXiv:2505.10465.
        beta1: Decay of the mean of gradients, or momentum of sgd.
        beta2: Decay of the mean of their squares.
        eps: Added to their root.
        schedule: constant-decay (warm-up, constant, linear decay), cosine or constant.
        warmup: Share of steps in which the learning rate rises.
        decay: Share of steps in which constant-decay falls.
        final: Share of the peak at the end.
        clip: Largest norm of the gradient; 0 for none.
        micro_batch: Items that go through the model at once; 0 for the whole batch [count].
        ema: Decay of an average of the weights, which is what is evaluated; 0 for none.
        precision: fp32, or bf16 for products with fp32 weights.
        compile: Whether torch compiles the model.
    """

    optimizer: str = "adamw"
    batch_tokens: float | str = "max(512, 512 * (D / 30e3)^0.5)"
    lr: float | str = "0.01 * 32 / width"
    lr_vectors: float | str = ""
    weight_decay: float | str = 0.0
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    schedule: str = "constant-decay"
    warmup: float = 0.05
    decay: float = 0.3
    final: float = 0.0
    clip: float = 1.0
    micro_batch: int = 0
    ema: float = 0.0
    precision: str = "fp32"
    compile: bool = False

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise LadderError(f"{name} = {getattr(self, name)!r} is not known; it is one of {', '.join(known)}.")
        for name in ("warmup", "decay", "final", "beta1", "beta2", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise LadderError(f"{name} = {getattr(self, name):g} must lie between 0 and 1.")
        for name in ("clip", "eps", "micro_batch"):
            if getattr(self, name) < 0:
                raise LadderError(f"{name} = {getattr(self, name):g} must not be negative.")

    def at(self, scope: Mapping[str, float]) -> Recipe:
        """The recipe of one size: every formula a number.

        Raises:
            LadderError: A formula cannot be read, has an unknown name, or gives no positive number.
        """
        known = dict(scope)
        found: dict[str, float] = {}
        for name in _FORMULAS:
            wish = getattr(self, name)
            if wish == "":
                wish = found["lr"]
            found[name] = known[name] = _value(name, wish, known)
        return replace(self, **found)  # type: ignore[arg-type]  # fields by name

    def rate(self, step: int, steps: int) -> float:
        """Share of the peak learning rate at a step, counted from 0."""
        warm = (step + 1) / max(1, round(self.warmup * steps))
        if self.schedule == "constant":
            return min(1.0, warm)
        if self.schedule == "cosine":
            done = (step + 1) / steps
            return min(1.0, warm) * (self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2)
        left = (steps - step) / max(1, round(self.decay * steps)) if self.decay else 1.0
        return min(1.0, warm, self.final + (1 - self.final) * left)

    def steps_before_decay(self, steps: int) -> int:
        """Steps before a linear decay sets in, or all of them: evaluations are placed on these."""
        return steps - max(1, round(self.decay * steps)) if self.schedule == "constant-decay" and self.decay else steps


def _value(name: str, wish: float | str, scope: Mapping[str, float]) -> float:
    if isinstance(wish, str):
        try:
            tree = parse_formula(wish)
        except FormulaError as error:
            raise LadderError(f"{name} = {wish!r}: {error.text}") from None
        given = {node.name: scope.get(symbol_of(node.name)) for node in names(tree)}
        unknown = [each for each, value in given.items() if value is None]
        if unknown:
            raise LadderError(f"{name} = {wish!r} has {unknown[0]}; it may hold {', '.join(SCOPE)}.")
        value = float(evaluate(tree, given))
    else:
        value = float(wish)
    if not math.isfinite(value) or (name != "weight_decay" and value <= 0):
        raise LadderError(f"{name} = {wish!r} is {value:g} for this run; it must be a positive number.")
    return value
