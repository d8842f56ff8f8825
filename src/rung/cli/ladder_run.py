"""`rung ladder run` and `resume`: executing the runs of a ladder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.ladder_status import print_statuses, require_torch
from rung.cli.options import Json, Output
from rung.cli.output import require_kinds, say
from rung.cli.table_file import KINDS, write_frame
from rung.errors import LadderError

if TYPE_CHECKING:
    from rung.ladder.execution import Launch
    from rung.ladder.training import RunFolder

Flag = Annotated[bool, Parameter(negative="")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """How runs are executed, and where their table goes."""

    launcher: str | None = None
    """here, local, slurm or ray, instead of what the ladder file says."""
    workers: int | None = None
    """Runs at once, instead of what the ladder file says."""
    any_code: Flag = False
    """Continue runs that another version of the code started."""
    output: Output = ()
    json: Json = False

    def over(self, launch: Launch) -> Launch:
        """A file's launch, with what is given here instead."""
        given = {"launcher": self.launcher, "workers": self.workers}
        return replace(launch, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]  # fields by name


def run(
    ladder: Annotated[str, Parameter(name="LADDER.toml")],
    /,
    options: ExecutionOptions = ExecutionOptions(),  # frozen
) -> None:
    """Train every run of a ladder file that is not done, from its last checkpoint on.

    Parameters
    ----------
    ladder
        The ladder file.
    """
    from rung.ladder import read_ladder
    from rung.ladder.execution import prepare
    from rung.ladder.training import require_possible

    require_torch()
    require_kinds(options.output, KINDS)
    read = read_ladder(ladder)
    launch = options.over(read.launch)
    require_possible(read.rungs, launch)
    _execute(prepare(read), launch, read.track, options, failed_too=False)


def resume(
    folder: Annotated[str, Parameter(name="FOLDER")],
    /,
    options: ExecutionOptions = ExecutionOptions(),  # frozen
) -> None:
    """Resume every started run of a folder that is not done, also those that failed.

    Parameters
    ----------
    folder
        The folder of runs, or a ladder file.
    """
    from rung.ladder.execution import folders_of, launch_record

    require_torch()
    require_kinds(options.output, KINDS)
    folders = folders_of(folder)
    launch, track = launch_record(folders)
    _execute(folders, options.over(launch), track, options, failed_too=True)


def _execute(
    folders: list[RunFolder], launch: Launch, track: Any, options: ExecutionOptions, *, failed_too: bool
) -> None:
    from rung.cli.progress import progress
    from rung.ladder import table as table_of
    from rung.ladder.execution import execute_all, run_statuses

    try:
        with progress(folders):
            statuses = execute_all(
                folders,
                launch,
                track,
                any_code=options.any_code,
                failed_too=failed_too,
                say=lambda text: say(f"warning: {text}"),
            )
    except KeyboardInterrupt:
        left = [one for one in run_statuses(folders) if one.status != "done"]
        stopped = [f"{one.run} at step {one.step} of {one.steps}" for one in left if one.step]
        say(
            f"{len(folders) - len(left)} of {len(folders)} runs are done"
            + (f"; stopped: {', '.join(stopped)}" if stopped else "")
            + f". rung ladder resume {folders[0].path.parent} continues from there."
        )
        raise
    print_statuses(statuses, json=options.json)
    for path in options.output if any(folder.last_metrics() for folder in folders) else ():
        write_frame(table_of(folders), path)
    left = [one for one in statuses if one.status != "done"]
    if left:
        first = left[0]
        curable = any(one.status == "failed" or one.reason is None for one in left)
        raise LadderError(
            f"{len(left)} of {len(statuses)} runs are not done; {first.run} {'is ' if first.status == 'damaged' else ''}{first.status}"
            + (f": {first.reason}" if first.reason else ".")
            + (f" rung ladder resume {folders[0].path.parent} resumes them." if curable else "")
        )
