"""`rung skill compare`: whether a difference between models is real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, ROWS, Figure, Json, Level, Output, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result

if TYPE_CHECKING:
    from rung.skill import ScoreColumns


@Parameter(name="*", group=ROWS)
@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Which columns of a table of scores mean what."""

    unit: str | None = None
    """The column that names the item or the seed: item, doc_id, id, seed and others are recognised."""
    score: str | None = None
    """The column of the scores: score, correct, acc, exact_match and others are recognised. bpb_of_right and correct_by_byte follow from the likelihoods in a harness's log."""
    cluster: str | None = None
    """The column of groups of items that share a passage or a topic; standard errors are over groups."""
    task: str | None = None
    """The column of tasks: task or benchmark."""
    model: str | None = None
    """The column of models, in a table of several."""
    filter: str | None = None
    """Of a harness's log that scores each answer by several filters, the one that counts."""

    def read(self) -> ScoreColumns:
        """The columns as the library takes them."""
        from rung.skill import ScoreColumns

        return ScoreColumns(
            unit=self.unit,
            score=self.score,
            cluster=self.cluster,
            task=self.task,
            model=self.model,
            filter=self.filter,
        )


def compare(
    scores: Annotated[str, Parameter(name="SCORES")],
    /,
    *more: Annotated[str, Parameter(name="SCORES", show=False)],
    columns: ScoreOptions = ScoreOptions(),  # frozen
    control: Annotated[str | None, Parameter(group=QUESTION)] = None,
    every_pair: Annotated[bool, Parameter(group=QUESTION, negative="")] = False,
    unpaired: Annotated[bool, Parameter(group=QUESTION, negative="")] = False,
    lower: Annotated[bool, Parameter(group=QUESTION, negative="")] = False,
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Tell whether models differ: paired by item or by seed, over groups, adjusted for many comparisons and for having chosen the best.

    Parameters
    ----------
    scores
        One table of several models in a column, or a table for each: CSV, Parquet or JSON lines with an item (or seed) and a score, such as the samples that LM Evaluation Harness writes.
    control
        The model that the others are compared with; the first by default.
    every_pair
        Compare all models with each other.
    unpaired
        Compare means alone, where the models have no items or seeds in common.
    lower
        A lower score is better, as it is for losses, bits per byte and errors.
    """
    from rung.skill import compare_scores

    kinds = require_kinds(output, {".json": "the comparisons", ".csv": "one row each"}) | figure_kinds(figure)
    found = compare_scores(
        [scores, *more],
        columns=columns.read(),
        control=control,
        every_pair=every_pair,
        unpaired=unpaired,
        lower=lower,
        level=level,
        seed=seed,
    )
    write_result(found, kinds)
    show(found, json=json)
