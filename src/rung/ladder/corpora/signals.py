"""Generated numbers: time series, sparse features, pairs of views, and images of gratings.

The default numbers of the options are assumptions, not tuned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.errors import LadderError
from rung.ladder.architectures.features.spec import Superposition
from rung.ladder.architectures.images.spec import ImageModel
from rung.ladder.architectures.series.spec import SeriesTransformer
from rung.ladder.architectures.size import Family
from rung.ladder.architectures.two_tower.spec import TwoTower
from rung.ladder.corpora.corpus import HELD_FIRST, Data, HeldOut, Items, places


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Time series of unit variance: the sum of two waves, and first-order autoregressive noise.

    In distribution the waves are sine waves; out of distribution they are sawtooth waves of shorter periods.

    Attributes:
        noise: Share of the variance that is noise.
        periods: Shortest and longest period in distribution [points].
        periods_ood: Shortest and longest period out of distribution [points].
    """

    noise: float = 0.3
    periods: tuple[float, float] = (24.0, 256.0)
    periods_ood: tuple[float, float] = (12.0, 24.0)

    def __post_init__(self) -> None:
        if not 0 < self.noise < 1:
            raise LadderError(f"series: noise = {self.noise:g} must lie between 0 and 1.")

    @property
    def data(self) -> str:
        return "series"

    def open(self, family: Family, keep: Path | None) -> Data:
        del keep
        assert isinstance(family, SeriesTransformer)
        return SeriesData(self, family)


