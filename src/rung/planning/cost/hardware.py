"""Accelerators by name, and the hours, money, energy and memory of a training on them."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rung.errors import PlanError
from rung.findings import Finding
from rung.messages import counted, did_you_mean
from rung.results import Result, Summary
from rung.units import format_bytes, format_count, format_energy, format_hours, format_value

BYTES_PER_PARAM = 16.0
"""Bytes of training state for one parameter, in mixed precision with Adam: two each for weight and gradient, four each
for the master weight and the two moments."""

UTILISATION = 0.4
"""Share of the peak rate that training is assumed to reach, where the user states none."""

_SECONDS_PER_HOUR, _HOURS_PER_DAY = 3600.0, 24.0
"""Units of time."""

_LONG_DAYS, _USUAL_DAYS = 365.0, 90
"""Days from which a training is said to take years, and those to which it is then brought: a season."""

_JOULES_PER_KWH = 3.6e6
"""Unit of energy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """The figures of one accelerator.

    Attributes:
        name: Its name in the table.
        peak_flops: Peak rate of dense matrix products in the precision of training [FLOP/s].
        memory: Memory [bytes].
        power: Board power [W]; None where it is not published.
        price: Price of one for an hour, in the user's currency; None where none is stated.
        source: Where the figures are published.
    """

    name: str
    peak_flops: float
    memory: float
    power: float | None
    price: float | None
    source: str


def hardware(path: str | Path | None = None) -> dict[str, Accelerator]:
    """Accelerators by name: those of the published table and a user's own, which take precedence.

    Args:
        path: A TOML file with a table for each accelerator: peak_flops, memory and, optionally, power, price, source.

    Raises:
        PlanError: The file cannot be read, or an entry lacks a number or has a wrong one.
    """
    return {**_published(), **(_read(Path(path)) if path else {})}


def accelerator_named(name: str, path: str | Path | None = None) -> Accelerator:
    """The accelerator of a name, from the published table or a user's file.

    Raises:
        PlanError: No accelerator has that name.
    """
    known = hardware(path)
    if name not in known:
        hint = did_you_mean(name, known)
        raise PlanError(
            f"no hardware {name!r}; there is {', '.join(known)}.{hint} Add your own in a TOML file: --hardware-file FILE.toml."
        )
    return known[name]


@cache
def _published() -> dict[str, Accelerator]:
    """The accelerators of the table that the package contains."""
    text = files("rung.planning.cost").joinpath("hardware.toml").read_text(encoding="utf-8")
    return _parsed(tomllib.loads(text), "the table of hardware")


def _read(path: Path) -> dict[str, Accelerator]:
    """The accelerators of a user's file."""
    try:
        return _parsed(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror or error}.") from None
    except RecursionError:
        raise PlanError(f"{path} is not TOML that can be read: it is nested too deep.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} is not TOML: {error}.") from None


def _parsed(content: Mapping[str, Any], where: str) -> dict[str, Accelerator]:
    """The accelerators of a parsed table; `where` names it in messages."""
    found = {}
    for name, entry in content.items():
        if not isinstance(entry, dict):
            raise PlanError(f"{where}: {name} is not a table; write [{name}], with peak_flops and memory below it.")
        unknown = sorted(set(entry) - {"peak_flops", "memory", "power", "price", "source"})
        if unknown:
            raise PlanError(
                f"{where}, [{name}]: {unknown[0]} is not known; an accelerator has peak_flops, memory, power, price and source."
            )
        numbers = {key: _number(entry.get(key), f"{where}, [{name}]: {key}") for key in ("power", "price")}
        peak, memory = (_number(entry.get(key), f"{where}, [{name}]: {key}") for key in ("peak_flops", "memory"))
        if peak is None or memory is None:
            raise PlanError(f"{where}, [{name}]: peak_flops [FLOP/s] and memory [bytes] are needed.")
        source = str(entry.get("source", where))
        found[name] = Accelerator(name=name, peak_flops=peak, memory=memory, source=source, **numbers)
    return found


