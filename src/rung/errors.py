"""What Rung raises and what it cautions of: each message says what is wrong, where, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caution:
    """Something a user should know about a result, with a stable code for programs."""

    code: str
    text: str


class RungError(Exception):
    """The data or the wish cannot be served; the base of every error below."""


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
    """What a recipe is worth cannot be told: ladders too poor, or out of reach of one another."""


class LadderError(RungError):
    """A ladder cannot be read, checked or trained: a file, a size, a corpus, a folder or a launcher that does not serve."""


class ReportError(RungError):
    """A figure, a page or a result file cannot be written."""


class PapersError(RungError):
    """A paper cannot be checked: it is not known, or a published table that it needs is not there."""