class SeriesData:
    """Windows of context + 1 patches, and random numbers whose order decides which patches an encoder hides."""

    unique_items = None
    identity = ""

    def __init__(self, corpus: Series, family: SeriesTransformer) -> None:
        self.corpus, self.patch, self.context = corpus, family.patch, family.context

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        return self._drawn(np.random.default_rng((*key, first)), count, self.corpus.periods, saw=False)

    def _drawn(
        self, rng: np.random.Generator, count: int, periods: tuple[float, float], *, saw: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        length = (self.context + 1) * self.patch
        time = np.arange(length)
        wave = np.zeros((count, length))
        for _ in range(2):
            period = np.exp(rng.uniform(np.log(periods[0]), np.log(periods[1]), size=(count, 1)))
            turns = time / period + rng.random((count, 1))
            height = rng.uniform(0.3, 1.0, size=(count, 1))
            wave += height * (2 * (turns % 1) - 1 if saw else np.sin(2 * np.pi * turns))
        wave /= wave.std(axis=1, keepdims=True)
        correlation = rng.uniform(0.3, 0.9, size=count)
        noise = np.empty((count, length))
        shocks = rng.standard_normal((length, count))
        last = rng.standard_normal(count)
        for t in range(length):
            # x_t = r x_{t-1} + sqrt(1 - r^2) e_t has unit variance at every t.
            last = correlation * last + np.sqrt(1 - correlation**2) * shocks[t]
            noise[:, t] = last
        mixed = np.sqrt(1 - self.corpus.noise) * wave + np.sqrt(self.corpus.noise) * noise
        patches = mixed.reshape(count, self.context + 1, self.patch).astype(np.float32)
        return patches, rng.random((count, self.context)).astype(np.float32)

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        return {
            "": HeldOut(items=self.batch((0,), HELD_FIRST, count)),
            "ood": HeldOut(
                items=self._drawn(np.random.default_rng(HELD_FIRST), count, self.corpus.periods_ood, saw=True)
            ),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseFeatures:
    """Sparse features: x_i = Bernoulli(p_i) * U(0, 2), with p_i proportional to i^-(1 + skew); one is active on average.

    Source: Liu et al. 2025, arXiv:2505.10465, for p_i.

    Attributes:
        skew: Exponent of the decrease of p_i beyond that of 1 / i.
    """

    skew: float = 0.2

    @property
    def data(self) -> str:
        return "features"

    def open(self, family: Family, keep: Path | None) -> Data:
        del keep
        assert isinstance(family, Superposition)
        return SparseFeaturesData(self, family.features)


class SparseFeaturesData:
    """Vectors of features, all drawn independently (items, features)."""

    unique_items = None
    identity = ""

    def __init__(self, corpus: SparseFeatures, features: int) -> None:
        weight = np.arange(1, features + 1) ** -(1.0 + corpus.skew)
        self.probability = weight / weight.sum()

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        rng = np.random.default_rng((*key, first))
        draws = rng.random((count, len(self.probability)), dtype=np.float32)
        # Given u < p, u / p is uniform on (0, 1): one draw decides whether a feature is active, and its value.
        return (np.where(draws < self.probability, 2 * draws / self.probability, 0).astype(np.float32),)

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        return {"": HeldOut(items=self.batch((0,), HELD_FIRST, count))}


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoViews:
    """Pairs of noisy views of one hidden vector h: each view is tanh(h W) plus noise, with its own random matrix W.

    Attributes:
        hidden: Length of the hidden vector [count].
        noise: Standard deviation of the noise of each view.
        pairs: Pairs to train on; 0 for a new pair every time [count].
        seed: Seed of the views and of the pairs.
    """

    hidden: int = 16
    noise: float = 0.5
    pairs: int = 0
    seed: int = 0

    @property
    def data(self) -> str:
        return "pairs"

    def open(self, family: Family, keep: Path | None) -> Data:
        del keep
        assert isinstance(family, TwoTower)
        return TwoViewsData(self, family.inputs)


class TwoViewsData:
    """Pairs of views, two arrays (items, inputs)."""

    def __init__(self, corpus: TwoViews, inputs: int) -> None:
        self.corpus = corpus
        rng = np.random.default_rng(corpus.seed)
        self.views = rng.standard_normal((2, corpus.hidden, inputs)) / np.sqrt(corpus.hidden)
        self._all = self._drawn(rng, corpus.pairs) if corpus.pairs else None

    identity = ""

    @property
    def unique_items(self) -> int | None:
        return self.corpus.pairs or None

    def _drawn(self, rng: np.random.Generator, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        hidden = rng.standard_normal((count, self.corpus.hidden))
        left, right = (
            (np.tanh(hidden @ view) + self.corpus.noise * rng.standard_normal((count, view.shape[1]))).astype(
                np.float32
            )
            for view in self.views
        )
        return left, right

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        if self._all is None:
            return self._drawn(np.random.default_rng((*key, first)), count)
        which = places(key, first, count, len(self._all[0]))
        return self._all[0][which], self._all[1][which]

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        return {"": HeldOut(items=self._drawn(np.random.default_rng((self.corpus.seed, HELD_FIRST)), count))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gratings:
    """Noisy images of gratings, a pattern of stripes; the class is the direction of the stripes.

    Attributes:
        noise: Standard deviation of the noise, over that of the stripes.
    """

    noise: float = 2.0

    @property
    def data(self) -> str:
        return "images"

    def open(self, family: Family, keep: Path | None) -> Data:
        del keep
        assert isinstance(family, ImageModel)
        return GratingsData(self, family)


class GratingsData:
    """Images (items, channels, pixels, pixels) and classes (items,)."""

    unique_items = None
    identity = ""

    def __init__(self, corpus: Gratings, family: ImageModel) -> None:
        self.noise, self.classes = corpus.noise, family.classes
        self.shape = (family.channels, family.image, family.image)

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        rng = np.random.default_rng((*key, first))
        label = rng.integers(self.classes, size=count)
        angle = np.pi * label / self.classes
        period = rng.uniform(4.0, 10.0, size=count)
        across = np.arange(self.shape[1])
        along = (
            np.cos(angle)[:, None, None] * across[None, :, None] + np.sin(angle)[:, None, None] * across[None, None, :]
        )
        stripes = np.sin(2 * np.pi * (along / period[:, None, None] + rng.random((count, 1, 1)))) * np.sqrt(2)
        image = stripes[:, None] + self.noise * rng.standard_normal((count, *self.shape))
        return image.astype(np.float32), label.astype(np.int32)

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        return {"": HeldOut(items=self.batch((0,), HELD_FIRST, count))}
