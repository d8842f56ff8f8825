"""What treatments are worth, on planted truth: how often the intervals hold the multipliers that were planted.

    python benchmarks/effects.py [--repeats 200]

The ladder is 36 runs of L = 1.8 + 400 / N^0.34 + 900 / D^0.31 with 1 % noise, on six sizes and six token counts. A treated model of size N
has the loss that the law gives at m N, with the same noise. Four designs: without a control, from one run; from three seeds; with a control of
three seeds of its own; with a control that shares its three seeds, half of whose noise is common.
"""

import argparse

import numpy as np
import polars as pl

import rung
from rung.worth import effects

TRUTH = {"E": 1.8, "A": 400.0, "alpha": 0.34, "B": 900.0, "beta": 0.31}
NOISE = 0.01
DESIGNS = ("one run", "three seeds", "control of its own", "control that shares seeds")


def loss(params, tokens):
    return TRUTH["E"] + TRUTH["A"] / params ** TRUTH["alpha"] + TRUTH["B"] / tokens ** TRUTH["beta"]


def ladder(rng):
    params, tokens = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(2e8, 2e10, 6)))
    measured = loss(params, tokens) * np.exp(NOISE * rng.standard_normal(len(params)))
    return rung.fit(pl.DataFrame({"params": params, "tokens": tokens, "loss": measured}), draws=400)


def treated(design, size, multiplier, rng):
    tokens = 20 * size
    seeds = 1 if design == "one run" else 3
    own, common = (NOISE * rng.standard_normal(seeds) for _ in range(2))
    shares = design == "control that shares seeds"
    mixed = (own + common) / np.sqrt(2) if shares else own
    rows = [
        {"treatment": "new", "params": size, "tokens": tokens, "seed": f"s{seed}", "loss": value}
        for seed, value in enumerate(loss(multiplier * size, tokens) * np.exp(mixed))
    ]
    if design in DESIGNS[2:]:
        other = NOISE * rng.standard_normal(seeds)
        noise = (other + common) / np.sqrt(2) if shares else other
        rows = [{**row, "before": "plain"} for row in rows]
        rows += [
            {"treatment": "plain", "params": size, "tokens": tokens, "seed": f"s{seed}" if shares else f"c{seed}", "loss": value, "before": ""}
            for seed, value in enumerate(loss(size, tokens) * np.exp(noise))
        ]  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--repeats", type=int, default=200)
    asked = options.parse_args()
    inside = {design: {"size": [], "data": [], "compute": [], "slope": []} for design in DESIGNS}
    widths = {design: [] for design in DESIGNS}
    for repeat in range(asked.repeats):
        rng = np.random.default_rng([7, repeat])
        fit = ladder(rng)
        for design in DESIGNS:
            multiplier = float(rng.choice([0.6, 1.5, 2.5]))
            table = pl.concat([treated(design, size, multiplier, rng) for size in (3e7, 1e8, 3e8)])
            found = effects(fit, table)
            for one in found.effects:
                # What the planted loss needs of the control, from the same law without noise.
                wanted = {"size": multiplier, **needed(one.params, one.tokens, multiplier)}
                if design in DESIGNS[:2]:
                    wanted["compute"] *= needed(one.params, one.tokens, 1.0)["own"]
                for name, worth in one.multipliers.items():
                    low, high = worth.interval
                    inside[design][name].append(low <= wanted[name] <= high)
                    if name == "size":
                        widths[design].append(high / low)
            slope = found.slopes[0].slope
            inside[design]["slope"].append(slope.interval[0] <= 0 <= slope.interval[1])
    for design in DESIGNS:
        shares = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in inside[design].items())
        print(f"{design:28} {shares}; median width of size, a factor {np.median(widths[design]):.2f}")


def needed(params, tokens, multiplier):
    """Multipliers of data and compute over a plain model, and the plain model's least compute over its own."""
    plain, better = loss(params, tokens), loss(multiplier * params, tokens)
    rest = better - TRUTH["E"] - TRUTH["A"] / params ** TRUTH["alpha"]
    data = (TRUTH["B"] / rest) ** (1 / TRUTH["beta"]) / tokens if rest > 0 else np.inf
    return {"data": data, "compute": least(better) / least(plain), "own": least(plain) / (6 * params * tokens)}


def least(value):
    a, b = TRUTH["alpha"], TRUTH["beta"]
    ratio = a * TRUTH["A"] / (b * TRUTH["B"])
    # At the optimum alpha A N^-alpha = beta B D^-beta.
    part = (value - TRUTH["E"]) / (1 + a / b)
    params = (TRUTH["A"] / part) ** (1 / a)
    tokens = (TRUTH["B"] / (part * a / b)) ** (1 / b)
    assert np.isclose(params**-a * ratio, tokens**-b)
    return 6 * params * tokens


if __name__ == "__main__":
    main()
