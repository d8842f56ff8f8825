"""Avram et al. 2021, arXiv:2112.12650: students that learn from teachers are loyal to them, and measures of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rung.models import Measuring, measure
from rung.papers.claims import FORM, SMALLER, Claim
from rung.papers.tables import Tables
from rung.papers.trained import finished_runs, one_thread, rungs_of, write_texts
from rung.treat import Teaching, loyalty_of_models, probability_loyalty, teach

_SEEDS = (0, 1, 2)
_FAMILY: dict[str, Any] = {"name": "llama", "context": 64, "head_width": 8, "rope_base": 100.0}
_TEACHER: dict[str, Any] = {
    "family": _FAMILY,
    "corpus": {"name": "python"},
    "rung": [{"depth": 2, "width": 32, "tokens": 1.5e6}],
}


def check(tables: Tables) -> list[Claim]:
    """The measures on cases whose answer is known, and students of a small teacher of real text beside controls."""
    del tables
    with one_thread():
        return [_measures(), *_students()]


def _measures() -> Claim:
    apart = np.eye(2)
    found = [
        float(probability_loyalty(apart, other, base=base)[0])
        for other, base in ((apart, "2"), (apart[::-1], "2"), (apart[::-1], "e"))
    ]
    return Claim(
        what="probability loyalty is 1 to oneself, and 0 between sure and opposite choices: 0.167 where logarithms are natural",
        asked="1, 0, 0.167",
        measured=", ".join(f"{value:.3f}" for value in found),
        scale=FORM,
        held=np.allclose(found, [1.0, 0.0, 1 - np.sqrt(np.log(2))], atol=1e-9),
    )


def _students() -> list[Claim]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (teacher,) = finished_runs("teacher", _TEACHER, folder)
        seen, held = write_texts(rungs_of("teacher", _TEACHER)[0], folder, 1_000_000)
        teach([teacher], folder / "taught", Teaching(data=(seen,), context=64, one_in=10))
        found = {soft: _trained(folder, teacher, held, soft) for soft in (0.0, 0.5)}
    loyal, losses, errors = (
        {soft: side for soft, (side, _, _) in found.items()},
        *({soft: one[at] for soft, one in found.items()} for at in (1, 2)),
    )
    claims = []
    for kind in ("label", "probability"):
        control, student = (np.array([one[kind][0] for one in loyal[soft]]) for soft in (0.0, 0.5))
        claims.append(
            Claim(
                what=f"a student is more loyal to its teacher by {kind} than a control of its size, data and seed",
                asked="on every seed",
                measured=", ".join(f"{a:.4f} against {b:.4f}" for a, b in zip(student, control, strict=True)),
                scale=SMALLER,
                held=bool((student > control).all()),
            )
        )
    gains = np.array(losses[0.5]) - np.array(losses[0.0])
    return [
        *claims,
        Claim(
            what="the student's loss on held-out text is not above its control's",
            asked="by more than a standard error over documents, on any seed",
            measured=", ".join(
                f"{gain:+.4f} nats per byte (error {error:.4f})" for gain, error in zip(gains, errors[0.5], strict=True)
            ),
            scale=SMALLER,
            held=bool((gains <= np.array(errors[0.5])).all()),
        ),
    ]


def _trained(folder: Path, teacher: Path, held: str, soft: float) -> tuple[list[Any], list[float], list[float]]:
    """Of students of each seed: their loyalty, their losses, and the errors of these."""
    content = {
        "family": _FAMILY,
        "corpus": {"name": "teacher", "path": str(folder / "taught")},
        "recipe": {"soft": soft},
        "rung": [{"depth": 1, "width": 16, "tokens": 6e5, "seeds": list(_SEEDS)}],
    }
    runs = finished_runs(f"students-{soft}", content, folder)
    loyal = [loyalty_of_models(teacher, run, (held,), windows=48).found for run in runs]
    measured = [one.loss for one in measure(runs, Measuring(data=(held,), stride=64)).models]
    return loyal, [one.value for one in measured if one], [one.se or 0.0 for one in measured if one]
