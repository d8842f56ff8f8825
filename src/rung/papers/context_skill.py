"""Papers from loss and size to scores, on their public tables: the OLMo ladder, Gadre's error law, observational laws, Sloth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from scipy.optimize import least_squares

from rung.arrays import Array
from rung.errors import RungError
from rung.papers.claims import FULL, SMALLER, Claim, not_checked
from rung.papers.context import gadre as gadre_loss
from rung.papers.tables import Tables
from rung.runs import Runs, read_runs
from rung.skill import Task, predict_families, predict_scores, task_table

_LADDER = {
    "arc_challenge_val_rc_5shot": 0.25,
    "arc_easy_val_rc_5shot": 0.25,
    "boolq_val_rc_5shot": 0.5,
    "csqa_val_rc_5shot": 0.2,
    "hellaswag_val_rc_5shot": 0.25,
    "openbookqa_val_rc_5shot": 0.25,
    "piqa_val_rc_5shot": 0.5,
    "winogrande_val_rc_5shot": 0.5,
}
"""Tasks of the ladder with their chance level."""

_SIZES = ("mmlu", "arc_c", "hella_swag", "winograd", "truthful_qa", "gsm8k", "xwinograd", "human_eval")
"""Benchmarks of the base models."""

LOWEST = {
    "mmlu": 0.2303, "arc_c": 0.2048, "hella_swag": 0.2491, "winograd": 0.4791, "truthful_qa": 0.3174, "gsm8k": 0.0, "ifeval": 0.068, "bbh": 0.29,
    "math": 0.0, "gpqa": 0.2311, "musr": 0.33, "mmlu_pro": 0.11,
}  # fmt: skip
"""Benchmarks of both leaderboards with the lowest score of any model on them, which the paper takes for chance."""


def olmo_ladder(tables: Tables) -> list[Claim]:
    """Bhagia et al. 2024, arXiv:2412.04403: two steps from small models to the score of a larger one."""
    what, published = "the score of a larger model from smaller ones, by two steps", "within 2 points on 4 of 8 tasks, at 7B and 13B, whose scores are not public"  # fmt: skip
    try:
        table = pl.read_parquet(tables.path("olmo_ladder.parquet")).filter(pl.col("is_rerun") == 0)
    except RungError as why:
        return [not_checked(what, published, why)]
    errors = []
    for name, chance in _LADDER.items():
        score = next(one for one in (f"{name}_len_norm", f"{name}_acc") if one in table.columns)
        task = Task(name=name, score=score, loss=f"{name}_bpb", chance=chance)
        ends = task_table(_as_runs(table), task).ends.filter(pl.col("params") > 1e9)
        plans = [{"N": row["params"], "D": row["tokens"]} for row in ends.iter_rows(named=True)]
        found = predict_scores(_as_runs(table.filter(pl.col("params") < 1e9)), [task], plans).tasks[0].plans
        errors.append(float(np.mean([abs(one.value - truth) for one, truth in zip(found, ends["score"], strict=True)])))
    close = sum(error <= 0.02 for error in errors)
    return [
        Claim(
            what=what,
            published=published,
            measured=f"within 2 points on {close} of {len(errors)} tasks at 1.3B, from sizes below 1B; {100 * np.mean(errors):.1f} points on average",
            scale=SMALLER,
            held=close >= len(errors) // 2,
        )
    ]


def _as_runs(frame: pl.DataFrame) -> Runs:
    return read_runs(frame, {"run": "run_name"})


def gadre(tables: Tables) -> list[Claim]:
    """Gadre et al. 2024, arXiv:2403.08540: the law of the loss, and error = e - k exp(-g loss) of the mean over tasks."""
    what, published = "the mean error over tasks of larger runs from smaller ones, by loss", "3.6 % at 1.4B and 0.05 % at 6.9B, which are not in the table"  # fmt: skip
    claims = gadre_loss(tables)
    try:
        table = pl.read_csv(tables.path("gadre_overtraining.csv"), infer_schema_length=None)
        known = pl.read_csv(tables.path("gadre_task_metadata.csv"))
    except RungError as why:
        return [*claims, not_checked(what, published, why)]
    errors = {data: _mean_error(rows, known) for (data,), rows in table.group_by("train_dataset", maintain_order=True)}
    return [
        *claims,
        Claim(
            what=what,
            published=published,
            measured="; ".join(f"{data} {100 * error:.2f} %" for data, error in errors.items())
            + " (mean over runs of 411M)",
            scale=SMALLER,
            held=max(errors.values()) <= 0.036,
        ),
    ]


def _mean_error(rows: pl.DataFrame, known: pl.DataFrame) -> float:
    """Mean relative error about the runs of 411M of the law fitted to smaller ones, on tasks that 154M learns by ten points beyond chance."""
    columns = []
    medium = rows.filter(pl.col("params").is_between(1.2e8, 3e8))
    for row in known.iter_rows(named=True):
        column = row["metric_column"]
        if column in rows.columns and rows[column].null_count() == 0:
            best = medium[column].max()
            if isinstance(best, float) and best >= row["random_baseline"] / 100 + 0.1:
                columns.append(column)
    error = 1 - rows.select(columns).to_numpy().mean(axis=1)
    loss, large = rows["loss_c4_val"].to_numpy(), (rows["params"] > 4e8).to_numpy()

    def law(p: Array, at: Array) -> Array:
        return np.asarray(p[0] - np.exp(p[1] - np.exp(p[2]) * at))

    starts = [[0.9, 1.0 + 3 * rate, np.log(rate)] for rate in (0.5, 1.0, 2.0)]
    found = [least_squares(lambda p: law(p, loss[~large]) - error[~large], start) for start in starts]
    best = min(found, key=lambda one: float(one.cost)).x
    return float(np.mean(np.abs(law(best, loss[large]) / error[large] - 1)))


def observational(tables: Tables) -> list[Claim]:
    """Ruan et al. 2024, arXiv:2405.10938: few components of the scores of base models, and the first follows compute in a family."""
    what, published = "the first principal component of the scores of base models", "80 % of the variance, three 97 %"
    try:
        table = pl.read_csv(tables.path("obs_base_models.csv"), infer_schema_length=None)
    except RungError as why:
        return [not_checked(what, published, why)]
    columns = [f"metric_{name}" for name in _SIZES]
    table = table.drop_nulls([*columns, "flops_1e21"]).filter(pl.col("flops_1e21") > 0)
    scores = table.select(columns).to_numpy()
    left, size, right = np.linalg.svd(scores - scores.mean(axis=0), full_matrices=False)
    share = size**2 / np.sum(size**2)
    first = left[:, 0] * np.sign(right[0].sum())
    log_compute, families = np.log(table["flops_1e21"].to_numpy()), table["family"].to_numpy()
    fits = {
        name: float(np.corrcoef(log_compute[families == name], first[families == name])[0, 1] ** 2)
        for name in dict.fromkeys(families.tolist())
        if np.sum(families == name) >= 4
    }
    return [
        Claim(
            what=what,
            published=published,
            measured=f"{share[0]:.0%}, three {share[:3].sum():.0%} ({len(scores)} models with all {len(columns)} scores)",
            scale=FULL,
            held=share[0] >= 0.75 and share[:3].sum() >= 0.95,
        ),
        Claim(
            what="in a family of four models or more that component is linear in the logarithm of compute",
            asked="R2 above 0.9 in most families",
            measured=f"R2 above 0.9 in {sum(one > 0.9 for one in fits.values())} of {len(fits)} families, median {np.median(list(fits.values())):.3f}; lowest "
            + min(fits, key=lambda name: fits[name]),
            scale=FULL,
            held=sum(one > 0.9 for one in fits.values()) > len(fits) / 2,
        ),
    ]


def sloth(tables: Tables) -> list[Claim]:
    """Polo et al. 2024, arXiv:2412.06540: scores of a family's larger models by skills that all families share."""
    what, published = "twelve scores of each family's larger models, from its smallest one and all other families", "3.52 points over 11 families (3.96 with two models)"  # fmt: skip
    try:
        table = pl.read_csv(tables.path("sloth_models.csv"), infer_schema_length=None)
    except RungError as why:
        return [not_checked(what, published, why)]
    names = list(LOWEST)
    found = {kept: [family_error(*split, names)[0] for split in held_out_families(table, names, kept)] for kept in (1, 2)}  # fmt: skip
    told = {kept: f"{np.mean(each):.2f} points over {len(each)} families" for kept, each in found.items()}
    return [
        Claim(
            what=what,
            published=published,
            measured=f"{told[1]} of the public table; with two models {told[2]}",
            scale=FULL,
            held=bool(np.mean(found[1]) <= 3.52 and np.mean(found[2]) <= 3.96),
        )
    ]


