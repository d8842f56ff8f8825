"""From graph to tape: one list of NumPy calls that computes value and derivatives for many lanes at once.

Shapes: `L` lanes (coefficient vectors evaluated together), `n` rows of data, `K` unconstrained parameters.
Constants and data-only nodes are computed once, coefficient-only nodes as (L, 1), and all others as (L, n) in
buffers that are reused as soon as their value is no longer needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rung.laws.coefficients import Coefficient
from rung.laws.graph import Graph, Node
from rung.laws.lowering import Translator
from rung.laws.tree import Expression

ELEMENTS_PER_PASS = 16384
"""Lanes times rows evaluated together: large enough to hide call overhead, small enough for the cache."""

_UFUNCS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "exp": np.exp,
    "log": np.log,
    "max": np.maximum,
    "ge": np.greater_equal,
    "power": np.power,
    "log_base": np.log,
    "times_log": np.multiply,
    "inv_base": lambda base, out=None: np.divide(base != 0, np.where(base == 0, 1.0, base), out=out),
}
"""The NumPy call of each operation; "inv_base" is 1 / base, and 0 at a base of 0."""

Index: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One call: its operation, and the value numbers of its result and operands."""

    operation: str
    out: int
    operands: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tape:
    """A law compiled for one kind of residual.

    Attributes:
        instructions: The calls in order; operands and results are value numbers.
        depends: For each value number, what it depends on.
        constants: For the value number of each constant, the constant.
        sources: For each value number that is an input, the column, coefficient or group that it reads.
        root: Value number of the prediction.
        jacobian: For each unconstrained parameter, the value number of the derivative and, for a level of a
            group, (column, level).
    """

    instructions: tuple[Instruction, ...]
    depends: tuple[int, ...]
    constants: Mapping[int, float]
    sources: Mapping[int, tuple[str | int, ...]]
    root: int
    jacobian: tuple[tuple[int, tuple[str, int] | None], ...]

    @property
    def size(self) -> int:
        """K, the number of unconstrained parameters."""
        return len(self.jacobian)


def compile_tape(
    tree: Expression,
    coefficients: Sequence[Coefficient],
    *,
    positive: Mapping[str, bool],
    levels: Mapping[str, int],
    residual: str,
) -> Tape:
    """Compile a formula.

    Args:
        tree: The formula.
        coefficients: Its coefficients; fixed ones become constants.
        positive: For each variable, whether all its values are positive.
        levels: For each grouping column, how many levels it has.
        residual: "log", "plain" or "logit": the scale of the residual, on which the prediction is computed.
    """
    graph = Graph()
    free = [c for c in coefficients if c.fixed is None]
    indices: dict[str, int] = {}
    size = 0
    for coefficient in free:
        indices[coefficient.name] = size
        size += levels[coefficient.group] if coefficient.group else 1
    translator = Translator(graph, positive, {c.name: c for c in coefficients}, indices)
    root = {"log": translator.log, "plain": translator.value, "logit": translator.logit}[residual](tree)
    scalar_jacobian, group_jacobian = _jacobian(graph, root, free, indices)
    lowering = _Lowering(graph)
    prediction = lowering.value(root)
    jacobian: list[tuple[int, tuple[str, int] | None]] = []
    for coefficient in free:
        if coefficient.group:
            derivative = lowering.value(group_jacobian[coefficient.name])
            jacobian += [(derivative, (coefficient.group, level)) for level in range(levels[coefficient.group])]
        else:
            jacobian.append((lowering.value(scalar_jacobian[coefficient.name]), None))
    return Tape(
        instructions=tuple(lowering.instructions),
        depends=tuple(lowering.depends),
        constants=lowering.constants,
        sources=lowering.sources,
        root=prediction,
        jacobian=tuple(jacobian),
    )


