"""Figures of the core beside their textbook values, on designs small enough to work out by hand."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import FitError, FormulaError, RunsError
from rung.fitting.backtest import law_prior
from rung.fitting.backtest.backtest import RollingBacktest
from rung.fitting.backtest.folds import ScoredRows
from rung.fitting.backtest.law_prior import StudyErrors, prior_at
from rung.fitting.backtest.scale import scale_of
from rung.fitting.backtest.stacking import (
    FoldError,
    combined,
    fold_errors,
    paired,
    score_of,
    weighted_middle,
    weights_at,
)
from rung.fitting.estimate.bounded_step import descend_within, solve_within
from rung.fitting.estimate.multistart import search
from rung.fitting.estimate.setup import set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.fitting.selection import aicc
from rung.fitting.uncertainty.derived import _summary
from rung.fitting.uncertainty.residual_noise import nearness, noise_quantiles, noise_spread
from rung.forecasting.predictive import _quantiles
from rung.forecasting.question import _beyond, named
from rung.laws import Law
from rung.laws.syntax import MAX_DEPTH
from test_backtest import isoflop

DATA = Path(__file__).parent / "data" / "version-0.1"
VALUES = np.array([3.0, 3.5, 3.2, 4.1, 3.9, 3.3])
WEIGHTS = np.array([1.0, 2.0, 1.0, 0.5, 3.0, 1.5])


def mean_table(**columns):
    return pl.DataFrame({"one": np.ones(6), "loss": VALUES, "w": WEIGHTS, **columns})


def line_problem(objective, weights=None):
    """A line through six points, its best coefficients by least squares, and the residuals."""
    x = np.arange(1.0, 7.0)
    slope, intercept = np.polyfit(x, VALUES, 1)
    runs = pl.DataFrame({"x": x, "loss": VALUES, "w": WEIGHTS})
    problem = set_up(runs, FitSpecification(law="a + b * x", objective=objective, weights=weights)).problem
    point = problem.design.unconstrained(problem.law, [intercept, slope])
    return problem, point, VALUES - intercept - slope * x


class TestSandwich:
    """The law is one constant E: its estimate is the weighted mean, sum(w y) / W with W = sum(w)."""

    MEAN = float(WEIGHTS @ VALUES / WEIGHTS.sum())

    def test_of_independent_rows(self):
        """Psi of Huber's loss is the residual inside the threshold, so S = n / (n - 1) sum (w r)^2 / W^2."""
        found = rung.fit(
            mean_table(), "E * one", objective="huber", delta=10.0, weights="w", interval="sandwich", draws=0
        ).coefficients["E"]
        meat = np.sum((WEIGHTS * (VALUES - self.MEAN)) ** 2) / WEIGHTS.sum() ** 2
        assert found.value == pytest.approx(self.MEAN, rel=1e-9)
        assert found.std_error == pytest.approx(np.sqrt(6 / 5 * meat), rel=1e-8)

    def test_of_runs_with_several_rows(self):
        """Scores are summed over a run, and the factor is G / (G - 1): of three runs, 3 / 2."""
        found = rung.fit(
            mean_table(run=["a", "a", "b", "b", "c", "c"], step=[1, 2] * 3),
            "E * one",
            objective="squares",
            weights="w",
            interval="sandwich",
            draws=0,
        ).coefficients["E"]
        scores = (WEIGHTS * (VALUES - self.MEAN)).reshape(3, 2).sum(axis=1)
        assert found.std_error == pytest.approx(np.sqrt(3 / 2 * np.sum(scores**2)) / WEIGHTS.sum(), rel=1e-8)

    def test_of_squares_is_the_classical_error(self):
        """s^2 / W with s^2 = sum(w r^2) / (n - 1)."""
        found = rung.fit(
            mean_table(), "E * one", objective="squares", weights="w", interval="sandwich", draws=0
        ).coefficients["E"]
        variance = WEIGHTS @ (VALUES - self.MEAN) ** 2 / 5 / WEIGHTS.sum()
        assert found.std_error == pytest.approx(np.sqrt(variance), rel=1e-8)


