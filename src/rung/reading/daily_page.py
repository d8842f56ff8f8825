"""A saved Daily Papers page as plain text.

A blank line stands between blocks. After a head that ends with the day of the page come the cards: title, abstract, and a
footer of authors ("• 7 authors") or of an organisation with its short name ("acme Acme Labs"), a line with only a dot, and the
date with an optional number. The year is left out of dates of the current year, and a card may lack its footer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date as Date  # noqa: N812
from datetime import datetime

from rung.errors import ReadingError
from rung.reading.entry import ARXIV, MONTHS, Entry, Listing

_DOT = "·"
_DAY = re.compile(
    rf"(?P<month>{'|'.join(MONTHS)})[a-z]* (?P<day>\d{{1,2}})(?:, (?P<year>\d{{4}}))?(?: (?P<count>\d[\d,]*))?"
)
_AUTHORS = re.compile(r"[•*\-]?\s*(?P<count>\d[\d,]*) authors?")

_HEAD = 12
"""Lines within which the day of the page stands."""

_ABSTRACT = 200
"""Characters from which a line is a paragraph and no title."""

_DENSE = 10
"""Cards with a year from which the latest of their years says which one is the current."""


def is_daily_page(text: str) -> bool:
    """Whether a text is such a page."""
    lines = _lines(text)
    return _DOT in lines or any(line == "Daily Papers" for line in lines[:_HEAD])


def read_daily_page(text: str, saved: Date, year: int | None = None) -> Listing:
    """The papers of a page.

    Args:
        text: The page.
        saved: When it was saved, at the latest.
        year: The year of its day, where the guess is wrong.

    Raises:
        ReadingError: It has no card.
    """
    lines = _lines(text)
    start = next((at + 1 for at, line in enumerate(lines[:_HEAD]) if _is_page_day(lines, at)), None)
    if start is None:
        start = next((at + 1 for at, line in enumerate(lines[:_HEAD]) if line == "Daily Papers"), 0)
        start += int(len(lines) > start and lines[start].startswith("by"))
        day = None
    else:
        day = _DAY.fullmatch(lines[start - 1])
    cards = _cards(lines[start:])
    if not cards:
        raise ReadingError(
            "the page holds no paper: a title, a line with its abstract, and authors with a date are expected."
        )
    found, why = _year(cards, day, saved) if year is None else (year, "")
    entries = [_entry(title, abstract, footer, found) for title, abstract, footer in cards]
    without_footer = [one.title for one, (*_, footer) in zip(entries, cards, strict=True) if not footer]
    notes = [why] if why and any(_left_out(footer) for *_, footer in cards) else []
    if without_footer:
        notes.append(
            f"{len(without_footer)} without authors and date: {'; '.join(one[:60] for one in without_footer[:3])}."
        )
    return Listing(entries=tuple(entries), kind="a saved page of daily papers", notes=tuple(notes))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace("\ufeff", "").splitlines() if line.strip()]


def _is_page_day(lines: Sequence[str], at: int) -> bool:
    match = _DAY.fullmatch(lines[at])
    return match is not None and match["count"] is None and (at == 0 or lines[at - 1] != _DOT)


def _cards(lines: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Title, abstract and footer of each card."""
    cards: list[tuple[str, str, list[str]]] = []
    at = 0
    while at + 1 < len(lines):
        title = lines[at]
        at += 1
        abstract: list[str] = []
        # An abstract of several paragraphs goes on while what follows is a paragraph too, and no title.
        while at < len(lines) and not _footer_at(lines, at) and (not abstract or len(lines[at]) >= _ABSTRACT):
            abstract.append(lines[at])
            at += 1
        length = _footer_at(lines, at)
        cards.append((title, " ".join(abstract), list(lines[at : at + length])))
        at += length
    return cards


def _footer_at(lines: Sequence[str], at: int) -> int:
    """How many lines a footer that begins here has; 0 where none does."""
    following = lines[at : at + 3]
    if len(following) == 3 and following[1] == _DOT and _DAY.fullmatch(following[2]):
        return 3
    if len(following) >= 2 and following[0] == _DOT and _DAY.fullmatch(following[1]):
        return 2
    return 1 if following and _AUTHORS.fullmatch(following[0]) else 0


def _left_out(footer: Sequence[str]) -> bool:
    """Whether a footer has a date without its year."""
    match = _DAY.fullmatch(footer[-1]) if footer else None
    return match is not None and match["year"] is None


def _year(cards: Sequence[tuple[str, str, list[str]]], day: re.Match[str] | None, saved: Date) -> tuple[int, str]:
    """The year that is left out of the dates, and how it was found."""
    if day is not None and day["year"]:
        return int(day["year"]), ""
    years = [
        int(match["year"]) for *_, footer in cards if footer and (match := _DAY.fullmatch(footer[-1])) and match["year"]
    ]
    latest = saved.year
    if day is not None and (MONTHS.index(day["month"]) + 1, int(day["day"])) > (saved.month, saved.day):
        latest -= 1
    if years and len(years) >= _DENSE and max(years) < latest:
        # Dates of the year before bear it, so the current one follows the latest that is written.
        return (
            max(years) + 1,
            f"dates without a year are taken for {max(years) + 1}, the year after the latest one that is written; --year says another.",
        )
    return latest, f"dates without a year are taken for {latest}, from when the file was saved; --year says another."


def _entry(title: str, abstract: str, footer: Sequence[str], year: int) -> Entry:
    authors, organisation = None, ""
    date, count = None, None
    if footer:
        match = _DAY.fullmatch(footer[-1])
        if match is not None:
            date = _date(match, year)
            count = int(match["count"].replace(",", "")) if match["count"] else None
        first = footer[0]
        who = _AUTHORS.fullmatch(first)
        if who is not None:
            authors = int(who["count"].replace(",", ""))
        elif first != _DOT:
            organisation = first.partition(" ")[0] if " " in first else first
    number = ARXIV.search(title)
    return Entry(
        title=title,
        abstract=abstract,
        authors_count=authors,
        organisation=organisation,
        date=date,
        count=count,
        arxiv=number[1] if number else "",
    )


def _date(match: re.Match[str], year: int) -> Date | None:
    try:
        return datetime.strptime(f"{match['month']} {match['day']} {match['year'] or year}", "%b %d %Y").date()  # noqa: DTZ007  # a day has no zone
    except ValueError:
        return None
