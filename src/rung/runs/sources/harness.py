"""Scores of the evaluation harness: a row for each model and revision, a column for each score, task and number of shots."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rung.errors import RunsError
from rung.findings import Finding
from rung.runs.sources.configuration import as_number, flat
from rung.runs.sources.files import below, json_object
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun
from rung.units import read_number

_SHOT_WORDS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "ten": 10, "twentyfive": 25}


@dataclass(slots=True)
class _Model:
    """What all files of one model and revision say together; a later file wins."""

    config: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    nominal: float | None = None


_Models = dict[tuple[str, str, str], _Model]
"""Models by name, revision and variant."""


def read_harness(address: str) -> Found:
    """Scores of lm-evaluation-harness, of any version, and of results that are named SIZE_stepN.json.

    Raises:
        RunsError: There is no such file, or none can be read.
    """
    models: _Models = {}
    broken: list[Finding] = []
    failed: RunsError | None = None
    read: list[tuple[Path, dict[str, Any]]] = []
    for file in below(address, "lm-eval", ("*.json",)):
        try:
            content = json_object(file)
        except RunsError as error:
            if file.name.startswith("results") or Path(address).is_file():
                failed = failed or error
                broken.append(Finding("damaged", f"{error.text.rstrip('.')}; it is left out."))
            continue
        if isinstance(content.get("results"), dict):
            read.append((file, content))
    for file, content in sorted(read, key=_age):
        _add(models, file, content)
    if not models:
        raise failed or RunsError(
            f"lm-eval:{address}: no results of the harness below it (a JSON file with an entry results)."
        )
    if not any(model.scores for model in models.values()):
        raise RunsError(f"lm-eval:{address}: its results hold no score that is a number.")
    alone = Counter((name, revision) for name, revision, _ in models)
    runs = [
        _run(f"{name} ({variant or 'as it is'})" if alone[name, revision] > 1 else name, revision, model)
        for (name, revision, variant), model in models.items()
    ]
    return Found(runs=runs, findings=tuple(broken))


def _age(read: tuple[Path, dict[str, Any]]) -> tuple[str, float, str]:
    """Files in the order of their date: that in their names, otherwise the one that they state."""
    file, content = read
    named = re.search(r"\d{4}-\d{2}-\d{2}T\d{2}[-:]\d{2}[-:]\d{2}", file.stem)
    stated = as_number(content.get("date"))
    date = datetime.fromtimestamp(stated, UTC).strftime("%Y-%m-%dT%H-%M-%S") if stated and stated < 4e9 else ""
    return (named[0].replace(":", "-") if named else date), stated or 0.0, file.as_posix()


_VARIANTS = (
    *("peft", "delta", "dtype", "load_in_8bit", "load_in_4bit", "gguf_file", "quantization", "autogptq", "gptqmodel"),
    *(
        "max_length",
        "max_model_len",
        "prefix_token_id",
        "add_bos_token",
        "enable_thinking",
        "think_end_token",
        "subfolder",
    ),
)
"""Arguments of a model by which files of one name are of different ones."""


def _variant(arguments: dict[str, Any], content: dict[str, Any]) -> str:
    """What tells results apart from others of one model's name: an adapter, a number format, a limit, a template."""
    by_model = [f"{key}={arguments[key]}" for key in _VARIANTS if arguments.get(key) not in {None, "", "None", "auto"}]
    limit = content.get("limit")
    by_limit = [f"limit={limit:g}"] if isinstance(limit, int | float) and limit > 0 else []
    prompted = [key for key in ("chat_template", "system_instruction", "fewshot_as_multiturn") if content.get(key)]
    return ",".join([*by_model, *by_limit, *prompted])


