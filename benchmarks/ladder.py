"""What the ladder costs beside a bare PyTorch loop: steps, start, logging and checkpoints, and two workers against one.

python benchmarks/ladder.py
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
ROUNDS = 7


def ladder(rungs, place, **launch):
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
        Path(place),
    )


@contextmanager
def folder():
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def saturated(trainer, steps):
    """The same model on the same windows, as one would write it down."""
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
    """Seconds a step of the trainer over those of the bare loop, in paired rounds of the same process."""
    print("step of the trainer over a bare loop's, median of paired rounds (lowest to highest)")
    with folder() as place:
        for depth, width in SIZES:
            (rung,) = ladder([{"depth": depth, "width": width, "steps": 10_000}], place).rungs
            count = {32: 60, 64: 25, 128: 8}[width]
            mine, theirs = Trainer(rung), Trainer(rung)
            step = saturated(theirs, rung.steps)
            ratios = []
            for turn in range(ROUNDS + 1):
                began = time.process_time()
                for _ in range(count):
                    mine.advance()
                between = time.process_time()
                for at in range(count):
                    step(turn * count + at)
                ratios.append((between - began) / (time.process_time() - between))
            ratios = ratios[1:]
            print(
                f"  depth {depth}, width {width:4}: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
                f"{1000 * (between - began) / count:.1f} ms a step"
            )


START = """
import sys, time
import torch
began = time.perf_counter()
from pathlib import Path
from rung.ladder import read_ladder
from rung.ladder.train import Trainer
(rung,) = read_ladder(sys.argv[1]).rungs
Trainer(rung, keep=Path(sys.argv[2])).advance()
print(time.perf_counter() - began)
"""

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


def start():
    """Seconds from torch's import to the first step done, with the corpus kept from before."""
    with folder() as place:
        file = place / "ladder.toml"
        file.write_text(FILE)
        taken = [
            float(
                subprocess.run(
                    [sys.executable, "-c", START, str(file), str(place / "kept")],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _ in range(6)
        ]
    print(
        f"start: {taken[0]:.2f} s with the corpus to be read, {median(taken[1:]):.2f} s after that, beyond torch's import"
    )


def keeping():
    """What logging every ten steps and a checkpoint a minute add to the steps, from checkpoints that are far more frequent."""
    with folder() as place:
        planned = ladder([{"depth": 4, "width": 64, "steps": 300}], place / "runs")
        often = prepare(replace(planned, output=place / "often"))[0]
        never = prepare(replace(planned, output=place / "never"))[0]
        trainer = Trainer(planned.rungs[0], keep=place)
        began = time.process_time()
        while trainer.step < 300:
            trainer.advance()
        trainer.evaluate()
        plain = time.process_time() - began
        taken = {}
        for name, run, seconds in (("logged", never, 1e9), ("checkpoints", often, 0.0)):
            began = time.process_time()
            work_on(run, Work(launch=replace(planned.launch, checkpoint_s=seconds), keep=place))
            taken[name] = time.process_time() - began
        each = (taken["checkpoints"] - taken["logged"]) / 30
    print(
        f"logging every 10 steps: {100 * (taken['logged'] / plain - 1):+.1f} % of the time of 300 steps; "
        f"a checkpoint takes {1000 * each:.0f} ms, so one a minute {100 * each / 60:.2f} %"
    )


def workers():
    """Twelve tiny runs on two local workers over the same on one, wall seconds."""
    rungs = [{"depth": 2, "width": 32, "steps": 150, "seeds": list(range(12))}]
    taken = {}
    with folder() as place:
        for count in (1, 2):
            planned = ladder(rungs, place / f"on-{count}", launcher="local", workers=count)
            began = time.perf_counter()
            execute_all(prepare(planned), planned.launch, planned.track)
            taken[count] = time.perf_counter() - began
    print(f"12 runs on two workers over one: {taken[2] / taken[1]:.2f} ({taken[2]:.1f} s against {taken[1]:.1f} s)")


def main():
    torch.set_num_threads(1)
    steps()
    start()
    keeping()
    workers()


if __name__ == "__main__":
    main()
