"""Merging models of one architecture: part by part from disk to disk, so that memory holds a few millions of numbers.

Every tensor is computed in 32-bit floats and stored as the first model stores it. theta_0 is the base, tau_i = theta_i - theta_0 the
task vector of expert i.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import ModelError
from rung.findings import Finding
from rung.messages import counted, did_you_mean, listed
from rung.models import SHARD, Weights, WeightsWriter, carry_over, from_float32, new_folder, open_weights
from rung.progress import reported
from rung.results import Result, Summary, Table
from rung.treat.methods import METHODS, MergeOptions, Method, Work
from rung.treat.trimming import PART
from rung.units import format_count, format_percent

_FAR = 0.5
"""Length of a task vector over that of its base from which the base is hardly an ancestor."""

_NAMED = 6
"""Tensors that an error names."""

_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt")
"""Files that say what a token is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Merged(Result):
    """A merged model.

    Attributes:
        output: Its folder.
        method: How it was merged.
        options: With which numbers.
        models: The models, the base first where the method has one.
        merged: Tensors that were computed.
        copied: Tensors of whole numbers, which agree in all models.
        params: Numbers that were computed.
        distances: Length of each expert's task vector over that of the base; empty without a base.
        carried: Files that were carried over.
        warnings: What speaks against the merge.
    """

    output: str
    method: str
    options: MergeOptions
    models: tuple[str, ...]
    merged: int
    copied: int
    params: int
    distances: tuple[float, ...]
    carried: tuple[str, ...]
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        whole = f"{counted(self.merged, 'tensor')} of {self.merged + self.copied} merged ({format_count(self.params)} numbers)"
        return f"{self.method} of {len(self.models)} models: {whole}, {self.copied} copied"

    def describe(self) -> Summary:
        based = bool(self.distances)
        rows = [
            [
                name,
                "base" if based and index == 0 else "expert",
                "-" if not based or index == 0 else format_percent(self.distances[index - 1]),
            ]
            for index, name in enumerate(self.models)
        ]
        used = ", ".join(f"{name} {_shown(value)}" for name, value in self.options.used(self.method).items())
        said = f"{METHODS[self.method].meaning}{f'; {used}' if used else ''}"
        carried = f"carried over: {', '.join(self.carried)}" if self.carried else "nothing stood beside the weights"
        return Summary(
            [
                self.headline(),
                said,
                Table(["model", "as", "task vector over base"], rows),
                f"{carried}\nwritten to {self.output}",
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The merge as plain values."""
        names = ("output", "method", "models", "merged", "copied", "params", "distances", "carried")
        return {
            **{name: getattr(self, name) for name in names},
            "options": self.options.used(self.method),
            "warnings": [one.to_dict() for one in self.warnings],
        }


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{one:g}" for one in value) or "1 each"
    return value if isinstance(value, str) else f"{value:g}"


def merge_models(
    models: Sequence[str | Path],
    output: str | Path,
    method: str,
    options: MergeOptions = MergeOptions(),  # noqa: B008  # frozen
    *,
    shard: int = SHARD,
    any_tokenizer: bool = False,
) -> Merged:
    """Merge models of one architecture into a new folder, which appears whole or not at all.

    Args:
        models: Folders with safetensors, or such files; the base first where the method has one.
        output: The new folder.
        method: A name of METHODS.
        options: Weights and numbers of the method.
        shard: Most bytes of a file of the output.
        any_tokenizer: Whether to merge models whose tokenizers differ; the first one's is carried over.

    Raises:
        ModelError: The models do not match, are damaged, or the folder is taken or cannot be written.
    """
    if method not in METHODS:
        raise ModelError(
            f"there is no method {method!r}.{did_you_mean(method, METHODS)} They are {', '.join(METHODS)}."
        )
    how = METHODS[method]
    how.require(len(models), options)
    opened = [open_weights(model) for model in models]
    _require_alike(opened)
    if not any_tokenizer:
        _require_one_tokenizer(opened)
    base = opened[0]
    seen = _Seen(len(opened))
    with new_folder(Path(output)) as folder:
        writer = WeightsWriter(folder, base.tensors, shard)
        writer.write(_tensors(opened, how, options, seen), base.metadata)
        carried = carry_over(base, folder)
    floats = [one for one in base.tensors.values() if one.is_float]
    distances = seen.distances if how.based else ()
    return Merged(
        output=str(output),
        method=method,
        options=options,
        models=tuple(map(str, models)),
        merged=len(floats),
        copied=len(base.tensors) - len(floats),
        params=sum(one.count for one in floats),
        distances=distances,
        carried=tuple(carried),
        warnings=_findings(opened, distances),
    )


@dataclass(slots=True)
class _Seen:
    """Squared lengths of the base and of each task vector, summed while the parts go by."""

    models: int
    base: float = 0.0
    tasks: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tasks = [0.0] * (self.models - 1)

    def add(self, parts: Sequence[Array]) -> None:
        with np.errstate(over="ignore"):
            self.base += float(np.dot(parts[0], parts[0]))
            for index, part in enumerate(parts[1:]):
                task = part - parts[0]
                self.tasks[index] += float(np.dot(task, task))

    @property
    def distances(self) -> tuple[float, ...]:
        return tuple(float(np.sqrt(task / self.base)) if self.base else float("inf") for task in self.tasks)


def _tensors(
    models: Sequence[Weights], how: Method, options: MergeOptions, seen: _Seen
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each tensor of the merged model, as bytes in parts."""
    work = Work(models, options)
    how.begin(work)
    for index, name in enumerate(reported(list(models[0].tensors), "tensors")):
        info = models[0].tensors[name]
        yield name, _merged(work, how, seen, index, name) if info.is_float else _copied(models, name)


def _merged(work: Work, how: Method, seen: _Seen, index: int, name: str) -> Iterator[bytes]:
    dtype = work.models[0].tensors[name].dtype
    combine = how.tensor(work, index, name)
    for parts in work.parts(name):
        if how.based:
            seen.add(parts)
            if not np.isfinite(seen.base + sum(seen.tasks)) and not all(np.isfinite(part).all() for part in parts):
                # A method that takes signs would lose them.
                raise ModelError(f"{name} holds numbers that are not finite: {_culprit(work, name)}.")
        out = combine(parts)
        if not np.isfinite(out).all():
            raise ModelError(f"{name} of the merged model holds numbers that are not finite: {_culprit(work, name)}.")
        yield from_float32(out, dtype)


def _culprit(work: Work, name: str) -> str:
    bad = [
        str(model.place)
        for model in work.models
        if not all(np.isfinite(part).all() for part in model.floats(name, PART))
    ]
    return f"so does that of {listed(bad)}" if bad else "they overflow 32-bit floats"


def _copied(models: Sequence[Weights], name: str) -> Iterator[bytes]:
    for parts in zip(*(model.parts(name, PART) for model in models), strict=True):
        if any(part != parts[0] for part in parts[1:]):
            raise ModelError(f"{name} holds whole numbers that differ between the models, and these cannot be merged.")
        yield bytes(parts[0])


def _require_alike(models: Sequence[Weights]) -> None:
    """Refuse models whose tensors have other names, shapes or kinds.

    Raises:
        ModelError: They do not match; the message lists the tensors.
    """
    base = models[0]
    for other in models[1:]:
        missing = sorted(base.tensors.keys() - other.tensors.keys())
        extra = sorted(other.tensors.keys() - base.tensors.keys())
        shared = base.tensors.keys() & other.tensors.keys()
        shaped = sorted(name for name in shared if base.tensors[name].shape != other.tensors[name].shape)
        kinds = sorted(name for name in shared if base.tensors[name].is_float != other.tensors[name].is_float)
        for names, what in (
            (missing, f"stand in {base.place} and not in {other.place}"),
            (extra, f"stand in {other.place} and not in {base.place}"),
            (kinds, f"are floats in one of {base.place} and {other.place}, and whole numbers in the other"),
        ):
            if names:
                raise ModelError(
                    f"{len(names)} tensors {what}: {listed(names, _NAMED)}. Models of one architecture are merged."
                )
        if shaped:
            first = shaped[0]
            raise ModelError(
                f"{counted(len(shaped), 'tensor')} of {base.place} and {other.place} differ in shape: {listed(shaped, _NAMED)} "
                f"({first}: {list(base.tensors[first].shape)} and {list(other.tensors[first].shape)}). Models of one size and vocabulary are merged."
            )


def _require_one_tokenizer(models: Sequence[Weights]) -> None:
    """Refuse models in whose tokenizers a number means another token."""
    for name in _TOKENIZER:
        files = [model.place / name for model in models if model.place.is_dir()]
        there = [file for file in files if file.is_file()]
        differing = [file for file in there[1:] if file.read_bytes() != there[0].read_bytes()]
        if differing:
            raise ModelError(
                f"{there[0]} and {differing[0]} differ: a row of the embedding may stand for another token in each. Merge models of one "
                "tokenizer, or pass --any-tokenizer where you know that they agree."
            )


def _findings(models: Sequence[Weights], distances: Sequence[float]) -> tuple[Finding, ...]:
    found = []
    far = [
        f"{model.place} ({format_percent(distance)})"
        for model, distance in zip(models[1:], distances, strict=False)
        if distance >= _FAR
    ]
    if far:
        found.append(
            Finding(
                "no_ancestor",
                f"the weights of {listed(far)} lie far from those of {models[0].place}, as of models that were not trained from it: "
                "sums of such task vectors seldom make a model. Check which is the base.",
            )
        )
    kinds = {one.dtype for model in models for one in model.tensors.values() if one.is_float}
    if len(kinds) > 1:
        found.append(
            Finding(
                "mixed_dtypes",
                f"the models store floats as {listed(sorted(kinds))}; the merged one stores each tensor as {models[0].place} does.",
            )
        )
    return tuple(found)