def _add(models: _Models, file: Path, content: dict[str, Any]) -> None:
    config = content.get("config")
    config = config if isinstance(config, dict) else {}
    arguments = _arguments(config.get("model_args"))
    stem = file.stem
    step = re.search(r"step[-_]?(\d+)", stem)
    by_file = step is not None and not stem.startswith("results")
    stated = content.get("model_name") or arguments.get("pretrained") or config.get("model_args")
    name = (re.sub(r"[-_]?step[-_]?\d+", "", stem) or file.parent.name) if by_file else str(stated or stem)
    revision = (
        f"step{step[1]}" if by_file and step else str(arguments.get("revision") or config.get("model_revision") or "")
    )
    variant = _variant(arguments, {**content, **config})
    model = models.setdefault((name, revision, variant), _Model())
    model.config |= {**flat({key: value for key, value in config.items() if key != "model_args"}), **arguments}
    if by_file and (size := re.search(r"(?:^|[-_])(\d+(?:\.\d+)?[mb])(?:[-_]|$)", name.lower())):
        model.nominal = read_number(size[1])
    shots = content.get("n-shot") or content.get("n_shot")
    shots = shots if isinstance(shots, dict) else {}
    overall = _folder_shots(file)
    if overall is None:
        overall = as_number(config.get("num_fewshot"))
    for task, scores in content["results"].items():
        if isinstance(scores, dict):
            number = as_number(shots.get(task)) if task in shots else overall
            for column, value in _columns(str(task), scores, number):
                if value is None:
                    model.unread.append(column)
                else:
                    model.scores[column] = value


def _arguments(stated: Any) -> dict[str, Any]:
    """The model's arguments, which older versions write as one text."""
    if isinstance(stated, dict):
        return stated
    parts = [part.partition("=") for part in str(stated or "").split(",")]
    return {key.strip(): value.strip() for key, sign, value in parts if sign}


def _folder_shots(file: Path) -> float | None:
    for part in reversed(file.parts[:-1]):
        if match := re.fullmatch(r"([a-z]+|\d+)[-_ ]?shots?", part.lower()):
            return float(match[1]) if match[1].isdigit() else _SHOT_WORDS.get(match[1])
    return None


def _columns(task: str, scores: dict[str, Any], shots: float | None) -> Iterator[tuple[str, float | None]]:
    """Columns and values of one task; None where a score is no number."""
    after = f"_{shots:g}shot" if shots else ""
    for metric, value in scores.items():
        name, _, kind = metric.partition(",")
        if name in {"alias", "name", "sample_len", "samples", "sample_count"} or isinstance(value, bool | dict | list):
            continue
        by = "" if kind in {"", "none"} else f"_{kind}"
        is_error = name.endswith("_stderr")
        base = f"{name.removesuffix('_stderr')}{by}_{task}{after}"
        column = f"{base}_stderr" if is_error else base
        if isinstance(value, int | float):
            # A score that is no number says that the evaluation failed.
            finite = math.isfinite(value)
            if finite or not is_error:
                yield column, float(value) if finite else None
        elif not is_error and value not in {None, "", " "}:
            yield column, None


def _run(name: str, revision: str, model: _Model) -> TrackedRun:
    config = dict(model.config)
    stated = as_number(config.get("model_num_parameters"))
    notes = []
    if stated and stated > 0:
        config["params"] = stated
    elif model.nominal:
        config["params"] = model.nominal
        notes.append(
            Finding(
                "guessed_params",
                f"run {name!r}: N is the size in its file's name, which is rounded. For another: --params NAME.",
            )
        )
    if model.unread:
        notes.append(
            Finding(
                "not_finite",
                f"run {name!r}: {model.unread[0]} is no number ({len(model.unread)} such scores); they are left out.",
            )
        )
    step = re.search(r"step[-_]?(\d+)|checkpoint-(\d+)|global_step(\d+)", revision) or re.search(
        r"step[-_]?(\d+)|checkpoint-(\d+)|global_step(\d+)", name
    )
    labels: dict[str, Any] = {"revision": revision} if revision else {}
    at = 0.0
    if step:
        at = float(next(group for group in step.groups() if group))
        labels["step"] = int(at)
    return TrackedRun(
        name=name,
        identity=revision,
        config=config,
        logged={column: Metric.of([(at, value)]) for column, value in model.scores.items()},
        scores=True,
        labels=labels,
        notes=tuple(notes),
    )
