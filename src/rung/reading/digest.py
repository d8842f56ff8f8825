"""What is new, as text, as HTML, as a mail and as a feed."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from html import escape
from xml.etree import ElementTree as ET

from rung.errors import ReadingError
from rung.reading.store import Kept

_SHORT = 320
"""Characters of an abstract that a digest shows."""

_PATIENCE_S = 30.0
"""Time after which a mail server is given up [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What is worth reading since the last import: sections of papers by their headings."""

    sections: Sequence[tuple[str, Sequence[Kept]]]

    def text(self) -> str:
        """The digest as plain text."""
        parts = []
        for heading, papers in self.sections:
            parts.append(f"{heading}\n{'=' * len(heading)}")
            parts += [f"{one.entry.title}\n{_about(one)}\n{_short(one.entry.abstract)}".rstrip() for one in papers]
        return "\n\n".join(parts) + "\n" if parts else "Nothing is new.\n"

    def html(self) -> str:
        """The digest as HTML."""
        parts = ["<!doctype html><html lang='en'><body style='font-family: sans-serif; max-width: 42rem'>"]
        for heading, papers in self.sections:
            parts.append(f"<h2>{escape(heading)}</h2>")
            for one in papers:
                title = escape(one.entry.title)
                if one.entry.url:
                    title = f"<a href='{escape(one.entry.url, quote=True)}'>{title}</a>"
                parts.append(
                    f"<h3>{title}</h3><p><small>{escape(_about(one))}</small></p><p>{escape(_short(one.entry.abstract))}</p>"
                )
        return "".join(parts if self.sections else [*parts, "<p>Nothing is new.</p>"]) + "</body></html>\n"


def digest_of(papers: Sequence[Kept], trending: Sequence[Kept], recommended: Sequence[Kept], most: int = 10) -> Digest:
    """The digest of a list: its new papers, those whose counts grow, and those that are recommended."""
    new = [one for one in papers if one.is_new][:most]
    parts = (("New", new), ("Trending", trending[:most]), ("Like what you tagged", recommended[:most]))
    return Digest(sections=[(heading, found) for heading, found in parts if found])


def mail_of(digest: Digest, sender: str, to: str, subject: str) -> EmailMessage:
    """The digest as a mail with both texts.

    Raises:
        ReadingError: An address holds what no address holds.
    """
    message = EmailMessage()
    try:
        message["From"], message["To"], message["Subject"] = sender, to, subject
    except ValueError as error:
        raise ReadingError(f"{error}: give an address such as name@example.org.") from None
    message.set_content(digest.text())
    message.add_alternative(digest.html(), subtype="html")
    return message


def send(message: EmailMessage, server: str, *, user: str = "", password: str = "", starttls: bool = False) -> None:
    """Send a mail through an SMTP server.

    Args:
        message: The mail.
        server: Its HOST or HOST:PORT; port 25 by default, 587 with STARTTLS.
        user: The account; empty for none.
        password: Its password.
        starttls: Whether to encrypt the connection; a password is never sent without.

    Raises:
        ReadingError: The server cannot be reached or refuses.
    """
    host, _, port = server.rpartition(":") if ":" in server else (server, "", "")
    if port and not port.isdigit():
        raise ReadingError(f"--smtp {server}: write HOST:PORT.")
    if user and not starttls and host not in {"localhost", "127.0.0.1"}:
        raise ReadingError("a password is not sent over an open connection: --starttls.")
    try:
        with smtplib.SMTP(host, int(port or (587 if starttls else 25)), timeout=_PATIENCE_S) as connection:
            if starttls:
                connection.starttls(context=ssl.create_default_context())
            if user:
                connection.login(user, password)
            refused = connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise ReadingError(f"the mail was not sent by {server}: {error}.") from None
    if refused:
        raise ReadingError(f"{server} refused {', '.join(refused)}.")


def feed_of(papers: Sequence[Kept], moment: str, most: int = 50) -> str:
    """The latest papers as an Atom feed.

    Args:
        papers: The list, the latest first.
        moment: When it was made, as ISO text with a zone.
        most: How many at most.
    """
    ET.register_namespace("", "http://www.w3.org/2005/Atom")
    atom = "{http://www.w3.org/2005/Atom}"
    root = ET.Element(f"{atom}feed")

    def put(parent: ET.Element, name: str, text: str) -> None:
        ET.SubElement(parent, f"{atom}{name}").text = _legal(text)

    put(root, "title", "Papers")
    put(root, "id", "urn:rung:papers")
    put(root, "updated", moment)
    for one in papers[:most]:
        entry = ET.SubElement(root, f"{atom}entry")
        put(entry, "title", one.entry.title)
        put(entry, "id", one.entry.url or f"urn:rung:papers:{one.id}")
        put(entry, "updated", f"{one.entry.date.isoformat()}T00:00:00Z" if one.entry.date else moment)
        author = ET.SubElement(entry, f"{atom}author")
        put(author, "name", one.entry.organisation or f"{one.entry.authors_count or 'unknown'} authors")
        if one.entry.url:
            ET.SubElement(entry, f"{atom}link", href=_legal(one.entry.url))
        put(entry, "summary", one.entry.abstract)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ET.tostring(root, encoding="unicode") + "\n"


def _legal(text: str) -> str:
    """A text without the control characters that XML does not allow."""
    return "".join(sign for sign in text if sign >= " " or sign in "\t\n")


def _about(one: Kept) -> str:
    entry = one.entry
    who = entry.organisation or (f"{entry.authors_count} authors" if entry.authors_count else "")
    gain = f"count {entry.count} (+{one.gain})" if one.gain else ""
    parts = [
        who,
        entry.date.isoformat() if entry.date else "",
        f"arXiv:{entry.arxiv}" if entry.arxiv else "",
        gain,
        entry.url,
    ]
    return " · ".join(part for part in parts if part)


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else text[: text.rfind(" ", 0, _SHORT)] + " ..."
