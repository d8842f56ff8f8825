"""`rung laws`: the law book."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.options import Json
from rung.cli.output import as_json

if TYPE_CHECKING:
    from rung.laws import Entry


def laws(
    name: Annotated[str | None, Parameter(name="NAME")] = None,
    /,
    *,
    laws: str | None = None,
    json: Json = False,
) -> None:
    """List the law book, or show one law.

    Parameters
    ----------
    name
        A law of the book, or a formula to look at.
    laws
        A TOML file of your own laws that join the book; - for standard input.
    """
    from rung.laws import Entry, find_law, law_book

    book = law_book(laws)
    if name is None:
        if json:
            print(as_json({key: _plain(entry) for key, entry in book.items()}))
        else:
            width = max(map(len, book))
            print("\n".join(f"{key:<{width}}  {entry.title}" for key, entry in book.items()))
        return
    entry = book.get(name) or Entry(law=find_law(name, (), laws), title="your formula", source="", convention="")
    print(as_json(_plain(entry)) if json else describe(entry))


def _plain(entry: Entry) -> dict[str, Any]:
    law = entry.law
    return {
        "name": law.name,
        "title": entry.title,
        "formula": law.formula,
        "text": law.text,
        "latex": law.latex,
        "variables": list(law.variables),
        "coefficients": list(law.coefficient_names),
        "linear": list(law.linear),
        "target": entry.target,
        "objective": entry.objective,
        "constants": dict(entry.constants),
        "constants_source": entry.constants_source,
        "source": entry.source,
        "convention": entry.convention,
        "range": entry.range,
        "note": entry.note,
    }


def describe(entry: Entry) -> str:
    """One law as text for people."""
    from rung.laws import SYMBOLS

    law = entry.law
    variables = ", ".join(f"{name} ({SYMBOLS[name]})" if name in SYMBOLS else name for name in law.variables)
    constants = ", ".join(f"{name} = {value:.12g}" for name, value in entry.constants.items())
    rows = [
        ("law", law.name),
        ("title", entry.title),
        ("formula", law.text),
        ("LaTeX", law.latex),
        ("variables", variables),
        ("coefficients", ", ".join(law.coefficient_names)),
        ("linear in", ", ".join(law.linear) or "none"),
        (
            "predicts",
            entry.target + (f", with --objective {entry.objective}" if entry.objective != "log-huber" else ""),
        ),
        (
            "constants",
            f"{constants} ({entry.constants_source})"
            if constants
            else "none verified: the form alone" * bool(entry.source),
        ),
        ("convention", entry.convention),
        ("fitted on", entry.range),
        ("source", entry.source),
        ("note", entry.note),
    ]
    return "\n".join(f"{label:<12} {text}" for label, text in rows if text)
