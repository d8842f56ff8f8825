"""The worker: one run in its folder, resumed, trained, logged and checkpointed, with its failure recorded."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from rung.errors import LadderError, ReportError
from rung.ladder.cores import own_cores
from rung.ladder.execution.options import Launch
from rung.ladder.rung import Rung
from rung.ladder.training.checkpoint import Checkpoint
from rung.ladder.training.run_folder import DONE, FAILED, RUNNING, STOPPED, RunFolder
from rung.ladder.training.sealed import digest_of_start
from rung.ladder.training.tracking import Tracker
from rung.ladder.training.trainer import Trainer, best_device
from rung.messages import first_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Settings for training a run in its folder.

    Attributes:
        launch: Device, threads, and intervals of logs and checkpoints.
        keep: Folder where prepared corpora are kept.
        any_code: Whether to continue a run that other code started.
        stop: Whether to stop now; called after every step.
        say: Shows a sentence to the user.
        track: Makes the tracker of a run, or gives None.
    """

    launch: Launch = field(default_factory=Launch)
    keep: Path | None = None
    any_code: bool = False
    stop: Callable[[], bool] = lambda: False
    say: Callable[[str], None] = lambda _: None
    track: Callable[[RunFolder], Tracker | None] = lambda _: None


class TrainingFailed(Exception):  # noqa: N818  # it is recorded in the folder and not raised further
    """The run itself failed, not the machine."""


def work_on(folder: RunFolder, work: Work) -> str:
    """Train the run of a folder from its last checkpoint, and return its status.

    A failure of the run itself (a loss that is not a number, not enough memory) is recorded in its state. What prevents
    the start (another writer, other code or another corpus than before, no such device, no tracker) and errors of the
    machine (a full disk) are raised, and the run can be resumed.

    Raises:
        LadderError: The run cannot be started.
        ReportError: The folder cannot be written.
        OSError: The same.
    """
    with folder.writing():
        if (wrong := folder.recover_state()) is not None:
            work.say(f"{wrong.rstrip('.')}; the run goes on from what its other files show.")
        if folder.state()["status"] == DONE:
            folder.clear_checkpoints()
            return DONE
        if not work.any_code:
            folder.require_code()
        folder.clear_leftovers()
        tracker: Tracker | None = None
        try:
            trainer, where = _started(folder, work)
            tracker = work.track(folder)
            status = _train(folder, work, trainer, where, tracker)
        except (TrainingFailed, torch.OutOfMemoryError, MemoryError, RuntimeError, ValueError) as error:
            status = FAILED
            reason = first_line(error)
            memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
            if memory:
                reason = f"out of memory: {reason}. Set micro_batch in [recipe], or take a smaller size."
            start = {name: value for name, value in folder.state().items() if name in {"device", "threads", "corpus"}}
            folder.say(FAILED, reason=reason, trace=traceback.format_exc(), **start)
            work.say(f"{folder.path.name} failed: {reason}")
        if tracker is not None:
            tracker.end(status)
        return status


