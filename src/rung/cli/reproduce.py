"""`rung reproduce`: a paper's claims, checked here."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.table_options import say

if TYPE_CHECKING:
    from rung.papers import Paper, Reproduction

_HELD = {True: "held", False: "not reproduced", None: "not checked"}


def reproduce(
    *slugs: Annotated[str, Parameter(name="SLUG")],
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """List the papers, or check the claims of some.

    Published tables are read from the folder, or fetched from the address, that RUNG_DATA names.

    Parameters
    ----------
    slugs
        Papers of the list.
    output
        Keep each result as SLUG.json in this folder.
    json
        Print JSON instead of text: one object, or a list of several.
    """
    from pathlib import Path

    from rung.files import require_writable, write_text
    from rung.papers import catalogue, checked_paper
    from rung.papers import reproduce as check

    if not slugs:
        papers = list(catalogue().values())
        print(json_module.dumps([_plain(paper) for paper in papers]) if json else listing(papers))
        return
    for slug in slugs:
        checked_paper(slug)
    folder = Path(output) if output else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        require_writable(folder / f"{slugs[0]}.json")
    results = []
    for place, slug in enumerate(slugs):
        found = check(slug)
        results.append(found.to_dict())
        if folder is not None:
            write_text(folder / f"{slug}.json", json_module.dumps(results[-1], allow_nan=False) + "\n")
        if not json:
            print(("\n" if place else "") + describe(found), flush=True)
        missing = [claim for claim in found.claims if claim.held is None]
        if missing:
            say(
                f"warning: {len(missing)} of {len(found.claims)} claims of {slug} were not checked. {missing[0].measured}"
            )
    if json:
        print(json_module.dumps(results[0] if len(results) == 1 else results, allow_nan=False))


def _plain(paper: Paper) -> dict[str, str | bool | None]:
    return {
        "slug": paper.slug,
        "title": paper.title,
        "source": paper.source,
        "claim": paper.claim,
        "scale": paper.scale,
        "checked": paper.check is not None,
        "context": paper.context,
    }


def listing(papers: list[Paper]) -> str:
    """The papers as text: which are checked, and which are not yet."""
    width = max(len(paper.slug) for paper in papers)
    listed = [paper for paper in papers if not paper.context]
    beside = [paper for paper in papers if paper.context]
    lines = [f"{paper.slug:<{width}}  {'check' if paper.check else 'not yet':<8} {paper.title}" for paper in listed]
    checked = sum(paper.check is not None for paper in listed)
    lines += ["", f"{checked} of {len(listed)} papers are checked. Beside them, as context:", ""]
    lines += [f"{paper.slug:<{width}}  check    {paper.title}" for paper in beside]
    return "\n".join(lines)


def describe(found: Reproduction) -> str:
    """A reproduction as text for people."""
    lines = [f"{found.title}, {found.source}"]
    for claim in found.claims:
        lines += [
            "",
            f"{_HELD[claim.held]:<15}{claim.what}",
            f"  published    {claim.published}",
            f"  measured     {claim.measured}",
            f"  scale        {claim.scale}",
        ]
    checked = [claim for claim in found.claims if claim.held is not None]
    return "\n".join([*lines, "", f"{sum(bool(claim.held) for claim in checked)} of {len(checked)} claims held"])
