"""A fit read back from its file, every part of it checked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rung.errors import Caution, FitError, RungError
from rung.fit.backtest import Backtest, CutScore
from rung.fit.design import Design
from rung.fit.discrepancy import GRID, Discrepancy
from rung.fit.intervals import METHODS
from rung.fit.objective import objective_named
from rung.fit.result import SCHEMA, Estimate, Fit, coefficient_names
from rung.fit.select import Ranked, Selection
from rung.laws import Law
from rung.laws.coefficients import Coefficient
from rung.laws.tree import Array

T = TypeVar("T")


def read_fit(path: str | Path) -> Fit:
    """Read a fit that `Fit.write` or `rung fit -o` wrote.

    Raises:
        FitError: The file is not there, not JSON, or not a fit of this version of the format.
    """
    content = _read(path, "fit")
    if "laws" in content:
        raise FitError(f"{path} holds a selection of laws, not one fit. rung forecast takes both.")
    return _checked(path, "fit", _from_dict, content)


def read_selection(path: str | Path) -> Selection:
    """Read a selection that `rung select -o` wrote.

    Raises:
        FitError: The file is not there, not JSON, or not a selection of this version of the format.
    """
    return _checked(path, "select", _selection, _read(path, "select"))


def holds_selection(path: str | Path) -> bool:
    """Whether a file holds a selection rather than a fit."""
    return "laws" in _read(path, "fit")


def _read(path: str | Path, verb: str) -> dict[str, Any]:
    file = Path(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FitError(f"{path}: there is no such file. Make one: rung {verb} RUNS -o {file.name}.") from None
    except IsADirectoryError:
        raise FitError(f"{path} is a folder. Name the file that rung {verb} RUNS -o fit.json wrote.") from None
    except (OSError, ValueError) as error:
        raise FitError(f"{path} is not a fit in JSON: {error}. Make one: rung {verb} RUNS -o fit.json.") from None
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA:
        found = content.get("schema_version") if isinstance(content, dict) else type(content).__name__
        raise FitError(
            f"{path} is not a fit with schema_version {SCHEMA} (found {found!r}). Make it again with rung {verb}."
        )
    return content


def _checked(path: str | Path, verb: str, read: Callable[[Mapping[str, Any]], T], content: Mapping[str, Any]) -> T:
    try:
        return read(content)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RungError) as error:
        raise FitError(
            f"{path} is damaged ({type(error).__name__}: {error}). Make it again with rung {verb}."
        ) from None


def _selection(content: Mapping[str, Any]) -> Selection:
    def score(value: Any) -> float:
        return _number(value, missing=math.nan)

    laws = tuple(
        Ranked(
            fit=_from_dict(law["fit"]),
            weight=_number(law["weight"]),
            error=score(law["error"]),
            difference=score(law["difference"]),
            difference_error=score(law["difference_error"]),
            tied=bool(law["tied"]),
            aicc=score(law["aicc"]),
        )
        for law in content["laws"]
    )
    if not laws or abs(sum(law.weight for law in laws) - 1) > 1e-6:
        raise ValueError("the weights of its laws do not add up to one")
    return Selection(
        by=None if content["by"] is None else _text(content["by"]),
        cuts=_count(content["cuts"]),
        laws=laws,
        chosen=_text(content["chosen"]),
        failed={_text(name): _text(why) for name, why in content["failed"].items()},
        noise=_number(content["noise"]),
        discrepancy=_read_discrepancy(content["discrepancy"]) if content["discrepancy"] is not None else None,
    )


def _from_dict(content: Mapping[str, Any]) -> Fit:
    law = Law.parse(
        _text(content["law"]["text"]),
        variables=[_text(name) for name in content["law"]["variables"]],
        name=_text(content["law"]["name"]),
    )
    groups = {name: tuple(map(_text, levels)) for name, levels in content["groups"].items()}
    names = coefficient_names(law, groups)
    if list(content["coefficients"]) != names:
        raise ValueError(f"its coefficients are not {', '.join(names)}")
    rows = content["draws"]
    if any(len(row) != len(names) for row in rows):
        raise ValueError("a draw has not one value for each coefficient")
    draws = np.array([[_number(value, missing=math.nan) for value in row] for row in rows]).reshape(-1, len(names))
    noise = np.array([_number(value) for value in content["noise"]])
    for array in (draws, noise):
        array.setflags(write=False)
    objective = objective_named(_text(content["objective"]["name"]), content["objective"]["delta"])
    level = _number(content["level"])
    if not 0 < level < 1:
        raise ValueError("its level is not between 0 and 1")
    coefficients = {name: _read_estimate(value) for name, value in content["coefficients"].items()}
    for coefficient, (name, estimate) in zip(_numbers_of(law, groups), coefficients.items(), strict=True):
        if not coefficient.low <= estimate.value <= coefficient.high:
            raise ValueError(f"{name} is {estimate.value:g}, outside its range")
    if set(law.variables) - set(content["ranges"]):
        raise ValueError("a variable of its law has no range")
    interval = _text(content["interval"])
    if interval not in METHODS:
        raise ValueError(f"{interval!r} is no kind of interval")
    return Fit(
        law=law,
        coefficients=coefficients,
        objective=objective,
        objective_value=_number(content["objective"]["value"]),
        starts_tried=_count(content["starts"]["tried"]),
        starts_agreed=_count(content["starts"]["agreed"]),
        status=_text(content["status"]),
        level=level,
        interval=interval,
        rows=_count(content["rows"]),
        runs=_count(content["runs"]),
        target=_text(content["target"]),
        mapping={name: _text(source) for name, source in content["mapping"].items()},
        derived={name: _read_estimate(value, missing=math.nan) for name, value in content["derived"].items()},
        cautions=tuple(Caution(_text(w["code"]), _text(w["text"])) for w in content["warnings"]),
        ranges={name: _ends(ends) for name, ends in content["ranges"].items()},
        groups=groups,
        draws=draws,
        noise=noise,
        scale=_number(content["student_scale"]),
        backtest=_read_backtest(content["backtest"]) if content["backtest"] is not None else None,
        discrepancy=_read_discrepancy(content["discrepancy"]) if content["discrepancy"] is not None else None,
        priors={
            _text(name): (_number(mean), _number(error)) for name, (mean, error) in content.get("priors", {}).items()
        },
        prior_noise=_number(content.get("prior_noise", 0.0)),
        table=_read_table(content["table"], law, groups) if content["table"] is not None else None,
        data_digest=_text(content["data_digest"]),
        seed=_count(content["seed"]),
        version=_text(content["version"]),
    )


def _numbers_of(law: Law, levels: Mapping[str, tuple[str, ...]]) -> list[Coefficient]:
    return [c for c in law.free for _ in (levels[c.group] if c.group else ("",))]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is no count")
    return value


def _number(value: Any, *, missing: float | None = None) -> float:
    if value is None and missing is not None:
        return missing
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no finite number")
    return float(value)


def _read_table(content: Mapping[str, Any], law: Law, levels: Mapping[str, tuple[str, ...]]) -> Design:
    columns = {_text(name): _numbers(values) for name, values in content["columns"].items()}
    target, weights = _numbers(content["target"]), _numbers(content["weights"])
    groups = {_text(name): _counts(codes) for name, codes in content["groups"].items()}
    run, row = _counts(content["run"]), _counts(content["row"])
    if set(columns) != set(law.variables) or set(groups) != set(levels):
        raise ValueError("its table has not the columns of its law")
    if len({len(part) for part in (*columns.values(), *groups.values(), target, weights, run, row)}) != 1 or not len(
        run
    ):
        raise ValueError("the columns of its table differ in length")
    if any(codes.max() >= len(levels[name]) for name, codes in groups.items()):
        raise ValueError("a row of its table has an unknown group")
    return Design(
        columns=columns,
        target=target,
        weights=weights,
        groups=groups,
        levels={name: len(names) for name, names in levels.items()},
        level_names=levels,
        run=np.unique(run, return_inverse=True)[1].ravel().astype(np.intp),
        row=row.astype(np.int64),
        source=_text(content["source"]),
        size=len(coefficient_names(law, levels)),
    )


def _read_backtest(content: Mapping[str, Any]) -> Backtest:
    def score(values: Mapping[str, Any], name: str) -> float | None:
        return None if name == "inside" and values[name] is None else _number(values[name])

    names = ("bias", "error", "inside", "last_error", "line_error")
    cuts = tuple(
        CutScore(
            rows=_count(cut["rows"]),
            scored=_count(cut["scored"]),
            **{name: score(cut, name) for name in ("at", "factor", *names)},  # type: ignore[arg-type]
        )
        for cut in content["cuts"]
    )
    return Backtest(
        by=_text(content["by"]),
        level=_number(content["level"]),
        cuts=cuts,
        skipped=tuple(map(_number, content["skipped"])),
        **{name: score(content, name) for name in names},  # type: ignore[arg-type]
    )


def _read_discrepancy(content: Mapping[str, Any]) -> Discrepancy:
    weights = _numbers(content["weights"])
    if weights.shape != GRID.shape or np.any(weights < 0) or abs(weights.sum() - 1) > 1e-6:
        raise ValueError("its discrepancy is no distribution")
    return Discrepancy(weights=weights, cuts=_count(content["cuts"]))


def _numbers(values: Any) -> Array:
    return np.array([_number(value) for value in values])


def _counts(values: Any) -> NDArray[np.intp]:
    return np.array([_count(value) for value in values], dtype=np.intp)


def _ends(value: Any) -> tuple[float, float]:
    low, high = map(_number, value)
    if low > high:
        raise ValueError(f"{low:g} to {high:g} is no range")
    return low, high


def _read_estimate(content: Mapping[str, Any], *, missing: float | None = None) -> Estimate:
    low, high, error = (
        None if content[name] is None else _number(content[name]) for name in ("low", "high", "std_error")
    )
    return Estimate(value=_number(content["value"], missing=missing), low=low, high=high, std_error=error)
