"""Lu, Luu and Buehler 2024, arXiv:2409.03444: continued pretraining, fine-tuning, preference optimization, then SLERP with a general model.

A language model of Python's standard library is fine-tuned on general functions (signature, then the first line of the docstring), and, from the same
base, on packages of its own: continued pretraining on their source, fine-tuning on their functions, and preferences of the true line
over another function's. Both are merged. A model's score is minus its loss, averaged over held-out general and held-out domain answers.

    synergy           score of the merge less the mean of both
    strong synergy    score of the merge less the better of both
"""

from __future__ import annotations

import ast
import json
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.ladder import Rung
from rung.papers.claims import FORM, SMALLER, Claim
from rung.papers.tables import Tables
from rung.papers.trained import finished_runs, one_thread, rungs_of
from rung.treat import MergeOptions, merge_models

_PACKAGES = ("asyncio", "email", "unittest", "importlib", "multiprocessing", "xml", "http")
"""The domain."""

_WIDTHS, _SEEDS, _DEPTH = (16, 32, 64), (0, 1, 2), 2
_TOKENS = {"base": 6e5, "general": 1.5e5, "source": 1.5e5, "answers": 1.5e5, "preferences": 5e4}
_SHAPE = {"context": 160, "head_width": 8, "rope_base": 100.0}
_ONE_IN, _LINE = 8, 72


def check(tables: Tables) -> list[Claim]:
    """The ends and the length of the arc on numbers, and the pipeline on small models of three sizes."""
    del tables
    with tempfile.TemporaryDirectory() as place:
        return [_arc(Path(place)), *_pipeline(Path(place))]


def _arc(place: Path) -> Claim:
    """SLERP ends at both models bit by bit, and keeps the length of vectors of one length."""
    rng = np.random.default_rng(0)
    one = rng.standard_normal((64, 32)).astype(np.float32)
    other = rng.standard_normal((64, 32)).astype(np.float32)
    other *= np.float32(np.linalg.norm(one) / np.linalg.norm(other))
    for name, value in (("one", one), ("other", other)):
        _write(place / f"{name}.safetensors", {"w": value})
    found = [_merge_of(place, ("one", "other"), at)["w"] for at in (0.0, 1.0, 0.3, 0.5)]
    ends = bool(np.array_equal(found[0], one) and np.array_equal(found[1], other))
    lengths = [float(np.linalg.norm(value) / np.linalg.norm(one)) for value in found]
    return Claim(
        what="the arc between two tensors ends at both bit by bit, and between tensors of one length keeps their length",
        asked="equal bits; a length of 1 within 1e-6",
        measured=f"{'equal' if ends else 'other'} bits; {max(abs(one - 1) for one in lengths):.1e}",
        scale=FORM,
        held=ends and max(abs(one - 1) for one in lengths) < 1e-6,
    )


@dataclass(frozen=True, slots=True)
class _Merge:
    """One size and seed: losses [nats/token] on general and domain answers (2,) of the general model, the expert, and their merges; and the mean cosine of their tensors."""

    params: int
    general: Array
    expert: Array
    arc: Array
    line: Array
    cosine: float

    @property
    def synergy(self) -> float:
        return float((self.general.mean() + self.expert.mean()) / 2 - self.arc.mean())

    @property
    def strong(self) -> float:
        return float(min(self.general.mean(), self.expert.mean()) - self.arc.mean())


def _pipeline(place: Path) -> list[Claim]:
    from scipy.stats import linregress, t

    files = _texts(place)
    with one_thread():
        found = [_merged(place / f"{width}-{seed}", files, width, seed) for width in _WIDTHS for seed in _SEEDS]
    by_size = [[one for one in found if one.params == params] for params in sorted({one.params for one in found})]
    learnt = [one.general[1] - one.expert[1] for one in found]
    line = linregress(np.log([one.params for one in found]), [one.strong for one in found])
    half = float(t.ppf(0.95, len(found) - 2) * line.stderr)
    apart = max(float(np.abs(one.arc - one.line).max()) for one in found)
    cosines = [one.cosine for one in found]
    error = float(np.std([one.arc.mean() for one in by_size[0]], ddof=1) / np.sqrt(len(_SEEDS)))
    return [
        Claim(
            what="continued pretraining, fine-tuning and preference optimization make an expert: its loss on answers of the domain is below the general model's",
            asked="for every size and seed",
            measured=f"{sum(gap > 0 for gap in learnt)} of {len(learnt)}; {np.mean(learnt):.3f} nats per token on average",
            scale=SMALLER,
            held=min(learnt) > 0,
        ),
        Claim(
            what="a merge by SLERP is better than the mean of both models it is made of (synergy)",
            asked="for every size and seed",
            measured=_told(by_size, "synergy"),
            scale=SMALLER,
            held=min(one.synergy for one in found) > 0,
        ),
        Claim(
            what="what a merge gains over the better of both (strong synergy) grows with size",
            published="seen at 7B and 8B, absent at 1.7B",
            measured=f"{_told(by_size, 'strong')}; slope over ln N {line.slope:+.4f} (90 %: {line.slope - half:+.4f} to {line.slope + half:+.4f})",
            scale=SMALLER,
            held=line.slope - half > 0,
        ),
        Claim(
            what="the arc is worth no more than the line: merges by SLERP and by the average differ by less than one standard error over seeds",
            asked=f"below {error:.4f} nats per token",
            measured=f"{apart:.4f}, at mean cosines of tensors from {min(cosines):.4f} to {max(cosines):.4f}",
            scale=SMALLER,
            held=apart < error,
        ),
    ]


