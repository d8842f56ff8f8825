"""`rung skill sample`: attempts of models at problems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rung.cli.measure import DeviceOptions
from rung.cli.options import QUESTION, Output, Seed
from rung.cli.output import require_kinds, say
from rung.cli.table_file import KINDS, write_frame
from rung.errors import ModelError


@Parameter(name="*", group=QUESTION)
@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """How problems are put and answers drawn."""

    shots: int = 0
    """How many of the first problems stand before each of the others with their answers, as demonstrations for a base model."""
    instruction: str = ""
    """A line before these."""
    until: int = 2
    """Passes that end the attempts at a problem; 2 by default, the fewest with an unbiased rate."""
    cap: int = 1000
    """Most attempts at a problem; 1000 by default."""
    temperature: float = 1.0
    """By which logits are divided; 1 by default."""
    tokens: int = 32
    """Most tokens of an answer; 32 by default."""
    stop: str = "\n"
    """Text that ends an answer; a line break by default, "" for none."""


def sample(
    *models: Annotated[str, Parameter(name="MODEL")],
    problems: Annotated[str, Parameter(group=QUESTION)],
    options: SampleOptions = SampleOptions(),  # frozen
    devices: DeviceOptions = DeviceOptions(),  # noqa: B008  # frozen
    seed: Seed = 0,
    output: Output = (),
) -> None:
    """Let models attempt problems until some attempts pass or to a cap: a table for rung skill pass-rate.

    Parameters
    ----------
    models
        Folders of Transformers, finished runs of a ladder, or names on the Hugging Face hub.
    problems
        JSON lines: {"prompt": "2 + 5 =", "answer": "7"}; the answer begins with it. Or a "pattern", a regular expression that is found in it.
    """
    import polars as pl

    from rung.models import Sampling, attempts, demonstrated, open_model, read_problems
    from rung.results import Table

    kinds = require_kinds(output, KINDS)
    if not models:
        raise ModelError("name one model or more.")
    asked = demonstrated(read_problems(Path(problems)), options.shots, options.instruction)
    sampling = Sampling(
        until=options.until,
        cap=options.cap,
        temperature=options.temperature,
        tokens=options.tokens,
        stop=options.stop,
        seed=seed,
    )
    rows: list[dict[str, object]] = []
    try:
        for place in models:
            model = open_model(place, device=devices.device, dtype=devices.dtype)
            rows += (
                {"model": model.name, "params": model.size.params, **row} for row in attempts(model, asked, sampling)
            )
    finally:
        # An interrupt keeps what has been sampled.
        frame = pl.DataFrame(rows, infer_schema_length=None)
        for path in kinds if rows else ():
            write_frame(frame, path)
    parts = frame.group_by("model", maintain_order=True).agg(
        pl.col("params").first(), pl.col("attempts").sum(), (pl.col("passes") > 0).sum().alias("passed"), pl.len()
    )
    told = [[name, f"{params:,}", f"{tried:,}", f"{passed} of {count}"] for name, params, tried, passed, count in parts.iter_rows()]  # fmt: skip
    print(Table(["model", "params", "attempts", "problems passed"], told).text())
    if not kinds:
        say("note: -o attempts.csv keeps the table for rung skill pass-rate.")
