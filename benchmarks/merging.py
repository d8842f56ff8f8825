"""Merging three models of 1.48 GB in bfloat16 and three shards each: CPU seconds and peak memory of each method, beside cp.

    python benchmarks/merging.py [--folder FOLDER] [--mergekit PYTHON] [--sparse 100]

The models are Llama-like and random; they need 6 GB of disk. With the Python of an environment in which mergekit is installed, which
needs other versions than Rung's own tests, both merge one tensor of 32-bit floats, and the results are compared.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from rung.models import from_float32, open_weights
from rung.treat import MergeOptions, merge_models

LAYERS, WIDTH, INNER, VOCABULARY = 16, 2048, 5632, 32000


def shapes():
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        for part, shape in {
            "self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (WIDTH // 4, WIDTH), "self_attn.v_proj": (WIDTH // 4, WIDTH),
            "self_attn.o_proj": (WIDTH, WIDTH), "mlp.gate_proj": (INNER - 1648, WIDTH), "mlp.up_proj": (INNER - 1648, WIDTH),
            "mlp.down_proj": (WIDTH, INNER - 1648), "input_layernorm": (WIDTH,), "post_attention_layernorm": (WIDTH,),
        }.items():  # fmt: skip
            yield f"{name}{part}.weight", shape
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCABULARY, WIDTH)


def make(folder, seed, base_seed=0):
    """A model near the base of a seed, in three shards."""
    folder.mkdir(parents=True)
    listed = list(shapes())
    parts = [listed[index * len(listed) // 3 : (index + 1) * len(listed) // 3] for index in range(3)]
    mapped = {}
    for index, part in enumerate(parts, 1):
        file = f"model-{index:05d}-of-00003.safetensors"
        header, at = {}, 0
        for name, shape in part:
            size = 2 * int(np.prod(shape))
            header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
            at += size
            mapped[name] = file
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            for number, (_, shape) in enumerate(part):
                rng = np.random.default_rng([base_seed, index, number])
                values = 0.02 * rng.standard_normal(int(np.prod(shape)), dtype=np.float32)
                if seed:
                    noise = np.random.default_rng([seed, index, number])
                    values += np.float32(0.001) * noise.standard_normal(len(values), dtype=np.float32)
                out.write(from_float32(values, "BF16"))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": mapped}))
    (folder / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')


def make_sparse(folder, gigabytes):
    """A model of zeros that takes no room on a disk that knows holes, in shards of 5 GB and tensors of 256 MB."""
    folder.mkdir(parents=True)
    shape, size = [65536, 2048], 2 * 65536 * 2048
    names = [f"model.layers.{index}.weight" for index in range(max(round(gigabytes * 1e9 / size), 1))]
    shards = [names[at : at + 18] for at in range(0, len(names), 18)]
    mapped = {}
    for index, part in enumerate(shards, 1):
        file = f"model-{index:05d}-of-{len(shards):05d}.safetensors"
        header = {name: {"dtype": "BF16", "shape": shape, "data_offsets": [at * size, (at + 1) * size]} for at, name in enumerate(part)}  # fmt: skip
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            out.truncate(8 + len(text) + size * len(part))
        mapped |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": mapped}))
    (folder / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')


def large(place, count, gigabytes):
    """Many large models of zeros into one."""
    models = [place / f"large-{index}" for index in range(count)]
    for model in models:
        make_sparse(model, gigabytes)
    command = [sys.executable, "-m", "rung.cli", "merge", *models, "--method", "task-arithmetic", "-o", place / "out"]
    print(f"{count} models of {gigabytes:g} GB, task arithmetic: {measured(command)}")
    for model in (*models, place / "out"):
        shutil.rmtree(model, ignore_errors=True)


def measured(command):
    """CPU seconds and peak memory [GB] of a command."""
    code = (
        "import json, resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE);"
        "u = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(json.dumps([done.returncode, u.ru_utime + u.ru_stime, u.ru_maxrss / 1e6, done.stderr.decode()[-300:]]))"
    )
    ran = subprocess.run([sys.executable, "-c", code, *map(str, command)], capture_output=True, text=True, check=True)
    status, seconds, memory, said = json.loads(ran.stdout)
    return f"{seconds:6.1f} CPU s, {memory:.2f} GB" if status == 0 else f"failed: {said}"


PEER = """
import sys, numpy as np, torch
from mergekit.merge_methods.api import merge_tensors
given = {name: torch.from_numpy(values) for name, values in np.load(sys.argv[1]).items()}
base, far, experts = given["base"], given["far"], [given[name] for name in ("a", "b", "c")]
found = {
    "average": merge_tensors(experts, "linear", parameters={"weight": [1.0, 2.0, 3.0]}),
    "task-arithmetic": merge_tensors(
        [base, *experts], "task_arithmetic", base_index=0, parameters={"weight": [1.0, 0.5, -1.0], "lambda": 0.7, "normalize": False}
    ),
    "ties": merge_tensors(
        [base, *experts], "ties", base_index=0, parameters={"weight": [1.0, 1.0, 1.0], "density": 0.2, "normalize": True}
    ),
    "slerp": merge_tensors([base, far], "slerp", base_index=0, parameters={"t": 0.3}),
    "model-stock": merge_tensors([base, *experts], "model_stock", base_index=0),
}
np.savez(sys.argv[2], **{name: values.numpy() for name, values in found.items()})
"""


def beside_mergekit(place, python):
    """One tensor of 32-bit floats, merged by both."""
    rng = np.random.default_rng(0)
    tensors = {name: (0.02 * rng.standard_normal((300, 200))).astype(np.float32) for name in ("base", "far")}
    together = 0.0005 * rng.standard_normal((300, 200))  # what the experts learnt in common, as experts of one base do
    for name in "abc":
        tensors[name] = (tensors["base"] + together + 0.001 * rng.standard_normal((300, 200))).astype(np.float32)
    np.savez(place / "given.npz", **tensors)
    subprocess.run([python, "-c", PEER, place / "given.npz", place / "theirs.npz"], check=True)
    theirs = np.load(place / "theirs.npz")
    for name, values in tensors.items():
        header = json.dumps({"w": {"dtype": "F32", "shape": [300, 200], "data_offsets": [0, values.nbytes]}}).encode()
        (place / f"{name}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes())
    asked = {
        "average": ("abc", MergeOptions(weights=(1, 2, 3))),
        "task-arithmetic": (("base", *"abc"), MergeOptions(weights=(1, 0.5, -1), scale=0.7)),
        "ties": (("base", *"abc"), MergeOptions(keep=0.2, trim="tensor")),
        "slerp": (("base", "far"), MergeOptions(at=0.3)),
        "model-stock": (("base", *"abc"), MergeOptions()),
    }
    for method, (names, options) in asked.items():
        shutil.rmtree(place / method, ignore_errors=True)
        merge_models([place / f"{name}.safetensors" for name in names], place / method, method, options)
        ours = np.concatenate(list(open_weights(place / method).floats("w", 1 << 20))).reshape(300, 200)
        apart = np.abs(ours - theirs[method])
        print(
            f"{method:20} equal to mergekit in {100 * np.mean(apart == 0):.1f} % of numbers, largest difference {apart.max():.1e}"
        )


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--folder", type=Path)
    options.add_argument("--mergekit", help="the Python of an environment with mergekit")
    options.add_argument("--sparse", type=float, help="merge ten models of zeros instead, of so many GB together")
    asked = options.parse_args()
    place = asked.folder or Path(tempfile.mkdtemp())
    if asked.sparse:
        large(place, 10, asked.sparse / 10)
        return
    models = [place / name for name in ("base", "a", "b")]
    for seed, model in enumerate(models):
        if not model.exists():
            make(model, seed)
    size = sum(file.stat().st_size for file in models[0].glob("*.safetensors"))
    print(f"three models of {size / 1e9:.3f} GB")
    print(f"cp of one            {measured(['cp', '-r', models[0], place / 'copy'])}")
    shutil.rmtree(place / "copy")
    rung = [sys.executable, "-m", "rung.cli", "merge"]
    for name, sources, more in (
        ("average of three", models, ["--method", "average"]),
        ("task arithmetic", models, ["--method", "task-arithmetic"]),
        ("slerp of two", models[1:], ["--method", "slerp"]),
        ("ties, global", models, ["--method", "ties"]),
        ("ties, by tensor", models, ["--method", "ties", "--trim", "tensor"]),
        ("dare-ties", models, ["--method", "dare-ties"]),
        ("model stock", models, ["--method", "model-stock"]),
    ):
        print(f"{name:20} {measured([*rung, *sources, *more, '-o', place / 'out'])}", flush=True)
        shutil.rmtree(place / "out", ignore_errors=True)
    if asked.mergekit:
        beside_mergekit(place, asked.mergekit)


if __name__ == "__main__":
    main()
