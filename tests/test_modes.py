"""What few runs say of a law: the law's error, the modes, and the belief they leave."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import FitError, PlanError
from rung.fit import (
    MISFIT_SHARE,
    Modes,
    few_design,
    find_modes,
    make_problem,
    misfit_around,
    objective_named,
    student_quantile,
    variance_of,
)
from rung.fit.misfit import GROWTH, LENGTH
from rung.fit.modes import _believed, _different, _drawn, _Left, _Prior
from rung.fit.solver import Solutions
from rung.laws import find_law
from rung.plan.belief import STRETCH, Straying, belief_of_modes, linear_belief
from rung.plan.knowledge import Aims, known_from_runs

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
    return make_problem(law(), few_design(runs, law(), measure), measure)


def all_points(problem, ahead):
    columns = {name: np.append(column, ahead[name]) for name, column in problem.design.columns.items()}
    return misfit_around(columns, np.arange(len(columns["N"])) == len(columns["N"]) - 1)


def modes_of(runs, seed=0):
    problem = problem_of(runs)
    ahead = {name: np.array([value]) for name, value in TARGET.items()}
    misfit = all_points(problem, ahead).take(np.arange(problem.design.rows))
    watched = problem.design.at(ahead, {}).workspace(problem.law, "log", 32)
    return find_modes(problem, misfit, ahead, np.array([5.0]), watched, np.random.default_rng(seed))


class TestMisfit:
    def test_it_is_a_covariance(self):
        rng = np.random.default_rng(0)
        misfit = misfit_around(
            {"N": np.exp(rng.normal(20, 2, 30)), "D": np.exp(rng.normal(23, 2, 30))}, np.arange(30) > 27
        )
        shared = misfit.between(misfit)
        assert shared == pytest.approx(shared.T)
        assert np.linalg.eigvalsh(shared).min() > -1e-9 * shared.max()
        assert np.diag(shared) == pytest.approx(misfit.swell**2)

    def test_it_grows_from_the_nearest_run_on(self):
        """A length beyond the nearest run along one variable: two to the power, by the definition."""
        N = np.array([1e8, 1e8 * np.exp(-LENGTH), 1e10])
        misfit = misfit_around({"N": N}, np.array([False, False, True]))
        assert misfit.swell == pytest.approx([1.0, 2.0**GROWTH, 1.0])

    def test_the_way_to_the_nearest_run(self):
        """Along all variables together: two factors of e along one and one along the other."""
        misfit = misfit_around(
            {"N": 1e8 * np.exp([0.0, 5.0, 2.0]), "D": 1e9 * np.exp([0.0, 5.0, 1.0])}, np.array([False, False, True])
        )
        assert misfit.take(np.array([2])).distance(misfit.take(np.array([0, 1]))) == pytest.approx([3.0])

    def test_a_share_of_nothing_is_a_place_too(self):
        misfit = misfit_around({"w": np.array([0.0, 0.5, 1.0])}, np.array([False, False, True]))
        assert np.ptp(misfit.places_XV) == pytest.approx(LENGTH)


class TestModes:
    def test_many_exact_runs_leave_one_mode_at_the_truth(self):
        runs = made(60, np.random.default_rng(0), noise=0.0)
        modes = modes_of(runs)
        values = problem_of(runs).design.values(law(), modes.internal_PK[:1])[0]
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
        inflation = modes_of(rung.read_runs(odd)).inflation
        assert np.argmax(inflation) == 7
        assert inflation[7] > 2 * np.median(inflation)

    def test_coefficients_that_rows_cannot_tell_apart_leave_finite_inflations(self):
        """Two derivatives in proportion and next to no noise: the matrix of what is held has no inverse."""
        left = _Left(
            residual=np.array([1e-9, -1e-9, 1e-9]),
            slopes_Kn=np.array([[1e6, 1e6, 1e6], [1e6, 1e6, 1e6]]),
            precision_KK=np.eye(2),
            shared_nn=np.eye(3),
            inflation=np.ones(3),
        )
        assert np.all(np.isfinite(left.inflated(1e-16)))

    def test_a_law_that_could_fall_below_nothing_stays_believable(self):
        """Of a loss that bends down, the law alone says next to zero at the target, or anything."""
        D = 200.0 * 2.0 ** np.arange(8)
        bending = (
            "E + A * (tokens + D0)^(-alpha) with E in (-30, 5), A in (0, 500), D0 in (-1e5, 1e5), alpha in (0.005, 0.5)"
        )
        runs = rung.read_runs(pl.DataFrame({"tokens": D, "loss": 4.5 - 1.4 * np.sqrt(D) / 160 - 0.05 * np.log(D)}))
        aims = Aims(names=("loss",), columns={"D": np.array([819200.0])}, decision=None)
        known = known_from_runs(runs, find_law(bending, ["tokens", "loss"]), "loss", 0)
        belief, _ = known.belief({"D": np.array([51200.0])}, aims)
        assert -2.0 < belief.mean[1] < np.log(2.6)
        assert belief.variance()[1] < 4.0**2

    @pytest.mark.parametrize(("root", "target"), [("1e5", 819200.0), ("300", 250.0)])
    def test_a_law_without_a_value_at_a_target_or_a_run_is_refused(self, root, target):
        runs = rung.read_runs(pl.DataFrame({"tokens": [200.0, 400.0, 800.0], "loss": [4.0, 3.8, 3.6]}))
        aims = Aims(names=("loss",), columns={"D": np.array([target])}, decision=None)
        known = known_from_runs(runs, find_law(f"E + A * ({root} - tokens)^0.5", ["tokens", "loss"]), "loss", 0)
        with pytest.raises(FitError, match="at every run and every target"):
            known.belief({"D": np.array([210.0])}, aims)

    def test_draws_that_make_no_sense_are_left_out(self):
        """Of two small runs, at a target far beyond them: what leaves the values seen by far goes."""
        problem = problem_of(made(2, np.random.default_rng(1)))
        ahead = {"N": np.geomspace(1e9, 1e16, 8), "D": np.geomspace(2e10, 1e17, 8)}
        watched = problem.design.at(ahead, {}).workspace(problem.law, "log", 32)
        drawn = _drawn(problem, watched, np.random.default_rng(0))
        sense = _believed(problem, watched, drawn)
        assert 64 <= len(drawn) < 256
        assert np.all(np.diff(sense) <= 0)
        assert len(drawn) == 64 or sense[-1] >= 0.9

    def test_the_prior_lets_go_once_there_are_as_many_runs_as_coefficients(self):
        """Four runs, and then five, for five coefficients: three times the draws' spread, and then fifty times."""
        widest = [
            np.linalg.eigvalsh(modes_of(made(count, np.random.default_rng(4))).spread_PKK[0]).max() for count in (4, 5)
        ]
        assert widest[1] > 50 * widest[0]

    @pytest.mark.parametrize(("copies", "away"), [(1, 0.0), (1, 12.0), (10, 12.0)])
    def test_what_is_expected_at_the_target_counts_as_one_run(self, copies, away):
        """However many the targets, and a factor of 3 wide at a run's place, with an exponent of a third beyond."""
        problem = problem_of(made(8, np.random.default_rng(4)))
        ahead = {name: np.full(copies, value) for name, value in TARGET.items()}
        misfit = all_points(problem, {name: column[:1] for name, column in ahead.items()}).take(np.arange(8))
        watched = problem.design.at(ahead, {}).workspace(problem.law, "log", 32)
        modes = find_modes(problem, misfit, ahead, np.full(copies, away), watched, np.random.default_rng(0))
        slopes = (
            problem.design.at(ahead, {}).workspace(problem.law, "log", 1).evaluate(modes.internal_PK[:1])[1][:, 0, 0]
        )
        spread = np.sqrt(slopes @ modes.spread_PKK[0] @ slopes)
        assert spread == pytest.approx(np.log(3) + away / 3, rel=0.2)

    def test_the_noise_is_that_of_the_runs(self):
        quiet, loud = (modes_of(made(40, np.random.default_rng(4), noise=noise)).noise for noise in (0.005, 0.05))
        assert loud > 20 * quiet

    def test_what_makes_no_sense_is_no_mode_where_anything_else_does(self):
        """Ends at 0, 1 and 2, in this order of their objective, of which the first is not believed."""
        ends = Solutions(
            internal_JK=np.array([[0.0], [1.0], [2.0]]),
            objective_J=np.array([1.0, 1.1, 1.2]),
            converged_J=np.full(3, True),
        )
        prior = _Prior(mean=np.zeros(1), root_KK=np.eye(1), value=np.zeros(0), told=np.zeros(0))
        assert _different(ends, np.array([False, True, True]), prior, 1.0) == [1, 2]
        assert _different(ends, np.full(3, False), prior, 1.0) == [0, 1, 2]
        dead = replace(ends, objective_J=np.array([np.inf, 1.1, 1.2]))
        assert _different(dead, np.array([True, False, False]), prior, 1.0) == [1, 2]

    def test_weights_add_up_and_fall(self):
        modes = modes_of(made(3, np.random.default_rng(5)))
        assert modes.weights.sum() == pytest.approx(1.0)
        assert np.all(np.diff(modes.weights) <= 0)

    def test_the_same_seed_says_the_same(self):
        runs = made(6, np.random.default_rng(6))
        assert modes_of(runs).internal_PK == pytest.approx(modes_of(runs).internal_PK, rel=0, abs=0)

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


