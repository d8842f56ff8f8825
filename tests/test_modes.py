"""What few runs say of a law: the law's error, the modes, and the predictive they leave."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import FitError, PlanError
from rung.fitting.estimate.design import design_of_any_size
from rung.fitting.estimate.levenberg_marquardt import Solutions
from rung.fitting.estimate.objective import objective_named
from rung.fitting.estimate.problem import make_problem
from rung.fitting.uncertainty.distributions import student_quantile
from rung.laws import find_law
from rung.planning.experiments.discrepancy_process import GROWTH, LENGTH, discrepancy_around
from rung.planning.experiments.from_runs import information_from_runs
from rung.planning.experiments.posterior_modes import Modes, distinct_modes, find_modes
from rung.planning.experiments.predictive import (
    INTERVAL_INFLATION,
    ScaleDiscrepancy,
    predictive_of_estimate,
    predictive_of_modes,
)
from rung.planning.experiments.residual_scale import DISCREPANCY_SHARE, ResidualScale, row_covariance
from rung.planning.experiments.targets import Targets
from rung.planning.experiments.weak_prior import WeakPrior, plausibility, plausible_draws

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1000.0, "beta": 0.3}
TARGET = {"N": 1e10, "D": 2e11}


def law():
    return find_law("chinchilla", ["params", "tokens", "loss"])


def made(count, rng, noise=0.01):
    """A table of runs that obey the law."""
    N, D = np.exp(rng.uniform(np.log([2e7, 4e8]), np.log([1e9, 2e10]), (count, 2))).T
    loss = law().value(TRUTH, {"N": N, "D": D}) * np.exp(noise * rng.standard_normal(count))
    return rung.read_runs(pl.DataFrame({"params": N, "tokens": D, "loss": loss}))


def problem_of(runs):
    measure = objective_named("log-squares")
    return make_problem(law(), design_of_any_size(runs, law(), measure), measure)


def all_points(problem, ahead):
    columns = {name: np.append(column, ahead[name]) for name, column in problem.design.columns.items()}
    return discrepancy_around(columns, np.arange(len(columns["N"])) == len(columns["N"]) - 1)


def modes_of(runs, seed=0):
    problem = problem_of(runs)
    ahead = {name: np.array([value]) for name, value in TARGET.items()}
    discrepancy = all_points(problem, ahead).take(np.arange(problem.design.rows))
    watched = problem.design.at(ahead, {}).workspace(problem.law, "log", 32)
    return find_modes(problem, discrepancy, ahead, np.array([5.0]), watched, np.random.default_rng(seed))


class TestDiscrepancyProcess:
    def test_it_is_a_covariance(self):
        rng = np.random.default_rng(0)
        discrepancy = discrepancy_around(
            {"N": np.exp(rng.normal(20, 2, 30)), "D": np.exp(rng.normal(23, 2, 30))}, np.arange(30) > 27
        )
        shared = discrepancy.covariance(discrepancy)
        assert shared == pytest.approx(shared.T)
        assert np.linalg.eigvalsh(shared).min() > -1e-9 * shared.max()
        assert np.diag(shared) == pytest.approx(discrepancy.std**2)

    def test_it_grows_from_the_nearest_run_on(self):
        """A length beyond the nearest run along one variable: two to the power, by the definition."""
        N = np.array([1e8, 1e8 * np.exp(-LENGTH), 1e10])
        discrepancy = discrepancy_around({"N": N}, np.array([False, False, True]))
        assert discrepancy.std == pytest.approx([1.0, 2.0**GROWTH, 1.0])

    def test_the_way_to_the_nearest_run(self):
        """Along all variables together: two factors of e along one and one along the other."""
        discrepancy = discrepancy_around(
            {"N": 1e8 * np.exp([0.0, 5.0, 2.0]), "D": 1e9 * np.exp([0.0, 5.0, 1.0])}, np.array([False, False, True])
        )
        assert discrepancy.take(np.array([2])).distance(discrepancy.take(np.array([0, 1]))) == pytest.approx([3.0])

    def test_a_share_of_nothing_is_a_place_too(self):
        discrepancy = discrepancy_around({"w": np.array([0.0, 0.5, 1.0])}, np.array([False, False, True]))
        assert np.ptp(discrepancy.points_XV) == pytest.approx(LENGTH)


class TestModes:
    def test_many_exact_runs_leave_one_mode_at_the_truth(self):
        runs = made(60, np.random.default_rng(0), noise=0.0)
        modes = modes_of(runs)
        values = problem_of(runs).design.values(law(), modes.unconstrained_PK[:1])[0]
        found = dict(zip((c.name for c in law().free), values, strict=True))
        at = {name: np.array([value]) for name, value in TARGET.items()}
        # The prior pulls a little, so the law's value is compared.
        assert law().value(found, at) == pytest.approx(law().value(TRUTH, at), rel=5e-3)
        assert modes.weights[0] > 0.9

    def test_an_odd_run_counts_less(self):
        runs = made(20, np.random.default_rng(3))
        odd = runs.frame.drop("#row").with_columns(
            loss=pl.when(pl.int_range(pl.len()) == 7).then(pl.col("loss") * 1.2).otherwise(pl.col("loss"))
        )
        noise_weights = modes_of(rung.read_runs(odd)).noise_weights
        assert np.argmax(noise_weights) == 7
        assert noise_weights[7] > 2 * np.median(noise_weights)

    def test_coefficients_that_rows_cannot_tell_apart_leave_finite_inflations(self):
        """Two derivatives in proportion and next to no noise: the matrix of what is held has no inverse."""
        left = ResidualScale(
            residual=np.array([1e-9, -1e-9, 1e-9]),
            slopes_Kn=np.array([[1e6, 1e6, 1e6], [1e6, 1e6, 1e6]]),
            precision_KK=np.eye(2),
            shared_nn=np.eye(3),
            noise_weights=np.ones(3),
        )
        assert np.all(np.isfinite(left.updated_weights(1e-16)))

    def test_a_law_that_could_fall_below_nothing_stays_believable(self):
        """Of a loss that bends down, the law alone says next to zero at the target, or anything."""
        D = 200.0 * 2.0 ** np.arange(8)
        bending = (
            "E + A * (tokens + D0)^(-alpha) with E in (-30, 5), A in (0, 500), D0 in (-1e5, 1e5), alpha in (0.005, 0.5)"
        )
        runs = rung.read_runs(pl.DataFrame({"tokens": D, "loss": 4.5 - 1.4 * np.sqrt(D) / 160 - 0.05 * np.log(D)}))
        targets = Targets(names=("loss",), columns={"D": np.array([819200.0])})
        known = information_from_runs(runs, find_law(bending, ["tokens", "loss"]), "loss", 0)
        predictive = known.predictive({"D": np.array([51200.0])}, targets)
        assert -2.0 < predictive.mean[1] < np.log(2.6)
        assert predictive.variance()[1] < 4.0**2

    @pytest.mark.parametrize(("root", "target"), [("1e5", 819200.0), ("300", 250.0)])
    def test_a_law_without_a_value_at_a_target_or_a_run_is_refused(self, root, target):
        runs = rung.read_runs(pl.DataFrame({"tokens": [200.0, 400.0, 800.0], "loss": [4.0, 3.8, 3.6]}))
        targets = Targets(names=("loss",), columns={"D": np.array([target])})
        known = information_from_runs(runs, find_law(f"E + A * ({root} - tokens)^0.5", ["tokens", "loss"]), "loss", 0)
        with pytest.raises(FitError, match="at every run and every target"):
            known.predictive({"D": np.array([210.0])}, targets)

    def test_draws_that_make_no_sense_are_left_out(self):
        """Of two small runs, at a target far beyond them: what leaves the values seen by far goes."""
        problem = problem_of(made(2, np.random.default_rng(1)))
        ahead = {"N": np.geomspace(1e9, 1e16, 8), "D": np.geomspace(2e10, 1e17, 8)}
        watched = problem.design.at(ahead, {}).workspace(problem.law, "log", 32)
        drawn = plausible_draws(problem, watched, np.random.default_rng(0))
        sense = plausibility(problem, watched, drawn)
        assert 64 <= len(drawn) < 256
        assert np.all(np.diff(sense) <= 0)
        assert len(drawn) == 64 or sense[-1] >= 0.9

    def test_the_prior_lets_go_once_there_are_as_many_runs_as_coefficients(self):
        """Four runs, and then five, for five coefficients: three times the draws' spread, and then fifty times."""
        widest = [
            np.linalg.eigvalsh(modes_of(made(count, np.random.default_rng(4))).covariance_PKK[0]).max()
            for count in (4, 5)
        ]
        assert widest[1] > 50 * widest[0]

    @pytest.mark.parametrize(("copies", "distance"), [(1, 0.0), (1, 12.0), (10, 12.0)])
    def test_what_is_expected_at_the_target_counts_as_one_run(self, copies, distance):
        """However many the targets, and a factor of 3 wide at a run's place, with an exponent of a third beyond."""
        problem = problem_of(made(8, np.random.default_rng(4)))
        ahead = {name: np.full(copies, value) for name, value in TARGET.items()}
        discrepancy = all_points(problem, {name: column[:1] for name, column in ahead.items()}).take(np.arange(8))
        watched = problem.design.at(ahead, {}).workspace(problem.law, "log", 32)
        modes = find_modes(problem, discrepancy, ahead, np.full(copies, distance), watched, np.random.default_rng(0))
        slopes = (
            problem.design.at(ahead, {})
            .workspace(problem.law, "log", 1)
            .evaluate(modes.unconstrained_PK[:1])[1][:, 0, 0]
        )
        spread = np.sqrt(slopes @ modes.covariance_PKK[0] @ slopes)
        assert spread == pytest.approx(np.log(3) + distance / 3, rel=0.2)

    def test_the_noise_is_that_of_the_runs(self):
        quiet, loud = (modes_of(made(40, np.random.default_rng(4), noise=noise)).noise for noise in (0.005, 0.05))
        assert loud > 20 * quiet

    def test_what_makes_no_sense_is_no_mode_where_anything_else_does(self):
        """Ends at 0, 1 and 2, in this order of their objective, of which the first is not believed."""
        ends = Solutions(
            unconstrained_JK=np.array([[0.0], [1.0], [2.0]]),
            objective_J=np.array([1.0, 1.1, 1.2]),
            converged_J=np.full(3, True),
        )
        prior = WeakPrior(mean=np.zeros(1), factor_KK=np.eye(1), value=np.zeros(0), value_precision=np.zeros(0))
        assert distinct_modes(ends, np.array([False, True, True]), prior, 1.0) == [1, 2]
        assert distinct_modes(ends, np.full(3, False), prior, 1.0) == [0, 1, 2]
        dead = replace(ends, objective_J=np.array([np.inf, 1.1, 1.2]))
        assert distinct_modes(dead, np.array([True, False, False]), prior, 1.0) == [1, 2]

    def test_weights_add_up_and_fall(self):
        modes = modes_of(made(3, np.random.default_rng(5)))
        assert modes.weights.sum() == pytest.approx(1.0)
        assert np.all(np.diff(modes.weights) <= 0)

    def test_the_same_seed_says_the_same(self):
        runs = made(6, np.random.default_rng(6))
        assert modes_of(runs).unconstrained_PK == pytest.approx(modes_of(runs).unconstrained_PK, rel=0, abs=0)

    @pytest.mark.slow
    @pytest.mark.parametrize("count", [3, 6, 20])
    def test_intervals_from_few_runs_cover(self, count):
        """90 % intervals of the loss at ten times the sizes hold it in at least 83 of 100 tables; of a true law, in most."""
        held = 0
        for seed in range(100):
            rng = np.random.default_rng(seed)
            plan = rung.next_runs(made(count, rng), budget=1e21, targets=[TARGET], most=1)
            low, high = plan.targets[0].before
            held += low < law().value(TRUTH, TARGET) < high
        assert held >= 83


