"""`rung measure`: the loss, size and pace of finished models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import MACHINES, QUESTION, Json, Output
from rung.cli.output import require_kinds, show, write_result
from rung.errors import ModelError

_Model = Annotated[str, Parameter(name="MODEL")]


@Parameter(name="*", group=QUESTION)
@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What models are measured on."""

    data: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = ()
    """Text: files and folders; JSONL and Parquet by row, other files whole. Repeatable."""
    items: str | None = None
    """JSON lines of items: {"prompt": ..., "choices": [...], "answer": 0}, scored by the likelihood of each choice."""
    field: str = "text"
    """The column of JSONL and Parquet that holds the text; text by default."""
    separator: str = ""
    r"""What separates the documents of a plain file, such as '<|endoftext|>' or '\\n\\n'; by default a file is one document."""
    context: int | None = None
    """The most tokens that are predicted from; 1024 by default, or what the model has."""
    stride: int | None = None
    """How far windows are apart; half a window by default."""
    params: str | None = None
    """How N is counted in the column params: total, non_embedding or active; that of the ladder for its runs, else total."""
    keep: str | None = None
    """A file of JSON lines that keeps the loss of every document; an interrupted measurement goes on from it."""
    per_item: str | None = None
    """A file of JSON lines for the score of every item by every model."""


@Parameter(name="*", group=MACHINES)
@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Where models compute."""

    device: str | None = None
    """cpu, cuda, cuda:1, or auto to spread a model over several devices; a GPU where there is one by default."""
    dtype: str = "float32"
    """The numbers that are computed with: float32, bfloat16, float16 or stored; float32 by default."""


def measure(
    *models: _Model,
    options: MeasureOptions = MeasureOptions(),  # frozen
    devices: DeviceOptions = DeviceOptions(),  # frozen
    output: Output = (),
    json: Json = False,
) -> None:
    """Measure finished models on a text of yours: loss, bits per byte, size, pace; a row each, for a table of runs.

    Parameters
    ----------
    models
        Folders as Transformers writes them (config.json, safetensors, tokenizer), finished runs of a ladder, or names on the Hugging Face hub.
    """
    from rung.files import write_text
    from rung.models import Measuring
    from rung.models import measure as measure_models

    kinds = require_kinds(output, {".csv": "the table", ".json": "the measurements"})
    if options.per_item:
        require_kinds([options.per_item], {".jsonl": "the items"})
        if not options.items:
            raise ModelError("--per-item belongs to --items.")
    how = Measuring(
        data=options.data,
        items=options.items,
        field=options.field,
        separator=options.separator.replace("\\n", "\n").replace("\\t", "\t"),
        context=options.context,
        stride=options.stride,
        device=devices.device,
        dtype=devices.dtype,
        keep=options.keep,
        convention=options.params,
    )
    found = measure_models(models, how)
    write_result(found, kinds)
    if options.per_item:
        write_text(options.per_item, found.items_as_lines())
    show(found, json=json)
