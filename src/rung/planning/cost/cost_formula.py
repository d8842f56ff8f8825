"""The cost of a run, as a formula."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from rung.errors import PlanError
from rung.laws import SYMBOL_OF, Expression, evaluate, names, parse_formula, symbol_of, to_text, with_symbols

COST = "6*N*D"
"""The default cost: training compute by the 6ND rule [FLOP]."""


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
        given: The value of every name in it.

    Raises:
        FormulaError: The text is not a formula.
        PlanError: A name is missing or not in the formula, or the cost is not a positive number.
    """
    values = {symbol_of(name): value for name, value in given.items()}
    tree = read_cost(text, values, "the command")
    idle = values.keys() - {node.name for node in names(tree)} - {"N"}
    if idle:
        raise PlanError(f"{min(idle)} is not in the cost {to_text(tree)}.")
    found = float(evaluate(tree, values))
    if not (np.isfinite(found) and found > 0):
        raise PlanError(f"the cost {to_text(tree)} is {found:g} there; it must be a positive number.")
    return found