class TestJointPredictive:
    def test_it_is_the_normal_given_the_runs(self):
        """Against the joint covariance of runs and points, conditioned by one inversion."""
        runs = made(5, np.random.default_rng(7))
        problem = problem_of(runs)
        ahead = {"N": np.array([5e8, 1e9, 1.5e9]), "D": np.array([1e10, 1.5e10, 2e10])}
        discrepancy = all_points(problem, ahead)
        rng = np.random.default_rng(8)
        whitening = rng.standard_normal((5, 5))
        found = modes_of(runs)
        modes = Modes(
            unconstrained_PK=found.unconstrained_PK[:1],
            weights=np.ones(1),
            covariance_PKK=(whitening @ whitening.T)[None],
            noise=0.01,
            noise_weights=np.array([1.0, 1.0, 4.0, 1.0, 1.0]),
            degrees=3,
        )
        predictive = predictive_of_modes(modes, problem, discrepancy, ahead, 1)
        everywhere = {name: np.append(problem.design.columns[name], ahead[name]) for name in ahead}
        value, slopes = (
            part[0] if part.ndim == 2 else part[:, 0]
            for part in problem.design.at(everywhere, {}).workspace(law(), "log", 1).evaluate(modes.unconstrained_PK)
        )
        total = slopes.T @ modes.covariance_PKK[0] @ slopes + 0.01 * DISCREPANCY_SHARE * discrepancy.covariance(
            discrepancy
        )
        about = total[:5, :5] + np.diag(0.01 * (1 - DISCREPANCY_SHARE) * modes.noise_weights)
        exact = total[5:, 5:] - total[5:, :5] @ np.linalg.solve(about, total[:5, 5:])
        assert predictive.variance() == pytest.approx(np.diag(exact), rel=1e-4)
        assert predictive.covariance_with(1) == pytest.approx(exact[:, 1], rel=1e-4, abs=1e-6)
        shared = 0.01 * DISCREPANCY_SHARE * discrepancy.covariance(discrepancy)
        rows = 0.01 * row_covariance(discrepancy.covariance(discrepancy)[:5, :5], modes.noise_weights)
        error = shared[5:, :5] @ np.linalg.solve(rows, problem.target - value[:5])
        assert predictive.mean == pytest.approx(value[5:] + error, rel=1e-6)

    def test_two_modes_are_a_mixture(self):
        """Its variance is the mean of theirs and the variance of their means."""
        problem = problem_of(made(4, np.random.default_rng(11)))
        ahead = {"N": np.array([5e8, 1e9]), "D": np.array([1e10, 1.5e10])}
        discrepancy = all_points(problem, ahead)
        one = modes_of(made(4, np.random.default_rng(11)))
        pair = np.stack([one.unconstrained_PK[0], one.unconstrained_PK[0] + 0.02])
        weights = np.array([0.7, 0.3])
        spreads = one.covariance_PKK[0] * np.array([1.0, 4.0])[:, None, None]
        alone = [
            predictive_of_modes(
                replace(one, unconstrained_PK=point[None, :], weights=np.ones(1), covariance_PKK=spread[None]),
                problem,
                discrepancy,
                ahead,
                1,
            )
            for point, spread in zip(pair, spreads, strict=True)
        ]
        both = predictive_of_modes(
            replace(one, unconstrained_PK=pair, weights=weights, covariance_PKK=spreads),
            problem,
            discrepancy,
            ahead,
            1,
        )
        means = np.array([predictive.mean for predictive in alone])
        within = weights @ np.array([predictive.variance() for predictive in alone])
        assert np.ptp(means[:, 1]) > 1e-4
        assert both.variance() == pytest.approx(within + weights @ (means - weights @ means) ** 2, rel=1e-6)

    def test_a_candidate_without_finite_derivatives_is_not_judged(self):
        """Of two candidates and an aim: the first candidate's mean becomes none, the aim keeps its own."""
        slopes = np.array([[np.inf, 1.0, np.nan], [1.0, 2.0, 1.0]])
        beyond = ScaleDiscrepancy(variance=0.0, largest=0.0, candidates=np.zeros(2), targets=np.zeros(1))
        predictive = predictive_of_estimate(
            np.array([1.0, 2.0, 3.0]), slopes, np.eye(2), noise=0.01, degrees=10, scale_discrepancy=beyond
        )
        assert np.isnan(predictive.mean[0])
        assert predictive.mean[1:] == pytest.approx([2.0, 3.0])
        assert predictive.variance()[1:] == pytest.approx([5.0, 1.0])

    def test_more_rows_than_are_taken_in_change_little(self):
        """Beyond three hundred, the rows nearest to the targets stand for all."""
        runs = made(320, np.random.default_rng(9))
        targets = Targets(
            names=("loss",), columns={name: np.array([value]) for name, value in TARGET.items()}, decision=None
        )
        point = {"N": np.array([2e9]), "D": np.array([4e10])}
        whole = information_from_runs(runs, law(), "loss", 0).predictive(point, targets)
        part = information_from_runs(runs.take(np.arange(320) < 290), law(), "loss", 0).predictive(point, targets)
        assert whole.mean[-1] == pytest.approx(part.mean[-1], abs=0.02)


