"""Listings of papers in the formats in which people have them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date as Date  # noqa: N812
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from rung.errors import ReadingError
from rung.reading.daily_page import is_daily_page, read_daily_page
from rung.reading.entry import ARXIV, MONTHS, Entry, Listing

_ATOM = "{http://www.w3.org/2005/Atom}"

_LARGEST = 100_000_000
"""Largest file that is read [bytes]."""

_BIBTEX = re.compile(r"^\s*@\w+\s*[{(]", re.MULTILINE)


def read_listing(path: str | Path, *, saved: Date | None = None, year: int | None = None) -> Listing:
    """The papers of a file: a saved Daily Papers page as text, the JSON of Hugging Face's papers, arXiv's Atom, or BibTeX.

    Args:
        path: The file.
        saved: When a page was saved; by default when the file was last changed.
        year: The year of a page whose dates leave it out.

    Raises:
        ReadingError: The file cannot be read, or is none of these.
    """
    file = Path(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise ReadingError(f"{file.name} is larger than {_LARGEST // 1_000_000} MB: that is no listing of papers.")
        text = file.read_text(encoding="utf-8-sig")
        changed = Date.fromtimestamp(file.stat().st_mtime)  # noqa: DTZ012  # a day on the person's own clock
    except OSError as error:
        raise ReadingError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise ReadingError(
            f"{file.name} is no text in UTF-8. Save the page as text, or the list as JSON, Atom or BibTeX."
        ) from None
    return read_text(text, file.name, saved or changed, year)


def read_text(text: str, name: str, saved: Date, year: int | None = None) -> Listing:
    """The papers of a text; see `read_listing`."""
    start = text.lstrip()[:200]
    if start.startswith(("[", "{")):
        return _of_json(text, name)
    if re.match(r"<(!doctype html|html)", start, re.IGNORECASE):
        raise ReadingError(
            f"{name} is a page as HTML. Save it as text (in the browser: save as, text files), or give its JSON."
        )
    if start.startswith("<"):
        return _of_atom(text, name)
    if _BIBTEX.search(text):
        return _of_bibtex(text, name)
    if is_daily_page(text):
        return read_daily_page(text, saved, year)
    raise ReadingError(
        f"{name} is no listing of papers that is known here: a saved Daily Papers page as text, Hugging Face's JSON, arXiv's Atom, or BibTeX."
    )


def _of_json(text: str, name: str) -> Listing:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReadingError(f"{name} cannot be read as JSON: {error}.") from None
    rows = content.get("papers") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise ReadingError(f'{name}: a list of papers is expected, or {{"papers": [...]}}.')
    entries, bad = [], 0
    for row in rows:
        found = _of_row(row) if isinstance(row, dict) else None
        if found is None:
            bad += 1
        else:
            entries.append(found)
    if not entries:
        raise ReadingError(f"{name} holds no paper with a title.")
    notes = (f"{bad} entries without a title were left out.",) if bad else ()
    return Listing(entries=tuple(entries), kind="JSON", notes=notes)


def _of_row(row: Mapping[str, Any]) -> Entry | None:
    """An entry of Hugging Face's list, or of one that this command wrote; None without a title."""
    paper: Mapping[str, Any] = row["paper"] if isinstance(row.get("paper"), dict) else {}

    def first(*names: str) -> Any:
        return next((part[name] for name in names for part in (row, paper) if part.get(name) not in (None, "")), None)

    title = first("title")
    if not isinstance(title, str) or not title.strip():
        return None
    authors = first("authors")
    organisation = first("organisation", "organization")
    if isinstance(organisation, dict):
        organisation = organisation.get("name") or organisation.get("fullname")
    number = str(first("id", "arxiv") or "")
    arxiv = ARXIV.fullmatch(number)
    return Entry(
        title=_line(title),
        abstract=_line(str(first("abstract", "summary") or "")),
        authors_count=len(authors) if isinstance(authors, list) else _whole(first("authors_count")),
        organisation=_line(str(organisation or "")),
        date=_day(first("publishedAt", "date", "published")),
        count=_whole(first("count", "numComments")),
        arxiv=arxiv[1] if arxiv else "",
        url=f"https://arxiv.org/abs/{arxiv[1]}" if arxiv else "",
    )


def _of_atom(text: str, name: str) -> Listing:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ReadingError(f"{name} declares entities, which a feed of papers has no use for: it is not read.")
    try:
        root = ET.fromstring(text)  # noqa: S314  # entities were refused above
    except ET.ParseError as error:
        raise ReadingError(f"{name} cannot be read as XML: {error}.") from None
    entries = []
    for one in root.iter(f"{_ATOM}entry"):
        title = _line(one.findtext(f"{_ATOM}title") or "")
        if not title:
            continue
        address = (one.findtext(f"{_ATOM}id") or "").strip()
        number = ARXIV.search(address)
        entries.append(
            Entry(
                title=title,
                abstract=_line(one.findtext(f"{_ATOM}summary") or ""),
                authors_count=len(one.findall(f"{_ATOM}author")) or None,
                date=_day(one.findtext(f"{_ATOM}published") or one.findtext(f"{_ATOM}updated")),
                arxiv=number[1] if number else "",
                url=address if address.startswith(("http://", "https://")) else "",
            )
        )
    if not entries:
        raise ReadingError(f"{name} is no Atom feed with entries.")
    return Listing(entries=tuple(entries), kind="an Atom feed")


def _of_bibtex(text: str, name: str) -> Listing:
    try:
        import bibtexparser
    except ImportError:
        raise ReadingError(
            f'{name}: BibTeX needs bibtexparser, which is not installed: pip install "rung[papers]".'
        ) from None
    parser = bibtexparser.bparser.BibTexParser(common_strings=True, ignore_nonstandard_types=False)
    try:
        rows: Sequence[Mapping[str, str]] = bibtexparser.loads(text, parser).entries
    except Exception as error:  # noqa: BLE001  # whatever the library raises, the file cannot be read
        raise ReadingError(f"{name} cannot be read as BibTeX: {type(error).__name__}.") from None
    entries, bad = [], 0
    for row in rows:
        title = _line(row.get("title", "").replace("{", "").replace("}", ""))
        if not title:
            bad += 1
            continue
        number = ARXIV.search(" ".join(row.get(key, "") for key in ("eprint", "url", "journal", "note")))
        year = row.get("year", "")
        month = row.get("month", "")[:3].title()
        day = (
            f"{year}-{(MONTHS.index(month) + 1 if month in MONTHS else 1):02d}-01"
            if year.isdigit()
            else row.get("date")
        )
        entries.append(
            Entry(
                title=title,
                abstract=_line(row.get("abstract", "")),
                authors_count=len(re.split(r"\s+and\s+", row["author"].strip()))
                if row.get("author", "").strip()
                else None,
                date=_day(day),
                arxiv=number[1] if number else "",
                url=row.get("url", "") if row.get("url", "").startswith(("http://", "https://")) else "",
            )
        )
    if not entries:
        raise ReadingError(f"{name} holds no entry with a title.")
    notes = (f"{bad} entries without a title were left out.",) if bad else ()
    return Listing(entries=tuple(entries), kind="BibTeX", notes=notes)


def _line(text: str) -> str:
    # Halves of characters, as a JSON may hold them, can be neither kept nor shown.
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").replace("\0", "").split())


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _day(value: Any) -> Date | None:
    match = re.match(r"\d{4}-\d{2}-\d{2}", str(value or ""))
    try:
        return Date.fromisoformat(match[0]) if match else None
    except ValueError:
        return None
