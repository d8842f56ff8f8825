"""A fit read back from its file, every part of it checked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.errors import FitError, RungError
from rung.files import STANDARD_INPUT, digest_of, read_text
from rung.findings import Finding
from rung.fitting.backtest.backtest import Backtest, CutScore
from rung.fitting.backtest.discrepancy import GRID, Discrepancy
from rung.fitting.estimate.design import Design, coefficient_names
from rung.fitting.estimate.objective import objective_named
from rung.fitting.published import is_published, published_fit
from rung.fitting.result import SCHEMA, Fit
from rung.fitting.uncertainty.estimate import Estimate
from rung.fitting.uncertainty.intervals import METHODS
from rung.laws import Law, law_book
from rung.messages import did_you_mean, listed, require_level

T = TypeVar("T")


def read_fit(path: str | Path, level: float | None = None) -> Fit:
    """Read a fit that `Fit.write` or `rung fit -o` wrote.

    Args:
        path: The file; - for standard input.
        level: Coverage of the intervals of what follows from it; that of the fit by default.

    Raises:
        FitError: The file is not there, not JSON, or not a fit of this version of the format.
    """
    content = read_content(path, "fit")
    if "laws" in content:
        raise FitError(f"{path} holds a selection of laws, not one fit. rung forecast takes both.")
    if "fits" in content:
        names = listed(list(content["fits"]), 8)
        raise FitError(
            f"{path} holds several fits ({names}), not one. rung forecast takes them; for more, fit one alone."
        )
    return at_level(checked(path, "fit", fit_from_dict, content), level)


def as_fit(source: Any, level: float | None = None) -> Fit:
    """A fit as it is, or read from its file, at a level of its own where one is given.

    Raises:
        FitError: It is neither.
    """
    if isinstance(source, Fit):
        return at_level(source, level)
    if is_published(source) and not Path(source).exists():
        return at_level(published_fit(source), level)
    if isinstance(source, str | Path):
        return read_fit(source, level)
    raise FitError(f"a fit is needed, and this is a {type(source).__name__}. Make one: rung fit RUNS -o fit.json.")


_BESIDE = ("digest", "held_out")
"""Entries of a fit's file that its digest does not cover: itself, and what the command adds."""


def at_level(fit: Fit, level: float | None) -> Fit:
    """The fit, from which intervals of another coverage follow.

    Raises:
        FitError: The level is no probability.
    """
    if level is None:
        return fit
    require_level(level, FitError)
    return replace(fit, level=level)


def read_content(path: str | Path, command: str) -> dict[str, Any]:
    """The content of the file of a fit or a selection.

    Raises:
        FitError: It cannot be read, or is of another version of the format.
    """
    file = Path(path)
    name = "fit.json" if str(path) == STANDARD_INPUT else file.name
    try:
        content = json.loads(read_text(path))
    except FileNotFoundError:
        if not file.suffix:
            hint = did_you_mean(str(path), [slug for slug, entry in law_book().items() if entry.constants])
            raise FitError(
                f"{path}: there is no such file, and no law of the book with constants has that name.{hint} Make a fit: rung {command} "
                "RUNS -o fit.json."
            ) from None
        raise FitError(f"{path}: there is no such file. Make one: rung {command} RUNS -o {name}.") from None
    except IsADirectoryError:
        raise FitError(f"{path} is a folder. Name the file that rung {command} RUNS -o fit.json wrote.") from None
    except RecursionError:
        raise FitError(
            f"{path} is not a fit in JSON: it is nested too deeply. Make one: rung {command} RUNS -o fit.json."
        ) from None
    except (OSError, ValueError) as error:
        raise FitError(f"{path} is not a fit in JSON: {error}. Make one: rung {command} RUNS -o fit.json.") from None
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA:
        found = content.get("schema_version") if isinstance(content, dict) else type(content).__name__
        raise FitError(
            f"{path} is not a fit with schema_version {SCHEMA} (found {found!r}). Make it again with rung {command}."
        )
    return content


def checked(path: str | Path, command: str, read: Callable[[Mapping[str, Any]], T], content: Mapping[str, Any]) -> T:
    """The value that a file's content stands for.

    Raises:
        FitError: A part of it is missing or of the wrong kind.
    """
    try:
        return read(content)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RungError) as error:
        why = error.text if isinstance(error, RungError) else error
        raise FitError(
            f"{path} is damaged ({type(error).__name__}: {why}). Make it again with rung {command}."
        ) from None


