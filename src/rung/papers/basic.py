"""Pham et al. 2021, arXiv:2111.10050: the gradient of a large contrastive batch in the memory of a small one."""

from __future__ import annotations

import numpy as np

from rung.fitting.uncertainty import student_quantile
from rung.ladder.architectures import build_network
from rung.papers.claims import FORM, SMALLER, Claim
from rung.papers.tables import Tables
from rung.papers.trained import one_thread, rungs_of, trained

_BATCHES = (16, 32, 64, 128, 256, 512)
"""Batch sizes of the trained models [pairs]."""

_SEEDS = (0, 1)
"""Seeds of the pairs and of the training."""

_PAIRS = 4096
"""Training pairs [count]."""

_SEEN = 60
"""How often training uses each pair, the same for every batch."""


def check(tables: Tables) -> list[Claim]:
    """The gradient in float64, and the gap between training and test loss for a range of batches."""
    del tables
    return [*_gradient(), _gap()]


def _gradient() -> list[Claim]:
    with one_thread():
        import torch
        from torch.nn.functional import cosine_similarity

        from rung.ladder.architectures import PairNet, Size
        from rung.ladder.architectures.two_tower import TwoTower
        from rung.ladder.training import cached_gradients

        torch.manual_seed(0)
        net = build_network(TwoTower(inputs=16, embedding_width=8), Size(16, 2)).double()
        assert isinstance(net, PairNet)
        pairs = torch.randn(256, 16, dtype=torch.float64), torch.randn(256, 16, dtype=torch.float64)
        parts = list(zip(*(torch.split(side, 16) for side in pairs), strict=True))

        def gradient() -> torch.Tensor:
            found = torch.cat([weight.grad.ravel() for weight in net.parameters() if weight.grad is not None])
            net.zero_grad()
            return found

        whole_loss = net.losses(pairs)[0]
        whole_loss.backward()  # type: ignore[no-untyped-call]
        whole = gradient()
        cached_gradients(net, parts)
        off = float((gradient() - whole).abs().max())
        naive_loss = 0.0
        for part in parts:
            loss = net.losses(part)[0] / len(parts)
            loss.backward()  # type: ignore[no-untyped-call]
            naive_loss += loss.item()
        cosine = float(cosine_similarity(whole, gradient(), dim=0))
    return [
        Claim(
            what="the gradient from cached embeddings equals that of the whole batch (256 pairs in parts of 16, float64)",
            asked="equal to 1e-10",
            measured=f"largest difference {off:.1e}",
            scale=FORM,
            held=off < 1e-10,
        ),
        Claim(
            what="the sum of the parts' own losses does not give it: loss and gradient direction differ",
            asked="loss off by more than 10 %, cosine below 0.99",
            measured=f"loss {naive_loss:.2f} against {whole_loss.item():.2f}, cosine {cosine:.3f}",
            scale=FORM,
            held=abs(naive_loss / whole_loss.item() - 1) > 0.1 and cosine < 0.99,
        ),
    ]


def _gap() -> Claim:
    """The exponent of the gap in the batch, for equal numbers of pairs used.

    The gap is the test loss over the training loss, less one, both over batches of the run's own size; its logarithm is
    regressed on that of the batch.
    """
    points = []
    for seed in _SEEDS:
        ladder = rungs_of(
            "basic",
            {
                "family": {"name": "two-tower", "inputs": 32, "embedding_width": 16},
                "corpus": {"name": "views", "pairs": _PAIRS, "seed": seed},
                "recipe": {"lr": "0.003 * (batch_tokens / 128)^0.5", "schedule": "cosine", "beta2": 0.98},
                "rung": [
                    {
                        "width": 32,
                        "depth": 1,
                        "tokens": float(_SEEN * _PAIRS),
                        "batch_tokens": [float(batch) for batch in _BATCHES],
                        "seed": seed,
                    }
                ],
            },
        )
        for rung in ladder:
            trainer = trained(rung)
            points.append((rung.batch, *_losses(trainer)))
    batch, train, test = np.array(points).T
    gap = np.log(np.abs(test - train) / train)
    x = np.log(batch) - np.log(batch).mean()
    slope = float((x * gap).sum() / (x**2).sum())
    residual = gap - gap.mean() - slope * x
    error = float(np.sqrt((residual**2).sum() / (len(gap) - 2) / (x**2).sum()))
    half = student_quantile(0.95, len(gap) - 2) * error
    return Claim(
        what=f"the gap between test and training loss falls as the batch to -1/2, for equal numbers of pairs used ({_PAIRS} pairs, {_SEEN} times)",
        asked="an exponent from -0.7 to -0.3, or an interval that contains -0.5",
        measured=f"{slope:.2f}, 90 %: {slope - half:.2f} to {slope + half:.2f}",
        scale=SMALLER,
        held=-0.7 <= slope <= -0.3 or slope - half <= -0.5 <= slope + half,
    )


def _losses(trainer: object) -> tuple[float, float]:
    """Mean loss over batches of the run's own size: of training pairs, and of held-out pairs."""
    import torch

    from rung.ladder.training import Trainer

    assert isinstance(trainer, Trainer)
    size = trainer.rung.batch
    seen = trainer.data.batch((0,), 0, 1024)
    (held,) = trainer.data.held_out(1024).values()
    with torch.no_grad():
        found = [
            np.mean(
                [
                    trainer.net.losses(tuple(torch.from_numpy(side[first : first + size]) for side in items))[1].item()
                    for first in range(0, 1024, size)
                ]
            )
            for items in (seen, held.items)
        ]
    return float(found[0]), float(found[1])
