"""Claims: the result of checking a paper, with the published and the measured figure of each claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rung.papers.tables import Tables
from rung.results import Result, Summary, plain_fields

FULL, SMALLER, FORM = "full", "scaled down", "form"
"""Scales of a check: the published data of the paper; the same experiment, smaller; the method on planted data."""

_HELD = {True: "held", False: "not reproduced", None: "not checked"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim of a paper, with the result of its check.

    Attributes:
        what: The claim, in a sentence.
        published: The figure that the paper states; empty where it states none.
        asked: What the check asks for where the paper states no figure: a criterion, or the value that was planted.
        measured: The measured figure, or why the claim was not checked.
        scale: FULL, SMALLER or FORM.
        held: Whether the claim held; None where it was not checked.
    """

    what: str
    published: str = ""
    asked: str = ""
    measured: str
    scale: str
    held: bool | None

    def __post_init__(self) -> None:
        # A comparison of NumPy's numbers is NumPy's own bool, which JSON does not know.
        object.__setattr__(self, "held", None if self.held is None else bool(self.held))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Reproduction(Result):
    """The checked claims of a paper.

    Attributes:
        slug: The paper's slug in the catalogue.
        title: Its title.
        source: Where it was published.
        claims: Its claims, in the order of the check.
    """

    slug: str
    title: str
    source: str
    claims: tuple[Claim, ...]

    @property
    def held(self) -> bool | None:
        """Whether every checked claim held; None where none was checked."""
        checked = [claim.held for claim in self.claims if claim.held is not None]
        return all(checked) if checked else None

    def headline(self) -> str:
        """How many of the checked claims held."""
        checked = [claim for claim in self.claims if claim.held is not None]
        return f"{sum(bool(claim.held) for claim in checked)} of {len(checked)} claims held"

    def describe(self) -> Summary:
        """Every claim with the published figure, or what was asked, and the measured one."""
        claims = [
            "\n".join(
                [
                    f"{_HELD[claim.held]:<15}{claim.what}",
                    f"  published    {claim.published}" if claim.published else f"  asked        {claim.asked}",
                    f"  measured     {claim.measured}",
                    f"  scale        {claim.scale}",
                ]
            )
            for claim in self.claims
        ]
        return Summary([f"{self.title}, {self.source}", *claims, self.headline()])

    def to_dict(self) -> dict[str, Any]:
        """The reproduction as plain values."""
        claims = [plain_fields(claim) for claim in self.claims]
        return {"slug": self.slug, "title": self.title, "source": self.source, "held": self.held, "claims": claims}


Check = Callable[[Tables], list[Claim]]
"""The check of a paper: a function from the published tables, which it need not use, to the claims."""


def not_checked(what: str, published: str, why: Exception) -> Claim:
    """A claim that needs a published table that could not be read."""
    return Claim(what=what, published=published, measured=f"not checked: {why}", scale=FULL, held=None)
