"""Learning curves: forecasts of the ends of runs under way, on planted curves whose end a decaying rate lowers."""

from dataclasses import replace

import numpy as np
import pytest

from rung.ladder.curves import FEWEST, MOST_POINTS, Curve, Curves, _corrected, _end, _thinned
from rung.report import render_figure

DROP = 0.96


def curve(seed, scale=1.0, whole=1e8, *, done=True, share=1.0):
    """A run whose loss is a power law of its tokens over nine tenths of it, and a share lower at its end."""
    rng = np.random.default_rng(seed)
    tokens = np.linspace(0.05, 0.9, 18) * whole
    losses = scale * (1.5 + 30.0 / tokens**0.2) * np.exp(0.002 * rng.standard_normal(len(tokens)))
    end = DROP * scale * (1.5 + 30.0 / whole**0.2) * np.exp(0.002 * rng.standard_normal())
    if done:
        tokens, losses = np.append(tokens, whole), np.append(losses, end)
    kept = tokens <= share * whole
    found, interval, note = (
        (end, (None, None), "")
        if done
        else _end(tuple(tokens[kept].tolist()), tuple(losses[kept].tolist()), whole, 0.9)
    )
    return Curve(
        run=f"r{seed}", status="done" if done else "running", reason="", params=1e6 * scale, whole=whole,
        tokens=tuple(tokens[kept]), losses=tuple(losses[kept]), end=found, interval=interval, note=note,
    ), float(end)  # fmt: skip


def test_a_law_of_its_own_tokens_forecasts_an_end_without_decay():
    tokens = np.linspace(1e6, 5e7, 12)
    found, (low, high), _ = _end(tuple(tokens), tuple(1.5 + 30.0 / tokens**0.2), 1e8, 0.9)
    assert found == pytest.approx(1.5 + 30.0 / 1e8**0.2, rel=2e-3)
    assert low is None or low <= found <= high


def test_finished_runs_correct_what_decay_lowers():
    finished = [curve(seed, scale)[0] for seed, scale in ((1, 1.1), (2, 1.0), (3, 0.9))]
    inside = 0
    for seed in range(10, 20):
        running, truth = curve(seed, 0.8, done=False, share=0.5)
        plain = running.end
        found = _corrected(running, finished, 0.9)
        assert plain > 1.03 * truth
        assert found.end == pytest.approx(truth, rel=0.02)
        inside += found.interval[0] <= truth <= found.interval[1]
    assert inside >= 8


def test_the_interval_holds_the_end_when_runs_end_differently():
    """How far decay lowers an end differs by 2 % between runs, which is more than a run's own law leaves open."""
    rng = np.random.default_rng(5)
    inside = 0
    for repeat in range(40):
        drops = DROP * np.exp(0.02 * rng.standard_normal(4))
        finished = []
        for index, drop in enumerate(drops[:3]):
            one, end = curve(100 * repeat + index, 1.0 + 0.1 * index)
            finished.append(replace(one, end=end * drop / DROP, losses=(*one.losses[:-1], end * drop / DROP)))
        running, end = curve(100 * repeat + 50, 0.8, done=False, share=0.5)
        low, high = _corrected(running, finished, 0.9).interval
        inside += low <= end * drops[3] / DROP <= high
    # Of 40 intervals of 90 %, 32 to 39 hold the end in 97 of 100 such tests.
    assert 32 <= inside <= 39


def test_one_finished_run_shifts_and_widens_and_none_changes_nothing():
    running, truth = curve(10, 0.8, done=False, share=0.5)
    assert _corrected(running, [], 0.9) is running
    found = _corrected(running, [curve(1)[0]], 0.9)
    assert found.interval[0] < truth < found.interval[1]
    assert np.log(found.interval[1] / found.interval[0]) > np.log(running.interval[1] / running.interval[0])


def test_too_few_evaluations_are_said():
    tokens = [1e6 * (index + 1) for index in range(FEWEST - 1)]
    assert _end(tuple(tokens), (2.0,) * len(tokens), 1e8, 0.9) == (None, (None, None), f"after {FEWEST} evaluations")


def test_long_curves_are_thinned_with_both_ends():
    tokens = list(np.linspace(1e3, 1e9, 200_000))
    kept = _thinned(tokens)
    assert len(kept) <= MOST_POINTS
    assert (kept[0], kept[-1]) == (0, len(tokens) - 1)


def test_the_figure_and_the_table_tell_what_is_known():
    running = curve(10, 0.8, done=False, share=0.5)[0]
    failed = replace(running, run="f", status="failed", reason="the loss is nan")
    planned = replace(
        running, run="p", status="planned", tokens=(), losses=(), end=None, interval=(None, None), note=""
    )
    made = Curves(curves=(curve(1)[0], running, failed, planned), level=0.9, ended=1)
    text = made.summary()
    assert "1 finished run of this ladder" in text
    assert "f: the loss is nan" in text
    assert made.headline() == "4 runs: 1 done, 1 running, 1 failed, 1 planned"
    svg = render_figure(made, "svg").decode()
    assert "r10" in svg
    assert "tokens D" in svg
    assert render_figure(Curves(curves=(planned,), level=0.9), "svg")
