"""Decisions on planted truth: `python benchmarks/decisions.py [--repeats 300]`.

How often the interval of the best size contains it; the error of a parabola on noise-free losses beside its analytic
value; how often a comparison of two recipes is correct; and how long each command takes.
"""

import argparse
import statistics
import warnings
from collections import Counter

import numpy as np
import polars as pl

import rung
from measure import timed
from rung.planning.allocation.allocate import best_sizes
from rung.planning.allocation.approaches import compare_approaches
from rung.planning.allocation.profiles import PARABOLA, bottom_of, parabola_bias
from rung.planning.tuning.tune import tune
from rung.worth import compare

TRUTH = {"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658}
"""Coefficients of the planted law."""

LAW = "E + A / N^alpha + B / D^beta"


def surface(seed, rows, noise=0.01):
    """Runs of IsoFLOP profiles about the planted law."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(np.geomspace(6e18, 3e21, 9), -(-rows // 9))[:rows]
    best = exact(levels)
    params = best * np.exp(rng.uniform(-1.6, 1.6, rows))
    tokens = levels / (6 * params)
    loss = TRUTH["E"] + TRUTH["A"] / params ** TRUTH["alpha"] + TRUTH["B"] / tokens ** TRUTH["beta"]
    return pl.DataFrame({"params": params, "tokens": tokens, "loss": loss * np.exp(noise * rng.standard_normal(rows))})


def exact(flops):
    """The best size of the planted law at a compute."""
    total = TRUTH["alpha"] + TRUTH["beta"]
    log_G = np.log(TRUTH["alpha"] * TRUTH["A"] / (TRUTH["beta"] * TRUTH["B"])) / total
    return np.exp(log_G + TRUTH["beta"] / total * np.log(flops / 6))


def allocations(repeats):
    """Coverage of the intervals of the best size and tokens, by each approach."""
    print(
        "| runs | approach | repeats with an answer | interval of the best N at 100x contains it | of the best D | median width, as a factor |"
    )
    print("|---|---|---|---|---|---|")
    flops = 3e23
    truth = float(exact(np.array(flops)))
    for rows in (60, 240):
        held = {}
        for seed in range(repeats):
            runs = rung.read_runs(surface(seed, rows))
            for one in compare_approaches(runs, rung.fit(runs, LAW, draws=0), flops).approaches:
                low, high = (bound or end for bound, end in zip(one.params_interval, (0, np.inf), strict=True))
                fewest, most = (bound or end for bound, end in zip(one.tokens_interval, (0, np.inf), strict=True))
                held.setdefault(one.name, []).append(
                    (low <= truth <= high, fewest <= flops / 6 / truth <= most, high / max(low, 1e-300))
                )
        for name, found in held.items():
            params, tokens, widths = zip(*found, strict=True)
            print(
                f"| {rows} | {name} | {len(found)} | {np.mean(params):.3f} | {np.mean(tokens):.3f} | {statistics.median(widths):.2f} |",
                flush=True,
            )


def parabolas():
    """Errors of the best size on five surfaces of published exponents, for grids of sizes centred on it."""
    print(
        "\n| alpha, beta | half width | minimum of the parabola over the best size, less one | analytic, leading order | ours |"
    )
    print("|---|---|---|---|---|")
    for alpha, beta in ((0.34, 0.28), (0.3478, 0.3658), (0.3511, 0.4587), (0.5, 0.3), (0.31, 0.31)):
        fit = rung.fit(planted(alpha, beta), LAW, draws=0)
        best = float(best_sizes(fit, np.array([1e21]))[0])
        A, B = 400.0, 2000.0
        truth = np.exp((np.log(alpha * A / (beta * B)) + beta * np.log(1e21 / 6)) / (alpha + beta))
        for half in (np.log(2), np.log(8)):
            x = np.log(truth) + np.linspace(-half, half, 9)
            loss = 1.8 + A / np.exp(x) ** alpha + B / (1e21 / 6 / np.exp(x)) ** beta
            bottom = bottom_of(x, loss, PARABOLA).at
            print(
                f"| {alpha}, {beta} | {half:.2f} | {np.expm1(bottom - np.log(truth)):+.3%} | "
                f"{np.expm1(parabola_bias(alpha, beta, x)):+.3%} | {best / truth - 1:+.1e} |"
            )


def planted(alpha, beta):
    """Noise-free runs over a grid of params and tokens."""
    params, tokens = (part.ravel() for part in np.meshgrid(np.geomspace(1e8, 1e10, 8), np.geomspace(1e9, 3e11, 8)))
    return pl.DataFrame({"params": params, "tokens": tokens, "loss": 1.8 + 400 / params**alpha + 2000 / tokens**beta})


def ladder(seed, multiplier=1.0, alpha=0.3, factor=400.0, floor=1.7, sizes=10, low=1e7, high=1e10):
    """Sizes of one recipe with 1 % noise, worth `multiplier` times as many parameters each."""
    rng = np.random.default_rng(seed)
    params = np.geomspace(low, high, sizes)
    loss = floor + factor / (params * multiplier) ** alpha
    return rung.read_runs(pl.DataFrame({"params": params, "loss": loss * np.exp(0.01 * rng.standard_normal(sizes))}))


def comparisons(repeats):
    """Verdicts on pairs of recipes."""
    print(
        "\n| planted multiplier | 90 % interval contains it | treated called better | control called better | verdicts |\n|---|---|---|---|---|"
    )
    for multiplier in (1.0, 1.1, 1.5):
        inside, better, verdicts = [], Counter(), Counter()
        for seed in range(repeats):
            found = compare(ladder(seed), ladder(100_000 + seed, multiplier))
            one = found.constant[-1]
            inside.append((one.low or 0) <= multiplier <= (one.high or np.inf))
            better[found.better] += 1
            verdicts[found.verdict] += 1
        shares = [better[name] / repeats for name in ("B", "A")]
        counted = ", ".join(f"{name} {count}" for name, count in verdicts.most_common())
        print(f"| {multiplier} | {np.mean(inside):.3f} | {shares[0]:.3f} | {shares[1]:.3f} | {counted} |", flush=True)
    print("\n| planted exponents, ten sizes over 1e6 to 1e11 | verdicts of 100 |\n|---|---|")
    for other in (0.060, 0.028):
        verdicts = Counter()
        for seed in range(100):
            wide = {"factor": 6.0, "floor": 0.0, "low": 1e6, "high": 1e11}
            verdicts[
                compare(ladder(seed, alpha=0.029, **wide), ladder(100_000 + seed, alpha=other, **wide)).verdict
            ] += 1
        print(
            f"| .029 against {other:.3f} | {', '.join(f'{name} {count}' for name, count in verdicts.most_common())} |",
            flush=True,
        )


def timings():
    """CPU seconds of each command."""
    runs = surface(0, 240)
    fit = rung.fit(runs, LAW, draws=0)
    other = rung.read_runs(surface(1, 240))
    commands = {
        "allocate": lambda: rung.allocate(fit, flops=3e23),
        "allocate, a cost without a closed form": lambda: rung.allocate(fit, flops=3e23, cost="6*N*D + 2*N*2e12"),
        "allocate, a target loss at that cost": lambda: rung.allocate(fit, loss=2.1, cost="6*N*D + 2*N*2e12"),
        "next": lambda: rung.next_runs(fit, budget=1e22, targets=[{"N": 7e10, "D": 1.4e12}]),
        "compare": lambda: compare(rung.read_runs(runs), other),
        "density": lambda: rung.density(fit, loss=2.1, params=1e10, tokens=2e11),
        "tune": lambda: tune(params=1e9, tokens=2e10),
    }
    print("\n| command, 240 rows | CPU s |\n|---|---|")
    for name, call in commands.items():
        call()
        print(f"| {name} | {statistics.median(timed(call)[0] for _ in range(3)):.2f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--only", choices=("allocations", "parabolas", "comparisons", "timings"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    jobs = {
        "allocations": lambda: allocations(arguments.repeats),
        "parabolas": parabolas,
        "comparisons": lambda: comparisons(arguments.repeats),
        "timings": timings,
    }
    for name, job in jobs.items():
        if arguments.only in {None, name}:
            job()


if __name__ == "__main__":
    main()
