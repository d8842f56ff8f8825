"""`rung distil`: what teachers think of a text, kept for students."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import MACHINES, QUESTION, Json, Output
from rung.cli.output import say, show
from rung.errors import LadderError, ModelError

_Model = Annotated[str, Parameter(name="TEACHER")]


def distil(
    *teachers: _Model,
    data: Annotated[tuple[str, ...], Parameter(group=QUESTION, negative="", consume_multiple=True)] = (),
    context: Annotated[int, Parameter(group=QUESTION)] = 128,
    likeliest: Annotated[int, Parameter(group=QUESTION)] = 8,
    one_in: Annotated[int, Parameter(group=QUESTION)] = 20,
    field: Annotated[str, Parameter(group=QUESTION)] = "text",
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
    data
        Text: files and folders; JSONL and Parquet by row, other files whole. Repeatable.
    context
        Tokens of a window, which is the student's context; 128 by default.
    likeliest
        How many tokens are kept of each answer; 8 by default.
    one_in
        About one document in this many is held out; 20 by default.
    field
        The column of JSONL and Parquet that holds the text; text by default.
    student
        A ladder file with the corpus "teacher" of this folder, whose runs are then trained.
    device
        Where teachers compute: cpu, cuda or cuda:1; a GPU where there is one by default.
    """
    from rung.treat import Teaching, teach

    if len(output) != 1:
        raise ModelError("name one folder for the answers: -o TAUGHT.")
    how = Teaching(data=data, context=context, likeliest=likeliest, one_in=one_in, field=field, device=device)
    show(teach(teachers, output[0], how), json=json)
    if student:
        _train(student, output[0])


def _train(student: str, folder: str) -> None:
    from pathlib import Path

    from rung.cli.ladder_run import run
    from rung.ladder import read_ladder

    corpora = {rung.corpus.options.get("path") for rung in read_ladder(student).rungs if rung.corpus.name == "teacher"}
    if {str(Path(str(path)).resolve()) for path in corpora} != {str(Path(folder).resolve())}:
        raise LadderError(
            f'{student} does not learn from {folder}: write [corpus] name = "teacher", path = "{folder}".'
        )
    say(f"training the students of {student}")
    run(student)
