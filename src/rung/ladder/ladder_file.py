"""The ladder file: family, corpus, recipe and rungs in TOML, and the runs that follow from it."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.errors import LadderError
from rung.ladder.architectures.size import COUNTS
from rung.ladder.corpora.teacher import TEACHER
from rung.ladder.execution.options import Launch
from rung.ladder.recipe import Recipe
from rung.ladder.rung import BY_6ND, EXACT, Choice, Evaluate, Rung, make_corpus, make_family, named
from rung.ladder.sizing import Common, RungSpec
from rung.ladder.toml_schema import structured
from rung.ladder.track import Track
from rung.messages import did_you_mean

_KEYS = ("family", "corpus", "recipe", "evaluate", "launch", "track", "rung", "output", "count", "flops")
"""Keys that a ladder file may have at its top level."""
_LONGEST_NAME = 200
"""Bytes of a run's name; file systems allow 255, and temporary files add to it."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""Names of runs: they name folders too, so they have no separators and do not start with a dot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A ladder as its file describes it.

    Attributes:
        source: Name of the file, for messages.
        output: Folder that holds the run folders.
        rungs: The runs.
        launch: Where and how the runs are executed.
        track: Where the runs are logged in addition to their folders.
    """

    source: str
    output: Path
    rungs: tuple[Rung, ...]
    launch: Launch
    track: Track


def read_ladder(path: str | Path) -> Ladder:
    """The ladder of a file.

    Raises:
        LadderError: The file cannot be read, has an unknown key, or a size that the family cannot build.
    """
    file = Path(path)
    return ladder_of(_content(file)[1], str(path), file.parent / file.stem, file.parent)


def head_of(path: str | Path) -> str:
    """The text of a ladder file without its rungs.

    Raises:
        LadderError: The file cannot be read, or its rungs cannot be separated from the rest line by line.
    """
    text, content = _content(Path(path))
    kept, within = [], False
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            within = line.lstrip().startswith("[[rung]]")
        if not within:
            kept.append(line)
    head = "\n".join(kept)
    try:
        same = tomllib.loads(head) == {key: value for key, value in content.items() if key != "rung"}
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise LadderError(
            f"{path}: its rungs cannot be separated from the rest. Write each as [[rung]] with a line for each key."
        )
    return head


def _content(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise LadderError(f"{file}: {error.strerror or error}. Give a ladder file.") from None
    except RecursionError:
        raise LadderError(f"{file} is not TOML that can be read: it is nested too deep.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LadderError(f"{file} is not TOML: {error}.") from None


def ladder_of(content: Mapping[str, Any], source: str, output: Path, base: Path = Path()) -> Ladder:
    """The ladder of a file's content; see read_ladder.

    Args:
        content: The content of the file.
        source: Its name in messages.
        output: Folder of its runs, unless the content names one.
        base: Folder that its paths are relative to.
    """
    for key in content:
        if key not in _KEYS:
            raise LadderError(f"{source}: unknown key {key!r}; known are {', '.join(_KEYS)}.{did_you_mean(key, _KEYS)}")
    entries = content.get("rung", [])
    if not isinstance(entries, list) or not entries:
        raise LadderError(f"{source}: no [[rung]]. Write one for each run, with params (or width, depth) and tokens.")
    common = _common(content, source, base.resolve())
    rungs: list[Rung] = []
    for index, entry in enumerate(entries):
        where = f"{source}, rung {index + 1}"
        try:
            rungs += [common.rung(spec) for spec in _rung_specs(entry, common, where)]
        except LadderError as error:
            text = error.text
            raise LadderError(text if text.startswith(where) else f"{where}: {text}") from None
    names = [rung.name for rung in rungs]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    long = next((name for name in names if len(name.encode()) > _LONGEST_NAME), None)
    if long is not None:
        raise LadderError(
            f"{source}: the run {long[:40]}... has a name of {len(long)} letters, and a folder's name may have {_LONGEST_NAME}."
        )
    if repeated:
        raise LadderError(f"{source}: two runs would be named {repeated[0]!r}. Give them different seeds or names.")
    if not isinstance(content.get("output", ""), str):
        raise LadderError(f"{source}: output is {content['output']!r}, not the name of a folder.")
    if "\0" in content.get("output", ""):
        raise LadderError(f"{source}: output is {content['output']!r}, and a folder's name holds no NUL.")
    output = output.parent / content["output"] if content.get("output") else output
    return Ladder(
        source=source,
        output=output,
        rungs=tuple(rungs),
        launch=_table(content, "launch", Launch, source),
        track=_table(content, "track", Track, source),
    )


def _common(content: Mapping[str, Any], source: str, base: Path) -> Common:
    family, corpus = _choice(content, "family", source), _with_absolute_paths(_choice(content, "corpus", source), base)
    convention, flops_by = str(content.get("count", COUNTS[0])), str(content.get("flops", EXACT))
    try:
        named({name: name for name in COUNTS}, convention, "count")
        named({name: name for name in (EXACT, BY_6ND)}, flops_by, "flops")
        made, corpus_made = make_family(family), make_corpus(corpus)
    except LadderError as error:
        raise LadderError(f"{source}, {error.text}") from None
    if made.data != corpus_made.data:
        raise LadderError(
            f"{source}: the family {family.name!r} learns from {made.data}, and the corpus {corpus.name!r} gives {corpus_made.data}. "
            "rung ladder families lists which go together."
        )
    recipe = _recipe(content, source, base)
    if recipe.soft and corpus.name != TEACHER:
        raise LadderError(
            f"{source}: soft = {recipe.soft:g} learns from a teacher, and the corpus {corpus.name!r} has none. rung distil makes one: "
            '[corpus] name = "teacher".'
        )
    return Common(
        family=family,
        made=made,
        corpus=corpus,
        recipe=recipe,
        evaluate=_table(content, "evaluate", Evaluate, source),
        convention=convention,
        flops_by=flops_by,
    )


def _recipe(content: Mapping[str, Any], source: str, base: Path) -> Recipe:
    """The recipe; `from`, which is no name in Python, is its start, an absolute path."""
    given = content.get("recipe", {})
    if isinstance(given, dict) and "start" in given:
        raise LadderError(f"{source}, [recipe]: unknown key 'start'. Did you mean from?")
    if isinstance(given, dict) and "from" in given:
        begins = given["from"]
        if not isinstance(begins, str) or not begins:
            raise LadderError(f"{source}, [recipe]: from = {begins!r} is no folder of a finished run.")
        place = (base / Path(begins).expanduser()).resolve()
        if not (place / "model.safetensors").is_file() or not (place / "rung.json").is_file():
            raise LadderError(f"{source}, [recipe]: from = {begins!r}: there is no finished run in that folder.")
        start = {"start": str(place)}
        content = {**content, "recipe": {**{key: value for key, value in given.items() if key != "from"}, **start}}
    recipe: Recipe = _table(content, "recipe", Recipe, source)
    return recipe


def _choice(content: Mapping[str, Any], what: str, source: str) -> Choice:
    entry = content.get(what)
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise LadderError(
            f'{source}: no [{what}] with a name, such as name = "{"gpt" if what == "family" else "text"}".'
        )
    return Choice(name=entry["name"], options={key: value for key, value in entry.items() if key != "name"})


def _with_absolute_paths(corpus: Choice, base: Path) -> Choice:
    """A corpus with absolute paths, so a run finds it from any folder; a name on the hub stays as it is."""

    def absolute(path: Any) -> Any:
        if isinstance(path, list):
            return [absolute(part) for part in path]
        if not isinstance(path, str) or not path:
            return path
        found = base / Path(path).expanduser()
        return (
            str(found)
            if found.exists() or (corpus.name in {"text", TEACHER} and path == corpus.options.get("path"))
            else path
        )

    names = {"path", "tokenizer"} & corpus.options.keys()
    return replace(corpus, options={**corpus.options, **{name: absolute(corpus.options[name]) for name in names}})


def _table(content: Mapping[str, Any], what: str, kind: type[Any], source: str) -> Any:
    if not isinstance(content.get(what, {}), dict):
        raise LadderError(f"{source}: {what} is {content[what]!r}, not a table; write [{what}].")
    return structured(content.get(what, {}), kind, f"{source}, [{what}]")


def _rung_specs(entry: Any, common: Common, where: str) -> Iterator[RungSpec]:
    """One named specification for each combination of the lists in a [[rung]]."""
    if not isinstance(entry, dict):
        raise LadderError(f"{where} is not a table; write [[rung]].")
    if "seed" in entry and "seeds" in entry:
        raise LadderError("give seed or seeds, not both.")
    renamed = {("seed" if key == "seeds" else key): value for key, value in entry.items()}
    lists = {key: value for key, value in renamed.items() if isinstance(value, list)}
    for key, value in lists.items():
        if not value:
            raise LadderError(f"{key} is an empty list, so the rung gives no run.")
    for combination in itertools.product(*lists.values()):
        spec = structured({**renamed, **dict(zip(lists, combination, strict=True))}, RungSpec, where)
        name = spec.name or common.name(spec, renamed)
        if not _NAME.fullmatch(name):
            raise LadderError(f"name = {name!r} cannot name a folder: take letters, digits, dots, - and _.")
        yield replace(spec, name=name)