class TestNoise:
    def test_the_largest_scale_weighs_e_squared_times_the_smallest(self):
        weights = nearness(np.array([10.0, 100.0, 1000.0]))
        assert weights[2] / weights[0] == pytest.approx(np.exp(2), rel=1e-12)
        assert weights[1] / weights[0] == pytest.approx(np.e, rel=1e-12)
        assert weights.mean() == pytest.approx(1.0, rel=1e-12)

    def test_one_scale_weighs_every_row_the_same(self):
        assert nearness(np.full(4, 7.0)).tolist() == [1.0] * 4

    def test_two_coefficients_of_six_runs_widen_by_six_fourths(self):
        """sqrt(sum(w r^2) / sum(w) * 6 / 4), to the last digits."""
        problem, _, residuals = line_problem("squares", "w")
        near = np.array([0.5, 0.5, 1.0, 1.0, 1.5, 1.5])
        weights = WEIGHTS * near
        wanted = np.sqrt(weights @ residuals**2 / weights.sum() * 6 / 4)
        assert noise_spread(problem.design, residuals, near) == pytest.approx(wanted, rel=1e-12)

    def test_quantiles_of_equal_weights_are_weibulls(self):
        """The third of six residuals in order is the quantile 3 / 7; the ends hold the smallest and the largest."""
        problem, _, residuals = line_problem("squares")
        quantiles = noise_quantiles(problem.design, residuals, np.ones(6))
        positions = np.arange(1, 7) / 7
        points = (np.arange(999) + 0.5) / 999
        wanted = np.interp(points, positions, np.sort(residuals)) * np.sqrt(6 / 4)
        assert quantiles == pytest.approx(wanted, rel=1e-12)


def fold(error, *, rows=3, share=1.0, distance=0.0):
    return FoldError(error=error, rows=rows, share=share, distance=distance)


class TestStacking:
    """A cut counts n / (n + 3) f^2 exp(-max(d - d_c, 0)): 1/2 for three rows at the distance of the question."""

    def test_what_a_cut_counts(self):
        assert fold(0.1, rows=9, share=0.5, distance=1.0).count(3.0) == pytest.approx(0.75 * 0.25 * np.exp(-2.0))
        assert fold(0.1, rows=1).count(0.0) == fold(0.1, rows=1, distance=2.0).count(0.0) == 0.25

    def test_a_score_of_two_cuts(self):
        errors = {0: fold(0.2, share=0.5), 1: fold(0.1)}
        assert score_of(errors, [0, 1]) == pytest.approx(np.sqrt((0.25 * 0.04 + 0.01) / 1.25), rel=1e-12)

    def test_a_law_fitted_at_few_of_the_cuts_has_no_score(self):
        errors = {0: fold(0.2), 1: fold(0.1), 2: fold(0.1)}
        assert score_of(errors, range(5)) > 0
        assert np.isnan(score_of(errors, range(6)))
        assert np.isnan(score_of({}, []))

    def test_a_paired_difference_of_two_cuts(self):
        """Counts 1/4 and 1 give weights 0.2 and 0.8; differences 0.1 and -0.1, so the mean is -0.06."""
        one, other = {0: fold(0.3, share=0.5), 1: fold(0.1)}, {0: fold(0.2, share=0.5), 1: fold(0.2)}
        error = np.sqrt(2 * (0.2**2 * 0.16**2 + 0.8**2 * 0.04**2))
        assert paired(one, other) == pytest.approx((-0.06, error), rel=1e-12)

    def test_one_cut_in_common_tells_nothing(self):
        assert paired({0: fold(0.3)}, {0: fold(0.1)}) == (0.0, np.inf)

    def test_weights_of_two_laws(self):
        """log 4 apart at one cut of count 1/2, beside a prior of count 0.3: S differs by 0.5 log 4 / 0.8."""
        weights = weights_at([{0: fold(0.04)}, {0: fold(0.01)}], ["custom", "custom"], 0.0)
        assert weights[1] / weights[0] == pytest.approx(4 ** (3 * 0.5 / 0.8), rel=1e-12)
        far = weights_at([{0: fold(0.04)}, {0: fold(0.01)}], ["custom", "custom"], np.log(100))
        assert far[1] / far[0] == pytest.approx(4 ** (3 * 0.005 / 0.305), rel=1e-12)

    def test_a_law_that_no_cut_scored_is_neither_best_nor_worst(self):
        better, worse, unscored = weights_at(
            [{0: fold(0.01)}, {0: fold(0.04)}, {}], ["custom", "custom", "custom"], 0.0
        )
        assert worse < unscored < better

    def test_one_row_never_decides(self):
        """At the last cut one row says ten times as good; twenty rows before it say twice as bad."""
        first = {0: fold(0.02, rows=20, share=0.8), 1: fold(0.001, rows=1, share=0.99)}
        second = {0: fold(0.01, rows=20, share=0.8), 1: fold(0.01, rows=1, share=0.99)}
        weights = weights_at([first, second], ["custom", "custom"], 0.0)
        assert 0.2 < weights[0] / weights[1] < 5

    def test_published_studies_decide_where_the_cuts_do_not_reach(self, monkeypatch):
        """One part at the distance: S = 0.3 p / 0.3 with p = clip(log(e / mean)) / (1 + 3)."""
        part = StudyErrors(study="s", distance=3.0, errors={"a": 0.04, "b": 0.01})
        monkeypatch.setattr(law_prior, "study_errors", lambda: (part,))
        assert prior_at(["a", "b", "c"], 3.0) == pytest.approx([np.log(2) / 4, -np.log(2) / 4, 0.0])
        assert prior_at(["a", "b"], 5.0)[0] == pytest.approx(np.exp(-2.0) * np.log(2) / (np.exp(-2.0) + 3))
        weights = weights_at([{}, {}], ["a", "b"], 3.0)
        assert weights[1] / weights[0] == pytest.approx(4 ** (3 / 4), rel=1e-12)

    def test_the_weighted_middle(self):
        """Between the quantiles 0.3 and 0.7: 1 has 0.0, 2 has 0.4 of them; of equal thirds, a twelfth, a third and a twelfth."""
        values = np.array([3.0, 1.0, 2.0])
        assert weighted_middle(values, np.array([0.2, 0.3, 0.5])) == pytest.approx(2.0)
        assert weighted_middle(values, np.array([0.4, 0.2, 0.4])) == pytest.approx((0.3 * 2 + 0.1 * 3) / 0.4)
        assert weighted_middle(np.array([3.0, 1.0]), np.array([0.5, 0.5])) == pytest.approx(2.0)
        assert weighted_middle(np.array([3.0, 1.0]), np.array([0.9, 0.1])) == pytest.approx(3.0)


