"""`rung distil`: what teachers think of a text, kept for students."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import MACHINES, QUESTION, Json, Output
from rung.cli.output import say, show
from rung.errors import LadderError, ModelError

_Model = Annotated[str, Parameter(name="TEACHER")]


@Parameter(name="*", group=QUESTION)
@dataclass(frozen=True, kw_only=True)
class TeachOptions:
    """What teachers are asked."""

    data: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = ()
    """Text: files and folders; JSONL and Parquet by row, other files whole. Repeatable."""
    context: int = 128
    """Tokens of a window, which is the student's context; 128 by default."""
    likeliest: int = 8
    """How many tokens are kept of each answer; 8 by default."""
    one_in: int = 20
    """About one document in this many is held out; 20 by default."""
    field: str = "text"
    """The column of JSONL and Parquet that holds the text; text by default."""


def distil(
    *teachers: _Model,
    options: TeachOptions = TeachOptions(),  # frozen
    student: Annotated[str | None, Parameter(group=QUESTION)] = None,
    device: Annotated[str | None, Parameter(group=MACHINES)] = None,
    output: Output = (),
    json: Json = False,
) -> None:
    """Ask teachers about a text, and keep the likeliest tokens in a folder (-o), from which students learn without a teacher in memory.

    Parameters
    ----------
    teachers
        Folders as Transformers writes them, or finished runs of a ladder; the probabilities of several are averaged.
    student
        A ladder file with the corpus "teacher" of this folder, whose runs are then trained.
    device
        Where teachers compute: cpu, cuda or cuda:1; a GPU where there is one by default.
    """
    from dataclasses import asdict

    from rung.treat import Teaching, teach

    if len(output) != 1:
        raise ModelError("name one folder for the answers: -o TAUGHT.")
    if student:
        _require_student(student, output[0])
    show(teach(teachers, output[0], Teaching(**asdict(options), device=device)), json=json)
    if student:
        from rung.cli.ladder_run import run

        say(f"training the students of {student}")
        run(student)


def _require_student(student: str, folder: str) -> None:
    """Refuse a ladder file that learns from something else, before the teachers are asked."""
    from pathlib import Path

    from rung.ladder import read_ladder

    corpora = {rung.corpus.options.get("path") for rung in read_ladder(student).rungs if rung.corpus.name == "teacher"}
    if {str(Path(str(path)).resolve()) for path in corpora} != {str(Path(folder).resolve())}:
        raise LadderError(
            f'{student} does not learn from {folder}: write [corpus] name = "teacher", path = "{folder}".'
        )
