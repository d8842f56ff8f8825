"""Students that learn from a teacher's likeliest tokens beside students of the same size that learn from the text alone.

    python benchmarks/distillation.py [--folder FOLDER] [--seeds 3]

The teacher is Llama-like, of width 32, trained on 3 million bytes of Python's standard library; students of width 16 see 1 million bytes of the
same text. Loyalty is measured on documents that were held out. The memory of a student's training is measured with a teacher of width 32
and one of width 128 (not trained; it answers at random).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pruning import train
from rung.ladder import read_ladder
from rung.ladder.execution import prepare
from rung.treat import Teaching, loyalty_of_models, teach

STUDENT = """
output = "NAME"
[family]
name = "llama"
context = 64
head_width = 8
rope_base = 100.0
[corpus]
name = "teacher"
path = "TAUGHT"
[recipe]
soft = SOFT
temperature = TEMPERATURE
[launch]
launcher = "local"
workers = 2
threads = 1
[[rung]]
depth = 1
width = 16
tokens = TOKENS
seeds = SEEDS
"""


def students(place, name, taught, soft, temperature, seeds, tokens="1e6"):
    text = STUDENT
    for key, value in {
        "NAME": name,
        "TAUGHT": taught,
        "SOFT": soft,
        "TEMPERATURE": temperature,
        "SEEDS": seeds,
        "TOKENS": tokens,
    }.items():
        text = text.replace(key, str(value))
    (place / f"{name}.toml").write_text(text)
    # In one process, whose own high-water mark is read: that of a child would begin at its parent's.
    code = (
        "import sys; from rung.cli import main; sys.argv = ['rung', 'ladder', 'run', sys.argv[1], '--launcher', 'here']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"{name}.toml"], cwd=place, capture_output=True, text=True, check=True
    )
    return sorted(file.parent for file in (place / name).glob("*/rung.json")), int(done.stdout.split()[-1]) / 1e3


def losses(runs):
    return [
        float(json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["evaluation"]["loss"]) for run in runs
    ]


def big_teacher(place):
    """A network of another size with random weights, as a finished run."""
    import torch
    from safetensors.torch import save_file

    from rung.ladder.architectures import build_network

    text = (place / "ladder.toml").read_text().split("[[rung]]")[0].replace('"runs"', '"big"')
    (place / "big.toml").write_text(f"{text}[[rung]]\ndepth = 12\nwidth = 512\ntokens = 1e5\n")
    folder = prepare(read_ladder(place / "big.toml"))[0]
    torch.manual_seed(0)
    rung = folder.rung()
    save_file(
        {name: value.contiguous() for name, value in build_network(rung.made_family, rung.size).state_dict().items()},
        folder.model_path,
    )
    return folder.path, rung.counts.total


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--folder", type=Path)
    options.add_argument("--seeds", type=int, default=3)
    asked = options.parse_args()
    place = asked.folder or Path(tempfile.mkdtemp())
    teacher = train(place, asked.seeds)[0].parent
    taught = place / "taught"
    answers = teach([teacher], taught, Teaching(data=(str(place / "seen.jsonl"),), context=64, one_in=10))
    print(
        f"{answers.headline()}; {answers.bytes_per_token:.2f} bytes for each token at k = {answers.likeliest} (asked: 40)",
        flush=True,
    )
    held, seeds = (str(place / "held.jsonl"),), list(range(asked.seeds))
    for name, soft, temperature in (("control", 0, 1), ("soft", 0.5, 1), ("softer", 0.5, 2), ("mostly", 0.9, 1)):
        runs, memory = students(place, name, taught, soft, temperature, seeds)
        loyal = [loyalty_of_models(teacher, run, held, windows=64).found for run in runs]
        shown = ", ".join(
            f"{kind} {np.round([one[kind][0] for one in loyal], 4).tolist()}" for kind in ("label", "probability")
        )
        print(
            f"{name:8} soft {soft}, T {temperature}: loss {np.round(losses(runs), 4).tolist()}; loyalty {shown}; {memory:.0f} MB",
            flush=True,
        )
    path, params = big_teacher(place)
    rows = (place / "seen.jsonl").read_text().splitlines()[:12]
    (place / "short.jsonl").write_text("\n".join(rows))
    for one, label in ((teacher, "the small teacher"), (path, f"a teacher of {params / 1e6:.1f}M parameters")):
        folder = place / f"short-{one.name}"
        teach([one], folder, Teaching(data=(str(place / "short.jsonl"),), context=64, one_in=3))
        _, memory = students(place, f"memory-{one.name}", folder, 0.5, 1, [0], tokens="3e4")
        print(f"a student of {label} trains in {memory:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
