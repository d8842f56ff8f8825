"""For every warning, a table with one planted fault, and the corresponding clean table."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

CHINCHILLA = "E + A / N^alpha + B / D^beta"


def loss_of(params, tokens):
    return 1.8 + 480 / params**0.35 + 2100 / tokens**0.37


def grid(seed, sizes=8, ratios=8, noise=0.005):
    """Every size at every number of tokens, with noise."""
    rng = np.random.default_rng(seed)
    params = np.repeat(np.geomspace(2e7, 4e9, sizes), ratios)
    tokens = params * np.tile(np.geomspace(3, 300, ratios), sizes) * np.exp(0.1 * rng.standard_normal(sizes * ratios))
    loss = loss_of(params, tokens) * np.exp(noise * rng.standard_normal(len(params)))
    return pl.DataFrame({"params": params, "tokens": tokens, "loss": loss})


def seeds(seed):
    """A grid in which every configuration is run three times."""
    once = grid(seed, sizes=6, ratios=5, noise=0.0)
    runs = pl.concat([once.with_columns(seed=pl.lit(index)) for index in range(3)])
    rng = np.random.default_rng(seed + 10_000)
    return runs.with_columns(loss=pl.col("loss") * pl.Series(np.exp(0.003 * rng.standard_normal(len(runs)))))


def curves(seed, start=0.0):
    """Checkpoint rows of constant-rate runs, with noise that a run's rows share."""
    rng = np.random.default_rng(seed)
    frames = []
    for index, params in enumerate(np.geomspace(1e7, 2e9, 12)):
        tokens = np.geomspace(5e7, 2e10, 30)
        noise = 0.003 * rng.standard_normal() + 0.001 * rng.standard_normal(30)
        loss = (loss_of(params, tokens) + start * np.exp(-tokens / 4e8)) * np.exp(noise)
        frames.append(pl.DataFrame({"run": f"r{index}", "params": [params] * 30, "tokens": tokens, "loss": loss}))
    return pl.concat(frames)


def changed(table, seed, rows, by):
    rng = np.random.default_rng(seed)
    indices = rng.choice(len(table), rows, replace=False)
    factor = np.ones(len(table))
    factor[indices] = by
    return table.with_columns(loss=pl.col("loss") * pl.Series(factor))


def one_size_off(seed):
    table = grid(seed)
    sizes = table["params"].unique().sort()
    return table.with_columns(
        loss=pl.when(pl.col("params") == sizes[3]).then(pl.col("loss") * 1.02).otherwise(pl.col("loss"))
    )


def bent(seed):
    """A law with a bump that chinchilla does not have."""
    table = grid(seed, noise=0.003)
    bend = 1 + 0.06 * np.exp(-0.5 * ((np.log(table["tokens"].to_numpy()) - np.log(5e9)) / 1.2) ** 2)
    return table.with_columns(loss=pl.col("loss") * pl.Series(bend))


def configurations_off(seed):
    """Configurations that miss the law by more than their repeated runs differ."""
    rng = np.random.default_rng(seed)
    table = seeds(seed)
    kinds = table.select(pl.struct("params", "tokens").rank("dense")).to_series().to_numpy() - 1
    return table.with_columns(
        loss=pl.col("loss") * pl.Series(np.exp(0.012 * rng.standard_normal(kinds.max() + 1)[kinds]))
    )


def heavy(seed):
    """About a fifth of the runs, among the smaller ones, lie far above the law."""
    table = grid(seed)
    rng = np.random.default_rng(seed)
    small = table["tokens"].to_numpy() < 3e9
    outliers = small & (rng.uniform(size=len(table)) < 0.75)
    return table.with_columns(loss=pl.col("loss") * pl.Series(np.where(outliers, 1.5, 1.0)))


def corner(seed):
    """The three runs with the fewest tokens lie far above the law."""
    table = grid(seed).sort("tokens")
    return table.with_columns(loss=pl.col("loss") * pl.Series(np.where(np.arange(len(table)) < 3, 1.25, 1.0)))


def narrow(seed):
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(1e8), np.log(3e8), 60))
    tokens = params * np.exp(rng.uniform(np.log(2), np.log(200), 60))
    return pl.DataFrame(
        {"params": params, "tokens": tokens, "loss": loss_of(params, tokens) * np.exp(0.005 * rng.standard_normal(60))}
    )


def sizes_alike(seed):
    """Sizes within a factor of three, at tokens over three orders of magnitude: A and alpha trade off."""
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(1e8), np.log(3e8), 60))
    tokens = np.exp(rng.uniform(np.log(1e9), np.log(1e12), 60))
    noise = np.exp(0.0032 * rng.standard_normal(60))
    return pl.DataFrame({"params": params, "tokens": tokens, "loss": loss_of(params, tokens) * noise})


def counted_twice(seed):
    """flops counts the embedding; N does not."""
    table = grid(seed)
    params = pl.col("params")
    return table.with_columns(flops=6 * (params + 2e4 * params**0.5) * pl.col("tokens"))


def counted_once(seed):
    return grid(seed).with_columns(flops=6 * pl.col("params") * pl.col("tokens"))


def decayed(seed):
    return curves(seed).with_columns(fraction_of_schedule=(pl.col("tokens") / 2e10))


def proportional(seed):
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e10), 60))
    return pl.DataFrame(
        {
            "params": params,
            "tokens": 20 * params,
            "loss": loss_of(params, 20 * params) * np.exp(0.005 * rng.standard_normal(60)),
        }
    )


def below_zero(seed):
    """A power law minus a constant: the best irreducible loss lies below zero, outside its range."""
    rng = np.random.default_rng(seed)
    params = np.geomspace(1e7, 1e10, 60)
    return pl.DataFrame(
        {"params": params, "tokens": params, "loss": 40 * params**-0.1 * np.exp(0.002 * rng.standard_normal(60)) - 1.0}
    )


@dataclass(frozen=True)
class Fault:
    """A table with a fault, and a clean one without it."""

    table: Callable[[int], pl.DataFrame]
    clean: Callable[[int], pl.DataFrame] = grid
    law: str = CHINCHILLA


FAULTS = {
    "outliers": Fault(lambda seed: changed(grid(seed), seed, 3, 1.08)),
    "size_off": Fault(one_size_off),
    "curved_residuals": Fault(bent),
    "lack_of_fit": Fault(configurations_off, seeds),
    "objective_sensitive": Fault(heavy),
    "narrow_range": Fault(narrow),
    "early_rows": Fault(lambda seed: curves(seed, 3.0), curves),
    "mid_run_rows": Fault(decayed, curves),
    "mixed_conventions": Fault(counted_twice, counted_once),
    "fixed_proportion": Fault(proportional),
    "undetermined": Fault(proportional),
    "trade_off": Fault(sizes_alike),
    "on_bound": Fault(below_zero, grid),
    "influential_runs": Fault(corner),
    "constant_column": Fault(lambda seed: grid(seed).with_columns(tokens=pl.lit(1e10))),
    "constant_target": Fault(lambda seed: grid(seed).with_columns(loss=pl.lit(3.0))),
}
