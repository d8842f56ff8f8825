"""Fields of forms: what a person can state, what it is called on a page, and the option of the command that says the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a form.

    Attributes:
        name: Its name in the address.
        label: What it is called on the page.
        option: The option of the command that says the same; "=" before the name of an input (N=...).
        kind: text, number (positive), count (whole), share (between 0 and 1), check, choice, law, column or table.
        default: What is asked where it stays empty.
        hint: What can be written.
        choices: What can be chosen.
    """

    name: str
    label: str
    option: str = ""
    kind: str = "text"
    default: str = ""
    hint: str = ""
    choices: tuple[str, ...] = ()


ROWS: tuple[Field, ...] = (
    Field(name="where", label="Keep rows where", option="--where", hint="corpus = 'c4' and params > 10M"),
    Field(name="drop_tokens", label="Leave out rows up to tokens", option="--drop-tokens", kind="number", hint="10B"),
    Field(name="best_of", label="Keep the best of settings", option="--best-of", hint="lr,batch_tokens"),
    Field(name="wide", label="Wide: its header holds", option="--wide", hint="C"),
    Field(name="last", label="Last row of each run", option="--last", kind="check"),
    Field(name="drop_duplicates", label="First of repeated rows", option="--drop-duplicates", kind="check"),
    Field(name="drop_nonfinite", label="Leave out rows with gaps", option="--drop-nonfinite", kind="check"),
    Field(name="unfinished", label="Use unfinished runs too", option="--unfinished", kind="check"),
)
"""Which rows of a table are used."""

MAPPED = {
    "run": "run",
    "family": "family",
    "params": "params (N)",
    "tokens": "tokens (D)",
    "flops": "flops (C)",
    "loss": "loss",
    "step": "step (S)",
    "batch_tokens": "batch_tokens (B)",
    "lr": "lr",
    "unique_tokens": "unique_tokens (U)",
}
"""Columns that a person can correct, with what they are called on the page; the field is map-COLUMN."""

_OBJECTIVES = (
    "log-huber",
    "log-squares",
    "log-absolute",
    "log-student-t",
    "huber",
    "squares",
    "absolute",
    "logit-squares",
)

LAW: tuple[Field, ...] = (
    Field(
        name="law",
        label="Law",
        option="--law",
        kind="law",
        default="chinchilla",
        hint="a name of the book, or a formula: E + A / N^alpha + B / D^beta",
    ),
    Field(
        name="target", label="Predicts", option="--target", kind="column", hint="loss, unless the law says otherwise"
    ),
    Field(
        name="objective",
        label="Objective",
        option="--objective",
        kind="choice",
        choices=_OBJECTIVES,
        hint="that of the law book",
    ),
)
"""What is fitted."""

LEVEL = Field(name="level", label="Coverage of intervals", option="--level", kind="share", hint="0.9")
ALONG = Field(name="along", label="Cut along", option="--along", hint="C")
CUTS = Field(name="cuts", label="Cuts at most", option="--cuts", kind="count", hint="6")
N = Field(name="N", label="N, parameters", option="=", kind="number", hint="70B")
D = Field(name="D", label="D, tokens", option="=", kind="number", hint="1.4T")
FLOPS = Field(name="flops", label="Budget in FLOPs", option="--flops", kind="number", hint="1e24")
MACHINES = (
    Field(name="hardware", label="Machine", option="--hardware", kind="choice"),
    Field(name="accelerators", label="How many of it", option="--accelerators", kind="count", hint="1"),
    Field(name="price", label="Price of one for an hour", option="--price", kind="number", hint="2.5"),
)
