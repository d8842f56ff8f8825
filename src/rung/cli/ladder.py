"""`rung ladder`: train the rungs of a ladder file, watch them, and get their table."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from rung.cli.budget import Machines, cluster_of
from rung.cli.table_file import require_table, write_frame
from rung.cli.table_options import say
from rung.cli.text import table as text_table
from rung.errors import LadderError

if TYPE_CHECKING:
    from rung.ladder import Rung
    from rung.ladder.execution import Launch, RunStatus
    from rung.ladder.training import RunFolder

app = App(
    name="ladder",
    help="Train the rungs of a ladder file: check it, run it, watch it, get its table.",
    help_format="plaintext",
    default_parameter=Parameter(show_default=False),
)

Output = Annotated[str | None, Parameter(name=["-o", "--output"])]
Json = Annotated[bool, Parameter(negative="")]
Flag = Annotated[bool, Parameter(negative="")]


@app.command
def check(
    ladder: Annotated[str, Parameter(name="LADDER.toml")],
    /,
    *,
    no_timing: Flag = False,
    machines: Machines = Machines(),  # noqa: B008  # frozen
    json: Json = False,
) -> None:
    """Print the runs that a ladder file means: N, D, C, memory, and the time that they will take.

    Parameters
    ----------
    ladder
        The ladder file.
    no_timing
        Do not time a few steps on this machine.
    machines
        Instead of timing: a machine by name.
    json
        Print one JSON object instead of text.
    """
    from rung.ladder import read_ladder
    from rung.ladder.training import state_bytes

    read = read_ladder(ladder)
    cluster = cluster_of(machines)
    taken: list[float | None]
    with _kept(read) as keep:
        warnings = _corpus_findings(read, keep)
        if cluster:
            taken = [rung.flops_exact / cluster.flops_per_hour * 3600 / cluster.count for rung in read.rungs]
        else:
            taken = [None] * len(read.rungs) if no_timing else _timed(read, keep)
    rows = [
        {
            "run": rung.name,
            "params": rung.params,
            "params_total": rung.counts.total,
            "tokens": rung.tokens,
            "flops": rung.flops,
            "steps": rung.steps,
            "batch_tokens": rung.batch * rung.made_family.item_tokens,
            "lr": rung.recipe.lr,
            "state_bytes": state_bytes(rung),
            "time_s": seconds,
        }
        for rung, seconds in zip(read.rungs, taken, strict=True)
    ]
    if json:
        print(json_module.dumps({"output": str(read.output), "runs": rows, "warnings": warnings}, allow_nan=False))
    else:
        print(_checked(rows, read.rungs[0].convention, read.launch.workers))
    say(*(f"warning: {finding}" for finding in warnings))


def _checked(rows: list[dict[str, Any]], convention: str, workers: int) -> str:
    from rung.units import format_count, format_value

    body = [
        [
            row["run"],
            format_count(row["params"]),
            format_count(row["tokens"]),
            format_value(row["tokens"] / row["params"], 3),
            format_count(row["flops"]),
            f"{row['steps']}",
            format_count(row["batch_tokens"]),
            format_value(row["lr"], 3),
            format_count(row["state_bytes"]),
            _duration(row["time_s"]),
        ]
        for row in rows
    ]
    header = [
        "run",
        f"params ({convention})",
        "tokens",
        "per param",
        "FLOPs",
        "steps",
        "batch",
        "lr",
        "state, bytes",
        "time",
    ]
    times = [row["time_s"] for row in rows]
    total = sum(row["flops"] for row in rows)
    all_time = (
        ""
        if None in times
        else f", {_duration(sum(times))} one after another"
        + (f", {_duration(max(*times, sum(times) / workers))} or more on {workers} workers" if workers > 1 else "")
    )
    return f"{text_table(header, body)}\n\n{len(rows)} runs, {format_count(total)} FLOPs{all_time}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


@contextmanager
def _kept(ladder: Any) -> Iterator[Path]:
    """Where corpora are kept: in the output folder if runs have been begun, else nowhere for long, since a check makes nothing."""
    import tempfile

    from rung.ladder.execution import CORPORA_FOLDER

    if (ladder.output / CORPORA_FOLDER).is_dir():
        yield ladder.output / CORPORA_FOLDER
        return
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def _timed(ladder: Any, keep: Path) -> list[float | None]:
    from rung.ladder.training import seconds

    _require_torch()
    found = seconds(ladder.rungs, ladder.launch, keep)
    return list(found) if found else [None] * len(ladder.rungs)


def _corpus_findings(ladder: Any, keep: Path) -> list[str]:
    """What opening the corpus tells: that it is too small, or that it will be seen more than once."""
    rungs: tuple[Rung, ...] = ladder.rungs
    family = rungs[0].made_family
    data = rungs[0].made_corpus.open(family, keep)
    if data.unique_items is None or rungs[0].corpus.name.startswith("bio"):
        return []
    unique = data.unique_items * family.item_tokens
    over = [rung for rung in rungs if rung.tokens > (min(rung.unique_tokens, unique) if rung.unique_tokens else unique)]
    if not over:
        return []
    most = max(over, key=lambda rung: rung.tokens)
    return [
        f"{len(over)} runs see text more than once: {most.name} trains on {most.tokens:,} tokens, of {unique:,} that there are."
    ]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Carry:
    """How runs are carried out, and what becomes of them."""

    launcher: str | None = None
    """here, local, slurm or ray, instead of what the ladder file says."""
    workers: int | None = None
    """Runs at once, instead of what the ladder file says."""
    any_code: Flag = False
    """Go on with runs that another version of the code began."""
    output: Output = None
    """Write the table of runs in the end: .csv, .parquet or .jsonl."""
    json: Json = False
    """Print JSON instead of text: a list of runs."""

    def over(self, launch: Launch) -> Launch:
        """A file's launch, with what was said here instead."""
        wish = {"launcher": self.launcher, "workers": self.workers}
        return replace(launch, **{name: value for name, value in wish.items() if value is not None})  # type: ignore[arg-type]  # fields by name


