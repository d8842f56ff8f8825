"""Carrying a ladder out: what is not done yet is given to a launcher, and what was lost is taken up again."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.errors import LadderError
from rung.files import write_text
from rung.ladder.execution.launcher import Job, make_launcher
from rung.ladder.execution.options import Launch
from rung.ladder.ladder_file import Ladder, Track
from rung.ladder.toml_schema import plain, structured
from rung.ladder.training.run_folder import DONE, FAILED, RunFolder, run_folders

CORPORA_FOLDER = ".corpora"
"""Where a ladder keeps its corpora, in its output folder."""
LAUNCH_RECORD = "ladder.json"
"""How its runs are carried out, there as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How far a run is.

    Attributes:
        run: Its name.
        status: planned, running, stopped, done or failed.
        reason: Why it failed, or could not be trained just now; None otherwise.
        step: Steps logged.
        steps: Steps in all.
        loss: The held-out loss of its last line of metrics, or the training loss of that line; None before the first.
        time_s: Seconds trained.
    """

    run: str
    status: str
    reason: str | None
    step: int
    steps: int
    loss: float | None
    time_s: float

    def to_dict(self) -> dict[str, Any]:
        """The standing as plain values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def prepare(ladder: Ladder) -> list[RunFolder]:
    """A folder for every run of a ladder; nothing is made if one of them belongs to another run, or the corpus is none.

    Raises:
        LadderError: A folder holds another run of that name, or the corpus cannot be read.
    """
    folders = [RunFolder(ladder.output / rung.name) for rung in ladder.rungs]
    first = ladder.rungs[0]
    corpus = first.made_corpus.open(first.made_family, ladder.output / CORPORA_FOLDER).identity
    for folder in (RunFolder(file.parent) for file in sorted(ladder.output.glob("*/rung.json"))):
        if folder.rung().corpus == first.corpus and folder.state().get("corpus", corpus) != corpus:
            raise LadderError(
                f"{ladder.source}: the text of the corpus is not what it was when {folder.path} was trained, and one table would "
                'mix the two. Bring the text back, or name another folder: output = "...".'
            )
    for there in (True, False):
        for folder, rung in zip(folders, ladder.rungs, strict=True):
            if folder.path.exists() is there:
                folder.prepare(rung)
    said = {"launch": plain(ladder.launch), "track": plain(ladder.track)}
    write_text(ladder.output / LAUNCH_RECORD, json.dumps(said, indent=1) + "\n")
    return folders


def launch_record(folders: Sequence[RunFolder]) -> tuple[Launch, Track]:
    """How the runs of a folder were last carried out: what its ladder file said.

    Raises:
        LadderError: What is written there cannot be read.
    """
    path = folders[0].path.parent / LAUNCH_RECORD
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return (
            structured(content["launch"], Launch, str(path)),
            structured(content["track"], Track, str(path)),
        )
    except FileNotFoundError:
        return Launch(), Track()
    except (OSError, ValueError, KeyError) as error:
        raise LadderError(f"{path} cannot be read: {error}.") from None


def execute_all(
    folders: Sequence[RunFolder],
    launch: Launch,
    track: Track,
    *,
    any_code: bool = False,
    failed_too: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[RunStatus]:
    """Train what is not done; how every run stands in the end.

    A run that fails or cannot be begun is left with its reason, and the others go on. A run whose worker was lost is taken
    up from its last checkpoint, `launch.retries` times.

    Args:
        folders: The runs.
        launch: Where and how.
        track: Where they are logged beside.
        any_code: Whether to go on with runs that other code began.
        failed_too: Whether runs that failed are tried once more.
        say: Takes sentences for the user.

    Raises:
        LadderError: The launcher is not installed, or other code began a run.
    """
    refused: dict[str, str] = {}
    ended = {DONE} if failed_too else {DONE, FAILED}
    waiting = deque(folder for folder in folders if folder.status not in ended)
    if not any_code:
        for folder in waiting:
            folder.require_code()
    if waiting:
        keep = folders[0].path.parent.resolve() / CORPORA_FOLDER
        job = Job(launch=launch, keep=keep, any_code=any_code, tracker=(track.to, track.address, track.experiment))
        tries: dict[Path, int] = {}
        for folder in make_launcher(job).launch(waiting):
            refusal, status = folder.refusal(), folder.status
            if refusal is not None and status != DONE:
                say(f"{folder.path.name} was not trained: {refusal}")
                refused[folder.path.name] = refusal
                continue
            if status in {DONE, FAILED}:
                continue
            tries[folder.path] = tries.get(folder.path, 0) + 1
            if tries[folder.path] <= launch.retries:
                say(f"{folder.path.name}: its worker was lost; taken up again from its last checkpoint.")
                waiting.append(folder)
            else:
                say(f"{folder.path.name}: its worker was lost {tries[folder.path]} times; left as it is.")
    return [replace(one, reason=refused.get(one.run, one.reason)) for one in run_statuses(folders)]


def run_statuses(folders: Sequence[RunFolder]) -> Iterator[RunStatus]:
    """How far each run is."""
    for folder in folders:
        rung, last = folder.rung(), folder.last_metrics() or {}
        state = folder.state()
        evaluation = last.get("evaluation", {})
        yield RunStatus(
            run=rung.name,
            status=folder.status,
            reason=state.get("reason") if state["status"] == FAILED else None,
            step=max([int(last.get("step", 0)), *(found.step for found in folder.checkpoints())]),
            steps=rung.steps,
            loss=evaluation.get("loss", last.get("train_loss")),
            time_s=float(last.get("time_s", 0.0)),
        )


def folders_of(place: str | Path) -> list[RunFolder]:
    """The runs of a folder, or those of a ladder file that have been begun.

    Raises:
        LadderError: There is none.
    """
    path = Path(place)
    if path.is_file():
        from rung.ladder.ladder_file import read_ladder

        ladder = read_ladder(path)
        found = [RunFolder(ladder.output / rung.name) for rung in ladder.rungs]
        begun = [folder for folder in found if (folder.path / "rung.json").exists()]
        if not begun:
            raise LadderError(
                f"{path}: none of its {len(found)} runs has been begun. rung ladder run {path} begins them."
            )
        return begun
    return run_folders(path)
