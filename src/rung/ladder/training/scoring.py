"""Scores of pairs of texts by a finished preference model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from rung.errors import LadderError
from rung.ladder.architectures.decoder.preference import Preference
from rung.ladder.corpora.preferences import Preferences
from rung.ladder.training.run_folder import RunFolder
from rung.ladder.training.weights import load_weights

_AT_ONCE = 64


def score_pairs(run: str | Path, pairs: str | Path, *, device: str = "cpu") -> pl.DataFrame:
    """Score both texts of every pair.

    Args:
        run: The folder of a finished run of the family preference.
        pairs: JSONL in the fields that the run was trained on: pairs, or posts with votes.
        device: Where the network runs.

    Returns:
        One row per pair: thread, prompt, chosen, rejected, score_chosen and score_rejected, as `rung skill preference` reads them.

    Raises:
        LadderError: The run is no finished preference model, or the file cannot be read.
    """
    rung = RunFolder(Path(run)).rung()
    family: Any = rung.made_family
    corpus: Any = rung.made_corpus
    if not isinstance(family, Preference) or not isinstance(corpus, Preferences):
        raise LadderError(f"{run} is a run of the family {rung.family.name}; pairs are scored by one of the family preference.")  # fmt: skip
    net = load_weights(rung, Path(run)).to(torch.device(device)).eval()
    asked = replace(corpus, path=str(pairs), most=1 << 30)
    found = list(asked.read())
    texts = asked.encoded(family, found)
    rows: list[list[float]] = []
    with torch.no_grad():
        for first in range(0, len(found), _AT_ONCE):
            batch = tuple(torch.from_numpy(part).to(device) for part in texts.items(np.arange(first, min(first + _AT_ONCE, len(found)))))  # fmt: skip
            preferred, other, lengths, *_ = batch
            rows += torch.stack([net(preferred, lengths[:, 0]), net(other, lengths[:, 1])], dim=1).tolist()
    frame = pl.DataFrame(found, schema=["thread", "prompt", "chosen", "rejected"], orient="row")
    scores = pl.DataFrame(rows, schema=["score_chosen", "score_rejected"], orient="row")
    return pl.concat([frame, scores], how="horizontal")