class TestAkaike:
    """Two coefficients and the noise: k = 3, of n = 6 rows, so the correction is 2 * 3 * 4 / 2 = 12."""

    def test_squares(self):
        problem, point, residuals = line_problem("squares")
        assert aicc(problem, point) == pytest.approx(6 * np.log(np.mean(residuals**2)) + 6 + 12, rel=1e-9)

    def test_laplace_for_a_robust_objective(self):
        problem, point, residuals = line_problem("absolute")
        assert aicc(problem, point) == pytest.approx(12 * np.log(np.mean(np.abs(residuals))) + 6 + 12, rel=1e-9)


class TestFilesOfVersion01:
    """Written by version 0.1.0 on sixteen runs of a planted law; the forecasts are those that it printed."""

    @pytest.fixture
    def unpacked(self, tmp_path):
        def unpack(name):
            file = tmp_path / f"{name}.json"
            file.write_bytes(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))
            return file

        return unpack

    def test_a_fit(self, unpacked):
        fit = rung.read_fit(unpacked("fit"))
        assert fit.version == "0.1.0"
        assert fit.backtest.along == "C"
        forecast = rung.forecast(fit, N=5e9, D=1e11)
        assert forecast.value == pytest.approx(2.2346200024445086, rel=1e-12)
        assert forecast.law_interval == pytest.approx((2.1788948818199962, 2.290577559308327), rel=1e-9)
        assert forecast.run_interval == pytest.approx((2.1614231329488685, 2.3093813805348065), rel=1e-6)

    def test_a_selection(self, unpacked):
        chosen = rung.read_selection(unpacked("selection"))
        assert chosen.along == "C"
        # A file of version 0.1 has weights, and not what they follow from: they hold at every distance.
        logs = [np.log(rung.forecast(one.fit, N=5e9, D=1e11).value) for one in chosen.laws]
        middle = weighted_middle(np.array(logs), np.array([one.weight for one in chosen.laws]))
        assert rung.forecast_selection(chosen, N=5e9, D=1e11).value == pytest.approx(np.exp(middle), rel=1e-9)


