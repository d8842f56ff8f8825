"""How alike relatives are: cosine of the words of their cards, or the overlap of their traits, over sampled pairs.

    card     cosine of tf-idf over the 512 commonest words and pairs of words of the sampled cards (512 characters of each)
    traits   |a & b| / |a | b| over the values of the traits that both state (Jaccard); pairs without one are left out

Pairs: random models, parent and child (by relation too), siblings (drawn so that each pair of siblings is equally likely), and
grandparent and grandchild; each pair once. Pairs share models, so intervals resample the first model of each pair (of siblings their parent)
with all its pairs.

Source: arXiv:2508.06811, section 4.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rung.arrays import Array, Indices
from rung.skill.lineage.table import Lineage

_WORDS = 512
_CUT = 512
_FEWEST = 20
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """How alike pairs of one kind are.

    Attributes:
        pairs: The kind of pair.
        measure: "card" or "traits".
        count: How many pairs.
        mean: Their mean likeness.
        low: Lower bound of its interval.
        high: Upper bound.
    """

    pairs: str
    measure: str
    count: int
    mean: float
    low: float
    high: float


def likeness(found: Lineage, *, sample: int, level: float, rng: np.random.Generator) -> list[Alike]:
    """How alike relatives are, by every measure that the table allows."""
    kinds, groups = _once(_pairs(found, sample, rng), found)
    rows = []
    for measure in ("card", "traits"):
        if (measure == "card" and found.card is None) or (measure == "traits" and not found.traits):
            continue
        scores = _cards(found, kinds) if measure == "card" else _traits(found, kinds)
        for name, values in scores.items():
            finite = np.isfinite(values)
            known, first = values[finite], groups[name][finite]
            if len(known) < _FEWEST:
                continue
            low, high = _interval(known, first, level, rng)
            rows.append(Alike(pairs=name, measure=measure, count=len(known), mean=float(known.mean()), low=float(low), high=float(high)))  # fmt: skip
    return rows


def _pairs(found: Lineage, sample: int, rng: np.random.Generator) -> dict[str, tuple[Indices, Indices]]:
    """Sampled pairs of models of each kind."""
    count, edges = len(found.models), len(found.child)
    one, other = rng.integers(count, size=(2, sample))
    kinds = {"random": (one[one != other], other[one != other])}
    rows = rng.integers(edges, size=min(sample, edges)) if edges > sample else np.arange(edges)
    kinds["parent and child"] = (found.parent[rows], found.child[rows])
    relations = found.relation.to_numpy()
    for name in dict.fromkeys(relations.tolist()):
        own = np.flatnonzero(relations == name)
        if len(set(relations.tolist())) > 1:
            picked = own[rng.integers(len(own), size=min(sample, len(own)))] if len(own) > sample else own
            kinds[f"parent and child, {name}"] = (found.parent[picked], found.child[picked])
    kinds["siblings"] = _siblings(found, sample, rng)
    # An edge above the parent of an edge makes a grandparent.
    above = np.full(count, -1, dtype=np.intp)
    above[found.child] = found.parent
    grand = above[found.parent]
    there = np.flatnonzero(grand >= 0)
    picked = there[rng.integers(len(there), size=sample)] if len(there) > sample else there
    kinds["grandparent and grandchild"] = (grand[picked], found.child[picked])
    return kinds


def _once(
    kinds: dict[str, tuple[Indices, Indices]], found: Lineage
) -> tuple[dict[str, tuple[Indices, Indices]], dict[str, Indices]]:
    """Each pair once, and the model that the pairs of a kind are grouped by."""
    above = np.full(len(found.models), -1, dtype=np.intp)
    above[found.child] = found.parent
    pairs, groups = {}, {}
    for name, (one, other) in kinds.items():
        ordered = (
            np.stack([np.minimum(one, other), np.maximum(one, other)])
            if name in {"random", "siblings"}
            else np.stack([one, other])
        )
        _, first = np.unique(ordered, axis=1, return_index=True) if ordered.size else (None, np.empty(0, dtype=np.intp))
        pairs[name] = (one[first], other[first])
        groups[name] = above[one[first]] if name == "siblings" else one[first]
    return pairs, groups


def _interval(values: Array, groups: Indices, level: float, rng: np.random.Generator) -> tuple[float, float]:
    """The interval of a mean over pairs, by resamples of groups; of a single group nothing is known."""
    _, number = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(number, values), np.bincount(number)
    if len(sums) < 2:
        return float("-inf"), float("inf")
    drawn = np.empty(_RESAMPLES)
    for index in range(_RESAMPLES):
        picks = rng.integers(len(sums), size=len(sums))
        drawn[index] = sums[picks].sum() / sizes[picks].sum()
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _siblings(found: Lineage, sample: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Pairs of children of one parent, each pair equally likely: parents are drawn by their number of pairs."""
    order = np.argsort(found.parent, kind="stable")
    parents, first, counts = np.unique(found.parent[order], return_index=True, return_counts=True)
    weight = counts * (counts - 1) / 2
    if not weight.any():
        empty = np.empty(0, dtype=np.intp)
        return empty, empty
    drawn = rng.choice(len(parents), size=sample, p=weight / weight.sum())
    one = (rng.random(sample) * counts[drawn]).astype(np.intp)
    other = (rng.random(sample) * (counts[drawn] - 1)).astype(np.intp)
    other += other >= one
    children = found.child[order]
    return children[first[drawn] + one], children[first[drawn] + other]


