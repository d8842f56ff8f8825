"""What a reader must know to trust a scaling law, filled in from a fit.

Source: the questions of Li et al. 2025, (Mis)Fitting: a survey of scaling laws, arXiv:2502.18969.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rung.fitting import Fit
from rung.fitting.backtest import shown_scale
from rung.units import format_count, format_percent

if TYPE_CHECKING:
    from rung.forecasting import HeldOut
    from rung.runs import Runs

_ASKED = ("family", "corpus", "dataset", "tokenizer", "schedule", "optimizer", "lr", "batch_tokens", "seed")
"""Columns that say how runs were made."""


def checklist(fit: Fit, runs: Runs, held_out: HeldOut | None = None) -> list[tuple[str, str]]:
    """Questions and answers; an answer that the table cannot give says so."""
    counted = ", ".join(
        f"{name} from {format_count(low)} to {format_count(high)}" for name, (low, high) in fit.ranges.items()
    )
    read = ", ".join(f"{column} = {source}" for column, source in fit.mapping.items())
    known = [name for name in _ASKED if runs.has(name)]
    unknown = [name for name in _ASKED if not runs.has(name)]
    return [
        ("Which form?", f"{fit.target} = {fit.law.text}"),
        ("What do the variables count?", f"{read}; C = 6 N D where the table has no flops"),
        ("How many models, over which range?", f"{fit.runs} runs, {fit.rows} rows; {counted}"),
        (
            "How were they made?",
            (f"the table has {', '.join(known)}" if known else "the table does not say")
            + (f"; write down {', '.join(unknown)}" if unknown else ""),
        ),
        (
            "Which checkpoints?",
            (
                "one row for each run"
                if fit.rows == fit.runs
                else f"{fit.rows / fit.runs:.1f} rows for each run, resampled and tested by run"
            )
            + "".join(f"; {note}" for note in runs.notes),
        ),
        (
            "Which objective?",
            f"{fit.objective.name}"
            + (f", delta {fit.objective.delta:g}" if fit.objective.delta else "")
            + ", summed over rows",
        ),
        (
            "Which optimiser, from where?",
            f"Levenberg-Marquardt from {fit.starts_tried} starts, of which {fit.starts_agreed} agree on the best; {fit.status.replace('_', ' ')}",
        ),
        (
            "How sure?",
            f"{100 * fit.level:g} % intervals by {fit.interval}"
            + (
                f", standard errors from {len(fit.draws)} refits"
                if fit.interval == "bootstrap" or len(fit.draws)
                else ""
            ),
        ),
        ("How wrong on larger scales?", _validated(fit, held_out)),
        (
            "What speaks against it?",
            ", ".join(dict.fromkeys(finding.code for finding in fit.warnings)) or "nothing was found",
        ),
        ("Can it be made again?", f"seed {fit.seed}, Rung {fit.version}, data {fit.data_digest[:23]}"),
    ]


def _validated(fit: Fit, held_out: HeldOut | None) -> str:
    answers = []
    if held_out is not None:
        answers.append(
            f"{len(held_out.points)} rows held out: mean error {format_percent(held_out.mean_error)}, {held_out.inside} inside"
        )
    if fit.backtest is not None:
        answers.append(
            f"{len(fit.backtest.cuts)} backtests along {shown_scale(fit.backtest.along, fit.backtest.column)}: error {format_percent(fit.backtest.error)}, bias "
            f"{format_percent(fit.backtest.bias, signed=True)}"
        )
    return "; ".join(answers) or "not tested in this fit to hold any out"
