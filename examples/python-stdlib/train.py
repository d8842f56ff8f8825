"""Train a ladder of byte-level transformers on the source text of Python's standard library.

The table beside this script, `runs.csv`, is its output: one row per evaluation, the last row of
each run being the finished model. Everything runs on the CPU; seeds are fixed.

    python examples/python-stdlib/train.py --list            # what would be trained
    python examples/python-stdlib/train.py -o runs.csv       # train whatever the table lacks

Protocol, the same rule for every run:

* Text: every `.py` file of the running interpreter's standard library except its tests, idlelib,
  lib2to3 and bundled wheels; one byte is one token. Files whose path hashes to 0 modulo 20 are
  held out; the loss is the mean cross-entropy on 1024 fixed windows of them [nats/byte].
* Model: pre-norm decoder, rotary positions, GELU MLP of 4 widths, no biases, context 128.
  `params` counts non-embedding weights (blocks and norms); the embedding and the output head,
  256 x width each, are in `params_total` only.
* Schedule: linear warm-up over the first 5 %, constant, linear decay to zero over the last 30 %.
  Only the last row of a run is decayed (`phase` = final); the earlier rows are not comparable
  with it.
* Batch: 512 tokens at 30 thousand training tokens, growing with the square root of the training
  tokens, in whole windows of 128. Learning rate: `LR_AT_WIDTH_32 * (32 / width)`, from the sweep that
  `--sweep` repeats.
* No window of training text is seen twice.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import os
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

CONTEXT = 128
EVAL_WINDOWS = 1024
LR_AT_WIDTH_32 = 0.01
SHAPES = ((2, 16), (2, 24), (3, 32), (4, 40), (4, 56), (5, 72), (6, 96), (6, 120))
TOKENS_PER_PARAM = (
    (5, 10, 20, 40, 80, 160),
    (5, 10, 20, 40, 80, 160),
    (5, 10, 20, 40, 80, 160),
    (5, 10, 20, 40, 80),
    (5, 10, 20, 40, 60),
    (5, 10, 20),
    (5, 10),
    (4, 8),
)
REPEATED = {(1, 20), (1, 80), (3, 10), (3, 20)}
"""(shape, tokens per parameter) cells trained with three seeds instead of one."""

COLUMNS = (
    *("run", "params", "params_total", "tokens", "loss", "step", "phase", "flops", "width", "depth"),
    *("batch_tokens", "lr", "seed", "time_s"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run of the ladder."""

    depth: int
    width: int
    tokens_per_param: float
    seed: int
    lr: float

    @property
    def name(self) -> str:
        return f"d{self.depth}-w{self.width}-x{self.tokens_per_param:g}-s{self.seed}"

    @property
    def params(self) -> int:
        return 12 * self.depth * self.width**2 + (2 * self.depth + 1) * self.width

    @property
    def batch(self) -> int:
        """Windows per step."""
        tokens = 512 * math.sqrt(self.tokens_per_param * self.params / 30e3)
        return max(4, round(tokens / CONTEXT))

    @property
    def steps(self) -> int:
        return round(self.tokens_per_param * self.params / (self.batch * CONTEXT))


def ladder() -> list[Plan]:
    """Every run, cheapest first."""
    plans = [
        Plan(depth=depth, width=width, tokens_per_param=ratio, seed=seed, lr=LR_AT_WIDTH_32 * 32 / width)
        for shape, (depth, width) in enumerate(SHAPES)
        for ratio in TOKENS_PER_PARAM[shape]
        for seed in range(3 if (shape, ratio) in REPEATED else 1)
    ]
    return sorted(plans, key=lambda plan: plan.params**2 * plan.tokens_per_param)


def read_text() -> tuple[np.ndarray, np.ndarray]:
    """The bytes to train on and the bytes held out; files are kept or held out whole."""
    root = Path(sysconfig.get_paths()["stdlib"])
    skipped = {"site-packages", "test", "tests", "idlelib", "lib2to3", "ensurepip"}
    kept: list[bytes] = []
    held: list[bytes] = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if skipped & set(relative.parts):
            continue
        digest = hashlib.sha256(relative.as_posix().encode()).digest()
        (held if digest[0] % 20 == 0 else kept).append(path.read_bytes() + b"\0")
    order = np.random.default_rng(0).permutation(len(kept))
    joined = b"".join(kept[index] for index in order)
    return np.frombuffer(joined, np.uint8), np.frombuffer(b"".join(held), np.uint8)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 8
        self.norm_attention = nn.RMSNorm(width)
        self.norm_mlp = nn.RMSNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        batch, length, width = x.shape
        mixed = self.query_key_value(self.norm_attention(x))
        query, key, value = mixed.view(batch, length, 3, self.heads, 8).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(
            rotate(query, cosine, sine), rotate(key, cosine, sine), value, is_causal=True
        )
        x = x + self.output(attended.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.norm_mlp(x)), approximate="tanh"))


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)


class Decoder(nn.Module):
    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, 256, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=1.0 if "embedding" in name else width**-0.5)
        for block in self.blocks:
            nn.init.normal_(block.output.weight, std=(2 * depth * width) ** -0.5)
            nn.init.normal_(block.down.weight, std=(8 * depth * width) ** -0.5)
        nn.init.zeros_(self.head.weight)
        angle = torch.outer(torch.arange(CONTEXT), 100.0 ** (-torch.arange(4) / 4))
        self.register_buffer("cosine", angle.cos(), persistent=False)
        self.register_buffer("sine", angle.sin(), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cosine, self.sine)
        return self.head(self.norm(x))

    def non_embedding(self) -> int:
        return sum(p.numel() for name, p in self.named_parameters() if name.split(".")[0] not in {"embedding", "head"})


