"""How often `rung skill compare` calls a difference real where there is none, and how often it finds one that is there.

    python benchmarks/real_or_not.py [--repeats 1000] [--kinds TEXT] [--data FOLDER]

Planted pairs of models of each kind, with no difference and with one; the paired test beside Welch's on the same draws. The
real ground is modded_nanogpt_seed_runs.csv: runs of one setting, dealt at random into two arms. The last table plants models
of one true score, chooses the best of them on the items that score it, and compares the corrected score with the truth.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from rung.skill import Scores, benjamini_hochberg
from rung.skill.comparing import _compared, _unpaired
from rung.skill.looks import many_looks

SEEDS = (2, 3, 5, 10, 20, 40, 80)


def scores(model, values, groups=None):
    clusters = None if groups is None else tuple(map(str, groups))
    return Scores(model=model, task="", units=tuple(map(str, range(len(values)))), values=np.asarray(values, float), clusters=clusters)  # fmt: skip


def items(rng, count, gain, *, groups=0, binary=True):
    """Two models on items of their own difficulty; items of a group share half of what the models differ by."""
    where = rng.integers(groups, size=count) if groups else np.arange(count)
    difficulty = rng.standard_normal(count)
    shared = rng.standard_normal((2, groups))[:, where] if groups else np.zeros((2, count))
    latent = difficulty + 0.5 * rng.standard_normal((2, count)) + 0.5 * shared
    latent[1] += gain
    values = (latent > 0).astype(float) if binary else latent
    return (scores(name, one, where if groups else None) for name, one in zip("AB", values, strict=True))


def seeds(rng, count, gain):
    """Two recipes on seeds that both share the order of the data, which makes two thirds of the variance."""
    shared = rng.standard_normal(count)
    arms = shared * np.sqrt(2 / 3) + rng.standard_normal((2, count)) * np.sqrt(1 / 3)
    arms[1] += gain
    return (scores(name, one) for name, one in zip("AB", arms, strict=True))


KINDS = {
    "100 items, 0 or 1": lambda rng, gain: items(rng, 100, 1.5 * gain),
    "1000 items, 0 or 1": lambda rng, gain: items(rng, 1000, 0.5 * gain),
    "400 items of 20 groups, 0 or 1": lambda rng, gain: items(rng, 400, 1.5 * gain, groups=20),
    "400 items of 20 groups, graded": lambda rng, gain: items(rng, 400, 1.2 * gain, groups=20, binary=False),
    "200 items, graded": lambda rng, gain: items(rng, 200, 0.8 * gain, binary=False),
    **{
        f"{count} seeds": lambda rng, gain, count=count: seeds(rng, count, 5 * gain / np.sqrt(count)) for count in SEEDS
    },
}


def planted(repeats, chosen):
    print(
        f"{'kind':34} {'false paired':>13} {'unpaired':>9} {'power paired':>13} {'unpaired':>9} {'interval holds':>15}"
    )
    for kind, make in KINDS.items():
        if chosen not in kind:
            continue
        found = {0.0: [], 0.3: []}
        for gain, row in found.items():
            for repeat in range(repeats):
                one, other = make(np.random.default_rng([repeat, int(gain * 10)]), gain)
                row.append(_compared(one, other, 0.9, unpaired=False, findings=[]))
        false, true = found[0.0], found[0.3]
        rates = [np.mean([getattr(one, name) < 0.05 for one in rows]) for rows in (false, true) for name in ("p_value", "p_unpaired")]  # fmt: skip
        covered = np.mean([one.low <= 0 <= one.high for one in false])
        print(
            f"{kind:34} {rates[0]:13.3f} {rates[1]:9.3f} {rates[2]:13.3f} {rates[3]:9.3f} {covered:15.3f}", flush=True
        )


def families(repeats):
    """A family of 20 comparisons, 15 of them null: the share of false discoveries among those called real."""
    shares, power = [], []
    for repeat in range(repeats):
        rng = np.random.default_rng([repeat, 99])
        p = []
        for index in range(20):
            one, other = items(rng, 300, 0.35 if index < 5 else 0.0)
            p.append(_compared(one, other, 0.9, unpaired=False, findings=[]).p_value)
        called = np.flatnonzero(benjamini_hochberg(p) < 0.05)
        shares.append(np.mean(called >= 5) if len(called) else 0.0)
        power.append(np.mean(np.isin(np.arange(5), called)))
    print(
        f"\n20 comparisons, 5 real: false discoveries {np.mean(shares):.3f} of those called real (asked 0.05), found {np.mean(power):.2f}"
    )


def looks(repeats):
    print("\nthe best of k models of one true score on 500 items: by how much its score is too high")
    for count in (3, 10, 50):
        raw, corrected = [], []
        for repeat in range(max(repeats // 10, 20)):
            rng = np.random.default_rng([repeat, count])
            difficulty = rng.standard_normal(500)
            models = [scores(str(k), difficulty + 0.5 * rng.standard_normal(500) > 0) for k in range(count)]
            found = many_looks(models, "", repeat, lower=False)
            raw.append(found.score - 0.5)
            corrected.append(found.corrected - 0.5)
        print(f"  k = {count:3}: {np.mean(raw):+.4f} as it is, {np.mean(corrected):+.4f} corrected")


def real(file, repeats):
    if not file.exists():
        print(f"\nnot measured: {file} is not there")
        return
    table = pl.read_csv(file)
    sizes = table.group_by("track", "record", "block", "arm").len().sort("len", descending=True).head(3)
    print("\nreal runs of one setting, dealt into two arms at random: called different by Welch's test")
    for key in sizes.iter_rows(named=True):
        rows = table.filter(*(pl.col(name) == key[name] for name in ("track", "record", "block", "arm")))[
            "loss"
        ].to_numpy()
        rates = []
        for count in (2, 5, 20, 80):
            if 2 * count > len(rows):
                continue
            rng = np.random.default_rng(count)
            called = 0
            for _ in range(repeats):
                dealt = rng.choice(rows, 2 * count, replace=False)
                called += _unpaired(scores("A", dealt[:count]), scores("B", dealt[count:]), 0.9).p_value < 0.05
            rates.append(f"{count} seeds {called / repeats:.3f}")
        print(f"  {key['record']} ({key['len']} runs): {', '.join(rates)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--kinds", default="", help="only kinds whose name holds this text, and nothing else")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    planted(given.repeats, given.kinds)
    if given.kinds:
        return
    families(max(given.repeats // 5, 20))
    looks(given.repeats)
    real(given.data / "modded_nanogpt_seed_runs.csv", given.repeats)


if __name__ == "__main__":
    main()
