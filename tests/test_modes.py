"""What few runs say of a law: the law's error, the modes, and the belief they leave."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import PlanError
from rung.fit import Modes, few_design, find_modes, make_problem, misfit_around, objective_named, variance_of
from rung.fit.misfit import GROWTH, LENGTH
from rung.laws import find_law
from rung.plan.belief import belief_of_modes
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
    return find_modes(problem, misfit, watched, np.random.default_rng(seed))


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
            spread_KK=root @ root.T,
            noise=0.01,
            share=0.6,
            inflation=np.array([1.0, 1.0, 4.0, 1.0, 1.0]),
            degrees=3,
        )
        belief = belief_of_modes(modes, problem, misfit, ahead, 1)
        everywhere = {name: np.append(problem.design.columns[name], ahead[name]) for name in ahead}
        value, slopes = (
            part[0] if part.ndim == 2 else part[:, 0]
            for part in problem.design.at(everywhere, {}).workspace(law(), "log", 1).evaluate(modes.internal_PK)
        )
        total = slopes.T @ modes.spread_KK @ slopes + 0.01 * 0.6 * misfit.between(misfit)
        about = total[:5, :5] + np.diag(0.01 * 0.4 * modes.inflation)
        exact = total[5:, 5:] - total[5:, :5] @ np.linalg.solve(about, total[:5, 5:])
        assert belief.variance() == pytest.approx(np.diag(exact), rel=1e-4)
        assert belief.with_point(1) == pytest.approx(exact[:, 1], rel=1e-4, abs=1e-6)
        shared = 0.01 * 0.6 * misfit.between(misfit)
        rows = 0.01 * variance_of(misfit.between(misfit)[:5, :5], 0.6, modes.inflation)
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
        alone = [
            belief_of_modes(replace(one, internal_PK=point[None, :], weights=np.ones(1)), problem, misfit, ahead, 1)
            for point in pair
        ]
        both = belief_of_modes(replace(one, internal_PK=pair, weights=weights), problem, misfit, ahead, 1)
        means = np.array([belief.mean for belief in alone])
        within = weights @ np.array([belief.variance() for belief in alone])
        assert np.ptp(means[:, 1]) > 1e-4
        assert both.variance() == pytest.approx(within + weights @ (means - weights @ means) ** 2, rel=1e-6)

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
    def test_run_after_run_beats_chance(self):
        """Twelve tables: four runs, then one after another for 1 % of the pool's cost, by plan and by chance."""
        errors = {"plan": [], "chance": []}
        grid = np.stack(np.meshgrid(np.geomspace(2e7, 1e9, 8), np.geomspace(4e8, 2e10, 8)), axis=-1).reshape(-1, 2)
        truth = float(law().value(TRUTH, TARGET))
        for seed in range(12):
            rng = np.random.default_rng(seed)
            loss = law().value(TRUTH, {"N": grid[:, 0], "D": grid[:, 1]}) * np.exp(0.01 * rng.standard_normal(64))
            table = pl.DataFrame({"params": grid[:, 0], "tokens": grid[:, 1], "loss": loss})
            cost = 6 * grid[:, 0] * grid[:, 1]
            first = np.argsort(cost)[:4]
            for way, found in errors.items():
                taken, left = list(first), 0.01 * cost.sum()
                while True:
                    rest = [at for at in range(64) if at not in taken and cost[at] <= left]
                    if not rest:
                        break
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
                found.append(np.log(said.targets[0].value / truth))
        spread = {way: float(np.sqrt(np.mean(np.square(found)))) for way, found in errors.items()}
        assert spread["plan"] < 0.7 * spread["chance"]


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


def test_few_runs_are_said():
    plan = rung.next_runs(made(3, np.random.default_rng(0)), budget=1e20, targets=[TARGET])
    assert [caution.code for caution in plan.cautions] == ["few_runs"]
