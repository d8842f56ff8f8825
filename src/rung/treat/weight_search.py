"""The weights of a merge, chosen on a text: half of its documents choose, the other half says what was gained.

The loss is minimised over the experts' weights (of SLERP: over the place between both models) by a trust-region method without derivatives, each
step a merge that is measured. The gain over default weights is that of the documents that did not choose, pair by pair, so it is as often
too low as too high.

Source: M. J. D. Powell's trust-region methods, as COBYQA (Ragonneau 2022) in SciPy.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import ModelError
from rung.fitting.uncertainty import student_quantile
from rung.messages import counted, did_you_mean, require_level
from rung.models import DocumentLoss, Measuring, Ratio, measure, ratio, short_names
from rung.progress import working
from rung.results import Result, Summary, Table
from rung.treat.merge import merge_models
from rung.treat.methods import METHODS, MergeOptions
from rung.units import format_interval, format_value

_FEWEST_DOCUMENTS = 4
_LARGEST = 2.0
"""Largest weight that is tried."""

_RADIUS, _CLOSE = 0.3, 0.01
"""The first step of the search, and the step at which it ends."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergeWeights(Result):
    """Weights of a merge that a text chose.

    Attributes:
        method: How the models are merged.
        names: What each weight belongs to.
        weights: The chosen weights, or the place of SLERP.
        default: What they are without a search.
        losses: Loss by default and as chosen on the documents that chose [nats/token].
        held_out: The same on the documents that did not.
        gain: Loss by default less loss as chosen on the documents that did not choose [nats/token].
        level: Coverage of its interval.
        documents: Documents that chose, and that did not.
        tried: Merges that were measured.
        options: The numbers of the method with the chosen weights.
    """

    method: str
    names: tuple[str, ...]
    weights: tuple[float, ...]
    default: tuple[float, ...]
    losses: tuple[float, float]
    held_out: tuple[float, float]
    gain: Ratio
    level: float
    documents: tuple[int, int]
    tried: int
    options: MergeOptions

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the gain."""
        error = self.gain.se if self.gain.se is not None else float("inf")
        half = student_quantile((1 + self.level) / 2, max(self.documents[1] - 1, 1)) * error
        return self.gain.value - half, self.gain.value + half

    def headline(self) -> str:
        low, high = self.interval
        told = "gain" if low > 0 else "lose" if high < 0 else "are not shown to gain"
        return f"the chosen weights {told}: {self.gain.value:+.3g} ({format_interval(low, high, _signed)}) nats per token on documents that did not choose them"

    def describe(self) -> Summary:
        rows = [
            [name, f"{before:.3g}", f"{after:.3g}"]
            for name, before, after in zip(self.names, self.default, self.weights, strict=True)
        ]
        chose, held = self.documents
        losses = [
            [f"the {counted(chose, 'document')} that chose", *(format_value(one) for one in self.losses)],
            [f"the {counted(held, 'document')} that did not", *(format_value(one) for one in self.held_out)],
        ]
        return Summary(
            [
                Table([self.method, "by default", "chosen"], rows),
                Table(["loss [nats/token]", "by default", "chosen"], losses),
                f"verdict  {self.headline()}, after {counted(self.tried, 'merge')}",
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The choice as plain values."""
        return {
            "method": self.method,
            "weights": dict(zip(self.names, self.weights, strict=True)),
            "default": dict(zip(self.names, self.default, strict=True)),
            "losses": list(self.losses),
            "held_out": list(self.held_out),
            "gain": self.gain.value,
            "interval": list(self.interval),
            "level": self.level,
            "documents": list(self.documents),
            "tried": self.tried,
        }


