"""Options that mean the same in every command: one name, one word of help, one place."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Group, Parameter

LAW = Group("Law and objective", sort_key=0)
ROWS = Group("Columns and rows", sort_key=1)
QUESTION = Group("Question", sort_key=2)
LIMITS = Group("Limits", sort_key=3)
BUDGET = Group("Budget and cost", sort_key=4)
MACHINES = Group("Machines", sort_key=5)
RESULT = Group("Result", sort_key=9)

TABLE = "A table of runs: CSV, TSV, Parquet or JSONL; - for CSV on standard input. Several tables are read as one."

Runs = Annotated[str, Parameter(name="RUNS", help=TABLE)]
More = Annotated[str, Parameter(name="RUNS", show=False)]
Inputs = Annotated[str, Parameter(name="NAME=VALUE")]

Law = Annotated[
    str,
    Parameter(
        group=LAW,
        help='A law of the book (rung laws), or a formula: "E + A / N^alpha + B / D^beta with alpha in (0, 2)". Chinchilla\'s by default.',
    ),
]
Fix = Annotated[
    tuple[str, ...],
    Parameter(
        group=LAW, negative="", consume_multiple=False, help="Hold a coefficient at a value: E=1.69. Repeatable."
    ),
]
Along = Annotated[
    str | None,
    Parameter(
        name=["--along", "--by"],
        group=QUESTION,
        help="Cut along this symbol or column: flops by default, else the law's first variable.",
    ),
]
Cuts = Annotated[int, Parameter(group=QUESTION, help="How many cuts, at most; 6 by default.")]

Budget = Annotated[
    str | None,
    Parameter(
        name=["--flops", "--budget"], group=BUDGET, help="The budget in FLOPs, such as 1e24, or in the unit of --cost."
    ),
]
TargetLoss = Annotated[
    float | None,
    Parameter(
        name=["--loss", "--target-loss"], group=QUESTION, help="A target loss: a value of the target to be reached."
    ),
]
Cost = Annotated[
    str,
    Parameter(
        group=BUDGET,
        help='What a run costs in FLOPs, as a formula: "6*N*D" by default; "6*N*D + 2*N*2e12" also serves 2e12 tokens.',
    ),
]
BytesPerParam = Annotated[
    float,
    Parameter(
        group=MACHINES,
        help="Bytes of weight, gradient and optimizer state for one parameter; 16 by default (mixed precision with Adam).",
    ),
]

Level = Annotated[float, Parameter(group=RESULT, help="Coverage of the intervals; 0.9 by default.")]
LevelOfFit = Annotated[
    float | None, Parameter(group=RESULT, help="Coverage of the intervals; that of the fit by default.")
]
Seed = Annotated[int, Parameter(group=RESULT, help="Seed of starts and resamples; 0 by default.")]
Output = Annotated[
    tuple[str, ...],
    Parameter(
        name=["-o", "--output"],
        group=RESULT,
        negative="",
        consume_multiple=False,
        help="Write the result to a file; its ending says what is written. Repeatable.",
    ),
]
Figure = Annotated[
    tuple[str, ...],
    Parameter(
        group=RESULT,
        negative="",
        consume_multiple=False,
        help="Draw the result: a .png, .svg or .pdf file. Repeatable.",
    ),
]
Json = Annotated[
    bool, Parameter(name="--json", group=RESULT, negative="", help="Print one JSON object instead of text.")
]
