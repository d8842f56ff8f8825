"""How a model is to be pruned: the methods, and what they can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rung.errors import ModelError
from rung.messages import did_you_mean, require_seed
from rung.treat.masks import SCOPES, Pattern, read_pattern

_SAME = 1e-9
"""Difference within which two shares are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """How a model is pruned.

    Attributes:
        to: Share of the weights in the blocks' matrices that is pruned; what N:M says for such a pattern.
        method: A name of PRUNERS.
        pattern: "unstructured", "block4" or "2:4".
        scope: Where the least are sought: "global", "layer" or "row"; the method's own by default.
        calibrate: Files and folders of text, which all methods but magnitude look at.
        windows: Windows of it [count].
        context: Tokens of a window; what the model has by default [count].
        damp: oBERT: damping of the Fisher matrix; several are tried by default. SparseGPT: share of the mean of the diagonal, 0.01 by default.
        block: oBERT: weights in a block of the Fisher matrix [count].
        steps: oBERT: steps in which the share is reached, each with gradients anew [count].
        seed: Seed of which windows are taken.
        device: Where to compute; a GPU where there is one by default.
        recover: Tokens of the text on which what stays goes on learning; 0 for none [count].
        stages: Stages in which the share is reached, with an equal part of the learning after each [count].
        lr: Height of the learning rate of recovery.
        soft: Share of the objective of recovery that learns from the dense model.
    """

    to: float | None = None
    method: str = "magnitude"
    pattern: str = "unstructured"
    scope: str | None = None
    calibrate: tuple[str, ...] = ()
    windows: int = 128
    context: int | None = None
    damp: float | None = None
    block: int = 48
    steps: int = 4
    seed: int = 0
    device: str | None = None
    recover: float = 0.0
    stages: int | None = None
    lr: float | None = None
    soft: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruner:
    """A method.

    Attributes:
        meaning: What is pruned, with its source.
        scope: Where the least are sought by default.
        scopes: Where they can be sought.
        looks: Whether it looks at a text.
    """

    meaning: str
    scope: str
    scopes: tuple[str, ...]
    looks: bool


PRUNERS: Mapping[str, Pruner] = {
    "magnitude": Pruner(meaning="the smallest |w|", scope="global", scopes=SCOPES, looks=False),
    "wanda": Pruner(
        meaning="the smallest |w| times the length of its input over the text (Sun et al. 2023, arXiv:2306.11695)",
        scope="row",
        scopes=SCOPES,
        looks=True,
    ),
    "sparsegpt": Pruner(
        meaning="the smallest w^2 / [H^-1], columns to the right making up for it (Frantar and Alistarh 2023, arXiv:2301.00774)",
        scope="layer",
        scopes=("layer",),
        looks=True,
    ),
    "obert": Pruner(
        meaning="the smallest w^2 / (2 [F^-1]) by an empirical Fisher matrix in blocks, its block making up for it "
        "(Kurtic et al. 2022, arXiv:2203.07259)",
        scope="global",
        scopes=("global", "layer"),
        looks=True,
    ),
}
"""Every method by its name."""


def require_possible(how: Pruning) -> Pattern:
    """The pattern of a request.

    Raises:
        ModelError: The method is not known, or an option is out of its range or does not go with it.
    """
    if how.method not in PRUNERS:
        raise ModelError(
            f"there is no method {how.method!r}.{did_you_mean(how.method, PRUNERS)} They are {', '.join(PRUNERS)}."
        )
    pruner, pattern = PRUNERS[how.method], read_pattern(how.pattern)
    if pattern.of and how.to is not None and abs(how.to - (1 - pattern.kept / pattern.of)) > _SAME:
        raise ModelError(f"--pattern {how.pattern} takes away {1 - pattern.kept / pattern.of:g}: leave out --to.")
    if not pattern.of and (how.to is None or not 0 < how.to < 1):
        raise ModelError(
            "say which share of the weights is pruned: --to 0.5."
            if how.to is None
            else f"--to {how.to:g} must be a share above 0 and below 1."
        )
    if how.scope is not None and how.scope not in pruner.scopes:
        raise ModelError(f"--scope {how.scope}: {how.method} seeks by {' or '.join(pruner.scopes)}.")
    if pruner.looks and not how.calibrate:
        raise ModelError(f"{how.method} looks at a text: --calibrate TEXT.")
    _require_numbers(how, pattern)
    _require_recovery(how, pattern)
    return pattern


def _require_recovery(how: Pruning, pattern: Pattern) -> None:
    if not how.recover:
        given = next((name for name in ("stages", "lr", "soft") if getattr(how, name) is not None), None)
        if given is not None:
            raise ModelError(f"--{given} belongs to --recover TOKENS.")
        return
    if not (np.isfinite(how.recover) and how.recover >= 1):
        raise ModelError(f"--recover {how.recover:g} must be a number of tokens, such as 1M.")
    if not how.calibrate:
        raise ModelError("--recover learns a text: --calibrate TEXT.")
    if how.stages is not None and (how.stages < 1 or (pattern.of and how.stages > 1)):
        raise ModelError(f"--stages {how.stages} must be at least 1." if how.stages < 1 else f"--pattern {how.pattern} has one share, and no stages.")  # fmt: skip
    if how.lr is not None and not (np.isfinite(how.lr) and how.lr > 0):
        raise ModelError(f"--lr {how.lr:g} must be a positive number.")
    if how.soft is not None and not 0 <= how.soft <= 1:
        raise ModelError(f"--soft {how.soft:g} must be a share from 0 to 1.")


def _require_numbers(how: Pruning, pattern: Pattern) -> None:
    if how.method == "obert" and pattern.of:
        raise ModelError("obert prunes one by one or in blocks (--pattern block4), not N of M.")
    if how.method == "obert" and how.block % pattern.block:
        raise ModelError(f"--block {how.block} must be a multiple of the {pattern.block} weights that go together.")
    require_seed(how.seed, ModelError)
    for name, value in (("--windows", how.windows), ("--block", how.block), ("--steps", how.steps)):
        if value < 1:
            raise ModelError(f"{name} {value} must be at least 1.")
    if how.damp is not None and not (np.isfinite(how.damp) and how.damp > 0):
        raise ModelError(f"--damp {how.damp:g} must be a positive number.")
