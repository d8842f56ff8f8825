"""A table of models with their parents as a graph: edges, generations, siblings.

Columns are recognised by name: the model (id, model_id, model), its parents (parent, base_model, parent_model, or one column for each
relation: finetune_parent, quantized_parent, adapter_parent, merge_parent), the relation, traits (licence, language, task, library, tags) and
the text of the card. A cell may hold several values: a list, a list written as text, or values separated by commas or semicolons.

Shapes: `n` models, `e` edges.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Indices
from rung.errors import SkillError
from rung.messages import listed
from rung.runs import read_table

RELATIONS = ("finetune", "quantized", "adapter", "merge")
"""Relations that have a column of parents of their own in the public table of the hub."""

TRAITS: Mapping[str, tuple[str, ...]] = {
    "licence": ("licence", "license", "licenses", "licences"),
    "language": ("language", "languages"),
    "task": ("task", "pipeline_tag"),
    "library": ("library", "library_name"),
    "tags": ("tags",),
}
"""Traits and the columns that hold them."""

_IDS = ("model_id", "id", "model", "model_name", "name")
_PARENTS = ("parent", "parents", "parent_model", "base_model")
_CARDS = ("card", "modelCard", "model_card", "card_text", "readme", "full_json")
_EMPTY = {"", "[]", "none", "null", "nan", "n/a", "['']", '[""]'}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lineage:
    """Models and their parents.

    Attributes:
        models: The models (n,).
        child: The child of each edge, as a number of a model (e,).
        parent: Its parent (e,).
        relation: The relation of each edge (e,).
        generation: How many ancestors a model has in its longest chain (n,).
        frame: The table, for traits and cards.
        traits: The column of each trait that is there.
        card: The column of the text of the card; None without one.
        skipped: Parents that are not in the table, and how often each is named.
        own: Models that name themselves as a parent, which is skipped.
        source: What the table is called.
    """

    models: pl.Series
    child: Indices
    parent: Indices
    relation: pl.Series
    generation: Indices
    frame: pl.DataFrame
    traits: Mapping[str, str]
    card: str | None
    skipped: Mapping[str, int]
    own: tuple[str, ...]
    source: str

    def values_of(self, trait: str, rows: Indices) -> list[frozenset[str]]:
        """The values of a trait of some models."""
        return [frozenset(_split(one)) for one in self.frame[self.traits[trait]].gather(rows).to_list()]


def read_lineage(source: Any) -> Lineage:
    """A table of models with their parents.

    Raises:
        SkillError: A column is missing, a model stands twice or is its own ancestor, or no parent is in the table.
        RunsError: The file cannot be read.
    """
    read, place = read_table(source)
    frame = read.frame
    key = next((name for name in _IDS if name in frame.columns), None)
    columns = _parent_columns(frame)
    if key is None or not columns:
        lacking = listed([*(["id"] if key is None else []), *([] if columns else ["parent"])])
        raise SkillError(
            f"{place}: no column {lacking}; it has {listed(frame.columns, most=8)}. A lineage needs the model and its parent."
        )
    models = frame[key].cast(pl.String)
    if models.null_count():
        raise SkillError(f"{place}, row {models.is_null().to_list().index(True) + 1}: the model has no name.")
    if models.n_unique() < len(models):
        twice = models.filter(models.is_duplicated())[0]
        raise SkillError(f"{place}: the model {twice!r} stands twice. Keep one row of each.")
    edges, skipped, own = _edges(frame, models, columns)
    if not edges.height:
        some = f" ({next(iter(skipped))!r} for one)" if skipped else ""
        raise SkillError(f"{place}: no parent is a model of the table itself{some}, so there is no lineage.")
    child, parent = (edges[name].to_numpy().astype(np.intp) for name in ("child", "parent"))
    return Lineage(
        models=models,
        child=child,
        parent=parent,
        relation=edges["relation"],
        generation=_generations(len(models), child, parent, models, place),
        frame=frame,
        traits={trait: next(c for c in known if c in frame.columns) for trait, known in TRAITS.items() if any(c in frame.columns for c in known)},
        card=next((name for name in _CARDS if name in frame.columns), None),
        skipped=skipped,
        own=own,
        source=place,
    )  # fmt: skip


def _parent_columns(frame: pl.DataFrame) -> dict[str, str | None]:
    """Columns of parents, and the relation of each; None where a column of its own says it."""
    own: dict[str, str | None] = {f"{name}_parent": name for name in RELATIONS if f"{name}_parent" in frame.columns}
    if own:
        return own
    found = next((name for name in _PARENTS if name in frame.columns), None)
    return {found: None} if found else {}


def _edges(
    frame: pl.DataFrame, models: pl.Series, columns: Mapping[str, str | None]
) -> tuple[pl.DataFrame, dict[str, int], tuple[str, ...]]:
    """Edges as numbers of models, each once, the parents that are no models of the table, and models that are their own."""
    numbers = pl.DataFrame({"name": models, "parent": np.arange(len(models))})
    said = next((name for name in ("relation", "edge_type", "base_model_relation") if name in frame.columns), None)
    parts = []
    for column, relation in columns.items():
        rows = pl.DataFrame(
            {
                "child": np.arange(frame.height),
                "name": _lists(frame[column]),
                "relation": frame[said].cast(pl.String).fill_null("parent")
                if relation is None and said
                else pl.Series([relation or "parent"]).new_from_index(0, frame.height),
            }
        )
        parts.append(rows.explode("name").drop_nulls("name"))
    named = pl.concat(parts)
    joined = named.join(numbers, on="name", how="left", maintain_order="left")
    unknown = joined.filter(pl.col("parent").is_null())["name"].value_counts(sort=True)
    edges = joined.drop_nulls("parent").filter(pl.col("child") != pl.col("parent")).unique(["child", "parent"], maintain_order=True)  # fmt: skip
    own = tuple(joined.filter(pl.col("child") == pl.col("parent"))["name"].unique(maintain_order=True))
    return edges.select("child", "parent", "relation"), dict(unknown.iter_rows()), own


def _lists(column: pl.Series) -> pl.Series:
    """The values of each cell, as a list; none of an empty one."""
    if column.dtype == pl.List:
        return column.list.eval(pl.element().cast(pl.String))
    text = column.cast(pl.String).str.strip_chars()
    if not text.str.contains(r"[\[\],;]").any():
        found = pl.select(pl.when(text.str.to_lowercase().is_in(list(_EMPTY)) | text.is_null()).then(None).otherwise(text)).to_series()  # fmt: skip
        return found.reshape((-1, 1)).cast(pl.List(pl.String))
    return pl.Series([_split(one) or None for one in text.to_list()], dtype=pl.List(pl.String))


def _split(cell: Any) -> list[str]:
    """The values of a cell: a list, a list written as text, or values separated by commas or semicolons."""
    if cell is None:
        return []
    if isinstance(cell, list | tuple | pl.Series):
        return [str(one).strip() for one in cell if one is not None and str(one).strip()]
    text = str(cell).strip()
    if text.lower() in _EMPTY:
        return []
    parts = re.split(r"[,;]", text.strip("[]"))
    return [part for one in parts if (part := one.strip().strip("'\"").strip())]


def _generations(count: int, child: Indices, parent: Indices, models: pl.Series, place: str) -> Indices:
    """The length of the longest chain of ancestors of each model, by removing models without parents left, layer by layer.

    Raises:
        SkillError: Some models are their own ancestors.
    """
    left = np.bincount(child, minlength=count)
    order = np.argsort(parent, kind="stable")
    bounds = np.searchsorted(parent[order], np.arange(count + 1))
    generation = np.zeros(count, dtype=np.intp)
    layer = np.flatnonzero(left == 0)
    done, depth = len(layer), 0
    while len(layer):
        depth += 1
        # All edges from this layer, gathered without a loop over models.
        sizes = bounds[layer + 1] - bounds[layer]
        starts = np.repeat(bounds[layer] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        children = child[order[starts + np.arange(int(sizes.sum()))]]
        np.subtract.at(left, children, 1)
        reached = np.unique(children)
        layer = reached[left[reached] == 0]
        generation[layer] = depth
        done += len(layer)
    if done < count:
        raise SkillError(f"{place}: {_cycle(left, child, parent, models)}. A model is no ancestor of itself; correct one of these parents.")  # fmt: skip
    return generation


def _cycle(left: Indices, child: Indices, parent: Indices, models: pl.Series) -> str:
    """A circle among the models that have parents left."""
    stuck = set(np.flatnonzero(left > 0).tolist())
    above = {int(c): int(p) for c, p in zip(child, parent, strict=True) if int(c) in stuck and int(p) in stuck}
    seen: list[int] = []
    at = next(iter(above))
    while at not in seen:
        seen.append(at)
        at = above[at]
    circle: Sequence[int] = [*seen[seen.index(at) :], at]
    return " has the parent ".join(repr(models[one]) for one in circle[:6])
