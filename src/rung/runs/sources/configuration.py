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
    found = []
    for name, certain, factor in _matching(tuple(config), tuple(names), units):
        number = as_number(config[name])
        if number is None or not (signed or number > 0):
            continue
        times, shown = in_unit(number, factor) if factor else (1.0, "")
        found.append(Entry(name, number * times, certain, shown))
    return found


@lru_cache(maxsize=4096)
def _matching(settings: tuple[str, ...], names: tuple[str, ...], units: bool) -> tuple[tuple[str, bool, str], ...]:  # noqa: FBT001  # cached
    """The settings that have one of these names, whether they certainly mean it, and the factor of a unit; the best first.

    Many runs have the same settings, and are asked for the same names.
    """
    by_part, by_unit = _index(settings)
    sure, unsure = [], []
    for wanted in _wanted(names):
        candidates = [one for one in by_part.get(wanted, ()) if len(wanted) > 1]
        exact = [name for name, whole, _ in candidates if whole == wanted]
        nested = [name for name, whole, own in candidates if whole != wanted and own]
        sure += [(name, True, "") for name in (*exact, *nested)]
        unsure += [
            (name, False, "") for name, whole, own in candidates if whole != wanted and not own and "_" in wanted
        ]
    for wanted in _wanted(names) if units else ():
        sure += [(name, True, factor) for name, factor in by_unit.get(wanted, ())]
    return (*sure, *unsure)


_ByPart = dict[str, list[tuple[str, str, bool]]]
_ByUnit = dict[str, list[tuple[str, str]]]


@lru_cache(maxsize=256)
def _index(names: tuple[str, ...]) -> tuple[_ByPart, _ByUnit]:
    """The settings of a configuration by whole name and last part, and by name without a unit; many runs have the same ones.

    A leading underscore marks what a program keeps for itself: _n_gpu counts the devices of one process.
    """
    by_part: _ByPart = {}
    by_unit: _ByUnit = {}
    for name in names:
        *sections, last = re.split(r"[./]", name)
        whole, short = plain(name), plain(last)
        own = all(plain(section) in _CONTAINERS for section in sections)
        for part in dict.fromkeys((whole, short)) if not last.startswith("_") else ():
            by_part.setdefault(part, []).append((name, whole, own))
        if (stated := unit_in(name)) is not None:
            by_unit.setdefault(stated[0], []).append((name, stated[1]))
    return by_part, by_unit


_unit_in = lru_cache(maxsize=4096)(unit_in)


@lru_cache(maxsize=512)
def _wanted(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names in plain form, in their order; many runs are asked for the same ones."""
    return tuple(map(plain, names))


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
