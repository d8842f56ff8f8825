"""A law: a functional form with its coefficients, variables and ranges."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.arrays import Array
from rung.errors import FormulaError
from rung.laws.coefficients import Coefficient, Scale
from rung.laws.syntax import Clause, parse_law
from rung.laws.tape import compile_tape
from rung.laws.tree import (
    WORD,
    Binary,
    Call,
    Expression,
    Name,
    Negative,
    Number,
    evaluate,
    name_text,
    names,
    number_text,
    to_latex,
    to_text,
    with_operands,
    with_symbols,
)
from rung.laws.workspace import Workspace
from rung.messages import did_you_mean

SYMBOLS: dict[str, str] = {
    "N": "params",
    "D": "tokens",
    "C": "flops",
    "S": "step",
    "U": "unique_tokens",
    "L": "loss",
}
"""Symbols that stand for columns of the table of runs. B is a coefficient: see docs/adr/0002."""

SYMBOL_OF = {column: symbol for symbol, column in SYMBOLS.items()}
"""The symbol of each column that has one."""


def symbol_of(column: str) -> str:
    """The symbol of a column; any other name is returned unchanged."""
    return SYMBOL_OF.get(column, column)


def column_of(variable: str) -> str:
    """The column of the table that a variable of a formula stands for."""
    return SYMBOLS.get(variable, variable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A functional form.

    Attributes:
        name: Its name in the law book, or "custom".
        tree: The formula as an expression tree.
        variables: Names that stand for columns, in the order of the text.
        coefficients: All other names, in the order of the text, with their ranges and fixed values.
    """

    name: str
    tree: Expression
    variables: tuple[str, ...]
    coefficients: tuple[Coefficient, ...]

    @staticmethod
    def parse(
        text: str,
        *,
        columns: Collection[str] = (),
        variables: Sequence[str] | None = None,
        name: str = "custom",
    ) -> Law:
        """Read a law from text.

        Args:
            text: A formula, with a `with` clause where ranges differ from the default (0, inf).
            columns: Columns of the table; their names in the formula are variables.
            variables: The names that are variables; None takes the columns and the symbols.
            name: The law's name.

        Raises:
            FormulaError: The text is not a law; the message says where and why.
        """
        tree, clauses = parse_law(text)
        if variables is None:
            # A column that has a symbol is written as the symbol, so that equal laws have equal texts.
            tree = with_symbols(tree, SYMBOL_OF)
        variable_names = set(variables) if variables is not None else {*SYMBOLS, *columns}
        ordered = list(dict.fromkeys(names(tree)))
        found = tuple(dict.fromkeys(node.name for node in ordered if node.name in variable_names))
        coefficients = _coefficients(ordered, variable_names, text)
        law = Law(name=name, tree=tree, variables=found, coefficients=coefficients)
        if not found:
            hint = f"columns here: {', '.join(columns)}" if columns else "symbols: N, D, C, S, U, L"
            raise FormulaError(f'"{text}" has no variable, only constants. Use a column of the table ({hint}).')
        if not coefficients:
            raise FormulaError(f'"{text}" has no coefficient: there is nothing to fit.')
        return law.restrict(clauses)

    def restrict(self, clauses: Sequence[Clause]) -> Law:
        """The law with other ranges, or with coefficients fixed.

        An upper bound above 0 leaves the lower bound unchanged; one at or below 0 removes it.

        Raises:
            FormulaError: A name is not a coefficient, two clauses repeat or contradict each other, or a range is empty.
        """
        given: set[tuple[str, str]] = set()
        changed = {c.name: c for c in self.coefficients}
        for clause in clauses:
            if clause.name not in changed:
                raise FormulaError(
                    f"{clause.name!r} is no coefficient of {self.formula!r}; its coefficients are {', '.join(changed)}."
                    f"{did_you_mean(clause.name, changed)}"
                )
            bounds = {key: value for key in ("low", "high", "fixed") if (value := getattr(clause, key)) is not None}
            before = {key for name, key in given if name == clause.name}
            if before & set(bounds) or (before and "fixed" in {*before, *bounds}):
                raise FormulaError(f"{clause.name!r} has two clauses that repeat or contradict each other. Keep one.")
            given |= {(clause.name, key) for key in bounds}
            if bounds.get("high", math.inf) <= 0 and (clause.name, "low") not in given:
                bounds["low"] = -math.inf
            found = replace(changed[clause.name], **bounds)
            if not found.low < found.high:
                raise FormulaError(f"the range of {clause.name!r} is empty: ({found.low:g}, {found.high:g}).")
            changed[clause.name] = found
        return replace(self, coefficients=tuple(changed.values()))

    def fix(self, values: Mapping[str, float]) -> Law:
        """The law with some coefficients held fixed.

        Raises:
            FormulaError: A name is not a coefficient, or its value is outside its range or differs from the law's own.
        """
        by_name = {c.name: c for c in self.coefficients}
        for name, value in values.items():
            coefficient = by_name.get(name)
            if coefficient is None:
                continue
            if coefficient.fixed is not None and coefficient.fixed != value:
                raise FormulaError(
                    f"{name}={value:g} contradicts the formula, which has {name} = {coefficient.fixed:g}."
                )
            if not coefficient.low <= value <= coefficient.high:
                raise FormulaError(
                    f"{name}={value:g} is outside the range of {name}, ({coefficient.low:g}, {coefficient.high:g}). "
                    f"Widen it in the formula: `with {name} in (-inf, inf)`."
                )
        return self.restrict([Clause(name, fixed=value) for name, value in values.items()])

    def along(self, variable: str) -> Law:
        """The law with its variable x replaced by another variable."""
        return replace(self, tree=with_symbols(self.tree, {"x": variable}), variables=(variable,))

    @property
    def computed(self) -> Expression:
        """The formula as it is computed: with min(U, D) for U where it has both, since a run sees no more tokens than D."""
        if not {"U", "D"} <= set(self.variables):
            return self.tree
        return with_operands(self.tree, {"U": Call("min", (Name("U"), Name("D")))})

    @property
    def formula(self) -> str:
        """The formula as canonical text, without ranges."""
        return to_text(self.tree)

    @property
    def text(self) -> str:
        """The whole law as text, with ranges; `Law.parse` reads it back as the same law."""
        clauses = [clause for c in self.coefficients if (clause := _clause_text(c))]
        return f"{self.formula} with {', '.join(clauses)}" if clauses else self.formula

    @property
    def latex(self) -> str:
        """The formula as LaTeX math, without the dollar signs."""
        return to_latex(self.tree)

    @property
    def coefficient_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.coefficients)

    @property
    def free(self) -> tuple[Coefficient, ...]:
        """The coefficients that are estimated."""
        return tuple(c for c in self.coefficients if c.fixed is None)

    @property
    def groups(self) -> tuple[str, ...]:
        """The grouping columns that coefficients depend on."""
        return tuple(dict.fromkeys(c.group for c in self.coefficients if c.group))

    @property
    def linear(self) -> tuple[str, ...]:
        """Free coefficients in which the law is jointly linear while the others are held fixed."""
        chosen: list[str] = []
        for coefficient in self.free:
            if _degree(self.tree, {*chosen, coefficient.name}) <= 1:
                chosen.append(coefficient.name)
        return tuple(chosen)

    def value(self, coefficients: Mapping[str, Array | float], variables: Mapping[str, Array | float]) -> Array:
        """The law's prediction.

        Args:
            coefficients: A value for each free coefficient; for one with a group, the value at the level
                that each point belongs to. Arrays broadcast against the variables.
            variables: A value for each variable.
        """
        fixed = {c.name: c.fixed for c in self.coefficients if c.fixed is not None}
        return evaluate(self.computed, {**fixed, **coefficients, **variables})

    def gradient(self, coefficients: Mapping[str, float], variables: Mapping[str, Array]) -> dict[str, Array]:
        """Exact derivatives of the prediction by each free coefficient, at each point (n,).

        Only the solver differentiates laws that have coefficients with a group.
        """
        columns = {name: np.asarray(variables[name], dtype=np.float64) for name in self.variables}
        rows = max(column.size for column in columns.values())
        columns = {name: np.broadcast_to(column, (rows,)) for name, column in columns.items()}
        positive = {name: bool(np.all(column > 0)) for name, column in columns.items()}
        tape = compile_tape(self.computed, self.coefficients, positive=positive, levels={}, residual="plain")
        unconstrained = np.array([[float(c.to_unconstrained(coefficients[c.name])) for c in self.free]])
        with np.errstate(all="ignore"):
            _, jacobian = Workspace(tape, columns, {}, rows, 1).evaluate(unconstrained)
        slopes = [float(c.slope(u)) for c, u in zip(self.free, unconstrained[0], strict=True)]
        return {c.name: jacobian[k, 0] / slopes[k] for k, c in enumerate(self.free)}


