"""Yang et al. 2024, arXiv:2404.01204: whether early checkpoints forecast the order of models at the end."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.papers.claims import FULL, Claim, not_checked
from rung.papers.tables import Tables
from rung.skill import early_order

_TASKS = ("arc_easy", "arc_challenge", "lambada_openai", "logiqa", "piqa", "sciq", "winogrande", "wsc")


def check(tables: Tables) -> list[Claim]:
    """The order of six sizes of Pythia on eight tasks, at 30 % of the training and at its end."""
    what = "scores at 30 % of the training forecast the order of sizes at the end better than the sizes alone do"
    try:
        table = pl.read_csv(tables.path("pythia_checkpoint_evals.csv"))
    except RungError as error:
        return [not_checked(what, "a gain in tau above 0", error)]
    rows = table.filter(
        (pl.col("setting") == "zero-shot") & (pl.col("metric") == "acc") & pl.col("task").is_in(_TASKS)
        & ~pl.col("model_name").str.contains("MtokBS|deduped")
    )  # fmt: skip
    wide = rows.pivot("task", index=["model_name", "params", "tokens"], values="value").rename({"model_name": "run"})
    found = early_order(wide, _TASKS)
    alike = [one.similarity for one in found.metrics]
    return [
        Claim(
            what=what,
            asked="a gain in tau whose 90 % interval lies above 0",
            measured=f"tau {found.early[0]:.2f} against {found.size[0]:.2f} by size alone: gain {found.gain[0]:+.2f} ({found.gain[1]:+.2f} to {found.gain[2]:+.2f}); "
            f"better on {found.wins[0]}, equal on {found.wins[1]}, worse on {found.wins[2]} of {len(found.metrics)} tasks",
            scale=FULL,
            held=found.gain[1] > 0,
        ),
        Claim(
            what="early scores dealt to the models at random forecast nothing",
            asked="an interval of tau that contains 0",
            measured=f"{found.shuffled[0]:+.2f} ({found.shuffled[1]:+.2f} to {found.shuffled[2]:+.2f})",
            scale=FULL,
            held=found.shuffled[1] < 0 < found.shuffled[2],
        ),
        Claim(
            what="models of different size move alike over the training: the mean Spearman correlation of their courses, in the median of the tasks",
            asked="above 0.5",
            measured=f"{np.median(alike):.2f}: "
            + ", ".join(f"{one.metric} {one.similarity:.2f}" for one in found.metrics),
            scale=FULL,
            held=float(np.median(alike)) > 0.5,
        ),
    ]
