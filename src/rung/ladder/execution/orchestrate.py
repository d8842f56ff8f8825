"""Executing a ladder: a launcher gets the runs that are not done, and runs whose worker was lost are resumed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.errors import LadderError
from rung.files import write_text
from rung.ladder.execution.launcher import Job, make_launcher
from rung.ladder.execution.options import Launch
from rung.ladder.ladder_file import Ladder
from rung.ladder.toml_schema import plain, structured
from rung.ladder.track import Track
from rung.ladder.training.run_folder import DAMAGED, DONE, FAILED, RunFolder, run_folders
from rung.ladder.training.sealed import opened, sealed
from rung.results import plain_fields

CORPORA_FOLDER = ".corpora"
"""Folder of the prepared corpora, in the output folder of a ladder."""
LAUNCH_RECORD = "ladder.json"
"""File that records how the runs were last executed, in the output folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How far a run is.

    Attributes:
        run: Name of the run.
        status: planned, running, stopped, done, failed or damaged.
        reason: Why the run failed, or could not be started by the last call; None otherwise.
        step: Steps that are logged or in a checkpoint [count].
        steps: Steps in all [count].
        loss: Held-out loss in the last line of metrics, or else its training loss; None before the first line.
        time_s: Training time so far [s].
    """

    run: str
    status: str
    reason: str | None
    step: int
    steps: int
    loss: float | None
    time_s: float

    def to_dict(self) -> dict[str, Any]:
        """The status as plain values."""
        return plain_fields(self)


def prepare(ladder: Ladder) -> list[RunFolder]:
    """Make a folder for every run of a ladder, or none if one belongs to another run or the corpus cannot be used.

    Raises:
        LadderError: A folder holds another run of that name, or the corpus cannot be read or has changed.
    """
    folders = [RunFolder(ladder.output / rung.name) for rung in ladder.rungs]
    first = ladder.rungs[0]
    corpus = first.made_corpus.open(first.made_family, ladder.output / CORPORA_FOLDER).identity
    for folder in (RunFolder(file.parent) for file in sorted(ladder.output.glob("*/rung.json"))):
        before = _corpus_of(folder)
        if before is not None and before[0] == first.corpus and before[1] not in {None, corpus}:
            raise LadderError(
                f"{ladder.source}: the text of the corpus is not what it was when {folder.path} was trained, and one table would "
                'mix the two. Restore the text, or name another folder: output = "...".'
            )
    # Existing folders first: if one of them holds another run, no new folder is made.
    for exists in (True, False):
        for folder, rung in zip(folders, ladder.rungs, strict=True):
            if folder.path.exists() is exists:
                folder.prepare(rung)
    record = {"launch": plain(ladder.launch), "track": plain(ladder.track)}
    write_text(ladder.output / LAUNCH_RECORD, sealed(record, indent=1))
    return folders


def _corpus_of(folder: RunFolder) -> tuple[Any, str | None] | None:
    """The corpus of a run, and the identity that it had when the run started; None where the files are damaged."""
    try:
        return folder.rung().corpus, folder.state().get("corpus")
    except LadderError:
        return None


def launch_record(folders: Sequence[RunFolder]) -> tuple[Launch, Track]:
    """How the runs of a folder were last executed, as their ladder file said.

    Raises:
        LadderError: The record cannot be read.
    """
    path = folders[0].path.parent / LAUNCH_RECORD
    try:
        content = opened(path, "Remove it: the runs are then executed as rung ladder run with the ladder file says.")
        return (
            structured(content["launch"], Launch, str(path)),
            structured(content["track"], Track, str(path)),
        )
    except FileNotFoundError:
        return Launch(), Track()
    except KeyError as error:
        raise LadderError(
            f"{path} is damaged: {error.args[0]} is missing. Remove it, and run the ladder file again."
        ) from None


def execute_all(
    folders: Sequence[RunFolder],
    launch: Launch,
    track: Track,
    *,
    any_code: bool = False,
    failed_too: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[RunStatus]:
    """Train the runs that are not done, and return the status of every run.

    A run that fails or cannot be started keeps its reason, and the others continue. A run whose worker was lost is
    resumed from its last checkpoint, up to `launch.retries` times.

    Args:
        folders: The runs.
        launch: Where and how the runs are executed.
        track: Where the runs are logged in addition to their folders.
        any_code: Whether to continue runs that other code started.
        failed_too: Whether to try failed runs once more.
        say: Shows a sentence to the user.

    Raises:
        LadderError: The launcher is not installed, or other code started a run.
    """
    startup_errors: dict[str, str] = {}
    ended = {DONE} if failed_too else {DONE, FAILED}
    readable = [folder for folder in folders if _unreadable(folder, say) is None]
    waiting = deque(folder for folder in readable if folder.status not in ended)
    if not any_code:
        for folder in waiting:
            folder.require_code()
    if waiting:
        keep = folders[0].path.parent.resolve() / CORPORA_FOLDER
        job = Job(launch=launch, keep=keep, any_code=any_code, tracker=track)
        tries: dict[Path, int] = {}
        for folder in make_launcher(job).launch(waiting):
            startup_error, status = folder.startup_error(), folder.status
            if startup_error is not None and status != DONE:
                say(f"{folder.path.name} was not trained: {startup_error}")
                startup_errors[folder.path.name] = startup_error
                continue
            if status in {DONE, FAILED}:
                continue
            tries[folder.path] = tries.get(folder.path, 0) + 1
            if tries[folder.path] <= launch.retries:
                say(f"{folder.path.name}: its worker was lost; it resumes from its last checkpoint.")
                waiting.append(folder)
            else:
                say(f"{folder.path.name}: its worker was lost {tries[folder.path]} times; it is not resumed again.")
    return [replace(one, reason=startup_errors.get(one.run, one.reason)) for one in run_statuses(folders, proved=True)]


def _unreadable(folder: RunFolder, say: Callable[[str], None] = lambda _: None) -> str | None:
    """Why a folder does not say what its run is; None if it does."""
    try:
        folder.rung()
    except LadderError as error:
        say(f"{error.text} The other runs go on.")
        return error.text
    return None


def run_statuses(folders: Sequence[RunFolder], *, proved: bool = False) -> Iterator[RunStatus]:
    """The status of each run, and how far it is.

    Args:
        folders: The runs.
        proved: Whether to read all metrics of finished runs, and call one damaged that is not what the run wrote.
    """
    for folder in folders:
        try:
            rung, last = folder.rung(), folder.last_metrics() or {}
            state = folder.state()
            if proved and state["status"] == DONE:
                folder.metrics()
        except LadderError as error:
            yield RunStatus(
                run=folder.path.name, status=DAMAGED, reason=error.text, step=0, steps=0, loss=None, time_s=0.0
            )
            continue
        evaluation = last.get("evaluation", {})
        reason = state.get("reason") if state["status"] == FAILED else None
        if state["status"] == DONE and not folder.model_path.exists():
            reason = f"its finished network, {folder.model_path.name}, is gone; its metrics are there."
        yield RunStatus(
            run=rung.name,
            status=folder.status,
            reason=reason,
            step=max([int(last.get("step", 0)), *(found.step for found in folder.checkpoints())]),
            steps=rung.steps,
            loss=evaluation.get("loss", last.get("train_loss")),
            time_s=float(last.get("time_s", 0.0)),
        )


def folders_of(place: str | Path) -> list[RunFolder]:
    """The runs of a folder, or those of a ladder file that have been started.

    Raises:
        LadderError: There is none.
    """
    path = Path(place)
    if path.is_file():
        from rung.ladder.ladder_file import read_ladder

        ladder = read_ladder(path)
        found = [RunFolder(ladder.output / rung.name) for rung in ladder.rungs]
        started = [folder for folder in found if (folder.path / "rung.json").exists()]
        if not started:
            raise LadderError(
                f"{path}: none of its {len(found)} runs has been started. rung ladder run {path} starts them."
            )
        return started
    return run_folders(path)