def _started(folder: RunFolder, work: Work) -> tuple[Trainer, dict[str, Any]]:
    """The trainer of a run before its first step, with the device, threads and corpus that the run started with.

    Raises:
        LadderError: There is no such device, or the corpus cannot be read or has changed.
    """
    launch, before = work.launch, folder.state()
    device = best_device(launch.device if launch.device != "auto" else str(before.get("device", "auto")))
    threads = launch.threads or int(before.get("threads", 0)) or max(1, own_cores() // launch.workers)
    torch.set_num_threads(threads)
    trainer = Trainer(folder.rung(), device=device, keep=work.keep)
    corpus = trainer.data.identity
    if before.get("corpus", corpus) != corpus:
        raise LadderError(
            f"{folder.path}: the corpus is not what it was when the run started, so its curve would not be that of one run. "
            "Restore the text, or move the folder away."
        )
    where = {"device": device, "threads": threads, "corpus": corpus}
    folder.say(RUNNING, **where)
    return trainer, where


def _train(folder: RunFolder, work: Work, trainer: Trainer, where: dict[str, Any], tracker: Tracker | None) -> str:
    launch, device, rung = work.launch, trainer.device, trainer.rung
    _require_own(folder.metrics_path)
    resumed = _restore(folder, trainer, work.say)
    evaluated = rung.evaluate.steps(rung.recipe, rung.steps)
    total, count = torch.tensor(resumed.pending[0], device=device), resumed.pending[1]
    clock = time.perf_counter() - resumed.time_s
    last_checkpoint = time.perf_counter()
    with _metrics_from(folder, resumed.metrics_bytes) as metrics:

        def checkpoint() -> None:
            _checkpoint(folder, trainer, metrics, (float(total), count), time.perf_counter() - clock)

        while trainer.step < rung.steps:
            total += trainer.advance()
            count += 1
            step = trainer.step
            if step % launch.log_steps == 0 or step in evaluated:
                mean = float(total) / count
                if not math.isfinite(mean):
                    raise TrainingFailed(
                        f"the training loss is {mean} by step {step} of {rung.steps}. Take a lower lr (it was {rung.recipe.lr:.3g}) or a longer warmup."
                    )
                line: dict[str, Any] = {
                    "step": step,
                    "tokens": step * rung.batch * rung.made_family.item_tokens,
                    "train_loss": mean,
                    "lr": _lr(rung.recipe.lr) * rung.recipe.rate(step - 1, rung.steps),
                    "time_s": round(time.perf_counter() - clock, 3),
                }
                if step in evaluated:
                    line["phase"] = _phase(rung, step)
                    line["evaluation"] = _finite(trainer.evaluate(), step)
                    if trainer.floors:
                        line["floor"] = trainer.floors
                _append(metrics, line)
                if tracker is not None:
                    tracker.log(line)
                total.zero_()
                count = 0
            if time.perf_counter() - last_checkpoint >= launch.checkpoint_s and trainer.step < rung.steps:
                checkpoint()
                last_checkpoint = time.perf_counter()
            if work.stop() and trainer.step < rung.steps:
                checkpoint()
                folder.say(STOPPED, reason="asked to stop", **where)
                return STOPPED
    _save({name: value.contiguous() for name, value in _finished(trainer).items()}, folder.model_path)
    folder.say(DONE, **where, **folder.metrics_seal())
    folder.clear_checkpoints()
    return DONE


def _require_own(path: Path) -> None:
    """Refuse metrics that are a link.

    Raises:
        LadderError: The file is a link, through which another file would be overwritten.
    """
    if path.is_symlink():
        raise LadderError(f"{path} is a link to another file, which would be overwritten. Remove the link.")


def _metrics_from(folder: RunFolder, size: int) -> BinaryIO:
    """The metrics, opened after the part that belongs to the steps done; the rest is cut off."""
    metrics = folder.metrics_path.open("ab")
    metrics.truncate(size)
    metrics.seek(0, os.SEEK_END)
    return metrics


def _phase(rung: Rung, step: int) -> str:
    """The phase of an evaluation: final, decay once the learning rate falls, constant before that."""
    if step == rung.steps:
        return "final"
    falls = rung.recipe.schedule == "cosine" or step > rung.recipe.steps_before_decay(rung.steps)
    return "decay" if falls else "constant"


def _lr(value: float | str) -> float:
    assert isinstance(value, float)
    return value


def _finite(losses: dict[str, float], step: int) -> dict[str, float]:
    for name, value in losses.items():
        if not math.isfinite(value):
            raise TrainingFailed(f"the held-out {name} is {value} at step {step}. Take a lower lr or a longer warmup.")
    return losses


def _append(metrics: BinaryIO, line: Mapping[str, Any]) -> None:
    metrics.write(json.dumps(line).encode() + b"\n")
    metrics.flush()


def _restore(folder: RunFolder, trainer: Trainer, say: Callable[[str], None]) -> Checkpoint:
    """Bring a trainer to the latest undamaged checkpoint, and return it; step 0 if there is none."""
    kept = list(folder.checkpoints())
    for index, found in enumerate(kept, 1):
        state = _loaded(found)
        if state is not None and found.fits(folder.metrics_path):
            trainer.restore(state, found.step)
            return found
        what = (
            f"{found.file} is damaged or incomplete"
            if state is None
            else f"{folder.metrics_path} is shorter than, or other than, {found.file.name} says"
        )
        instead = "the checkpoint before it is used" if index < len(kept) else "the run starts anew"
        say(f"{what}: {instead}; {found.file.name} is kept in {found.file.parent / 'set-aside'} until the run is done.")
        folder.set_aside(found)
    return Checkpoint(step=0, file=folder.checkpoint_path(0), digest="", metrics_bytes=0, pending=(0.0, 0), time_s=0.0)


def _loaded(checkpoint: Checkpoint) -> dict[str, torch.Tensor] | None:
    """The tensors of a checkpoint; None if they are not the ones that were written."""
    if checkpoint.step < 0 or not checkpoint.whole:
        return None
    try:
        return load_file(checkpoint.file)
    except (SafetensorError, OSError):
        return None


def _checkpoint(
    folder: RunFolder, trainer: Trainer, metrics: BinaryIO, pending: tuple[float, int], time_s: float
) -> None:
    file = folder.checkpoint_path(trainer.step)
    _save({name: value.contiguous() for name, value in _untied(trainer.state()).items()}, file)
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    os.fsync(metrics.fileno())
    folder.write_manifest(
        Checkpoint(
            step=trainer.step,
            file=file,
            digest=digest,
            metrics_bytes=metrics.tell(),
            metrics_digest=digest_of_start(folder.metrics_path, metrics.tell()) or "",
            pending=pending,
            time_s=time_s,
        )
    )


def _untied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, with a copy for the second name of a shared tensor, since the file format cannot share."""
    seen: set[int] = set()
    found = {}
    for name, value in state.items():
        found[name] = value.clone() if value.data_ptr() in seen else value
        seen.add(value.data_ptr())
    return found


def _finished(trainer: Trainer) -> dict[str, torch.Tensor]:
    """The weights of the finished network, averaged if the recipe says so."""
    with trainer.averaged():
        return _untied({name: value.detach().clone() for name, value in trainer.net.state_dict().items()})


def _save(tensors: dict[str, torch.Tensor], file: Path) -> None:
    """Write tensors to a temporary file and rename it, so that an interruption leaves no incomplete file."""
    part = file.with_name(f".{file.name}.part")
    try:
        save_file(tensors, part)
        with part.open("rb+") as opened:
            os.fsync(opened.fileno())
        part.replace(file)
    except SafetensorError as error:
        raise ReportError(f"{file} cannot be written: {error}") from None
    finally:
        part.unlink(missing_ok=True)
