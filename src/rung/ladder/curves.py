"""Learning curves of a ladder's runs, with a forecast of the end of each that is still under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rung.errors import LadderError, RungError
from rung.fitting import fit
from rung.fitting.uncertainty import student_quantile
from rung.forecasting import Interval, forecast
from rung.messages import counted
from rung.results import Result, Summary, Table, plain_fields
from rung.units import format_count, format_interval, format_value

if TYPE_CHECKING:
    from rung.ladder.training import RunFolder

FEWEST = 6
"""Evaluations after the start of a run that a forecast of its end needs."""

_START = 0.1
"""Share of a run that counts as its start: warm-up and the first fall of the loss obey no power law."""

MOST_POINTS = 400
"""Points of a curve that are kept, evenly spaced in the logarithm of tokens; more are thinned to these."""

_LAW = "E + A / D^alpha with alpha in (0, 2), E >= 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The learning curve of one run.

    Attributes:
        run: Name of the run.
        status: planned, running, stopped, done, failed or damaged.
        reason: Why it failed; empty otherwise.
        params: Parameters N, as its family counts them; 0 of a damaged run.
        whole: Tokens that it is to see in all.
        tokens: Tokens at each evaluation (n,).
        losses: Held-out loss at each evaluation [nats per token] (n,).
        end: The loss that its end is forecast at; that which was measured where it is done; None without.
        interval: The interval of the forecast.
        note: Why there is no forecast.
    """

    run: str
    status: str
    reason: str
    params: float
    whole: float
    tokens: tuple[float, ...]
    losses: tuple[float, ...]
    end: float | None
    interval: Interval
    note: str

    @property
    def share(self) -> float:
        """How much of the run is done, by tokens."""
        return self.tokens[-1] / self.whole if self.tokens and self.whole else 0.0

    def to_dict(self) -> dict[str, object]:
        """The curve as plain values."""
        return plain_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves(Result):
    """Learning curves of the runs of a ladder.

    Attributes:
        curves: The runs.
        level: Coverage of the intervals.
        ended: Finished runs that corrected the forecasts.
    """

    curves: tuple[Curve, ...]
    level: float
    ended: int = 0

    def headline(self) -> str:
        states = [one.status for one in self.curves]
        known = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        return f"{len(self.curves)} runs: {known}"

    def describe(self) -> Summary:
        rows = [
            [
                one.run,
                one.status,
                f"{100 * one.share:.0f} %",
                format_count(one.params),
                format_value(one.losses[-1]) if one.losses else "-",
                format_value(one.end) if one.end is not None else one.note or "-",
                "measured" if one.status == "done" else format_interval(*one.interval),
            ]
            for one in self.curves
        ]
        header = ["run", "status", "done", "params", "loss", "at its end", f"{100 * self.level:g} % interval"]
        failed = [f"{one.run}: {one.reason}" for one in self.curves if one.reason]
        note = "The end of a run is forecast by a power law of its own tokens, " + (
            f"corrected by how {counted(self.ended, 'finished run')} of this ladder ended beside what it said at the same share."
            if self.ended
            else "which does not know how far a learning rate that decays lowers it; finished runs of the ladder will correct it."
        )
        return Summary([Table(header, rows), *failed, note])

    def to_dict(self) -> dict[str, object]:
        """The curves as plain values."""
        return {"level": self.level, "ended": self.ended, "runs": [one.to_dict() for one in self.curves]}


def learning_curves(folders: Sequence[RunFolder], *, level: float = 0.9) -> Curves:
    """The learning curves of runs, with a forecast of the end of each that is not done.

    Args:
        folders: The folders of the runs; a damaged one has no points.
        level: Coverage of the intervals.
    """
    curves = [_curve(folder, level) for folder in folders]
    finished = [one for one in curves if one.status == "done" and one.end is not None]
    under_way = [one for one in curves if one.status != "done" and one.end is not None]
    return Curves(
        curves=tuple(_corrected(one, finished, level) if one in under_way else one for one in curves),
        level=level,
        ended=len(finished) if under_way else 0,
    )