@app.command
def run(
    ladder: Annotated[str, Parameter(name="LADDER.toml")],
    /,
    carry: Carry = Carry(),  # frozen
) -> None:
    """Train every run of a ladder file that is not done, from its last checkpoint on.

    Parameters
    ----------
    ladder
        The ladder file.
    """
    from rung.ladder import read_ladder
    from rung.ladder.execution import prepare

    _require_torch()
    require_table(carry.output)
    read = read_ladder(ladder)
    launch = carry.over(read.launch)
    _carried_out(prepare(read), launch, read.track, carry, failed_too=False)


@app.command
def resume(
    place: Annotated[str, Parameter(name="FOLDER")],
    /,
    carry: Carry = Carry(),  # frozen
) -> None:
    """Take up every begun run of a folder that is not done, those that failed too.

    Parameters
    ----------
    place
        The folder of runs, or a ladder file.
    """
    from rung.ladder.execution import folders_of, launch_record

    _require_torch()
    require_table(carry.output)
    folders = folders_of(place)
    launch, track = launch_record(folders)
    _carried_out(folders, carry.over(launch), track, carry, failed_too=True)


def _carried_out(folders: list[RunFolder], launch: Launch, track: Any, carry: Carry, *, failed_too: bool) -> None:
    from rung.cli.progress import progress
    from rung.ladder import table as table_of
    from rung.ladder.execution import execute_all, run_statuses

    try:
        with progress(folders):
            stood = execute_all(
                folders,
                launch,
                track,
                any_code=carry.any_code,
                failed_too=failed_too,
                say=lambda text: say(f"warning: {text}"),
            )
    except KeyboardInterrupt:
        left = [one for one in run_statuses(folders) if one.status != "done"]
        stopped = [f"{one.run} at step {one.step} of {one.steps}" for one in left if one.step]
        say(
            f"{len(folders) - len(left)} of {len(folders)} runs are done"
            + (f"; stopped: {', '.join(stopped)}" if stopped else "")
            + f". rung ladder resume {folders[0].path.parent} goes on from there."
        )
        raise
    _print(stood, json=carry.json)
    if carry.output and any(folder.metrics() for folder in folders):
        write_frame(table_of(folders), carry.output)
    left = [one for one in stood if one.status != "done"]
    if left:
        first = left[0]
        curable = any(one.status == "failed" or one.reason is None for one in left)
        raise LadderError(
            f"{len(left)} of {len(stood)} runs are not done; {first.run} {first.status}"
            + (f": {first.reason}" if first.reason else ".")
            + (f" rung ladder resume {folders[0].path.parent} takes them up." if curable else "")
        )


