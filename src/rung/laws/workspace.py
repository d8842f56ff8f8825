"""A tape with its buffers over a table: values and derivatives at many coefficient vectors at once.

Shapes: `L` lanes (coefficient vectors evaluated together), `n` rows of data, `K` unconstrained parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.laws.derivatives import DenseDerivatives, Derivatives, GroupedDerivatives, Levels
from rung.laws.graph import COEFFICIENT, DATA
from rung.laws.tape import _UFUNCS, ELEMENTS_PER_PASS, Index, Instruction, Tape

_Call = tuple[Callable[..., Any], tuple[Any, ...], Any]
"""A function of NumPy, its operands and where it writes."""


@dataclass(slots=True)
class Workspace:
    """Buffers of one tape over one table, and its evaluation.

    Args:
        tape: The compiled law.
        columns: Values of each variable (n,).
        groups: For each grouping column, the level of each row (n,).
        rows: Number of rows n.
        lanes: Most coefficient vectors evaluated together.
    """

    tape: Tape
    columns: Mapping[str, Array]
    groups: Mapping[str, Index]
    rows: int
    lanes: int
    _unconstrained: Array = field(init=False)
    _jacobian: Array = field(init=False)
    _fixed: dict[int, Any] = field(init=False)
    _scalars: dict[int, Array] = field(init=False)
    _slots: list[Array] = field(init=False)
    _slot_of: dict[int, int] = field(init=False)
    _live: list[Instruction] = field(init=False)
    _bound: dict[int, Any] = field(init=False, default_factory=dict)
    _derivatives: dict[int, Derivatives] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        tape = self.tape
        self._unconstrained = np.empty((self.lanes, tape.size))
        self._jacobian = np.zeros((tape.size, self.lanes, self.rows))
        self._fixed = dict(tape.constants)
        for value, source in tape.sources.items():
            if source[0] == "data":
                self._fixed[value] = self.columns[str(source[1])][None, :]
            elif source[0] == "logdata":
                self._fixed[value] = np.log(self.columns[str(source[1])])[None, :]
        needed = self._needed()
        self._scalars = {}
        self._live = []
        with np.errstate(all="ignore"):
            for instruction in tape.instructions:
                if instruction.out not in needed:
                    continue
                if tape.depends[instruction.out] & COEFFICIENT:
                    self._live.append(instruction)
                    if tape.depends[instruction.out] == COEFFICIENT:
                        self._scalars[instruction.out] = np.empty((self.lanes, 1))
                else:
                    operands = [self._fixed[operand] for operand in instruction.operands]
                    self._fixed[instruction.out] = np.asarray(_UFUNCS[instruction.operation](*operands), dtype=float)
        self._assign_slots()

    def _needed(self) -> set[int]:
        needed = {self.tape.root, *(value for value, _ in self.tape.jacobian)}
        for instruction in reversed(self.tape.instructions):
            if instruction.out in needed:
                needed.update(instruction.operands)
        return needed

    def _assign_slots(self) -> None:
        """Give each (L, n) value a buffer; derivatives are written straight into the Jacobian."""
        self._slot_of = {}
        direct: dict[int, int] = {}
        for index, (value, level) in enumerate(self.tape.jacobian):
            written = self.tape.depends[value] == COEFFICIENT | DATA and value not in self.tape.sources
            if level is None and written and value not in direct and value != self.tape.root:
                direct[value] = index
        last: dict[int, int] = {}
        for at, instruction in enumerate(self._live):
            for operand in instruction.operands:
                last[operand] = at
        for value in (self.tape.root, *(value for value, _ in self.tape.jacobian)):
            last[value] = len(self._live)
        free: list[int] = []
        count = 0
        sources = [v for v, source in self.tape.sources.items() if source[0] == "group"]
        for value in sources:
            self._slot_of[value] = count
            count += 1
        self._direct = direct
        for at, instruction in enumerate(self._live):
            out = instruction.out
            if self.tape.depends[out] == COEFFICIENT | DATA and out not in direct:
                if not free:
                    free.append(count)
                    count += 1
                self._slot_of[out] = free.pop()
            # An operand's buffer is free once this instruction has read it.
            free.extend(
                self._slot_of[operand]
                for operand in set(instruction.operands)
                if last.get(operand) == at and operand in self._slot_of and operand not in sources
            )
        self._slots = [np.empty((self.lanes, self.rows)) for _ in range(count)]

    _direct: dict[int, int] = field(init=False)

    def _array(self, value: int, lanes: int) -> Any:
        if value in self._fixed:
            return self._fixed[value]
        source = self.tape.sources.get(value)
        if source is not None and source[0] == "coef":
            index = int(source[1])
            return self._unconstrained[:lanes, index : index + 1]
        if value in self._scalars:
            return self._scalars[value][:lanes]
        if value in self._direct:
            return self._jacobian[self._direct[value], :lanes]
        return self._slots[self._slot_of[value]][:lanes]

    def _bind(self, lanes: int) -> tuple[list[_Call], list[_Call]]:
        """What to call for the values, and then for the rows of the Jacobian of each level."""
        calls: list[_Call] = []
        of_levels: list[_Call] = []
        for value, source in self.tape.sources.items():
            if source[0] == "group":
                codes = self.groups[str(source[2])] + int(source[1])
                calls.append((_gather, (self._unconstrained[:lanes], codes), self._array(value, lanes)))
        for instruction in self._live:
            operands = tuple(self._array(operand, lanes) for operand in instruction.operands)
            calls.append((_UFUNCS[instruction.operation], operands, self._array(instruction.out, lanes)))
        for index, (value, level) in enumerate(self.tape.jacobian):
            out = self._jacobian[index, :lanes]
            if level is not None:
                mask = (self.groups[level[0]] == level[1]).astype(np.float64)[None, :]
                of_levels.append((np.multiply, (self._array(value, lanes), mask), out))
            elif self._direct.get(value) != index:
                calls.append((np.positive, (np.asarray(self._array(value, lanes), dtype=float),), out))
        return calls, of_levels

    def _run(self, unconstrained_LK: Array, *, levels: bool) -> Array:
        """Compute the values, and those of the levels; the prediction (L, n)."""
        lanes = len(unconstrained_LK)
        bound = self._bound.get(lanes)
        if bound is None:
            bound = self._bound[lanes] = self._bind(lanes)
        self._unconstrained[:lanes] = unconstrained_LK
        for part in bound[: 1 + levels]:
            for function, operands, out in part:
                function(*operands, out=out)
        return np.broadcast_to(self._array(self.tape.root, lanes), (lanes, self.rows))

    def evaluate(self, unconstrained_LK: Array) -> tuple[Array, Array]:
        """Prediction (L, n) and derivatives by the unconstrained parameters (K, L, n).

        Both are views that the next call overwrites.
        """
        return self._run(unconstrained_LK, levels=True), self._jacobian[:, : len(unconstrained_LK)]

    def linearise(self, unconstrained_LK: Array) -> tuple[Array, Derivatives]:
        """Prediction (L, n) and derivatives, those of levels without their zeros; the next call overwrites both."""
        lanes = len(unconstrained_LK)
        prediction = self._run(unconstrained_LK, levels=False)
        found = self._derivatives.get(lanes)
        if found is None:
            found = self._derivatives[lanes] = self._derivatives_of(lanes)
        return prediction, found

    @property
    def levels(self) -> NDArray[np.intp] | None:
        """The parameters of each level (M, g) of the group with the most; None without groups."""
        by_group: dict[str, list[int]] = {}
        for index, (_, level) in enumerate(self.tape.jacobian):
            if level is not None:
                by_group.setdefault(level[0], []).append(index)
        if not by_group:
            return None
        group = max(by_group, key=lambda name: len(by_group[name]))
        count = 1 + max(level[1] for _, level in self.tape.jacobian if level and level[0] == group)
        return np.array(by_group[group], dtype=np.intp).reshape(-1, count).T

    def _derivatives_of(self, lanes: int) -> Derivatives:
        jacobian = self.tape.jacobian
        shared = np.array([index for index, (_, level) in enumerate(jacobian) if level is None], dtype=np.intp)
        if len(shared) == len(jacobian):
            return DenseDerivatives(self._jacobian[:, :lanes])
        levels = []
        for index, (value, level) in enumerate(jacobian):
            if level is not None and level[1] == 0:
                group = level[0]
                ends = (at for at in range(index + 1, len(jacobian)) if (jacobian[at][1] or ("", 0))[1] == 0)
                width = next(ends, len(jacobian)) - index
                values = np.broadcast_to(np.asarray(self._array(value, lanes), dtype=float), (lanes, self.rows))
                levels.append(Levels(index, width, self.groups[group], values))
        return GroupedDerivatives(shared, self._jacobian[:, :lanes], tuple(levels), len(jacobian))


def _gather(unconstrained_LK: Array, index: Index, *, out: Array) -> None:
    np.take(unconstrained_LK, index, axis=1, out=out, mode="clip")


def workspace(tape: Tape, columns: Mapping[str, Array], groups: Mapping[str, Index], rows: int, jobs: int) -> Workspace:
    """A workspace with as many lanes as the cache allows and the jobs need."""
    lanes = max(1, min(jobs, ELEMENTS_PER_PASS // max(rows, 1)))
    return Workspace(tape, columns, groups, rows, lanes)