class TestBelief:
    def test_it_is_the_normal_given_the_runs(self):
        """Against the joint covariance of runs and points, conditioned by one inversion."""
        runs = made(5, np.random.default_rng(7))
        problem = problem_of(runs)
        ahead = {"N": np.array([5e8, 1e9, 1.5e9]), "D": np.array([1e10, 1.5e10, 2e10])}
        misfit = all_points(problem, ahead)
        rng = np.random.default_rng(8)
        root = rng.standard_normal((5, 5))
        found = modes_of(runs)
        modes = Modes(
            internal_PK=found.internal_PK[:1],
            weights=np.ones(1),
            spread_PKK=(root @ root.T)[None],
            noise=0.01,
            inflation=np.array([1.0, 1.0, 4.0, 1.0, 1.0]),
            degrees=3,
        )
        belief = belief_of_modes(modes, problem, misfit, ahead, 1)
        everywhere = {name: np.append(problem.design.columns[name], ahead[name]) for name in ahead}
        value, slopes = (
            part[0] if part.ndim == 2 else part[:, 0]
            for part in problem.design.at(everywhere, {}).workspace(law(), "log", 1).evaluate(modes.internal_PK)
        )
        total = slopes.T @ modes.spread_PKK[0] @ slopes + 0.01 * MISFIT_SHARE * misfit.between(misfit)
        about = total[:5, :5] + np.diag(0.01 * (1 - MISFIT_SHARE) * modes.inflation)
        exact = total[5:, 5:] - total[5:, :5] @ np.linalg.solve(about, total[:5, 5:])
        assert belief.variance() == pytest.approx(np.diag(exact), rel=1e-4)
        assert belief.with_point(1) == pytest.approx(exact[:, 1], rel=1e-4, abs=1e-6)
        shared = 0.01 * MISFIT_SHARE * misfit.between(misfit)
        rows = 0.01 * variance_of(misfit.between(misfit)[:5, :5], modes.inflation)
        error = shared[5:, :5] @ np.linalg.solve(rows, problem.target - value[:5])
        assert belief.mean == pytest.approx(value[5:] + error, rel=1e-6)

    def test_two_modes_are_a_mixture(self):
        """Its variance is the mean of theirs and the variance of their means."""
        problem = problem_of(made(4, np.random.default_rng(11)))
        ahead = {"N": np.array([5e8, 1e9]), "D": np.array([1e10, 1.5e10])}
        misfit = all_points(problem, ahead)
        one = modes_of(made(4, np.random.default_rng(11)))
        pair = np.stack([one.internal_PK[0], one.internal_PK[0] + 0.02])
        weights = np.array([0.7, 0.3])
        spreads = one.spread_PKK[0] * np.array([1.0, 4.0])[:, None, None]
        alone = [
            belief_of_modes(
                replace(one, internal_PK=point[None, :], weights=np.ones(1), spread_PKK=spread[None]),
                problem,
                misfit,
                ahead,
                1,
            )
            for point, spread in zip(pair, spreads, strict=True)
        ]
        both = belief_of_modes(
            replace(one, internal_PK=pair, weights=weights, spread_PKK=spreads),
            problem,
            misfit,
            ahead,
            1,
        )
        means = np.array([belief.mean for belief in alone])
        within = weights @ np.array([belief.variance() for belief in alone])
        assert np.ptp(means[:, 1]) > 1e-4
        assert both.variance() == pytest.approx(within + weights @ (means - weights @ means) ** 2, rel=1e-6)

    def test_a_candidate_without_finite_derivatives_is_not_judged(self):
        """Of two candidates and an aim: the first candidate's mean becomes none, the aim keeps its own."""
        slopes = np.array([[np.inf, 1.0, np.nan], [1.0, 2.0, 1.0]])
        straying = Straying(variance=0.0, largest=0.0, sizes=np.zeros(2), aims=np.zeros(1))
        belief = linear_belief(np.array([1.0, 2.0, 3.0]), slopes, np.eye(2), 0.01, straying)
        assert np.isnan(belief.mean[0])
        assert belief.mean[1:] == pytest.approx([2.0, 3.0])
        assert belief.variance()[1:] == pytest.approx([5.0, 1.0])

    def test_more_rows_than_are_taken_in_change_little(self):
        """Beyond three hundred, the rows nearest to the aims stand for all."""
        runs = made(320, np.random.default_rng(9))
        aims = Aims(names=("loss",), columns={name: np.array([value]) for name, value in TARGET.items()}, decision=None)
        point = {"N": np.array([2e9]), "D": np.array([4e10])}
        whole, _ = known_from_runs(runs, law(), "loss", 0).belief(point, aims)
        part, _ = known_from_runs(runs.take(np.arange(320) < 290), law(), "loss", 0).belief(point, aims)
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