def cross_entropy(model: Decoder, windows: np.ndarray) -> Tensor:
    """Mean next-byte loss over windows of CONTEXT + 1 bytes [nats/byte]."""
    tokens = torch.from_numpy(windows.astype(np.int64))
    return functional.cross_entropy(model(tokens[:, :-1]).reshape(-1, 256), tokens[:, 1:].reshape(-1))


@torch.no_grad()
def evaluate(model: Decoder, windows: np.ndarray) -> float:
    return float(np.mean([cross_entropy(model, windows[i : i + 64]).item() for i in range(0, len(windows), 64)]))


def rate(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: warm-up, constant, decay."""
    warm = max(1, round(0.05 * steps))
    decay = max(1, round(0.3 * steps))
    return min(1.0, (step + 1) / warm, (steps - step) / decay)


def train(plan: Plan, text: np.ndarray, held: np.ndarray) -> list[dict[str, object]]:
    """Train one run; its evaluation rows, the finished model last."""
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng((plan.seed, plan.depth, plan.width))
    starts = rng.permutation(len(text) // CONTEXT - 1)[: plan.steps * plan.batch] * CONTEXT
    if len(starts) < plan.steps * plan.batch:
        raise SystemExit(f"{plan.name}: {plan.steps * plan.batch} windows wanted, the text holds {len(starts)}")
    span = np.arange(CONTEXT + 1)
    eval_starts = np.linspace(0, len(held) - CONTEXT - 1, EVAL_WINDOWS).astype(int)
    eval_windows = held[eval_starts[:, None] + span]
    model = Decoder(plan.depth, plan.width)
    if model.non_embedding() != plan.params:
        raise SystemExit(f"{plan.name}: {model.non_embedding()} parameters built, {plan.params} planned")
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.lr, betas=(0.9, 0.95), weight_decay=0.0)
    constant_end = plan.steps - max(1, round(0.3 * plan.steps))
    marks = {round(constant_end * share) for share in (0.25, 0.5, 0.75, 1.0)} | {plan.steps}
    rows: list[dict[str, object]] = []
    began = time.perf_counter()
    for step in range(plan.steps):
        optimizer.param_groups[0]["lr"] = plan.lr * rate(step, plan.steps)
        windows = text[starts[step * plan.batch : (step + 1) * plan.batch, None] + span]
        optimizer.zero_grad()
        cross_entropy(model, windows).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step + 1 in marks:
            tokens = (step + 1) * plan.batch * CONTEXT
            rows.append(
                {
                    "run": plan.name,
                    "params": plan.params,
                    "params_total": plan.params + 512 * plan.width,
                    "tokens": tokens,
                    "loss": round(evaluate(model, eval_windows), 6),
                    "step": step + 1,
                    "phase": "final" if step + 1 == plan.steps else "constant",
                    "flops": 6 * plan.params * tokens,
                    "width": plan.width,
                    "depth": plan.depth,
                    "batch_tokens": plan.batch * CONTEXT,
                    "lr": f"{plan.lr:.6g}",
                    "seed": plan.seed,
                    "time_s": round(time.perf_counter() - began, 2),
                }
            )
    return rows


def read_table(path: Path) -> list[dict[str, object]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, rows: list[dict[str, object]]) -> None:
    beside = path.with_name(path.name + ".part")
    with beside.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(beside, path)


def sweep(text: np.ndarray, held: np.ndarray) -> None:
    """The final loss over learning rates at three cells, which LR_AT_WIDTH_32 was read from."""
    for depth, width, ratio in ((2, 16, 20), (3, 32, 20), (4, 56, 5), (5, 72, 5)):
        for base in (0.0025, 0.005, 0.01, 0.02, 0.04):
            plan = Plan(depth=depth, width=width, tokens_per_param=ratio, seed=0, lr=base * 32 / width)
            print(
                f"{plan.name}  lr at width 32 {base:<7} loss {train(plan, text, held)[-1]['loss']}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("runs.csv"))
    parser.add_argument("--list", action="store_true", help="print the runs and stop")
    parser.add_argument("--sweep", action="store_true", help="print the learning-rate sweep and stop")
    parser.add_argument("--share", default="0/1", metavar="I/N", help="train every N-th run, from the I-th")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    index, count = map(int, arguments.share.split("/"))
    plans = ladder()[index::count]
    if arguments.list:
        for plan in plans:
            print(
                f"{plan.name:<18} params {plan.params:>9,}  tokens {plan.steps * plan.batch * CONTEXT:>11,}  steps {plan.steps}"
            )
        return
    text, held = read_text()
    if arguments.sweep:
        sweep(text, held)
        return
    rows = read_table(arguments.output)
    done = {row["run"] for row in rows}
    for plan in plans:
        if plan.name not in done:
            rows += train(plan, text, held)
            write_table(arguments.output, rows)
            print(f"{plan.name}: loss {rows[-1]['loss']} in {rows[-1]['time_s']} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
