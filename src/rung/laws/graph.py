"""From expression tree to a shared graph in log space, with exact derivatives.

Positive variables enter as exp(log x) and positive coefficients as exp(u), so products, quotients and
powers of them merge into one exponential of a sum, and a sum of positive terms is the logarithm's own
log-sum-exp. Equal subexpressions are one node. Derivatives are taken by reverse accumulation on the graph
and share its nodes, so value and derivatives are computed together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from rung.laws.coefficients import Coefficient, Scale
from rung.laws.tree import Binary, Call, Expression, Name, Negative, Number, evaluate, names

Node: TypeAlias = int
Key: TypeAlias = tuple[str | float | int, ...]

_LOG_OF_ZERO = -1e8
"""Stands for the logarithm of a zero base of a power in the derivative by its exponent, which is 0 there."""

COEFFICIENT, DATA = 1, 2
"""What a node depends on: 0 a constant, 1 coefficients, 2 data, 3 both."""


@dataclass(slots=True)
class Graph:
    """Nodes by number; a node's operands have smaller numbers than its own.

    Attributes:
        keys: Operation and operands of each node: ("const", value), ("coef", k), ("group", k, column),
            ("data", column), ("logdata", column), ("lse", node, ...), ("soft", lse node, i) and the
            arithmetic by name.
        depends: What each node depends on, COEFFICIENT and DATA added up.
    """

    keys: list[Key] = field(default_factory=list)
    depends: list[int] = field(default_factory=list)
    _index: dict[Key, Node] = field(default_factory=dict)

    def node(self, *key: str | float) -> Node:
        found = self._index.get(key)
        if found is None:
            found = self._index[key] = len(self.keys)
            self.keys.append(key)
            self.depends.append(_depends(key, self.depends))
        return found

    def const(self, value: float) -> Node:
        return self.node("const", float(value))

    def constant(self, node: Node) -> float | None:
        key = self.keys[node]
        return float(key[1]) if key[0] == "const" else None

    def add(self, a: Node, b: Node) -> Node:
        left, right = self.constant(a), self.constant(b)
        if left is not None and right is not None:
            return self.const(left + right)
        if left == 0:
            return b
        if right == 0:
            return a
        return self.node("add", *sorted((a, b)))

    def neg(self, a: Node) -> Node:
        """Minus a; the sign moves to the factor that is cheapest to change."""
        key = self.keys[a]
        if key[0] == "const":
            return self.const(-float(key[1]))
        if key[0] == "neg":
            return int(key[1])
        if key[0] == "mul":
            first, second = int(key[1]), int(key[2])
            if self.depends[first] <= COEFFICIENT:
                return self.mul(self.neg(first), second)
            if self.depends[second] <= COEFFICIENT:
                return self.mul(first, self.neg(second))
        return self.node("neg", a)

    def sub(self, a: Node, b: Node) -> Node:
        return self.add(a, self.neg(b))

    def mul(self, a: Node, b: Node) -> Node:
        left, right = self.constant(a), self.constant(b)
        if left is not None and right is not None:
            return self.const(left * right)
        for value, other in ((left, b), (right, a)):
            if value == 0:
                return self.const(0)
            if value == 1:
                return other
            if value == -1:
                return self.neg(other)
        for outer, factor in ((a, b), (b, a)):
            # (s x) q is written s (x q) where x q is already there: one pass over the data less.
            key = self.keys[outer]
            if key[0] == "mul" and self.depends[factor] <= COEFFICIENT:
                for kept, inner in ((int(key[1]), int(key[2])), (int(key[2]), int(key[1]))):
                    known = self._index.get(("mul", *sorted((inner, factor))))
                    if known is not None and self.depends[kept] & self.depends[inner] & DATA:
                        return self.node("mul", *sorted((kept, known)))
        return self.node("mul", *sorted((a, b)))

    def div(self, a: Node, b: Node) -> Node:
        left, right = self.constant(a), self.constant(b)
        if right is not None and right != 0:
            return self.const(left / right) if left is not None else self.mul(a, self.const(1 / right))
        return self.node("div", a, b)

    def exp(self, a: Node) -> Node:
        value = self.constant(a)
        if value is not None:
            return self.const(math.exp(min(value, 709.0)))
        return int(self.keys[a][1]) if self.keys[a][0] == "log" else self.node("exp", a)

    def log(self, a: Node) -> Node:
        value = self.constant(a)
        if value is not None and value > 0:
            return self.const(math.log(value))
        return int(self.keys[a][1]) if self.keys[a][0] == "exp" else self.node("log", a)

    def lse(self, terms: Sequence[Node]) -> Node:
        """log(sum of exponentials); constants are folded, one term is itself."""
        constants = [value for term in terms if (value := self.constant(term)) is not None]
        rest = [term for term in terms if self.constant(term) is None]
        if constants:
            top = max(constants)
            rest.append(self.const(top + math.log(sum(math.exp(value - top) for value in constants))))
        return rest[0] if len(rest) == 1 else self.node("lse", *sorted(rest))

    def derivatives(self, root: Node, wanted: Sequence[Node]) -> list[Node]:
        """Derivatives of a node by each of the wanted nodes, by reverse accumulation."""
        adjoint: dict[Node, Node] = {root: self.const(1)}
        for node in range(root, -1, -1):
            outer = adjoint.get(node)
            if outer is None or node in wanted:
                continue
            for operand, factor in self._partials(node):
                if self.depends[operand] & COEFFICIENT:
                    term = self.mul(outer, factor)
                    known = adjoint.get(operand)
                    adjoint[operand] = term if known is None else self.add(known, term)
        zero = self.const(0)
        return [adjoint.get(node, zero) for node in wanted]

    def frontier(self, root: Node) -> list[Node]:
        """Coefficient-only nodes that meet data: where the pass over rows ends and scalars begin."""
        found: set[Node] = set()
        seen: set[Node] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if self.depends[node] == COEFFICIENT:
                found.add(node)
            elif self.keys[node][0] != "group":
                stack.extend(operand for operand in self.operands(node) if self.depends[operand] & COEFFICIENT)
        return sorted(found)

    def operands(self, node: Node) -> tuple[Node, ...]:
        key = self.keys[node]
        if key[0] in {"const", "coef", "group", "data", "logdata"}:
            return ()
        if key[0] == "soft":
            return (int(key[1]),)
        if key[0] == "power":
            return (int(key[1]),)
        return tuple(int(operand) for operand in key[1:])

    def _partials(self, node: Node) -> list[tuple[Node, Node]]:
        key = self.keys[node]
        operands = self.operands(node)
        if len(operands) == 1:
            return [(operands[0], self._slope(node, operands[0]))]
        match key[0]:
            case "add":
                return [(operand, self.const(1)) for operand in operands]
            case "mul":
                return [(operands[0], operands[1]), (operands[1], operands[0])]
            case "div":
                top, bottom = operands
                inverse = self.div(self.const(1), bottom)
                return [(top, inverse), (bottom, self.neg(self.mul(node, inverse)))]
            case "times_log":
                exponent, log = operands
                return [(exponent, self.maximum(log, self.const(_LOG_OF_ZERO))), (log, exponent)]
            case "max":
                first = self.node("ge", *operands)
                return [(operands[0], first), (operands[1], self.sub(self.const(1), first))]
            case "lse":
                return [(term, self.node("soft", node, place)) for place, term in enumerate(operands)]
            case _:
                return []

    def _slope(self, node: Node, operand: Node) -> Node:
        """Derivative of a node by its one operand."""
        key = self.keys[node]
        match key[0]:
            case "neg":
                return self.const(-1)
            case "exp":
                return node
            case "log":
                return self.div(self.const(1), operand)
            case "log_base":
                return self.node("inv_base", operand)
            case "power":
                exponent = float(key[2])
                return self.mul(self.const(exponent), self.power(operand, exponent - 1))
            case _:
                # "ge", "soft" and "inv_base" stand in derivatives alone, which are not differentiated again.
                raise AssertionError(key)

    def power(self, a: Node, exponent: float) -> Node:
        """A base of any sign to a fixed whole power."""
        if exponent == 0:
            return self.const(1)
        return a if exponent == 1 else self.node("power", a, exponent)

    def maximum(self, a: Node, b: Node) -> Node:
        left, right = self.constant(a), self.constant(b)
        if left is not None and right is not None:
            return self.const(max(left, right))
        return a if a == b else self.node("max", *sorted((a, b)))


def _depends(key: Key, known: list[int]) -> int:
    match key[0]:
        case "const":
            return 0
        case "coef":
            return COEFFICIENT
        case "group":
            return COEFFICIENT | DATA
        case "data" | "logdata":
            return DATA
        case "soft" | "power":
            return known[int(key[1])]
        case _:
            combined = 0
            for operand in key[1:]:
                combined |= known[int(operand)]
            return combined


@dataclass(frozen=True, slots=True)
class _Positive:
    """exp(log): a value that is positive whatever the coefficients.

    Its terms where it is a sum, and the value itself where it is a number, which exp(log) would round.
    """

    log: Node
    terms: tuple[Node, ...]
    exact: Node | None = None


@dataclass(frozen=True, slots=True)
class _Real:
    node: Node


_Value: TypeAlias = _Positive | _Real


@dataclass(slots=True)
class Translator:
    """Writes a tree into a graph.

    Args:
        graph: Where nodes go.
        positive: For each variable, whether all its values are positive.
        coefficients: The free and fixed coefficients by name.
        places: For each free coefficient, the place of its first internal number.
    """

    graph: Graph
    positive: Mapping[str, bool]
    coefficients: Mapping[str, Coefficient]
    places: Mapping[str, int]

    def log(self, node: Expression) -> Node:
        """Log of the formula."""
        return self._log(self._translate(node))

    def value(self, node: Expression) -> Node:
        """The formula itself."""
        return self._plain(self._translate(node))

    def logit(self, node: Expression) -> Node:
        """log(f / (1 - f)) of the formula."""
        value = self._translate(node)
        plain = self._plain(value)
        return self.graph.sub(self._log(value), self.graph.log(self.graph.sub(self.graph.const(1), plain)))

    def _plain(self, value: _Value) -> Node:
        if isinstance(value, _Real):
            return value.node
        return self.graph.exp(value.log) if value.exact is None else value.exact

    def _log(self, value: _Value) -> Node:
        return value.log if isinstance(value, _Positive) else self.graph.log(value.node)

    def _positive(self, log: Node) -> _Positive:
        return _Positive(log, (log,))

    def _translate(self, node: Expression) -> _Value:
        known = self._known(node)
        if known is not None:
            return self._number(known)
        match node:
            case Number(value):
                return self._number(value)
            case Name(name, group):
                return self._name(name, group)
            case Negative(operand):
                return _Real(self.graph.neg(self._plain(self._translate(operand))))
            case Binary(operator, left, right):
                return self._binary(operator, self._translate(left), self._translate(right))
            case Call(function, arguments):
                return self._call(function, [self._translate(argument) for argument in arguments])

    def _known(self, node: Expression) -> float | None:
        """The value of a part of the formula without anything unknown in it; logarithms would round it."""
        fixed: dict[str, float] = {}
        for name in names(node):
            coefficient = self.coefficients.get(name.name)
            if coefficient is None or coefficient.fixed is None:
                return None
            fixed[name.name] = coefficient.fixed
        value = float(evaluate(node, fixed))
        return value if math.isfinite(value) else None

    def _number(self, value: float) -> _Value:
        exact = self.graph.const(value)
        if value <= 0:
            return _Real(exact)
        log = self.graph.const(math.log(value))
        return _Positive(log, (log,), exact)

    def _name(self, name: str, group: str | None) -> _Value:
        graph = self.graph
        coefficient = self.coefficients.get(name)
        if coefficient is None:
            if self.positive[name]:
                return self._positive(graph.node("logdata", name))
            return _Real(graph.node("data", name))
        place = self.places[name]
        inner = graph.node("group", place, group) if group else graph.node("coef", place)
        return self._in_range(coefficient, inner)

    def _in_range(self, coefficient: Coefficient, inner: Node) -> _Value:
        """A coefficient's value from its internal number."""
        graph = self.graph
        low, high = coefficient.low, coefficient.high
        match coefficient.scale:
            case Scale.REAL:
                return _Real(inner)
            case Scale.ABOVE:
                if low == 0:
                    return self._positive(inner)
                above = graph.exp(inner)
                if low > 0:
                    both = (graph.const(math.log(low)), inner)
                    return _Positive(graph.lse(both), both)
                return _Real(graph.add(graph.const(low), above))
            case Scale.BELOW:
                return _Real(graph.sub(graph.const(high), graph.exp(inner)))
            case Scale.BETWEEN:
                # low + (high - low) sigmoid(u), the sigmoid as exp(-log(1 + exp(-u)))
                share = graph.neg(graph.lse((graph.const(0), graph.neg(inner))))
                width = graph.add(graph.const(math.log(high - low)), share)
                if low == 0:
                    return self._positive(width)
                return _Real(graph.add(graph.const(low), graph.exp(width)))

    def _binary(self, operator: str, left: _Value, right: _Value) -> _Value:
        graph = self.graph
        both_positive = isinstance(left, _Positive) and isinstance(right, _Positive)
        match operator:
            case "+":
                if isinstance(left, _Positive) and isinstance(right, _Positive):
                    terms = left.terms + right.terms
                    return _Positive(graph.lse(terms), terms)
                return _Real(graph.add(self._plain(left), self._plain(right)))
            case "-":
                return _Real(graph.sub(self._plain(left), self._plain(right)))
            case "*":
                if both_positive:
                    return self._positive(graph.add(self._log(left), self._log(right)))
                return _Real(graph.mul(self._plain(left), self._plain(right)))
            case "/":
                if both_positive:
                    return self._positive(graph.sub(self._log(left), self._log(right)))
                if isinstance(right, _Positive):
                    return _Real(graph.mul(self._plain(left), graph.exp(graph.neg(right.log))))
                return _Real(graph.div(self._plain(left), self._plain(right)))
            case _:
                return self._power(left, right)

    def _power(self, base: _Value, exponent: _Value) -> _Value:
        graph = self.graph
        power = self._plain(exponent)
        whole = graph.constant(power)
        if isinstance(base, _Real) and whole is not None and whole == round(whole):
            return _Real(graph.power(base.node, whole))
        if isinstance(base, _Real):
            # A base that is not known to be positive has a real power only where it is: nan elsewhere. At 0, both
            # 0^g and its derivatives are 0.
            return self._positive(graph.node("times_log", power, graph.node("log_base", base.node)))
        return self._positive(graph.mul(power, base.log))

    def _call(self, function: str, arguments: list[_Value]) -> _Value:
        graph = self.graph
        first = arguments[0]
        match function:
            case "log":
                return _Real(self._log(first))
            case "exp":
                return self._positive(self._plain(first))
            case "sqrt":
                return self._power(first, self._translate(Number(0.5)))
            case "sigmoid":
                return self._positive(graph.neg(graph.lse((graph.const(0), graph.neg(self._plain(first))))))
            case "softplus":
                return _Real(graph.lse((graph.const(0), self._plain(first))))
            case _:
                sign = 1 if function == "max" else -1
                if all(isinstance(argument, _Positive) for argument in arguments):
                    logs = [self._signed(self._log(argument), sign) for argument in arguments]
                    return self._positive(self._signed(graph.maximum(logs[0], logs[1]), sign))
                plain = [self._signed(self._plain(argument), sign) for argument in arguments]
                return _Real(self._signed(graph.maximum(plain[0], plain[1]), sign))

    def _signed(self, node: Node, sign: int) -> Node:
        return node if sign > 0 else self.graph.neg(node)
