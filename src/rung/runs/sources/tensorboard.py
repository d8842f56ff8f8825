"""Runs from TensorBoard's event files: a run for each folder that holds some."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.errors import RunsError
from rung.findings import Finding
from rung.messages import counted
from rung.progress import reported
from rung.runs.loss_units import unit_of
from rung.runs.sources.configuration import flat
from rung.runs.sources.needs import needs
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun
from rung.runs.sources.yaml_lines import yaml_lines

_PARTS = frozenset(
    {"train", "training", "train_inner", "validation", "val", "valid", "eval", "evaluation", "test", "dev", "heldout"}
)
"""Folders that hold one part of a run's metrics, not a run of their own."""


@dataclass(slots=True)
class _Folder:
    """What the event files of one folder hold: for each tag rows of step, value and clock."""

    config: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)

    @property
    def only_settings(self) -> bool:
        """Whether it holds settings and their results, as add_hparams writes them beside a run."""
        return bool(self.config) and all(tag.startswith("hparam") or len(rows) == 1 for tag, rows in self.rows.items())


def read_tensorboard(address: str) -> Found:
    """The runs of event files below a folder.

    Folders named train, validation and the like, and those that add_scalars makes, are parts of the run above them; a
    folder that holds only settings gives the configuration of the run above it.

    Raises:
        RunsError: tensorboard is not installed, or there are no event files.
    """
    root = Path(address)
    if root.is_file() and "tfevents" in root.name:
        folders = {root.parent: [root]}
        root = root.parent
    else:
        folders = {}
        for file in sorted(root.rglob("*tfevents*")) if root.is_dir() else []:
            if file.is_file():
                folders.setdefault(file.parent, []).append(file)
    if not folders:
        why = "no event files below it" if root.is_dir() else "there is no such folder"
        raise RunsError(f"tensorboard:{address}: {why}.")
    read = {folder: _read(folders[folder]) for folder in reported(folders, "folders")}
    runs: dict[Path, _Folder] = {}
    for folder, found in read.items():
        owner, prefix = _owner(folder, found, root, read)
        run = runs.setdefault(owner, _Folder())
        run.config |= found.config
        run.damage += found.damage
        for tag, rows in found.rows.items():
            run.rows.setdefault(f"{prefix}{tag}" if prefix else tag, []).extend(rows)
    names = {folder: folder.relative_to(root).as_posix() for folder in runs}
    return Found(
        runs=[
            _run(root.resolve().name if names[folder] == "." else names[folder], folder, found)
            for folder, found in runs.items()
        ]
    )


def _owner(folder: Path, found: _Folder, root: Path, read: dict[Path, _Folder]) -> tuple[Path, str]:
    """The folder of the run that a folder belongs to, and what is put before its tags."""
    parent = folder.parent
    if folder == root:
        return folder, ""
    if folder.name.lower() in _PARTS:
        return parent, f"{folder.name}/"
    if parent in read and found.only_settings and not any(len(rows) > 1 for rows in found.rows.values()):
        return parent, "hparams/" if found.rows else ""
    if parent in read and len(found.rows) == 1:
        tag = next(iter(found.rows))
        before = tag.replace("/", "_") + "_"
        if folder.name.startswith(before):
            return parent, f"{folder.name.removeprefix(before)}/"
    words = re.split(r"[-_. ]+", folder.name.lower())
    siblings = {other.name.lower() for other in read if other.parent == parent and other != folder}
    if words[0] in _PARTS - {"train", "training"} and (parent in read or siblings & _PARTS):
        # eval_c4 beside train.
        return parent, f"{folder.name}/"
    stem = re.fullmatch(r"(.+?)[-_. ]+([a-z]+)", folder.name.lower())
    if stem and stem[2] in _PARTS and any(_is_part_of(sibling, stem[1]) for sibling in siblings):
        # run1_train beside run1_val.
        return parent / folder.name[: len(stem[1])], f"{folder.name[len(stem[1]) + 1 :]}/"
    return folder, ""


def _is_part_of(name: str, stem: str) -> bool:
    return name.startswith(stem) and name[len(stem) :].strip("-_. ") in _PARTS


