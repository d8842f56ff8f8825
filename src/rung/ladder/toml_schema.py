"""From TOML or JSON to frozen values and back; the error of an unknown key or a wrong type names the key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from rung.errors import LadderError
from rung.messages import did_you_mean

Value = TypeVar("Value")
"""The dataclass that content is read into."""


def structured(content: Mapping[str, Any], kind: type[Value], where: str) -> Value:
    """A frozen value made of plain content.

    Raises:
        LadderError: A key is unknown or missing, or a value has the wrong type or is not allowed; the message names it.
    """
    import cattrs

    try:
        value: Value = _converter().structure(content, kind)
    except cattrs.BaseValidationError as error:
        raise LadderError(f"{where}: {_first_problem(error, kind)}") from None
    return value


def plain(value: Any) -> dict[str, Any]:
    """A frozen value as plain content that `structured` reads back."""
    content: dict[str, Any] = _converter().unstructure(value)
    return content


@cache
def _converter() -> Any:
    import cattrs

    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (int, float, str, bool):
        converter.register_structure_hook(kind, _strict)
    converter.register_structure_hook(float | str, _number_or_text)
    converter.register_structure_hook(str | tuple[str, ...], _text_or_texts)
    converter.register_unstructure_hook(float | str, lambda value: value)
    converter.register_unstructure_hook(
        str | tuple[str, ...], lambda value: list(value) if isinstance(value, tuple) else value
    )
    return converter


def _strict(value: Any, kind: type[Any]) -> Any:
    """A value of exactly this type; but an int is accepted for a float, and a whole float such as 1e6 for an int."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        expected = {int: "a whole number", float: "a number, such as 1e6", str: "text", bool: "true or false"}[kind]
        raise TypeError(f"is {value!r}, not {expected}")
    return value


def _number_or_text(value: Any, _: Any) -> float | str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"is {value!r}, not a number or a formula")
    return float(value)


def _text_or_texts(value: Any, _: Any) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise TypeError(f"is {value!r}, not text or a list of texts")


def _first_problem(error: BaseException, kind: type[Any]) -> str:
    """The first thing that is wrong, with the key that it concerns."""
    import cattrs

    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        key = min(error.extra_fields)
        known = [one.name for one in fields(error.cl or kind)]
        return f"unknown key {key!r}; known are {', '.join(known)}.{did_you_mean(key, known)}"
    if isinstance(error, cattrs.BaseValidationError):
        # An unknown key comes first: a misspelt key explains the missing one.
        extra = [one for one in error.exceptions if isinstance(one, cattrs.ForbiddenExtraKeysError)]
        first = [*extra, *error.exceptions][0]
        note = next((str(note) for note in getattr(first, "__notes__", ())), "")
        name = note.rpartition("attribute ")[2].partition(" ")[0] if "attribute" in note else ""
        problem = _first_problem(first, kind)
        return f"{name} {problem}" if name and not isinstance(first, LadderError | KeyError) else problem
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing."
    text = error.text if isinstance(error, LadderError) else str(error)
    return text if text.endswith((".", "?")) else text + "."
