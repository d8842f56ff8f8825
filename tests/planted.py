"""Tables made by a law with known coefficients, and how a fit does on them."""

from statistics import NormalDist

import numpy as np
import polars as pl

import rung
from rung.laws import law_book

COEFFICIENTS = {
    "critical-batch": {"Bstar": 2e8, "alpha_B": 0.21},
    "data-repeated": {"E": 1.8, "A": 500, "alpha": 0.35, "B": 1500, "RD": 12.0, "beta": 0.36},
    "chinchilla-tied": {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 1500.0},
    "kaplan-floor": {"E": 1.5, "Nc": 5e8, "alpha_N": 0.3, "alpha_D": 0.25, "Dc": 1e10},
    "skaling": {"E": 1.5, "A": 2e4, "alpha": 0.6, "B": 1e5, "beta": 0.6, "k": 0.5},
    "bounded-rational": {"E": 1.5, "I": 11.0, "A": 50.0, "alpha": 0.35, "B": 200.0, "beta": 0.35},
    "gadre-2024": {"E": 1.5, "a": 140.0, "eta": 0.12, "b": 230.0},
    "farseer": {
        "a1": -1.5,
        "alpha": 0.12,
        "b1": 5.0,
        "a2": -0.3,
        "beta": 0.15,
        "b2": 9.0,
        "a3": -0.02,
        "gamma": 0.2,
        "b3": 0.2,
    },
    "vocabulary": {
        "A1": 900.0,
        "alpha1": 0.38,
        "A2": 20.0,
        "alpha2": 0.3,
        "B": 3000.0,
        "beta": 0.36,
        "E": 5.5,
    },
    "precision-training": {
        "E": 1.9,
        "A": 500.0,
        "gamma_w": 2.6,
        "gamma_a": 2.2,
        "gamma_kv": 0.9,
        "alpha": 0.36,
        "B": 6000.0,
        "beta": 0.4,
    },
    "precision-rounding": {
        "E": 1.9,
        "A": 500.0,
        "alpha": 0.36,
        "B": 6000.0,
        "beta": 0.4,
        "CT": 0.06,
        "gamma_D": 0.5,
        "gamma_N": 0.4,
        "gamma_post": 0.6,
    },
    "distillation": {
        "d1": 1.3,
        "f1": 0.3,
        "c1": 0.6,
        "A": 400.0,
        "alpha": 0.35,
        "B": 1200.0,
        "beta": 0.36,
        "gamma": 0.9,
        "c0": 0.5,
    },
    "parscale": {"E": 1.3, "A": 1e8, "k": 0.35, "alpha": 0.19},
    "densing-loss": {"A": 60.0, "alpha": 0.2, "B": 400.0, "beta": 0.28},
    "clark-2022": {"d": 2.6, "a": -0.08, "b": -0.2, "E_start": 2.0, "E_max": 300.0, "c": 0.008},
    "clark-bilinear": {"d": 2.6, "a": -0.08, "b": -0.2, "c": 0.008},
    "krajewski-2024": {"c": 0.5, "g": 2.0, "gamma": 0.6, "a": 18.0, "alpha": 0.12, "b": 31.0, "beta": 0.15},
    "hestness": {"alpha": 2.5, "beta": 0.3},
    "hestness-floor": {"alpha": 2.5, "beta": 0.12, "gamma": 0.05},
    "henighan-n": {"E": 2.2, "Nc": 6.3e1, "alpha": 0.13},
    "henighan-d": {"E": 2.2, "Dc": 1e4, "alpha": 0.15},
    "henighan-c": {"E": 2.2, "Cc": 1e12, "alpha": 0.12},
    "m1": {"b": 3.0, "c": 0.25},
    "m2": {"e_inf": 0.2, "b": 30.0, "c": 0.3},
    "m3": {"e_inf": 0.2, "b": 30.0, "d": 2e6, "c": 0.3},
    "m4": {"b": 5e3, "e_0": 5.0, "a": 0.7, "e_inf": 1.2, "c": 0.4},
    "broken-falling": {"a": 0.1, "b": 3.0, "c0": 0.1, "d1": 3e8, "f1": 0.4, "c1": 0.4},
    "broken-1": {"a": 0.1, "b": 3.0, "c0": 0.1, "d1": 3e8, "f1": 0.4, "c1": 0.3},
    "broken-2": {
        "a": 0.05,
        "b": 3.0,
        "c0": 0.05,
        "d1": 3e7,
        "f1": 0.2,
        "c1": 0.25,
        "d2": 2e9,
        "f2": 0.25,
        "c2": -0.2,
    },
    "log-linear": {"a": -1.0, "b": 0.03},
    "pass-until": {"c": 60.0, "alpha": 0.2},
    "logistic-of-loss": {"low": 0.25, "high": 0.9, "k": 3.0, "middle": 2.3},
    "exponential-of-loss": {"epsilon": 0.85, "k": 2.2, "gamma": 0.75},
    "merging-experts": {"floor": 1.4, "gain": 0.6, "b": 0.3},
    "deepseek-lr": {"a": 0.3, "alpha": 0.125},
    "deepseek-batch": {"b": 0.3, "beta": 0.33},
}
"""Plausible coefficients for the laws whose published ones the book does not hold."""

