"""What Rung raises: each message says what is wrong, where, and what to do.

Messages are written once, with the options of the command line. Python reads them in its own words: `str(error)` turns
`--fix E=1.69` into `fix={"E": 1.69}`, and `error.text` keeps them as the command prints them.
"""

import re
from collections.abc import Callable

_NAME_VALUE = r"([\w\[\],./-]+)=([^\s,;:.)]+(?:\.\w[^\s,;:.)]*)?)"


def _mapping(match: re.Match[str]) -> str:
    return f'read_runs(..., {{"{match[1]}": "{match[2]}"}})'


_IN_PYTHON: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (rf"--map {_NAME_VALUE}", _mapping),
        (rf"--map '{_NAME_VALUE}'", _mapping),
        (rf"--fix {_NAME_VALUE}", lambda match: f'fix={{"{match[1]}": {match[2]}}}'),
        (rf"--(borrow|prior) {_NAME_VALUE}", lambda match: f'{match[1]}={{"{match[2]}": "{match[3]}"}}'),
        (r"--where (\"[^\"]*\"|'[^']*')", r".where(\1)"),
        (r"--drop-tokens auto", "drop_start(runs)"),
        (
            r"--(last|best-of|drop-duplicates|drop-nonfinite|where|drop-tokens)\b",
            lambda m: f".{m[1].replace('-', '_')}()",
        ),
        (r"rung fit RUNS -o ([\w<>-]+\.\w+)", r'rung.fit(runs).write("\1")'),
        (r"rung select RUNS -o ([\w<>-]+\.\w+)", r'rung.select(runs).write("\1")'),
        (r"\brung laws\b", "rung.law_book()"),
        (r"\brung (fit|select|backtest|allocate|forecast|compare|density|tune|cost)\b", r"rung.\1"),
        (r"\brung next\b", "rung.next_runs"),
        (
            r"--([a-z][a-z-]*) ([A-Z]{2,}|[-+]?\d[\w.+-]*\d|\d)",
            lambda match: f"{match[1].replace('-', '_')}={match[2]}",
        ),
        (r"--([a-z][a-z-]*)\b", lambda match: match[1].replace("-", "_")),
    )
)


def in_python(text: str) -> str:
    """A message of the command line in Python's words."""
    for pattern, replacement in _IN_PYTHON:
        text = pattern.sub(replacement, text)
    return text


class RungError(Exception):
    """The data or the request cannot be served; the base of every error below.

    Attributes:
        text: The message in the words of the command line; `str` gives it in Python's.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return in_python(self.text)


class FormulaError(RungError):
    """A formula or a law of the book cannot be read."""


class RunsError(RungError):
    """A table of runs cannot be read, or a row of it cannot be used."""


class FitError(RungError):
    """A law cannot be fitted to these runs."""


class ForecastError(RungError):
    """A forecast or an inversion cannot be made from this fit."""


class PlanError(RungError):
    """A plan cannot be made: a budget, a limit, a cost or a machine that does not serve."""


class WorthError(RungError):
    """What a recipe is worth cannot be estimated: too few runs in a ladder, or two ladders too far apart."""


class LadderError(RungError):
    """A ladder cannot be read, checked or trained: a file, a size, a corpus, a folder or a launcher that does not serve."""


class ReportError(RungError):
    """A figure, a page or a result file cannot be written."""


class PapersError(RungError):
    """A paper cannot be checked: it is not known, or a published table that it needs is not there."""


class AppError(RungError):
    """The local app cannot serve: a file outside its folders, an upload that is too large, an address that is taken.

    Attributes:
        field: The field of a form that it is about; empty where it is about none.
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class ReadingError(RungError):
    """A listing of papers cannot be read, or the list, its digest or its mail cannot be served."""


class ModelError(RungError):
    """A model cannot be read, changed or written: damaged or foreign files, tensors that do not match, a folder that is taken."""


class SkillError(RungError):
    """A question about skill cannot be answered: scores that cannot be used, too few models, items that do not match."""