class TestSequence:
    @pytest.mark.slow
    def test_run_after_run_leaves_narrower_intervals_than_chance(self):
        """Twelve tables: four runs, then one after another for 3 % of the pool's cost, by plan and by chance."""
        width, held = {"plan": [], "chance": []}, 0
        grid = np.stack(np.meshgrid(np.geomspace(2e7, 1e9, 8), np.geomspace(4e8, 2e10, 8)), axis=-1).reshape(-1, 2)
        truth = float(law().value(TRUTH, TARGET))
        for seed in range(12):
            rng = np.random.default_rng(seed)
            loss = law().value(TRUTH, {"N": grid[:, 0], "D": grid[:, 1]}) * np.exp(0.01 * rng.standard_normal(64))
            table = pl.DataFrame({"params": grid[:, 0], "tokens": grid[:, 1], "loss": loss})
            cost = 6 * grid[:, 0] * grid[:, 1]
            for way, found in width.items():
                taken, left = list(np.argsort(cost)[:4]), 0.03 * cost.sum()
                while rest := [at for at in range(64) if at not in taken and cost[at] <= left]:
                    if way == "chance":
                        at = int(rng.choice(rest))
                    else:
                        pool = rung.read_runs(table[rest].drop("loss"))
                        plan = rung.next_runs(rung.read_runs(table[taken]), budget=left, targets=[TARGET], pool=pool)
                        inputs = plan.runs[0].inputs
                        at = int(np.argmin(np.abs(np.log(grid / [inputs["params"], inputs["tokens"]])).sum(axis=1)))
                    taken.append(at)
                    left -= cost[at]
                said = rung.next_runs(rung.read_runs(table[taken]), budget=1e30, targets=[TARGET], most=1)
                low, high = said.targets[0].before
                found.append(np.log(high / low))
                held += low < truth < high
        assert np.median(width["plan"]) < 0.9 * np.median(width["chance"])
        assert held >= 20


