"""Coefficients of groups: sums by level and arrow-shaped systems give what the dense ones give."""

import numpy as np
import pytest

import rung
from rung.fitting.estimate.bounded_step import Arrow, solve_within
from rung.laws import DenseDerivatives, compile_tape, find_law, workspace

ROWS = 60


@pytest.mark.parametrize(
    "formula",
    [
        "E[g] + A / N^alpha",
        "E[g] + A[g] / N^alpha[g]",
        "E[g] + A / N^alpha[h]",
        "A[g] / N^alpha + B[h] / N^beta[h] + E",
    ],
)
def test_sums_by_level_are_those_over_all_rows(formula):
    rng = np.random.default_rng(3)
    law = find_law(formula)
    levels = {group: count for group, count in (("g", 7), ("h", 3)) if group in law.groups}
    tape = compile_tape(law.computed, law.coefficients, positive={"N": True}, levels=levels, residual="log")
    groups = {group: rng.integers(0, count, ROWS) for group, count in levels.items()}
    space = workspace(tape, {"N": np.exp(rng.uniform(10, 20, ROWS))}, groups, ROWS, 4)
    points = rng.normal(0, 0.3, (4, tape.size))
    psi, curve, scaling = (rng.uniform(0.1, 1, (4, ROWS)) for _ in range(3))
    whole, jacobian = space.evaluate(points)
    wanted = DenseDerivatives(jacobian.copy()).sums(psi, curve, scaling)
    whole = whole.copy()
    prediction, derivatives = space.linearise(points)
    assert np.array_equal(prediction, whole)
    for found, want in zip(derivatives.sums(psi, curve, scaling), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("limit", [np.inf, 0.3])
def test_an_arrow_is_solved_as_a_dense_system(width, limit):
    rng = np.random.default_rng(5)
    levels = np.arange(20 * width).reshape(width, 20).T + 1
    shared = np.setdiff1d(np.arange(20 * width + 3), levels)
    arrow = Arrow(levels=levels, shared=shared)
    jacobian = np.zeros((2, 400, 20 * width + 3))
    jacobian[:, :, shared] = rng.normal(size=(2, 400, len(shared)))
    code = rng.integers(0, 20, 400)
    for part in range(width):
        jacobian[:, np.arange(400), levels[code, part]] = rng.normal(size=(2, 400))
    matrices = jacobian.transpose(0, 2, 1) @ jacobian
    right = rng.normal(size=matrices.shape[:2])
    limits = np.full(right.shape, limit)
    np.testing.assert_allclose(
        solve_within(matrices, right, limits, arrow), solve_within(matrices, right, limits), rtol=1e-8, atol=1e-11
    )


def test_many_levels_end_where_few_fits_alone_end():
    rng = np.random.default_rng(0)
    params = np.tile(np.geomspace(1e7, 1e10, 12), 30)
    family = np.repeat(np.arange(30), 12)
    floors = rng.uniform(1.5, 2.5, 30)
    loss = (floors[family] + 300 / params**0.3) * np.exp(0.002 * rng.standard_normal(len(params)))
    import polars as pl

    frame = pl.DataFrame({"params": params, "family": family, "loss": loss})
    fit = rung.fit(frame, "E[family] + A / N^alpha", effort="quick")
    assert fit.values["alpha"] == pytest.approx(0.3, rel=0.05)
    found = np.array([fit.values[f"E[{one}]"] for one in range(30)])
    assert np.max(np.abs(found - floors)) < 0.05
