"""`rung ladder`: train the rungs of a ladder file, watch them, and get their table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from rung.cli.budget import Machines, cluster_of
from rung.cli.ladder_run import Flag, resume, run
from rung.cli.ladder_status import duration, print_statuses, require_torch
from rung.cli.options import Figure, Json, Output
from rung.cli.output import as_json, figure_kinds, require_kinds, say, show
from rung.cli.table_file import KINDS, write_frame

if TYPE_CHECKING:
    from rung.ladder import Rung

app = App(
    name="ladder",
    help="Train the rungs of a ladder file: check it, run it, watch it, get its table.",
    help_epilogue="Examples:\n  rung ladder check ladder.toml\n  rung ladder run ladder.toml --workers 2 -o runs.csv",
    help_format="plaintext",
    default_parameter=Parameter(show_default=False),
)


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
    """
    from rung.ladder import read_ladder
    from rung.ladder.training import activation_bytes, require_possible, state_bytes

    read = read_ladder(ladder)
    require_possible(read.rungs, read.launch)
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
            "activation_bytes": activation_bytes(rung),
            "time_s": seconds,
        }
        for rung, seconds in zip(read.rungs, taken, strict=True)
    ]
    if json:
        print(as_json({"output": str(read.output), "runs": rows, "warnings": warnings}))
    else:
        print(_checked(rows, read.rungs[0].convention, read.launch.workers))
    say(*(f"warning: {finding}" for finding in warnings))


def _checked(rows: list[dict[str, Any]], convention: str, workers: int) -> str:
    from rung.results import Table
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
            format_count(row["activation_bytes"]),
            duration(row["time_s"]),
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
        "activations",
        "time",
    ]
    times = [row["time_s"] for row in rows]
    total = sum(row["flops"] for row in rows)
    all_time = (
        ""
        if None in times
        else f", {duration(sum(times))} one after another"
        + (f", {duration(max(*times, sum(times) / workers))} or more on {workers} workers" if workers > 1 else "")
    )
    return f"{Table(header, body).text()}\n\n{len(rows)} runs, {format_count(total)} FLOPs{all_time}"


@contextmanager
def _kept(ladder: Any) -> Iterator[Path]:
    """Where corpora are kept: in the output folder once runs have started, else in a temporary one, because a check leaves nothing behind."""
    import tempfile

    from rung.ladder.execution import CORPORA_FOLDER

    if (ladder.output / CORPORA_FOLDER).is_dir():
        yield ladder.output / CORPORA_FOLDER
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _timed(ladder: Any, keep: Path) -> list[float | None]:
    from rung.ladder.training import seconds

    require_torch()
    found = seconds(ladder.rungs, ladder.launch, keep)
    return list(found) if found else [None] * len(ladder.rungs)


def _corpus_findings(ladder: Any, keep: Path) -> list[str]:
    """What opening the corpus shows: that it is too small, or that it will be seen more than once."""
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
        f"{len(over)} runs see text more than once: {most.name} trains on {most.tokens:,} tokens, and there are {unique:,}."
    ]


@app.command
def status(folder: Annotated[str, Parameter(name="FOLDER")], /, *, figure: Figure = (), json: Json = False) -> None:
    """Show how far each run is; with --figure, its learning curve and the forecast of its end.

    Parameters
    ----------
    folder
        The folder of runs, or a ladder file.
    """
    from rung.cli.output import write_result
    from rung.ladder.execution import folders_of, run_statuses

    kinds = figure_kinds(figure)
    folders = folders_of(folder)
    if kinds:
        from rung.ladder import learning_curves

        write_result(learning_curves(folders), kinds)
    print_statuses(list(run_statuses(folders, proved=True)), json=json)


@app.command
def table(
    folder: Annotated[str, Parameter(name="FOLDER")], /, *, last: Flag = False, output: Output = (), json: Json = False
) -> None:
    """Print the table of runs: a row for each evaluation, the finished model's (phase = final) last.

    Parameters
    ----------
    folder
        The folder of runs, or a ladder file.
    last
        Only the last row of each run.
    """
    from rung.ladder import table as table_of
    from rung.ladder.execution import folders_of
    from rung.results import Table
    from rung.units import format_count, format_value

    kinds = require_kinds(output, KINDS)
    folders = folders_of(folder)
    frame = table_of(folders, lambda text: say(f"warning: {text}"))
    if last:
        frame = frame.unique("run", keep="last", maintain_order=True)
    for path in kinds:
        write_frame(frame, path)
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
    print(Table(shown, rows).text())


@app.command
def families(*, json: Json = False) -> None:
    """List the families and the corpora, and which go together."""
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
        print(as_json(listed))
        return
    wide = max(len(name) for name in options)
    for what, entries in listed.items():
        print(what)
        for entry in entries:
            print(f"  {entry['name']:{wide}}  {entry['data']:11}  {', '.join(entry['options']) or '-'}")


app.command(run)
app.command(resume)


@app.command
def score(
    run: Annotated[str, Parameter(name="RUN")],
    pairs: Annotated[str, Parameter(name="PAIRS.jsonl")],
    /,
    *,
    output: Output,
) -> None:
    """Score both answers of pairs by a finished run of the family preference, for rung skill preference.

    Parameters
    ----------
    run
        The folder of the run.
    pairs
        JSONL in the fields that the run was trained on: pairs, or posts with votes.
    """
    from rung.ladder.training import score_pairs

    kinds = require_kinds(output, KINDS)
    frame = score_pairs(run, pairs)
    for path in kinds:
        write_frame(frame, path)
    margins = (frame["score_chosen"] - frame["score_rejected"]).to_numpy()
    right = ((margins > 0).sum() + (margins == 0).sum() / 2) / len(margins)
    print(f"{frame.height:,} pairs scored, {right:.1%} as people do")


@app.command
def export(
    run: Annotated[str, Parameter(name="RUN")],
    /,
    *,
    to: str = "transformers",
    output: Output = (),
    json: Json = False,
) -> None:
    """Write a finished run as a folder that Transformers loads to the same logits.

    Parameters
    ----------
    run
        The folder of the run.
    to
        The library that is to read it: transformers.
    """
    from rung.errors import ModelError
    from rung.models import export_run

    if to != "transformers":
        raise ModelError(f"--to {to}: a run is exported to transformers.")
    if len(output) != 1:
        raise ModelError("name one new folder: -o OUT.")
    show(export_run(run, output[0]), json=json)