def told(runs, **asked):
    return rung.next_runs(runs, **{"budget": 1e20, "targets": [TARGET], "most": 3, **asked}).targets[0]


def test_intervals_are_told_wider_than_the_normal():
    runs = made(12, np.random.default_rng(2))
    aims = Aims(names=("loss",), columns={name: np.array([value]) for name, value in TARGET.items()}, decision=None)
    belief, modes = known_from_runs(runs, law(), "loss", 0).belief({"N": np.array([1e9]), "D": np.array([2e10])}, aims)
    half = STRETCH * student_quantile(0.95, modes.degrees) * np.sqrt(belief.variance()[1])
    assert np.log(told(runs).before) == pytest.approx(belief.mean[1] + half * np.array([-1, 1]), abs=0.1 * half)


def test_noisier_runs_are_expected_to_tell_less():
    runs = made(12, np.random.default_rng(2))
    clean, noisy = (told(runs, noise=noise) for noise in (0.001, 0.3))
    assert clean.before == noisy.before
    assert np.log(clean.after[1] / clean.after[0]) < 0.9 * np.log(noisy.after[1] / noisy.after[0])


def test_another_column_may_hold_the_loss():
    runs = made(6, np.random.default_rng(2))
    both = rung.read_runs(runs.frame.drop("#row").with_columns(loss=2 * pl.col("loss"), kept=pl.col("loss")))
    assert told(both, loss_column="kept") == told(runs)
    assert told(both) != told(runs)


