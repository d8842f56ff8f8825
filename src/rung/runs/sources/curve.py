"""The loss of one run along its steps: which values count, and whether the run came to an end that can be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rung.runs.loss_units import unit_of
from rung.runs.sources.history import ordered
from rung.runs.sources.loss import LossChoice, choose_loss, is_held_out
from rung.runs.sources.tracked_run import INFINITY, TrackedRun

if TYPE_CHECKING:
    from rung.arrays import Array

_GAP = 10.0
"""A pause in the log that is this many times the median pause is named."""

_WORSE, _WORSE_BY = 0.25, 0.5
"""A loss that ends above its best by more than this share of what it had gained, and by so many nats, diverged."""


_SMOOTHED_OVER = 3
"""Values of a training loss whose median is compared with that of earlier ones."""


_FEWEST_BESIDE, _SAME_UNIT = 2, 0.02
"""Steps with a loss and its perplexity, and how near their ratio must be to that of bits, for a loss to count as bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The loss of a run in nats, in order of step.

    Attributes:
        name: The metric.
        steps: Steps with a finite value (n,).
        values: Their losses (n,).
        diverged: Why the run counts as diverged; empty where it does not.
        not_finite: How many values are not finite.
        first_not_finite: The step of the first of them.
        gap: The steps around a long pause in the log; None without one.
    """

    name: str
    steps: Array
    values: Array
    diverged: str
    not_finite: int
    first_not_finite: float
    gap: tuple[float, float] | None


def in_its_unit(run: TrackedRun, choice: LossChoice) -> tuple[LossChoice, str]:
    """The loss in bits where the perplexity beside it says so, as fairseq logs it, and a sentence about it.

    Where 2^loss, and not e^loss, is the perplexity that was logged at the same steps, the loss is in bits.
    """
    if choice.unit != "nats":
        return choice, ""
    steps, loss = ordered(run.logged[choice.name])
    for name, metric in run.logged.items():
        if unit_of(name) != "perplexity" or is_held_out(name) != choice.held_out:
            continue
        beside, perplexity = ordered(metric)
        _, at, there = np.intersect1d(steps, beside, return_indices=True)
        usable = np.isfinite(loss[at]) & (perplexity[there] > 1.0) & (loss[at] > 0)
        if usable.sum() < _FEWEST_BESIDE:
            continue
        nats = np.log(perplexity[there][usable])
        ratio = float(np.median(loss[at][usable] / nats))
        if abs(ratio * np.log(2) - 1) < _SAME_UNIT:
            return replace(
                choice, unit="bits per token"
            ), f"2^{choice.name} is {name}, so {choice.name} is in bits and is converted"
    return choice, ""


def curve_of(run: TrackedRun, choice: LossChoice) -> Curve:
    """The loss of a run."""
    steps, logged = ordered(run.logged[choice.name])
    values = choice.nats(_without_zeros(logged))
    finite = np.isfinite(values) & np.isfinite(steps)
    diverged = _ended_not_finite(choice.name, steps, finite) or _training_ended_not_finite(run, choice)
    kept_steps, kept = steps[finite], values[finite]
    if not diverged and len(kept) > 2:
        diverged = _ended_worse(choice.name, kept_steps, kept) or _training_ended_worse(run, choice, kept_steps[-1])
    pauses = np.diff(kept_steps)
    gap = None
    if len(pauses) > 3 and pauses.max() > _GAP * np.median(pauses):
        longest = int(pauses.argmax())
        gap = (float(kept_steps[longest]), float(kept_steps[longest + 1]))
    missing = int((~finite).sum())
    return Curve(
        name=choice.name,
        steps=kept_steps,
        values=kept,
        diverged=diverged,
        not_finite=missing,
        first_not_finite=float(steps[~finite][0]) if missing else 0.0,
        gap=gap,
    )


def _without_zeros(values: Array) -> Array:
    """The values, with zeros that follow losses, and the largest number there is, as not finite.

    No loss on text is exactly 0. Trainers write it where they leave values out of a mean that are not finite: Hugging Face's
    does for every step of a run that diverged.
    """
    zero = (values == 0) & (np.fmax.accumulate(np.where(np.isfinite(values), values, 0.0)) > 0)
    return np.where(zero | (np.abs(values) >= INFINITY), np.nan, values)


def _ended_not_finite(name: str, steps: Array, finite: NDArray[np.bool_]) -> str:
    """Whether the values end in ones that are not finite.

    Tools also write nan at steps where nothing was measured. Such fillers stand between values; a run of them at the end
    counts only if it is longer than any before it.
    """
    if not len(finite) or finite[-1]:
        return ""
    at = np.flatnonzero(finite)
    if not len(at):
        return f"{name} is never finite"
    trailing = len(finite) - 1 - at[-1]
    between = int(np.max(np.diff(at), initial=1)) - 1
    leading = int(at[0])
    if trailing <= max(between, leading if between else 0):
        return ""
    return f"{name} is not finite from step {steps[at[-1] + 1]:g} on"


def _training_ended_not_finite(run: TrackedRun, choice: LossChoice) -> str:
    """Whether the training loss ends in values that are not finite, although the held-out loss was logged before."""
    training = _training_loss(run, choice)
    if not training:
        return ""
    steps, values = ordered(run.logged[training])
    finite = np.isfinite(_without_zeros(values))
    return _ended_not_finite(training, steps, finite) if finite.any() else ""


def _training_ended_worse(run: TrackedRun, choice: LossChoice, measured: float) -> str:
    """Whether the training loss rose far after the last held-out loss; as it is noisy, by medians of three values."""
    training = _training_loss(run, choice)
    if not training:
        return ""
    steps, values = ordered(run.logged[training])
    usable = np.isfinite(values)
    steps, values = steps[usable], values[usable]
    if len(values) < _SMOOTHED_OVER + 2 or steps[-1] <= measured:
        return ""
    middle = np.median(np.lib.stride_tricks.sliding_window_view(values, _SMOOTHED_OVER), axis=1)
    return _ended_worse(training, steps[_SMOOTHED_OVER - 1 :], middle)


def _training_loss(run: TrackedRun, choice: LossChoice) -> str:
    """The training loss beside a held-out one; empty without any."""
    if not choice.held_out:
        return ""
    training = choose_loss([name for name in run.logged if name != choice.name and unit_of(name) == "nats"])
    return "" if training is None or training.held_out else training.name


def _ended_worse(name: str, steps: Array, values: Array) -> str:
    """Whether a run ended far above its best loss."""
    best = int(values.argmin())
    gained, lost = values[0] - values[best], values[-1] - values[best]
    if lost > _WORSE_BY and lost > _WORSE * max(gained, 0.0):
        return f"{name} ends at {values[-1]:.4g} (step {steps[-1]:g}), after {values[best]:.4g} at step {steps[best]:g}"
    return ""
