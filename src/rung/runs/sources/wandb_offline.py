"""Runs that W&B kept on this machine: one file for each start of a run."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.errors import RunsError
from rung.findings import Finding
from rung.messages import counted
from rung.runs.sources.configuration import flat, logged_number
from rung.runs.sources.files import below, content_of, read_each
from rung.runs.sources.needs import needs
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun

_BLOCK, _HEADER = 32_768, 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass(slots=True, kw_only=True)
class _Life:
    """What one file holds: a start of a run."""

    file: Path
    identity: str
    name: str
    started: float = 0.0
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    step_metrics: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    damage: str = ""


def read_offline(address: str) -> Found:
    """The runs in offline files of W&B below a folder.

    Raises:
        RunsError: wandb is not installed, there are no such files, or none can be read.
    """
    path = Path(address)
    files = below(address, "wandb", ("run-*.wandb",)) if path.is_dir() else [path]
    lives: dict[str, list[_Life]] = {}

    def read(file: Path) -> list[TrackedRun]:
        life = _life(file)
        lives.setdefault(life.identity, []).append(life)
        return []

    # The link latest-run names one of the folders a second time.
    found = read_each({file.resolve(): file for file in files}.values(), read)
    runs = [_run(sorted(same, key=lambda life: life.started)) for same in lives.values()]
    return Found(runs=runs, findings=found.findings)


def _run(lives: list[_Life]) -> TrackedRun:
    """The run of several starts, in the order of their clock."""
    config: dict[str, Any] = {}
    step_metrics: dict[str, str] = {}
    columns: dict[str, list[tuple[float, float, float]]] = {}
    clock = 0.0
    for life in lives:
        config |= life.config
        step_metrics |= life.step_metrics
        for step, values in life.rows:
            clock += 1.0
            for name, value in values.items():
                columns.setdefault(name, []).append((step, value, clock))
    last = lives[-1]
    damage = [Finding("damaged", f"run {last.name!r}: {life.damage}.") for life in lives if life.damage]
    ended = {None: "unfinished", 0: "finished"}.get(last.exit_code, "failed")
    return TrackedRun(
        name=last.name,
        identity=last.identity,
        config=flat(config),
        logged=Metric.of_rows(columns),
        status="damaged" if damage else ended,
        row_steps=counts_rows([step for life in lives for step, _ in life.rows]),
        step_metrics=step_metrics,
        notes=tuple(damage),
    )


def counts_rows(steps: list[float]) -> bool:
    """Whether the store numbered the rows itself, so that the steps are 0, 1, 2, ...; a trainer that gives steps skips some."""
    return bool(steps) and max(steps) - min(steps) < 1.5 * len(steps)


def _life(file: Path) -> _Life:
    try:
        from wandb.proto import wandb_internal_pb2
    except ModuleNotFoundError:
        raise needs("wandb", "wandb") from None
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    life = _Life(file=file, identity=file.stem.removeprefix("run-"), name=file.parent.name)
    lost = [0, 0]
    for data in _records(file, lost):
        record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]  # created on import
        try:
            record.ParseFromString(data)
            _take(record, life)
        except (DecodeError, ValueError, RecursionError):
            lost[0] += 1
            lost[1] += len(data)
    if lost[0]:
        life.damage = (
            f"{file.name} is damaged or cut: {counted(lost[1], 'byte')} in {counted(lost[0], 'place')} cannot be read"
        )
        life.damage += f"; its last step is {life.rows[-1][0]:g}" if life.rows else ""
    return life


def _take(record: Any, life: _Life) -> None:
    """Add what one record says to a life."""
    kind = record.WhichOneof("record_type")
    if kind == "run":
        life.name = record.run.display_name or record.run.run_id or life.name
        life.identity = record.run.run_id or life.identity
        life.started = record.run.start_time.seconds + record.run.start_time.nanos / 1e9
        life.config |= _items(record.run.config.update)
    elif kind == "config":
        life.config |= _items(record.config.update)
    elif kind == "exit":
        life.exit_code = record.exit.exit_code
    elif kind == "metric" and record.metric.step_metric:
        life.step_metrics[record.metric.name or record.metric.glob_name] = record.metric.step_metric
    elif kind == "history":
        values = _items(record.history.item)
        step = logged_number(values.get("_step", record.history.step.num))
        numbers = {
            key: number
            for key, value in values.items()
            if not key.startswith("_") and (number := logged_number(value)) is not None
        }
        life.rows.append((step if step is not None else float(len(life.rows)), numbers))


def _items(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(file: Path, lost: list[int]) -> Iterator[bytes]:
    """The records of a run's file: a header, then blocks of 32 KiB that hold parts of records, each with a checksum.

    The package writes this format (that of LevelDB's log) and offers no public reader of it. Parts whose checksum is
    wrong are left out and counted in `lost`, as places and bytes; reading goes on with the next part or block.

    Raises:
        RunsError: The file cannot be read, or does not start with the signature of W&B.
    """
    content = content_of(file)
    if content[:4] != b":W&B":
        raise RunsError(f"{file} does not start with the signature of a W&B file.")
    parts, begun = b"", False
    for kind, data in _parts_of(content, lost):
        if kind in {_FULL, _FIRST}:
            parts, begun = data, True
        elif kind == 0:
            parts, begun = b"", False
        else:
            parts += data
        if kind in {_FULL, _LAST} and begun:
            yield parts
            parts, begun = b"", False
    if begun:
        _lose(lost, len(parts))


def _parts_of(content: bytes, lost: list[int]) -> Iterator[tuple[int, bytes]]:
    """The kind and the data of each part whose checksum is right; kind 0 where one was lost."""
    at = _HEADER
    while at < len(content):
        left = min(_BLOCK - at % _BLOCK, len(content) - at)
        if left < _HEADER:
            # The end of a block; in the middle of one, the file was cut.
            if (at + left) % _BLOCK:
                _lose(lost, left)
            at += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", content, at)
        if (checksum, length, kind) == (0, 0, 0) and not content[at : at + left].strip(b"\0"):
            # Space that was reserved and not written.
            at += left
            continue
        data = content[at + _HEADER : at + _HEADER + length]
        whole = length <= left - _HEADER and _FULL <= kind <= _LAST
        if whole and checksum == zlib.crc32(data, zlib.crc32(bytes([kind]))):
            yield kind, data
            at += _HEADER + length
            continue
        step = _HEADER + length if whole else left
        _lose(lost, step)
        yield 0, b""
        at += step


def _lose(lost: list[int], count: int) -> None:
    lost[0] += 1
    lost[1] += count