def _number(value: Any, where: str) -> float | None:
    """A positive number, or None where there is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise PlanError(f"{where} is {value!r}; it must be a positive number.")
    return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A number of equal accelerators, and the assumptions about them.

    Attributes:
        accelerator: The accelerator.
        count: Number of accelerators.
        utilisation: Share of their peak rate that the training reaches (model FLOPs utilisation).
        price: Price of one for an hour; None for that of the accelerator.
        overhead: Power of the building over that of the accelerators (power usage effectiveness, PUE).
    """

    accelerator: Accelerator
    count: int = 1
    utilisation: float = UTILISATION
    price: float | None = None
    overhead: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise PlanError(f"{self.count} accelerators: take at least one (--accelerators).")
        if not 0 < self.utilisation <= 1:
            raise PlanError(f"utilisation {self.utilisation:g} must lie between 0 and 1, such as --utilisation 0.4.")
        if self.price is not None and not (math.isfinite(self.price) and self.price > 0):
            raise PlanError(f"a price of {self.price:g} an hour must be positive.")
        if not (math.isfinite(self.overhead) and self.overhead >= 1):
            raise PlanError(f"--pue {self.overhead:g} must be at least 1.")

    @property
    def flops_per_hour(self) -> float:
        """Training compute of one accelerator in an hour [FLOP]: peak rate * utilisation * 3600 s."""
        return self.accelerator.peak_flops * self.utilisation * _SECONDS_PER_HOUR

    @property
    def hourly(self) -> float | None:
        """The price of one accelerator for an hour; None where neither the cluster nor the accelerator states one."""
        return self.price if self.price is not None else self.accelerator.price

    def flops_of(self, *, hours: float | None = None, days: float | None = None, money: float | None = None) -> float:
        """Training compute for a budget in accelerator-hours, days of all accelerators, or money [FLOP].

        Args:
            hours: Hours of one accelerator.
            days: Days of all accelerators together.
            money: An amount in the currency of the price.

        Raises:
            PlanError: There is no price for a budget of money.
        """
        if hours is None and days is not None:
            hours = days * _HOURS_PER_DAY * self.count
        if hours is None:
            if self.hourly is None:
                raise PlanError(
                    f"a budget of money needs a price of {self.accelerator.name} for an hour: --price 2.50, or price in "
                    "--hardware-file."
                )
            hours = (money or 0.0) / self.hourly
        return hours * self.flops_per_hour


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Price(Result):
    """What a training costs on a cluster.

    Attributes:
        flops: Its compute [FLOP].
        cluster: The accelerators, and the assumptions about them.
        accelerator_hours: Hours of one accelerator.
        days: Days of all accelerators together.
        money: Its price, in the currency of the price for an hour; None without such a price.
        energy_kwh: Energy [kWh]; None where the power of the accelerator is not published.
        state_bytes: Memory of weights, gradients and optimizer state [bytes]; None without a size.
        least_accelerators: Fewest accelerators whose memory holds those, activations not counted; None without a size.
    """

    flops: float
    cluster: Cluster
    accelerator_hours: float
    days: float
    money: float | None
    energy_kwh: float | None
    state_bytes: float | None
    least_accelerators: int | None

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """A training that takes years, and accelerators too few for its state."""
        found = []
        if self.days > _LONG_DAYS:
            enough = math.ceil(self.accelerator_hours / (_USUAL_DAYS * _HOURS_PER_DAY))
            found.append(
                Finding(
                    "long_training",
                    f"on {counted(self.cluster.count, 'accelerator')} it takes {format_value(self.days / 365.25, 3)} years. "
                    f"{enough:,} bring it to {_USUAL_DAYS} days: --accelerators {enough}.",
                )
            )
        if self.least_accelerators is not None and self.least_accelerators > self.cluster.count:
            found.append(
                Finding(
                    "too_few_accelerators",
                    f"{counted(self.cluster.count, 'accelerator')} cannot hold weights, gradients and optimizer state; at least "
                    f"{self.least_accelerators:,} can: --accelerators {self.least_accelerators}.",
                )
            )
        return tuple(found)

    def headline(self) -> str:
        """Hours, days and money."""
        money = "" if self.money is None else f", {self.money:,.0f} in the currency of the price"
        return f"{format_hours(self.accelerator_hours)} accelerator-hours, {format_value(self.days, 3)} days{money}"

    def lines(self) -> list[str]:
        """Hardware, time, money, energy and memory, one line each."""
        cluster, machine = self.cluster, self.cluster.accelerator
        overhead = f", times {cluster.overhead:g}" if cluster.overhead != 1 else ""
        lines = [
            f"hardware   {cluster.count:,} x {machine.name} at {100 * cluster.utilisation:g} % of {format_count(machine.peak_flops)} FLOP/s",
            f"time       {format_hours(self.accelerator_hours)} accelerator-hours, {format_value(self.days, 3)} days",
        ]
        if self.money is not None:
            lines.append(f"money      {self.money:,.0f} at {cluster.hourly:g} an hour")
        if self.energy_kwh is not None:
            lines.append(f"energy     {format_energy(self.energy_kwh)} at {machine.power:g} W each{overhead}")
        if self.state_bytes is not None and self.least_accelerators is not None:
            lines.append(
                f"memory     {format_bytes(self.state_bytes)} for weights, gradients and optimizer state: at least "
                f"{counted(self.least_accelerators, 'accelerator')} without activations"
            )
        return lines

    def describe(self) -> Summary:
        """Compute, hardware, time, money, energy, memory and the source of the figures."""
        computes = f"computes   {format_count(self.flops)} FLOPs"
        return Summary(["\n".join([computes, *self.lines(), f"source     {self.cluster.accelerator.source}"])])

    def to_dict(self) -> dict[str, Any]:
        """The price as plain values."""
        return {
            "flops": self.flops,
            "hardware": self.cluster.accelerator.name,
            "accelerators": self.cluster.count,
            "utilisation": self.cluster.utilisation,
            "peak_flops": self.cluster.accelerator.peak_flops,
            "accelerator_hours": self.accelerator_hours,
            "days": self.days,
            "money": self.money,
            "energy_kwh": self.energy_kwh,
            "state_bytes": self.state_bytes,
            "least_accelerators": self.least_accelerators,
            "source": self.cluster.accelerator.source,
            "warnings": [finding.to_dict() for finding in self.warnings],
        }


