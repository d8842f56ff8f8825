"""`rung merge`: models of one architecture into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, RESULT, Json, Output
from rung.cli.output import require_kinds, say, show, write_result
from rung.errors import ModelError

if TYPE_CHECKING:
    from rung.treat import MergeOptions, MergeWeights

_Model = Annotated[str, Parameter(name="MODEL")]


@Parameter(name="*", group=QUESTION)
@dataclass(frozen=True, kw_only=True)
class MergeNumbers:
    """How the models are merged."""

    method: str = "average"
    """average, task-arithmetic, ties, dare, dare-ties, slerp, task-slerp or model-stock; average by default. All but average and slerp take the base first."""
    weights: str | None = None
    """The weight of each expert (of each model for average), with commas; 1 each by default. search: half of the documents of --evaluate choose them (for SLERP --at), and the other half says what they gain."""
    scale: float = 1.0
    """lambda, by which the merged task vector is multiplied; 1 by default."""
    keep: float = 0.2
    """TIES: the share of each task vector that is kept, its largest entries; 0.2 by default."""
    trim: str = "global"
    """TIES: where the largest entries are sought: global, over the model (the paper's), or tensor (mergekit's)."""
    drop: float = 0.5
    """DARE: the share of each task vector that is dropped at random; 0.5 by default."""
    at: float = 0.5
    """SLERP: where between the two models, 0 to 1; 0.5 by default."""
    seed: int = 0
    """DARE: the seed of what is dropped; 0 by default."""
    any_tokenizer: Annotated[bool, Parameter(negative="")] = False
    """Merge models whose tokenizers differ; the first one's is carried over."""

    def _require_used(self) -> None:
        """Refuse numbers that the method does not know."""
        from rung.treat import METHODS

        if self.method not in METHODS:
            return  # which is refused with the names of all methods
        known = METHODS[self.method].options
        for name in ("weights", "scale", "keep", "trim", "drop", "at", "seed"):
            searched = name == "weights" and self.searched
            if getattr(self, name) != getattr(MergeNumbers, name) and name not in known and not searched:
                has = ", ".join(f"--{one}" for one in known) or "no numbers"
                raise ModelError(f"--{name} is nothing to {self.method}, which has {has}.")

    @property
    def searched(self) -> bool:
        """Whether a text chooses the weights."""
        return self.weights == "search"

    def options(self) -> MergeOptions:
        """The numbers of the method."""
        from rung.treat import MergeOptions
        from rung.units import parse_number

        self._require_used()
        return MergeOptions(
            weights=tuple(parse_number(one) for one in self.weights.split(","))
            if self.weights and not self.searched
            else (),
            scale=self.scale,
            keep=self.keep,
            trim=self.trim,
            drop=self.drop,
            at=self.at,
            seed=self.seed,
        )


@Parameter(name="*", group=QUESTION)
@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How many experts are worth merging."""

    evaluate: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = ()
    """Instead of one merge: a text on which merges of every number of experts are measured, and a law in their number is fitted; with --weights search the text that chooses. Repeatable."""
    loss: float | None = None
    """With --evaluate: a target loss, and how many experts reach it."""
    subsets: int = 20
    """With --evaluate: merges of each number of experts, drawn at random where there are more; 20 by default."""
    merges: int | None = None
    """With --weights search: merges that are measured, at most; 40 by default."""


def merge(
    *models: _Model,
    numbers: MergeNumbers = MergeNumbers(),  # frozen
    evaluation: EvaluateOptions = EvaluateOptions(),  # frozen
    shard_size: Annotated[str, Parameter(group=RESULT)] = "5G",
    output: Output = (),
    json: Json = False,
) -> None:
    """Merge models of one architecture, tensor by tensor from disk to disk, into a new folder (-o), which appears whole or not at all.

    Parameters
    ----------
    models
        Folders with safetensors as Transformers writes them, or such files, the base first where the method has one; or one YAML file of mergekit.
    shard_size
        Largest file of the output [bytes], such as 2G; 5G by default.
    """
    from rung.models import Measuring
    from rung.treat import evaluate_subsets, merge_models, read_recipe
    from rung.units import parse_bytes

    if len(output) != 1 and (numbers.searched or not evaluation.evaluate):
        raise ModelError("name one folder for the merged model: -o OUT.")
    shard = parse_bytes(shard_size)
    if not 1e6 <= shard < 1e15:
        raise ModelError(f"--shard-size {shard_size} must be at least 1M bytes.")
    method = numbers.method
    named: tuple[str, ...] = models
    if len(models) == 1 and models[0].lower().endswith((".yaml", ".yml")):
        if numbers != MergeNumbers(any_tokenizer=numbers.any_tokenizer):
            raise ModelError(f"{models[0]} states the method and its numbers; leave the options out.")
        recipe = read_recipe(models[0])
        named, method, options = recipe.models, recipe.method, recipe.options
        say(*(f"note: {note}" for note in recipe.notes))
    else:
        options = numbers.options()
    weights = _searched(named, method, options, evaluation, numbers) if numbers.searched else None
    if evaluation.merges is not None and weights is None:
        raise ModelError("--merges belongs to --weights search.")
    if evaluation.evaluate and weights is None:
        kinds = require_kinds(output, {".json": "the losses of the merges"})
        text = Measuring(data=evaluation.evaluate)
        curve = evaluate_subsets(named, method, options, text, most=evaluation.subsets, wanted=evaluation.loss)
        write_result(curve, kinds)
        show(curve, json=json)
        return
    if evaluation.loss is not None:
        raise ModelError("--loss belongs to --evaluate.")
    if weights is not None:
        options = weights.options
    found = merge_models(named, output[0], method, options, shard=int(shard), any_tokenizer=numbers.any_tokenizer)
    if weights is None:
        show(found, json=json)
    else:
        show(weights, json=json, more={"merged": found.to_dict()}, below=[found])


def _searched(
    models: tuple[str, ...], method: str, options: MergeOptions, evaluation: EvaluateOptions, numbers: MergeNumbers
) -> MergeWeights:
    """The weights that a text chooses."""
    from rung.models import Measuring
    from rung.treat import search_weights

    if evaluation.loss is not None or evaluation.subsets != EvaluateOptions.subsets:
        raise ModelError("--loss and --subsets belong to --evaluate without --weights search.")
    most = 40 if evaluation.merges is None else evaluation.merges
    text = Measuring(data=evaluation.evaluate)
    return search_weights(models, method, options, text, most=most, any_tokenizer=numbers.any_tokenizer)
