"""The law book: published laws as data.

Each entry of `book/*.toml` holds: title, formula (with ranges), variables, source, convention, and where
they are known target, objective, range, note, and constants with constants_source. Constants that could not
be verified are left out: the form stands alone.
"""

from __future__ import annotations

import difflib
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
        "note",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One law of the book.

    Attributes:
        law: The form, with its ranges.
        title: What it says, in a line.
        source: Paper and equation.
        convention: How N, C and the loss are counted.
        target: The column that it predicts.
        objective: The objective that its targets need, where the default does not do.
        constants: Published values of the coefficients; empty where none are verified.
        constants_source: Where these come from.
        range: Scales that they were fitted on.
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
    note: str = ""


def law_book(own: str | Path | None = None) -> dict[str, Entry]:
    """Every law by name; a user's own TOML file joins the book.

    Raises:
        FormulaError: The user's file cannot be read, or an entry of it is not a law.
    """
    book = dict(_published())
    if own is not None:
        try:
            text = Path(own).read_text(encoding="utf-8")
            book |= _entries(tomllib.loads(text), str(own))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise FormulaError(f"{own} cannot be read as a law book: {error}.") from None
    return book


def find_law(text: str, columns: Collection[str] = (), own: str | Path | None = None) -> Law:
    """The law that a name or a formula stands for.

    Raises:
        FormulaError: It is neither.
    """
    if not re.fullmatch(r"[A-Za-z][\w.-]*", text):
        return Law.parse(text, columns=columns)
    book = law_book(own)
    if text in book:
        return book[text].law
    near = difflib.get_close_matches(text, book, 3, 0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    shown = text if len(text) <= 60 else text[:57] + "..."
    raise FormulaError(f"no law {shown!r} in the book.{hint} `rung laws` lists them; a formula works too.")


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
        near = difflib.get_close_matches(unknown[0], _KEYS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise FormulaError(f"{where}, [{name}]: unknown key {unknown[0]!r}.{hint}")
    wrong = [key for key, value in keys.items() if not _well_typed(key, value)]
    if wrong:
        raise FormulaError(
            f"{where}, [{name}]: {wrong[0]} is {keys[wrong[0]]!r}; variables is a list of names, constants a table of "
            "numbers, every other key a text."
        )
    law = Law.parse(keys["formula"], variables=keys["variables"], name=name)
    constants = {key: float(value) for key, value in keys.get("constants", {}).items()}
    strange = set(constants) ^ set(law.coefficient_names) if constants else set()
    if strange:
        raise FormulaError(f"{where}, [{name}]: constants and coefficients differ in {', '.join(sorted(strange))}.")
    texts = {key: keys[key] for key in _KEYS - {"formula", "variables", "constants"} if key in keys}
    return Entry(law=law, constants=constants, **{"title": "", "source": "", "convention": "", **texts})


def _well_typed(key: str, value: Any) -> bool:
    match key:
        case "variables":
            return isinstance(value, list) and all(isinstance(name, str) for name in value)
        case "constants":
            return isinstance(value, dict) and all(isinstance(number, int | float) for number in value.values())
        case _:
            return isinstance(value, str)


def target_of(law: Law) -> str:
    """The column that a law predicts: as the book says, else the loss."""
    entry = law_book().get(law.name)
    return entry.target if entry else "loss"
