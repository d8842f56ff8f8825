"""Wang et al. 2025, arXiv:2505.10527: preference models by the Bradley-Terry loss, and which kinds of metric scale."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.papers.claims import FORM, SMALLER, Claim
from rung.papers.tables import Tables
from rung.papers.trained import rungs_of, trained
from rung.skill import preferences, verdicts

_FIRST = 33
"""Code of the first printable character."""

_ITEMS, _VOTES = 90, 20_000
"""Items, a printable character each, and votes of the planted preferences."""

_WORLDS = 40
"""Planted tables of pairs whose style people like too."""

_SEEDS = 500
"""Number of planted sweeps of each kind: with 5 % of false trends a right test would fail 9 of 10 among 50 one time in 26."""

_PAIRS = np.geomspace(1e5, 1.5e7, 16)
"""Preference pairs of a sweep, up to the paper's 15 million."""

_KINDS = ("flat", "scales", "emergent", "inverse")
"""The paper's three kinds of metric, and one that gets worse with data."""


def check(tables: Tables) -> list[Claim]:
    """A preference model trained on planted votes, style beside content, and planted sweeps of the paper's three kinds and of one that gets worse."""
    del tables
    return [*_preferences(), _style(), _verdicts()]


def _votes(folder: Path, quality: NDArray[np.float64], rng: np.random.Generator) -> Path:
    """Pairs of items, each a character, of which one won a vote by the difference of their qualities."""
    one = rng.integers(_ITEMS, size=_VOTES)
    other = (one + 1 + rng.integers(_ITEMS - 1, size=_VOTES)) % _ITEMS
    won = rng.random(_VOTES) < 1 / (1 + np.exp(quality[other] - quality[one]))
    rows = [
        {
            "thread": str(number),
            "chosen": chr(_FIRST + (a if first else b)),
            "rejected": chr(_FIRST + (b if first else a)),
        }
        for number, (a, b, first) in enumerate(zip(one.tolist(), other.tolist(), won.tolist(), strict=True))
    ]
    file = folder / "votes.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def _preferences() -> list[Claim]:
    """The recipe of the ladder on votes over items with a hidden quality."""
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    quality = rng.standard_normal(_ITEMS)
    with TemporaryDirectory() as folder:
        content = {
            "family": {"name": "preference", "context": 2, "head_width": 16},
            "corpus": {"name": "preferences", "path": str(_votes(Path(folder), quality, rng))},
            "recipe": {"lr": 0.01, "batch_tokens": 2048},
            "rung": [{"width": 16, "depth": 1, "tokens": 600_000}],
        }
        run = trained(rungs_of("worldpm", content)[0])
        import torch

        net: Any = run.net
        held = run.data.held_out(_VOTES)[""].items
        chosen, rejected = (torch.from_numpy(side) for side in held[:2])
        lengths = torch.full((_ITEMS,), 2)
        reached = run.evaluate()["loss"]
        with torch.no_grad():
            net.double()
            scores = net(torch.tensor([[_FIRST + item, 0] for item in range(_ITEMS)]), lengths).numpy()
            pair, reverse = ((*sides, torch.from_numpy(held[2])) for sides in ((chosen, rejected), (rejected, chosen)))
            swapped = float((net.margins(pair) + net.margins(reverse)).abs().max())
            before = float(net.losses(pair)[1])
            net.head.register_forward_hook(lambda _module, _given, out: out + 3.0)
            shifted = abs(float(net.losses(pair)[1]) - before)
    margin = quality[held[0][:, 0] - _FIRST] - quality[held[1][:, 0] - _FIRST]
    bayes = float(np.logaddexp(0, -margin).mean())
    rank = float(spearmanr(scores, quality).statistic)
    return [
        Claim(
            what=f"a preference model trained on {_VOTES} votes over {_ITEMS} items has the order of their hidden quality, and its loss on held-out votes",
            asked="rank correlation above 0.9; the loss of the true quality",
            measured=f"{rank:.3f}; {reached:.4f} against {bayes:.4f} nats per pair",
            scale=SMALLER,
            held=bool(rank > 0.9 and reached / bayes < 1.02),
        ),
        Claim(
            what="a constant added to every score changes nothing, and a reversed pair has the opposite logit",
            asked="0, 0",
            measured=f"{shifted:.1e}, {swapped:.1e}",
            scale=FORM,
            held=bool(shifted < 1e-12 and swapped < 1e-12),
        ),
    ]


def _style() -> Claim:
    """Pairs of planted content and twenty features of style, of which people like four."""
    found = []
    for seed in range(_WORLDS):
        rng = np.random.default_rng(seed)
        style = rng.standard_normal((400, 20))
        margin = rng.standard_normal(400) + 0.5 * style[:, 0]
        margin /= np.sqrt(np.mean(margin**2))
        won = rng.random(400) < 1 / (1 + np.exp(-margin - 0.6 * style[:, :4].sum(axis=1)))
        columns = {f"style{at}_{side}": style[:, at] * (side == "a") for at in range(20) for side in "ab"}
        table = pl.DataFrame({"score_a": margin, "score_b": 0.0 * margin, "preferred": np.where(won, "a", "b"), **columns})  # fmt: skip
        found.append(preferences(table).scores[0])
    content, naive = (float(np.mean([getattr(one, name) for one in found])) for name in ("content", "content_naive"))
    return Claim(
        what=f"the weight of content beside style, fitted apart from the pairs it is applied to, on {_WORLDS} planted tables of 400 pairs",
        asked="1 within 10 %, where one fit of both on the same pairs overestimates it",
        measured=f"{content:.3f}; {naive:.3f} by one fit",
        scale=FORM,
        held=bool(abs(content - 1) <= 0.1 and naive > 1.1),
    )


def _sweep(kind: str, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    loss = {
        "scales": 2.3 * _PAIRS**-0.12,
        "emergent": 0.69 / np.maximum(1, _PAIRS / 1.5e6) ** 0.15,
        "flat": np.full(len(_PAIRS), 0.62),
        "inverse": 0.4 * _PAIRS**0.05,
    }[kind]
    return pl.DataFrame({"tokens": _PAIRS, "loss": loss * np.exp(0.01 * rng.standard_normal(len(_PAIRS)))})


def _verdicts() -> Claim:
    said = {
        kind: [verdicts(_sweep(kind, seed), ["loss"], along="D").verdicts[0].verdict for seed in range(_SEEDS)]
        for kind in _KINDS
    }
    right = {kind: each.count(kind) for kind, each in said.items()}
    return Claim(
        what=f"sweeps that follow a power law, start late, stay flat or get worse with data are distinguished ({_SEEDS} planted of each, 1 % noise)",
        asked="9 of 10 of each, and none that gets worse called scaling",
        measured=", ".join(f"{kind} {count} of {_SEEDS}" for kind, count in right.items())
        + f"; {said['inverse'].count('scales')} that get worse called scaling",
        scale=FORM,
        held=min(right.values()) >= 0.9 * _SEEDS and "scales" not in said["inverse"],
    )
