"""What the app can be asked: each question with its fields, and the same question as a command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rung.app.fields import ALONG, CUTS, FLOPS, LAW, LEVEL, MACHINES, MAPPED, ROWS, D, Field, N
from rung.errors import RungError


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question.

    Attributes:
        name: Its path in the address, and the command that answers it.
        title: Its tab.
        lead: What it answers, in a sentence.
        fields: Its own fields.
        law: Whether it asks for a law.
        table: Whether it is asked of a table.
        button: What its button says.
        fitted: Whether the command takes a fit instead of a table.
        levels: Whether it is asked of one level of each group of the law.
    """

    name: str
    title: str
    lead: str
    fields: tuple[Field, ...] = ()
    law: bool = True
    table: bool = True
    button: str = "Answer"
    fitted: bool = False
    levels: bool = False


QUESTIONS: dict[str, Question] = {
    one.name: one
    for one in (
        Question(
            name="table",
            title="Table",
            lead="What was recognised, and from where. Correct a column where a guess is wrong.",
            law=False,
            button="Read again",
        ),
        Question(
            name="fit",
            title="Fit",
            lead="The law's coefficients, how sure they are, and what speaks against them.",
            fields=(LEVEL,),
            button="Fit",
        ),
        Question(
            name="select",
            title="Which law",
            lead="Which law, fitted to the smaller scales, forecasts the larger ones best.",
            fields=(ALONG, CUTS, LEVEL),
            law=False,
            button="Rank laws",
        ),
        Question(
            name="backtest",
            title="Backtest",
            lead="Fitted to the smaller scales, how wrong the law would have been about the larger ones.",
            fields=(ALONG, CUTS, LEVEL),
            button="Backtest",
        ),
        Question(
            name="allocate",
            title="Allocate",
            lead="How large a model and how much data, for a budget or a loss to be reached; and its price.",
            fields=(
                FLOPS,
                Field(name="loss", label="or loss to be reached", option="--loss", kind="number", hint="2.0"),
                Field(name="cost", label="What a run costs", option="--cost", hint="6*N*D + 2*N*2e12", default="6*N*D"),
                Field(
                    name="tokens_per_param",
                    label="D / N held at",
                    option="--tokens-per-param",
                    kind="number",
                    hint="20",
                ),
                Field(
                    name="unique_tokens",
                    label="Unique tokens there are",
                    option="--unique-tokens",
                    kind="number",
                    hint="10T",
                ),
                Field(name="max_params", label="Largest size", option="--max-params", kind="number", hint="70B"),
                *MACHINES,
            ),
            button="Allocate",
            fitted=True,
            levels=True,
        ),
        Question(
            name="next",
            title="Next runs",
            lead="Which runs to make next, so that a forecast becomes sharper most for a budget.",
            fields=(
                FLOPS,
                Field(name="N", label="N of the forecast", kind="number", hint="70B"),
                Field(name="D", label="D of the forecast", kind="number", hint="1.4T"),
                Field(name="most", label="Runs at most", option="--most", kind="count", hint="100"),
            ),
            button="Plan",
        ),
        Question(
            name="compare",
            title="Compare",
            lead="What one recipe is worth against another, and whether the gain lasts with scale.",
            fields=(
                Field(name="by", label="Column of recipes", option="--by", kind="column", hint="optimizer"),
                Field(name="names", label="Their names, control first", option="--names", hint="adam,muon"),
                Field(name="other", label="or a second table", kind="table"),
                Field(name="along", label="Along", option="--along", kind="choice", choices=("N", "D", "C")),
                Field(name="target", label="Compares", option="--target", kind="column", hint="loss"),
                LEVEL,
            ),
            law=False,
            button="Compare",
        ),
        Question(
            name="tune",
            title="Tune",
            lead="Learning rate and batch for a run, and how the rules did on your own sweeps.",
            fields=(N, D),
            law=False,
            button="Propose",
        ),
        Question(
            name="report",
            title="Report",
            lead="Everything about these runs on one page, to keep or to send.",
            fields=(N, D, FLOPS, LEVEL),
            button="Make the report",
            levels=True,
        ),
        Question(
            name="cost",
            title="Price",
            lead="Hours, money, energy and memory of a training.",
            fields=(
                N,
                D,
                FLOPS,
                *MACHINES,
                Field(
                    name="utilisation",
                    label="Share of the peak rate",
                    option="--utilisation",
                    kind="share",
                    hint="0.4",
                ),
            ),
            law=False,
            table=False,
            button="Price it",
        ),
    )
}
"""Each question, in the order of the tabs."""


def fields_of(question: Question, law_text: str = "") -> tuple[Field, ...]:
    """All fields of a question's form: its own, the law, a level for each group of the law, and which rows."""
    law = LAW if question.law else ()
    rows = ROWS if question.table else ()
    own = {one.name for one in question.fields}
    levels = [
        Field(name=f"level-{group}", label=f"{group} of it", option="=", hint="a value of the column")
        for group in (groups_of(law_text) if question.levels else ())
    ]
    return (*(one for one in law if one.name not in own), *question.fields, *levels, *rows)


def groups_of(law_text: str) -> tuple[str, ...]:
    """The grouping columns of a law: what stands in brackets behind its coefficients."""
    return tuple(dict.fromkeys(re.findall(r"\[\s*(\w+)\s*\]", law_text)))


