"""Where the solver starts: coefficients drawn so that every term of a law matters.

A share-balanced start walks top down through the formula. It draws the exponents, shares the target among the terms of
each sum, and solves each multiplicative coefficient from its term's share. For y = E + A / N^alpha at a reference row:

    alpha ~ log-uniform(0.05, 1.2),  (s_1, s_2) ~ Dirichlet(1, 1),  E = s_1 y,  A = s_2 y N^alpha

The same walk serves every law, in any units.

Where a law is linear in some coefficients c, y = b(theta) + B(theta) c, variable projection draws the other
coefficients theta and solves c by least squares for each draw. This is exact only for squares, so its best points are
starts, not answers.

Shapes: `M` candidates, `n` rows, `P` linear coefficients.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate.design import Design
from rung.laws import Binary, Call, Coefficient, Expression, Law, Name, Negative, Number, evaluate, names, signed_terms

_EXPONENTS = (0.05, 1.2)
"""Range of drawn exponents, log-uniform."""

_MAX_LINEAR = 4
"""Most linear coefficients that variable projection solves for: it tries every subset of them."""

_PROJECTION_ROWS = 256
"""Most rows on which variable projection solves its least squares."""


def balanced_starts(law: Law, design: Design, count: int, rng: np.random.Generator) -> Array:
    """Share-balanced starts as unconstrained parameters (count, K)."""
    rows = rng.integers(design.rows, size=count)
    columns = {name: column[rows] for name, column in design.columns.items()}
    target = design.target[rows].copy()
    # Every other start takes the middle of the table as its reference row: a single outlier hardly changes it.
    middle = np.arange(count) % 2 == 0
    for name, column in design.columns.items():
        columns[name][middle] = _middle(column)
    target[middle] = np.mean(design.target)
    draw = _Draw(law=law, values=columns, count=count, rng=rng)
    draw.assign(law.computed, target)
    return _unconstrained_starts(law, design, draw.values)


def projected_starts(law: Law, design: Design, count: int, candidates: int, rng: np.random.Generator) -> Array:
    """Starts by variable projection, best first (at most count, K); none where the law has no linear part.

    For each draw of theta: minimise over c >= 0 the sum of ((y - b(theta) - B(theta) c) / y)^2 over rows. To first
    order, these relative residuals equal those of the logarithm.

    Source: Golub and Pereyra 1973.
    """
    linear = [c for c in law.free if c.name in law.linear and c.group is None]
    linear = [c for c in linear if c.low >= 0][:_MAX_LINEAR]
    if not linear or len(linear) == len(law.free):
        candidates = 1 if linear else 0
    if candidates == 0 or np.any(design.target == 0):
        return np.empty((0, design.size))
    rows = rng.permutation(design.rows)[:_PROJECTION_ROWS]
    columns = {name: column[rows] for name, column in design.columns.items()}
    target = design.target[rows]
    drawn = _Draw(
        law=law,
        values={name: np.full(candidates, _middle(column)) for name, column in design.columns.items()},
        count=candidates,
        rng=rng,
    )
    drawn.assign(law.computed, np.full(candidates, np.mean(design.target)))
    nonlinear = {c.name: drawn.values[c.name][:, None] for c in law.free}
    zero = {c.name: np.zeros((candidates, 1)) for c in linear}
    base = _broadcast(law.value({**nonlinear, **zero}, columns), candidates, len(rows))
    basis = [
        _broadcast(
            law.value({**nonlinear, **zero, c.name: np.ones((candidates, 1))}, columns) - base,
            candidates,
            len(rows),
        )
        for c in linear
    ]
    basis_MPn = np.stack(basis, axis=1) / target
    solution_MP, error_M = _non_negative(basis_MPn, (target - base) / target)
    order = np.argsort(error_M)[:count]
    order = order[np.isfinite(error_M[order])]
    values = {name: value[order] for name, value in drawn.values.items()}
    for index, coefficient in enumerate(linear):
        # Zero is the bound of the range, which the solver cannot leave: a small share of the target instead.
        lowest = (
            1e-3
            * np.mean(np.abs(target))
            / np.maximum(np.mean(np.abs(basis_MPn[order, index] * target), axis=1), 1e-300)
        )
        values[coefficient.name] = np.maximum(solution_MP[order, index], lowest)
    return _unconstrained_starts(law, design, values)


def _broadcast(value: Array, candidates: int, rows: int) -> Array:
    return np.broadcast_to(value, (candidates, rows))


def _non_negative(basis_MPn: Array, target_Mn: Array) -> tuple[Array, Array]:
    """Non-negative least squares: the best feasible solution over all sets of active columns.

    For an active set with Gram matrix G = B'B and right side h = B'y: c = G^-1 h, error = y'y - c'h. Columns are scaled
    to unit length first.

    Returns:
        Coefficients (M, P), and sums of squares (M,); inf where no set is feasible.
    """
    candidates, size, _ = basis_MPn.shape
    scale = np.sqrt(np.einsum("mpn,mpn->mp", basis_MPn, basis_MPn))
    with np.errstate(all="ignore"):
        unit = basis_MPn / scale[:, :, None]
        gram = unit @ unit.transpose(0, 2, 1)
        right = np.einsum("mpn,mn->mp", unit, target_Mn)
    total = np.einsum("mn,mn->m", target_Mn, target_Mn)
    best = np.full(candidates, np.inf)
    solution = np.zeros((candidates, size))
    usable = np.isfinite(gram).all(axis=(1, 2)) & np.isfinite(right).all(axis=1)
    gram[~usable] = np.eye(size)
    for active in itertools.chain.from_iterable(itertools.combinations(range(size), k) for k in range(1, size + 1)):
        inner = gram[np.ix_(range(candidates), active, active)] + 1e-12 * np.eye(len(active))
        part = np.linalg.solve(inner, right[:, active, None])[:, :, 0]
        error = total - np.einsum("mp,mp->m", part, right[:, active])
        better = usable & (part >= 0).all(axis=1) & (error < best)
        best = np.where(better, error, best)
        full = np.zeros((candidates, size))
        full[:, active] = part
        solution = np.where(better[:, None], full, solution)
    with np.errstate(all="ignore"):
        return np.nan_to_num(solution / scale, nan=0.0), best


def _middle(column: Array) -> float:
    if np.all(column > 0):
        return float(np.exp(np.mean(np.log(column))))
    return float(np.median(column))


def _unconstrained_starts(law: Law, design: Design, values: Mapping[str, Array]) -> Array:
    unconstrained = [
        coefficient.to_unconstrained(_inside(coefficient, values[coefficient.name]))
        for coefficient in design.parameters(law)
    ]
    return np.clip(np.nan_to_num(np.stack(unconstrained, axis=1)), -300, 300)


def _inside(coefficient: Coefficient, value: Array) -> Array:
    """The value, moved into the coefficient's open range where it lies outside."""
    low, high = coefficient.low, coefficient.high
    if np.isfinite(low) and np.isfinite(high):
        edge = 0.01 * (high - low)
        return np.clip(value, low + edge, high - edge)
    if np.isfinite(low):
        return np.where(value > low, value, low + np.maximum(np.abs(value), 1e-6))
    if np.isfinite(high):
        return np.where(value < high, value, high - np.maximum(np.abs(value), 1e-6))
    return value


