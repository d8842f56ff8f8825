"""Recommendations from a person's own tags and votes, and how good they are on papers held out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.reading.store import Kept

FEWEST = 4
"""Papers with a tag or a vote that recommendations need."""

_AGAINST = 0.5
"""Weight of papers that a person voted down, against one of a paper that was liked."""

_AT = 10
"""How many recommendations are scored."""

_REPEATS = 20
"""Halves that are held out, one after another."""

_WORD = re.compile(r"[a-z][a-z\-]{2,}")
_TITLE_WEIGHT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendations:
    """Papers that resemble those a person likes.

    Attributes:
        papers: The papers, the most alike first, with how alike each is (cosine).
        precision: Share of held-out liked papers among the first ten; None where too few are liked.
        chance: The same of papers drawn at random.
        liked: Papers that the person tagged or voted for.
    """

    papers: tuple[tuple[Kept, float], ...]
    precision: float | None
    chance: float | None
    liked: int


def recommend(papers: Sequence[Kept], *, tag: str = "", most: int = 10, seed: int = 0) -> Recommendations:
    """Recommend papers that are neither tagged nor voted on.

    Every paper is a vector of its words, weighted by how rare they are; liked papers are averaged, those voted down subtracted
    (Rocchio). The precision is the mean over random halves of the liked papers that are held out.

    Args:
        papers: The list.
        tag: Resemble the papers with this tag alone.
        most: How many at most.
        seed: Seed of the halves.
    """
    liked = np.array([(tag in one.tags) if tag else (one.vote > 0 or bool(one.tags)) for one in papers], dtype=bool)
    against = np.array([one.vote < 0 for one in papers], dtype=bool)
    if liked.sum() < FEWEST or liked.all():
        return Recommendations(papers=(), precision=None, chance=None, liked=int(liked.sum()))
    vectors = _vectors([f"{(one.entry.title + ' ') * _TITLE_WEIGHT}{one.entry.abstract}" for one in papers])
    scores = _scores(vectors, liked, against)
    scores[liked | against] = -np.inf
    best = [int(index) for index in np.argsort(-scores, kind="stable")[:most] if np.isfinite(scores[index])]
    precision, chance = _precision(vectors, liked, against, np.random.default_rng(seed))
    return Recommendations(
        papers=tuple((papers[index], float(scores[index])) for index in best),
        precision=precision,
        chance=chance,
        liked=int(liked.sum()),
    )


def _vectors(texts: Sequence[str]) -> Array:
    """Words by how often a text has them and how rare they are, each row of length one (papers, words)."""
    counts = [Counter(_WORD.findall(text.lower())) for text in texts]
    spread = Counter(word for one in counts for word in one)
    words = {word: at for at, word in enumerate(sorted(word for word, papers in spread.items() if papers > 1))}
    table = np.zeros((len(texts), max(len(words), 1)))
    for row, one in enumerate(counts):
        for word, times in one.items():
            if word in words:
                table[row, words[word]] = (1 + np.log(times)) * np.log(len(texts) / spread[word])
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    scaled: Array = table / np.where(lengths > 0, lengths, 1.0)
    return scaled


def _scores(vectors: Array, liked: np.ndarray, against: np.ndarray) -> Array:
    centre = vectors[liked].mean(axis=0)
    if against.any():
        centre = centre - _AGAINST * vectors[against].mean(axis=0)
    length = float(np.linalg.norm(centre))
    scores: Array = vectors @ (centre / length if length > 0 else centre)
    return scores


def _precision(vectors: Array, liked: np.ndarray, against: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The share of held-out liked papers among the first ten, and by chance."""
    places = np.flatnonzero(liked)
    found, chance = [], []
    for _ in range(_REPEATS):
        held = rng.permutation(places)[: len(places) // 2]
        known = liked.copy()
        known[held] = False
        scores = _scores(vectors, known, against)
        scores[known | against] = -np.inf
        candidates = int(np.isfinite(scores).sum())
        first = np.argsort(-scores, kind="stable")[: min(_AT, candidates)]
        found.append(np.isin(first, held).mean())
        chance.append(len(held) / candidates)
    return float(np.mean(found)), float(np.mean(chance))
