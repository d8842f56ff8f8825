"""Liu et al. 2025, arXiv:2505.10465: with features in superposition the loss falls as one over the width."""

from __future__ import annotations

import numpy as np

from rung.papers.claims import FORM, SMALLER, Claim
from rung.papers.tables import Tables
from rung.papers.trained import rungs_of, trained

_WIDTHS = (4, 8, 16, 32)
"""Widths of the trained models."""

_FRESH_SEEDS = (11, 12)
"""Seeds of the trained models."""


def check(tables: Tables) -> list[Claim]:
    """The geometry without training, the weak regime in closed form, and the strong regime trained at four widths."""
    del tables
    return [_geometry(), _weak(), *_strong()]


def _geometry() -> Claim:
    """Mean squared cosine of random unit vectors in m dimensions, times m."""
    rng = np.random.default_rng(0)
    found = []
    for width in (16, 64, 256, 512):
        rows = rng.standard_normal((2048, width))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        squares = (rows @ rows.T) ** 2
        found.append(width * (squares.sum() - np.trace(squares)) / (2048 * 2047))
    return Claim(
        what="random directions overlap as one over the width m: their mean squared cosine times m is 1",
        asked="1, within 2 %",
        measured=", ".join(f"{value:.4f}" for value in found),
        scale=FORM,
        held=bool(np.abs(np.array(found) - 1).max() < 0.02),
    )


def _weak() -> Claim:
    """The loss in closed form: the m most frequent features are exact, the others dropped.

    With p the frequency of a feature, the loss is the sum of 4/3 p - p^2 over the dropped ones.
    """
    features, skew = 100_000, 0.5
    frequency = np.arange(1, features + 1) ** -(1 + skew)
    frequency /= frequency.sum()
    widths = np.array([8, 16, 32, 64, 128])
    lost = np.array([np.sum(4 / 3 * frequency[width:] - frequency[width:] ** 2) for width in widths])
    slope = np.polyfit(np.log(widths), np.log(lost), 1)[0]
    return Claim(
        what="without superposition the loss is the frequency of the dropped features, so it falls as a power of the width with the exponent of the data",
        asked=f"-{skew}",
        measured=f"{slope:.3f}",
        scale=FORM,
        held=bool(abs(slope + skew) < 0.05),
    )


def _slope(skew: float, seed: int) -> tuple[float, float]:
    """Exponent of the loss in the width, and the smallest share of features that have a direction."""
    ladder = rungs_of(
        "superposition",
        {
            "family": {"name": "superposition", "features": 256},
            "corpus": {"name": "features", "skew": skew},
            "recipe": {
                "batch_tokens": 1024,
                "lr": "0.02 * (8 / width)^0.25",
                "lr_vectors": "2 / width",
                "weight_decay": -1.0,
                "beta2": 0.999,
                "schedule": "cosine",
                "final": 0.05,
                "clip": 0.0,
            },
            "evaluate": {"items": 16_384},
            "rung": [{"width": list(_WIDTHS), "steps": 3000, "seed": seed}],
        },
    )
    losses, shares = [], []
    for rung in ladder:
        trainer = trained(rung)
        losses.append(trainer.evaluate()["loss"])
        lengths = next(iter(trainer.net.parameters())).detach().norm(dim=1)
        shares.append(float((lengths > 0.5).float().mean()))
    return float(np.polyfit(np.log(_WIDTHS), np.log(losses), 1)[0]), min(shares)


def _strong() -> list[Claim]:
    flat = [_slope(0.2, seed) for seed in _FRESH_SEEDS]
    steep = _slope(0.8, _FRESH_SEEDS[0])
    return [
        Claim(
            what="strong superposition, frequencies as rank to -1.2: the loss falls as one over the width (256 features, widths 4 to 32, two fresh seeds)",
            published="-1, in -1.25 to -0.85",
            measured=", ".join(f"{slope:.3f}" for slope, _ in flat),
            scale=SMALLER,
            held=all(-1.25 <= slope <= -0.85 for slope, _ in flat),
        ),
        Claim(
            what="with frequencies as rank to -1.8 the loss falls faster",
            asked="below -1.3",
            measured=f"{steep[0]:.3f}",
            scale=SMALLER,
            held=steep[0] < -1.3,
        ),
        Claim(
            what="every feature has a direction: the share of rows longer than one half",
            asked="1",
            measured=", ".join(f"{share:.2f}" for _, share in (*flat, steep)),
            scale=SMALLER,
            held=all(share > 0.95 for _, share in (*flat, steep)),
        ),
    ]
