"""Pairs of answers of which one is preferred: scores of both, and what their style is.

The sides are *chosen* and *rejected*, or *a* and *b* with a column that says which is preferred. A score is a pair of columns with one stem
(score_chosen and score_rejected, reward_a and reward_b); numeric pairs whose name says length, lists and the
like are style, and so are length, list items, headers and bold spans of texts; any other pair is left alone unless it is named. Style differences are (x - y) / (x + y) of counts; of values below 0, x - y.

Source: Wang et al. 2025, arXiv:2505.10527, for normalised differences of length and markdown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, listed, plural_of
from rung.runs import read_table

STEMS = ("score", "reward", "logit", "rating")
"""Names of scores, looked for where none is named."""

_PREFERRED = ("preferred", "winner", "label", "choice")
_SIDES = (("chosen", "rejected"), ("a", "b"), ("1", "2"), ("0", "1"))
_TEXTS = ("", "text", "response", "answer", "completion", "output")
_TIE = re.compile(r"^(|tie\b.*|draw|both.*|neither|none|null|nan|equal|same)$")
"""What says that no side is preferred."""

_STYLE = re.compile(
    r"(?i)len|char|word|token|sentence|line|list|bullet|header|heading|bold|markdown|emoji|link|code|paragraph|format|style"
)
"""Names of numeric columns that are style, unless style is named; any other numeric pair may be a score."""

_MARKS = {
    "characters": re.compile(r"(?s)."),
    "list items": re.compile(r"(?m)^\s*(?:[-*+]|\d+[.)])\s+"),
    "headers": re.compile(r"(?m)^#{1,6}\s+"),
    "bold": re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__"),
}
"""What is counted in a text."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreferenceTable:
    """Pairs, each turned so that the preferred answer comes first.

    Attributes:
        source: The name of the table.
        margins: For each score the difference of preferred and other (n,).
        style: Differences of style (n, p).
        features: What they are called.
        group: The group of each pair; None where no column is named.
        findings: What was left out.
    """

    source: str
    margins: dict[str, Array]
    style: Array
    features: tuple[str, ...]
    group: tuple[str, ...] | None
    findings: tuple[Finding, ...]


def read_preferences(
    pairs: Any, scores: Sequence[str] = (), style: Sequence[str] = (), group: str | None = None
) -> PreferenceTable:
    """Read pairs.

    Args:
        pairs: A table, or a file of one.
        scores: Stems of the scores, a model each; those of `STEMS` that are there by default.
        style: Stems of style; pairs whose name says so, and counts of the texts, by default.
        group: A column of groups of pairs.

    Raises:
        SkillError: A column is missing, or nothing says what the scores, the style or the preferred side are.
    """
    read, source = read_table(pairs)
    frame = read.frame
    # Winner and reward_A are as good as winner and reward_a, unless a table has both.
    if len({name.lower() for name in frame.columns}) == frame.width:
        frame = frame.rename(str.lower)
        scores, style, group = [one.lower() for one in scores], [one.lower() for one in style], group and group.lower()
    sides = _sides(frame, source)
    turn, tied = _turned(frame, sides, source)
    columns = {stem: _pair(frame, stem, sides) for stem in scores}
    missing = next((stem for stem, pair in columns.items() if pair is None), None)
    if missing is not None:
        raise SkillError(f"{source} has no columns {missing}_{sides[0]} and {missing}_{sides[1]}; it has {listed(frame.columns, most=10)}.")  # fmt: skip
    found = {stem: pair for stem, pair in columns.items() if pair} or {
        stem: pair for stem in STEMS if (pair := _pair(frame, stem, sides))
    }
    if not found:
        raise SkillError(f"{source} has no scores of both answers: columns score_{sides[0]} and score_{sides[1]}, or --score STEM for STEM_{sides[0]} and STEM_{sides[1]}.")  # fmt: skip
    margins = {stem: turn * (_numbers(frame, pair[0], source) - _numbers(frame, pair[1], source)) for stem, pair in found.items()}  # fmt: skip
    differences = _style(frame, sides, style, {name for pair in found.values() for name in pair}, source)
    if not differences:
        raise SkillError(f"{source}: nothing says what the style of an answer is. Give the texts ({sides[0]}, {sides[1]}), or numeric columns such as length_{sides[0]} and length_{sides[1]}.")  # fmt: skip
    if group is not None and group not in frame.columns:
        raise SkillError(f"{source} has no column {group!r}; it has {listed(frame.columns, most=10)}.")
    matrix = turn[:, None] * np.column_stack(list(differences.values()))
    kept = (turn != 0) & np.isfinite(matrix).all(axis=1) & np.all([np.isfinite(one) for one in margins.values()], axis=0)  # fmt: skip
    findings = []
    left = int((~kept).sum())
    if left:
        text = f"{source}: {counted(left, 'pair')} are left out: {tied} without a preferred side, {left - tied} without a number."
        findings.append(Finding("left_out_rows", text))
    unused = [one for one in _stems(frame, sides) if one not in differences and one not in margins]
    if unused and not style:
        text = f"{source}: {listed(unused, most=6)} {plural_of(len(unused), 'is', 'are')} taken neither as a score (--score) nor as style (--style)."
        findings.append(Finding("unused_pairs", text))
    varies = (matrix[kept] != 0).any(axis=0)
    if not varies.any():
        raise SkillError(f"{source}: style is the same on both sides of every pair ({listed(list(differences))}).")
    return PreferenceTable(
        source=source,
        margins={stem: one[kept] for stem, one in margins.items()},
        style=matrix[kept][:, varies],
        features=tuple(name for name, keep in zip(differences, varies, strict=True) if keep),
        group=tuple(str(one) for one in frame[group].filter(pl.Series(kept)).to_list()) if group else None,
        findings=tuple(findings),
    )


