"""The recipe of a run: optimizer, schedule, batch and learning rate, as numbers or as formulas of size and data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rung.errors import FormulaError, LadderError
from rung.laws import evaluate, names, parse_formula, symbol_of

OPTIMIZERS = ("adamw", "sgd")
"""Optimizers that a recipe may name."""
SCHEDULES = ("constant-decay", "cosine", "constant")
"""Schedules of the learning rate that a recipe may name."""
PRECISIONS = ("fp32", "bf16")
"""Precisions of the products that a recipe may name."""
_FORMULAS = ("batch_tokens", "lr", "lr_vectors", "weight_decay")
"""Fields that may be formulas, in the order of evaluation: a formula may use the values before it."""

SCOPE = ("N", "D", "width", "depth", "batch_tokens", "context")
"""Names that a recipe's formulas may contain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How runs are trained.

    Batch, learning rates and weight decay are numbers, or formulas of N, D, width, depth, context and batch_tokens. A
    formula names its own reference size.

    Attributes:
        optimizer: adamw or sgd.
        batch_tokens: Tokens in one step.
        lr: Peak learning rate.
        lr_vectors: Peak learning rate of vectors (biases, gains); that of matrices by default.
        weight_decay: Decoupled weight decay, on matrices only. A negative value moves each row towards unit length
            instead, as in arXiv:2505.10465.
        beta1: Decay of the running mean of the gradients; the momentum of sgd.
        beta2: Decay of the running mean of the squared gradients.
        eps: Number added to the square root of that mean.
        schedule: constant-decay (warm-up, constant, linear decay), cosine or constant.
        warmup: Share of the steps in which the learning rate rises.
        decay: Share of the steps in which constant-decay falls.
        final: Learning rate at the end, as a share of the peak.
        clip: Largest norm of the gradient; 0 for no clipping.
        micro_batch: Items that go through the model at once; 0 for the whole batch [count].
        ema: Decay of the exponential moving average of the weights, which is then evaluated; 0 for no average.
        precision: fp32, or bf16 for products with fp32 weights.
        compile: Whether torch compiles the model.
        soft: Share of the objective that learns from a teacher's soft targets, with the corpus teacher; 0 for none.
        temperature: By which logits of teacher and student are divided for it.
        start: Folder of a finished run whose weights this one begins from, `from` in a ladder file; "" for weights drawn at random.
    """

    optimizer: str = "adamw"
    # 512 tokens at 30 thousand training tokens, growing as D^0.5: an assumption, not tuned.
    batch_tokens: float | str = "max(512, 512 * (D / 30e3)^0.5)"
    # 0.01 at width 32, from the sweep over widths 16 to 72 in examples/python-stdlib/sweep.toml.
    lr: float | str = "0.01 * 32 / width"
    lr_vectors: float | str = ""
    weight_decay: float | str = 0.0
    # The remaining numbers are assumptions, not tuned.
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
    soft: float = 0.0
    temperature: float = 1.0
    start: str = ""

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise LadderError(f"{name} = {getattr(self, name)!r} is not known; it is one of {', '.join(known)}.")
        for name in ("warmup", "decay", "final", "beta1", "beta2", "ema", "soft"):
            if not 0 <= getattr(self, name) <= 1:
                raise LadderError(f"{name} = {getattr(self, name):g} must lie between 0 and 1.")
        if not self.temperature > 0:
            raise LadderError(f"temperature = {self.temperature:g} must be positive.")
        for name in ("clip", "eps", "micro_batch"):
            if getattr(self, name) < 0:
                raise LadderError(f"{name} = {getattr(self, name):g} must not be negative.")

    def at(self, scope: Mapping[str, float]) -> Recipe:
        """The recipe at one size and amount of data, with every formula replaced by its value.

        Raises:
            LadderError: A formula cannot be read, has an unknown name, or does not give a positive number.
        """
        known = dict(scope)
        found: dict[str, float] = {}
        for name in _FORMULAS:
            requested = getattr(self, name)
            if requested == "":
                requested = found["lr"]
            found[name] = known[name] = _value(name, requested, known)
        return replace(self, **found)  # type: ignore[arg-type]  # fields by name

    def rate(self, step: int, steps: int) -> float:
        """Learning rate at a step as a share of its peak; steps count from 0.

        With T steps in all, W of warm-up, L of decay, final share f, and w = min(1, (t + 1) / W):

            constant:        w
            cosine:          w (f + (1 - f) (1 + cos(pi (t + 1) / T)) / 2)
            constant-decay:  min(w, f + (1 - f) (T - t) / L)
        """
        warm = (step + 1) / max(1, round(self.warmup * steps))
        if self.schedule == "constant":
            return min(1.0, warm)
        if self.schedule == "cosine":
            done = (step + 1) / steps
            return min(1.0, warm) * (self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2)
        left = (steps - step) / max(1, round(self.decay * steps)) if self.decay else 1.0
        return min(1.0, warm, self.final + (1 - self.final) * left)

    def steps_before_decay(self, steps: int) -> int:
        """Steps before the linear decay starts, or all steps without one; evaluations are placed in these."""
        return steps - max(1, round(self.decay * steps)) if self.schedule == "constant-decay" and self.decay else steps


def _value(name: str, requested: float | str, scope: Mapping[str, float]) -> float:
    if isinstance(requested, str):
        try:
            tree = parse_formula(requested)
        except FormulaError as error:
            raise LadderError(f"{name} = {requested!r}: {error.text}") from None
        given = {node.name: scope.get(symbol_of(node.name)) for node in names(tree)}
        unknown = [each for each, value in given.items() if value is None]
        if unknown:
            raise LadderError(f"{name} = {requested!r} has {unknown[0]}; it may contain {', '.join(SCOPE)}.")
        value = float(evaluate(tree, given))
    else:
        value = float(requested)
    if not math.isfinite(value) or (name != "weight_decay" and value <= 0):
        raise LadderError(f"{name} = {requested!r} is {value:g} for this run; it must be a positive number.")
    return value