def rolled(forecast, law_error, noise=(0.01, 0.01), measured=(1.0, 2.0), cut=(0, 0)):
    """A backtest of two rows above its cuts; the scales of the four rows are 1, 2, 3 and 4."""
    rows = np.array([2, 3])
    column = {name: np.zeros(2) for name in ("distance", "gain", "last", "line")}
    scored = ScoredRows(
        cut=np.array(cut),
        row=rows,
        measured=np.array(measured),
        forecast=np.array(forecast),
        law_error=np.array(law_error),
        noise=np.array(noise),
        **column,
    )
    return RollingBacktest(along="N", scale=np.arange(1.0, 5.0), cuts=np.array([2.0, 3.0]), scored=scored)


class TestCombinedBacktest:
    """Two laws that no smaller cut has scored: each weighs 1/2, and the forecast is their mean."""

    def test_the_law_error_holds_how_far_the_laws_differ(self):
        """At the first row each lies 0.01 from the mean, at the second 0.25, both below the limit 0.03 + that."""
        both = combined([rolled((1.0, 2.0), (0.01, 0.02)), rolled((1.02, 2.5), (0.03, 0.04))], ["a", "b"])
        assert both.forecast == pytest.approx([1.01, 2.25])
        near = 0.01**2 + 0.5 * (0.01**2 + 0.03**2)
        far = 0.25**2 + 0.5 * (0.02**2 + 0.04**2)
        assert both.law_error == pytest.approx(np.sqrt([near, far]), rel=1e-12)

    def test_a_law_without_an_error_counts_for_none_there(self):
        both = combined([rolled((1.0, 2.0), (np.nan, 0.02)), rolled((1.0, 2.0), (0.03, 5.0))], ["a", "b"])
        assert both.law_error == pytest.approx([np.sqrt(0.5) * 0.03, np.sqrt(0.5 * (0.02**2 + 1.0))], rel=1e-12)

    def test_a_law_that_was_right_at_the_smaller_cut_decides_the_larger(self):
        """Errors 0.1 and 0.01 at the first cut, of one row and half of the table: S differs by log 10 a / (a + 0.3)."""
        first = rolled((0.9, 3.0), (0.01, 0.01), cut=(0, 1))
        second = rolled((1.01, 2.0), (0.01, 0.01), cut=(0, 1))
        both = combined([first, second], ["a", "b"])
        count = 0.25 * 0.25 * np.exp(-max(both.distance[1] - both.distance[0], 0.0))
        share = 1 / (1 + 10 ** (-3 * count / (count + 0.3)))
        assert both.forecast[1] == pytest.approx(weighted_middle(np.array([2.0, 3.0]), np.array([share, 1 - share])))

    def test_without_scored_rows_there_is_none(self):
        empty = RollingBacktest(along="N", scale=np.ones(2), cuts=np.array([]), scored=None)
        assert combined([empty], ["a"]) is None
        assert combined([], []) is None


class TestErrorsOfCuts:
    def test_the_share_fitted_and_the_mean_absolute_error_at_most_1(self):
        found = fold_errors(rolled((0.9, 9.0), (0.01, 0.01), cut=(0, 1)))
        assert (found[0].share, found[0].error, found[0].rows) == pytest.approx((0.5, 0.1, 1))
        assert (found[1].share, found[1].error) == pytest.approx((0.75, 1.0))


class TestScale:
    def setup(self, law, **columns):
        return set_up(pl.DataFrame({"loss": VALUES, **columns}), FitSpecification(law=law, objective="squares"))

    def test_a_constant_variable_is_no_scale(self):
        found = scale_of(self.setup("a + b / N + c * x", params=np.full(6, 1e8), x=np.arange(1.0, 7.0)), None)
        assert found.name == "x"

    def test_compute_comes_before_size(self):
        params, tokens = np.geomspace(1e7, 1e9, 6), np.geomspace(1e9, 1e10, 6)
        found = scale_of(self.setup("a + b / N + c / D", params=params, tokens=tokens), None)
        assert found.name == "C"
        assert found.values == pytest.approx(6 * params * tokens)

    def test_a_variable_that_is_not_positive_is_no_scale(self):
        assert scale_of(self.setup("a + b * x", x=np.arange(6.0) - 2), None) is None


