"""Learning curves as a verb: planted exponents, the size that data need, and improvements that shift or bend."""

import json

import numpy as np
import polars as pl
import pytest

from rung.errors import SkillError
from rung.skill import data_curves


def sweep(seed=0, *, level=2.5, beta=0.3, floor=0.05):
    """Five sizes at each amount of data about the best, which is 3 m^0.7."""
    rng = np.random.default_rng(seed)
    rows = []
    for m in np.geomspace(2**6, 2**18, 13):
        for share in (0.2, 0.5, 1, 2, 5):
            error = (level * m**-beta + floor) * (1 + 0.05 * np.log(share) ** 2) * np.exp(0.003 * rng.standard_normal())
            rows.append((m, 3 * m**0.7 * share, min(error, 0.9)))
    return pl.DataFrame(rows, schema=["tokens", "params", "loss"], orient="row")


def test_exponent_floor_and_size_law_are_those_planted():
    (found,) = data_curves(sweep(), reach=0.1).curves
    beta = found.fit.coefficients["beta"]
    assert beta.low < 0.3 < beta.high
    assert found.floor
    assert found.size_law[1] == pytest.approx(0.7, abs=0.03)
    assert found.needed == pytest.approx((2.5 / 0.05) ** (1 / 0.3), rel=0.2)


def test_a_target_below_the_floor_needs_no_number():
    assert data_curves(sweep(), reach=0.04).curves[0].needed is None


@pytest.mark.parametrize(("change", "said"), [({"level": 2.0}, "shifts the error to 0.8"), ({"beta": 0.42}, "changes the exponent by +0.1")])  # fmt: skip
def test_a_shift_is_told_from_a_change_of_exponent(change, said):
    both = [rows.with_columns(recipe=pl.lit(name)) for name, rows in (("old", sweep()), ("new", sweep(1, **change)))]
    assert said in data_curves(pl.concat(both), by="recipe").shift()


def test_the_command_writes_what_it_prints_and_refuses_few_amounts(tmp_path, command):
    sweep().write_csv(tmp_path / "runs.csv")
    done = command("skill", "learning-curve", "runs.csv", "--reach", "0.1", "--json", "-o", "c.csv")
    assert json.loads(done.stdout)["curves"][0]["region"][1] == pytest.approx(2**18)
    assert pl.read_csv(tmp_path / "c.csv").height == 13
    few = command("skill", "learning-curve", "runs.csv", "--where", "tokens < 200")
    assert (few.returncode, "5 amounts of data or more" in few.stderr) == (1, True)
    with pytest.raises(SkillError, match="no column 'error'"):
        data_curves(sweep(), target="error")


def test_rows_with_gaps_are_named():
    torn = sweep().with_columns(loss=pl.when(pl.int_range(pl.len()) != 7).then(pl.col("loss")))
    assert "1 row without a usable number for tokens and loss" in data_curves(torn).warnings[0].text


def test_a_curve_that_bends_little_by_little_ends_the_region():
    """Many amounts of data, and a slope that steepens without a jump: each next point lies near the law of those above it."""
    rng = np.random.default_rng(0)
    m = np.geomspace(16, 2e5, 110)
    error = 0.7 * (1 + (m / 2e4) ** 2) ** -0.2 * (m / 16) ** -0.05 * np.exp(0.005 * rng.standard_normal(110))
    (found,) = data_curves(pl.DataFrame({"tokens": m, "loss": error})).curves
    assert found.region[0] > 2e3
    straight = pl.DataFrame({"tokens": m, "loss": 3 * m**-0.3 * np.exp(0.005 * rng.standard_normal(110))})
    assert data_curves(straight).curves[0].region[0] == pytest.approx(16)


def test_a_target_that_was_measured_is_read_off_the_measurements():
    """Below the bend the law says otherwise; what was measured counts."""
    m = np.geomspace(1e3, 1e8, 11)
    error = np.where(m < 1e5, 0.9 * (m / 1e3) ** -0.1, 0.9 * 100**-0.1 * (m / 1e5) ** -0.4)
    (found,) = data_curves(pl.DataFrame({"tokens": m, "loss": error}), reach=0.7).curves
    assert found.needed == pytest.approx(1e3 * (0.9 / 0.7) ** 10, rel=0.01)
