"""Pass rates of a held-out size from smaller ones, and false and missed verdicts on growth.

    python benchmarks/pass_rates.py [--repeats 200]

164 planted items whose log(-log p) lie about a line with exponent 0.35, sampled until two passes or 100,000 attempts at 0.03B to
0.8B; the truth is their mean pass rate at 2.4B. The published procedure takes r / K and fits a line by least squares, to the mean
over items or item by item. Growth: the same world, and one in which half of each answer comes from a circuit that starts late.
"""

import argparse

import numpy as np

from rung.skill import PassTable, growth_of, pass_rates

SIZES, TARGET, ITEMS, UNTIL, CAP = (0.03e9, 0.1e9, 0.2e9, 0.4e9, 0.8e9), 2.4e9, 164, 2, 100_000


def world(rng, kind="line"):
    level = rng.normal(np.log(3.0), 0.8, ITEMS)
    slope = 0.35 + 0.03 * rng.standard_normal(ITEMS)

    def rate(params):
        x = np.log(params / TARGET)
        if kind == "two circuits":
            return 0.5 * np.exp(-np.exp(level + 0.5 - 0.2 * x)) + 0.5 * np.exp(-np.exp(level - 0.3 - 1.0 * x))
        return np.exp(-np.exp(level - slope * x))

    return rate


def sampled(rng, rate):
    rows = []
    for params in SIZES:
        for item, p in enumerate(rate(params)):
            gaps = rng.geometric(max(p, 1e-15), UNTIL).astype(float)
            reached = np.cumsum(gaps)
            passes = int((reached <= CAP).sum())
            rows.append(
                (item, params, passes, reached[-1] if passes == UNTIL else CAP, UNTIL if passes == UNTIL else 0)
            )
    item, params, passes, attempts, until = np.array(rows, float).T
    return PassTable(items=tuple(map(str, range(ITEMS))), item=item.astype(int), params=params, passes=passes, attempts=attempts, until=until, loss=None, source="planted")  # fmt: skip


def published(table):
    """r / K and lines by least squares: over the mean of the items, and item by item where two sizes are known."""
    estimate = table.passes / table.attempts
    x = np.log(table.sizes)
    mean = np.array([estimate[table.params == size].mean() for size in table.sizes])
    line = np.polyfit(x, np.log(-np.log(mean)), 1)
    by_set = np.exp(-np.exp(np.polyval(line, np.log(TARGET))))
    by_item = []
    for item in range(ITEMS):
        rows = (table.item == item) & (estimate > 0) & (estimate < 1)
        if rows.sum() < 2:
            by_item.append(0.0)
            continue
        own = np.polyfit(np.log(table.params[rows]), np.log(-np.log(estimate[rows])), 1)
        by_item.append(np.exp(-np.exp(np.polyval(own, np.log(TARGET)))))
    return by_set, np.mean(by_item)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    off, inside, theirs, verdicts = [], [], [], {"line": [], "two circuits": []}
    for repeat in range(repeats):
        rng = np.random.default_rng([repeat, 1])
        rate = world(rng)
        table, truth = sampled(rng, rate), rate(TARGET).mean()
        found = pass_rates(table, [TARGET], seed=repeat)
        _, value, low, high = found.forecasts[0]
        off.append(value / truth - 1)
        inside.append(low <= truth <= high)
        theirs.append([one / truth - 1 for one in published(table)])
        verdicts["line"].append(found.growth)
        rng = np.random.default_rng([repeat, 2])
        verdicts["two circuits"].append(growth_of(sampled(rng, world(rng, "two circuits")))[0])
    print(
        f"held-out size, {repeats} worlds: off by {100 * np.mean(off):+.1f} % on average, within 15 % in {np.mean(np.abs(off) < 0.15):.2f}; 90 % interval holds {np.mean(inside):.3f}"
    )
    print(
        f"published procedure: by set {100 * np.mean(theirs, axis=0)[0]:+.0f} %, item by item {100 * np.mean(theirs, axis=0)[1]:+.0f} %"
    )
    for kind, said in verdicts.items():
        print(
            f"growth of {kind}: " + ", ".join(f"{name} {said.count(name) / repeats:.2f}" for name in sorted(set(said)))
        )


if __name__ == "__main__":
    main()
