"""Expression trees: what a formula means, how it prints, and its value on arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from rung.arrays import Array


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A variable or a coefficient; a coefficient with a group has one value per level of that column."""

    name: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Negative:
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Expression, ...]


Expression: TypeAlias = Number | Name | Negative | Binary | Call

FUNCTIONS: dict[str, int] = {
    "log": 1,
    "exp": 1,
    "sqrt": 1,
    "sigmoid": 1,
    "softplus": 1,
    "min": 2,
    "max": 2,
}
"""The functions of the language and how many arguments each takes."""

RESERVED = frozenset([*FUNCTIONS, "with", "in", "inf"])
"""Reserved words; a column with such a name is written in double quotes."""

WORD = r"[A-Za-z_][A-Za-z_0-9]*"
"""Pattern of a name that needs no quotes."""

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = 1, 2, 3, 4, 5
_PRECEDENCE = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "^": _POWER}
"""How tightly each operator binds; a higher number binds more tightly."""


def children(node: Expression) -> tuple[Expression, ...]:
    match node:
        case Negative(operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
        case _:
            return ()


def names(node: Expression) -> Iterator[Name]:
    """Every name in the order of the text, repeats included."""
    if isinstance(node, Name):
        yield node
    for child in children(node):
        yield from names(child)


def signed_terms(node: Expression, sign: float = 1.0) -> list[tuple[float, Expression]]:
    """The terms of a sum or difference, each with its sign; any other formula is its own single term."""
    if isinstance(node, Binary) and node.operator in "+-":
        after = sign if node.operator == "+" else -sign
        return [*signed_terms(node.left, sign), *signed_terms(node.right, after)]
    return [(sign, node)]


def sums(node: Expression) -> Iterator[list[Expression]]:
    """The terms of every sum in a formula, the outermost first."""
    found = [term for _, term in signed_terms(node)]
    if len(found) > 1:
        yield found
        for term in found:
            yield from sums(term)
    else:
        for child in children(node):
            yield from sums(child)


def with_symbols(node: Expression, symbols: Mapping[str, str]) -> Expression:
    """The formula with some names replaced by others."""
    return with_operands(
        node, {one.name: Name(symbols[one.name], one.group) for one in names(node) if one.name in symbols}
    )


def with_operands(node: Expression, operands: Mapping[str, Expression]) -> Expression:
    """The formula with some names replaced by formulas."""
    match node:
        case Name(name, _):
            return operands.get(name, node)
        case Negative(operand):
            return Negative(with_operands(operand, operands))
        case Binary(operator, left, right):
            return Binary(operator, with_operands(left, operands), with_operands(right, operands))
        case Call(function, arguments):
            return Call(function, tuple(with_operands(argument, operands) for argument in arguments))
        case _:
            return node


def to_text(node: Expression) -> str:
    """The formula as canonical text, with the fewest parentheses that keep the tree."""
    match node:
        case Number(value):
            return number_text(value)
        case Name(name, group):
            return f"{name_text(name)}[{name_text(group)}]" if group else name_text(name)
        case Negative(operand):
            return "-" + _wrapped(operand, _SIGN)
        case Call(function, arguments):
            return f"{function}({', '.join(map(to_text, arguments))})"
        case Binary("^", left, right):
            return f"{_wrapped(left, _ATOM)}^{_wrapped(right, _SIGN)}"
        case Binary(operator, left, right):
            own = _PRECEDENCE[operator]
            return f"{_wrapped(left, own)} {operator} {_wrapped(right, own + 1)}"


def name_text(name: str) -> str:
    """A name as a formula writes it: in double quotes where it is not a word, or is a reserved one."""
    if re.fullmatch(WORD, name) and name not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number."""
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return np.format_float_positional(value, trim="-")
    return np.format_float_scientific(value, trim="-", exp_digits=1).replace("e+", "e")


def _precedence(node: Expression) -> int:
    match node:
        case Binary(operator, _, _):
            return _PRECEDENCE[operator]
        case Negative():
            return _SIGN
        case _:
            return _ATOM


def _wrapped(node: Expression, least: int) -> str:
    text = to_text(node)
    return text if _precedence(node) >= least else f"({text})"


_GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "rho",
        "sigma",
        "tau",
        "phi",
        "omega",
    ]
)
"""Names that LaTeX prints as Greek letters."""


def to_latex(node: Expression) -> str:
    """The formula as LaTeX math, without the dollar signs."""
    match node:
        case Number(value):
            mantissa, _, exponent = number_text(value).partition("e")
            return rf"{mantissa} \times 10^{{{exponent}}}" if exponent else mantissa
        case Name(name, group):
            return _latex_name(name, group)
        case Negative(operand):
            return "-" + _latex_wrapped(operand, _SIGN)
        case Call("sqrt", (argument,)):
            return rf"\sqrt{{{to_latex(argument)}}}"
        case Call(function, arguments):
            word = rf"\{function}" if function in {"log", "exp", "min", "max"} else rf"\operatorname{{{function}}}"
            return rf"{word}\left({', '.join(map(to_latex, arguments))}\right)"
        case Binary("/", left, right):
            return rf"\frac{{{to_latex(left)}}}{{{to_latex(right)}}}"
        case Binary("^", left, right):
            return f"{_latex_wrapped(left, _ATOM)}^{{{to_latex(right)}}}"
        case Binary(operator, left, right):
            own = _PRECEDENCE[operator]
            sign = r"\," if operator == "*" else f" {operator} "
            return f"{_latex_wrapped(left, own)}{sign}{_latex_wrapped(right, own + 1)}"


def _latex_wrapped(node: Expression, least: int) -> str:
    text = to_latex(node)
    fraction = isinstance(node, Binary) and node.operator == "/" and least < _ATOM
    return text if fraction or _precedence(node) >= least else rf"\left({text}\right)"


def _latex_name(name: str, group: str | None) -> str:
    if not re.fullmatch(WORD, name):
        return rf"\mathrm{{{_latex_text(name)}}}"
    split = re.fullmatch(r"([A-Za-z]+?)_?(\d+)", name)
    stem, index = (split[1], split[2]) if split else (name, "")
    head, _, rest = stem.partition("_")
    symbol = rf"\{head}" if head in _GREEK else head if len(head) == 1 else rf"\mathrm{{{head}}}"
    below = [_latex_text(part) for part in (rest, index, group or "") if part]
    return f"{symbol}_{{{','.join(below)}}}" if below else symbol


def _latex_text(text: str) -> str:
    """Text inside LaTeX math: a space replaces each character that may have a meaning there."""
    return re.sub(r"[^A-Za-z0-9_().,/+-]", r"\\ ", text).replace("_", r"\_")


def sigmoid(x: Array) -> Array:
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))


def softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, x))


_BINARY: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
}
_CALL: dict[str, Callable[..., Any]] = {
    "log": np.log,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "min": np.minimum,
    "max": np.maximum,
}


def evaluate(node: Expression, values: Mapping[str, Any]) -> Array:
    """The value of a formula; the values of its names broadcast against each other.

    The result is nan or inf at a point where the formula has no value; NumPy's warnings are off.
    """
    with np.errstate(all="ignore"):
        return np.asarray(_value(node, values), dtype=np.float64)


def _value(node: Expression, values: Mapping[str, Any]) -> Any:
    match node:
        case Number(value):
            return value
        case Name(name, _):
            return values[name]
        case Negative(operand):
            return np.negative(_value(operand, values))
        case Binary(operator, left, right):
            return _BINARY[operator](_real(_value(left, values)), _value(right, values))
        case Call(function, arguments):
            return _CALL[function](*(_real(_value(argument, values)) for argument in arguments))


def _real(value: Any) -> Any:
    return np.float64(value) if isinstance(value, int | float) else value
