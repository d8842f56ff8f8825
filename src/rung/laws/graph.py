"""A shared graph of operations with exact derivatives.

Equal subexpressions are one node. Derivatives come from reverse accumulation on the graph and reuse its nodes, so
value and derivatives are computed together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Node: TypeAlias = int
Key: TypeAlias = tuple[str | float | int, ...]

_LOG_OF_ZERO = -1e8
"""Replaces log(0) in d(b^g)/dg = b^g log(b) at a base b of 0, so that the derivative is 0 there."""

COEFFICIENT, DATA = 1, 2
"""What a node depends on: 0 nothing (a constant), 1 coefficients, 2 data, 3 both."""


@dataclass(slots=True)
class Graph:
    """Nodes identified by number; the operands of a node have smaller numbers than the node.

    Attributes:
        keys: Operation and operands of each node: ("const", value), ("coef", k), ("group", k, column),
            ("data", column), ("logdata", column), ("lse", node, ...) for the logarithm of a sum of exponentials,
            ("soft", lse node, i) for its derivative by the i-th term, and the arithmetic operations by name.
        depends: What each node depends on, as the sum of COEFFICIENT and DATA.
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
        """-a, with the sign moved to the factor that is cheapest to change."""
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
            # (s x) q is written as s (x q) where the node x q already exists: this saves one pass over the data.
            key = self.keys[outer]
            if key[0] == "mul" and self.depends[factor] <= COEFFICIENT:
                for kept, inner in ((int(key[1]), int(key[2])), (int(key[2]), int(key[1]))):
                    existing = self._index.get(("mul", *sorted((inner, factor))))
                    if existing is not None and self.depends[kept] & self.depends[inner] & DATA:
                        return self.node("mul", *sorted((kept, existing)))
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
        """log(exp(t1) + exp(t2) + ...); constant terms are folded into one, and a single term is returned as it is."""
        constants = [value for term in terms if (value := self.constant(term)) is not None]
        rest = [term for term in terms if self.constant(term) is None]
        if constants:
            top = max(constants)
            rest.append(self.const(top + math.log(sum(math.exp(value - top) for value in constants))))
        return rest[0] if len(rest) == 1 else self.node("lse", *sorted(rest))

    def derivatives(self, root: Node, wanted: Sequence[Node]) -> list[Node]:
        """Derivatives of the root by each of the wanted nodes, by reverse accumulation.

        d root / d operand = sum over the nodes that use it of (d root / d node) (d node / d operand).
        """
        adjoint: dict[Node, Node] = {root: self.const(1)}
        for node in range(root, -1, -1):
            outer = adjoint.get(node)
            if outer is None or node in wanted:
                continue
            for operand, factor in self._partials(node):
                if self.depends[operand] & COEFFICIENT:
                    term = self.mul(outer, factor)
                    previous = adjoint.get(operand)
                    adjoint[operand] = term if previous is None else self.add(previous, term)
        zero = self.const(0)
        return [adjoint.get(node, zero) for node in wanted]

    def frontier(self, root: Node) -> list[Node]:
        """The coefficient-only nodes nearest to the root: above them values run over rows, below them they are scalars."""
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
                return [(term, self.node("soft", node, index)) for index, term in enumerate(operands)]
            case _:
                return []

    def _slope(self, node: Node, operand: Node) -> Node:
        """Derivative of a node by its only operand."""
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
                # "ge", "soft" and "inv_base" occur only in derivatives, which are not differentiated again.
                raise AssertionError(key)

    def power(self, a: Node, exponent: float) -> Node:
        """A base of any sign to a constant whole power."""
        if exponent == 0:
            return self.const(1)
        return a if exponent == 1 else self.node("power", a, exponent)

    def maximum(self, a: Node, b: Node) -> Node:
        left, right = self.constant(a), self.constant(b)
        if left is not None and right is not None:
            return self.const(max(left, right))
        return a if a == b else self.node("max", *sorted((a, b)))


def _depends(key: Key, depends: list[int]) -> int:
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
            return depends[int(key[1])]
        case _:
            combined = 0
            for operand in key[1:]:
                combined |= depends[int(operand)]
            return combined