def _coefficients(ordered: Sequence[Name], variables: Collection[str], text: str) -> tuple[Coefficient, ...]:
    found: dict[str, Coefficient] = {}
    for node in ordered:
        if node.name in variables:
            if node.group:
                raise FormulaError(f'"{text}": {node.name!r} is a variable; only coefficients take [{node.group}].')
            continue
        if not re.fullmatch(WORD, node.name):
            shown = ", ".join(sorted(variables)[:12])
            raise FormulaError(
                f'"{text}": there is no column {name_text(node.name)}; the table and the symbols have {shown}.'
            )
        first = found.setdefault(node.name, Coefficient(name=node.name, group=node.group))
        if first.group != node.group:
            raise FormulaError(
                f'"{text}": {node.name!r} appears both with and without a group. Write it the same way everywhere.'
            )
    for name in found:
        for other in found:
            if name < other and len(name) > 3 and name.isalpha() and sorted(name) == sorted(other):
                raise FormulaError(
                    f'"{text}": {name!r} and {other!r} are both coefficients. Is one a misspelling of the other?'
                )
    return tuple(found.values())


def _clause_text(coefficient: Coefficient) -> str | None:
    name, low, high = coefficient.name, _bound_text(coefficient.low), _bound_text(coefficient.high)
    if coefficient.fixed is not None:
        return f"{name} = {_bound_text(coefficient.fixed)}"
    match coefficient.scale:
        case Scale.ABOVE:
            return f"{name} >= {low}" if coefficient.low else None
        case Scale.BELOW:
            return f"{name} in (-inf, {high})"
        case _:
            return f"{name} in ({low}, {high})"


def _bound_text(value: float) -> str:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return ("-" if value < 0 else "") + number_text(abs(value))


def _degree(node: Expression, of: Collection[str]) -> float:
    """Degree of a formula as a polynomial in some names; inf where it is not a polynomial in them."""
    match node:
        case Number():
            return 0
        case Name(name, _):
            return float(name in of)
        case Negative(operand):
            return _degree(operand, of)
        case Binary("+" | "-", left, right):
            return max(_degree(left, of), _degree(right, of))
        case Binary("*", left, right):
            return _degree(left, of) + _degree(right, of)
        case Binary("/", left, right):
            return _degree(left, of) if _degree(right, of) == 0 else math.inf
        case Binary(_, left, right):
            return 0 if _degree(left, of) == 0 and _degree(right, of) == 0 else math.inf
        case Call(_, arguments):
            return 0 if all(_degree(argument, of) == 0 for argument in arguments) else math.inf