@pytest.mark.parametrize(("formula", "branch"), [("max(a - b * x, c)", np.maximum), ("min(a - b * x, c)", np.minimum)])
def test_the_compiled_law_takes_the_larger_or_the_smaller_branch(formula, branch):
    """Value and derivatives at x = 1, 3 with a = 1, b = 2, c = -2: the branches are (-1, -5) and (-2, -2)."""
    x = np.array([1.0, 3.0, 1.0, 3.0, 1.0, 3.0])
    law = f"{formula} with a in (-inf, inf), b in (-inf, inf), c in (-inf, inf)"
    problem = set_up(pl.DataFrame({"x": x, "loss": VALUES}), FitSpecification(law=law, objective="squares")).problem
    point = problem.design.unconstrained(problem.law, [1.0, 2.0, -2.0])
    value, jacobian = problem.workspace(1).evaluate(point[None, :])
    assert value[0] == pytest.approx(branch(1 - 2 * x, -2.0))
    line = branch(1 - 2 * x, -2.0) == 1 - 2 * x
    assert jacobian[0][0] == pytest.approx(np.where(line, 1.0, 0.0))
    assert jacobian[1][0] == pytest.approx(np.where(line, -x, 0.0))
    assert jacobian[2][0] == pytest.approx(np.where(line, 0.0, 1.0))


def test_a_summary_of_draws_is_their_quantiles_and_deviation():
    found = _summary(5.0, np.arange(11.0), 0.8)
    assert (found.value, found.low, found.high) == pytest.approx((5.0, 1.0, 9.0))
    assert found.std_error == pytest.approx(np.sqrt(11.0))
    assert _summary(5.0, np.array([]), 0.8).low is None


@pytest.mark.parametrize("objective", ["squares", "log-squares", "huber", "log-huber", "log-student-t"])
def test_the_solver_says_that_it_converged_on_a_line(objective):
    rng = np.random.default_rng(0)
    x = np.linspace(1, 10, 30)
    table = pl.DataFrame({"x": x, "loss": 2 + 0.3 * x + 0.01 * rng.standard_normal(30)})
    problem = set_up(table, FitSpecification(law="a + b * x", objective=objective)).problem
    assert search(problem, np.random.default_rng(0)).converged


def test_the_unit_of_the_residual_is_1_on_a_logarithm_and_the_targets_deviation_otherwise():
    assert line_problem("log-squares")[0].unit == 1.0
    assert line_problem("squares")[0].unit == pytest.approx(np.std(VALUES))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (1, "loss is inf. Remove"),
        (2, "loss is inf, and 1 more row. Remove"),
        (3, "loss is inf, and 2 more rows. Remove"),
    ],
)
def test_an_error_counts_the_other_rows(rows, said):
    table = mean_table().with_columns(
        pl.Series("loss", [np.inf] * rows + list(VALUES[rows:])), pl.Series("number", range(len(VALUES)))
    )
    with pytest.raises(FitError) as error:
        set_up(table, FitSpecification(law="a + b * one", objective="squares"))
    assert said in str(error.value)


def test_a_missing_target_is_called_the_target():
    with pytest.raises(RunsError, match="the target"):
        set_up(mean_table().drop("loss"), FitSpecification(law="a + b * one", objective="squares"))


def test_the_backtest_takes_hubers_threshold():
    x = np.geomspace(1e7, 1e9, 30)
    noise = np.exp(0.02 * np.random.default_rng(0).standard_normal(30))
    runs = pl.DataFrame({"params": x, "loss": 20 / x**0.12 * noise})
    near, far = (rung.backtest(runs, "A / N^alpha", delta=delta).to_dict() for delta in (1e-3, 1.0))
    assert near["cuts"] != far["cuts"]


def test_bounds_between_a_finite_and_an_infinite_draw_are_draws():
    assert _quantiles(np.array([0.0, 1.0, np.inf, np.inf]), 0.5) == (0.0, np.inf)
    assert _quantiles(np.array([0.0, 1.0, 2.0, 3.0]), 0.5) == (0.75, 2.25)


@pytest.mark.parametrize(("text", "found"), [("log(N 2", "'2'"), ("log(N", "the end")])
def test_what_stands_instead_of_a_bracket_is_shown(text, found):
    with pytest.raises(FormulaError, match=rf"expected '\)', found {found}"):
        Law.parse(text)


