"""A fit as a value, and as a file that a person can read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import Caution, FitError, RungError
from rung.files import write_text
from rung.fit.objective import Objective, objective_named
from rung.laws import Law
from rung.laws.tree import Array

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number with its uncertainty.

    Attributes:
        value: The estimate.
        low: Lower end of its interval; None where the data do not determine it.
        high: Upper end.
        std_error: Standard error.
    """

    value: float
    low: float | None = None
    high: float | None = None
    std_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A law fitted to a table of runs, with the whole story of the fit.

    Attributes:
        law: The law.
        coefficients: Each free coefficient, those of groups as A[level].
        objective: What was minimised.
        objective_value: Its value, summed over rows.
        starts_tried: How many starts the search ran.
        starts_agreed: How many of them reached the optimum.
        status: "converged", "few_starts_agree", "not_converged", "undetermined", "saturated" or "exact".
        level: Coverage that the intervals aim at.
        interval: "bootstrap" over runs, or "curvature" of the objective.
        rows: Rows fitted.
        runs: Runs that they belong to.
        target: The column fitted.
        mapping: Each column used, and what it was read from.
        derived: Quantities that follow from the coefficients, such as params_exponent; nan where those are loose.
        cautions: What a user should know.
        ranges: Smallest and largest value of each variable among the rows fitted.
        groups: Levels of each grouping column.
        draws: Coefficients of each resample (B, K), in the order of `coefficients`.
        noise: Quantiles of a new run's deviation from the law, on the residual's scale.
        data_digest: Fingerprint of the columns used.
        seed: Seed of starts and resamples.
        version: Version of Rung.
    """

    law: Law
    coefficients: Mapping[str, Estimate]
    objective: Objective
    objective_value: float
    starts_tried: int
    starts_agreed: int
    status: str
    level: float
    interval: str
    rows: int
    runs: int
    target: str
    mapping: Mapping[str, str]
    derived: Mapping[str, Estimate]
    cautions: tuple[Caution, ...]
    ranges: Mapping[str, tuple[float, float]]
    groups: Mapping[str, tuple[str, ...]]
    draws: Array
    noise: Array
    data_digest: str
    seed: int
    version: str

    @property
    def values(self) -> dict[str, float]:
        """The coefficients' values by name."""
        return {name: estimate.value for name, estimate in self.coefficients.items()}

    def vectors(self, levels: Mapping[str, str]) -> tuple[dict[str, float], dict[str, Array]]:
        """Coefficients of the law for one level of each group: the estimate, and the draws (B,).

        Raises:
            FitError: A level is missing or unknown.
        """
        estimate: dict[str, float] = {}
        draws: dict[str, Array] = {}
        places = {name: place for place, name in enumerate(self.coefficients)}
        for coefficient in self.law.free:
            name = coefficient.name
            if coefficient.group:
                known = self.groups[coefficient.group]
                level = levels.get(coefficient.group)
                if level not in known:
                    raise FitError(
                        f"the law has its own {name} for each {coefficient.group}; give one of them: "
                        f"{coefficient.group}={'|'.join(known[:8])}."
                    )
                name = f"{name}[{level}]"
            estimate[coefficient.name] = self.coefficients[name].value
            draws[coefficient.name] = self.draws[:, places[name]]
        return estimate, draws

    def to_json(self) -> str:
        """The fit as one JSON object."""
        return json.dumps(self.to_dict(), allow_nan=False) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """The fit as plain values; numbers that are not finite are null."""
        return {
            "schema_version": SCHEMA,
            "law": {
                "name": self.law.name,
                "formula": self.law.formula,
                "text": self.law.text,
                "variables": list(self.law.variables),
            },
            "coefficients": {name: _estimate(e) for name, e in self.coefficients.items()},
            "objective": {
                "name": self.objective.name,
                "delta": self.objective.delta,
                "value": self.objective_value,
            },
            "starts": {"tried": self.starts_tried, "agreed": self.starts_agreed},
            "status": self.status,
            "rows": self.rows,
            "runs": self.runs,
            "target": self.target,
            "mapping": dict(self.mapping),
            "derived": {name: _estimate(e) for name, e in self.derived.items()},
            "warnings": [{"code": c.code, "text": c.text} for c in self.cautions],
            "data_digest": self.data_digest,
            "seed": self.seed,
            "version": self.version,
            "level": self.level,
            "interval": self.interval,
            "ranges": {name: list(ends) for name, ends in self.ranges.items()},
            "groups": {name: list(levels) for name, levels in self.groups.items()},
            "noise": self.noise.tolist(),
            "draws": [[_finite(value) for value in row] for row in self.draws.tolist()],
        }

    def write(self, path: str | Path) -> None:
        """Write the fit as JSON, beside the old file and then in its place."""
        write_text(path, self.to_json())


def read_fit(path: str | Path) -> Fit:
    """Read a fit that `Fit.write` or `rung fit -o` wrote.

    Raises:
        FitError: The file is not there, not JSON, or not a fit of this version of the format.
    """
    file = Path(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FitError(f"{path}: there is no such file. Make one: rung fit RUNS -o {file.name}.") from None
    except (OSError, ValueError) as error:
        raise FitError(f"{path} is not a fit in JSON: {error}. Make one: rung fit RUNS -o fit.json.") from None
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA:
        found = content.get("schema_version") if isinstance(content, dict) else type(content).__name__
        raise FitError(
            f"{path} is not a fit with schema_version {SCHEMA} (found {found!r}). Make it again with rung fit."
        )
    try:
        return _from_dict(content)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RungError) as error:
        raise FitError(f"{path} is damaged ({type(error).__name__}: {error}). Make it again with rung fit.") from None


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
    return Fit(
        law=law,
        coefficients={name: _read_estimate(value) for name, value in content["coefficients"].items()},
        objective=objective,
        objective_value=_number(content["objective"]["value"]),
        starts_tried=_count(content["starts"]["tried"]),
        starts_agreed=_count(content["starts"]["agreed"]),
        status=_text(content["status"]),
        level=level,
        interval=_text(content["interval"]),
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
        data_digest=_text(content["data_digest"]),
        seed=_count(content["seed"]),
        version=_text(content["version"]),
    )


def coefficient_names(law: Law, levels: Mapping[str, Sequence[str]]) -> list[str]:
    """The name of each number that a fit estimates: a coefficient, or A[level] for one level of a group."""
    return [
        f"{coefficient.name}[{level}]" if coefficient.group else coefficient.name
        for coefficient in law.free
        for level in (levels[coefficient.group] if coefficient.group else ("",))
    ]


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


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: _finite(getattr(estimate, name)) for name in ("value", "low", "high", "std_error")}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
