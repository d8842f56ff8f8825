"""Latent skills of families: planted worlds, the solver against a dense one, wrong input."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit

from rung.errors import SkillError
from rung.skill import Task, family_plan_of, predict_families
from rung.skill.family_blocks import solved
from rung.skill.latent import _blocks, _centre, _cost, fit_skills
from rung.skill.latent_effects import Effects, Measured, Scales

TASKS = [Task(name=f"t{index}", score=f"t{index}", chance=0.25 if index < 3 else 0.0) for index in range(6)]


def world(seed, *, families=14, sizes=(1e9, 3e9, 1e10, 7e10), noise=0.015, offset=0.15, second=0.5):
    """Models of families whose scores follow two skills."""
    rng = np.random.default_rng(seed)
    loadings = np.column_stack([rng.uniform(0.7, 1.3, 6), second * np.array([1, 1, 1, -1, -1, -1])])
    slopes = np.array([[0.8, 0.1], [0.4, 0.3]])
    rows, truth = [], []
    for family in range(families):
        skill, own = rng.normal(0, [0.5, 1.0]), rng.normal(0, offset, 6)
        tokens = 10 ** rng.uniform(11.5, 12.7)
        for size in sizes:
            x = np.array([np.log(size / 7e9) / 1.6, np.log(tokens / 1.5e12) / 0.9])
            share = expit(-0.3 + loadings @ (slopes.T @ x + skill) + own)
            chance = np.array([task.chance for task in TASKS])
            clean = chance + (1 - chance) * share
            truth.append(clean)
            rows.append({"family": f"f{family}", "params": size, "tokens": tokens, **dict(zip((task.name for task in TASKS), np.clip(clean + noise * rng.standard_normal(6), 0, 1), strict=True))})  # fmt: skip
    return pl.DataFrame(rows), np.array(truth)


def measured(seed=0, gaps=0.2):
    table, _ = world(seed, families=5, sizes=(1e9, 1e10))
    rng = np.random.default_rng(seed)
    scores = table.select(task.name for task in TASKS).to_numpy().copy()
    scores[rng.random(scores.shape) < gaps] = np.nan
    x = np.log(table.select("params", "tokens").to_numpy())
    family = np.unique(table["family"].to_list(), return_inverse=True)[1]
    chance = np.array([task.chance for task in TASKS])
    return Measured((x - x.mean(0)) / x.std(0), scores, family, chance)


class TestSolver:
    def test_the_gradient_is_that_of_half_the_cost(self):
        data, scales = measured(), Scales.first(6)
        rng = np.random.default_rng(1)
        effects = Effects(*(rng.normal(0, 0.5, shape) for shape in ((6,), (6, 2), (2, 2), (5, 2), (5, 6))))
        centre = _centre(data, effects)
        flat = np.concatenate([effects.shared(), effects.own().ravel()])
        size = len(effects.shared())

        def half(values):
            return _cost(data, effects.replaced(values[:size], values[size:].reshape(5, 8)), scales, centre) / 2

        blocks = _blocks(data, effects, scales, centre)
        found = np.concatenate([blocks.gradient, blocks.own_gradient.ravel()])
        assert found == pytest.approx(approx_fprime(flat, half, 1e-7), rel=1e-3, abs=1e-2)

    def test_blocks_are_solved_as_the_whole_matrix_is(self):
        data, scales = measured(), Scales.first(6)
        rng = np.random.default_rng(2)
        effects = Effects(*(rng.normal(0, 0.5, shape) for shape in ((6,), (6, 2), (2, 2), (5, 2), (5, 6))))
        blocks = _blocks(data, effects, scales, _centre(data, effects))
        size, own = len(blocks.gradient), blocks.own.shape[1]
        whole = np.zeros((size + 5 * own, size + 5 * own))
        whole[:size, :size] = blocks.shared
        for family in range(5):
            at = slice(size + family * own, size + (family + 1) * own)
            whole[:size, at], whole[at, :size], whole[at, at] = blocks.mixed[family], blocks.mixed[family].T, blocks.own[family]  # fmt: skip
        shared, step = solved(blocks, 0.1)
        damped = whole + 0.1 * np.diag(np.diag(whole))
        expected = -np.linalg.solve(damped, np.concatenate([blocks.gradient, blocks.own_gradient.ravel()]))
        assert np.concatenate([shared, step.ravel()]) == pytest.approx(expected, rel=1e-8)
        assert blocks.log_determinant() == pytest.approx(np.linalg.slogdet(whole)[1])
        variances = blocks.variances()
        assert np.concatenate([variances[0], variances[1].ravel()]) == pytest.approx(np.diag(np.linalg.inv(whole)))

    def test_draws_have_the_covariance_of_the_whole_matrix(self):
        data, scales = measured(), Scales.first(6)
        effects = fit_skills(data, [1]).effects
        blocks = _blocks(data, effects, scales, _centre(data, effects))
        rng = np.random.default_rng(3)
        shared = np.array([blocks.shared_draw(rng) for _ in range(4000)])
        own = np.array([blocks.own_draw(2, one, rng) for one in shared])
        expected = blocks.variances()
        assert shared.std(axis=0) == pytest.approx(np.sqrt(expected[0]), rel=0.1)
        assert own.std(axis=0) == pytest.approx(np.sqrt(expected[1][2]), rel=0.1)


class TestPlantedFamilies:
    def held_out(self, seed, **options):
        """Errors and coverage for the largest models of half the families, of which the smallest one is known."""
        table, truth = world(seed, **options)
        known = (pl.col("params") < 2e9) | ~pl.col("family").is_in([f"f{index}" for index in range(7)])
        plans = [{"N": n, "D": d, "family": f} for n, d, f in table.filter(~known).select("params", "tokens", "family").iter_rows()]  # fmt: skip
        at = table.with_row_index("at").filter(~known)["at"].to_list()
        found = predict_families(table.filter(known), TASKS, plans, family="family", check=False)
        value = np.array([[one.value for one in task.plans] for task in found.tasks]).T
        bounds = [np.array([[one.run_interval[end] for one in task.plans] for task in found.tasks]).T for end in (0, 1)]  # fmt: skip
        drawn = table.select(task.name for task in TASKS).to_numpy()[at]
        return np.abs(value - truth[at]).mean(), np.mean((bounds[0] <= drawn) & (drawn <= bounds[1])), found

    def test_larger_models_are_forecast_and_their_intervals_hold(self):
        errors, inside = zip(*(self.held_out(seed)[:2] for seed in range(8)), strict=True)
        assert np.mean(errors) < 0.035
        assert 0.83 <= np.mean(inside) <= 0.96

    def test_two_planted_skills_are_found_and_one_where_there_is_one(self):
        two = [self.held_out(seed)[2].skills for seed in range(5)]
        one = [self.held_out(seed, second=0.0)[2].skills for seed in range(5)]
        assert sum(number >= 2 for number in two) >= 4
        assert sum(number == 1 for number in one) >= 4

    def test_the_check_says_that_families_help(self):
        table, _ = world(0)
        checks = [one.check for one in predict_families(table, TASKS, [], family="family").tasks]
        assert np.mean([one.error for one in checks]) < 0.6 * np.mean([one.error_alone for one in checks])
        assert 0.8 <= np.mean([one.inside for one in checks]) <= 0.98
        assert checks[0].models == 14 * 3
        assert checks[0].families == 14

    def test_the_spread_of_families_is_the_planted_one(self):
        """Offsets shrunk towards 0 would say less."""
        found = []
        for seed in range(6):
            table, _ = world(seed, families=30, sizes=(1e9, 1e10), offset=0.3)
            x = np.log(table.select("params", "tokens").to_numpy())
            family = np.unique(table["family"].to_list(), return_inverse=True)[1]
            chance = np.array([task.chance for task in TASKS])
            scores = table.select(task.name for task in TASKS).to_numpy()
            data = Measured((x - x.mean(0)) / x.std(0), scores, family, chance)
            found.append(fit_skills(data, [2]).scales.offset.mean())
        assert np.mean(found) == pytest.approx(0.3, abs=0.06)

    def test_missing_scores_are_filled_by_the_skills_of_others(self):
        table, truth = world(1)
        rng = np.random.default_rng(0)
        gaps = rng.random((table.height, 6)) < 0.3
        torn = table.with_columns(pl.when(pl.Series(~gaps[:, index])).then(pl.col(task.name)).alias(task.name) for index, task in enumerate(TASKS))  # fmt: skip
        plans = [{"N": n, "D": d, "family": f} for n, d, f in table.select("params", "tokens", "family").iter_rows()]
        found = predict_families(torn, TASKS, plans, family="family", check=False)
        value = np.array([[one.value for one in task.plans] for task in found.tasks]).T
        assert np.abs(value - truth)[gaps].mean() < 0.02

    def test_a_family_without_models_is_told_and_widens_the_interval(self):
        table, _ = world(2)
        plans = [{"N": 7e10, "D": 1e12, "family": name} for name in ("f0", "nobody")]
        found = predict_families(table, TASKS, plans, family="family", check=False)
        known, unknown = (np.diff(one.run_interval)[0] for one in found.tasks[0].plans)
        assert unknown > 1.5 * known
        assert [one.code for one in found.warnings] == ["unknown_family"]

    def test_sizes_alone_do_where_there_are_no_tokens(self):
        table = world(3)[0].drop("tokens")
        found = predict_families(table, TASKS[:2], [{"N": 7e10, "family": "f1"}], family="family", check=False)
        assert found.plans[0].tokens is None
        with pytest.raises(SkillError, match="no column tokens"):
            predict_families(table, TASKS[:2], [{"N": 7e10, "D": 1e12, "family": "f1"}], family="family")

    def test_loadings_times_skills_are_the_spread_on_the_logit(self):
        data = measured(gaps=0.0)
        fitted = fit_skills(data, [2])
        loadings, leads = fitted.rotated()
        assert leads @ loadings.T == pytest.approx(fitted.effects.skills @ fitted.effects.loadings.T, abs=1e-8)
        skills = data.features @ fitted.effects.slopes + fitted.effects.skills[data.family]
        spread = np.cov((skills @ fitted.effects.loadings.T).T, bias=True)
        assert loadings @ loadings.T == pytest.approx(spread, abs=1e-8)
        assert np.linalg.norm(loadings[:, 0]) >= np.linalg.norm(loadings[:, 1])


def test_points_are_hundredths_of_the_ceiling():
    table, _ = world(0)
    percent = table.with_columns(pl.col(task.name) * 100 for task in TASKS)
    tasks = [replace(task, chance=100 * task.chance, ceiling=100.0) for task in TASKS]
    one, other = (predict_families(frame, asked, [], family="family").headline() for frame, asked in ((table, TASKS), (percent, tasks)))  # fmt: skip
    assert one == other


class TestWrongInput:
    def test_each_fault_has_its_message(self):
        table, _ = world(0)
        plan = [{"N": 7e10, "D": 1e12, "family": "f0"}]
        percent = table.with_columns(t0=100 * pl.col("t0"))
        for frame, tasks, plans, column, text in (
            (table, TASKS, plan, "famly", "Did you mean family"),
            (percent, TASKS, plan, "family", "If it is in percent"),
            (table, [Task(name="t0", score="t0", loss="t1")], plan, "family", "Leave out :t1"),
            (table, TASKS, [{"N": 7e10, "D": 1e12}], "family", "family=f0"),
            (table, TASKS, [{"N": 7e10, "family": "f0"}], "family", "D is missing"),
            (table.filter(pl.col("family") == "f0"), TASKS, plan, "family", "4 models of 4 size"),
            (table.with_columns(family=pl.lit("one")), TASKS, plan, "family", "one family"),
            (table.with_columns(t0=pl.lit(None, pl.Float64)), TASKS, plan, "family", "has 0 scores"),
        ):  # fmt: skip
            with pytest.raises(SkillError, match=text):
                predict_families(frame, tasks, plans, family=column)
        with pytest.raises(SkillError, match="1 to 6 skills"):
            predict_families(table, TASKS, plan, family="family", skills=9)

    def test_rows_without_a_size_are_named(self):
        table, _ = world(0)
        torn = table.with_columns(params=pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col("params")))
        (warning,) = predict_families(torn, TASKS, [], family="family", check=False).warnings
        assert "1 row without a usable number for params, tokens, family and a score is left out" in warning.text

    def test_one_family_is_asked_about_at_a_time(self):
        assert family_plan_of(["N=7B", "D=1T", "family=x"]) == {"N": 7e9, "D": 1e12, "family": "x"}
        with pytest.raises(SkillError, match="one family at a time"):
            family_plan_of(["family=a", "family=b"])
        with pytest.raises(SkillError, match="follow N and D"):
            family_plan_of(["C=1e22", "family=a"])