@pytest.mark.parametrize(
    ("count", "asked", "said"),
    [
        (1, {}, "one run says nothing"),
        (3, {"decide": 1e22}, "needs a fit"),
        (3, {"law": "E + A[run] / N^alpha"}, "without groups"),
    ],
)
def test_what_few_runs_cannot_serve(count, asked, said):
    runs = made(count, np.random.default_rng(0))
    named = rung.read_runs(runs.frame.drop("#row").with_columns(run=pl.Series([f"r{at}" for at in range(count)])))
    with pytest.raises(PlanError, match=said):
        rung.next_runs(named, budget=1e21, targets=[TARGET], **asked)


def precision(runs, **asked):
    return rung.next_runs(runs, **{"budget": 1e20, "targets": [TARGET], "most": 3, **asked}).targets[0]


def test_intervals_are_told_wider_than_the_normal():
    runs = made(12, np.random.default_rng(2))
    targets = Targets(names=("loss",), columns={name: np.array([value]) for name, value in TARGET.items()})
    predictive = information_from_runs(runs, law(), "loss", 0).predictive(
        {"N": np.array([1e9]), "D": np.array([2e10])}, targets
    )
    half = INTERVAL_INFLATION * student_quantile(0.95, predictive.degrees) * np.sqrt(predictive.variance()[1])
    assert np.log(precision(runs).before) == pytest.approx(
        predictive.mean[1] + half * np.array([-1, 1]), abs=0.1 * half
    )


