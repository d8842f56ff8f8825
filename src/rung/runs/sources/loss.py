"""Which metric of a run is its loss, and in which unit it was logged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rung.runs.loss_units import unit_of, words_of
from rung.units import BITS_PER_NAT

if TYPE_CHECKING:
    from rung.arrays import Array

HELD_OUT = (
    *(
        "eval/loss",
        "eval_loss",
        "val/loss",
        "val_loss",
        "valid/loss",
        "valid_loss",
        "validation/loss",
        "validation_loss",
    ),
    *("val_loss_epoch", "eval/loss/mean", "lm_loss_validation", "validation/epoch_loss", "test_loss", "test/loss"),
)
"""Usual names of a held-out loss, in order of preference."""

TRAINING = (
    *("loss", "train/loss", "train_loss", "training_loss", "train/CrossEntropyLoss", "train/ce_loss"),
    *("train_loss_step", "train_loss_epoch", "lm_loss", "lm loss"),
)
"""Usual names of a training loss, in order of preference; a held-out loss comes before them."""

EVALUATION = frozenset(
    {"eval", "evaluation", "val", "valid", "validation", "test", "dev", "heldout", "held", "holdout", "paloma"}
)
"""Words that say that a metric was measured on held-out text."""

_OTHER = frozenset(
    {
        *("aux", "auxiliary", "z", "zloss", "balance", "balancing", "router", "kl", "reward", "policy", "value", "mtp"),
        *("distill", "distillation", "grad", "norm", "scale", "scaler", "stderr", "std", "var", "variance", "diff"),
        *("best", "min", "max", "lowest", "delta", "spike", "spikes", "weight", "regularization", "penalty", "count"),
    }
)
"""Words of a loss that is only a part of the objective, a statistic of it, or something else."""

_OVERALL = ("macro", "overall", "mean", "avg", "average", "all")
"""Words of a mean over several held-out sets, in order of preference."""

UNITS = {
    "nats": "nats per token",
    "perplexity": "nats per token",
    "word perplexity": "nats per word",
    "byte perplexity": "nats per byte",
    "bits per byte": "nats per byte",
    "bits per token": "nats per token",
    "bits per character": "nats per character",
    "bits per word": "nats per word",
}
"""In which unit a loss is after its conversion, by the unit in which it was logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossChoice:
    """The metric that is taken as the loss of a run.

    Attributes:
        name: The metric.
        unit: The unit in which it was logged, a key of UNITS.
        held_out: Whether it was measured on held-out text.
        usual: Whether its name is one of the usual ones, or was given; otherwise it is a guess.
        passed_over: Further held-out losses that could have been taken.
    """

    name: str
    unit: str
    held_out: bool
    usual: bool = True
    passed_over: tuple[str, ...] = ()

    @property
    def converted(self) -> str:
        """How the metric becomes nats; empty where it is in nats."""
        if self.unit == "nats":
            return ""
        return f"ln({self.name})" if "perplexity" in self.unit else f"{self.name} x ln 2"

    def nats(self, values: Array) -> Array:
        """Values of the metric in nats; a perplexity that is not positive is not finite."""
        if "perplexity" in self.unit:
            with np.errstate(all="ignore"):
                return np.where(values > 0, np.log(np.where(values > 0, values, 1.0)), np.nan)
        return values / BITS_PER_NAT if self.unit.startswith("bits") else values


def choose_loss(names: Iterable[str], wanted: str = "") -> LossChoice | None:
    """The loss among the metrics of a run; None where there is none.

    The order: a held-out loss by its usual name, another held-out loss (a mean over several sets before one set), a
    held-out perplexity or bits, a training loss by its usual name, another one. A name that counts as none of these is
    taken only where it was given.
    """
    return _chosen(tuple(names), wanted)


@lru_cache(maxsize=1024)
def _chosen(names: tuple[str, ...], wanted: str) -> LossChoice | None:
    """The loss among these metrics; many runs have the same ones."""
    known = list(names)
    if wanted:
        if wanted not in known:
            return None
        unit = unit_of(wanted) or "nats"
        return LossChoice(name=wanted, unit=unit, held_out=is_held_out(wanted))
    usual = _usual(known, HELD_OUT)
    held_out = [name for name in known if is_held_out(name) and _whole(name)]
    in_nats = [name for name in held_out if unit_of(name) == "nats"]
    if usual:
        return LossChoice(name=usual, unit="nats", held_out=True)
    for candidates in (in_nats, [name for name in held_out if unit_of(name) is not None and name not in in_nats]):
        if candidates:
            chosen = min(candidates, key=_preference)
            others = tuple(name for name in candidates if name != chosen)
            unit = unit_of(chosen) or "nats"
            return LossChoice(name=chosen, unit=unit, held_out=True, usual=False, passed_over=others)
    if usual := _usual(known, TRAINING):
        return LossChoice(name=usual, unit="nats", held_out=False)
    rest = sorted((name for name in known if unit_of(name) is not None and _whole(name)), key=_preference)
    if not rest:
        return None
    return LossChoice(
        name=rest[0], unit=unit_of(rest[0]) or "nats", held_out=False, usual=False, passed_over=tuple(rest[1:])
    )


def is_ambiguous(choice: LossChoice) -> bool:
    """Whether several losses could be meant, and none of them is a mean over the others."""
    rivals = [name for name in choice.passed_over if unit_of(name) == choice.unit]
    return (
        bool(rivals)
        and not set(words_of(choice.name)) & set(_OVERALL)
        and not _same_but_for_detail(choice.name, rivals)
    )


def is_held_out(name: str) -> bool:
    """Whether a metric's name says that it was measured on held-out text."""
    words = set(words_of(name))
    return bool(words & EVALUATION) and not words & {"train", "training"}


def _usual(known: list[str], names: tuple[str, ...]) -> str:
    """The first usual name that was logged, whatever its capitals and signs."""
    plain = {"_".join(words_of(name)): name for name in reversed(known)}
    return next((plain[key] for key in ("_".join(words_of(name)) for name in names) if key in plain), "")


def _whole(name: str) -> bool:
    return not set(words_of(name)) & _OTHER


def _preference(name: str) -> tuple[int, int, int, str]:
    words = words_of(name)
    overall = next((rank for rank, word in enumerate(_OVERALL) if word in words), len(_OVERALL))
    return overall, int(words[-1] == "step"), len(words), name


def _same_but_for_detail(name: str, rivals: list[str]) -> bool:
    """Whether all names mean one loss, logged per step and per epoch."""
    detail = {"step", "epoch", "batch"}
    kinds = {tuple(word for word in words_of(one) if word not in detail) for one in (name, *rivals)}
    return len(kinds) == 1
