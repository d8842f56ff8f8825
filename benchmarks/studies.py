"""Published studies whose largest scales are held out, as tables that every method of truth.py gets.

The tables are in the folder named by RUNG_DATA, by default ../shared/data beside the checkout.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from rung.fitting.backtest.folds import scale_levels

DATA = Path(os.environ.get("RUNG_DATA", Path(__file__).parents[2] / "shared" / "data"))

LEAST_HELD = 0.08
"""Smallest share of the rows that are held out."""


@dataclass(frozen=True, eq=False)
class Study:
    """One table, with the rows to hold out.

    Attributes:
        name: The study and the part of it.
        family: The study; all its parts are left out together from the discrepancy prior that it contributes to.
        runs: All rows, with `loss` and params, tokens and more.
        held: Which rows are held out (n,).
    """

    name: str
    family: str
    runs: pl.DataFrame
    held: np.ndarray

    @property
    def fitted(self):
        """The rows that methods are fitted to."""
        return self.runs.filter(pl.Series(~self.held))

    @property
    def held_out(self):
        """The rows that methods are scored on."""
        return self.runs.filter(pl.Series(self.held))


def scale_of(runs):
    """The scale of each row (n,): 6 N D, or the first column that is a scale."""
    if {"params", "tokens"} <= set(runs.columns):
        return 6.0 * runs["params"].to_numpy() * runs["tokens"].to_numpy()
    column = next(name for name in ("tokens", "characters", "params", "flops") if name in runs.columns)
    return runs[column].to_numpy().astype(float)


def study(name, family, runs, held=None):
    """A study with its largest scales held out, or the rows where the column `held` is 1."""
    runs = runs.drop_nulls().unique(maintain_order=True)
    if held is None:
        scale = scale_of(runs)
        levels = scale_levels(scale)
        beyond = np.array([np.sum(scale > level) for level in levels])
        cut = levels[np.flatnonzero(beyond >= max(3, LEAST_HELD * len(scale)))[-1]]
        held = scale > cut
    else:
        held = runs[held].to_numpy() == 1
        runs = runs.drop("held")
    return Study(name, family, runs, held)


FACTORS = (10, 30, 100, 300)
"""How far beyond the rows fitted the far parts of a study are scored, as factors of scale."""

_AROUND = 1.7
"""Factor around such a distance within which rows are held out."""


def far_parts(whole, factors=FACTORS):
    """Parts of a study: the rows up to a scale, and those about `factor` times as far.

    The scale is the largest for which 12 rows of four scales over a decade are fitted, and three are held out.
    """
    scale = scale_of(whole.runs)
    for factor in factors:
        for cut in scale_levels(scale)[::-1]:
            fitted = scale <= cut
            held = (scale >= factor * cut / _AROUND) & (scale <= factor * cut * _AROUND)
            part = scale[fitted]
            if held.sum() >= 3 and len(part) >= 12 and part.max() >= 9 * part.min() and len(scale_levels(part)) >= 4:
                runs = whole.runs.filter(pl.Series(fitted | held))
                yield Study(f"{whole.name} {factor}x", whole.family, runs, held[fitted | held])
                break


def read(name):
    if name.endswith(".parquet"):
        return pl.read_parquet(DATA / name)
    return pl.read_csv(DATA / name, infer_schema_length=None)


def surfaces():
    """Studies in params and tokens."""
    chinchilla = read("chinchilla_epoch.csv").filter(pl.col("excluded_in_replication") == 0)
    yield study("chinchilla", "chinchilla", chinchilla.select("params", "tokens", "loss"))
    flops = read("isoflops_collection.csv").filter(pl.col("flagged_outlier").cast(pl.String).is_in(["0", "false"]))
    for experiment in (
        "epochai_chinchilla__massivetext__chinchilla",
        "llama_3__exp_loss",
        "marin_202603__comma__llama_2",
        "marin_202603__dclm__llama_2",
        "misfitting__fineweb_c4__transformer",
        "ml_scalefit__massivetext__chinchilla",
    ):
        part = flops.filter(pl.col("experiment") == experiment).select("params", "tokens", "loss")
        source, corpus = experiment.split("__")[:2]
        family = "chinchilla" if "chinchilla" in experiment else source
        yield study(f"isoflop {source} {corpus}", family, part)
    gadre = read("gadre_overtraining.csv")
    for corpus in ("c4_original", "rpj", "rw_original"):
        part = gadre.filter(pl.col("train_dataset") == corpus).select("params", "tokens", loss="loss_c4_val")
        yield study(f"gadre {corpus}", "gadre", part)
    cooled = read("gemstones_cooldown.csv").filter(pl.col("phase") == "cooldown_end")
    yield study("gemstones cooldown", "gemstones", cooled.select("params", "tokens", "loss", run="run_name"))
    hot = read("gemstones_checkpoints.csv").filter(pl.col("in_hot_fit_10b") == 1)
    yield study("gemstones constant rate", "gemstones", hot.select("params", "tokens", "loss", run="run_name"))
    yield study("misfitting", "misfitting", read("misfitting_final.csv").select("params", "tokens", "loss"))
    ablations = read("datablations_final.csv").filter(pl.col("loss") < 10)
    once = ablations.filter(pl.col("epochs") <= 1.2).select("params", "tokens", "loss")
    yield study("datablations one epoch", "datablations", once)
    yield study("datablations repeated", "datablations", ablations.select("params", "tokens", "unique_tokens", "loss"))
    opt = read("opt_trajectories.csv").select("params", "tokens", "loss", run="model_size")
    yield study("opt trajectories", "opt", opt)
    yield study("gpt3 curves", "gpt3", thinned(read("gpt3_extracted_curves.csv")))
    llama = read("xlstm_llama_isoflops.csv").filter(pl.col("finished") == 1)
    for length in (8192, 2048):
        part = llama.filter(pl.col("context_length_tokens") == length).select("params", "tokens", "loss")
        yield study(f"xlstm llama {length}", "xlstm", part)
    ladder = read("olmo_ladder.parquet")
    last = ladder.filter(pl.col("step") == pl.col("step").max().over("run_name"))
    yield study("olmo ladder", "olmo", last.select("params", "tokens", loss="c4_en_ce_loss"))


def thinned(curves):
    """Digitised curves as means over bins of a quarter of log tokens."""
    numbers = curves.with_columns(pl.col("tokens", "val_loss").cast(pl.Float64, strict=False))
    usable = numbers.filter(pl.col("val_loss").is_not_null() & (pl.col("tokens") > 0))
    binned = usable.with_columns(bin=(pl.col("tokens").log() * 4).floor())
    means = binned.group_by("model_label", "params", "bin").agg(
        pl.col("tokens").log().mean().exp(), loss=pl.col("val_loss").mean()
    )
    return means.sort("params", "tokens").select("params", "tokens", "loss", run="model_label")


def routing():
    """Mixtures of experts: the loss in dense size and number of experts."""
    curves = read("routing_curves.csv").filter((pl.col("is_last_step") == 1) & (pl.col("k") == 1))
    for router in ("S-Base", "RL-R", "Hash"):
        part = curves.filter(pl.col("router_type") == router)
        yield study(
            f"routing {router}",
            "routing",
            part.select(params="params_dense", num_experts="num_experts", loss="loss_validation"),
        )


def vocabulary():
    """The loss in vocabulary parameters, other parameters and characters."""
    runs = read("vocab_scaling.csv").select(
        "params_non_vocab", "params_vocab", "characters", "flops", loss="loss_unigram_normalized"
    )
    scale = runs["flops"].to_numpy()
    return Study("vocabulary", "vocabulary", runs.drop("flops"), scale > np.quantile(scale, 1 - LEAST_HELD))


def curves(most=12):
    """Curves of the learning-curve benchmark with its own split, spaced evenly in each domain."""
    table = read("learning_curve_benchmark.csv").filter(pl.col("metric_value") > 0)
    for domain in ("IC", "NMT", "LM", "BB"):
        part = table.filter(pl.col("domain") == domain)
        split = part.group_by("task", "model", maintain_order=True).agg(pl.col("is_training_split").min())
        names = split.filter(pl.col("is_training_split") == 0).select("task", "model").rows()
        for task, model in names[:: max(1, -(-len(names) // most))]:
            curve = part.filter((pl.col("task") == task) & (pl.col("model") == model))
            runs = curve.select(tokens="seen_examples", loss="metric_value", held=1 - pl.col("is_training_split"))
            yield study(f"curve {domain} {task} {model}", f"curves {domain}", runs.sort("tokens"), "held")


def samples(most=12):
    """Curves of LCDB, spaced evenly over its learners and data sets: error by training size."""
    table = read("lcdb11_learning_curves.parquet").filter(
        (pl.col("error_test") > 0) & (pl.col("learner") != "DummyClassifier")
    )
    names = (
        table.group_by("openml_id", "learner").agg(pl.len(), pl.col("train_size").max()).sort("openml_id", "learner")
    )
    names = names.filter((pl.col("len") >= 20) & (pl.col("train_size") > 2000))
    rows = names.select("openml_id", "learner").rows()
    for task, learner in rows[:: max(1, len(rows) // most)][:most]:
        curve = table.filter((pl.col("openml_id") == task) & (pl.col("learner") == learner))
        yield study(
            f"lcdb {task} {learner}", "lcdb", curve.select(tokens="train_size", loss="error_test").sort("tokens")
        )


def all_studies(most=12):
    """Every study, with up to `most` curves of each collection of curves."""
    yield from surfaces()
    yield from routing()
    yield vocabulary()
    yield from curves(most)
    yield from samples(most)
