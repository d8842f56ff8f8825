"""The folder of a run, the only record of it: what is trained, what was measured, how far it is, and who writes.

rung.json           what is trained, and by which code
metrics.jsonl       training losses and evaluations, one per line
state.json          done, failed or stopped, with the reason
checkpoint-*        state of the network, the optimizer and the random number generators at a step, with its manifest
model.safetensors   the finished network
set-aside           checkpoints that did not fit the metrics, until the run is done
refused.json        why a worker did not start the run, until the launcher reads it
lock                held by the only writer
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.errors import LadderError
from rung.files import write_text
from rung.ladder.rung import Rung
from rung.ladder.training.checkpoint import Checkpoint, code_version
from rung.ladder.training.lock import PATIENCE_S, is_locked, only_writer
from rung.ladder.training.metrics_file import read_last, read_lines
from rung.ladder.training.sealed import digest_of_start, opened, sealed

SCHEMA = 1
"""Version of the layout of rung.json."""
PLANNED, RUNNING, STOPPED, DONE, FAILED = "planned", "running", "stopped", "done", "failed"
"""Statuses of a run."""
DAMAGED = "damaged"
"""Status of a run whose files say nothing that can be relied on."""
_STATUSES = {PLANNED, RUNNING, STOPPED, DONE, FAILED}
_KEPT = 2
"""Checkpoints that are kept: the latest, and the one before it for when the latest is damaged."""
_ASIDE = "set-aside"
"""Folder of checkpoints that cannot be used."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run, with methods to read and write its files.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def model_path(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def _rung_path(self) -> Path:
        return self.path / "rung.json"

    @property
    def _state_path(self) -> Path:
        return self.path / "state.json"

    def prepare(self, rung: Rung) -> None:
        """Make the folder of a rung, unless it exists.

        Raises:
            LadderError: The folder holds another run, or cannot be made.
        """
        if self._rung_path.exists():
            existing = self.rung()
            if existing != rung:
                raise LadderError(
                    f"{self.path} holds another run of that name: {_difference(existing, rung)}. Give this run another name, or move the folder away."
                )
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LadderError(f"{self.path} cannot be made: {error.strerror}.") from None
        content = {"schema_version": SCHEMA, "code": code_version(), **rung.to_dict()}
        write_text(self._rung_path, sealed(content, indent=1))

    def _content(self) -> dict[str, Any]:
        try:
            content = opened(self._rung_path, "Move the folder away, and the run starts anew.")
        except FileNotFoundError:
            raise LadderError(f"{self.path} is not the folder of a run: it has no rung.json.") from None
        if content.get("schema_version") != SCHEMA:
            raise LadderError(
                f"{self._rung_path} has schema {content.get('schema_version')!r}; this version of Rung reads {SCHEMA}. Use the version that wrote it."
            )
        return content

    def rung(self) -> Rung:
        """The rung that is trained in this folder.

        Raises:
            LadderError: The folder is not that of a run, or another version wrote it.
        """
        content = {key: value for key, value in self._content().items() if key not in {"schema_version", "code"}}
        return Rung.from_dict(content, str(self._rung_path))

    def require_code(self) -> None:
        """Check that the code that started the run is the code that continues it; otherwise its curve would mix two.

        Raises:
            LadderError: Other code started the run.
        """
        before, own = self._content().get("code", {}), code_version()
        if before != own:
            differs = next(name for name in own if before.get(name) != own[name])
            raise LadderError(
                f"{self.path} was started by other code ({differs} {before.get(differs)}, here {own[differs]}), so its curve would not be "
                "that of one run. Finish it with that code, pass --any-code to continue anyway, or move the folder away."
            )

    def state(self) -> dict[str, Any]:
        """What the writer recorded last: status, reason, device, threads and corpus."""
        remedy = f"rung ladder resume {self.path} recovers the run from its checkpoints."
        try:
            content = opened(self._state_path, remedy)
        except FileNotFoundError:
            return {"status": PLANNED}
        if not isinstance(content.get("status"), str) or content["status"] not in _STATUSES:
            raise LadderError(f"{self._state_path} is damaged: its status is {content.get('status')!r}. {remedy}")
        return content

    def recover_state(self) -> str | None:
        """Replace a damaged state by what the other files show, and return what was wrong with it; None if it is whole."""
        try:
            self.state()
        except LadderError as error:
            last = self.last_metrics() or {}
            finished = self.model_path.exists() and last.get("phase") == "final"
            if finished:
                self.say(DONE, **self.metrics_seal())
            else:
                self._state_path.unlink(missing_ok=True)
            unproved = " Its metrics are taken as they are: what would prove them is lost." if finished else ""
            return error.text.partition(" rung ladder resume")[0] + unproved
        return None

    def metrics_seal(self) -> dict[str, Any]:
        """Size and digest of the metrics, which the state of a finished run holds."""
        size = self.metrics_path.stat().st_size if self.metrics_path.exists() else 0
        return {"metrics_bytes": size, "metrics_digest": digest_of_start(self.metrics_path, size)}

    @property
    def status(self) -> str:
        """planned, running, stopped, done, failed, or damaged where that cannot be read."""
        try:
            recorded = str(self.state()["status"])
        except LadderError:
            return DAMAGED
        if recorded in {DONE, FAILED}:
            return recorded
        if self._locked():
            return RUNNING
        return PLANNED if recorded == PLANNED else STOPPED

    def say(self, status: str, **more: Any) -> None:
        """Record the status, with further values such as the reason."""
        write_text(self._state_path, sealed({"status": status, **more}))

    def record_startup_error(self, reason: str) -> None:
        """Record for the launcher why a worker could not start the run."""
        write_text(self._startup_error_path, json.dumps({"reason": reason}) + "\n")

    def startup_error(self) -> str | None:
        """The reason why the last worker could not start the run, which this call removes; None if there is none."""
        try:
            reason = str(json.loads(self._startup_error_path.read_text(encoding="utf-8"))["reason"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            reason = f"{self._startup_error_path.name} is damaged, so the reason is lost"
        self._startup_error_path.unlink(missing_ok=True)
        return reason

    @property
    def _startup_error_path(self) -> Path:
        return self.path / "refused.json"

    @contextmanager
    def writing(self, patience_s: float = PATIENCE_S) -> Iterator[None]:
        """Be the only writer while the block runs, after waiting for a writer that is about to finish.

        Raises:
            LadderError: Another process is still writing after `patience_s` seconds.
        """
        with only_writer(self._lock_path, patience_s):
            yield

    @property
    def _lock_path(self) -> Path:
        return self.path / "lock"

    def _locked(self) -> bool:
        return is_locked(self._lock_path)

    def metrics(self) -> list[dict[str, Any]]:
        """Every line of the metrics, without a last line that an interruption cut off.

        Raises:
            LadderError: The file is damaged.
        """
        state = self.state()
        done = state["status"] == DONE
        size = int(state["metrics_bytes"]) if done and state.get("metrics_digest") else None
        with self._readable():
            lines, bad = read_lines(self.metrics_path, size)
        changed = size is not None and digest_of_start(self.metrics_path, size) != state["metrics_digest"]
        if not done:
            latest = next((found for found in self.checkpoints() if found.step >= 0), None)
            changed = latest is not None and not latest.fits(self.metrics_path)
        # Without a digest, of version 0.1 or of another hand, the last line must be that of the end.
        changed = changed or (done and size is None and (not lines or lines[-1].get("phase") != "final"))
        if bad is not None or changed:
            where = (
                f"{self.metrics_path}, line {bad}: not a line of metrics"
                if bad
                else f"{self.metrics_path}: not what the run wrote"
            )
            remedy = (
                "Restore the file, or move the folder away to train the run again."
                if done
                else f"rung ladder resume {self.path} goes on from the last checkpoint that is whole."
            )
            raise LadderError(f"{where}, so the file is damaged. {remedy}")
        return lines

    def last_metrics(self) -> dict[str, Any] | None:
        """The last complete line of the metrics; None before the first."""
        with self._readable():
            return read_last(self.metrics_path)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LadderError(
                f"{self.metrics_path} cannot be read: {error.strerror or error}. Restore the file, or move the folder away."
            ) from None

    def checkpoint_path(self, step: int) -> Path:
        """The file for the tensors of a step."""
        return self.path / f"checkpoint-{step:09d}.safetensors"

    def write_manifest(self, checkpoint: Checkpoint) -> None:
        """Write the manifest that completes a checkpoint, and remove checkpoints that are no longer needed."""
        names = ("step", "digest", "metrics_bytes", "metrics_digest", "pending", "time_s")
        content = {name: getattr(checkpoint, name) for name in names}
        write_text(checkpoint.file.with_suffix(".json"), sealed(content))
        for old in sorted(self.path.glob("checkpoint-*.json"))[:-_KEPT]:
            self._remove(old)

    def set_aside(self, checkpoint: Checkpoint) -> None:
        """Move a checkpoint that cannot be used out of the way, so that it does not count among those that are kept.

        It lies in the folder set-aside until the run is done: where its metrics are restored, it may be whole.
        """
        aside = self.path / _ASIDE
        aside.mkdir(exist_ok=True)
        for file in (checkpoint.file, checkpoint.file.with_suffix(".json")):
            if file.exists():
                file.replace(aside / file.name)

    def _remove(self, manifest: Path) -> None:
        manifest.unlink(missing_ok=True)
        manifest.with_suffix(".safetensors").unlink(missing_ok=True)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Checkpoints that have a manifest, the latest first; step -1 marks one whose manifest cannot be read."""
        for manifest in sorted(self.path.glob("checkpoint-*.json"), reverse=True):
            try:
                content = opened(manifest, "")
                found = Checkpoint(
                    step=int(content["step"]),
                    file=manifest.with_suffix(".safetensors"),
                    digest=content["digest"],
                    metrics_bytes=int(content["metrics_bytes"]),
                    pending=(float(content["pending"][0]), int(content["pending"][1])),
                    time_s=float(content["time_s"]),
                    metrics_digest=str(content.get("metrics_digest", "")),
                )
            except (LadderError, OSError, ValueError, KeyError, TypeError, IndexError):
                # Without a readable manifest the checkpoint cannot be verified: it is reported as damaged.
                found = Checkpoint(
                    step=-1,
                    file=manifest.with_suffix(".safetensors"),
                    digest="",
                    metrics_bytes=0,
                    pending=(0.0, 0),
                    time_s=0.0,
                )
            yield found

    def clear_checkpoints(self) -> None:
        """Remove the files that only an unfinished run needs."""
        for manifest in self.path.glob("checkpoint-*.json"):
            self._remove(manifest)
        shutil.rmtree(self.path / _ASIDE, ignore_errors=True)
        self.clear_leftovers()

    def clear_leftovers(self) -> None:
        """Remove files that an interruption left incomplete."""
        for part in self.path.glob(".*.part"):
            part.unlink(missing_ok=True)
        for tensors in self.path.glob("checkpoint-*.safetensors"):
            if not tensors.with_suffix(".json").exists():
                tensors.unlink(missing_ok=True)


def run_folders(place: Path) -> list[RunFolder]:
    """The run folders in a folder, by name; or the folder itself, if it is a run folder.

    Raises:
        LadderError: There is no such folder, or no run in it.
    """
    if not place.is_dir():
        raise LadderError(f"{place}: there is no such folder of runs.")
    if (place / "rung.json").exists():
        return [RunFolder(place)]
    found = [RunFolder(file.parent) for file in sorted(place.glob("*/rung.json"))]
    if not found:
        raise LadderError(f"{place}: there is no run folder in it. rung ladder run LADDER.toml makes them.")
    return found


def _difference(existing: Rung, requested: Rung) -> str:
    """The first setting in which two rungs differ."""

    def flat(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in content.items():
            found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
        return found

    old, new = flat(existing.to_dict()), flat(requested.to_dict())
    key = next(key for key in {**old, **new} if old.get(key) != new.get(key))
    return f"{key} is {old.get(key)!r} there, {new.get(key)!r} here"
