"""`rung reproduce`: a paper's claims, checked here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.options import Json, Output
from rung.cli.output import as_json, say
from rung.errors import PapersError

if TYPE_CHECKING:
    from rung.papers import Paper


def reproduce(
    *slugs: Annotated[str, Parameter(name="SLUG")],
    output: Output = (),
    json: Json = False,
) -> None:
    """List the papers, or check the claims of some.

    Published tables are read from the folder, or fetched from the address, that RUNG_DATA names.

    Parameters
    ----------
    slugs
        Papers of the list. With -o FOLDER, each result is kept as SLUG.json there.
    """
    from pathlib import Path

    from rung.files import require_writable, write_text
    from rung.papers import catalogue, checked_paper
    from rung.papers import reproduce as check

    if not slugs:
        papers = list(catalogue().values())
        print(as_json([_plain(paper) for paper in papers]) if json else listing(papers))
        return
    for slug in slugs:
        checked_paper(slug)
    if len(output) > 1:
        raise PapersError("-o names the folder of the results; give one.")
    folder = Path(output[0]) if output else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        require_writable(folder / f"{slugs[0]}.json")
    results = []
    for index, slug in enumerate(slugs):
        found = check(slug)
        results.append(found.to_dict())
        if folder is not None:
            write_text(folder / f"{slug}.json", as_json(results[-1]) + "\n")
        if not json:
            print(("\n" if index else "") + found.summary(), flush=True)
        missing = [claim for claim in found.claims if claim.held is None]
        if missing:
            say(
                f"warning: {len(missing)} of {len(found.claims)} claims of {slug} were not checked. {missing[0].measured}"
            )
    if json:
        print(as_json(results[0] if len(results) == 1 else results))


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
