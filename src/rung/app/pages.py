"""The pages: every view is an address that holds its whole state, so that a link gives the view back."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from rung.app.given import fit_key
from rung.app.importing import import_key, imported_page
from rung.app.jobs import Jobs
from rung.app.questions import QUESTIONS, errors_in, given_of
from rung.app.view import View, page
from rung.app.workspace import Workspace
from rung.errors import AppError, RungError
from rung.fitting import as_fit
from rung.forecasting import Forecast, Forecaster
from rung.laws import find_law
from rung.units import format_count, parse_number

_PATIENCE_S = 0.7
"""How long a page waits for its answer before it is sent without [s]."""

_LARGEST_FORM = 200_000
"""Largest form that is read [bytes]."""

_COLUMNS_S = 1.5
"""How long a form waits for the names of its table's columns [s]."""

_IMPORT_S = 30
"""How long a page waits for a store to be read [s]; it is read on, and asking again finds it."""

_TICK_S = 0.2
"""How often progress is told [s]."""


class Pages:
    """The handlers of all pages but those of ladders and papers."""

    def __init__(self, workspace: Workspace, jobs: Jobs) -> None:
        self.workspace = workspace
        self.jobs = jobs

    def routes(self) -> list[Route]:
        """Every address, and what answers it."""
        return [
            Route("/", self.home),
            *(Route(f"/{name}", self.question, name=name) for name in QUESTIONS),
            Route("/tables/{name}", self.take, methods=["PUT"]),
            Route("/import", self.import_store, methods=["POST"]),
            Route("/law", self.law),
            Route("/at", self.at),
            Route("/jobs/{key}/events", self.events),
            Route("/jobs/{key}/cancel", self.cancel, methods=["POST"]),
            Route("/answers/{key}/{name}", self.download),
        ]

    async def home(self, request: Request) -> Response:
        """What can be opened: dropped tables, files of the folders, stores and ladders."""
        tables, ladders = await run_in_threadpool(self.workspace.listed)
        return page(
            "home.html",
            tables=tables,
            ladders=ladders,
            folders=list(map(str, self.workspace.folders)),
            error=request.query_params.get("error", "")[:500],
            typed=request.query_params.get("store", "")[:200],
        )

    async def question(self, request: Request) -> Response:
        """A question: its form, and its answer where it was asked."""
        question = QUESTIONS[request.url.path.strip("/")]
        sent = dict(request.query_params)
        view = View(self.workspace, question, sent, given_of(question, sent))
        if question.table and "table" not in view.given:
            return RedirectResponse("/", 303)
        try:
            if question.table:
                view.columns = await self._columns(view.given)
            if question.name == "table" and self._imported_key(sent):
                view.imported = (self.jobs.kept(self._imported_key(sent)) or {}).get("sections", [])
            if question.name == "compare":
                view.tables = (await run_in_threadpool(self.workspace.listed))[0]
            view.errors = errors_in(question, view.given, view.columns)
            if view.asked and not view.errors:
                await self._answer(view)
        except RungError as error:
            view.refuse(error.text, getattr(error, "field", ""))
        return view.page()

    @staticmethod
    def _imported_key(sent: Mapping[str, str]) -> str:
        """The answer that tells how a table was imported; empty where none is named."""
        key = sent.get("imported", "")
        return key if re.fullmatch(r"[0-9a-f]{24}", key) else ""

    async def _answer(self, view: View) -> None:
        """Answer a question, or leave it at work.

        Raises:
            RungError: It cannot be answered.
        """
        given = view.given
        stamp = [self.workspace.stamp(given[name]) for name in ("table", "other") if given.get(name)]
        view.key = key = self.workspace.key(view.question.name, stamp, sorted(given.items()))
        answer = self.jobs.kept(key)
        if answer is None:
            job = self.jobs.ask(key, view.question.name, given)
            if not await self.jobs.wait(job, _PATIENCE_S):
                view.working = True
                return
            answer = self.jobs.outcome(job)
        if "error" in answer:
            raise AppError(str(answer["error"]), str(answer.get("field", "")))
        view.answer = answer
        if view.question.name == "fit" and any(name.startswith("at-") for name in view.sent):
            try:
                view.forecast = await run_in_threadpool(self._forecast, view.sent, given)
            except RungError as error:
                view.forecast = {"error": error.text}

    async def _columns(self, given: Mapping[str, str]) -> list[str]:
        """The columns of a table, for the forms; read once for each state of its file.

        Raises:
            RungError: The table cannot be read.
        """
        self.workspace.path_of(given["table"])
        read = {"table": given["table"]}
        key = self.workspace.key("table", [self.workspace.stamp(given["table"])], sorted(read.items()))
        answer = self.jobs.kept(key)
        if answer is None:
            job = self.jobs.ask(key, "table", read)
            if not await self.jobs.wait(job, _COLUMNS_S):
                return []
            answer = self.jobs.outcome(job)
        # What cannot be read without corrections may be readable with those that are given.
        return list(answer.get("columns", []))

    async def take(self, request: Request) -> Response:
        """Keep a table that was dropped, and say where it is shown."""
        try:
            name = await self.workspace.take_upload(request.path_params["name"], request.stream())
        except ClientDisconnect:
            return Response(status_code=400)
        except RungError as error:
            return JSONResponse({"error": error.text}, 422)
        return JSONResponse({"address": f"/table?{urlencode({'table': name})}"}, 201)

    async def import_store(self, request: Request) -> Response:
        """Read a tracker's store, and show its table."""
        store = (await form_of(request)).get("store", "").strip()
        try:
            key = import_key(store, self.workspace)
            job = self.jobs.ask(key, "import", {"store": store})
            if not await self.jobs.wait(job, _IMPORT_S):
                raise AppError(f"{store} is still being read. Ask again in a moment.")
            answer = self.jobs.outcome(job)
            if "error" in answer:
                raise AppError(str(answer["error"]))
        except RungError as error:
            return RedirectResponse(f"/?{urlencode({'error': error.text, 'store': store})}", 303)
        return RedirectResponse(imported_page(answer["table"], key), 303)

    async def law(self, request: Request) -> Response:
        """What a law says, or what is wrong with it and where."""
        text = request.query_params.get("law", "").strip()[:4000]
        given = {"table": request.query_params.get("table", "")}
        try:
            found = find_law(text, await self._columns(given) if given["table"] else ())
        except RungError as error:
            place = re.search(r", column (\d+):", error.text)
            below = f"{text}\n{' ' * (int(place[1]) - 1)}^" if place else ""
            return JSONResponse({"error": error.text, "below": below})
        return JSONResponse({"law": found.text, "coefficients": list(found.coefficient_names)})

    async def at(self, request: Request) -> Response:
        """The forecast of a run, of a fit that was made."""
        sent = dict(request.query_params)
        given = given_of(QUESTIONS["fit"], sent)
        try:
            return JSONResponse(await run_in_threadpool(self._forecast, sent, given))
        except RungError as error:
            return JSONResponse({"error": error.text}, 422)

    def _forecast(self, sent: Mapping[str, str], given: Mapping[str, str]) -> dict[str, Any]:
        key = fit_key(given, self.workspace)
        try:
            kept = _kept_fit(str(self.workspace.fits / f"{key}.json"))
        except RungError:
            raise AppError("this fit is not made yet. Fit first.") from None
        inputs: dict[str, Any] = {}
        for name, text in sent.items():
            if name.startswith("at-") and text.strip():
                column = name.removeprefix("at-")
                if column in {"self", "bounds"}:
                    raise AppError(f"{column!r} is no variable of the law.")
                inputs[column] = text if column in kept.forecaster.fit.groups else parse_number(text)
        found = kept.at(inputs)
        shown = [f"{name} {value if isinstance(value, str) else format_count(value)}" for name, value in found.inputs.items()]  # fmt: skip
        return {
            "text": f"{', '.join(shown)}: {found.headline()}",
            **{name: _finite(value) for name, value in found.to_dict().items()},
            "warnings": [one.text for one in found.warnings],
        }

    async def events(self, request: Request) -> Response:
        """How far a question is, as server-sent events."""
        key = request.path_params["key"]

        async def stream() -> AsyncIterator[str]:
            while True:
                job = self.jobs.job(key)
                if job is None or job.future.done():
                    yield (
                        'event: ended\ndata: {"cancelled": ' + ("true" if job and job.cancelled else "false") + "}\n\n"
                    )
                    return
                yield f"data: {json.dumps(self.jobs.progress(key))}\n\n"
                await asyncio.sleep(_TICK_S)

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def cancel(self, request: Request) -> Response:
        """Give a question up."""
        return JSONResponse({"cancelled": self.jobs.cancel(request.path_params["key"])})

    async def download(self, request: Request) -> Response:
        """A file of an answer."""
        answer = self.jobs.kept(request.path_params["key"]) if request.path_params["key"].isalnum() else None
        name = request.path_params["name"]
        text = (answer or {}).get("files", {}).get(name)
        if text is None:
            return page("missing.html", status=404, what="There is no such file. Ask the question again.")
        kinds = {"json": "application/json", "csv": "text/csv", "html": "text/html", "toml": "text/plain"}
        kind = kinds.get(name.rpartition(".")[2], "text/plain")
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(text, media_type=f"{kind}; charset=utf-8", headers=headers)


class _KeptFit:
    """A fit that people ask, one at a time."""

    def __init__(self, path: str) -> None:
        self.forecaster = Forecaster.of(as_fit(path))
        self._lock = Lock()

    def at(self, inputs: Mapping[str, Any]) -> Forecast:
        """The forecast of a run."""
        with self._lock:
            return self.forecaster.at(**inputs)


@lru_cache(64)
def _kept_fit(path: str) -> _KeptFit:
    return _KeptFit(path)


def _finite(value: Any) -> Any:
    """A value without numbers that JSON does not know."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that was sent; none of one that was broken off or is too large."""
    content = b""
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > _LARGEST_FORM:
                return {}
    except ClientDisconnect:
        return {}
    return dict(parse_qsl(content.decode("utf-8", "replace").replace("\0", ""), keep_blank_values=True))