def test_a_box_of_three_variables_is_laid_out_more_coarsely():
    """Of 4000 points at most: fifteen along each, of which the budget affords all."""
    N, D, U = np.exp(np.random.default_rng(0).uniform(np.log([1e7, 2e8, 1e8]), np.log([1e9, 2e10, 2e8]), (6, 3))).T
    runs = rung.read_runs(
        pl.DataFrame({"params": N, "tokens": D, "unique_tokens": U, "loss": 1 + 10 / N**0.1 + 9 / D**0.1})
    )
    law = "E + A / params^alpha + B / tokens^beta + F / unique_tokens^gamma"
    target = {"N": 1e10, "D": 2e11, "unique_tokens": 1e9}
    plan = rung.next_runs(runs, law=law, budget=1e30, targets=[target], most=1)
    assert plan.candidates == 15**3


def test_the_seed_moves_the_prior():
    runs = made(3, np.random.default_rng(2))
    assert told(runs, seed=1) == told(runs, seed=1)
    assert told(runs, seed=1) != told(runs, seed=0)


def test_few_runs_are_said():
    plan = rung.next_runs(made(3, np.random.default_rng(0)), budget=1e20, targets=[TARGET])
    assert [caution.code for caution in plan.cautions] == ["few_runs"]


def test_a_loss_that_has_no_logarithm_is_named():
    """And `--objective squares`, which no plan can take, is not advised."""
    runs = rung.read_runs(pl.DataFrame({"params": [1e7, 2e7], "tokens": [2e8, 4e8], "loss": [4.1, -3.8]}))
    with pytest.raises(PlanError, match=r'row 2: loss is -3\.8, .* Remove them: --where "loss > 0"'):
        rung.next_runs(runs, budget=1e20, targets=[TARGET])