class TestBoundedSteps:
    """Newton steps inside a box, by hand."""

    MATRIX = np.array([[[2.0, 1.0], [1.0, 4.0]]])

    def test_three_sweeps_of_coordinate_descent(self):
        """Without limits the sweeps are Gauss and Seidel's: step_1 = (3 - step_2) / 2, step_2 = (2 - step_1) / 4."""
        first = second = 0.0
        for _ in range(3):
            first = (3.0 - second) / 2
            second = (2.0 - first) / 4
        found = descend_within(self.MATRIX, np.array([[3.0, 2.0]]), np.full((1, 2), 10.0))
        assert found[0] == pytest.approx([first, second], rel=1e-12)

    def test_a_held_component_leaves_the_rest_its_own_solution(self):
        """With step_1 held at 1: step_2 = (2 - 1 * 1) / 4."""
        limits = np.array([[1.0, 10.0]])
        for solve in (solve_within, descend_within):
            assert solve(self.MATRIX, np.array([[3.0, 2.0]]), limits)[0] == pytest.approx([1.0, 0.25], rel=1e-12)


class TestNotation:
    @pytest.mark.parametrize(
        ("formula", "latex"),
        [
            ("max(a, N)", r"\max\left(a, N\right)"),
            ("(a + N)^b", r"\left(a + N\right)^{b}"),
            ("a * (N + b)", r"a \left(N + b\right)"),
            ("a - (N + b)", r"a - \left(N + b\right)"),
            ("a - N * b", r"a - N b"),
        ],
    )
    def test_latex_keeps_the_grouping(self, formula, latex):
        assert Law.parse(formula).latex.replace(r" \cdot ", " ").replace(r"\,", " ").replace("  ", " ") == latex

    def test_only_powers_within_powers_count_as_depth(self):
        row = " + ".join(["a * N^b"] * (MAX_DEPTH + 5))
        assert Law.parse(row).variables == ("N",)
        with pytest.raises(FormulaError, match="powers are nested"):
            Law.parse(row + " + " + "^".join(["N"] * (MAX_DEPTH + 10)))

    def test_a_compiled_quotient_by_a_number(self):
        runs = pl.DataFrame({"x": np.arange(1.0, 7.0), "loss": VALUES})
        problem = set_up(runs, FitSpecification(law="a + x / 8 * b", objective="squares")).problem
        point = problem.design.unconstrained(problem.law, [2.0, 4.0])
        value, _ = problem.workspace(1).evaluate(point[None, :])
        assert problem.objective.untransform(value[0]) == pytest.approx(2.0 + np.arange(1.0, 7.0) / 8 * 4.0, rel=1e-12)


class TestQuestions:
    def test_a_range_of_one_value_at_zero_has_width_one(self):
        assert _beyond(np.array([0.0, 3.0]), 0.0, 0.0) == pytest.approx([1.0, 4.0])
        assert _beyond(np.array([3.0]), -1.0, 1.0) == pytest.approx([2.0])

    def test_a_point_is_named_by_its_columns(self):
        assert named({"N": np.array([2.0]), "num_experts": np.array([8.0])}) == {"params": 2.0, "num_experts": 8.0}

    def test_an_inversion_of_an_exact_fit_has_no_interval_and_shows_counts(self):
        sizes = np.geomspace(1e7, 1e9, 8)
        fit = rung.fit(pl.DataFrame({"params": sizes, "loss": 1.5 + 400 / sizes**0.3}), "E + A / N^alpha")
        there = rung.invert(fit, 2.0)
        # 0.5 = 400 / N^0.3
        assert there.value == pytest.approx(800 ** (1 / 0.3), rel=1e-6)
        assert "4.75B" in str(there)
        assert [finding.code for finding in there.warnings if finding.code == "no_interval"] == ["no_interval"]

    def test_one_law_alone_has_the_parts_of_its_own_forecast(self):
        runs = isoflop(noise=0.01)
        alone = rung.forecast_selection(rung.select(runs, ["chinchilla"]), N=1e10, D=2e11).parts
        own = rung.forecast(rung.fit(runs), N=1e10, D=2e11).parts
        assert alone.get("choice of law", 0.0) == pytest.approx(0.0, abs=1e-9)
        assert alone["coefficients"] / alone["noise"] == pytest.approx(own["coefficients"] / own["noise"], rel=0.15)
