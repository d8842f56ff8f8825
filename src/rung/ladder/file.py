"""The ladder file: family, corpus, recipe and rungs in TOML, and the runs that it means."""

from __future__ import annotations

import itertools
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.errors import LadderError
from rung.ladder.families import COUNTS, Family, Size, nearest_size
from rung.ladder.launch import Launch
from rung.ladder.recipe import Recipe
from rung.ladder.rungs import BY_6ND, EXACT, Choice, Evaluate, Rung, flops_per_token, make_corpus, make_family, named
from rung.ladder.schema import nearest, structured
from rung.units import format_count

_TABLES = ("family", "corpus", "recipe", "evaluate", "launch", "track", "rung", "output", "count", "flops")
TRACKERS = ("mlflow", "wandb", "tensorboard")
_STEP_OVER = 1.5
"""By how much one step may be more than all the data that is asked for, for want of smaller steps."""
_EXACT = 9_999.5
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a [[rung]] says of one run: a size by one of params, width, depth; data by one of tokens, tokens_per_param, flops, steps.

    Attributes:
        name: The run's name; by default its size, tokens and seed.
        params: N by the ladder's convention; the nearest size that the family builds is taken.
        width: Width.
        depth: Layers.
        tokens: Training tokens.
        tokens_per_param: Training tokens over N.
        flops: Training compute, by the ladder's convention.
        steps: Optimizer steps.
        unique_tokens: The only tokens that it may see; 0 for all.
        seed: Of weights and order.
        lr: Instead of the recipe's.
        batch_tokens: Instead of the recipe's.
        weight_decay: Instead of the recipe's.
    """

    name: str = ""
    params: float = 0.0
    width: int = 0
    depth: int = 0
    tokens: float = 0.0
    tokens_per_param: float = 0.0
    flops: float = 0.0
    steps: int = 0
    unique_tokens: int = 0
    seed: int = 0
    lr: float | str = ""
    batch_tokens: float | str = ""
    weight_decay: float | str = ""

    def __post_init__(self) -> None:
        counts = ("params", "width", "depth", "tokens", "tokens_per_param", "flops", "steps", "unique_tokens", "seed")
        for name in counts:
            if getattr(self, name) < 0:
                raise LadderError(f"{name} = {getattr(self, name):g} must not be negative.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Where a run is logged beside its folder.

    Attributes:
        to: mlflow, wandb, tensorboard, or "" for nowhere else.
        address: The server or folder; the library's own by default.
        experiment: Under which name.
    """

    to: str = ""
    address: str = ""
    experiment: str = "rung"

    def __post_init__(self) -> None:
        if self.to not in {"", *TRACKERS}:
            raise LadderError(
                f"to = {self.to!r} is not known; it is one of {', '.join(TRACKERS)}.{nearest(self.to, TRACKERS)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A ladder as its file says.

    Attributes:
        source: The file.
        output: The folder of its runs' folders.
        rungs: Its runs.
        launch: Where and how they run.
        track: Where they are logged beside.
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
    """What a ladder file says beside its rungs, as it is written there.

    Raises:
        LadderError: The file cannot be read, or its rungs cannot be told from the rest line by line.
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
            f"{path}: its rungs cannot be told from the rest. Write each as [[rung]] with a line for each key."
        )
    return head


def _content(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise LadderError(f"{file}: {error.strerror or error}. Give a ladder file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LadderError(f"{file} is not TOML: {error}.") from None


def ladder_of(content: Mapping[str, Any], source: str, output: Path, base: Path = Path()) -> Ladder:
    """The ladder of a file's content; see read_ladder.

    Args:
        content: What the file holds.
        source: What messages call it.
        output: The folder of its runs, where the content names none.
        base: The folder that its paths start from.
    """
    for key in content:
        if key not in _TABLES:
            raise LadderError(f"{source}: unknown key {key!r}; known are {', '.join(_TABLES)}.{nearest(key, _TABLES)}")
    entries = content.get("rung", [])
    if not isinstance(entries, list) or not entries:
        raise LadderError(f"{source}: no [[rung]]. Write one for each run, with params (or width, depth) and tokens.")
    common = _common(content, source, base.resolve())
    rungs: list[Rung] = []
    for place, entry in enumerate(entries):
        where = f"{source}, rung {place + 1}"
        try:
            rungs += [common.rung(wish) for wish in _wishes(entry, common, where)]
        except LadderError as error:
            text = str(error)
            raise LadderError(text if text.startswith(where) else f"{where}: {text}") from None
    names = [rung.name for rung in rungs]
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise LadderError(f"{source}: two runs would be named {twice[0]!r}. Give them other seeds, or a name.")
    if not isinstance(content.get("output", ""), str):
        raise LadderError(f"{source}: output is {content['output']!r}, not the name of a folder.")
    output = output.parent / content["output"] if content.get("output") else output
    return Ladder(
        source=source,
        output=output,
        rungs=tuple(rungs),
        launch=_table(content, "launch", Launch, source),
        track=_table(content, "track", Track, source),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What all rungs of a ladder share: family (and it made), corpus, recipe, when to evaluate, and how N is counted."""

    family: Choice
    made: Family
    corpus: Choice
    recipe: Recipe
    evaluate: Evaluate
    convention: str
    flops_by: str

    def size(self, wish: Wish) -> Size:
        """The size of a wish."""
        if wish.params and (wish.width or wish.depth):
            raise LadderError("give params, or width and depth; params finds both by the family's rule.")
        if wish.params:
            return nearest_size(self.made, wish.params, self.convention)
        return self.made.size_of(wish.width or None, wish.depth or None)

    def items(self, recipe: Recipe) -> int:
        """Items in a step, in whole micro-batches."""
        assert isinstance(recipe.batch_tokens, float)
        items = max(1, round(recipe.batch_tokens / self.made.item_tokens))
        micro = recipe.micro_batch
        return items if not micro or items <= micro else micro * math.ceil(items / micro)

    def name(self, wish: Wish, entry: Mapping[str, Any]) -> str:
        """Size, data and seed; and what else the entry lists several of."""
        size = self.size(wish)
        budgets = (("tokens_per_param", "x"), ("tokens", "t"), ("flops", "c"), ("steps", "n"))
        data = [f"{letter}{_short(getattr(wish, name))}" for name, letter in budgets if getattr(wish, name)]
        swept = (("lr", "lr"), ("batch_tokens", "b"), ("weight_decay", "wd"), ("unique_tokens", "u"))
        more = [f"{letter}{_short(getattr(wish, name))}" for name, letter in swept if isinstance(entry.get(name), list)]
        return "-".join([f"d{size.depth}", f"w{size.width}", *data, f"s{wish.seed}", *more])

    def rung(self, wish: Wish) -> Rung:
        """The run that a wish means, everything decided."""
        made, size = self.made, self.size(wish)
        params = made.count_params(size).by(self.convention)
        own = {name: value for name in ("lr", "batch_tokens", "weight_decay") if (value := getattr(wish, name)) != ""}
        recipe = replace(self.recipe, **own)
        given = [name for name in ("tokens", "tokens_per_param", "flops", "steps") if getattr(wish, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise LadderError(f"give one of tokens, tokens_per_param, flops and steps; there is {found}.")
        scope = {
            "N": float(params),
            "width": float(size.width),
            "depth": float(size.depth),
            "context": float(made.item_tokens),
        }
        if wish.steps:
            if isinstance(recipe.batch_tokens, str) and re.search(r"\b(D|tokens)\b", recipe.batch_tokens):
                raise LadderError("steps needs a batch that does not depend on D: set batch_tokens.")
            wanted = float(wish.steps * self.items(recipe.at({**scope, "D": 1.0})) * made.item_tokens)
        else:
            per_token = flops_per_token(made, size, self.convention, self.flops_by)
            wanted = wish.tokens or wish.tokens_per_param * params or wish.flops / per_token
        settled = recipe.at({**scope, "D": wanted})
        batch = self.items(settled)
        if batch * made.item_tokens > _STEP_OVER * wanted:
            raise LadderError(
                f"{given[0]} = {getattr(wish, given[0]):g} means {wanted:,.0f} tokens, less than one step of {batch * made.item_tokens:,} "
                "(batch_tokens). Take more data, or a smaller batch."
            )
        return Rung(
            name=wish.name,
            family=self.family,
            size=size,
            corpus=self.corpus,
            recipe=settled,
            steps=wish.steps or max(1, round(wanted / (batch * made.item_tokens))),
            batch=batch,
            seed=wish.seed,
            unique_tokens=wish.unique_tokens,
            convention=self.convention,
            flops_by=self.flops_by,
            evaluate=self.evaluate,
        )


def _common(content: Mapping[str, Any], source: str, base: Path) -> Common:
    family, corpus = _choice(content, "family", source), _placed(_choice(content, "corpus", source), base)
    convention, flops_by = str(content.get("count", COUNTS[0])), str(content.get("flops", EXACT))
    try:
        named({name: name for name in COUNTS}, convention, "count")
        named({name: name for name in (EXACT, BY_6ND)}, flops_by, "flops")
        made, heard = make_family(family), make_corpus(corpus)
    except LadderError as error:
        raise LadderError(f"{source}, {error}") from None
    if made.data != heard.data:
        raise LadderError(
            f"{source}: the family {family.name!r} learns from {made.data}, and the corpus {corpus.name!r} gives {heard.data}. "
            "rung ladder families lists which go together."
        )
    return Common(
        family=family,
        made=made,
        corpus=corpus,
        recipe=_table(content, "recipe", Recipe, source),
        evaluate=_table(content, "evaluate", Evaluate, source),
        convention=convention,
        flops_by=flops_by,
    )


def _choice(content: Mapping[str, Any], what: str, source: str) -> Choice:
    entry = content.get(what)
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise LadderError(
            f'{source}: no [{what}] with a name, such as name = "{"gpt" if what == "family" else "text"}".'
        )
    return Choice(name=entry["name"], options={key: value for key, value in entry.items() if key != "name"})


def _placed(corpus: Choice, base: Path) -> Choice:
    """A corpus whose paths are whole, so that a run finds it from any folder; a name of the hub stays one."""

    def whole(place: Any) -> Any:
        if isinstance(place, list):
            return [whole(part) for part in place]
        if not isinstance(place, str) or not place:
            return place
        found = base / Path(place).expanduser()
        return (
            str(found) if found.exists() or (corpus.name == "text" and place == corpus.options.get("path")) else place
        )

    names = {"path", "tokenizer"} & corpus.options.keys()
    return replace(corpus, options={**corpus.options, **{name: whole(corpus.options[name]) for name in names}})


def _table(content: Mapping[str, Any], what: str, kind: type[Any], source: str) -> Any:
    if not isinstance(content.get(what, {}), dict):
        raise LadderError(f"{source}: {what} is {content[what]!r}, not a table; write [{what}].")
    return structured(content.get(what, {}), kind, f"{source}, [{what}]")


def _wishes(entry: Any, common: Common, where: str) -> Iterator[Wish]:
    """A [[rung]] as one wish, with a name, for each combination of its lists."""
    if not isinstance(entry, dict):
        raise LadderError(f"{where} is no table; write [[rung]].")
    if "seed" in entry and "seeds" in entry:
        raise LadderError("give seed or seeds, not both.")
    renamed = {("seed" if key == "seeds" else key): value for key, value in entry.items()}
    lists = {key: value for key, value in renamed.items() if isinstance(value, list)}
    for key, value in lists.items():
        if not value:
            raise LadderError(f"{key} is an empty list, so the rung means no run.")
    for combination in itertools.product(*lists.values()):
        wish = structured({**renamed, **dict(zip(lists, combination, strict=True))}, Wish, where)
        name = wish.name or common.name(wish, renamed)
        if not _NAME.fullmatch(name):
            raise LadderError(f"name = {name!r} cannot name a folder: take letters, digits, dots, - and _.")
        yield replace(wish, name=name)


def _short(value: float | str) -> str:
    if isinstance(value, str):
        return "".join(letter for letter in value if letter.isalnum() or letter in "._")
    return format_count(value) if value > _EXACT else f"{value:g}"