def _jacobian(
    graph: Graph, root: Node, free: Sequence[Coefficient], indices: Mapping[str, int]
) -> tuple[dict[str, Node], dict[str, Node]]:
    """Derivatives of the root by each free coefficient's unconstrained parameter; those of groups separately.

    d root / d u = sum over the frontier of (d root / d v) (d v / d u). The pass over rows stops at the coefficient-only
    nodes v of the frontier; from there the chain rule runs on scalars.
    """
    scalars = {c.name: graph.node("coef", indices[c.name]) for c in free if not c.group}
    groups = {c.name: graph.node("group", indices[c.name], c.group) for c in free if c.group}
    frontier = graph.frontier(root)
    by_node = graph.derivatives(root, [*frontier, *groups.values()])
    result = dict.fromkeys(scalars, graph.const(0))
    for node, outer in zip(frontier, by_node, strict=False):
        inner = graph.derivatives(node, list(scalars.values()))
        for name, factor in zip(scalars, inner, strict=True):
            result[name] = graph.add(result[name], graph.mul(outer, factor))
    return result, dict(zip(groups, by_node[len(frontier) :], strict=True))


class _Lowering:
    """Writes the wanted nodes of a graph as instructions, operands first."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.instructions: list[Instruction] = []
        self.depends: list[int] = []
        self.constants: dict[int, float] = {}
        self.sources: dict[int, tuple[str | int, ...]] = {}
        self.values: dict[Node, int] = {}
        self.parts: dict[Node, tuple[list[int], int]] = {}

    def value(self, node: Node) -> int:
        """The value number of a node, written on first use."""
        pending = [node]
        while pending:
            current = pending[-1]
            missing = [operand for operand in self.graph.operands(current) if operand not in self.values]
            if missing:
                pending.extend(missing)
                continue
            pending.pop()
            if current not in self.values:
                self.values[current] = self._write(current)
        return self.values[node]

    def _new(self, depends: int) -> int:
        self.depends.append(depends)
        return len(self.depends) - 1

    def _emit(self, operation: str, *operands: int) -> int:
        combined = 0
        for operand in operands:
            combined |= self.depends[operand]
        out = self._new(combined)
        self.instructions.append(Instruction(operation, out, operands))
        return out

    def _write(self, node: Node) -> int:
        key = self.graph.keys[node]
        kind = str(key[0])
        operands = [self.values[operand] for operand in self.graph.operands(node)]
        if kind == "const":
            return self._constant(float(key[1]))
        if kind in {"coef", "group", "data", "logdata"}:
            out = self._new(self.graph.depends[node])
            self.sources[out] = tuple(part if isinstance(part, str) else int(part) for part in key)
            return out
        if kind == "lse":
            return self._log_sum_exp(node, operands)
        if kind == "soft":
            exponentials, inverse = self.parts[int(key[1])]
            return self._emit("mul", exponentials[int(key[2])], inverse)
        if kind == "power":
            return self._emit("power", operands[0], self._constant(float(key[2])))
        if kind == "add" and self.graph.keys[int(key[2])][0] == "neg":
            return self._emit("sub", operands[0], self.value(int(self.graph.keys[int(key[2])][1])))
        return self._emit(kind, *operands)

    def _constant(self, value: float) -> int:
        out = self._new(0)
        self.constants[out] = value
        return out

    def _log_sum_exp(self, node: Node, operands: list[int]) -> int:
        """log(sum of exp(x_i)) = m + log(sum of exp(x_i - m)) with m the largest x_i, which does not overflow."""
        top = operands[0]
        for operand in operands[1:]:
            top = self._emit("max", top, operand)
        exponentials = [self._emit("exp", self._emit("sub", operand, top)) for operand in operands]
        total = exponentials[0]
        for exponential in exponentials[1:]:
            total = self._emit("add", total, exponential)
        out = self._emit("add", self._emit("log", total), top)
        self.parts[node] = (exponentials, self._emit("div", self._constant(1.0), total))
        return out
