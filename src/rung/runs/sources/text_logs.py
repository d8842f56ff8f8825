"""Runs from what trainers print: the lines of nanoGPT, modded-nanogpt, Megatron-LM, torchtitan and llm.c, by declared patterns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rung.errors import RunsError
from rung.findings import Finding
from rung.messages import counted, listed
from rung.runs.cut_ends import End, end_of
from rung.runs.decoding import decoded
from rung.runs.sources.begun_again import parted
from rung.runs.sources.files import below, content_of, names_of, read_each
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun
from rung.units import read_number

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NUM = r"[+-]?(?:\d[\d,]*\.?\d*(?:[eE][+-]?\d+)?|nan|inf)"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFormat:
    """How one trainer writes its log.

    Attributes:
        name: The trainer.
        head: What a line with values starts with; such a line that no pattern reads is damaged.
        lines: Patterns of lines with values. The group `step` is the step, `last` the step at which training ends, and
            every other group the value of a metric, whose name METRICS gives.
        settings: Patterns of lines that state a setting, and its name; without a name the line gives both.
    """

    name: str
    head: re.Pattern[str]
    lines: tuple[re.Pattern[str], ...]
    settings: tuple[tuple[re.Pattern[str], str], ...] = ()


METRICS = {
    "train": "train/loss",
    "val": "val/loss",
    "test": "test/loss",
    "estimate": "train/estimated_loss",
    "samples": "consumed_samples",
    "batch": "global_batch_size",
}
"""The metric of each group of a pattern."""


def _lines(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern.replace("NUM", _NUM), re.IGNORECASE) for pattern in patterns)


def _settings(**patterns: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple(
        (re.compile(pattern.replace("NUM", r"(\d+(?:[,.]\d+)*[KMBT]?)")), name) for name, pattern in patterns.items()
    )


FORMATS = (
    LogFormat(
        name="nanoGPT",
        head=re.compile(r"(?:step|iter) \d+: (?:train |val )?loss"),
        lines=_lines(
            r"step (?P<step>\d+): train loss (?P<estimate>NUM), val loss (?P<val>NUM)\b",
            r"iter (?P<step>\d+): loss (?P<train>NUM), time",
            r"(?:step|iter) (?P<step>\d+): val loss (?P<val>NUM)\b",
        ),
        settings=(
            *_settings(batch_tokens=r"tokens per iteration will be: NUM", params=r"number of parameters: NUM"),
            (re.compile(r"Overriding: (\w+) = (.+)"), ""),
        ),
    ),
    LogFormat(
        name="modded-nanogpt",
        head=re.compile(r"step:\d+(?:/\d+)? (?:val|train)_loss"),
        lines=_lines(
            r"step:(?P<step>\d+)(?:/(?P<last>\d+))? (?:.* )?val_loss:(?P<val>NUM)(?: |$)",
            r"step:(?P<step>\d+)(?:/(?P<last>\d+))? (?:.* )?train_loss:(?P<train>NUM)(?: |$)",
        ),
    ),
    LogFormat(
        name="Megatron-LM",
        head=re.compile(r"(?:.*\] *)?(?:iteration +\d+/|validation loss at iteration)"),
        lines=_lines(
            r"iteration +(?P<step>\d+)/ *(?P<last>\d+) \|(?: consumed samples: +(?P<samples>\d+) \|)?(?:.* global batch size: +(?P<batch>\d+) \|)?"
            r".* lm loss: (?P<train>NUM) *\|",
            r"validation loss at iteration (?P<step>\d+)\b.*?\btest\b.*?lm loss value: (?P<test>NUM) *\|",
            r"validation loss at iteration (?P<step>\d+)\b.*?lm loss value: (?P<val>NUM) *\|",
        ),
        settings=(
            (
                re.compile(r"(number of parameters on .*rank *\([^)]*\)): *(\d+(?:[,.]\d+)*[KMBT]?)"),
                "",
            ),
            (
                re.compile(
                    r"^\s*(seq_length|global_batch_size|micro_batch_size|num_layers|hidden_size|num_attention_heads|ffn_hidden_size|lr|seed|world_size|rampup_batch_size|data_parallel_size|tensor_model_parallel_size|pipeline_model_parallel_size) \.{3,} (\S+)"
                ),
                "",
            ),
        ),
    ),
    LogFormat(
        name="torchtitan",
        head=re.compile(r".*\bstep: +\d+ +loss"),
        lines=_lines(
            r"validate step: +(?P<step>\d+) +loss: +(?P<val>NUM)(?: |$)",
            r"step: +(?P<step>\d+) +loss: +(?P<train>NUM)(?: |$)",
        ),
        settings=(
            *_settings(
                params=r"size: NUM total parameters",
                global_batch_size=r"global batch size NUM",
                seq_len=r"sequence length NUM",
            ),
            *_settings(max_steps=r"total steps NUM"),
        ),
    ),
    LogFormat(
        name="llm.c",
        head=re.compile(r"step +\d+/\d+ \||s:\d+ (?:tel|trl)|val loss "),
        lines=_lines(
            r"step +(?P<step>\d+)/(?P<last>\d+) \| (?:train )?loss (?P<train>NUM) *(?:\([^)]*\))? *\|",
            r"s:(?P<step>\d+) tel:(?P<val>NUM)$",
            r"s:(?P<step>\d+) trl:(?P<train>NUM)(?: |$)",
            r"val loss (?P<val>NUM)$",
        ),
        settings=_settings(
            params=r"num_parameters +\| NUM",
            batch_tokens=r"total[_ ]batch[_ ]size +\| NUM",
            max_seq_len=r"max_sequence_length T +\| NUM",
        ),
    ),
)
"""The trainers whose logs are read. The batch of llm.c is stated in tokens."""


def read_logs(address: str) -> Found:
    """Runs from text logs: a file, or all *.log, *.txt, *.out and *.err below a folder.

    Raises:
        RunsError: There is no such file, or none holds lines of a trainer that is known.
    """
    files = below(address, "log", ("*.log", "*.txt", "*.out", "*.err"))
    names = names_of(files, Path(address))
    return read_each(files, lambda file: _read(file, names[file]))


def _read(file: Path, name: str) -> list[TrackedRun]:
    text = decoded(content_of(file), str(file)).decode("utf-8", errors="replace")
    lines = [_ANSI.sub("", line).strip() for line in re.split(r"\r\n|\n|\r", text)]
    chosen = max(FORMATS, key=lambda form: sum(1 for line in lines if _match(form, line) is not None))
    found = _Reading(chosen)
    cut = len(lines) > 1 and _is_cut(chosen, lines)
    for number, line in enumerate(lines[:-1] if cut else lines, 1):
        found.take(number, line)
    if cut:
        found.unread.append(len(lines))
    found.crashed([line for line in lines if line])
    if found.empty:
        raise RunsError(
            f"{file}: no line of it is one of {listed([form.name for form in FORMATS])}. For a table of metrics: csv:FILE or jsonl:FILE."
        )
    return found.runs(name, file)


def _match(form: LogFormat, line: str) -> re.Match[str] | None:
    return next((match for pattern in form.lines if (match := pattern.search(line))), None)


def _is_cut(form: LogFormat, lines: Sequence[str]) -> bool:
    """Whether a log ends within the last number of a line: beside those of the same metric, it has lost decimals."""
    last = _match(form, lines[-1])
    if last is None:
        return False
    name, value = [(key, text) for key, text in last.groupdict().items() if text is not None][-1]
    above = [
        match[name] for line in lines[:-1] if (match := last.re.search(line)) is not None and match[name] is not None
    ]
    return end_of(value, above) is not End.WHOLE


@dataclass(slots=True)
class _Life:
    """What was logged from one start of a trainer to the next."""

    config: dict[str, str] = field(default_factory=dict)
    rows: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)

    @property
    def steps(self) -> list[float]:
        """The steps of all values, in the order of the log."""
        return [step for _, step in sorted((line, step) for rows in self.rows.values() for step, _, line in rows)]


class _Reading:
    """The values of one log, collected line by line."""

    def __init__(self, form: LogFormat) -> None:
        self.form = form
        self.lives = [_Life()]
        self.unread: list[int] = []
        self.step = 0.0
        self.last: float | None = None
        self.ended: str | None = None

    def take(self, number: int, line: str) -> None:
        """Add what a line says."""
        match = _match(self.form, line)
        life = self.lives[-1]
        if match is None:
            if self.form.head.match(line):
                self.unread.append(number)
            for pattern, name in self.form.settings:
                if stated := pattern.search(line):
                    key, value = (name, stated[1]) if name else (stated[1], stated[2])
                    if life.rows:
                        # The head of a log after its values: the trainer was started again.
                        life = _Life()
                        self.lives.append(life)
                    life.config.setdefault(key, value.strip().strip("'\""))
            return
        groups = {key: value for key, value in match.groupdict().items() if value is not None}
        self.step = float(groups.pop("step", self.step))
        if "last" in groups:
            self.last = float(groups.pop("last"))
        for key, value in groups.items():
            life.rows.setdefault(METRICS[key], []).append((self.step, float(value.replace(",", "")), float(number)))

    @property
    def empty(self) -> bool:
        """Whether no line has a value."""
        return not any(life.rows for life in self.lives)

    def crashed(self, lines: Sequence[str]) -> None:
        """Note an end by a crash or a signal, by the last lines of the log."""
        for pattern, status in _ENDS:
            if any(pattern.search(line) for line in lines[-_LAST_LINES:]):
                self.ended = status

    def runs(self, name: str, file: Path) -> list[TrackedRun]:
        """The runs of the log: starts that went on from an earlier one are lives of one run."""
        groups: list[list[_Life]] = []
        for life in (life for life in self.lives if life.rows):
            if groups and not _is_another(groups[-1], life):
                groups[-1].append(life)
            else:
                groups.append([life])
        notes = []
        if self.unread:
            notes.append(
                Finding(
                    "damaged",
                    f"{file}, line {self.unread[0]}: a line of {self.form.name} that cannot be read ({counted(len(self.unread), 'such line')}); left out.",
                )
            )
        runs, note = [self._run(group, name) for group in groups], ""
        if len(runs) == 1:
            runs, note = parted(runs[0])
        else:
            runs = [replace(run, name=f"{name} ({number})") for number, run in enumerate(runs, 1)]
            note = f"the trainer was started again for another run: read as {len(runs)} runs"
        if note:
            notes.append(Finding("several_runs", f"{file}: {note}."))
        return [replace(runs[0], notes=(*notes, *runs[0].notes)), *runs[1:]]

    def _run(self, lives: list[_Life], name: str) -> TrackedRun:
        rows: dict[str, list[tuple[float, float, float]]] = {}
        config: dict[str, Any] = {}
        for life in lives:
            config |= life.config
            for metric, found in life.rows.items():
                rows.setdefault(metric, []).extend(found)
        logged = Metric.of_rows(rows)
        if len({life.config["batch_tokens"] for life in lives if "batch_tokens" in life.config}) > 1:
            logged["tokens_per_step"] = Metric.of_rows({"": _batches(lives)})[""]
            config.pop("batch_tokens", None)
        config, notes = _with_params(config, name)
        planned = next((config[key] for key in ("max_steps", "max_iters", "train_iters") if key in config), None)
        end = self.last if self.last is not None else _number(planned)
        last = lives[-1].steps[-1]
        status = self.ended if end is None else "finished" if last >= end - 1 else self.ended or "unfinished"
        return TrackedRun(name=name, config=config, logged=logged, status=status, notes=notes)


def _is_another(before: list[_Life], life: _Life) -> bool:
    """Whether a start is that of another run: it begins at the first steps, with other settings or not for longer."""
    earlier = [step for one in before for step in one.steps]
    if life.steps[0] - earlier[0] > 0.02 * (max(earlier) - earlier[0]):
        return False
    other = any(before[0].config.get(key, value) != value for key, value in life.config.items())
    return other or max(life.steps) <= max(earlier)


def _batches(lives: list[_Life]) -> list[tuple[float, float, float]]:
    """The tokens of a step along the lives of one run: the first step of a life ends what the life before trained on."""
    rows: list[tuple[float, float, float]] = []
    batch = 0.0
    for life in lives:
        stated = _number(life.config.get("batch_tokens"))
        before, batch = batch or stated or 0.0, stated or batch
        first = life.steps[0]
        lines = {line: step for found in life.rows.values() for step, _, line in found}
        rows += [(step, before if step <= first else batch, line) for line, step in sorted(lines.items())]
    return rows


_ENDS = (
    (re.compile(r"^Traceback \(most recent call last\)|Error: |OutOfMemoryError|CUDA error"), "failed"),
    (re.compile(r"DUE TO TIME LIMIT|CANCELLED|Killed$|SIGKILL|SIGTERM|PREEMPT"), "killed"),
)
"""Lines near the end of a log by which a run did not come to its end."""

_LAST_LINES = 30
"""Last lines of a log that are looked at for its end."""

_RANK = re.compile(r"number of parameters on .*rank *\(([\d, ]+)\)")


def _with_params(config: dict[str, Any], name: str) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """The settings with N by the parameters that each rank of Megatron-LM states; without N where some ranks say nothing."""
    ranks = {key: _number(value) or 0.0 for key, value in config.items() if _RANK.match(key)}
    if not ranks:
        return config, ()
    kept = {key: value for key, value in config.items() if key not in ranks}
    parallel = [_number(config.get(f"{kind}_model_parallel_size")) or 1.0 for kind in ("tensor", "pipeline")]
    wanted = parallel[0] * parallel[1]
    total = sum(ranks.values())
    if wanted > len(ranks):
        text = f"run {name!r}: the parameters of {len(ranks)} of {wanted:g} ranks stand in its log, and N is their sum over all. Give --params NUMBER."
        return kept, (Finding("no_params", text),)
    if len(ranks) == 1:
        return {**kept, "params": total}, ()
    text = f"run {name!r}: N is the sum of the parameters of {len(ranks)} ranks, which counts weights that several of them hold more than once."
    return {**kept, "params": total}, (Finding("guessed_params", text),)


def _number(text: Any) -> float | None:
    return None if text is None else read_number(str(text).replace(",", ""))
