"""Forecasts of task scores with sizes held out, beside the procedures of the ladders' own authors.

    python benchmarks/task_scaling.py [--data FOLDER]

OLMo ladder: fitted to the sizes below 1B (and below 700M), scored at every larger run's end; Gadre's three ladders: fitted below
400M parameters, scored at 411M, tasks whose smaller runs lie 5 points above chance. Errors are mean absolute relative errors over
runs, averaged over tasks. The authors' procedures are own code from their papers:

    OLMo   E + A/N^a + B/D^b of the task loss by Huber's loss on its logarithm, a free logistic through smoothed checkpoints (2412.04403)
    Gadre  the same law of the loss on C4, error = e - k exp(-g loss) (2403.08540; there for the mean over tasks)
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from scipy.optimize import least_squares

from rung.runs import read_runs
from rung.skill import Task, predict_scores, task_table

CHANCE = {"boolq": 0.5, "piqa": 0.5, "winogrande": 0.5, "socialiqa": 1 / 3, "csqa": 0.2}


def loss_law(ends):
    n, d, y = (np.log(ends[name].to_numpy()) for name in ("params", "tokens", "task_loss"))

    def law(p, n, d):
        return np.exp(p[0] - p[3] * n) + np.exp(p[1] - p[4] * d) + np.exp(p[2])

    starts = [[a, a, e, x, x] for a in (3.0, 6.0) for e in (-1.0, -0.3, 0.0) for x in (0.2, 0.4)]
    found = [
        least_squares(lambda p: np.log(law(p, n, d)) - y, s, loss="huber", f_scale=1e-3, max_nfev=400) for s in starts
    ]
    best = min(found, key=lambda one: one.cost).x
    return lambda plan: law(best, np.log(plan["N"]), np.log(plan["D"]))


def free_logistic(points, chance):
    x, y = (points[name].to_numpy() for name in ("task_loss", "score"))

    def curve(p, x):
        return p[0] / (1 + np.exp(np.clip(-p[2] * (x - p[1]), -50, 50))) + p[3]

    best = least_squares(
        lambda p: curve(p, x) - y, [chance - 1, np.median(x), 3.0, 1.0], loss="huber", f_scale=1e-3, max_nfev=2000
    ).x
    return lambda loss: curve(best, loss)


def exponential(points):
    x, y = (points[name].to_numpy() for name in ("task_loss", "score"))
    starts = [[0.9, 1.0, np.log(g)] for g in (0.5, 1, 2, 4)]
    found = [
        least_squares(lambda p: p[0] - p[1] * np.exp(-np.exp(p[2]) * x) - (1 - y), s, max_nfev=500) for s in starts
    ]
    best = min(found, key=lambda one: one.cost).x
    return lambda loss: 1 - (best[0] - best[1] * np.exp(-np.exp(best[2]) * loss))


def olmo(folder):
    table = pl.read_parquet(folder / "olmo_ladder.parquet").filter(pl.col("is_rerun") == 0)
    scores = [name for name in table.columns if name.endswith(("_5shot_len_norm", "_5shot_acc"))]
    names = [name.rsplit("_5shot_", 1)[0] for name in scores]
    chance = [next((v for k, v in CHANCE.items() if name.startswith(k)), 0.25) for name in names]
    tasks = [
        Task(name=n, score=s, loss=f"{n}_5shot_bpb", chance=c) for n, s, c in zip(names, scores, chance, strict=True)
    ]
    for most in (1e9, 7e8):
        yield (
            f"OLMo, below {most:.0e}",
            table.filter(pl.col("params") < most),
            table.filter(pl.col("params") > most),
            tasks,
            "logistic",
        )


def gadre(folder):
    table = pl.read_csv(folder / "gadre_overtraining.csv", infer_schema_length=None)
    known = pl.read_csv(folder / "gadre_task_metadata.csv").filter(pl.col("metric_column").is_in(table.columns))
    for data in table["train_dataset"].unique(maintain_order=True):
        rows = table.filter(pl.col("train_dataset") == data)
        small, large = rows.filter(pl.col("params") < 4e8), rows.filter(pl.col("params") > 4e8)
        tasks = [
            Task(
                name=row["eval_task"],
                score=row["metric_column"],
                loss="loss_c4_val",
                chance=row["random_baseline"] / 100,
            )
            for row in known.iter_rows(named=True)
            if rows[row["metric_column"]].null_count() <= 5
            and (small[row["metric_column"]].max() or 0) >= row["random_baseline"] / 100 + 0.05
        ]
        yield f"Gadre, {data}", small, large, tasks, "exponential"


def measure(title, small, large, tasks, theirs):
    small, large = read_runs(small), read_runs(large)
    rows, covered, inside_able = [], [], []
    for task in tasks:
        ends = task_table(large, task).ends if large.frame["params"].n_unique() > 1 else ends_of(large, task)
        plans = [{"N": row["params"], "D": row["tokens"]} for row in ends.iter_rows(named=True)]
        found = predict_scores(small, [task], plans).tasks[0]
        truth = ends["score"].to_numpy()
        ours = np.array([one.value for one in found.plans])
        table = task_table(small, task)
        law = loss_law(table.ends)
        link = free_logistic(smoothed(small, task), task.chance) if theirs == "logistic" else exponential(table.points)
        authors = np.array([link(law(plan)) for plan in plans])
        inside = [one.run_interval[0] <= y <= one.run_interval[1] for one, y in zip(found.plans, truth, strict=True)]
        covered += inside
        if found.signal.predictable:
            inside_able += inside
        rows.append(
            (
                task.name,
                np.mean(np.abs(ours / truth - 1)),
                np.mean(np.abs(authors / truth - 1)),
                np.mean(inside),
                found.signal.predictable,
            )
        )
        print(
            f"  {rows[-1][0]:44} {100 * rows[-1][1]:7.2f} % {100 * rows[-1][2]:7.2f} %   inside {rows[-1][3]:.2f}{'' if rows[-1][4] else '   not predictable: ' + found.signal.reason}",
            flush=True,
        )
    able = [row for row in rows if row[4]]
    for which, some, held in (("all", rows, covered), ("predictable", able, inside_able)):
        ours, authors = (np.array([row[column] for row in some]) for column in (1, 2))
        print(
            f"{title}, {len(some)} {which} tasks: mean {100 * ours.mean():.2f} % (authors' {100 * authors.mean():.2f} %), median {100 * np.median(ours):.2f} "
            f"(authors' {100 * np.median(authors):.2f}), lower on {np.sum(ours < authors)}; interval of a new run holds {np.mean(held):.2f}",
            flush=True,
        )


def smoothed(runs, task):
    """Every checkpoint from a tenth of each run on, as a running mean of five, as the paper has it."""
    frame = pl.DataFrame(
        {
            "run": runs.texts("run"),
            "tokens": runs.numbers("tokens"),
            "task_loss": runs.numbers(task.loss),
            "score": runs.numbers(task.score),
        }
    )
    parts = []
    for _, rows in frame.filter(pl.col("score").is_finite() & pl.col("task_loss").is_finite()).group_by(
        "run", maintain_order=True
    ):
        means = rows.sort("tokens").select(pl.col("task_loss", "score").rolling_mean(5))
        parts.append(means.slice(max(rows.height // 10, 4)))
    return pl.concat(parts)


def ends_of(runs, task):
    """The ends of runs of one size."""
    frame = runs.frame.with_columns(copy=pl.lit(0))
    other = (
        frame.head(1).with_columns(params=pl.col("params") * 2, run=pl.lit("another size"))
        if "run" in frame.columns
        else frame.head(1).with_columns(params=pl.col("params") * 2)
    )
    both = read_runs(pl.concat([frame, other]).drop("copy", runs.frame.columns[0]))
    return task_table(both, task).ends.filter(pl.col("params") < 1.5 * float(frame["params"].min()))


def published(folder):
    table = pl.read_csv(folder / "signal_noise_published.csv")
    print("\npublished errors of a ladder of these sizes at 7B and 13B (no score of those models is in the table):")
    for size in ("7b", "13b"):
        print(f"  {size}: median over {table.height} tasks {table[f'ladder_error_{size}_pct'].median():.2f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    folder = parser.parse_args().data
    for title, small, large, tasks, theirs in (*olmo(folder), *gadre(folder)):
        print(f"\n{title}: task, error of rung skill predict, of the authors' procedure")
        measure(title, small, large, tasks, theirs)
    published(folder)


if __name__ == "__main__":
    main()
