"""The folder of a run, which is the truth about it: what is trained, what was measured, how far it came, who writes.

rung.json       what is trained, and by which code
metrics.jsonl   training losses and evaluations, one a line
state.json      done, failed or stopped, with the reason
checkpoint-*    state of network, optimizer and chance at a step, and beside it what makes sure of it
model.safetensors   the finished network
lock            held by the one writer
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.errors import LadderError
from rung.files import write_text
from rung.ladder.rung import Rung
from rung.ladder.training.checkpoint import Checkpoint, code_version

SCHEMA = 1
PLANNED, RUNNING, STOPPED, DONE, FAILED = "planned", "running", "stopped", "done", "failed"
_KEPT = 2
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run; it alone knows its files.

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
        """Make the folder of a rung, or find it already made.

        Raises:
            LadderError: It holds another run, or cannot be made.
        """
        if self._rung_path.exists():
            begun = self.rung()
            if begun != rung:
                raise LadderError(
                    f"{self.path} holds another run of that name: {_difference(begun, rung)}. Name this one otherwise, or move the folder away."
                )
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LadderError(f"{self.path} cannot be made: {error.strerror}.") from None
        content = {"schema_version": SCHEMA, "code": code_version(), **rung.to_dict()}
        write_text(self._rung_path, json.dumps(content, indent=1) + "\n")

    def _content(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(self._rung_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise LadderError(f"{self.path} is no run's folder: it has no rung.json.") from None
        except (OSError, ValueError) as error:
            raise LadderError(f"{self._rung_path} cannot be read: {error}.") from None
        if content.get("schema_version") != SCHEMA:
            raise LadderError(
                f"{self._rung_path} is of schema {content.get('schema_version')!r}; this Rung reads {SCHEMA}. Use the version that wrote it."
            )
        return content

    def rung(self) -> Rung:
        """What is trained here.

        Raises:
            LadderError: The folder is no run's, or another version's.
        """
        content = {key: value for key, value in self._content().items() if key not in {"schema_version", "code"}}
        return Rung.from_dict(content, str(self._rung_path))

    def require_code(self) -> None:
        """Refuse to go on with what other code began: its curve would not be one run's.

        Raises:
            LadderError: It did.
        """
        begun, own = self._content().get("code", {}), code_version()
        if begun != own:
            differs = next(name for name in own if begun.get(name) != own[name])
            raise LadderError(
                f"{self.path} was begun by other code ({differs} {begun.get(differs)}, here {own[differs]}), so its curve would not be "
                "that of one run. Finish it with that code, pass --any-code to go on all the same, or move the folder away."
            )

    def state(self) -> dict[str, Any]:
        """What the writer said last: status, reason, and where it runs."""
        try:
            content: dict[str, Any] = json.loads(self._state_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"status": PLANNED}
        except (OSError, ValueError) as error:
            raise LadderError(f"{self._state_path} cannot be read: {error}.") from None
        return content

    @property
    def status(self) -> str:
        """planned, running, stopped, done or failed."""
        said = str(self.state()["status"])
        if said in {DONE, FAILED}:
            return said
        if self._locked():
            return RUNNING
        return PLANNED if said == PLANNED else STOPPED

    def say(self, status: str, **more: Any) -> None:
        """Write the state."""
        write_text(self._state_path, json.dumps({"status": status, **more}) + "\n")

    def refuse(self, reason: str) -> None:
        """Leave word for whoever launched a worker that it did not begin, and why."""
        write_text(self._refusal_path, json.dumps({"reason": reason}) + "\n")

    def refusal(self) -> str | None:
        """The word that a worker left, taken away; None where there is none."""
        try:
            reason = str(json.loads(self._refusal_path.read_text(encoding="utf-8"))["reason"])
        except FileNotFoundError:
            return None
        self._refusal_path.unlink(missing_ok=True)
        return reason

    @property
    def _refusal_path(self) -> Path:
        return self.path / "refused.json"

    @contextmanager
    def writing(self, patience_s: float = _PATIENCE_S) -> Iterator[None]:
        """Be the one writer; a writer that is about to leave is waited for.

        Raises:
            LadderError: Another process is.
        """
        with self._lock_path.open("a+") as lock:
            until = time.monotonic() + patience_s
            while not _try_lock(lock.fileno()):
                if time.monotonic() >= until:
                    lock.seek(0)
                    raise LadderError(
                        f"{self.path} is being written by another process ({lock.read().strip() or 'unknown'}). Wait for it, or end it."
                    )
                time.sleep(0.05)
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}")
            lock.flush()
            yield

    @property
    def _lock_path(self) -> Path:
        return self.path / "lock"

    def _locked(self) -> bool:
        if not self._lock_path.exists():
            return False
        with self._lock_path.open("rb") as lock:
            return not _try_lock(lock.fileno(), fcntl.LOCK_SH)

    def metrics(self) -> list[dict[str, Any]]:
        """Every line of the metrics; a last one that is cut off, as by an interrupt, is left out."""
        try:
            lines = self.metrics_path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found = []
        for place, line in enumerate(lines[:-1], 1):
            try:
                found.append(json.loads(line))
            except ValueError:
                raise LadderError(
                    f"{self.metrics_path}, line {place}: not JSON. It was not written so; remove the line, or the folder to train anew."
                ) from None
        return found

    def last_metrics(self) -> dict[str, Any] | None:
        """The last whole line of the metrics, without reading those before it."""
        try:
            with self.metrics_path.open("rb") as opened:
                opened.seek(0, os.SEEK_END)
                opened.seek(max(0, opened.tell() - 4096))
                lines = opened.read().split(b"\n")
        except FileNotFoundError:
            return None
        whole = [line for line in lines[:-1] if line.startswith(b"{") and line.endswith(b"}")]
        return json.loads(whole[-1]) if whole else None

    def checkpoint_path(self, step: int) -> Path:
        """Where the tensors of a step go."""
        return self.path / f"checkpoint-{step:09d}.safetensors"

    def seal(self, checkpoint: Checkpoint) -> None:
        """Say that a checkpoint is whole, and remove those that it makes needless."""
        content = {name: getattr(checkpoint, name) for name in ("step", "digest", "metrics_bytes", "pending", "time_s")}
        write_text(checkpoint.file.with_suffix(".json"), json.dumps(content) + "\n")
        for old in sorted(self.path.glob("checkpoint-*.json"))[:-_KEPT]:
            self._remove(old)

    def discard(self, checkpoint: Checkpoint) -> None:
        """Remove a checkpoint that is damaged, so that it stands in no whole one's place."""
        self._remove(checkpoint.file.with_suffix(".json"))

    def _remove(self, seal: Path) -> None:
        seal.unlink(missing_ok=True)
        seal.with_suffix(".safetensors").unlink(missing_ok=True)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Sealed checkpoints, the latest first."""
        for seal in sorted(self.path.glob("checkpoint-*.json"), reverse=True):
            try:
                content = json.loads(seal.read_text(encoding="utf-8"))
                found = Checkpoint(
                    step=int(content["step"]),
                    file=seal.with_suffix(".safetensors"),
                    digest=content["digest"],
                    metrics_bytes=int(content["metrics_bytes"]),
                    pending=(float(content["pending"][0]), int(content["pending"][1])),
                    time_s=float(content["time_s"]),
                )
            except (OSError, ValueError, KeyError, TypeError, IndexError):
                # A seal that cannot be read seals nothing: its checkpoint is told of as damaged.
                found = Checkpoint(
                    step=-1,
                    file=seal.with_suffix(".safetensors"),
                    digest="",
                    metrics_bytes=0,
                    pending=(0.0, 0),
                    time_s=0.0,
                )
            yield found

    def clear_checkpoints(self) -> None:
        """Remove what only an unfinished run needs."""
        for seal in self.path.glob("checkpoint-*.json"):
            self._remove(seal)
        self.clear_leftovers()

    def clear_leftovers(self) -> None:
        """Remove what an interrupt left half written."""
        for part in self.path.glob(".*.part"):
            part.unlink(missing_ok=True)
        for tensors in self.path.glob("checkpoint-*.safetensors"):
            if not tensors.with_suffix(".json").exists():
                tensors.unlink(missing_ok=True)


def run_folders(place: Path) -> list[RunFolder]:
    """Every run's folder in a folder of them, by name; or the folder itself, if it is a run's.

    Raises:
        LadderError: There is no such folder, or no run in it.
    """
    if not place.is_dir():
        raise LadderError(f"{place}: there is no such folder of runs.")
    if (place / "rung.json").exists():
        return [RunFolder(place)]
    found = [RunFolder(file.parent) for file in sorted(place.glob("*/rung.json"))]
    if not found:
        raise LadderError(f"{place}: no run's folder in it. rung ladder run LADDER.toml makes them.")
    return found


def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _difference(begun: Rung, wished: Rung) -> str:
    """The first thing in which two rungs differ."""

    def flat(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in content.items():
            found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
        return found

    old, new = flat(begun.to_dict()), flat(wished.to_dict())
    key = next(key for key in {**old, **new} if old.get(key) != new.get(key))
    return f"{key} is {old.get(key)!r} there, {new.get(key)!r} here"
