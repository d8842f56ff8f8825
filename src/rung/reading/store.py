"""The list of papers that a person keeps: searched, tagged, voted on, annotated; in one SQLite file."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812
from pathlib import Path

from rung.errors import ReadingError
from rung.reading.entry import Entry

_SCHEMA = """
CREATE TABLE IF NOT EXISTS imports (id INTEGER PRIMARY KEY, moment TEXT NOT NULL, source TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS papers (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, title TEXT NOT NULL, abstract TEXT NOT NULL, authors_count INTEGER,
    organisation TEXT NOT NULL, date TEXT, count INTEGER, arxiv TEXT NOT NULL, url TEXT NOT NULL,
    first_import INTEGER NOT NULL, last_import INTEGER NOT NULL, count_before INTEGER,
    vote INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS tags (paper INTEGER NOT NULL REFERENCES papers(id), tag TEXT NOT NULL, PRIMARY KEY (paper, tag));
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(title, abstract, tokenize = 'porter unicode61');
"""

PAPERS = "papers.sqlite"
"""The file of the list, in the folder of program states."""

_TITLE_WEIGHT, _ABSTRACT_WEIGHT = 4.0, 1.0
"""How much a word counts where it stands."""

_MOST_NUMBERS = 1 << 62
"""Numbers of papers lie below, as SQLite counts."""

_COLUMNS = "id, title, abstract, authors_count, organisation, date, count, arxiv, url, first_import, last_import, count_before, vote, note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A paper of the list.

    Attributes:
        id: Its number in the list.
        entry: What listings say of it.
        is_new: Whether the last import brought it.
        gain: How much its count has grown at the last import; None where it has none before.
        vote: -1, 0 or 1.
        tags: The person's tags.
        note: The person's note.
    """

    id: int
    entry: Entry
    is_new: bool
    gain: int | None
    vote: int
    tags: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What an import brought: papers in all, papers that were not in the list, and how many of its rows repeat another."""

    papers: int
    new: int
    repeated: int


class PaperStore:
    """The list in a file; every call opens it anew, so that pages and commands may share it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=10)
        except (OSError, sqlite3.Error) as error:
            raise ReadingError(f"{self.path} cannot be opened: {error}.") from None
        try:
            connection.executescript(_SCHEMA)
            with connection:
                yield connection
        except sqlite3.DatabaseError as error:
            raise ReadingError(
                f"{self.path} cannot be used: {error}. If it is damaged, move it away; the list starts anew."
            ) from None
        finally:
            connection.close()

    def add(self, entries: Sequence[Entry], source: str, moment: str) -> Added:
        """Add the papers of a listing, whole or not at all; one that is known gets what the listing knows better.

        Args:
            entries: The papers.
            source: Where they come from.
            moment: When, as ISO text.
        """
        once = {one.key: one for one in entries}
        with self._open() as db:
            number = db.execute("INSERT INTO imports (moment, source) VALUES (?, ?)", (moment, source)).lastrowid
            new = 0
            for key, one in once.items():
                values = {
                    "key": key, "title": one.title, "abstract": one.abstract, "authors": one.authors_count, "org": one.organisation,
                    "date": one.date.isoformat() if one.date else None, "count": one.count, "arxiv": one.arxiv, "url": one.url, "n": number,
                }  # fmt: skip
                known = db.execute("SELECT id FROM papers WHERE key = ?", (key,)).fetchone()
                if known is None:
                    new += 1
                    made = db.execute(
                        "INSERT INTO papers (key, title, abstract, authors_count, organisation, date, count, arxiv, url, first_import, last_import)"
                        " VALUES (:key, :title, :abstract, :authors, :org, :date, :count, :arxiv, :url, :n, :n)",
                        values,
                    ).lastrowid
                    db.execute(
                        "INSERT INTO words (rowid, title, abstract) VALUES (?, ?, ?)", (made, one.title, one.abstract)
                    )
                    continue
                db.execute(
                    "UPDATE papers SET abstract = CASE WHEN :abstract = '' THEN abstract ELSE :abstract END,"
                    " authors_count = coalesce(:authors, authors_count), organisation = CASE WHEN :org = '' THEN organisation ELSE :org END,"
                    " date = coalesce(:date, date), count_before = count, count = coalesce(:count, count),"
                    " arxiv = CASE WHEN :arxiv = '' THEN arxiv ELSE :arxiv END, url = CASE WHEN :url = '' THEN url ELSE :url END,"
                    " last_import = :n WHERE key = :key",
                    values,
                )
                if one.abstract:
                    db.execute("UPDATE words SET abstract = ? WHERE rowid = ?", (one.abstract, known[0]))
            return Added(papers=len(once), new=new, repeated=len(entries) - len(once))

    def search(self, query: str = "", *, tag: str = "", most: int = 100) -> list[Kept]:
        """The papers that hold all words of a query, or else some, the best first; without one all of them, the latest first.

        Args:
            query: Words; the last may be the start of one. Words in quotation marks stand together.
            tag: Only papers with this tag.
            most: How many at most.
        """
        words = re.findall(r'"[^"]+"|[^\s"]+', query)
        terms = [
            '"' + re.sub(r"[^\w\s]+", " ", word.strip('"')).strip() + '"' for word in words if re.search(r"\w", word)
        ]
        if query.strip() and not terms:
            return []
        if terms and not query.rstrip().endswith('"'):
            terms[-1] += "*"
        tagged = "WHERE id IN (SELECT paper FROM tags WHERE tag = :tag)" if tag else ""
        given: dict[str, object] = {"tag": tag, "most": most}
        with self._open() as db:
            if not terms:
                every = f"SELECT {_COLUMNS} FROM papers {tagged} ORDER BY date IS NULL, date DESC, id LIMIT :most"
                return self._kept(db, every, given)
            chosen = (
                f"SELECT {_COLUMNS} FROM (SELECT rowid AS hit, bm25(words, {_TITLE_WEIGHT}, {_ABSTRACT_WEIGHT}) AS score FROM words"
                f" WHERE words MATCH :match) JOIN papers ON papers.id = hit {tagged} ORDER BY score, id LIMIT :most"
            )
            found = self._kept(db, chosen, {**given, "match": " ".join(terms)})
            # Where no paper holds all words, those that hold some.
            return found or self._kept(db, chosen, {**given, "match": " OR ".join(terms)})

    def paper(self, number: int) -> Kept:
        """The paper with a number.

        Raises:
            ReadingError: There is none.
        """
        if not 0 < number < _MOST_NUMBERS:
            raise ReadingError(f"there is no paper {number} in the list.")
        with self._open() as db:
            found = self._kept(db, f"SELECT {_COLUMNS} FROM papers WHERE id = :id", {"id": number})
        if not found:
            raise ReadingError(f"there is no paper {number} in the list.")
        return found[0]

    def everything(self) -> list[Kept]:
        """All papers, the latest first."""
        return self.search(most=1_000_000)

    def trending(self, most: int = 10) -> list[Kept]:
        """The papers whose count has grown most at the last import."""
        grown = [one for one in self.everything() if one.gain]
        return sorted((one for one in grown if (one.gain or 0) > 0), key=lambda one: -(one.gain or 0))[:most]

    def tag_names(self) -> dict[str, int]:
        """Every tag, and how many papers have it."""
        with self._open() as db:
            return dict(db.execute("SELECT tag, count(*) FROM tags GROUP BY tag ORDER BY tag").fetchall())

    def tag(self, number: int, tag: str, *, remove: bool = False) -> None:
        """Tag a paper, or take a tag away.

        Raises:
            ReadingError: There is no such paper, or the tag is empty.
        """
        name = " ".join(tag.split())[:60]
        if not name:
            raise ReadingError("a tag needs a name.")
        self.paper(number)
        with self._open() as db:
            if remove:
                db.execute("DELETE FROM tags WHERE paper = ? AND tag = ?", (number, name))
            else:
                db.execute("INSERT OR IGNORE INTO tags VALUES (?, ?)", (number, name))

    def vote(self, number: int, vote: int) -> None:
        """Vote on a paper: 1, 0 or -1.

        Raises:
            ReadingError: There is no such paper, or no such vote.
        """
        if vote not in {-1, 0, 1}:
            raise ReadingError("a vote is 1, 0 or -1.")
        self._set(number, "vote", vote)

    def note(self, number: int, text: str) -> None:
        """Keep a note about a paper."""
        self._set(number, "note", text[:20_000])

    def _set(self, number: int, column: str, value: object) -> None:
        self.paper(number)
        with self._open() as db:
            db.execute(f"UPDATE papers SET {column} = ? WHERE id = ?", (value, number))

    @staticmethod
    def _kept(db: sqlite3.Connection, query: str, given: dict[str, object]) -> list[Kept]:
        last = db.execute("SELECT max(id) FROM imports").fetchone()[0]
        tags: dict[int, list[str]] = {}
        for paper, tag in db.execute("SELECT paper, tag FROM tags ORDER BY tag"):
            tags.setdefault(paper, []).append(tag)
        found = []
        for row in db.execute(query, given):
            (
                number,
                title,
                abstract,
                authors,
                organisation,
                date,
                count,
                arxiv,
                url,
                first,
                latest,
                before,
                vote,
                note,
            ) = row
            entry = Entry(
                title=title, abstract=abstract, authors_count=authors, organisation=organisation,
                date=Date.fromisoformat(date) if date else None, count=count, arxiv=arxiv, url=url,
            )  # fmt: skip
            gain = count - before if count is not None and before is not None and latest == last else None
            found.append(
                Kept(
                    id=number,
                    entry=entry,
                    is_new=first == last,
                    gain=gain,
                    vote=vote,
                    tags=tuple(tags.get(number, ())),
                    note=note,
                )
            )
        return found
