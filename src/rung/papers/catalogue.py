"""The list of papers, and the check of each paper that has one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from rung.errors import PapersError
from rung.messages import did_you_mean
from rung.papers.claims import Check, Reproduction
from rung.papers.tables import Tables

_KEYS = {"title", "arxiv", "claim", "scale", "check", "context"}
"""Keys of an entry of papers.toml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One paper.

    Attributes:
        slug: Its name in this package.
        title: Its title.
        arxiv: Its arXiv number; None where it has none.
        claim: The claim that the check is about.
        scale: How far the check goes: on published data, scaled down, or on planted data.
        check: The function that checks it, as module:name in this package; None where there is none yet.
        context: Whether it is a paper outside the list, given as context.
    """

    slug: str
    title: str
    arxiv: str | None
    claim: str
    scale: str
    check: str | None
    context: bool = False

    @property
    def source(self) -> str:
        return f"arXiv:{self.arxiv}" if self.arxiv else "no arXiv number"


@cache
def catalogue() -> Mapping[str, Paper]:
    """Every paper by its slug, in the order of papers.toml: the listed ones, then those given as context.

    Raises:
        PapersError: An entry lacks a key, or has one that is not known.
    """
    content = tomllib.loads(files("rung.papers").joinpath("papers.toml").read_text(encoding="utf-8"))
    return {slug: _paper(slug, entry) for slug, entry in content.items()}


def _paper(slug: str, entry: Mapping[str, Any]) -> Paper:
    context = bool(entry.get("context", False))
    needed = ("title", "check") if context else ("title", "claim", "scale")
    if missing := [key for key in needed if not entry.get(key)]:
        raise PapersError(f"papers.toml, [{slug}]: give {', '.join(missing)}.")
    if unknown := sorted(set(entry) - _KEYS):
        raise PapersError(
            f"papers.toml, [{slug}]: unknown key {unknown[0]!r}.{did_you_mean(unknown[0], sorted(_KEYS))}"
        )
    return Paper(
        slug=slug,
        title=entry["title"],
        arxiv=entry.get("arxiv"),
        claim=entry.get("claim", ""),
        scale=entry.get("scale", ""),
        check=entry.get("check"),
        context=context,
    )


def checked_paper(slug: str) -> Paper:
    """The paper with this slug, if it has a check.

    Raises:
        PapersError: There is no such paper, or it has no check yet.
    """
    paper = catalogue().get(slug)
    if paper is None:
        raise PapersError(f"no paper {slug!r}.{did_you_mean(slug, catalogue())} rung reproduce lists them.")
    if paper.check is None:
        raise PapersError(
            f"{slug} is not checked yet. The checked papers are {', '.join(p.slug for p in catalogue().values() if p.check)}."
        )
    return paper


def reproduce(slug: str, tables: Tables | None = None) -> Reproduction:
    """Check a paper's claims.

    Args:
        slug: The paper, by its slug in the catalogue.
        tables: Where the published tables are; by default the folder or address in RUNG_DATA.

    Raises:
        PapersError: There is no such paper, or it has no check yet.
    """
    paper = checked_paper(slug)
    module, _, name = str(paper.check).partition(":")
    check: Check = getattr(import_module(f"rung.papers.{module}"), name)
    claims = check(tables if tables is not None else Tables.of_environment())
    return Reproduction(slug=slug, title=paper.title, source=paper.source, claims=tuple(claims))
