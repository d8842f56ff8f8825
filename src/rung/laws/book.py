"""The law book: published laws as data.

Each entry of `book/*.toml` has the keys title, formula (with ranges), variables, source and convention. The keys
target, objective, range, note, and constants with constants_source are optional. Constants that could not be verified
are left out; the entry then has the form alone.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rung.errors import FormulaError
from rung.laws.law import Law
from rung.messages import did_you_mean

_KEYS = frozenset(
    [
        "title",
        "formula",
        "variables",
        "target",
        "objective",
        "source",
        "convention",
        "constants",
        "constants_source",
        "range",
        "scales",
        "note",
    ]
)
"""Keys that an entry may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One law of the book.

    Attributes:
        law: The functional form, with its ranges.
        title: What the law describes, in one line.
        source: Paper and equation.
        convention: How N, C and the loss are counted.
        target: The column that it predicts.
        objective: The objective that its target needs, where the default does not suit it.
        constants: Published values of the coefficients; empty where none are verified.
        constants_source: Where the constants come from.
        range: Scales of the runs that the constants were fitted on.
        scales: The smallest and largest value of variables among those runs, where they are known.
        note: A caveat.
    """

    law: Law
    title: str
    source: str
    convention: str
    target: str = "loss"
    objective: str = "log-huber"
    constants: Mapping[str, float] = field(default_factory=dict)
    constants_source: str = ""
    range: str = ""
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    note: str = ""


def law_book(own: str | Path | None = None) -> dict[str, Entry]:
    """All laws by name, including those of the user's own TOML file where one is given.

    Raises:
        FormulaError: The user's file cannot be read, or one of its entries is not a law.
    """
    book = dict(_published())
    if own is not None:
        try:
            text = Path(own).read_text(encoding="utf-8")
            book |= _entries(tomllib.loads(text), str(own))
        except RecursionError:
            raise FormulaError(f"{own} cannot be read as a law book: it is nested too deep.") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise FormulaError(f"{own} cannot be read as a law book: {error}.") from None
    return book


def find_law(text: str, columns: Collection[str] = (), own: str | Path | None = None) -> Law:
    """The law that a name or a formula stands for.

    Raises:
        FormulaError: The text is neither a name in the book nor a formula.
    """
    if not re.fullmatch(r"[A-Za-z][\w.-]*", text):
        return Law.parse(text, columns=columns)
    book = law_book(own)
    if text in book:
        return book[text].law
    hint = did_you_mean(text, book, cutoff=0.5, most=3)
    shown = text if len(text) <= 60 else text[:57] + "..."
    raise FormulaError(
        f"there is no law {shown!r} in the book.{hint} `rung laws` lists all laws; a formula is accepted too."
    )


@cache
def _published() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    folder = files("rung.laws") / "book"
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if file.name.endswith(".toml"):
            entries |= _entries(tomllib.loads(file.read_text(encoding="utf-8")), file.name)
    return entries


def _entries(content: Mapping[str, Any], where: str) -> dict[str, Entry]:
    return {name: _entry(name, keys, where) for name, keys in content.items()}


def _entry(name: str, keys: Any, where: str) -> Entry:
    if not isinstance(keys, dict) or not {"formula", "variables"} <= set(keys):
        raise FormulaError(f'{where}, [{name}]: a law needs formula = "..." and variables = [...].')
    unknown = sorted(set(keys) - _KEYS)
    if unknown:
        raise FormulaError(f"{where}, [{name}]: unknown key {unknown[0]!r}.{did_you_mean(unknown[0], sorted(_KEYS))}")
    wrong = [key for key, value in keys.items() if not _well_typed(key, value)]
    if wrong:
        raise FormulaError(
            f"{where}, [{name}]: {wrong[0]} is {keys[wrong[0]]!r}; variables must be a list of names, constants a "
            "table of numbers, scales a table of [smallest, largest], and every other key text."
        )
    law = Law.parse(keys["formula"], variables=keys["variables"], name=name)
    constants = {key: float(value) for key, value in keys.get("constants", {}).items()}
    mismatched = set(constants) ^ set(law.coefficient_names) if constants else set()
    if mismatched:
        raise FormulaError(f"{where}, [{name}]: constants and coefficients differ in {', '.join(sorted(mismatched))}.")
    scales = {key: (float(low), float(high)) for key, (low, high) in keys.get("scales", {}).items()}
    texts = {key: keys[key] for key in _KEYS - {"formula", "variables", "constants", "scales"} if key in keys}
    return Entry(law=law, constants=constants, scales=scales, **{"title": "", "source": "", "convention": "", **texts})


def _well_typed(key: str, value: Any) -> bool:
    match key:
        case "variables":
            return isinstance(value, list) and all(isinstance(name, str) for name in value)
        case "constants":
            return isinstance(value, dict) and all(isinstance(number, int | float) for number in value.values())
        case "scales":
            return isinstance(value, dict) and all(
                isinstance(pair, list) and len(pair) == 2 and 0 < pair[0] < pair[1] for pair in value.values()
            )
        case _:
            return isinstance(value, str)


def target_of(law: Law) -> str:
    """The column that a law predicts: its target in the book, or the loss for any other law."""
    entry = law_book().get(law.name)
    return entry.target if entry else "loss"
