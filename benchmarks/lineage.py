"""Time and memory of a lineage of two million models: `python benchmarks/lineage.py [--models 2000000]`."""

import argparse
import resource
import time

import numpy as np
import polars as pl

from rung.skill.lineage import lineage


def made(count, seed=0):
    """A forest in which three in ten models have a parent, most of them of a few famous models; cards of 60 words."""
    rng = np.random.default_rng(seed)
    has = rng.random(count) < 0.3
    has[0] = False
    parent = np.where(
        rng.random(count) < 0.6,
        (rng.pareto(1.0, count)).astype(int),
        (rng.random(count) * np.arange(count)).astype(int),
    )
    parent = np.minimum(parent, np.maximum(np.arange(count) - 1, 0))
    licences = np.array(["apache-2.0", "mit", "llama3", "gemma", "cc-by-nc-4.0", "gpl-3.0"])
    words = np.array([f"word{k}" for k in range(3000)])
    names = pl.Series(np.arange(count)).cast(pl.String)
    cards = pl.Series([" ".join(words[row]) for row in rng.integers(3000, size=(2000, 60))])
    return pl.DataFrame({
        "model_id": "owner/model-" + names,
        "finetune_parent": pl.select(pl.when(pl.Series(has)).then("['owner/model-" + pl.Series(parent).cast(pl.String) + "']").otherwise(pl.lit("[]"))).to_series(),
        "licenses": pl.Series(licences[rng.integers(6, size=count)]),
        "pipeline_tag": pl.Series(np.array(["text-generation", "text-classification", "image"])[rng.integers(3, size=count)]),
        "modelCard": cards.gather(rng.integers(2000, size=count)),
    })  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=2_000_000)
    count = parser.parse_args().models
    table = made(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    start = time.perf_counter()
    found = lineage(table)
    print(
        f"{count:,} models: {found.headline()}; {time.perf_counter() - start:.0f} s, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB ({before:.2f} GB of it the table)"
    )


if __name__ == "__main__":
    main()
