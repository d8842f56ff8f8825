"""Entries of a configuration: found by their whole name, read as people write numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rung.runs.columns import plain, unit_in
from rung.units import NOT_FINITE, read_number

_CONTAINERS = frozenset(
    {
        *(
            "model",
            "config",
            "cfg",
            "model_config",
            "model_args",
            "args",
            "hparams",
            "hyperparameters",
            "params",
            "arch",
        ),
        *("trainer", "training", "train", "training_args", "data", "dataset", "optimizer", "optim", "run", "init_args"),
        *("model_cfg", "transformer", "network", "experiment", "settings", "architecture", "text_config", "summary"),
        *(
            "trainer_config",
            "train_config",
            "hf_config",
            "lm_config",
            "data_loader",
            "dataloader",
            "value",
            "job_config",
        ),
    }
)
"""Sections of a configuration that describe the run itself, so that an entry in them means what its name says."""


_COUNTED = 1e7
"""A number from here on is a count, whatever unit its name seems to have."""

_LARGEST = 10**300
"""Whole numbers from here on are no measurements, and may be too large for a float."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a configuration.

    Attributes:
        name: Its whole name.
        value: Its number.
        certain: Whether its whole name says what it is; otherwise it stands in a section of another name.
        unit: The factor of a unit in its name, as rules show it; empty without one.
    """

    name: str
    value: float
    certain: bool
    unit: str = ""

    @property
    def rule(self) -> str:
        """How a column was filled with it."""
        return f"configuration {self.name}{self.unit}"


def flat(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A nested configuration as one mapping with dotted names."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def entries(
    config: Mapping[str, Any], names: Sequence[str], *, signed: bool = False, units: bool = False
) -> list[Entry]:
    """The entries that have one of these names and are a positive number (of any sign if `signed`), the best first.

    A name matches whole, or as the last part of a name whose other parts are sections of the run's own. As the last part
    of any other name it matches only if it has more than one word, and is then uncertain: the size of a teacher is no
    size of the run. With `units`, a name may end in a unit: params_m.
    """
    ordered, known = _wanted(tuple(names))
    # A leading underscore marks what a program keeps for itself: _n_gpu counts the devices of one process.
    parsed = [
        (name, parts)
        for name in config
        if not known.isdisjoint((parts := _parts(name))[:2]) and not re.split(r"[./]", name)[-1].startswith("_")
    ]
    with_units = _with_units(config, ordered) if units else []
    if not parsed:
        return with_units
    found = []
    for wanted in ordered:
        exact, nested, uncertain = [], [], []
        for name, (whole, last, own) in parsed:
            if wanted not in {last, whole}:
                continue
            number = as_number(config[name])
            if number is None or not (signed or number > 0) or len(wanted) == 1:
                continue
            if whole == wanted:
                exact.append(Entry(name, number, True))
            elif own:
                nested.append(Entry(name, number, True))
            elif "_" in wanted:
                uncertain.append(Entry(name, number, False))
        found += [*exact, *nested, *uncertain]
    return sorted([*found, *with_units], key=lambda entry: not entry.certain)


def _with_units(config: Mapping[str, Any], ordered: tuple[str, ...]) -> list[Entry]:
    """The entries that have one of these names with a unit behind it, as single counts: params_m, Tokens (B)."""
    by_name: dict[str, list[Entry]] = {}
    for name, value in config.items():
        stated = _unit_in(name)
        number = as_number(value) if stated and stated[0] in ordered else None
        if stated and number is not None and number > 0:
            times, shown = in_unit(number, stated[1])
            by_name.setdefault(stated[0], []).append(Entry(name, number * times, True, shown))
    return [entry for name in ordered for entry in by_name.get(name, ())]


_unit_in = lru_cache(maxsize=4096)(unit_in)


@lru_cache(maxsize=512)
def _wanted(names: tuple[str, ...]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Names in plain form, in their order and as a set; many runs are asked for the same ones."""
    found = tuple(map(plain, names))
    return found, frozenset(found)


@lru_cache(maxsize=4096)
def _parts(name: str) -> tuple[str, str, bool]:
    """A setting's whole name and last part in plain form, and whether its sections are the run's own."""
    *sections, last = re.split(r"[./]", name)
    return plain(name), plain(last), all(plain(section) in _CONTAINERS for section in sections)


def first(config: Mapping[str, Any], names: Sequence[str], *, signed: bool = False) -> Entry | None:
    """The best entry of these names; None where there is none."""
    found = entries(config, names, signed=signed)
    return found[0] if found else None


def exactly(config: Mapping[str, Any], name: str) -> Entry | None:
    """The entry of just this name, as a user gives it."""
    matching = next((key for key in config if key == name), None) or next(
        (key for key in config if plain(key) == plain(name)), None
    )
    number = as_number(config[matching]) if matching is not None else None
    if matching is None or number is None:
        return None
    stated = _unit_in(matching)
    times, shown = in_unit(number, stated[1]) if stated else (1.0, "")
    return Entry(matching, number * times, True, shown)


def in_unit(number: float, factor: str) -> tuple[float, str]:
    """The factor of a unit in a name and how rules show it; 1 for a number that is too large to be in that unit."""
    return (float(factor), f" x {factor}") if number < _COUNTED else (1.0, "")


def logged_number(value: Any) -> float | None:
    """A logged value as a float, whether finite or not; stores write those that are not as texts. None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if isinstance(value, float) or abs(value) < _LARGEST else None
    return NOT_FINITE.get(value.strip().lower()) if isinstance(value, str) else None


def as_number(value: Any) -> float | None:
    """A value as a finite number, whether a number or a text such as 130M; None otherwise."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        number = read_number(value) if len(value) < 60 else None
        return number if number is not None and math.isfinite(number) else None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