def _told(by_size: Sequence[Sequence[_Merge]], what: str) -> str:
    return ", ".join(
        f"{np.mean([getattr(one, what) for one in group]):+.3f} at N = {group[0].params:,}" for group in by_size
    )


def _merged(place: Path, files: Mapping[str, str], width: int, seed: int) -> _Merge:
    """The general model, the expert of the domain, and their merges."""

    def run(name: str, family: str, corpus: Mapping[str, Any], begin: Path | None, lr: float = 0.004) -> Path:
        content = {
            "family": {"name": family, **_SHAPE},
            "corpus": {"one_in": _ONE_IN, **corpus},
            "evaluate": {"items": 16, "at": []},
            "recipe": {"batch_tokens": 4096, **({"from": str(begin), "lr": lr} if begin else {})},
            "rung": [{"width": width, "depth": _DEPTH, "tokens": _TOKENS[name], "seeds": [seed]}],
        }
        return finished_runs(name, content, place)[0]

    base = run("base", "gpt", {"name": "text", "path": files["general source"]}, None)
    general = run("general", "sft", {"name": "answers", "path": files["general answers"]}, base)
    source = run("source", "gpt", {"name": "text", "path": files["domain source"]}, base)
    answers = run("answers", "sft", {"name": "answers", "path": files["domain answers"]}, source)
    expert = run("preferences", "dpo", {"name": "preferences", "path": files["domain pairs"]}, answers, 0.0005)
    found = {
        "general": _weights(general),
        "expert": _weights(expert),
        "arc": _merge_of(place, (general / "model", expert / "model"), 0.5),
        "line": _merge_of(place, (general / "model", expert / "model"), 0.5, "average"),
    }
    rungs = [_rung_of(kind, files[f"{kind} answers"], width) for kind in ("general", "domain")]
    losses = {name: np.array([_loss(rung, weights) for rung in rungs]) for name, weights in found.items()}
    pairs = [(found["general"][name].ravel(), found["expert"][name].ravel()) for name in found["general"]]
    cosine = float(np.mean([one @ other / (np.linalg.norm(one) * np.linalg.norm(other)) for one, other in pairs]))
    return _Merge(rungs[0].counts.total, **losses, cosine=cosine)


def _rung_of(kind: str, answers: str, width: int) -> Rung:
    """A rung whose held-out answers models are judged on."""
    corpus = {"name": "answers", "path": answers, "one_in": _ONE_IN}
    sizes = [{"width": width, "depth": _DEPTH, "tokens": 1e5}]
    return rungs_of(kind, {"family": {"name": "sft", **_SHAPE}, "corpus": corpus, "rung": sizes})[0]


def _loss(rung: Any, weights: Mapping[str, Array]) -> float:
    """The mean loss of the tokens of held-out answers [nats/token]."""
    import torch

    from rung.ladder.architectures import build_network

    net = build_network(rung.made_family, rung.size).eval()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    held = rung.made_corpus.open(rung.made_family, None).held_out(512)[""].items
    with torch.no_grad():
        return float(net.losses(tuple(torch.from_numpy(part) for part in held))[1])


def _weights(run: Path) -> dict[str, Array]:
    from safetensors.numpy import load_file

    return dict(load_file(run / "model.safetensors"))


def _write(file: Path, tensors: Mapping[str, Any]) -> None:
    from safetensors.numpy import save_file

    save_file(dict(tensors), file)


def _merge_of(place: Path, names: Sequence[str | Path], at: float, method: str = "slerp") -> dict[str, Array]:
    """The merge of two files, both named without their ending."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        out = Path(folder) / "merged"
        merge_models([place / f"{name}.safetensors" for name in names], out, method, MergeOptions(at=at))
        return _weights(out)


def _texts(place: Path) -> dict[str, str]:
    """Source, functions and pairs of them, general and of the domain, as files of JSON lines."""
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = {
        "general": sorted(library.glob("*.py")),
        "domain": [file for name in _PACKAGES for file in sorted((library / name).rglob("*.py"))],
    }
    found = {}
    for kind, files in sources.items():
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
        answers = [row for text in texts for row in _functions(text)]
        rng = np.random.default_rng(0)
        others = rng.permutation(len(answers))
        pairs = [
            {"prompt": row["prompt"], "chosen": row["answer"], "rejected": answers[other]["answer"]}
            for row, other in zip(answers, others, strict=True)
            if row["answer"] != answers[other]["answer"]
        ]
        for name, rows in (("source", [{"text": text} for text in texts if text.strip()]), ("answers", answers), ("pairs", pairs)):  # fmt: skip
            file = place / f"{kind}-{name}.jsonl"
            file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
            found[f"{kind} {name}"] = str(file)
    return found


def _functions(text: str) -> list[dict[str, str]]:
    """Signatures of the functions of a source, each with the first line of its docstring."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    rows = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (said := ast.get_docstring(node)):
            arguments = ", ".join(one.arg for one in node.args.args)
            rows.append({"prompt": f"def {node.name}({arguments}):", "answer": said.splitlines()[0][:_LINE]})
    return [row for row in rows if row["answer"].strip()]