def fit_from_dict(content: Mapping[str, Any]) -> Fit:
    """The fit that `Fit.to_dict` wrote, every part of it checked, and the whole by its digest.

    Files of version 0.1 have no digest.
    """
    written = {name: value for name, value in content.items() if name not in _BESIDE}
    if "digest" in content and content["digest"] != digest_of(written):
        raise ValueError("its numbers are not those that were written, by their digest")
    law = Law.parse(
        read_string(content["law"]["text"]),
        variables=[read_string(name) for name in content["law"]["variables"]],
        name=read_string(content["law"]["name"]),
    )
    groups = {name: tuple(map(read_string, levels)) for name, levels in content["groups"].items()}
    table = content["table"]
    return Fit(
        law=law,
        coefficients=_read_coefficients(content, law, groups),
        objective=objective_named(read_string(content["objective"]["name"]), content["objective"]["delta"]),
        objective_value=read_number(content["objective"]["value"]),
        starts_tried=read_count(content["starts"]["tried"]),
        starts_agreed=read_count(content["starts"]["agreed"]),
        status=read_string(content["status"]),
        level=_read_level(content["level"]),
        interval=_read_method(content["interval"]),
        rows=read_count(content["rows"]),
        runs=read_count(content["runs"]),
        # "source" and "notes" are missing in files of version 0.1.
        source=read_string(content.get("source", (table or {}).get("source", "the table"))),
        notes=tuple(map(read_string, content.get("notes", ()))),
        target=read_string(content["target"]),
        mapping={name: read_string(source) for name, source in content["mapping"].items()},
        derived={name: _read_estimate(value, missing=math.nan) for name, value in content["derived"].items()},
        warnings=tuple(Finding(read_string(w["code"]), read_string(w["text"])) for w in content["warnings"]),
        ranges=_read_ranges(content["ranges"], law),
        groups=groups,
        draws=_read_draws(content["draws"], len(coefficient_names(law, groups))),
        noise=_frozen(_numbers(content["noise"])),
        scale=read_number(content["student_scale"]),
        backtest=_read_backtest(content["backtest"]) if content["backtest"] is not None else None,
        discrepancy=read_discrepancy(content["discrepancy"]) if content["discrepancy"] is not None else None,
        priors={name: (read_number(mean), read_number(std)) for name, (mean, std) in content.get("priors", {}).items()},
        prior_noise=read_number(content.get("prior_noise", 0.0)),
        table=_read_table(table, law, groups) if table is not None else None,
        data_digest=read_string(content["data_digest"]),
        seed=read_count(content["seed"]),
        version=read_string(content["version"]),
    )


def _read_coefficients(
    content: Mapping[str, Any], law: Law, groups: Mapping[str, tuple[str, ...]]
) -> dict[str, Estimate]:
    names = coefficient_names(law, groups)
    if list(content["coefficients"]) != names:
        raise ValueError(f"its coefficients are not {', '.join(names)}")
    found = {name: _read_estimate(value) for name, value in content["coefficients"].items()}
    parameters = [c for c in law.free for _ in (groups[c.group] if c.group else ("",))]
    for coefficient, (name, estimate) in zip(parameters, found.items(), strict=True):
        if not coefficient.low <= estimate.value <= coefficient.high:
            raise ValueError(f"{name} is {estimate.value:g}, outside its range")
    return found


def _read_draws(rows: Any, size: int) -> Array:
    if any(len(row) != size for row in rows):
        raise ValueError("a draw has not one value for each coefficient")
    values = [[read_number(value, missing=math.nan) for value in row] for row in rows]
    return _frozen(np.array(values, dtype=float).reshape(-1, size))


def _read_ranges(content: Mapping[str, Any], law: Law) -> dict[str, tuple[float, float]]:
    ranges = {name: _range(bounds) for name, bounds in content.items()}
    if set(law.variables) - set(ranges):
        raise ValueError("a variable of its law has no range")
    return ranges


def _read_level(value: Any) -> float:
    level = read_number(value)
    if not 0 < level < 1:
        raise ValueError("its level is not between 0 and 1")
    return level


def _read_method(value: Any) -> str:
    interval = read_string(value)
    if interval not in METHODS:
        raise ValueError(f"{interval!r} is no kind of interval")
    return interval


def _frozen(array: Array) -> Array:
    array.setflags(write=False)
    return array


def read_string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def read_count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is no count")
    return value


def read_number(value: Any, *, missing: float | None = None) -> float:
    if value is None and missing is not None:
        return missing
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no finite number")
    return float(value)


def _read_table(content: Mapping[str, Any], law: Law, levels: Mapping[str, tuple[str, ...]]) -> Design:
    columns = {read_string(name): _numbers(values) for name, values in content["columns"].items()}
    target, weights = _numbers(content["target"]), _numbers(content["weights"])
    groups = {read_string(name): _counts(codes) for name, codes in content["groups"].items()}
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
        source=read_string(content["source"]),
        size=len(coefficient_names(law, levels)),
    )


def _read_backtest(content: Mapping[str, Any]) -> Backtest:
    def score(values: Mapping[str, Any], name: str) -> float | None:
        return None if name == "inside" and values[name] is None else read_number(values[name])

    names = ("bias", "error", "inside", "last_error", "line_error")
    cuts = tuple(
        CutScore(
            rows=read_count(cut["rows"]),
            scored=read_count(cut["scored"]),
            **{name: score(cut, name) for name in ("at", "factor", *names)},  # type: ignore[arg-type]
        )
        for cut in content["cuts"]
    )
    return Backtest(
        column=read_string(content.get("column", "")),
        along=read_string(content["along"] if "along" in content else content["by"]),  # "by" until version 0.1
        level=read_number(content["level"]),
        cuts=cuts,
        skipped=tuple(map(read_number, content["skipped"])),
        **{name: score(content, name) for name in names},  # type: ignore[arg-type]
    )


def read_discrepancy(content: Mapping[str, Any]) -> Discrepancy:
    weights = _numbers(content["weights"])
    if weights.shape != GRID.shape or np.any(weights < 0) or abs(weights.sum() - 1) > 1e-6:
        raise ValueError("its discrepancy is no distribution")
    return Discrepancy(weights=weights, cuts=read_count(content["cuts"]))


def _numbers(values: Any) -> Array:
    return np.array([read_number(value) for value in values])


def _counts(values: Any) -> NDArray[np.intp]:
    return np.array([read_count(value) for value in values], dtype=np.intp)


def _range(value: Any) -> tuple[float, float]:
    low, high = map(read_number, value)
    if low > high:
        raise ValueError(f"{low:g} to {high:g} is no range")
    return low, high


def _read_estimate(content: Mapping[str, Any], *, missing: float | None = None) -> Estimate:
    low, high, error = (
        None if content[name] is None else read_number(content[name]) for name in ("low", "high", "std_error")
    )
    return Estimate(value=read_number(content["value"], missing=missing), low=low, high=high, std_error=error)