@app.command
def status(place: Annotated[str, Parameter(name="FOLDER")], /, *, json: Json = False) -> None:
    """Tell how far each run is.

    Parameters
    ----------
    place
        The folder of runs, or a ladder file.
    json
        Print JSON instead of text: a list of runs.
    """
    from rung.ladder.execution import folders_of, run_statuses

    _print(list(run_statuses(folders_of(place))), json=json)


def _print(stood: list[RunStatus], *, json: bool) -> None:
    if json:
        print(json_module.dumps([one.to_dict() for one in stood], allow_nan=False))
        return
    from rung.units import format_value

    rows = [
        [one.run, one.status, f"{one.step} of {one.steps}", format_value(one.loss), _duration(one.time_s)]
        for one in stood
    ]
    print(text_table(["run", "status", "step", "loss", "time"], rows))
    for one in stood:
        if one.reason:
            print(f"{one.run}: {one.reason}")


@app.command
def table(
    place: Annotated[str, Parameter(name="FOLDER")], /, *, last: Flag = False, output: Output = None, json: Json = False
) -> None:
    """Give the table of runs: a row for each evaluation, the finished model's (phase = final) last.

    Parameters
    ----------
    place
        The folder of runs, or a ladder file.
    last
        Only the last row of each run.
    output
        Write it: .csv, .parquet or .jsonl.
    json
        Print it as JSON instead of text.
    """
    from rung.ladder import table as table_of
    from rung.ladder.execution import folders_of
    from rung.units import format_count, format_value

    require_table(output)
    folders = folders_of(place)
    frame = table_of(folders)
    if last:
        frame = frame.unique("run", keep="last", maintain_order=True)
    if output:
        write_frame(frame, output)
    if json:
        print(frame.write_json())
        return
    shown: list[str] = [name for name in ("run", "params", "tokens", "loss", "step", "phase") if name in frame.columns]
    shown += [name for name in frame.columns if name.startswith("loss_")]
    counts = {"params", "tokens"}
    rows = [
        [
            format_count(value) if name in counts else format_value(value) if name.startswith("loss") else str(value)
            for name, value in row.items()
        ]
        for row in frame.select(shown).iter_rows(named=True)
    ]
    print(text_table(shown, rows))


@app.command
def families(*, json: Json = False) -> None:
    """List the families and the corpora, and which go together.

    Parameters
    ----------
    json
        Print one JSON object instead of text.
    """
    from dataclasses import MISSING, fields

    from rung.ladder.architectures import FAMILIES
    from rung.ladder.corpora import CORPORA

    kinds = {name: entry.spec(**entry.options) for name, entry in FAMILIES.items()}
    suits = {name: kind.data.fget(None) for name, kind in CORPORA.items()}  # the same for every one of a kind
    options = {
        **{name: [one.name for one in fields(kind)] for name, kind in kinds.items()},
        **{
            name: [one.name + ("" if one.default is not MISSING else " (needed)") for one in fields(kind)]
            for name, kind in CORPORA.items()
        },
    }
    listed = {
        "families": [{"name": name, "data": kind.data, "options": options[name]} for name, kind in kinds.items()],
        "corpora": [{"name": name, "data": suits[name], "options": options[name]} for name in CORPORA],
    }
    if json:
        print(json_module.dumps(listed))
        return
    wide = max(len(name) for name in options)
    for what, entries in listed.items():
        print(what)
        for entry in entries:
            print(f"  {entry['name']:{wide}}  {entry['data']:8}  {', '.join(entry['options']) or '-'}")


def _require_torch() -> None:
    from importlib.util import find_spec

    for package in ("torch", "safetensors"):
        if find_spec(package) is None:
            raise LadderError(f'training needs {package}, which is not installed: pip install "rung[train]".')