def test_noisier_runs_are_expected_to_tell_less():
    runs = made(12, np.random.default_rng(2))
    clean, noisy = (precision(runs, noise=noise) for noise in (0.001, 0.3))
    assert clean.before == noisy.before
    assert np.log(clean.after[1] / clean.after[0]) < 0.9 * np.log(noisy.after[1] / noisy.after[0])


def test_another_column_may_hold_the_loss():
    runs = made(6, np.random.default_rng(2))
    both = rung.read_runs(runs.frame.drop("#row").with_columns(loss=2 * pl.col("loss"), kept=pl.col("loss")))
    assert precision(both, target="kept") == precision(runs)
    assert precision(both) != precision(runs)


def test_a_box_of_three_variables_is_laid_out_more_coarsely():
    """Of 4000 points at most: fifteen along each, of which the budget affords all."""
    N, D, U = np.exp(np.random.default_rng(0).uniform(np.log([1e7, 2e8, 1e8]), np.log([1e9, 2e10, 2e8]), (6, 3))).T
    runs = rung.read_runs(
        pl.DataFrame({"params": N, "tokens": D, "unique_tokens": U, "loss": 1 + 10 / N**0.1 + 9 / D**0.1})
    )
    law = "E + A / params^alpha + B / tokens^beta + F / unique_tokens^gamma"
    target = {"N": 1e10, "D": 2e11, "unique_tokens": 1e9}
    box = {name: (values.min(), 10 * values.max()) for name, values in (("N", N), ("D", D), ("unique_tokens", U))}
    plan = rung.next_runs(runs, law=law, budget=1e30, targets=[target], most=1, box=box)
    assert plan.candidates == 15**3


def test_the_seed_moves_the_prior():
    runs = made(3, np.random.default_rng(2))
    assert precision(runs, seed=1) == precision(runs, seed=1)
    assert precision(runs, seed=1) != precision(runs, seed=0)


def test_few_runs_are_said():
    plan = rung.next_runs(made(3, np.random.default_rng(0)), budget=1e20, targets=[TARGET])
    assert [finding.code for finding in plan.warnings] == ["few_runs"]


def test_a_loss_that_has_no_logarithm_is_named():
    """And `--objective squares`, which no plan can take, is not advised."""
    runs = rung.read_runs(pl.DataFrame({"params": [1e7, 2e7], "tokens": [2e8, 4e8], "loss": [4.1, -3.8]}))
    with pytest.raises(PlanError, match=r'row 2: loss is -3\.8, .* Remove them: .where\("loss > 0"\)'):
        rung.next_runs(runs, budget=1e20, targets=[TARGET])
