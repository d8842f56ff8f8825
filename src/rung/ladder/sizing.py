"""From the request of a [[rung]] to a run with everything decided: its size, data and batch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rung.errors import LadderError
from rung.ladder.architectures.size import Family, Size, nearest_size
from rung.ladder.recipe import Recipe
from rung.ladder.rung import Choice, Evaluate, Rung, flops_per_token
from rung.units import format_count

_STEP_OVER = 1.5
"""Most tokens of a single step, over the tokens requested: a run has at least one whole step."""

_EXACT = 9_999.5
"""Numbers up to this one are written in full in the name of a run; larger ones as 10K, 3M and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RungSpec:
    """One run as a [[rung]] specifies it.

    The size is given by params, or by width, depth or both; the data by one of tokens, tokens_per_param, flops and
    steps.

    Attributes:
        name: Name of the run; by default made of its size, data and seed.
        params: N by the ladder's convention; the family builds the nearest size [count].
        width: Width [count].
        depth: Layers [count].
        tokens: Training tokens [count].
        tokens_per_param: Training tokens over N.
        flops: Training compute by the ladder's convention [FLOP].
        steps: Optimizer steps [count].
        unique_tokens: Distinct tokens that the run may use; 0 for all [count].
        seed: Seed of the weights and of the order of the items.
        lr: Replaces that of the recipe.
        batch_tokens: Replaces that of the recipe.
        weight_decay: Replaces that of the recipe.
    """

    name: str = ""
    params: float = 0.0
    width: int = 0
    depth: int = 0
    tokens: float = 0.0
    tokens_per_param: float = 0.0
    flops: float = 0.0
    steps: int = 0
    unique_tokens: int = 0
    seed: int = 0
    lr: float | str = ""
    batch_tokens: float | str = ""
    weight_decay: float | str = ""

    def __post_init__(self) -> None:
        counts = ("params", "width", "depth", "tokens", "tokens_per_param", "flops", "steps", "unique_tokens", "seed")
        for name in counts:
            if getattr(self, name) < 0:
                raise LadderError(f"{name} = {getattr(self, name):g} must not be negative.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What all rungs of a ladder share.

    Attributes:
        family: The family by name, with its options.
        made: That family as a value.
        corpus: The corpus by name, with its options.
        recipe: The recipe.
        evaluate: When runs are evaluated.
        convention: How N is counted.
        flops_by: How C is counted.
    """

    family: Choice
    made: Family
    corpus: Choice
    recipe: Recipe
    evaluate: Evaluate
    convention: str
    flops_by: str

    def size(self, spec: RungSpec) -> Size:
        """The size that a specification asks for."""
        if spec.params and (spec.width or spec.depth):
            raise LadderError("give params, or width and depth; with params, the family's rule decides both.")
        if spec.params:
            return nearest_size(self.made, spec.params, self.convention)
        return self.made.size_of(spec.width or None, spec.depth or None)

    def items(self, recipe: Recipe) -> int:
        """Items in one step, rounded to whole micro-batches [count]."""
        assert isinstance(recipe.batch_tokens, float)
        items = max(1, round(recipe.batch_tokens / self.made.item_tokens))
        micro = recipe.micro_batch
        return items if not micro or items <= micro else micro * math.ceil(items / micro)

    def name(self, spec: RungSpec, entry: Mapping[str, Any]) -> str:
        """The default name of a run: size, data and seed, and each setting of which the entry lists several values."""
        size = self.size(spec)
        budgets = (("tokens_per_param", "x"), ("tokens", "t"), ("flops", "c"), ("steps", "n"))
        data = [f"{letter}{_short(getattr(spec, name))}" for name, letter in budgets if getattr(spec, name)]
        swept = (("lr", "lr"), ("batch_tokens", "b"), ("weight_decay", "wd"), ("unique_tokens", "u"))
        more = [f"{letter}{_short(getattr(spec, name))}" for name, letter in swept if isinstance(entry.get(name), list)]
        return "-".join([f"d{size.depth}", f"w{size.width}", *data, f"s{spec.seed}", *more])

    def rung(self, spec: RungSpec) -> Rung:
        """The run of a specification, with everything decided."""
        made, size = self.made, self.size(spec)
        params = made.count_params(size).by(self.convention)
        own = {name: value for name in ("lr", "batch_tokens", "weight_decay") if (value := getattr(spec, name)) != ""}
        recipe = replace(self.recipe, **own)
        given = [name for name in ("tokens", "tokens_per_param", "flops", "steps") if getattr(spec, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise LadderError(f"give one of tokens, tokens_per_param, flops and steps; there is {found}.")
        scope = {
            "N": float(params),
            "width": float(size.width),
            "depth": float(size.depth),
            "context": float(made.item_tokens),
        }
        if spec.steps:
            if isinstance(recipe.batch_tokens, str) and re.search(r"\b(D|tokens)\b", recipe.batch_tokens):
                raise LadderError("steps needs a batch that does not depend on D: set batch_tokens.")
            requested = float(spec.steps * self.items(recipe.at({**scope, "D": 1.0})) * made.item_tokens)
        else:
            per_token = flops_per_token(made, size, self.convention, self.flops_by)
            requested = spec.tokens or spec.tokens_per_param * params or spec.flops / per_token
        settled = recipe.at({**scope, "D": requested})
        batch = self.items(settled)
        if batch * made.item_tokens > _STEP_OVER * requested:
            raise LadderError(
                f"{given[0]} = {getattr(spec, given[0]):g} means {requested:,.0f} tokens, less than one step of {batch * made.item_tokens:,} "
                "(batch_tokens). Give more data or a smaller batch."
            )
        return Rung(
            name=spec.name,
            family=self.family,
            size=size,
            corpus=self.corpus,
            recipe=settled,
            steps=spec.steps or max(1, round(requested / (batch * made.item_tokens))),
            batch=batch,
            seed=spec.seed,
            unique_tokens=spec.unique_tokens,
            convention=self.convention,
            flops_by=self.flops_by,
            evaluate=self.evaluate,
        )


def _short(value: float | str) -> str:
    if isinstance(value, str):
        return "".join(letter for letter in value if letter.isalnum() or letter in "._")
    return format_count(value) if value > _EXACT else f"{value:g}"
