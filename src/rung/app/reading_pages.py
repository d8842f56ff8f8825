"""Papers in the app: the list, its search, a paper with tags, vote and note, and the claim of a paper checked here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from rung.app.jobs import Jobs
from rung.app.pages import form_of
from rung.app.view import page
from rung.app.workspace import Workspace
from rung.errors import ReadingError, RungError
from rung.papers import Paper, catalogue, checked_paper
from rung.reading import PAPERS, Kept, PaperStore, feed_of, read_text, recommend

_MOST = 60
"""Papers of one page."""

_LARGEST = 20_000_000
"""Largest listing that is taken [bytes]."""

_PATIENCE_S = 0.5


class ReadingPages:
    """The handlers of papers."""

    def __init__(self, workspace: Workspace, jobs: Jobs) -> None:
        self.store = PaperStore(workspace.state / PAPERS)
        self.workspace = workspace
        self.jobs = jobs

    def routes(self) -> list[Route]:
        """Every address, and what answers it."""
        return [
            Route("/papers", self.listed),
            Route("/papers/feed.xml", self.feed),
            Route("/papers/of/{slug}", self.checked),
            Route("/papers/of/{slug}/check", self.check, methods=["POST"]),
            Route("/papers/import/{name}", self.take, methods=["PUT"]),
            Route("/papers/{number:int}", self.shown),
            Route("/papers/{number:int}/change", self.change, methods=["POST"]),
        ]

    async def listed(self, request: Request) -> Response:
        """The own list, searched or the latest; what is recommended; and the papers that Rung is made from."""
        query = request.query_params.get("q", "")[:300]
        start = max(0, int(request.query_params["from"][:9])) if request.query_params.get("from", "").isdecimal() else 0
        tag = request.query_params.get("tag", "")[:60]

        def look() -> dict[str, Any]:
            papers = self.store.everything()
            liked = recommend(papers)
            return {
                "found": self.store.search(query, tag=tag, most=start + _MOST + 1)[start:],
                "count": len(papers),
                "tags": self.store.tag_names(),
                "trending": self.store.trending(5),
                "recommended": liked,
            }

        try:
            known = await run_in_threadpool(look)
        except RungError as error:
            return page("missing.html", status=500, what=error.text)
        listed = [one for one in catalogue().values() if not one.context]
        words = query.casefold().split()
        ours = [
            one for one in listed if all(word in f"{one.title} {one.claim} {one.slug}".casefold() for word in words)
        ]
        more = len(known["found"]) > _MOST
        known["found"] = known["found"][:_MOST]
        after = f"/papers?{urlencode({'q': query, 'tag': tag, 'from': start + _MOST})}" if more else ""
        return page(
            "papers.html", query=query, tag=tag, ours=ours, all_ours=len(listed), after=after, start=start, **known
        )

    async def shown(self, request: Request) -> Response:
        """A paper of the own list."""
        number = request.path_params["number"]
        try:
            one = await run_in_threadpool(self.store.paper, number)
        except RungError as refused:
            return page("missing.html", status=404, what=refused.text)
        error = request.query_params.get("error", "")[:300]
        return page("paper.html", one=one, ours=_ours(one), error=error)

    async def change(self, request: Request) -> Response:
        """Tag a paper, take a tag away, vote, or keep a note."""
        number = request.path_params["number"]
        form = await form_of(request)
        try:
            await run_in_threadpool(self._change, number, form)
        except RungError as error:
            return RedirectResponse(f"/papers/{number}?{urlencode({'error': error.text})}", 303)
        return RedirectResponse(f"/papers/{number}", 303)

    def _change(self, number: int, form: dict[str, str]) -> None:
        if "tag" in form or "untag" in form:
            self.store.tag(number, form.get("tag") or form.get("untag", ""), remove="untag" in form)
        elif "vote" in form:
            self.store.vote(number, int(form["vote"]) if form["vote"] in {"-1", "0", "1"} else 9)
        elif "note" in form:
            self.store.note(number, form.get("note", ""))
        else:
            raise ReadingError("nothing was asked.")

    async def take(self, request: Request) -> Response:
        """Add the papers of a listing that was dropped."""
        parts: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > _LARGEST:
                    return JSONResponse({"error": f"the listing is larger than {_LARGEST // 1_000_000} MB."}, 413)
                parts.append(chunk)
        except ClientDisconnect:
            return Response(status_code=400)
        name = request.path_params["name"][:120]
        try:
            added = await run_in_threadpool(self._take, name, b"".join(parts))
        except RungError as error:
            return JSONResponse({"error": error.text}, 422)
        return JSONResponse(added, 201)

    def _take(self, name: str, content: bytes) -> dict[str, Any]:
        now = datetime.now(UTC)
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ReadingError(f"{name} is no text in UTF-8. Save the page as text.") from None
        found = read_text(text, name, now.date())
        added = self.store.add(found.entries, name, now.isoformat(timespec="seconds"))
        return {"said": f"{name}: {found.kind} of {added.papers} papers, {added.new} new.", "notes": list(found.notes)}

    async def feed(self, request: Request) -> Response:  # noqa: ARG002  # the same for everyone
        """The latest papers as a feed."""
        text = feed_of(await run_in_threadpool(self.store.everything), datetime.now(UTC).isoformat(timespec="seconds"))
        return Response(text, media_type="application/atom+xml; charset=utf-8")

    async def checked(self, request: Request) -> Response:
        """A paper that Rung is made from: its claim, and what was measured here."""
        paper = catalogue().get(request.path_params["slug"])
        if paper is None:
            return page("missing.html", status=404, what="There is no such paper.")
        key = self._key(paper)
        job = self.jobs.job(key)
        answer = self.jobs.kept(key)
        if answer is None and job is not None and job.future.done():
            answer = self.jobs.outcome(job)
        working = job is not None and not job.future.done()
        return page("checked.html", paper=paper, answer=answer, working=working, key=key)

    async def check(self, request: Request) -> Response:
        """Begin to check a paper's claims."""
        slug = request.path_params["slug"]
        try:
            paper = checked_paper(slug)
        except RungError as error:
            return page("missing.html", status=404, what=error.text)
        await self.jobs.wait(self.jobs.ask(self._key(paper), "check", {"slug": slug}), _PATIENCE_S)
        return RedirectResponse(f"/papers/of/{slug}", 303)

    def _key(self, paper: Paper) -> str:
        return self.workspace.key("check", paper.slug)


def _ours(one: Kept) -> Paper | None:
    """The paper that Rung is made from which this one is, if it is one."""
    for paper in catalogue().values():
        if one.entry.arxiv and paper.arxiv == one.entry.arxiv:
            return paper
    return None