def cost(
    flops: float, cluster: Cluster, *, params: float | None = None, bytes_per_param: float = BYTES_PER_PARAM
) -> Price:
    """Hours, money, energy and memory of a training.

        hours = flops / (peak rate * utilisation * 3600 s),   days = hours / count / 24,   money = hours * price,
        energy = hours * power * PUE,   memory = params * bytes_per_param

    Args:
        flops: Its compute [FLOP].
        cluster: The accelerators, and the assumptions about them.
        params: Its size, for the memory of its training state.
        bytes_per_param: Bytes of weight, gradient and optimizer state for one parameter.

    Raises:
        PlanError: A number is not positive.
    """
    for name, number in (("flops", flops), ("params", params), ("--bytes-per-param", bytes_per_param)):
        if number is not None and not (math.isfinite(number) and number > 0):
            raise PlanError(f"{name} {number:g} must be positive.")
    state = None if params is None else params * bytes_per_param
    hours = flops / cluster.flops_per_hour
    if not (math.isfinite(hours) and (state is None or math.isfinite(state)) and hours / cluster.count > 0):
        raise PlanError(
            "the numbers are so large or small that hours or bytes cannot be told. State a training that can be."
        )
    power, hourly = cluster.accelerator.power, cluster.hourly
    return Price(
        flops=flops,
        cluster=cluster,
        accelerator_hours=hours,
        days=hours / cluster.count / _HOURS_PER_DAY,
        money=None if hourly is None else hours * hourly,
        energy_kwh=None if power is None else hours * power * _SECONDS_PER_HOUR * cluster.overhead / _JOULES_PER_KWH,
        state_bytes=state,
        least_accelerators=None if state is None else math.ceil(state / cluster.accelerator.memory),
    )