def search_weights(
    models: Sequence[str | Path],
    method: str,
    options: MergeOptions,
    how: Measuring,
    *,
    most: int = 40,
    level: float = 0.9,
    any_tokenizer: bool = False,
) -> MergeWeights:
    """Choose the weights of a merge on a text.

    Args:
        models: The models, the base first where the method has one.
        method: A name of METHODS that takes weights, or slerp or task-slerp, whose place is chosen.
        options: Numbers of the method.
        how: The text, and how merges are measured on it.
        most: Merges that are measured, at most.
        level: Coverage of the interval of the gain.
        any_tokenizer: Whether to merge models whose tokenizers differ.

    Raises:
        ModelError: The method has no weights, a model does not match, or the text has fewer than four documents.
    """
    require_level(level, ModelError)
    knobs = _Knobs.of(models, method, options)
    if not how.data:
        raise ModelError("--weights search takes a text that chooses: --evaluate TEXT.")
    least = len(knobs.default) + 3
    if most < least:
        raise ModelError(f"--merges {most}: a search over {counted(len(knobs.default), 'weight')} takes {least} merges or more.")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        trials = _Trials(models, method, how, knobs, Path(folder) / "merged", any_tokenizer)
        default = trials.losses(knobs.default)
        if len(default) < _FEWEST_DOCUMENTS:
            raise ModelError(
                f"{', '.join(how.data)}: half of the documents choose the weights and half judge them, so {_FEWEST_DOCUMENTS} or more are needed; there is {counted(len(default), 'document')}. --separator splits a plain file."
            )
        best = _minimised(trials, most)
        chosen = trials.losses(best)
    pairs = [(b.nats - a.nats, b.tokens) for a, b in zip(chosen, default, strict=True)]
    gain = ratio(*map(list, zip(*pairs[1::2], strict=True)))
    halves = [(_loss(found[::2]), _loss(found[1::2])) for found in (default, chosen)]
    return MergeWeights(
        method=method,
        names=knobs.names,
        weights=tuple(float(one) for one in best),
        default=tuple(float(one) for one in knobs.default),
        losses=(halves[0][0], halves[1][0]),
        held_out=(halves[0][1], halves[1][1]),
        gain=gain,
        level=level,
        documents=(len(pairs[::2]), len(pairs[1::2])),
        tried=len(trials.found),
        options=knobs.options(best),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Knobs:
    """What is chosen: a weight for each expert, or the place of SLERP."""

    names: tuple[str, ...]
    default: Array
    largest: float
    given: MergeOptions
    place: bool

    @classmethod
    def of(cls, models: Sequence[str | Path], method: str, options: MergeOptions) -> _Knobs:
        if method not in METHODS:
            raise ModelError(
                f"there is no method {method!r}.{did_you_mean(method, METHODS)} They are {', '.join(METHODS)}."
            )
        how = METHODS[method]
        if options.weights:
            raise ModelError("--weights search chooses all weights; give none.")
        how.require(len(models), options)
        if "at" in how.options:
            return cls(names=("place",), default=np.array([options.at]), largest=1.0, given=options, place=True)
        if "weights" not in how.options:
            raise ModelError(f"{method} has no weights to choose.")
        names = tuple(short_names(models[1:] if how.based else models))
        return cls(names=names, default=np.ones(len(names)), largest=_LARGEST, given=options, place=False)

    def options(self, values: Array) -> MergeOptions:
        """The numbers of the method with these values."""
        if self.place:
            return replace(self.given, at=float(values[0]))
        return replace(self.given, weights=tuple(float(one) for one in values))


@dataclass(slots=True)
class _Trials:
    """Merges that are measured, each once.

    Attributes:
        models: The models.
        method: How they are merged.
        how: How a merge is measured.
        knobs: What is chosen.
        place: Where a merge is written.
        any_tokenizer: Whether their tokenizers may differ.
        found: The losses of each merge by its weights.
    """

    models: Sequence[str | Path]
    method: str
    how: Measuring
    knobs: _Knobs
    place: Path
    any_tokenizer: bool
    found: dict[tuple[float, ...], tuple[DocumentLoss, ...]] = field(default_factory=dict)

    def losses(self, values: Array) -> tuple[DocumentLoss, ...]:
        """The loss of the merge of these weights on every document."""
        key = tuple(np.round(values, 6).tolist())
        if key not in self.found:
            options = self.knobs.options(np.array(key))
            merge_models(self.models, self.place, self.method, options, any_tokenizer=self.any_tokenizer)
            self.found[key] = measure([self.place], self.how).models[0].losses
            shutil.rmtree(self.place)
        return self.found[key]


def _minimised(trials: _Trials, most: int) -> Array:
    """The weights of the lowest loss on the documents that choose, among all that were tried."""
    from scipy.optimize import Bounds, minimize

    knobs = trials.knobs
    # An average knows only the ratios of its weights, and needs one of them.
    lowest = 0.01 if not METHODS[trials.method].based and not knobs.place else 0.0
    with working("weights", total=most) as advance:

        def loss(values: Array) -> float:
            advance()
            return _loss(trials.losses(np.clip(values, lowest, knobs.largest))[::2])

        minimize(
            loss,
            knobs.default,
            method="COBYQA",
            bounds=Bounds(np.full(len(knobs.default), lowest), np.full(len(knobs.default), knobs.largest)),
            options={"maxfev": most - 1, "initial_tr_radius": _RADIUS, "final_tr_radius": _CLOSE},
        )
    best = min(trials.found, key=lambda key: _loss(trials.found[key][::2]))
    return np.array(best)


def _loss(losses: Sequence[DocumentLoss]) -> float:
    return sum(one.nats for one in losses) / sum(one.tokens for one in losses)


def _signed(value: float) -> str:
    return f"{value:+.3g}"