def _corrected(curve: Curve, finished: Sequence[Curve], level: float) -> Curve:
    """A forecast of an end, corrected by the ends of finished runs beside what the law said of them at the same share.

    The mean of the logarithms of these ratios shifts the forecast. Their prediction interval widens its own; where one run alone
    has ended, as much as it shifts.
    """
    ratios = [ratio for one in finished if (ratio := _missed(one, curve.share, level)) is not None]
    if not ratios or curve.end is None:
        return curve
    count, shift = len(ratios), float(np.mean(ratios))
    reach = abs(shift)
    if count > 1:
        reach = student_quantile((1 + level) / 2, count - 1) * float(np.std(ratios, ddof=1)) * np.sqrt(1 + 1 / count)
    end = curve.end * float(np.exp(shift))
    low, high = (
        None if bound is None else end * float(np.exp(side * np.hypot(np.log(bound / curve.end), reach)))
        for side, bound in zip((-1, 1), curve.interval, strict=True)
    )
    return replace(curve, end=end, interval=(low, high))


def _missed(finished: Curve, share: float, level: float) -> float | None:
    """The logarithm of a finished run's end over what the law said of it at a share of it; None where it said nothing."""
    seen = [
        (at, loss) for at, loss in zip(finished.tokens, finished.losses, strict=True) if at <= share * finished.whole
    ]
    said, _, _ = _end(tuple(at for at, _ in seen), tuple(loss for _, loss in seen), finished.whole, level)
    return None if said is None or finished.end is None else float(np.log(finished.end / said))


def _curve(folder: RunFolder, level: float) -> Curve:
    try:
        rung, lines, status, state = folder.rung(), folder.metrics(), folder.status, folder.state()
    except LadderError as error:
        return Curve(
            run=folder.path.name, status="damaged", reason=error.text, params=0.0, whole=0.0, tokens=(), losses=(),
            end=None, interval=(None, None), note="",
        )  # fmt: skip
    pairs = [
        (float(line["tokens"]), float(line["evaluation"]["loss"]))
        for line in lines
        if "loss" in line.get("evaluation", {}) and line["tokens"] > 0
    ]
    points = {tokens: loss for tokens, loss in pairs if np.isfinite(loss)}
    whole, tokens, losses = float(rung.tokens), list(points), list(points.values())
    end: float | None = None
    interval: Interval = (None, None)
    note = ""
    if status == "done":
        end = losses[-1] if losses else None
    else:
        end, interval, note = _end(tuple(tokens), tuple(losses), whole, level)
    kept = _thinned(tokens)
    return Curve(
        run=rung.name,
        status=status,
        reason=str(state.get("reason") or "") if status == "failed" else "",
        params=float(rung.params),
        whole=whole,
        tokens=tuple(tokens[index] for index in kept),
        losses=tuple(losses[index] for index in kept),
        end=end,
        interval=interval,
        note=note,
    )


@lru_cache(maxsize=4096)
def _end(
    tokens: tuple[float, ...], losses: tuple[float, ...], whole: float, level: float
) -> tuple[float | None, Interval, str]:
    """The loss at the end of a run, with its interval; or why there is none. Kept: a ladder that is watched asks for it again and again."""
    rows = [(at, loss) for at, loss in zip(tokens, losses, strict=True) if at >= _START * tokens[-1]] if tokens else []
    if len(rows) < FEWEST:
        return None, (None, None), f"after {FEWEST} evaluations"
    frame = pl.DataFrame({"tokens": [at for at, _ in rows], "loss": [loss for _, loss in rows]})
    try:
        found = forecast(fit(frame, _LAW, level=level, effort="quick"), D=max(whole, tokens[-1]))
    except RungError as error:
        return None, (None, None), f"no power law: {error.text.partition('.')[0]}"
    return found.value, found.run_interval, ""


def _thinned(tokens: list[float]) -> list[int]:
    """The points of a curve that are kept."""
    if len(tokens) <= MOST_POINTS:
        return list(range(len(tokens)))
    wanted = np.geomspace(tokens[0], tokens[-1], MOST_POINTS)
    return sorted({int(index) for index in np.searchsorted(tokens, wanted).clip(0, len(tokens) - 1)})
