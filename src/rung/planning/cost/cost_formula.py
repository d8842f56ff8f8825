"""The cost of a run, as a formula."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from rung.errors import PlanError
from rung.laws import SYMBOL_OF, Expression, evaluate, names, parse_formula, symbol_of, to_text, with_symbols

COST = "6*N*D"
"""The default cost: training compute by the 6ND rule [FLOP]."""


ACTIVE = "N_active"
"""The parameters that one token uses, of a mixture of experts."""

_ACTIVE_NAMES = frozenset({ACTIVE, "params_active", "N_act", "active_params"})


def active_cost(cost: str, share: float) -> str:
    """The cost of a mixture of experts of which one token uses a share: the default one by active parameters."""
    return f"6*{share:g}*N*D" if cost == COST else cost


def read_cost(text: str, known: Collection[str], whose: str) -> Expression:
    """Parse the formula of a cost; names of columns become their symbols.

    Args:
        text: The formula.
        known: Names that have a value or are to be chosen.
        whose: What these names belong to, such as "the law", for the message.

    Raises:
        FormulaError: The text is not a formula.
        PlanError: It has a name that is not among the known ones.
    """
    tree = with_symbols(parse_formula(text), SYMBOL_OF)
    unknown = dict.fromkeys(node.name for node in names(tree) if node.name not in known)
    if unknown:
        raise PlanError(
            f"the cost {text!r} has {', '.join(unknown)}, which {whose} does not have ({', '.join(known) or 'none'}). Give a value: "
            f"{next(iter(unknown))}=NUMBER."
        )
    return tree


def evaluate_cost(text: str, given: Mapping[str, float]) -> float:
    """The value of a cost for one run.

    Args:
        text: The formula.
        given: The value of every name in it. With N_active (or params_active), the parameters that one token uses, the
            default cost is 6 N_active D; N is then all of them, which memory holds.

    Raises:
        FormulaError: The text is not a formula.
        PlanError: A name is missing or not in the formula, or the cost is not a positive number.
    """
    values = {ACTIVE if name in _ACTIVE_NAMES else symbol_of(name): value for name, value in given.items()}
    if text == COST and ACTIVE in values:
        if "N" in values and values["N"] < values[ACTIVE]:
            raise PlanError(f"{ACTIVE}={values[ACTIVE]:g} is more than N={values['N']:g}, of which it is a part.")
        text = f"6*{ACTIVE}*D"
    tree = read_cost(text, values, "the command")
    idle = values.keys() - {node.name for node in names(tree)} - {"N"}
    if idle:
        raise PlanError(f"{min(idle)} is not in the cost {to_text(tree)}.")
    found = float(evaluate(tree, values))
    if not (np.isfinite(found) and found > 0):
        raise PlanError(f"the cost {to_text(tree)} is {found:g} there; it must be a positive number.")
    return found
