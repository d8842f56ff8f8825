"""The cost of the ladder, compared with a minimal PyTorch loop: `python benchmarks/ladder.py`.

Measured are the steps, the start, logging and checkpoints, and two workers compared with one.
"""

import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from rung.ladder import ladder_of
from rung.ladder.execution.orchestrate import execute_all, prepare
from rung.ladder.training.trainer import Trainer
from rung.ladder.training.worker import Work, work_on

SIZES = ((2, 32), (4, 64), (6, 128))
"""Depth and width of the networks."""

ROUNDS = 7
"""Paired rounds of the steps."""


def ladder(rungs, output, **launch):
    return ladder_of(
        {
            "family": {"name": "gpt", "head_width": 8, "context": 128},
            "corpus": {"name": "python"},
            "recipe": {"batch_tokens": 2048},
            "evaluate": {"items": 64, "at": [1.0]},
            "launch": {"threads": 1, **launch},
            "rung": rungs,
        },
        "benchmark",
        Path(output),
    )


@contextmanager
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def minimal_loop(trainer, steps):
    """A step of the same network on the same windows, as one would write it by hand."""
    net, rung, recipe = trainer.net, trainer.rung, trainer.rung.recipe
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=recipe.lr, betas=(recipe.beta1, recipe.beta2), weight_decay=0.0, fused=True
    )
    order = torch.randperm(trainer.data.unique_items).numpy()
    text, context = trainer.data.train, trainer.data.context
    span = torch.arange(context + 1).numpy()

    def step(at):
        starts = order[at * rung.batch : (at + 1) * rung.batch] * context
        windows = torch.from_numpy(text[starts[:, None] + span])
        optimizer.zero_grad(set_to_none=True)
        loss = net.losses((windows,))[0]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), recipe.clip)
        optimizer.param_groups[0]["lr"] = recipe.lr * recipe.rate(at, steps)
        optimizer.step()
        return loss

    return step


def steps():
    """Time of a step of the trainer over that of the minimal loop, in paired rounds of the same process."""
    print("a step of the trainer over one of a minimal loop, median of paired rounds (lowest to highest)")
    with folder() as output:
        for depth, width in SIZES:
            (rung,) = ladder([{"depth": depth, "width": width, "steps": 10_000}], output).rungs
            count = {32: 60, 64: 25, 128: 8}[width]
            ours, theirs = Trainer(rung), Trainer(rung)
            step = minimal_loop(theirs, rung.steps)
            ratios = []
            for round_ in range(ROUNDS + 1):
                started = time.process_time()
                for _ in range(count):
                    ours.advance()
                between = time.process_time()
                for at in range(count):
                    step(round_ * count + at)
                ratios.append((between - started) / (time.process_time() - between))
            ratios = ratios[1:]
            print(
                f"  depth {depth}, width {width:4}: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
                f"{1000 * (between - started) / count:.1f} ms per step"
            )


START = """
import sys, time
import torch
started = time.perf_counter()
from pathlib import Path
from rung.ladder import read_ladder
from rung.ladder.training import Trainer
(rung,) = read_ladder(sys.argv[1]).rungs
Trainer(rung, keep=Path(sys.argv[2])).advance()
print(time.perf_counter() - started)
"""
"""A first step in a new process, with the seconds after the import of torch."""

FILE = """
[family]
name = "gpt"
head_width = 8
[corpus]
name = "python"
[[rung]]
depth = 4
width = 64
tokens = 1e6
"""
"""The ladder file of that process."""


def start():
    """Seconds from the import of torch to the end of the first step, with and without a prepared corpus."""
    with folder() as output:
        file = output / "ladder.toml"
        file.write_text(FILE)
        taken = [
            float(
                subprocess.run(
                    [sys.executable, "-c", START, str(file), str(output / "kept")],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _ in range(6)
        ]
    print(
        f"start, after the import of torch: {taken[0]:.2f} s if the corpus must be read, {median(taken[1:]):.2f} s otherwise"
    )


def keeping():
    """The cost of logging every ten steps and of a checkpoint per minute, extrapolated from more frequent checkpoints."""
    with folder() as output:
        planned = ladder([{"depth": 4, "width": 64, "steps": 300}], output / "runs")
        often = prepare(replace(planned, output=output / "often"))[0]
        never = prepare(replace(planned, output=output / "never"))[0]
        trainer = Trainer(planned.rungs[0], keep=output)
        started = time.process_time()
        while trainer.step < 300:
            trainer.advance()
        trainer.evaluate()
        plain = time.process_time() - started
        taken = {}
        for name, run, seconds in (("logged", never, 1e9), ("checkpoints", often, 0.0)):
            started = time.process_time()
            work_on(run, Work(launch=replace(planned.launch, checkpoint_s=seconds), keep=output))
            taken[name] = time.process_time() - started
        each = (taken["checkpoints"] - taken["logged"]) / 30
    print(
        f"logging every 10 steps: {100 * (taken['logged'] / plain - 1):+.1f} % of the time of 300 steps; "
        f"a checkpoint takes {1000 * each:.0f} ms, so one per minute costs {100 * each / 60:.2f} %"
    )


def workers():
    """Wall seconds of twelve tiny runs on two local workers, over those on one."""
    rungs = [{"depth": 2, "width": 32, "steps": 150, "seeds": list(range(12))}]
    taken = {}
    with folder() as output:
        for count in (1, 2):
            planned = ladder(rungs, output / f"on-{count}", launcher="local", workers=count)
            started = time.perf_counter()
            execute_all(prepare(planned), planned.launch, planned.track)
            taken[count] = time.perf_counter() - started
    print(f"12 runs on two workers over one: {taken[2] / taken[1]:.2f} ({taken[2]:.1f} s against {taken[1]:.1f} s)")


def main():
    torch.set_num_threads(1)
    steps()
    start()
    keeping()
    workers()


if __name__ == "__main__":
    main()
