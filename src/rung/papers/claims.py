"""What checking a paper gives: claims, each with the published figure and the measured one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rung.papers.tables import Tables

FULL, SMALLER, FORM = "full", "scaled down", "form"
"""The paper's own published data; the same experiment, smaller; the law or algorithm on planted data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing that a paper says, and what was found here.

    Attributes:
        what: The claim, in a sentence.
        published: The published figure, or what is asked of the check.
        measured: What was found here; why not, where it was not checked.
        scale: FULL, SMALLER or FORM.
        held: Whether it held; None where it was not checked.
    """

    what: str
    published: str
    measured: str
    scale: str
    held: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A paper's claims, checked.

    Attributes:
        slug: The paper.
        title: Its title.
        source: Where it was published.
        claims: What was checked.
    """

    slug: str
    title: str
    source: str
    claims: tuple[Claim, ...]

    @property
    def held(self) -> bool | None:
        """Whether every claim that was checked held; None where none was."""
        checked = [claim.held for claim in self.claims if claim.held is not None]
        return all(checked) if checked else None

    def to_dict(self) -> dict[str, Any]:
        """The reproduction as plain values."""
        claims = [{name: getattr(claim, name) for name in claim.__dataclass_fields__} for claim in self.claims]
        return {"slug": self.slug, "title": self.title, "source": self.source, "held": self.held, "claims": claims}


Check = Callable[[Tables], list[Claim]]
"""What a paper's file holds: from published tables, where it needs any, to claims."""


def not_checked(what: str, published: str, why: Exception) -> Claim:
    """A claim on a published table that is not there."""
    return Claim(what=what, published=published, measured=f"not checked: {why}", scale=FULL, held=None)
