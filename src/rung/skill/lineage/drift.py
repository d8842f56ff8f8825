"""Where traits drift from parent to child: transitions, their direction, and an order of the values.

A child that keeps its parent's values of a trait makes no transition. Otherwise each value that the parent has and the child lacks
goes over to each value that the child has and the parent lacks:

    mutation rate   share of edges, of those where both state the trait, whose values differ
    net flow        transitions a -> b less b -> a, d_p of each parent p: t = sum d_p / sqrt(sum d_p^2), with (sum d_p^2)^2 / sum d_p^4
                    degrees of freedom, adjusted by Benjamini and Hochberg over all pairs of values
    order           the order of values that agrees with the most transitions (linear ordering, by insertion until nothing gains)

All children of one parent start from its values, so parents are what is counted: edges taken one by one call a famous parent a drift.

Source: arXiv:2508.06811, section 5.
Differs: the test is over parents; the order is found by local search from several starts in place of an integer program.

Shapes: `v` values.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array, Indices
from rung.skill.lineage.table import Lineage
from rung.skill.proportions import benjamini_hochberg

MOST_VALUES = 20
"""Values of a trait that are ordered: the commonest in transitions."""

_STARTS = 30
_SURE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drift:
    """The drift of one trait.

    Attributes:
        trait: The trait.
        edges: Edges where parent and child both state it.
        changed: Those whose values differ.
        values: How many values parents state on average, and children, over all edges; none counts as 0.
        flows: From, to, transitions there, back, and the adjusted p-value, the surest first.
        order: The values, from those that are left to those that are gone over to.
        agreeing: The share of transitions that go along the order.
        agreeing_pairs: Pairs of values whose net flow goes along it, of all pairs with one.
    """

    trait: str
    edges: int
    changed: int
    values: tuple[float, float]
    flows: tuple[tuple[str, str, int, int, float], ...]
    order: tuple[str, ...]
    agreeing: float
    agreeing_pairs: tuple[int, int]

    @property
    def rate(self) -> float:
        """The mutation rate."""
        return self.changed / self.edges if self.edges else float("nan")

    @property
    def directed(self) -> tuple[tuple[str, str, int, int, float], ...]:
        """Flows that have a direction: an adjusted p-value below 0.05."""
        return tuple(one for one in self.flows if one[4] < _SURE)


def drift_of(found: Lineage, trait: str, seed: int = 0) -> Drift:
    """The drift of a trait over all edges."""
    parents, children = (found.values_of(trait, rows) for rows in (found.parent, found.child))
    edges = changed = 0
    transitions: Counter[tuple[str, str]] = Counter()
    by_parent: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for number, parent, child in zip(found.parent.tolist(), parents, children, strict=True):
        if not parent or not child:
            continue
        edges += 1
        if parent == child:
            continue
        changed += 1
        for one in parent - child:
            for other in child - parent:
                transitions[one, other] += 1
                pair = (one, other) if one < other else (other, one)
                by_parent[pair][number] += 1 if pair[0] == one else -1
    flows = []
    for one, other in sorted(by_parent):
        there, back = transitions[one, other], transitions[other, one]
        p_value = _net_flow(np.array(list(by_parent[one, other].values()), dtype=float))
        flows.append((one, other, there, back, p_value) if there >= back else (other, one, back, there, p_value))
    adjusted = benjamini_hochberg([flow[4] for flow in flows])
    sure = [(*flow[:4], float(q)) for flow, q in zip(flows, adjusted, strict=True)]
    order, agreeing, agreeing_pairs = _ordered(transitions, seed)
    return Drift(
        trait=trait,
        edges=edges,
        changed=changed,
        values=(float(np.mean([len(one) for one in parents])), float(np.mean([len(one) for one in children]))),
        flows=tuple(sorted(sure, key=lambda flow: (flow[4], -flow[2]))),
        order=order,
        agreeing=agreeing,
        agreeing_pairs=agreeing_pairs,
    )


def _net_flow(net: Array) -> float:
    """The two-sided p-value that the net flows of parents sum to nothing."""
    from scipy.stats import t

    squares = net**2
    total = float(squares.sum())
    if total == 0:
        return 1.0
    return float(2 * t.sf(abs(net.sum()) / np.sqrt(total), total**2 / float((squares**2).sum())))


def _ordered(transitions: Counter[tuple[str, str]], seed: int) -> tuple[tuple[str, ...], float, tuple[int, int]]:
    total: Counter[str] = Counter()
    for (one, other), count in transitions.items():
        total.update({one: count, other: count})
    values = [value for value, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]]
    if len(values) < 2:
        return tuple(values), float("nan"), (0, 0)
    flow_vv = np.array([[float(transitions[one, other]) for other in values] for one in values])
    rng = np.random.default_rng(seed)
    orders = [_improved(rng.permutation(len(values)), flow_vv) for _ in range(_STARTS)]
    orders.append(_improved(np.argsort(flow_vv.sum(axis=0) - flow_vv.sum(axis=1), kind="stable"), flow_vv))
    best = max(orders, key=lambda order: _along(order, flow_vv))
    net = flow_vv - flow_vv.T
    along = [(i, j) for a, i in enumerate(best) for j in best[a + 1 :] if net[i, j] != 0]
    agree = sum(net[i, j] > 0 for i, j in along)
    return tuple(values[i] for i in best), _along(best, flow_vv) / float(flow_vv.sum()), (int(agree), len(along))


def _along(order: Indices, flow_vv: Array) -> float:
    """Transitions from earlier to later values."""
    return float(np.triu(flow_vv[np.ix_(order, order)], 1).sum())


def _improved(start: Indices, flow_vv: Array) -> Indices:
    """An order from which moving any one value gains nothing."""
    order = [int(one) for one in start]
    net = flow_vv - flow_vv.T
    gained = True
    while gained:
        gained = False
        for value in order:
            at = order.index(value)
            rest = [one for one in order if one != value]
            # What standing behind the first k others gains over standing before them all.
            places = np.concatenate([[0.0], -np.cumsum([net[value, other] for other in rest])])
            best = int(np.argmax(places))
            if places[best] > places[at] + 1e-9:
                order = [*rest[:best], value, *rest[best:]]
                gained = True
    return np.array(order, dtype=np.intp)
