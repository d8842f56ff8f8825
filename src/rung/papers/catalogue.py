"""The list of papers, and the check of each paper that has one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files

from rung.errors import PapersError
from rung.messages import did_you_mean
from rung.papers.claims import Check, Reproduction
from rung.papers.tables import Tables

CHECKS: dict[str, str] = {
    "basic": "rung.papers.basic:check",
    "knowledge-capacity": "rung.papers.knowledge_capacity:check",
    "superposition": "rung.papers.superposition:check",
    "tsfm-scaling": "rung.papers.tsfm_scaling:check",
    "worldpm": "rung.papers.worldpm:check",
    "densing-law": "rung.papers.densing_law:check",
    "merging-at-scale": "rung.papers.merging_at_scale:check",
    "specialise": "rung.papers.specialise:check",
    "step-law": "rung.papers.step_law:check",
    "dpa3": "rung.papers.dpa3:check",
    "henighan": "rung.papers.henighan:check",
    "hestness": "rung.papers.hestness:check",
    "hitchhiker": "rung.papers.hitchhiker:check",
    "hstu": "rung.papers.hstu:check",
    "mass-radius": "rung.papers.mass_radius:check",
    "mystery": "rung.papers.mystery:check",
}
"""The check of each paper that has one, as module:function."""

CONTEXT: dict[str, tuple[str, str, str]] = {
    "kaplan": ("Scaling laws for neural language models", "2001.08361", "rung.papers.context:kaplan"),
    "chinchilla": ("Training compute-optimal large language models", "2203.15556", "rung.papers.context:chinchilla"),
    "besiroglu": ("Chinchilla scaling: a replication attempt", "2404.10102", "rung.papers.context:besiroglu"),
    "muennighoff": ("Scaling data-constrained language models", "2305.16264", "rung.papers.context:muennighoff"),
    "gadre": ("Language models scale reliably with over-training", "2403.08540", "rung.papers.context:gadre"),
    "deepseek": ("DeepSeek LLM", "2401.02954", "rung.papers.decisions:deepseek"),
    "inference-aware": ("Beyond Chinchilla-optimal", "2401.00448", "rung.papers.decisions:inference_aware"),
    "data-constrained": ("Allocation with little data", "2305.16264", "rung.papers.decisions:data_constrained"),
    "learning-curves": (
        "Revisiting neural scaling laws in language and vision",
        "2209.06640",
        "rung.papers.context:learning_curves",
    ),
}
"""Papers outside the list, as context: title, arXiv number and check of each. The listed papers build on their laws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One paper.

    Attributes:
        slug: Its name in this package.
        title: Its title.
        arxiv: Its arXiv number; None where it has none.
        claim: The claim that the check is about.
        scale: How far the check goes: on published data, scaled down, or on planted data.
        check: The function that checks it, as module:name; None where there is none yet.
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
    """Every paper by its slug: first the listed ones, then those given as context."""
    content = tomllib.loads(files("rung.papers").joinpath("papers.toml").read_text(encoding="utf-8"))
    listed = {
        slug: Paper(
            slug=slug,
            title=entry["title"],
            arxiv=entry.get("arxiv"),
            claim=entry["claim"],
            scale=entry["scale"],
            check=CHECKS.get(slug),
        )
        for slug, entry in content.items()
    }
    beside = {
        slug: Paper(slug=slug, title=title, arxiv=arxiv, claim="", scale="", check=check, context=True)
        for slug, (title, arxiv, check) in CONTEXT.items()
    }
    return {**listed, **beside}


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
    check: Check = getattr(import_module(module), name)
    claims = check(tables if tables is not None else Tables.of_environment())
    return Reproduction(slug=slug, title=paper.title, source=paper.source, claims=tuple(claims))
