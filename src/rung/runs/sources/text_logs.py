"""Runs from what trainers print: the lines of nanoGPT, modded-nanogpt, Megatron-LM, torchtitan and llm.c, by declared patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.errors import RunsError
from rung.findings import Finding
from rung.messages import counted, listed
from rung.runs.sources.files import below, content_of, names_of, read_each
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun

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
        head=re.compile(r"(?:step|iter) \d+: (?:train )?loss"),
        lines=_lines(
            r"step (?P<step>\d+): train loss (?P<estimate>NUM), val loss (?P<val>NUM)\b",
            r"iter (?P<step>\d+): loss (?P<train>NUM), time",
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
            r"validation loss at iteration (?P<step>\d+)\b.*?lm loss value: (?P<val>NUM) *\|",
        ),
        settings=(
            *_settings(params=r"number of parameters on .*: NUM"),
            (
                re.compile(
                    r"^\s*(seq_length|global_batch_size|micro_batch_size|num_layers|hidden_size|num_attention_heads|ffn_hidden_size|lr|seed|world_size|rampup_batch_size|data_parallel_size) \.{3,} (\S+)"
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
    return read_each(files, lambda file: [_read(file, names[file])])


def _read(file: Path, name: str) -> TrackedRun:
    text = content_of(file).decode("utf-8", errors="replace")
    lines = [_ANSI.sub("", line).strip() for line in re.split(r"\r\n|\n|\r", text)]
    chosen = max(FORMATS, key=lambda form: sum(1 for line in lines if _match(form, line) is not None))
    found = _Reading(chosen)
    for number, line in enumerate(lines, 1):
        found.take(number, line)
    if not found.rows:
        raise RunsError(
            f"{file}: no line of it is one of {listed([form.name for form in FORMATS])}. For a table of metrics: csv:FILE or jsonl:FILE."
        )
    return found.run(name, file)


def _match(form: LogFormat, line: str) -> re.Match[str] | None:
    return next((match for pattern in form.lines if (match := pattern.search(line))), None)


class _Reading:
    """The values of one log, collected line by line."""

    def __init__(self, form: LogFormat) -> None:
        self.form = form
        self.rows: dict[str, list[tuple[float, float, float]]] = {}
        self.config: dict[str, Any] = {}
        self.unread: list[int] = []
        self.step = 0.0
        self.last: float | None = None

    def take(self, number: int, line: str) -> None:
        """Add what a line says."""
        match = _match(self.form, line)
        if match is None:
            if self.form.head.match(line):
                self.unread.append(number)
            for pattern, name in self.form.settings:
                if stated := pattern.search(line):
                    key, value = (name, stated[1]) if name else (stated[1], stated[2])
                    self.config.setdefault(key, value.strip().strip("'\""))
            return
        groups = {key: value for key, value in match.groupdict().items() if value is not None}
        self.step = float(groups.pop("step", self.step))
        if "last" in groups:
            self.last = float(groups.pop("last"))
        for key, value in groups.items():
            self.rows.setdefault(METRICS[key], []).append((self.step, float(value.replace(",", "")), float(number)))

    def run(self, name: str, file: Path) -> TrackedRun:
        """The run of the log."""
        notes = []
        if self.unread:
            first = f"line {self.unread[0]}"
            notes.append(
                Finding(
                    "damaged",
                    f"{file}, {first}: a line of {self.form.name} that cannot be read ({counted(len(self.unread), 'such line')}); left out.",
                )
            )
        end = self.last if self.last is not None else _number(self.config.get("max_steps"))
        status = None if end is None else "finished" if self.step >= end - 1 else "unfinished"
        return TrackedRun(
            name=name, config=self.config, logged=Metric.of_rows(self.rows), status=status, notes=tuple(notes)
        )


def _number(text: Any) -> float | None:
    return None if text is None else float(str(text).replace(",", ""))
