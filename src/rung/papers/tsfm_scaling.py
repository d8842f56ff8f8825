"""Yao et al. 2024, arXiv:2410.12360: encoder and decoder transformers for time series, in and out of distribution."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.ladder import Rung
from rung.ladder.architectures.series import LADDER as SERIES_LADDER
from rung.ladder.architectures.series import SeriesTransformer
from rung.papers.claims import FORM, FULL, SMALLER, Claim
from rung.papers.tables import Tables
from rung.papers.trained import rungs_of, trained
from rung.runs import Runs, read_runs
from rung.worth import compare

_ROUNDING = 0.005
"""Relative error by rounding: the authors' table gives three digits."""

_REPEATS = 100
"""Number of planted pairs of ladders."""

_SHAPES = ((8, 1), (16, 1), (24, 2), (32, 2), (64, 2))
"""Width and depth of the trained models."""

_STEPS = 1200
"""Training steps of each model."""

_FAMILIES = {"decoder": "series-decoder", "encoder": "series-encoder"}
"""The two architectures, and the family of each."""


def check(tables: Tables) -> list[Claim]:
    """The authors' sizes recounted, planted pairs of exponents distinguished, both families trained at five sizes."""
    del tables
    return [*_counts(), *_planted(), *_families()]


def _counts() -> list[Claim]:
    found = {
        name: SeriesTransformer(causal=name == "1B decoder").count_params(size).non_embedding
        for name, (size, _) in SERIES_LADDER.items()
    }
    off = {name: found[name] / published - 1 for name, (_, published) in SERIES_LADDER.items()}
    slips = [name for name, share in off.items() if abs(share) > 0.05]
    return [
        Claim(
            what="the parameter counts of the authors' twelve configurations in closed form are those of their table",
            published=", ".join(f"{published:,}" for _, published in SERIES_LADDER.values()),
            measured=", ".join(f"{count:,}" for count in found.values()),
            scale=FULL,
            held=all(abs(share) <= _ROUNDING for name, share in off.items() if name not in slips),
        ),
        Claim(
            what="except for two: there the table that the laws were fitted to differs from the models that were built",
            published="10K twice as large, the decoder of 1B 11 % smaller",
            measured=", ".join(f"{name} {100 * off[name]:+.0f} %" for name in slips),
            scale=FULL,
            held=slips == ["10K", "1B decoder"],
        ),
    ]


def _planted() -> list[Claim]:
    """Verdicts on pairs of power laws over ten sizes from 1e3 to 1e9 parameters, with 1 % noise."""
    params = np.geomspace(1e3, 1e9, 10)

    def ladder(alpha: float, seed: int) -> Runs:
        noise = np.exp(0.01 * np.random.default_rng(seed).standard_normal(len(params)))
        return read_runs(pl.DataFrame({"params": params, "loss": 3 * params**-alpha * noise}))

    def verdicts(other: float) -> list[str]:
        return [compare(ladder(0.029, seed), ladder(other, 10_000 + seed)).verdict for seed in range(_REPEATS)]

    far = sum("change" in verdict for verdict in verdicts(0.060))
    near = sum("change" not in verdict for verdict in verdicts(0.028))
    return [
        Claim(
            what=f"an exponent of 0.060 is distinguished from one of 0.029 ({_REPEATS} planted pairs)",
            asked="at least 99 of 100",
            measured=f"{far} of {_REPEATS}",
            scale=FORM,
            held=far >= 99,
        ),
        Claim(
            what="an exponent of 0.028 is not distinguished from one of 0.029, so differences of that size need intervals",
            asked="at least 80 of 100 without a change",
            measured=f"{near} of {_REPEATS}",
            scale=FORM,
            held=near >= 80,
        ),
    ]


def _ladder(family: str) -> tuple[Rung, ...]:
    return rungs_of(
        "tsfm-scaling",
        {
            "family": {"name": family, "context": 16},
            "corpus": {"name": "series"},
            "recipe": {
                "batch_tokens": 512.0,
                "lr": "0.003 * (64 / width)^0.5",
                "weight_decay": 0.1,
                "beta2": 0.98,
                "schedule": "cosine",
            },
            "evaluate": {"items": 512},
            "rung": [{"width": width, "depth": depth, "steps": _STEPS} for width, depth in _SHAPES],
        },
    )


def _families() -> list[Claim]:
    losses = {
        name: [(rung.params, trained(rung).evaluate()) for rung in _ladder(family)]
        for name, family in _FAMILIES.items()
    }
    return [
        _compared("in distribution", "loss", losses),
        _compared("out of distribution", "loss_ood", losses),
    ]


def _compared(where: str, column: str, losses: Mapping[str, list[tuple[int, dict[str, float]]]]) -> Claim:
    """The encoder compared with the decoder on one held-out set, by likelihood per point."""
    tables = {
        name: read_runs(
            # A mean negative log-density can lie below zero. Its exponential is positive and monotonic: a perplexity.
            pl.DataFrame({"params": [n for n, _ in runs], "loss": [float(np.exp(loss[column])) for _, loss in runs]})
        )
        for name, runs in losses.items()
    }
    shown = "; ".join(f"{name} {', '.join(f'{loss[column]:.3f}' for _, loss in runs)}" for name, runs in losses.items())
    try:
        found = compare(tables["decoder"], tables["encoder"], names=("decoder", "encoder"), along="N")
        exponents = ", ".join(
            f"its exponent {one.value:.2f} times the decoder's ({_bound(one.low)} to {_bound(one.high)})"
            for _, one in found.exponents
        )
        measured = f"{found.verdict}; {exponents}; nats per point: {shown}"
        better = all(one.low is not None and one.low > 1 for _, one in found.exponents)
    except RungError as error:
        measured, better = f"undetermined: {error.text}; nats per point: {shown}", False
    return Claim(
        what=f"the encoder scales better than the decoder {where} (five sizes, 872 to 100 928 parameters)",
        published="a larger exponent",
        measured=measured,
        scale=SMALLER,
        held=better,
    )


def _bound(value: float | None) -> str:
    return "open" if value is None else f"{value:.2f}"
