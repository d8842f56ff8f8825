"""What one-shot pruning costs a converged small model of real text, by method; and masks beside those of llm-compressor.

    python benchmarks/pruning.py [--folder FOLDER] [--seeds 3] [--llmcompressor PYTHON]

Llama-like models of width 32 are trained on 3 million bytes of Python's standard library, a minute each on two cores; documents that
were held out of the training are measured. With the Python of an environment in which llm-compressor is installed, both prune the first
model on the same windows, and masks are compared matrix by matrix.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from rung.ladder import read_ladder
from rung.models import Measuring, export_run, measure, open_model, open_weights
from rung.treat import Pruning, prune_model
from rung.treat.calibration import windows_of_text

LADDER = """
output = "runs"
[family]
name = "llama"
context = 64
head_width = 8
rope_base = 100.0
[corpus]
name = "python"
[launch]
launcher = "local"
workers = 2
threads = 1
[[rung]]
depth = 2
width = 32
tokens = 3e6
seeds = SEEDS
"""
SHARES = (0.5, 0.7)
METHODS = ("magnitude", "wanda", "sparsegpt", "obert")


def train(place, seeds):
    place.mkdir(parents=True, exist_ok=True)
    (place / "ladder.toml").write_text(LADDER.replace("SEEDS", str(list(range(seeds)))))
    subprocess.run(
        [sys.executable, "-m", "rung.cli", "ladder", "run", "ladder.toml"],
        cwd=place,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    first = read_ladder(place / "ladder.toml").rungs[0]
    opened = first.made_corpus.open(first.made_family, None)
    for name, tokens in (("held.jsonl", opened.held), ("seen.jsonl", opened.train[:2_000_000])):
        rows = [part.decode("utf-8", "ignore") for part in bytes(tokens.astype(np.uint8)).split(b"\0") if part.strip()]
        (place / name).write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    return sorted((place / "runs").glob("*/rung.json"))


def excess(place, runs):
    """By method and share, the loss of each seed's pruned model above its dense one, on held-out documents."""
    found = {}
    for run in (file.parent for file in runs):
        names = {(method, share): place / f"{run.name}-{method}-{share}" for method in METHODS for share in SHARES}
        names[("obert, one step", 0.7)] = place / f"{run.name}-one-0.7"
        for (method, share), output in names.items():
            if not output.exists():
                seen = () if method == "magnitude" else (str(place / "seen.jsonl"),)
                steps = 1 if "one" in method else 4
                prune_model(
                    run,
                    output,
                    Pruning(to=share, method=method.split(",")[0], calibrate=seen, windows=256, steps=steps),
                )
        measured = measure([run, *names.values()], Measuring(data=(str(place / "held.jsonl"),)))
        dense, *pruned = (one.loss.value for one in measured.models)
        print(f"{run.name}: dense {dense:.4f} nats per byte", flush=True)
        for key, loss in zip(names, pruned, strict=True):
            found.setdefault(key, []).append(loss - dense)
    return found


PEER = """
import sys, json, numpy as np, torch
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.pruning import WandaPruningModifier
try:
    from llmcompressor.modifiers.pruning import SparseGPTModifier
except ImportError:
    from llmcompressor.modifiers.obcq import SparseGPTModifier
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
tokens = np.load(sys.argv[2])
rows = Dataset.from_dict({"input_ids": tokens.tolist(), "attention_mask": np.ones_like(tokens).tolist()})
kind = {"wanda": WandaPruningModifier, "sparsegpt": SparseGPTModifier}[sys.argv[4]]
recipe = kind(sparsity=0.5, mask_structure=sys.argv[5], targets=["Linear"], ignore=["re:.*lm_head"])
oneshot(model=model, dataset=rows, recipe=recipe, max_seq_length=tokens.shape[1], num_calibration_samples=len(tokens))
np.savez(sys.argv[3], **{name: value.detach().numpy() for name, value in model.state_dict().items()})
"""


def beside(place, run, python):
    """The masks of both on the same windows."""
    if not (place / "hf").exists():
        export_run(run, place / "hf")
    model = open_model(place / "hf")
    seen = (str(place / "seen.jsonl"),)
    tokens = np.concatenate([one.numpy()[:, :-1] for one in windows_of_text(model, seen, count=256, context=None)])
    np.save(place / "tokens.npy", tokens)
    for method, pattern in (("wanda", "0:0"), ("sparsegpt", "0:0"), ("wanda", "2:4"), ("sparsegpt", "2:4")):
        theirs = place / f"theirs-{method}.npz"
        subprocess.run([python, "-c", PEER, place / "hf", place / "tokens.npy", theirs, method, pattern], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        output = Path(tempfile.mkdtemp()) / "ours"
        ours = {"to": 0.5} if pattern == "0:0" else {"pattern": pattern}
        prune_model(place / "hf", output, Pruning(method=method, calibrate=seen, windows=256, **ours))
        written, other = open_weights(output), np.load(theirs)
        agree = {}
        for name in (name for name in other.files if name.endswith("proj.weight")):
            values = np.concatenate(list(written.floats(name, 1 << 22))).reshape(other[name].shape)
            agree[name] = float(np.mean((values == 0) == (other[name] == 0)))
        first = [share for name, share in agree.items() if ".layers.0." in name]
        print(
            f"{method:10} {pattern:4} masks agree in {100 * np.mean(list(agree.values())):.2f} % of weights, in the first block in "
            f"{100 * np.mean(first):.2f} %; least in {min(agree, key=agree.get)}: {100 * min(agree.values()):.2f} %",
            flush=True,
        )


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--folder", type=Path)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--llmcompressor")
    asked = options.parse_args()
    place = asked.folder or Path(tempfile.mkdtemp())
    runs = train(place, asked.seeds)
    found = excess(place, runs)
    for share in SHARES:
        base = np.array(found[("magnitude", share)])
        for (method, at), losses in found.items():
            if at == share:
                shown = ", ".join(f"{value:.4f}" for value in losses)
                print(
                    f"{share:.0%} {method:16} excess {shown}; over magnitude's {np.round(np.array(losses) / base, 2).tolist()}"
                )
    if asked.llmcompressor:
        beside(place, runs[0].parent, asked.llmcompressor)


if __name__ == "__main__":
    main()
