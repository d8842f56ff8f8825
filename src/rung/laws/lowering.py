"""From expression tree to graph, in log space.

Positive variables enter as exp(log x) and positive coefficients as exp(u). Products, quotients and powers of them
therefore merge into one exponential of a sum, and the logarithm of a sum of positive terms is one log-sum-exp.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rung.laws.coefficients import Coefficient, Scale
from rung.laws.graph import Graph, Node
from rung.laws.tree import Binary, Call, Expression, Name, Negative, Number, evaluate, names


@dataclass(frozen=True, slots=True)
class _Positive:
    """exp(log): a value that is positive for all coefficients.

    Attributes:
        log: Its logarithm.
        terms: The logarithms of its terms where it is a sum; otherwise its own logarithm.
        exact: The value itself where it is a number, because exp(log) would round it.
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
        graph: The graph that receives the nodes.
        positive: For each variable, whether all its values are positive.
        coefficients: The free and fixed coefficients by name.
        indices: For each free coefficient, the index of its first unconstrained parameter.
    """

    graph: Graph
    positive: Mapping[str, bool]
    coefficients: Mapping[str, Coefficient]
    indices: Mapping[str, int]

    def log(self, node: Expression) -> Node:
        """Node of the logarithm of the formula."""
        return self._log(self._translate(node))

    def value(self, node: Expression) -> Node:
        """Node of the formula itself."""
        return self._plain(self._translate(node))

    def logit(self, node: Expression) -> Node:
        """Node of log(f / (1 - f)), where f is the formula."""
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
        constant = self._constant(node)
        if constant is not None:
            return self._number(constant)
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

    def _constant(self, node: Expression) -> float | None:
        """The value of a part of the formula without variables or free coefficients; logarithms would round it."""
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
        index = self.indices[name]
        # A law taken at one level of each group keeps its formula, but its coefficients have no groups.
        if group is None or coefficient.group is None:
            inner = graph.node("coef", index)
        else:
            inner = graph.node("group", index, group)
        return self._in_range(coefficient, inner)

    def _in_range(self, coefficient: Coefficient, inner: Node) -> _Value:
        """A coefficient's value from its unconstrained parameter."""
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
            # A base of unknown sign has a real power where it is positive, and nan where it is negative. At 0, both
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
