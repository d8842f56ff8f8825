"""Measured models, as values: one row each, ready for a table of runs and for `density`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rung.findings import Finding
from rung.models.items import ItemScores
from rung.models.losses import DocumentLoss
from rung.models.ratio import Ratio, ratio
from rung.models.size import ModelSize
from rung.results import Result, Summary, Table
from rung.units import format_bytes, format_count, format_value

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredModel:
    """One model.

    Attributes:
        model: Its name.
        origin: "transformers" or "ladder".
        size: How large it is.
        counts: N, and the active and nonzero parameters, by the convention of the table [count].
        known: What its folder says of its training, such as its tokens.
        losses: Its loss on each document; empty where no text was given.
        context: The most tokens that were predicted from; 0 without a text.
        stride: How far windows were apart; 0 without a text.
        items: Its scores on items; None where none were given.
        tokens_per_s: Tokens that went through the network in a second; None without a text.
        memory_bytes: The most memory while it was measured [bytes]; None where the system does not tell.
    """

    model: str
    origin: str
    size: ModelSize
    counts: Mapping[str, int]
    known: Mapping[str, Any]
    losses: tuple[DocumentLoss, ...]
    context: int
    stride: int
    items: ItemScores | None
    tokens_per_s: float | None
    memory_bytes: int | None

    @property
    def loss(self) -> Ratio | None:
        """The loss [nats/token]."""
        return ratio([one.nats for one in self.losses], [one.tokens for one in self.losses]) if self.losses else None

    @property
    def bpb(self) -> Ratio | None:
        """Bits per byte of the text, which compares across tokenizers."""
        bits = [one.nats / math.log(2) for one in self.losses]
        return ratio(bits, [one.bytes for one in self.losses]) if self.losses else None

    def row(self) -> dict[str, Any]:
        """The model as a row of a table."""
        size = self.size
        found: dict[str, Any] = {
            "run": self.model,
            **self.known,
            **self.counts,
            "params_total": size.params,
            "params_non_embedding": size.params_non_embedding,
            "bits": size.stored_bits / size.params,
        }
        if self.loss is not None and self.bpb is not None:
            found |= {
                "loss": self.loss.value,
                "loss_se": self.loss.se,
                "bpb": self.bpb.value,
                "bpb_se": self.bpb.se,
                "documents": len(self.losses),
                "scored_tokens": sum(one.tokens for one in self.losses),
                "scored_bytes": sum(one.bytes for one in self.losses),
                "context": self.context,
                "stride": self.stride,
                "flops_per_token": size.flops_per_token(self.context),
                "tokens_per_s": self.tokens_per_s,
            }
        if self.items is not None:
            found |= self.items.row()
        return {**found, "memory_bytes": self.memory_bytes}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Measurements(Result):
    """Models that were measured alike.

    Attributes:
        models: The models, in the order in which they were named.
        convention: How N is counted in the column params: total, non_embedding or active.
        data: What they were measured on.
        rule: How windows were laid.
        warnings: What speaks against the measurements.
    """

    models: tuple[MeasuredModel, ...]
    convention: str
    data: str
    rule: str
    warnings: tuple[Finding, ...]

    def to_frame(self) -> pl.DataFrame:
        """One row for each model."""
        import polars as pl

        frame = pl.DataFrame([one.row() for one in self.models], infer_schema_length=None)
        return frame.select([name for name in frame.columns if frame[name].null_count() < frame.height])

    def items_as_lines(self) -> str:
        """The score of every item by every model, as JSON lines."""
        return "".join(
            json.dumps({"model": model.model, **item.to_dict()}) + "\n"
            for model in self.models
            if model.items is not None
            for item in model.items.every
        )

    def differences(self) -> tuple[Ratio, ...]:
        """Bits per byte of each further model less those of the first, over the same documents, so that what both find hard cancels."""
        first = self.models[0].losses
        found = []
        for other in self.models[1:]:
            apart = [(b.nats - a.nats) / math.log(2) for a, b in zip(first, other.losses, strict=True)]
            found.append(ratio(apart, [one.bytes for one in first]))
        return tuple(found)

    @property
    def comparable(self) -> bool:
        """Whether all models scored the same bytes of the same documents."""
        spans = [[(one.name, one.bytes) for one in model.losses] for model in self.models]
        return len(spans) > 1 and bool(spans[0]) and all(span == spans[0] for span in spans)

    def headline(self) -> str:
        return "; ".join(f"{one.model}: {_short(one)}" for one in self.models)

    def describe(self) -> Summary:
        names = ["model", f"params ({self.convention})", "active", "nonzero", "stored"]
        rows = [
            [
                one.model,
                format_count(one.counts["params"]),
                format_count(one.counts["params_active"]),
                f"{100 * one.counts['params_nonzero'] / one.counts['params']:.3g} %",
                format_bytes(one.size.stored_bits / 8),
            ]
            for one in self.models
        ]
        blocks: list[str | Table] = [Table(names, rows)]
        if self.models[0].losses:
            blocks += [f"measured   {self.data}\nwindows    {self.rule}", self._losses()]
        if any(one.items is not None for one in self.models):
            blocks.append(self._items())
        return Summary(blocks)

    def _losses(self) -> Table:
        apart = ["-", *map(_with_error, self.differences())] if self.comparable else None
        header = ["model", "loss [nats/token]", "bits per byte", "tokens/s", "memory"]
        rows = []
        for index, one in enumerate(self.models):
            memory = "-" if one.memory_bytes is None else format_bytes(one.memory_bytes)
            pace = "-" if one.tokens_per_s is None else format_count(one.tokens_per_s)
            row = [one.model, _with_error(one.loss), _with_error(one.bpb), pace, memory]
            rows.append([*row[:3], apart[index], *row[3:]] if apart else row)
        if apart:
            header.insert(3, "less the first")
        return Table(header, rows)

    def _items(self) -> Table:
        scored = [(one.model, one.items) for one in self.models if one.items is not None]
        rows = [
            [name, f"{items.count:,}", *(_with_error(value) for value in items.scores().values())]
            for name, items in scored
        ]
        return Table(["model", "items", *scored[0][1].scores()], rows)

    def to_dict(self) -> dict[str, Any]:
        """The measurements as plain values."""
        return {
            "models": [one.row() for one in self.models],
            "convention": self.convention,
            "data": self.data,
            "windows": self.rule,
            "bpb_less_the_first": [{"value": one.value, "se": one.se} for one in self.differences()]
            if self.comparable
            else [],
            "warnings": [one.to_dict() for one in self.warnings],
        }


def _with_error(found: Ratio | None) -> str:
    if found is None:
        return "-"
    return f"{found.value:.4f}" + ("" if found.se is None else f" ± {found.se:.2g}")


def _short(one: MeasuredModel) -> str:
    if one.bpb is not None and one.loss is not None:
        return f"{format_value(one.loss.value)} nats per token, {format_value(one.bpb.value)} bits per byte"
    if one.items is not None:
        return f"accuracy {format_value(one.items.scores()['accuracy'].value)}"
    return f"{format_count(one.size.params)} parameters"