def held_out_families(
    table: pl.DataFrame, names: Sequence[str], kept: int
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """The paper's protocol: models that are trained on, and each family's larger ones in turn, all but `kept` of it.

    Models without all of these scores are left out, and then families with no more than `kept`.
    """
    rows = table.with_row_index("at").sort("subfamily", "params_billion", "at")
    rows = rows.drop_nulls([f"metric_{name}" for name in names]).filter(pl.len().over("subfamily") > kept)
    for family in rows["subfamily"].unique(maintain_order=True):
        held = (pl.col("subfamily") == family) & (pl.int_range(pl.len()).over("subfamily") >= kept)
        yield rows.filter(~held), rows.filter(held)


def family_error(train: pl.DataFrame, test: pl.DataFrame, names: Sequence[str]) -> tuple[float, float]:
    """Mean absolute error in points, and the share inside the intervals of a new model."""
    tasks = [Task(name=name, score=f"metric_{name}", chance=LOWEST[name]) for name in names]
    models = train.with_columns(params=pl.col("params_billion") * 1e9, tokens=pl.col("tokens_trillion") * 1e12)
    plans = [
        {"N": 1e9 * n, "D": 1e12 * d, "family": family}
        for n, d, family in test.select("params_billion", "tokens_trillion", "subfamily").iter_rows()
    ]
    found = predict_families(models, tasks, plans, family="subfamily", check=False)
    truth = test.select(task.score for task in tasks).to_numpy().T
    value = np.array([[one.value for one in task.plans] for task in found.tasks])
    low, high = (np.array([[one.run_interval[end] for one in task.plans] for task in found.tasks]) for end in (0, 1))
    return float(100 * np.abs(value - truth).mean()), float(np.mean((low <= truth) & (truth <= high)))
