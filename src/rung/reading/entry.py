"""An entry of a listing of papers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812  # a day, beside the field of that name
from typing import Any

ARXIV = re.compile(r"\b(\d{4}\.\d{4,5})(?:v\d+)?\b")
"""An arXiv number."""


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Months as listings shorten them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A paper as a listing shows it.

    Attributes:
        title: Its title.
        abstract: Its abstract; empty where the listing has none.
        authors_count: How many authors it has; None where the listing does not say.
        organisation: The organisation that stands in place of the authors; empty without.
        date: The day of its publication; None where the listing has none.
        count: The number beside the date, such as comments; None without.
        arxiv: Its arXiv number; empty where it is not known.
        url: Where it can be read; empty where that is not known.
    """

    title: str
    abstract: str = ""
    authors_count: int | None = None
    organisation: str = ""
    date: Date | None = None
    count: int | None = None
    arxiv: str = ""
    url: str = ""

    @property
    def key(self) -> str:
        """What tells it apart: its title without case and signs, which all listings share."""
        return re.sub(r"[\W_]+", " ", self.title.casefold()).strip()

    def to_dict(self) -> dict[str, Any]:
        """The entry as plain values."""
        return {
            "title": self.title,
            "abstract": self.abstract,
            "authors_count": self.authors_count,
            "organisation": self.organisation or None,
            "date": self.date.isoformat() if self.date else None,
            "count": self.count,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a file of papers holds.

    Attributes:
        entries: The papers, in the order of the file.
        kind: What kind of file it is, in words.
        notes: What was guessed or is missing, as sentences.
    """

    entries: tuple[Entry, ...]
    kind: str
    notes: tuple[str, ...] = ()
