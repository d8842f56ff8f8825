"""`rung papers`: the papers that Rung is made from, and a person's own list."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from rung.cli.options import Json, Output
from rung.cli.output import as_json, require_kinds, say
from rung.errors import ReadingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rung.reading import Kept, PaperStore

app = App(
    name="papers",
    help="The papers that Rung is made from, and your own list: import, search, tag, recommend, digest, feed.",
    help_epilogue="Examples:\n  rung papers import page.txt\n  rung papers search centroid loss",
    help_format="plaintext",
    default_parameter=Parameter(show_default=False),
)

State = Annotated[
    str | None,
    Parameter(help="The folder of the list; by default that of program states of the user, which the app shares."),
]
Number = Annotated[int, Parameter(name="NUMBER")]


@app.default
def listing(*, state: State = None, json: Json = False) -> None:
    """List the papers that Rung is made from with their claims, and say what the own list holds."""
    from rung.papers import catalogue

    papers = [one for one in catalogue().values() if not one.context]
    kept = _store(state).everything()
    if json:
        rows = [
            {
                "slug": one.slug,
                "title": one.title,
                "source": one.source,
                "claim": one.claim,
                "checked": one.check is not None,
            }
            for one in papers
        ]
        print(as_json({"papers": rows, "own": [_plain(one) for one in kept]}))
        return
    wide = max(len(one.slug) for one in papers)
    for one in papers:
        print(f"{one.slug:{wide}}  {'check  ' if one.check else 'not yet'}  {one.title}: {one.claim}")
    print(
        f"\n{sum(one.check is not None for one in papers)} of {len(papers)} have a check: rung reproduce SLUG measures it here.\n"
        + (
            f"Your own list holds {len(kept)} papers: rung papers search."
            if kept
            else "Your own list is empty: rung papers import FILE."
        )
    )


@app.command(name="import")
def import_(
    files: Annotated[tuple[str, ...], Parameter(name="FILE", consume_multiple=True, negative="")],
    /,
    *,
    year: int | None = None,
    state: State = None,
    json: Json = False,
) -> None:
    """Read listings of papers into the own list: a saved Daily Papers page as text, Hugging Face's JSON, arXiv's Atom, BibTeX.

    Parameters
    ----------
    files
        The listings.
    year
        The year of a page whose dates leave it out, where the guess is wrong.
    """
    from rung.reading import read_listing

    read = [(file, read_listing(file, year=year)) for file in files]
    store = _store(state)
    added = [(file, found, store.add(found.entries, file, _now())) for file, found in read]
    if json:
        print(as_json({"papers": [entry.to_dict() for _, found in read for entry in found.entries]}))
    for file, found, one in added:
        repeated = f", {one.repeated} repeated in it" if one.repeated else ""
        line = f"{file}: {found.kind} of {len(found.entries)} papers, {one.new} new{repeated}"
        if json:
            say(line)
        else:
            print(line)
        say(*(f"note: {note}" for note in found.notes))


@app.command
def search(
    *words: Annotated[str, Parameter(name="WORD")],
    tag: str = "",
    most: int = 20,
    state: State = None,
    json: Json = False,
) -> None:
    """Find papers of the own list by the words of title and abstract, the best first.

    Parameters
    ----------
    words
        Words that all stand in the paper; without one, the latest papers.
    tag
        Only papers with this tag.
    most
        How many at most; 20 by default.
    """
    _show(_store(state).search(" ".join(words), tag=tag, most=most), json=json)


@app.command
def show(number: Number, /, *, state: State = None, json: Json = False) -> None:
    """Show a paper of the own list with its abstract, tags and note."""
    one = _store(state).paper(number)
    if json:
        print(as_json(_plain(one)))
        return
    print(f"{_line(one)}\n\n{one.entry.abstract or '(no abstract)'}")
    if one.note:
        print(f"\nnote: {one.note}")


@app.command
def tag(
    number: Number,
    name: Annotated[str, Parameter(name="TAG")],
    /,
    *,
    remove: Annotated[bool, Parameter(negative="")] = False,
    state: State = None,
) -> None:
    """Tag a paper of the own list.

    Parameters
    ----------
    remove
        Take the tag away.
    """
    _store(state).tag(number, name, remove=remove)


@app.command
def vote(number: Number, value: Annotated[int, Parameter(name="VOTE")], /, *, state: State = None) -> None:
    """Vote on a paper of the own list: 1, 0 or -1."""
    _store(state).vote(number, value)


@app.command
def note(number: Number, text: Annotated[str, Parameter(name="TEXT")], /, *, state: State = None) -> None:
    """Keep a note about a paper of the own list."""
    _store(state).note(number, text)


@app.command
def recommend(*, tag: str = "", most: int = 10, state: State = None, json: Json = False) -> None:
    """Recommend papers of the own list that resemble those you tagged or voted for, and say how well that works.

    Parameters
    ----------
    tag
        Resemble the papers with this tag alone.
    most
        How many at most; 10 by default.
    """
    from rung.reading import recommend as recommended

    found = recommended(_store(state).everything(), tag=tag, most=most)
    if json:
        rows = [{**_plain(one), "score": score} for one, score in found.papers]
        print(
            as_json({"papers": rows, "precision_at_10": found.precision, "chance": found.chance, "liked": found.liked})
        )
        return
    if found.precision is None or found.chance is None:
        raise ReadingError(
            f"{found.liked} papers have a tag or a vote; recommendations need 4 and papers without one: rung papers tag NUMBER NAME."
        )
    for one, score in found.papers:
        print(f"{score:.2f}  {_line(one)}")
    print(
        f"\nOf the first ten, {100 * found.precision:.0f} % were liked ones that had been held out ({100 * found.chance:.0f} % by chance)."
    )


@app.command
def digest(
    *,
    output: Output = (),
    to: str = "",
    sender: Annotated[str, Parameter(name="--from")] = "",
    smtp: str = "localhost",
    starttls: Annotated[bool, Parameter(negative="")] = False,
    user: str = "",
    state: State = None,
) -> None:
    """Tell what is new, trending and recommended, as text; or mail it.

    For a mail every morning, put this command with --to into your crontab.

    Parameters
    ----------
    to
        The address that the digest is mailed to.
    sender
        The address that it comes from; that of --to by default.
    smtp
        HOST:PORT of your mail server; localhost by default.
    starttls
        Encrypt the connection.
    user
        Your account there; the password is read from the variable RUNG_SMTP_PASSWORD.
    """
    import os

    from rung.files import write_all
    from rung.reading import digest_of, mail_of, send
    from rung.reading import recommend as recommended

    kinds = require_kinds(output, {".txt": "the digest", ".html": "the digest"})
    store = _store(state)
    papers = store.everything()
    made = digest_of(papers, store.trending(), [one for one, _ in recommended(papers).papers])
    write_all({path: (made.html() if kind == ".html" else made.text()).encode() for path, kind in kinds.items()})
    if to:
        new = sum(len(part) for heading, part in made.sections if heading == "New")
        message = mail_of(made, sender or to, to, f"Papers: {new} new")
        send(message, smtp, user=user, password=os.environ.get("RUNG_SMTP_PASSWORD", ""), starttls=starttls)
        say(f"sent to {to}")
    elif not kinds:
        print(made.text(), end="")


@app.command
def feed(*, output: Output = (), state: State = None) -> None:
    """Write the latest papers of the own list as an Atom feed."""
    from rung.files import write_all
    from rung.reading import feed_of

    kinds = require_kinds(output, {".xml": "the feed", ".atom": "the feed"})
    text = feed_of(_store(state).everything(), _now())
    write_all(dict.fromkeys(kinds, text.encode()))
    if not kinds:
        sys.stdout.write(text)


def _store(state: str | None) -> PaperStore:
    from pathlib import Path

    from rung.files import state_folder
    from rung.reading import PAPERS, PaperStore

    return PaperStore((Path(state) if state else state_folder()) / PAPERS)


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")


def _show(papers: Sequence[Kept], *, json: bool) -> None:
    if json:
        print(as_json([_plain(one) for one in papers]))
        return
    for one in papers:
        print(_line(one))
    if not papers:
        print("nothing found")


def _line(one: Kept) -> str:
    entry = one.entry
    about = [
        entry.date.isoformat() if entry.date else "",
        entry.organisation or (f"{entry.authors_count} authors" if entry.authors_count else ""),
        "new" if one.is_new else "",
        f"vote {one.vote:+d}" if one.vote else "",
        *(f"#{name}" for name in one.tags),
    ]
    return f"{one.id:4}  {entry.title}  ({', '.join(part for part in about if part)})"


def _plain(one: Kept) -> dict[str, object]:
    return {
        "number": one.id,
        **one.entry.to_dict(),
        "arxiv": one.entry.arxiv,
        "url": one.entry.url,
        "new": one.is_new,
        "gain": one.gain,
        "vote": one.vote,
        "tags": list(one.tags),
        "note": one.note,
    }