@dataclass(slots=True)
class _Draw:
    """One walk through a formula that sets the coefficients of many starts at once.

    `values` holds the variables at each start's reference row (count,), and the coefficients as they are set.
    """

    law: Law
    values: dict[str, Array]
    count: int
    rng: np.random.Generator
    free: dict[str, Coefficient] = field(init=False)

    def __post_init__(self) -> None:
        self.free = {c.name: c for c in self.law.free}
        for coefficient in self.law.coefficients:
            if coefficient.fixed is not None:
                self.values[coefficient.name] = np.full(self.count, coefficient.fixed)

    def unknown(self, node: Expression) -> bool:
        return any(name.name in self.free and name.name not in self.values for name in names(node))

    def value(self, node: Expression) -> Array:
        return np.broadcast_to(evaluate(node, self.values), (self.count,))

    def set(self, name: str, value: Array) -> None:
        usable = np.where(np.isfinite(value), value, self.rng.lognormal(size=self.count))
        self.values[name] = _inside(self.free[name], usable)

    def exponent(self) -> Array:
        low, high = np.log(_EXPONENTS)
        return np.exp(self.rng.uniform(low, high, self.count))

    def assign(self, node: Expression, target: Array) -> None:
        """Set the unknown coefficients below a node of the formula so that its value is near the target."""
        if not self.unknown(node):
            return
        with np.errstate(all="ignore"):
            match node:
                case Name(name, _):
                    self.set(name, target)
                case Negative(operand):
                    self.assign(operand, -target)
                case Binary("+" | "-", _, _):
                    self._sum(node, target)
                case Binary("*" | "/", _, _):
                    self._product(node, target)
                case Binary(_, base, power):
                    self._power(base, power, target)
                case Call(function, arguments):
                    self._call(function, arguments, target)

    def _power(self, base: Expression, power: Expression, target: Array) -> None:
        if self.unknown(power):
            inner = power.operand if isinstance(power, Negative) else power
            self.assign(inner, self.exponent())
        if self.unknown(base):
            self.assign(base, np.abs(target) ** (1 / self.value(power)))

    def _call(self, function: str, arguments: tuple[Expression, ...], target: Array) -> None:
        known = [argument for argument in arguments if not self.unknown(argument)]
        saturated = all(isinstance(argument, Name) for argument in arguments if self.unknown(argument))
        if function in {"min", "max"} and known and saturated:
            # The kink lies where the arguments are equal. Put it at the reference row, or near it.
            target = self.value(known[0])
        match function:
            case "log":
                inverse = np.exp(np.clip(target, -300, 300))
            case "exp":
                inverse = np.log(np.abs(target))
            case "sqrt":
                inverse = target**2
            case "sigmoid":
                share = np.clip(target, 0.02, 0.98)
                inverse = np.log(share / (1 - share))
            case "softplus":
                inverse = np.log(np.expm1(np.clip(np.abs(target), 1e-6, 300)))
            case _:
                inverse = target
        for argument in arguments:
            self.assign(argument, inverse)

    def _sum(self, node: Expression, target: Array) -> None:
        terms = signed_terms(node)
        unknown = [(sign, term) for sign, term in terms if self.unknown(term)]
        known = sum((sign * self.value(term) for sign, term in terms if not self.unknown(term)), np.zeros(self.count))
        if len(terms) > len(unknown) and np.all(np.isfinite(known)):
            # Next to a constant, as in 1 + (x / d)^p, the other terms reach its size at the reference row.
            remainder = target - known
            scale = np.abs(known) * self.rng.lognormal(0.0, 0.5, self.count)
            remainder = np.where(remainder * np.sign(target) > 0.02 * np.abs(target), remainder, scale)
        else:
            remainder = target
        shares = self.rng.dirichlet(np.ones(len(unknown)), self.count).T
        positive = [index for index, (sign, _) in enumerate(unknown) if sign > 0]
        for index, (sign, term) in enumerate(unknown):
            if len(positive) in {0, len(unknown)}:
                self.assign(term, sign * remainder * shares[index])
            else:
                # A difference: the subtracted terms are shares of the target, and the added ones make up for them.
                subtracted = np.abs(remainder) * shares[index]
                total = np.abs(remainder) * sum(shares[p] for p in range(len(unknown)) if p not in positive)
                self.assign(term, subtracted if sign < 0 else (remainder + total) / len(positive))

    def _product(self, node: Expression, target: Array) -> None:
        factors = list(_factors(node, 1.0))
        unknown = [(power, factor) for power, factor in factors if self.unknown(factor)]
        saturated = [item for item in unknown if isinstance(item[1], Name)]
        composite = [item for item in unknown if not isinstance(item[1], Name)]
        if saturated:
            last = saturated[-1]
        else:
            # The last factor with a multiplicative coefficient of its own takes what remains of the target.
            scaled = [item for item in composite if not _only_exponents(item[1], self)]
            last = (scaled or composite)[-1]
        for item in [*composite, *saturated]:
            if item is not last:
                self.assign(item[1], self._neutral(item[1]))
        remainder = target.copy()
        for power, factor in factors:
            if factor is not last[1]:
                value = self.value(factor)
                remainder = remainder / value if power > 0 else remainder * value
        self.assign(last[1], remainder if last[0] > 0 else 1 / remainder)

    def _neutral(self, factor: Expression) -> Array:
        """A typical target for a factor that is not solved from the product's target."""
        if isinstance(factor, Name):
            return self.exponent()
        if isinstance(factor, Binary) and factor.operator == "^" and isinstance(factor.left, Binary):
            if self.unknown(factor.right):
                inner = factor.right.operand if isinstance(factor.right, Negative) else factor.right
                self.assign(inner, self.exponent())
            return np.asarray(self._twice_known(factor.left) ** self.value(factor.right))
        return self._twice_known(factor) / 2.0 * self.rng.lognormal(size=self.count)

    def _twice_known(self, node: Expression) -> Array:
        """About twice what a sum holds already, in whatever unit that is; 2 where it holds nothing.

        In (1 + x / d)^p the break then lies at the reference row, and in (1 / x + g)^p so does what g adds.
        """
        known = [
            sign * self.value(term)
            for sign, term in (signed_terms(node) if isinstance(node, Binary) else [])
            if not self.unknown(term)
        ]
        size = np.abs(sum(known, np.zeros(self.count)))
        if not known or not np.all(np.isfinite(size) & (size > 0)):
            return np.full(self.count, 2.0)
        return np.asarray(2.0 * size)


def _only_exponents(node: Expression, draw: _Draw) -> bool:
    """Whether the unknown coefficients of a factor appear only in exponents."""
    match node:
        case Binary("^", base, _):
            return not draw.unknown(base)
        case Binary(_, left, right):
            return _only_exponents(left, draw) and _only_exponents(right, draw)
        case Negative(operand):
            return _only_exponents(operand, draw)
        case Name() | Number() | Call():
            return not draw.unknown(node)


def _factors(node: Expression, power: float) -> list[tuple[float, Expression]]:
    if isinstance(node, Negative):
        return [(power, Negative(Number(1.0))), *_factors(node.operand, power)]
    if isinstance(node, Binary) and node.operator in "*/":
        return _factors(node.left, power) + _factors(node.right, power if node.operator == "*" else -power)
    return [(power, node)]
