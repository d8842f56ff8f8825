"""The parts of a report: sections of paragraphs, tables, pictures, findings and definitions, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.findings import Finding
from rung.results import Table


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of text."""

    text: str
    kind: str = "paragraph"


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A table."""

    table: Table
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as vector graphics, in words, and the data behind it.

    Attributes:
        svg: The figure.
        words: What it shows, for who cannot see it.
        name: The name of the file of its data.
        csv: The data.
        points: What each point is, by the id of its group in the figure; empty where points have no names.
        groups: What each group of points is called, by its id in the figure.
    """

    svg: str
    words: str
    name: str
    csv: str
    points: Mapping[str, Sequence[str]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    kind: str = "picture"


@dataclass(frozen=True, slots=True)
class MarkedFinding:
    """A finding, and the points of the first figure that it names.

    Attributes:
        finding: The finding.
        points: Their places, by the id of the group in the figure.
    """

    finding: Finding
    points: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Findings:
    """What speaks against the results."""

    findings: Sequence[MarkedFinding]
    kind: str = "findings"


@dataclass(frozen=True, slots=True)
class Definitions:
    """Questions with answers, or names with what they stand for."""

    pairs: Sequence[tuple[str, str]]
    kind: str = "definitions"


@dataclass(frozen=True, slots=True)
class Explorer:
    """Forecasts on a grid, between which a reader moves the target.

    Attributes:
        content: Variables with their values, and forecasts with bounds in row-major order; see `explorer_of`.
    """

    content: Mapping[str, Any]
    kind: str = "explorer"


@dataclass(frozen=True, slots=True)
class Code:
    """Commands to copy."""

    text: str
    kind: str = "code"


Block = Paragraph | TableBlock | Picture | Findings | Definitions | Explorer | Code


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report.

    Attributes:
        anchor: Its name in links.
        title: Its heading.
        blocks: What it consists of.
    """

    anchor: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Report:
    """A report.

    Attributes:
        title: Its title.
        answers: The answer in words, a sentence each.
        sections: Its parts.
    """

    title: str
    answers: Sequence[str]
    sections: Sequence[Section]