def given_of(question: Question, sent: Mapping[str, str]) -> dict[str, str]:
    """What was sent for a question: its table, corrected columns and fields, without what was left empty or as it is."""
    known = {one.name: one for one in fields_of(question, sent.get("law", ""))}
    found = {}
    for name, text in sent.items():
        value = text.strip().replace("\0", "")
        mapped = name.startswith("map-") and name.removeprefix("map-") in MAPPED and question.table
        if value and (mapped or name == "table" or (name in known and value != known[name].default)):
            found[name] = value
    return found


def errors_in(question: Question, given: Mapping[str, str], columns: Collection[str] = ()) -> dict[str, str]:
    """What is wrong in fields by their names, as far as it can be told without reading the table.

    Args:
        question: The question.
        given: What was asked.
        columns: The columns of the table, of which a law may have any; none where they are not known yet.
    """
    found = {}
    for one in fields_of(question, given.get("law", "")):
        text = given.get(one.name, "")
        if not text:
            continue
        try:
            wrong = _wrong(one, text, columns)
        except RungError as error:
            wrong = error.text
        if wrong:
            found[one.name] = wrong
    return found


def _wrong(field: Field, text: str, columns: Collection[str]) -> str:
    """What is wrong with the text of a field; empty where nothing is.

    Raises:
        RungError: It cannot be read.
    """
    from rung.laws import find_law
    from rung.units import parse_number

    if field.kind == "law":
        find_law(text, columns)
    elif field.kind == "choice" and field.choices and text not in field.choices:
        return f"{text} is none of {', '.join(field.choices)}."
    elif field.kind in {"number", "count", "share"}:
        value = parse_number(text)
        if not 0 < value < _LARGEST:
            return f"{text} must be a positive number below {_LARGEST:g}."
        if field.kind == "count" and (value != int(value) or value > _MOST):
            return f"{text} must be a whole number of at most {_MOST:,}."
        if field.kind == "share" and value >= 1:
            return f"{text} must lie between 0 and 1."
    return ""


_LARGEST, _MOST = 1e60, 1_000_000
"""Largest number of a field, and of one that counts."""


def at_its_field(question: Question, text: str, given: Mapping[str, str]) -> tuple[str, str]:
    """An error of a command in the page's words, after the field that it is about: one that was given; "" for none."""
    fields = fields_of(question, given.get("law", ""))
    place = ""
    words = text
    for one in sorted(fields, key=lambda field: -len(field.option)):
        if len(one.option) > 2 and one.option in words:
            place = place or (one.name if one.name in given else "")
            words = words.replace(one.option, f"“{one.label}”")
    for column, label in MAPPED.items():
        for symbol in (column, label.partition(" (")[2].rstrip(")")):
            if symbol and re.search(rf"--map '?{symbol}=", words):
                place = place or (f"map-{column}" if f"map-{column}" in given else "")
                words = re.sub(rf"--map ('?){symbol}=", rf"“{label}” as \1", words)
        if not place and f"map-{column}" in given and re.search(rf"\b{column}\b", text):
            place = f"map-{column}"
    for option, said in _OTHER_OPTIONS.items():
        words = words.replace(option, said)
    for other in QUESTIONS.values():
        words = words.replace(f"rung {other.name}", f"the page “{other.title}”")
    words = _OPTION.sub(r"“\1” (in a terminal)", words.replace("`rung laws`", "the list at the law"))
    return place or _named(fields, text, given), words


def _named(fields: Sequence[Field], text: str, given: Mapping[str, str]) -> str:
    """The field whose own text a message repeats; empty where none is."""
    for one in fields:
        typed = given.get(one.name, "")
        if (
            len(typed) > 1
            and one.kind in {"column", "table", "text"}
            and re.search(rf"(?<!\w){re.escape(typed)}(?!\w)", text)
        ):
            return one.name
    return ""


_OTHER_OPTIONS = {
    "--fix": "a clause “with” of the law, such as",
    "(--box, --pool)": "",
    "--map": "another column as",
    "--year says another": "“rung papers import --year” says another",
    "--law ...": "a law",
}
"""Options of commands that no field says, in the words of the page."""

_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")


def command_of(question: Question, given: Mapping[str, str]) -> str:
    """The command that asks the same."""
    corrected = {name.removeprefix("map-"): text for name, text in given.items() if name.startswith("map-")}
    rows = ["--map " + shlex.quote(f"{column}={text}") for column, text in corrected.items()]
    shown = _file(given.get("table", ""))
    own: list[str] = []
    law: list[str] = []
    names = {one.name for one in (*LAW, *ROWS)} - {one.name for one in question.fields}
    for one in fields_of(question, given.get("law", "")):
        text = given.get(one.name, "")
        if not text or not one.option:
            continue
        said = (
            f"{one.name.removeprefix('level-')}={shlex.quote(text)}"
            if one.option == "="
            else one.option
            if one.kind == "check"
            else f"{one.option} {shlex.quote(text)}"
        )
        (law if one.name in names else own).append(said)
    if question.name == "table":
        return " ".join(["rung fit", shown, *rows, *law])
    if question.name == "next" and {"N", "D"} <= given.keys():
        own.append(f"--target N={given['N']},D={given['D']}")
    if question.fitted:
        made = " ".join(["rung fit", shown, *rows, *law, "-o fit.json"])
        return f"{made}\nrung {question.name} fit.json {' '.join(own)}"
    tables = [_file(given[name]) for name in ("table", "other") if given.get(name) and question.table]
    end = ["-o page.html"] if question.name == "report" else []
    return " ".join([f"rung {question.name}", *tables, *rows, *law, *own, *end])


def _file(name: str) -> str:
    """The file of a table as a command names it; what was dropped stands by its own name."""
    return shlex.quote(name.rpartition("/")[2] if name.startswith("upload:") else name)