def _pair(frame: pl.DataFrame, stem: str, sides: tuple[str, str]) -> tuple[str, str] | None:
    """The two columns of a stem."""
    for names in ([f"{stem}_{side}" for side in sides], [f"{side}_{stem}" for side in sides]):
        if all(name in frame.columns for name in names):
            return names[0], names[1]
    return None


def _sides(frame: pl.DataFrame, source: str) -> tuple[str, str]:
    for sides in _SIDES:
        if all(any(name == side or name.endswith(f"_{side}") or name.startswith(f"{side}_") for name in frame.columns) for side in sides):  # fmt: skip
            return sides
    raise SkillError(f"{source} holds no pairs: columns for both answers, such as score_chosen and score_rejected, or score_a, score_b and preferred; it has {listed(frame.columns, most=10)}.")  # fmt: skip


def _turned(frame: pl.DataFrame, sides: tuple[str, str], source: str) -> tuple[Array, int]:
    """1 where the first side is preferred, -1 where the second is, 0 where none is; and how many of these."""
    if sides == ("chosen", "rejected"):
        return np.ones(frame.height), 0
    name = next((one for one in _PREFERRED if one in frame.columns), None)
    if name is None:
        raise SkillError(f"{source}: no column preferred says which of {sides[0]} and {sides[1]} is.")
    first, second = ({side, f"model_{side}", f"answer_{side}", f"response_{side}"} for side in sides)
    values = [str(one).strip().lower() for one in frame[name].to_list()]
    values = [one.removesuffix(".0") for one in values]
    turn = np.array([1.0 if one in first else -1.0 if one in second else 0.0 for one in values])
    strange = sorted({one for one in values if one not in first | second and not _TIE.match(one)})
    if strange or not turn.any():
        raise SkillError(f"{source}: column {name} holds {listed(strange or sorted(set(values)), most=4)}, where {sides[0]}, {sides[1]} or tie is meant.")  # fmt: skip
    return turn, int((turn == 0).sum())


def _numbers(frame: pl.DataFrame, column: str, source: str) -> Array:
    values = _cast(frame, column)
    if not np.isfinite(values).any():
        raise SkillError(f"{source}: column {column} holds no numbers.")
    return values


def _cast(frame: pl.DataFrame, column: str) -> Array:
    """A column as numbers, nan where a cell is none."""
    if frame[column].dtype.is_nested() or frame[column].dtype == pl.Object:
        return np.full(frame.height, np.nan)
    return np.asarray(frame[column].cast(pl.Float64, strict=False).to_numpy(), float)


def _style(
    frame: pl.DataFrame, sides: tuple[str, str], wanted: Sequence[str], taken: set[str], source: str
) -> dict[str, Array]:
    """Differences of style by name."""
    found = {}
    for stem in wanted or [one for one in _stems(frame, sides) if _STYLE.search(one)]:
        pair = _pair(frame, stem, sides)
        if pair is None:
            if wanted and stem not in _MARKS:
                raise SkillError(f"{source} has no columns {stem}_{sides[0]} and {stem}_{sides[1]} for --style {stem}.")
            continue
        if not taken & set(pair):
            found[stem] = _difference(*(_numbers(frame, name, source) for name in pair))
    texts = next((pair for stem in _TEXTS if (pair := _texts(frame, stem, sides))), None)
    if texts:
        for name, mark in _MARKS.items():
            if not wanted or name in wanted:
                found[name] = _difference(*(np.array([float(len(mark.findall(_text(one)))) for one in frame[side].to_list()]) for side in texts))  # fmt: skip
    return found


def _stems(frame: pl.DataFrame, sides: tuple[str, str]) -> list[str]:
    """Stems of numeric pairs."""
    ends = [f"_{sides[0]}", f"{sides[0]}_"]
    found = []
    for name in frame.columns:
        stem = name.removesuffix(ends[0]) if name.endswith(ends[0]) else name.removeprefix(ends[1])
        pair = _pair(frame, stem, sides) if stem != name else None
        numeric = pair and all(np.isfinite(_cast(frame, one)).any() for one in pair)
        if numeric and stem not in found:
            found.append(stem)
    return found


def _texts(frame: pl.DataFrame, stem: str, sides: tuple[str, str]) -> tuple[str, str] | None:
    pair = _pair(frame, stem, sides) if stem else (sides if all(side in frame.columns for side in sides) else None)
    return pair if pair and not np.isfinite(_cast(frame, pair[0])).any() else None


def _text(value: Any) -> str:
    """A text, or the last message of a conversation."""
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        return str(value[-1].get("content", ""))
    return "" if value is None else str(value)


def _difference(first: Array, second: Array) -> Array:
    if min(np.nanmin(first), np.nanmin(second)) < 0:
        return first - second
    total = first + second
    return np.where(total > 0, (first - second) / np.where(total > 0, total, 1.0), np.where(np.isnan(total), np.nan, 0.0))  # fmt: skip