def _traits(found: Lineage, kinds: dict[str, tuple[Indices, Indices]]) -> dict[str, Array]:
    rows = np.unique(np.concatenate([np.concatenate(pair) for pair in kinds.values()]))
    at = {int(row): number for number, row in enumerate(rows)}
    stated = [found.values_of(trait, rows) for trait in found.traits]

    def jaccard(a: int, b: int) -> float:
        # A trait that one of both does not state is unknown, and not unlike.
        both = [(of[at[a]], of[at[b]]) for of in stated if of[at[a]] and of[at[b]]]
        total = sum(len(one | other) for one, other in both)
        return sum(len(one & other) for one, other in both) / total if total else float("nan")

    return {
        name: np.array([jaccard(int(a), int(b)) for a, b in zip(*pair, strict=True)], dtype=float)
        for name, pair in kinds.items()
    }


def _cards(found: Lineage, kinds: dict[str, tuple[Indices, Indices]]) -> dict[str, Array]:
    rows = np.unique(np.concatenate([np.concatenate(pair) for pair in kinds.values()]))
    texts = [str(one or "")[:_CUT].lower() for one in found.frame[str(found.card)].gather(rows).to_list()]
    matrix = tf_idf(texts)
    at = {int(row): number for number, row in enumerate(rows)}
    known = np.array([bool(text.strip()) for text in texts])
    scores = {}
    for name, (one, other) in kinds.items():
        a, b = (np.array([at[int(row)] for row in side], dtype=np.intp) for side in (one, other))
        cosine = (matrix[a] * matrix[b]).sum(axis=1) if len(a) else np.empty(0)
        scores[name] = np.where(known[a] & known[b], cosine, np.nan) if len(a) else cosine
    return scores


def tf_idf(texts: Sequence[str]) -> Array:
    """Unit vectors of tf-idf over the commonest words and pairs of words (texts, words)."""
    counts = []
    for text in texts:
        words = re.findall(r"[^\W_]{2,}", text)
        counts.append(Counter([*words, *(f"{a} {b}" for a, b in pairwise(words))]))
    documents: Counter[str] = Counter()
    for one in counts:
        documents.update(one.keys())
    # Ties in the count are broken by the word, so that the order of models changes nothing.
    chosen = sorted(documents, key=lambda word: (-documents[word], word))[:_WORDS]
    column = {word: number for number, word in enumerate(chosen)}
    matrix = np.zeros((len(texts), len(chosen)), dtype=np.float32)
    for row, one in enumerate(counts):
        for word, count in one.items():
            if word in column:
                matrix[row, column[word]] = count
    weight = np.log((1 + len(texts)) / (1 + np.array([documents[word] for word in chosen]))) + 1
    matrix *= weight.astype(np.float32)
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(length > 0, length, 1), dtype=float)
