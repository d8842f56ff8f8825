"""What a page shows: a question's form with what was typed, what is wrong, and the answer; and pages from templates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from starlette.responses import Response

from rung.app.fields import MAPPED, ROWS
from rung.app.questions import QUESTIONS, Question, at_its_field, command_of, fields_of
from rung.app.workspace import Workspace
from rung.laws import law_book
from rung.report import TEMPLATES

_AT_ONCE = {"table", "select", "backtest"}
"""Questions that need nothing but a table, and so are answered without being asked."""

_TABS = [one for one in QUESTIONS.values() if one.table]


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
        self.imported: list[dict[str, Any]] = []

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
        return page(
            "question.html",
            status=422 if self.errors or self.error else 200,
            question=self.question,
            fields=fields_of(self.question, self.sent.get("law", "")),
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
            command=(self.answer or {}).get("command") or command_of(self.question, self.given),
            name=_short(self.given.get("table", "")),
            imported=self.imported,
            machines=_machines(),
        )


def _short(table: str) -> str:
    return table.rpartition("/")[2] if table.startswith("upload:") else table


@lru_cache
def _machines() -> tuple[str, ...]:
    from rung.planning.cost import hardware

    return tuple(hardware())


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
