"""Options that say what may be spent, and on which machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.options import BUDGET, MACHINES
from rung.errors import PlanError

if TYPE_CHECKING:
    from rung.planning.cost import Cluster


@Parameter(name="*", group=BUDGET)
@dataclass(frozen=True, kw_only=True)
class OtherBudget:
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
    """An accelerator by name, such as h100-sxm; list shows them."""
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
    import numpy as np

    if not np.isfinite(number) or number != int(number):
        raise PlanError(f"{option} {number:g} is no whole number.")
    return int(number)


def flops_of(machines: Machines, other: OtherBudget, **flops: str | None) -> float | None:
    """A budget in FLOPs, however it was given; None where none was.

    Args:
        machines: What hours, days and money are spent on.
        other: A budget in those.
        **flops: One in FLOPs, by the name of its option.

    Raises:
        PlanError: More than one was given, or one that needs a machine without any.
    """
    from rung.units import parse_number

    budgets = {**flops, "hours": other.hours, "days": other.days, "money": other.money}
    given = {name: text for name, text in budgets.items() if text is not None}
    if len(given) > 1:
        raise PlanError(f"{' and '.join(f'--{name}' for name in given)} are two budgets; give one.")
    if not given:
        return None
    ((name, text),) = given.items()
    amount = parse_number(text)
    if amount <= 0:
        raise PlanError(f"--{name} {text} must be positive.")
    if name in flops:
        return amount
    cluster = cluster_of(machines)
    if cluster is None:
        raise PlanError(f"--{name} needs a machine: --hardware h100-sxm. rung cost --hardware list names them.")
    return cluster.flops_of(**{name: amount})
