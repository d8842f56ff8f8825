"""Pruning: weights of a finished model that are set to zero, and what stays made up for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import ModelError
from rung.messages import counted
from rung.models import (
    OpenModel,
    Weights,
    WeightsWriter,
    carry_over,
    export_run,
    from_float32,
    is_run_folder,
    new_folder,
    open_model,
    open_weights,
)
from rung.results import Result, Summary, Table
from rung.treat.calibration import mean_loss, windows_of_text
from rung.treat.layers import Layer, layers_of
from rung.treat.masks import Pattern, keeps
from rung.treat.pruners import Work
from rung.treat.pruning import PRUNERS, Pruning, require_possible
from rung.treat.recovery import Recovery, prune_and_recover
from rung.units import format_bytes, format_count, format_percent, format_value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pruned(Result):
    """A pruned model.

    Attributes:
        output: Its folder.
        model: The model that was pruned.
        method: How.
        pattern: Which weights go together.
        scope: Where the least were sought.
        sparsity: Share of the matrices of the blocks that is zero.
        least: The smallest share of a matrix.
        most: The largest share of a matrix.
        params: All parameters [count].
        nonzero: Those that are not zero [count].
        dense_bytes: What the file takes, in which zeros are stored [bytes].
        nonzero_bytes: What the nonzero numbers and a bit for each weight to say where they are would take [bytes].
        before: The loss on the windows that it looked at [nats/token]; None where it looked at none.
        after: The loss after pruning.
        damp: The damping that was used; None where there is none.
        cost: What the treatment cost [FLOP].
        recovered: Tokens on which it went on learning [count].
        stages: Stages in which the share was reached [count].
    """

    output: str
    model: str
    method: str
    pattern: str
    scope: str
    sparsity: float
    least: float
    most: float
    params: int
    nonzero: int
    dense_bytes: int
    nonzero_bytes: int
    before: float | None
    after: float | None
    damp: float | None
    cost: float
    recovered: int
    stages: int

    def headline(self) -> str:
        return f"{self.method}: {format_percent(self.sparsity)} of the matrices of {self.model} are zero, {format_count(self.nonzero)} of {format_count(self.params)} parameters stay"

    def describe(self) -> Summary:
        rows = [
            ["as the file stores it, zeros too", format_bytes(self.dense_bytes)],
            ["nonzero numbers, and a bit for each weight", format_bytes(self.nonzero_bytes)],
        ]
        damp = f"; damping {self.damp:g}" if self.damp is not None else ""
        said = f"{PRUNERS[self.method].meaning}; {self.pattern}, sought by {self.scope}{damp}"
        spread = f"matrices    from {format_percent(self.least)} to {format_percent(self.most)} zero"
        blocks: list[str | Table] = [self.headline(), said, Table(["size", ""], rows), spread]
        if self.before is not None and self.after is not None:
            blocks.append(
                f"loss on the windows that it looked at: {format_value(self.before)} before, {format_value(self.after)} after; on other "
                f"text: rung measure {self.model} {self.output} --data TEXT"
            )
        if self.recovered:
            blocks.append(f"recovery    {format_count(self.recovered)} tokens in {counted(self.stages, 'stage')}")
        blocks.append(f"cost        {self.cost:.3g} FLOPs (treatment_flops for rung worth)\nwritten to {self.output}")
        return Summary(blocks)

    def to_dict(self) -> dict[str, Any]:
        """The pruning as plain values."""
        names = (
            *("output", "model", "method", "pattern", "scope", "sparsity", "least", "most", "params", "nonzero"),
            *("dense_bytes", "nonzero_bytes", "before", "after", "damp", "recovered", "stages"),
        )
        return {**{name: getattr(self, name) for name in names}, "treatment_flops": self.cost}


def prune_model(model: str | Path, output: str | Path, how: Pruning) -> Pruned:
    """Prune a causal language model into a new folder, which appears whole or not at all.

    The matrices in its blocks are pruned; embedding, head, norms and biases stay. Zeros are stored as the model stores its numbers. A run
    of a ladder is written as Transformers reads it.

    Raises:
        ModelError: An option is out of its range, the model cannot be opened, or the text is too short.
    """
    pattern = require_possible(how)
    if is_run_folder(Path(model)):
        with tempfile.TemporaryDirectory() as made:
            export_run(model, Path(made) / "run")
            return _pruned(str(model), Path(made) / "run", Path(output), how, pattern)
    return _pruned(str(model), Path(model), Path(output), how, pattern)


def _pruned(named: str, place: Path, output: Path, how: Pruning, pattern: Pattern) -> Pruned:
    if output.exists():
        raise ModelError(f"{output} is there already, and is not overwritten. Name another folder, or remove it.")
    looks = PRUNERS[how.method].looks or bool(how.recover)
    model = open_model(place, device=how.device, text=looks)
    weights = open_weights(place)
    layers = layers_of(model, weights)
    _require_groups(layers, pattern)
    _require_sound(model, layers, named)
    batches = (
        windows_of_text(model, how.calibrate, count=how.windows, context=how.context, seed=how.seed) if looks else []
    )
    recovery = Recovery.of(model, place, how) if how.recover else None
    before = float(mean_loss(model, batches)) if looks else None
    work = Work(model=model, layers=layers, batches=batches, how=how, pattern=pattern)
    damp, cost = prune_and_recover(work, recovery)
    after = float(mean_loss(model, batches)) if looks else None
    shares = [float((layer.matrix == 0).double().mean()) for layer in layers]
    if not all(keeps(layer.matrix, pattern) for layer in layers):
        raise AssertionError("a matrix does not stand in its pattern")
    with new_folder(output) as folder:
        _write(weights, layers, folder)
    nonzero, dense, compact = _sizes(open_weights(output), layers)
    counts = np.array([layer.matrix.numel() for layer in layers])
    return Pruned(
        output=str(output),
        model=named,
        method=how.method,
        pattern=how.pattern,
        scope=work.scope,
        sparsity=float(counts @ shares / counts.sum()),
        least=min(shares),
        most=max(shares),
        params=weights.params,
        nonzero=nonzero,
        dense_bytes=dense,
        nonzero_bytes=compact,
        before=before,
        after=after,
        damp=damp,
        cost=cost,
        recovered=0 if recovery is None else recovery.tokens,
        stages=1 if recovery is None else recovery.stages,
    )


def _require_sound(model: OpenModel, layers: Sequence[Layer], named: str) -> None:
    """Refuse weights that are no numbers, and files that hold more than the network."""
    import torch

    bad = next((layer.name for layer in layers if not torch.isfinite(layer.matrix).all()), None)
    if bad is not None:
        raise ModelError(f"{named}: {bad} holds numbers that are not finite.")
    if model.unused:
        raise ModelError(
            f"{named}: its network has no place for {model.unused[0]} ({len(model.unused)} such tensors), which would stay as they are. Is the "
            "configuration that of these weights?"
        )


def _require_groups(layers: Sequence[Layer], pattern: Pattern) -> None:
    bad = [layer for layer in layers if layer.matrix.shape[1] % pattern.group]
    if bad:
        raise ModelError(
            f"{bad[0].name} has {bad[0].matrix.shape[1]} inputs, which are no multiple of {pattern.group}: take another pattern."
        )


def _write(weights: Weights, layers: Sequence[Layer], folder: Path) -> None:
    """The model with its pruned matrices, every other tensor as it was."""
    pruned = {layer.name: layer for layer in layers}

    def tensors() -> Iterator[tuple[str, Iterator[bytes]]]:
        for name, info in weights.tensors.items():
            layer = pruned.get(name)
            if layer is None:
                yield name, (bytes(part) for part in weights.parts(name, 1 << 24))
            else:
                stored = layer.matrix.T if layer.transposed else layer.matrix
                yield name, iter([from_float32(stored.float().cpu().contiguous().numpy().ravel(), info.dtype)])

    WeightsWriter(folder, weights.tensors).write(tensors(), weights.metadata)
    carry_over(weights, folder)


def _sizes(written: Weights, layers: Sequence[Layer]) -> tuple[int, int, int]:
    """Nonzero parameters, bytes as stored, and bytes of the nonzero numbers with a bit for each weight of a pruned matrix."""
    matrices = {layer.name for layer in layers}
    nonzero = dense = 0
    compact = 0.0
    for name, info in written.tensors.items():
        dense += info.size
        if not info.is_float:
            nonzero += info.count
            compact += info.size
            continue
        count = sum(int(np.count_nonzero(part)) for part in written.floats(name, 1 << 22))
        nonzero += count
        each = info.size / max(info.count, 1)
        compact += count * each + info.count / 8 if name in matrices else info.size
    return nonzero, dense, round(compact)
