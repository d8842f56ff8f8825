"""Merging three models of 1.48 GB in bfloat16 and three shards each: CPU seconds and peak memory of each method, beside cp.

    python benchmarks/merging.py [--folder FOLDER]

The models are Llama-like and random; they need 6 GB of disk. Where mergekit is installed, it merges the same models.
"""

import argparse
import importlib.util
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from rung.models import from_float32

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


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--folder", type=Path)
    place = options.parse_args().folder or Path(tempfile.mkdtemp())
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
    if importlib.util.find_spec("mergekit") is None:
        print("mergekit is not installed: the peer was not measured here")
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