def _run(name: str, folder: Path, found: _Folder) -> TrackedRun:
    beside = folder / "hparams.yaml"
    config = (
        yaml_lines(beside.read_text(encoding="utf-8", errors="replace")) if beside.is_file() else {}
    ) | found.config
    logged = Metric.of_rows({tag: rows for tag, rows in found.rows.items() if not tag.startswith("hparams/")})
    damage = tuple(Finding("damaged", f"run {name!r}: {text}.") for text in found.damage)
    # Keras logs its losses once an epoch, under names that begin so, with the epoch as the step.
    losses = [tag for tag in logged if unit_of(tag) is not None]
    axis = "epochs" if any(tag.rpartition("/")[2].startswith("epoch_") for tag in losses) else ""
    return TrackedRun(
        name=name, config=flat(config), logged=logged, axis=axis, status="damaged" if damage else None, notes=damage
    )


def _read(files: list[Path]) -> _Folder:
    """The events of a folder's files, in the order of their clock: those of a restart come later."""
    try:
        from tensorboard.util.tensor_util import make_ndarray
    except ModuleNotFoundError:
        raise needs("tensorboard", "tensorboard") from None
    found = _Folder()
    lives = []
    for file in files:
        events, damage = _events(file)
        if damage:
            last = max((float(event.step) for event in events), default=0.0)
            found.damage.append(f"{file.name} is damaged or cut: {damage}; its last step is {last:g}")
        if events:
            lives.append((events[0].wall_time, events))
    clock = 0.0
    for _, events in sorted(lives, key=lambda life: life[0]):
        for event in events:
            clock += 1.0
            for value in event.summary.value:
                _take(value, float(event.step), clock, found, make_ndarray)
    return found


def _events(file: Path) -> tuple[list[Any], str]:
    """The events of a file, and what of it cannot be read."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorboard.compat.proto.event_pb2 import Event

    events, damage = [], ""
    for data in _records(file):
        if isinstance(data, str):
            damage = data
            continue
        try:
            events.append(Event.FromString(data))
        except (DecodeError, ValueError):
            damage = "a record of it cannot be read"
    return events, damage


def _take(value: Any, step: float, clock: float, found: _Folder, array_of: Any) -> None:
    """Add one summary to what a folder holds."""
    if value.WhichOneof("value") == "simple_value":
        found.rows.setdefault(value.tag, []).append((step, float(value.simple_value), clock))
        return
    kind = value.metadata.plugin_data.plugin_name
    if kind == "hparams":
        found.config |= _hparams(value)
    elif value.WhichOneof("value") == "tensor":
        try:
            array = array_of(value.tensor)
        except (TypeError, ValueError):
            return
        if kind == "text":
            for text in array.ravel().tolist():
                found.config |= _settings(text)
        elif array.size == 1 and array.dtype.kind in "fiu":
            found.rows.setdefault(value.tag, []).append((step, float(array.ravel()[0]), clock))


def _hparams(value: Any) -> dict[str, Any]:
    """The settings that add_hparams wrote."""
    from google.protobuf.message import DecodeError
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    try:
        data = HParamsPluginData.FromString(value.metadata.plugin_data.content)
    except DecodeError:
        return {}
    return {
        name: getattr(one, one.WhichOneof("kind") or "string_value")
        for name, one in data.session_start_info.hparams.items()
    }


def _settings(text: Any) -> dict[str, Any]:
    """Settings in a text: a JSON object, or a table of Markdown with two columns."""
    written = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else str(text)
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    rows = [line.strip().strip("|").split("|") for line in written.splitlines() if line.strip().startswith("|")]
    return {row[0].strip(): row[1].strip() for row in rows[2:] if len(row) == 2}


def _records(file: Path) -> Iterator[bytes | str]:
    """The records of an event file, each framed by its length and checksums; a sentence where the file is damaged.

    The package's own reader ends at a damaged record without a word.
    """
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    try:
        content = file.read_bytes()
    except OSError as error:
        yield f"it cannot be read ({error.strerror})"
        return
    at, size = 0, len(content)
    while at < size:
        head = content[at : at + 12]
        if len(head) < 12 or masked_crc32c(head[:8]) != struct.unpack("<I", head[8:])[0]:
            yield f"the last {counted(size - at, 'byte')} cannot be read"
            return
        length = struct.unpack("<Q", head[:8])[0]
        data, checksum = content[at + 12 : at + 12 + length], content[at + 12 + length : at + 16 + length]
        if len(checksum) < 4:
            yield f"the last {counted(size - at, 'byte')} cannot be read"
            return
        if masked_crc32c(data) == struct.unpack("<I", checksum)[0]:
            yield data
        else:
            yield f"a record of {counted(length, 'byte')} cannot be read"
        at += 16 + length
