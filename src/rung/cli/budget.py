"""Options that say what may be spent, and on which machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from rung.errors import PlanError

if TYPE_CHECKING:
    from rung.planning.cost import Cluster, Price

BUDGET = Group("Budget and cost", sort_key=0)
MACHINES = Group("Machines", sort_key=3)


@Parameter(name="*", group=BUDGET)
@dataclass(frozen=True, kw_only=True)
class Spend:
    """A budget in something else than FLOPs; each needs --hardware."""

    hours: str | None = None
    """The budget in accelerator-hours, with --hardware."""
    days: str | None = None
    """The budget in days of all --accelerators together, with --hardware."""
    money: str | None = None
    """The budget in the currency of --price, with --hardware."""


@Parameter(name="*", group=MACHINES)
@dataclass(frozen=True, kw_only=True)
class Machines:
    """On what a training runs, and what is assumed of it."""

    hardware: str | None = None
    """An accelerator by name, such as h100-sxm."""
    accelerators: float = 1
    """How many; 1 by default."""
    utilisation: float = 0.4
    """Share of the peak rate that training reaches; 0.4 by default, an assumption."""
    price: float | None = None
    """Price of one accelerator for an hour."""
    pue: float = 1.0
    """Power of the building over that of the accelerators; 1 by default."""
    hardware_file: Annotated[str | None, Parameter(name="--hardware-file")] = None
    """A TOML file of your own accelerators: [name] with peak_flops, memory and, where known, power, price, source."""


def cluster_of(machines: Machines) -> Cluster | None:
    """The machines that were named, if any were."""
    from rung.planning.cost import Cluster, accelerator_named

    if machines.hardware is None:
        if machines != Machines():
            raise PlanError(
                "--accelerators, --utilisation, --price, --pue and --hardware-file belong to a machine: --hardware h100-sxm."
            )
        return None
    return Cluster(
        accelerator=accelerator_named(machines.hardware, machines.hardware_file),
        count=whole(machines.accelerators, "--accelerators"),
        utilisation=machines.utilisation,
        price=machines.price,
        overhead=machines.pue,
    )


def whole(number: float, option: str) -> int:
    """A count.

    Raises:
        PlanError: The number is no whole one.
    """
    if number != int(number):
        raise PlanError(f"{option} {number:g} is no whole number.")
    return int(number)


def flops_of(machines: Machines, spend: Spend, **flops: str | None) -> float | None:
    """A budget in FLOPs, however it was given; None where none was.

    Args:
        machines: What hours, days and money are spent on.
        spend: A budget in those.
        **flops: One in FLOPs, by the name of its option.

    Raises:
        PlanError: More than one was given, or one that needs a machine without any.
    """
    from rung.units import parse_number

    given = {**flops, "hours": spend.hours, "days": spend.days, "money": spend.money}
    said = {name: text for name, text in given.items() if text is not None}
    if len(said) > 1:
        raise PlanError(f"{' and '.join(f'--{name}' for name in said)} are two budgets; give one.")
    if not said:
        return None
    ((name, text),) = said.items()
    amount = parse_number(text)
    if amount <= 0:
        raise PlanError(f"--{name} {text} must be positive.")
    if name in flops:
        return amount
    cluster = cluster_of(machines)
    if cluster is None:
        raise PlanError(f"--{name} needs a machine: --hardware h100-sxm. rung cost --hardware list names them.")
    return cluster.flops_of(**{name: amount})


def describe_price(price: Price) -> list[str]:
    """Lines for people on what a training costs."""
    from rung.units import format_count, format_value

    cluster = price.cluster
    machine = cluster.accelerator
    lines = [
        f"hardware   {cluster.count:,} x {machine.name} at {100 * cluster.utilisation:g} % of {format_count(machine.peak_flops)} FLOP/s",
        f"time       {format_count(price.accelerator_hours)} accelerator-hours, {format_value(price.days, 3)} days",
    ]
    if price.money is not None:
        lines.append(f"money      {format_count(price.money)} at {cluster.hourly:g} an hour")
    if price.energy_kwh is not None:
        lines.append(
            f"energy     {format_count(price.energy_kwh)} kWh at {machine.power:g} W each"
            + (f", times {cluster.overhead:g}" if cluster.overhead != 1 else "")
        )
    if price.state_bytes is not None:
        lines.append(
            f"memory     {format_count(price.state_bytes)} bytes of weights, gradients and optimizer state: at least "
            f"{price.least_accelerators:,} accelerator{'s' if price.least_accelerators != 1 else ''} without activations"
        )
    return lines
