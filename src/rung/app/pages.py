"""The pages: every view is an address that holds its whole state, so that a link gives the view back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from rung.app.answers import fit_key
from rung.app.jobs import Jobs
from rung.app.questions import (
    MAPPED,
    QUESTIONS,
    ROWS,
    Question,
    at_its_field,
    command_of,
    errors_in,
    fields_of,
    given_of,
)
from rung.app.workspace import Workspace
from rung.errors import AppError, RungError
from rung.fitting import Fit, as_fit
from rung.forecasting import forecast
from rung.laws import find_law, law_book
from rung.report import TEMPLATES
from rung.units import format_count, parse_number

_PATIENCE_S = 0.7
"""How long a page waits for its answer before it is sent without [s]."""

_TICK_S = 0.2
"""How often progress is told [s]."""

_AT_ONCE = {"table", "select", "backtest"}
"""Questions that need nothing but a table, and so are answered without being asked."""

_TABS = [one for one in QUESTIONS.values() if one.table]


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
            if question.name == "compare":
                view.tables = (await run_in_threadpool(self.workspace.listed))[0]
            view.errors = errors_in(question, view.given)
            if view.asked and not view.errors:
                await self._answer(view)
        except RungError as error:
            view.refuse(error.text, getattr(error, "field", ""))
        return view.page()

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
            if not await self.jobs.wait(job, 10 * _PATIENCE_S):
                return []
            answer = self.jobs.outcome(job)
        # What cannot be read without corrections may be readable with those that are given.
        return list(answer.get("columns", []))

    async def take(self, request: Request) -> Response:
        """Keep a table that was dropped, and say where it is shown."""
        try:
            name = await self.workspace.take_upload(request.path_params["name"], request.stream())
        except RungError as error:
            return JSONResponse({"error": error.text}, 422)
        return JSONResponse({"address": f"/table?{urlencode({'table': name})}"}, 201)

    async def import_store(self, request: Request) -> Response:
        """Read a tracker's store, and show its table."""
        store = (await form_of(request)).get("store", "").strip()
        try:
            kind, _, place = store.partition(":")
            if not place:
                raise AppError(f"{store or 'nothing'}: write KIND:FOLDER, such as tensorboard:logs.")
            stamp = "" if place.startswith("http") else self.workspace.stamp(place)
            key = self.workspace.key("import", kind, stamp, store)
            job = self.jobs.ask(key, "import", {"store": store})
            while not await self.jobs.wait(job, 5):
                pass
            answer = self.jobs.outcome(job)
            if "error" in answer:
                raise AppError(str(answer["error"]))
        except RungError as error:
            return RedirectResponse(f"/?{urlencode({'error': error.text, 'store': store})}", 303)
        return RedirectResponse(f"/table?{urlencode({'table': answer['table'], 'imported': key})}", 303)

    async def law(self, request: Request) -> Response:
        """What a law says, or what is wrong with it and where."""
        text = request.query_params.get("law", "").strip()[:4000]
        try:
            found = find_law(text)
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
            fit = _kept_fit(str(self.workspace.fits / f"{key}.json"))
        except RungError:
            raise AppError("this fit is not made yet. Fit first.") from None
        inputs: dict[str, Any] = {}
        for name, text in sent.items():
            if name.startswith("at-") and text.strip():
                column = name.removeprefix("at-")
                inputs[column] = text if column in fit.groups else parse_number(text)
        found = forecast(fit, **inputs)
        shown = [f"{name} {value if isinstance(value, str) else format_count(value)}" for name, value in found.inputs.items()]  # fmt: skip
        return {
            "text": f"{', '.join(shown)}: {found.headline()}",
            **found.to_dict(),
            "warnings": [one.text for one in found.warnings],
        }

    async def events(self, request: Request) -> Response:
        """How far a question is, as server-sent events."""
        key = request.path_params["key"]

        async def told() -> AsyncIterator[str]:
            while True:
                job = self.jobs.job(key)
                if job is None or job.future.done():
                    yield (
                        'event: ended\ndata: {"cancelled": ' + ("true" if job and job.cancelled else "false") + "}\n\n"
                    )
                    return
                yield f"data: {json.dumps(self.jobs.progress(key))}\n\n"
                await asyncio.sleep(_TICK_S)

        return StreamingResponse(told(), media_type="text/event-stream", headers={"cache-control": "no-store"})

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


class View:
    """A question's page as far as it is known."""

    def __init__(
        self, workspace: Workspace, question: Question, sent: Mapping[str, str], given: Mapping[str, str]
    ) -> None:
        self.workspace = workspace
        self.question = question
        self.sent = sent
        self.given = given
        self.columns: list[str] = []
        self.errors: dict[str, str] = {}
        self.error = ""
        self.answer: dict[str, Any] | None = None
        self.key = ""
        self.working = False
        self.forecast: dict[str, Any] | None = None
        self.tables: list[str] = []

    @property
    def asked(self) -> bool:
        """Whether an answer is wanted, and not the form alone."""
        return self.question.name in _AT_ONCE or "ask" in self.sent

    def refuse(self, text: str, field: str = "") -> None:
        """Show an error at the field that it is about, or above the form."""
        place, words = at_its_field(self.question, text, self.given)
        place = field or place
        if place:
            self.errors[place] = words
        else:
            self.error = words

    def page(self) -> Response:
        """The page; one that says what is wrong has status 422."""
        kept = {
            name: text for name, text in self.given.items() if name not in {one.name for one in self.question.fields}
        }
        imported = self.sent.get("imported", "")
        return page(
            "question.html",
            status=422 if self.errors or self.error else 200,
            question=self.question,
            fields=fields_of(self.question),
            tabs=[(one, f"/{one.name}?{urlencode(kept)}") for one in _TABS],
            typed={name: text for name, text in self.sent.items() if name != "token"},
            given=self.given,
            columns=self.columns,
            mapped=MAPPED,
            errors=self.errors,
            error=self.error,
            answer=self.answer,
            working=self.working,
            forecast=self.forecast,
            tables=self.tables,
            row_names={one.name for one in ROWS},
            key=self.key,
            book=sorted(law_book()),
            command=command_of(self.question, self.given),
            name=_short(self.given.get("table", "")),
            imported=imported if imported.isalnum() else "",
            machines=_machines(),
        )


def _short(table: str) -> str:
    return table.rpartition("/")[2] if table.startswith("upload:") else table


@lru_cache
def _machines() -> tuple[str, ...]:
    from rung.planning.cost import hardware

    return tuple(hardware())


@lru_cache(64)
def _kept_fit(path: str) -> Fit:
    return as_fit(path)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that was sent."""
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))


@lru_cache
def _templates() -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader("rung.app"), FileSystemLoader(str(TEMPLATES))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(template: str, *, status: int = 200, **values: Any) -> Response:
    """A page of a template."""
    text = _templates().get_template(template).render(**values)
    return Response(text, status, media_type="text/html; charset=utf-8", headers={"cache-control": "no-store"})