SPANS = {
    "N": (1e7, 1e11),
    "D": (1e9, 1e13),
    "C": (1e17, 1e25),
    "S": (1e3, 1e6),
    "U": (1e9, 1e11),
    "L": (1.5, 4.0),
    "x": (1e6, 1e11),
    "batch_tokens": (1e4, 1e7),
    "params_non_vocab": (1e7, 1e10),
    "params_vocab": (1e6, 1e9),
    "characters": (1e9, 1e12),
    "bits_weights": (2, 16),
    "bits_activations": (2, 16),
    "bits_cache": (2, 16),
    "bits_after": (2, 8),
    "loss_teacher": (1.7, 2.5),
    "loss_supervised": (2.0, 3.5),
    "parallel_size": (1, 16),
    "num_experts": (1, 512),
    "granularity": (1, 32),
    "mass": (0.01, 4.0),
}


def coefficients(name):
    """Coefficients of a law: those of this file, or the constants of the book."""
    law, constants = law_book()[name].law, COEFFICIENTS.get(name) or dict(law_book()[name].constants)
    if missing := [each for each in law.coefficient_names if each not in constants]:
        raise LookupError(f"law {name}: give {', '.join(missing)} in tests/planted.py, COEFFICIENTS")
    return constants


def variables(name, rows=160, seed=0):
    """Values of each variable of a law, log-uniform over a plausible span."""
    law = law_book()[name].law
    if missing := [variable for variable in law.variables if variable not in SPANS]:
        raise LookupError(f"law {name}: give a span of {', '.join(missing)} in tests/planted.py, SPANS")
    rng = np.random.default_rng(seed)
    found = {v: np.exp(rng.uniform(*np.log(SPANS[v]), rows)) for v in law.variables}
    if "U" in found:
        found["D"] = found["U"] * np.exp(rng.uniform(0, np.log(60), rows))
    if {"N", "D", "C"} <= set(found):
        found["C"] = 6 * found["N"] * found["D"]
    return found


def table(name, rows=160, seed=0):
    """A noiseless table of a law, with its target."""
    from rung.laws import SYMBOLS

    entry = law_book()[name]
    values = variables(name, rows, seed)
    if "L" in values and entry.target == "loss":
        values["L"] = _consistent_loss(entry.law, coefficients(name), values)
    target = entry.law.value(coefficients(name), values)
    columns = {SYMBOLS.get(v, v): column for v, column in values.items()}
    return pl.DataFrame({**columns, entry.target: target})


def _consistent_loss(law, planted, values):
    """The loss that a law with the loss on both sides gives back, by bisection."""
    low, high = np.full(len(values["L"]), 1e-3), np.full(len(values["L"]), 1e3)
    for _ in range(200):
        middle = np.sqrt(low * high)
        above = law.value(planted, {**values, "L": middle}) > middle
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.sqrt(low * high)


def noisy_table(name, rows=100, seed=0, noise=0.02):
    """A table of a law of the book with normal noise on the logarithm of its target."""
    found, target = table(name, rows, seed), law_book()[name].target
    factors = np.exp(noise * np.random.default_rng(seed).standard_normal(rows))
    return found.with_columns(pl.Series(target, found[target].to_numpy() * factors))


def new_run_coverage(runs, rows, repeats, between=0.02, within=0.005):
    """How much of a new run's distribution its 90 % interval holds, on tables of a power law, each run with several rows.

    Noise is between runs; within runs there is some where they have more than one row.
    """
    normal, within, covered = NormalDist(), within * (rows > 1), 0.0
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        run = np.repeat(np.arange(runs), rows)
        params = np.exp(rng.uniform(np.log(1e7), np.log(1e10), runs))[run] * np.tile(np.geomspace(1, 3, rows), runs)
        noise = between * rng.standard_normal(runs)[run] + within * rng.standard_normal(runs * rows)
        frame = pl.DataFrame({"run": run, "params": params, "loss": 20 / params**0.1 * np.exp(noise)})
        fit = rung.fit(frame, "A / N^alpha", objective="log-squares", draws=200, seed=seed)
        ends = np.log(rung.forecast(fit, N=1e9).run_interval) - np.log(20 / 1e9**0.1)
        low, high = ends / np.hypot(between, within)
        covered += normal.cdf(high) - normal.cdf(low)
    return covered / repeats


LADDER = """
[family]
name = "gpt"
head_width = 8
context = 16
vocab = 16

[corpus]
name = "markov"

[recipe]
batch_tokens = 64
ema = 0.9

[evaluate]
items = 32

[launch]
checkpoint_s = 0
log_steps = 5
threads = 1

[[rung]]
width = [8, 16]
depth = 1
steps = 40
"""
"""A ladder file of two runs that train in a moment."""
