"""What measuring costs above the bare forward loop over the same windows, and how far its loss is from Transformers' own.

    python benchmarks/measuring.py [--rounds 5]

A Llama-like model over bytes with random weights (width 256, 6 layers) reads 100 kB of Python's standard library in windows of 256 tokens; CPU
seconds, in pairs.
"""

import argparse
import json
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from rung.ladder import read_ladder
from rung.ladder.architectures import build_network
from rung.ladder.execution import prepare
from rung.models import Measuring, export_run, open_model
from rung.models.documents import documents
from rung.models.losses import Losses

CONTEXT = 256
LADDER = """
[family]
name = "llama"
context = 256
head_width = 64
[corpus]
name = "python"
[[rung]]
width = 256
depth = 6
tokens = 1e5
"""


def made(place):
    (place / "ladder.toml").write_text(LADDER)
    folder = prepare(read_ladder(place / "ladder.toml"))[0]
    rung = folder.rung()
    torch.manual_seed(0)
    network = build_network(rung.made_family, rung.size)
    torch.nn.init.normal_(network.head.weight, std=0.02)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder.model_path)
    export_run(folder.path, place / "hf")
    stdlib, size, rows = Path(sysconfig.get_paths()["stdlib"]), 0, []
    for file in sorted(stdlib.glob("*.py")):
        rows.append(json.dumps({"text": file.read_text(encoding="utf-8", errors="replace")}))
        size += file.stat().st_size
        if size > 100_000:
            break
    (place / "text.jsonl").write_text("\n".join(rows) + "\n")
    return open_model(place / "hf"), Measuring(data=(str(place / "text.jsonl"),))


def bare(model, how):
    """The sum of losses of windows laid end to end, by the model's own loss."""
    batches, nats, count = [], 0.0, 0
    for _, pieces in documents(how.data):
        tokens = np.concatenate([[model.start], *(model.encode(piece) for piece in pieces)])
        rows = [tokens[at : at + CONTEXT + 1] for at in range(0, len(tokens) - CONTEXT, CONTEXT)]
        rest = tokens[len(rows) * CONTEXT :]
        batches += [np.stack(rows[at : at + 32]) for at in range(0, len(rows), 32)]
        batches += [rest[None]] if len(rest) > 1 else []
    with torch.inference_mode():
        for batch in batches:
            given = torch.from_numpy(np.ascontiguousarray(batch))
            # Its loss is a mean over what each row predicts.
            scored = given.shape[0] * (given.shape[1] - 1)
            logits = model.network(input_ids=given[:, :-1], use_cache=False).logits
            nats += (
                float(torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), given[:, 1:].flatten())) * scored
            )
            count += scored
    return nats / count, count


def ours(model, how):
    found = [one for _, one in Losses(model=model, context=CONTEXT, stride=CONTEXT).of(enumerate(documents(how.data)))]
    tokens = sum(one.tokens for one in found)
    return sum(one.nats for one in found) / tokens, tokens


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    model, how = made(Path(tempfile.mkdtemp()))
    print(f"{model.size.params / 1e6:.1f}M parameters")
    ratios = []
    for number in range(asked.rounds + 1):
        taken, values = {}, {}
        for name, run in (("bare", bare), ("ours", ours)) if number % 2 else (("ours", ours), ("bare", bare)):
            begun = time.process_time()
            values[name] = run(model, how)
            taken[name] = time.process_time() - begun
        if number:  # the first round warms up
            ratios.append(taken["ours"] / taken["bare"])
            print(f"bare {taken['bare']:.2f} s, measured {taken['ours']:.2f} s: {ratios[-1]:.3f}", flush=True)
    assert values["bare"][1] == values["ours"][1]
    print(
        f"median {np.median(ratios):.3f} (asked: at most 1.05); losses {values['bare'][0]:.7f} and {values['ours'][0]:.7f}"
    )


if __name__ == "__main__":
    main()
