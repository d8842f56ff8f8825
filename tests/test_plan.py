"""Decisions: allocation under a cost, the three approaches, price, learning rate and batch, and the next runs."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import PlanError
from rung.fitting.uncertainty import student_quantile
from rung.laws import law_book
from rung.planning.allocation.allocate import best_sizes
from rung.planning.allocation.optima import Optima
from rung.planning.allocation.problem import Limits, allocation_problem
from rung.planning.cost.cost_formula import evaluate_cost
from rung.planning.cost.hardware import Cluster, accelerator_named, hardware
from rung.planning.experiments.greedy_design import greedy_design
from rung.planning.experiments.predictive import ScaleDiscrepancy, predictive_of_estimate
from rung.planning.tuning.fitted_rules import fit_procedure, fit_surface
from rung.planning.tuning.published_rules import published_rules
from rung.planning.tuning.sweeps import Grid, regrets
from rung.planning.tuning.tune import round_batch, tune
from test_backtest import isoflop

LAW = "E + A / N^alpha + B / D^beta"
SERVING = "6*N*D + 2*N*2e12"


@pytest.fixture(scope="module")
def surface():
    """A fit of 1 % noise about a Chinchilla surface."""
    return rung.fit(isoflop(noise=0.005), LAW, draws=0)


def lowest(fit, flops, cost=lambda n, d: 6 * n * d, worth=lambda n, d: (n, d)):
    """The best size by brute force: sizes on a fine grid, tokens from the cost by bisection."""
    best = (np.inf, 0.0)
    for n in np.geomspace(1e6, 1e14, 4001):
        low, high = 0.0, 1e30
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if cost(n, middle) < flops else (low, middle)
        if low > 0:
            loss = float(fit.law.value(fit.values, dict(zip("ND", worth(n, low), strict=True))))
            best = min(best, (loss, n))
    return best


class TestAllocate:
    @pytest.mark.parametrize("cost", ["6*N*D", SERVING, "6*N*D + 1e12*N^0.9"])
    def test_no_size_of_a_fine_grid_is_better(self, surface, cost):
        said = rung.allocate(surface, flops=1e22, cost=cost)
        price = {
            "6*N*D": lambda n, d: 6 * n * d,
            SERVING: lambda n, d: 6 * n * d + 2 * n * 2e12,
            "6*N*D + 1e12*N^0.9": lambda n, d: 6 * n * d + 1e12 * n**0.9,
        }[cost]
        loss, size = lowest(surface, 1e22, price)
        assert said.loss <= loss * (1 + 1e-9)
        assert said.choices["params"].value == pytest.approx(size, rel=0.02)
        assert price(said.choices["params"].value, said.choices["tokens"].value) == pytest.approx(1e22, rel=1e-9)

    def test_the_closed_form_and_the_solver_agree(self, surface):
        closed = rung.allocate(surface, flops=1e22)
        solved = rung.allocate(surface, flops=1e22, max_params=1e15)
        assert closed.closed
        assert best_sizes(surface, np.array([1e22]))[0] == pytest.approx(closed.choices["params"].value, rel=1e-9)
        assert solved.choices == closed.choices

    @pytest.mark.parametrize(
        "limits",
        [
            {},
            {"cost": SERVING},
            {"tokens_per_param": 20.0},
            {"max_params": 3e9},
            {"unique_tokens": 2e10},
            {"cost": "6*N*D + 2*N*T", "T": 1e11},
        ],
    )
    def test_a_wish_and_its_cost_are_one_allocation(self, surface, limits):
        wished = rung.allocate(surface, loss=2.15, **limits)
        bought = rung.allocate(surface, flops=wished.budget, **limits)
        assert wished.loss == pytest.approx(2.15, rel=1e-9)
        for name, choice in wished.choices.items():
            assert bought.choices[name].value == pytest.approx(choice.value, rel=1e-5)
        if "unique_tokens" not in limits:
            point = {name: choice.value for name, choice in wished.choices.items()}
            assert rung.forecast(surface, **point).value == pytest.approx(2.15, rel=1e-9)

    def test_the_flat_region_is_where_the_loss_has_risen_by_the_tolerance(self, surface):
        said = rung.allocate(surface, flops=1e22, tolerance=0.002)
        for size in said.choices["params"].flat:
            loss = float(surface.law.value(surface.values, {"N": size, "D": 1e22 / 6 / size}))
            assert loss == pytest.approx(1.002 * said.loss, rel=1e-6)

    def test_the_best_of_sizes_that_can_be_built(self, surface):
        free = rung.allocate(surface, flops=1e22)
        sizes = [free.choices["params"].value * factor for factor in (0.1, 0.7, 3.0)]
        said = rung.allocate(surface, flops=1e22, sizes=sizes)
        assert said.choices["params"].value == pytest.approx(sizes[1])
        assert said.limited == ()
        assert said.choices["params"].flat == (said.choices["params"].value,) * 2
        best = free.choices["params"].value
        near = rung.allocate(surface, flops=1e22, sizes=[0.1 * best, 0.95 * best, best])
        assert near.choices["params"].flat == pytest.approx((0.95 * best, best))
        assert [one["params"] for one in said.sizes] == pytest.approx(sizes)
        for one in said.sizes:
            assert one["loss"] == pytest.approx(
                float(surface.law.value(surface.values, {"N": one["params"], "D": 1e22 / 6 / one["params"]})), rel=1e-9
            )
        assert "loss over the lowest" in str(said.describe())

    def test_repeats_are_worth_what_the_data_constrained_law_says(self, surface):
        scarce = rung.allocate(surface, flops=1e22, unique_tokens=1e10)
        ample = rung.allocate(surface, flops=1e22, unique_tokens=1e15)
        free = rung.allocate(surface, flops=1e22)
        assert ample.loss == pytest.approx(free.loss, rel=1e-9)
        assert scarce.loss > free.loss
        assert "repeats" in {finding.code for finding in scarce.warnings}
        # arXiv:2305.16264, equation 5, by hand at the answer.
        tokens = scarce.choices["tokens"].value
        seen = 1e10 * (1 + 15.387756 * (1 - np.exp(-(tokens / 1e10 - 1) / 15.387756)))
        alone = surface.law.value(surface.values, {"N": scarce.choices["params"].value, "D": seen})
        assert alone <= scarce.loss

    def test_repeats_extrapolate_as_far_as_what_is_trained_and_are_no_surer(self, surface):
        """Compute as for unique data, a wider interval, and the constants' own uncertainty in all of them."""
        free, scarce = (rung.allocate(surface, flops=1e23, unique_tokens=u) for u in (None, 1e10))
        assert scarce.extrapolation_factor == pytest.approx(free.extrapolation_factor)
        widths = [np.log(one.run_interval[1] / one.run_interval[0]) for one in (free, scarce)]
        assert widths[1] > widths[0]
        sizes = [
            np.log(one.choices["params"].interval[1] / one.choices["params"].interval[0]) for one in (free, scarce)
        ]
        assert sizes[1] > sizes[0]
        assert "many_epochs" in {finding.code for finding in scarce.warnings}
        mild = rung.allocate(surface, flops=1e22, unique_tokens=1e11)
        assert {"repeats", "many_epochs"} & {finding.code for finding in mild.warnings} <= {"repeats"}

    def test_any_law_of_the_book(self):
        rng = np.random.default_rng(0)
        runs = isoflop(noise=0.0)
        n, d = runs["params"].to_numpy(), runs["tokens"].to_numpy()
        loss = ((5e13 / n) ** (0.08 / 0.1) + 2e13 / d) ** 0.1 * np.exp(0.003 * rng.standard_normal(len(n)))
        fit = rung.fit(runs.with_columns(loss=pl.Series(loss)), "kaplan-nd", draws=0)
        said = rung.allocate(fit, flops=1e22)
        assert said.loss <= lowest(fit, 1e22)[0] * (1 + 1e-9)
        low, high = said.choices["params"].interval
        assert low < said.choices["params"].value < high

    def test_three_variables(self):
        rng = np.random.default_rng(0)
        n, v, d = np.exp(rng.uniform(np.log([[1e7], [1e6], [1e9]]), np.log([[1e9], [1e8], [1e11]]), (3, 80)))
        loss = 1.5 + 400 / n**0.35 + 30 / v**0.3 + 900 / d**0.33
        table = pl.DataFrame(
            {"params": n, "vocab": v, "tokens": d, "loss": loss * np.exp(0.002 * rng.standard_normal(80))}
        )
        fit = rung.fit(table, "E + A / N^alpha + V / vocab^gamma + B / D^beta", draws=0)
        said = rung.allocate(fit, flops=1e21, cost="6*(N + vocab)*D")
        chosen = {name: choice.value for name, choice in said.choices.items()}
        assert 6 * (chosen["params"] + chosen["vocab"]) * chosen["tokens"] == pytest.approx(1e21, rel=1e-9)
        for name in ("params", "vocab"):
            for factor in (0.9, 1.1):
                moved = {**chosen, name: chosen[name] * factor}
                moved["tokens"] = 1e21 / 6 / (moved["params"] + moved["vocab"])
                point = {"N": moved["params"], "vocab": moved["vocab"], "D": moved["tokens"]}
                assert fit.law.value(fit.values, point) > said.loss

    def test_a_fit_per_group(self):
        runs = isoflop(noise=0.003)
        both = pl.concat(
            [runs.with_columns(corpus=pl.lit("a")), runs.with_columns(corpus=pl.lit("b"), loss=pl.col("loss") * 1.1)]
        )
        fit = rung.fit(both, "E[corpus] + A[corpus] / N^alpha + B / D^beta", draws=0)
        sizes = [rung.allocate(fit, flops=1e22, corpus=corpus).choices["params"].value for corpus in "ab"]
        assert sizes[1] > sizes[0]

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"flops": 1e3}, "below the smallest run"),
            ({"loss": 0.5}, "lowest is .*irreducible"),
            ({"flops": 1e22, "cost": "6*N/D"}, "does not grow with D"),
            ({"flops": 1e22, "cost": "6*N"}, "does not depend on D"),
            ({"flops": 1e22, "cost": "6*N*D*x"}, "has x, which the law does not have"),
            ({"flops": 1e22, "cost": "6"}, "does not grow with any variable"),
            ({"flops": 1e22, "loss": 2.0}, "either a budget"),
            ({}, "either a budget"),
            ({"flops": -1.0}, "must be a positive number"),
            ({"flops": 1e22, "tolerance": 0.0}, "tolerance=?.?0 must"),
            ({"flops": 1e22, "sizes": [1e20]}, "none of the sizes"),
            ({"flops": 1e22, "tokens_per_param": 20.0, "max_params": 1e9}, "leaves nothing to choose"),
            ({"flops": 1e300}, "where the search ends"),
            ({"loss": float("nan")}, "not a finite number"),
            ({"loss": 2.0, "max_params": 1e8}, "under these limits"),
            ({"flops": 1e22, "U": 3.0}, "in neither the law"),
            ({"flops": 1e22, "N": 1e9, "D": 1e9}, "nothing to choose|does not grow"),
        ],
    )
    def test_an_impossible_allocation_says_why(self, surface, asked, said):
        with pytest.raises(PlanError, match=said):
            rung.allocate(surface, **asked)

    @pytest.mark.slow
    def test_the_interval_of_the_best_size_holds_it(self):
        truth = best_sizes(rung.fit(isoflop(noise=0.0), LAW, draws=0), np.array([3e23]))[0]
        held = 0
        for seed in range(60):
            fit = rung.fit(isoflop(noise=0.01, seed=seed), LAW, draws=0)
            low, high = rung.allocate(fit, flops=3e23).choices["params"].interval
            held += (low or 0) <= truth <= (high or np.inf)
        assert 48 <= held <= 59


class TestMixtureOfExperts:
    def test_the_cost_is_that_of_active_parameters(self):
        fit = rung.fit(isoflop(noise=0.0), LAW, draws=0)
        dense = rung.allocate(fit, flops=1e22)
        sparse = rung.allocate(fit, flops=1e21, active_share=0.1)
        # A tenth of the cost for each N and D: the same optimum for a tenth of the budget.
        assert sparse.choices["params"].value == pytest.approx(dense.choices["params"].value, rel=1e-6)
        assert sparse.choices["tokens"].value == pytest.approx(dense.choices["tokens"].value, rel=1e-6)
        assert "params_active" in sparse.summary()
        assert sparse.to_dict()["active_share"] == 0.1

    def test_a_share_is_a_share(self):
        fit = rung.fit(isoflop(noise=0.0), LAW, draws=0)
        with pytest.raises(PlanError, match="must lie between 0 and 1"):
            rung.allocate(fit, flops=1e22, active_share=37.0)

    @pytest.mark.parametrize("name", ["N_active", "params_active"])
    def test_a_run_computes_with_active_parameters_and_keeps_all(self, name):
        assert evaluate_cost("6*N*D", {"N": 671e9, name: 37e9, "D": 14.8e12}) == pytest.approx(6 * 37e9 * 14.8e12)

    def test_more_active_than_there_are(self):
        with pytest.raises(PlanError, match="of which it is a part"):
            evaluate_cost("6*N*D", {"N": 37e9, "N_active": 671e9, "D": 1e12})


class TestCost:
    def test_hours_money_and_energy(self):
        cluster = Cluster(
            accelerator=accelerator_named("h100-sxm"), count=100, utilisation=0.5, price=2.0, overhead=1.2
        )
        price = rung.cost(989e12 * 0.5 * 3600 * 1000, cluster, params=1e9)
        assert price.accelerator_hours == pytest.approx(1000)
        assert price.days == pytest.approx(1000 / 100 / 24)
        assert price.money == pytest.approx(2000)
        assert price.energy_kwh == pytest.approx(1000 * 0.7 * 1.2)
        assert price.state_bytes == 16e9
        assert price.least_accelerators == 1

    def test_every_published_accelerator_has_a_source(self):
        assert all(one.source and one.peak_flops > 1e13 and one.memory > 1e9 for one in hardware().values())

    def test_a_users_own(self, tmp_path):
        file = tmp_path / "own.toml"
        file.write_text("[mine]\npeak_flops = 1e14\nmemory = 24e9\nprice = 0.5\n")
        cluster = Cluster(accelerator=accelerator_named("mine", file))
        assert cluster.flops_of(money=10.0) == pytest.approx(20 * 3600 * 1e14 * 0.4)
        assert rung.cost(1e18, cluster).energy_kwh is None

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[mine]\npeak_flops = 1e14\n", "memory .* needed"),
            ("[mine]\npeak_flops = -1\nmemory = 1e9\n", "positive number"),
            ("[mine]\npeek = 1\n", "peek is not known"),
            ("mine = 3\n", "is not a table"),
            ("[mine", "not TOML"),
        ],
    )
    def test_a_wrong_file(self, tmp_path, text, said):
        file = tmp_path / "own.toml"
        file.write_text(text)
        with pytest.raises(PlanError, match=said):
            hardware(file)

    def test_hardware_that_does_not_exist(self):
        with pytest.raises(PlanError, match=r"no hardware 'h100'.*Did you mean"):
            accelerator_named("h100")

    @pytest.mark.parametrize("wrong", [{"count": 0}, {"utilisation": 1.5}, {"price": -1.0}, {"overhead": 0.5}])
    def test_a_cluster_that_cannot_be(self, wrong):
        with pytest.raises(PlanError):
            Cluster(accelerator=accelerator_named("h100-sxm"), **wrong)


def grids(noise=0.0, seed=0):
    """Sweeps whose best points follow power laws: bowls in log lr and log batch."""
    rng = np.random.default_rng(seed)
    found = []
    for params in (1e8, 3e8, 1e9):
        for tokens in (2e9, 1e10, 5e10):
            rate, batch = (part.ravel() for part in np.meshgrid(np.linspace(-9, -4.5, 12), np.linspace(10, 15, 11)))
            best = (np.log(3.0) - 0.7 * np.log(params) + 0.25 * np.log(tokens), 0.5 + 0.55 * np.log(tokens))
            rise = 0.004 * (rate - best[0]) ** 2 + 0.003 * (batch - best[1]) ** 2
            loss = 2.5 * (1 + rise) * np.exp(noise * rng.standard_normal(len(rise)))
            found.append(Grid(params=params, tokens=tokens, log_rate=rate, log_batch=batch, loss=loss))
    return found


def swept(parts):
    """Grids as a table of sweeps."""
    return pl.concat(
        pl.DataFrame({"lr": np.exp(g.log_rate), "batch_tokens": np.exp(g.log_batch), "loss": g.loss}).with_columns(
            params=pl.lit(g.params), tokens=pl.lit(g.tokens)
        )
        for g in parts
    )


class TestTune:
    @pytest.mark.parametrize("way", [fit_procedure, fit_surface])
    def test_a_planted_rule_is_found_by_its_regret(self, way):
        rule = way(grids(noise=2e-4))
        assert np.nanmax(regrets(grids(), rule)) < 1e-3

    @pytest.mark.parametrize("way", [fit_procedure, fit_surface])
    def test_sweeps_of_one_size_have_no_trend_in_it(self, way):
        """Sizes a hundredth apart, whose best rates differ by noise, would give any slope."""
        near = [replace(grid, params=2e9 * (1 + 0.01 * index)) for index, grid in enumerate(grids(noise=1e-3)[3:6])]
        rule = way(near)
        assert rule.rate[1] == 0
        assert rule.rate[2] == pytest.approx(0.25, abs=0.1)
        assert rule.propose(1e9, 1e10)[0] == pytest.approx(rule.propose(4e9, 1e10)[0])

    def test_narrow_sweeps_are_named(self):
        said = tune(
            rung.read_runs(swept(replace(grid, params=1e8) for grid in grids(noise=2e-4)[:3])), params=1e9, tokens=1e10
        )
        assert "narrow_sweeps" in {one.code for one in said.warnings}
        own = next(one for one in said.proposals if one.rule.startswith("own"))
        assert 1e-5 < own.lr < 0.1

    def test_active_parameters_enter_rules_by_compute_per_token(self):
        dense, sparse = (tune(params=1e9, tokens=2e10, params_active=active) for active in (None, 1e8))
        rates = [{one.rule: one.lr for one in said.proposals} for said in (dense, sparse)]
        assert rates[1]["deepseek"] == pytest.approx(0.3118 * (6 * 1e8 * 2e10) ** -0.125)
        assert rates[1]["step-law"] == rates[0]["step-law"]

    def test_regret_is_zero_at_the_best_point_of_a_grid(self):
        grid = grids()[4]
        best = int(np.argmin(grid.loss))
        assert grid.regret(np.exp(grid.log_rate[best]), np.exp(grid.log_batch[best])) == pytest.approx(0, abs=1e-12)
        assert np.isnan(grid.regret(10.0, 1e6))

    def test_batches_that_hardware_can_do(self):
        assert round_batch(700_000) == 2**19
        assert round_batch(700_000, 2048 * 64) == 5 * 2048 * 64
        assert round_batch(10.0, 2048) == 2048

    def test_the_published_law(self):
        said = tune(params=1e9, tokens=2e10)
        one = next(one for one in said.proposals if one.rule == "step-law")
        assert one.lr == pytest.approx(1.79 * 1e9**-0.713 * 2e10**0.307)
        assert one.batch_tokens == pytest.approx(0.58 * 2e10**0.571)

    def test_far_from_what_a_rule_was_fitted_on(self):
        said = tune(params=1e12, tokens=2e10)
        assert {finding.code for finding in said.warnings} == {"outside_range", "no_proposal"}
        assert {one.rule for one in said.proposals} == {"step-law", "deepseek"}
        assert "no_proposal" in {finding.code for finding in tune(params=1e300, tokens=2e10).warnings}

    def test_a_dense_mixture_of_experts(self):
        assert "active_params" in {c.code for c in tune(params=1e9, tokens=2e10, params_active=6e8).warnings}
        assert "active_params" not in {c.code for c in tune(params=1e9, tokens=2e10, params_active=1e8).warnings}

    def test_own_sweeps_are_scored_on_grids_left_out(self):
        said = tune(rung.read_runs(swept(grids(noise=2e-4))), params=2e9, tokens=1e11)
        assert said.grids == 9
        own = [one for one in said.scores if one.held_out]
        assert own[0].mean < 1e-3
        assert said.proposals[0].rule.startswith("own")
        json.dumps(said.to_dict(), allow_nan=False)

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({}, "state the run"),
            ({"params": 1e9}, "state the run"),
            ({"params": -1.0, "tokens": 1e9}, "positive"),
            ({"params": 1e9, "tokens": 1e9, "batch_step": 0.0}, "positive"),
        ],
    )
    def test_an_impossible_table_of_runs_says_why(self, asked, said):
        with pytest.raises(PlanError, match=said):
            tune(**asked)

    def test_a_table_without_a_grid(self):
        runs = rung.read_runs(
            pl.DataFrame({"params": [1e9], "tokens": [1e10], "lr": [1e-3], "batch_tokens": [1e6], "loss": [2.5]})
        )
        with pytest.raises(PlanError, match="no size and number of tokens"):
            tune(runs)

    def test_kaplan_has_no_law_of_batch(self):
        assert "stands in" in published_rules()["kaplan"].convention


class TestNext:
    def test_the_plan_keeps_the_budget_and_sharpens(self, surface):
        plan = rung.next_runs(surface, budget=1e21, decide=1e23)
        assert plan.spent <= 1e21
        assert plan.spent == pytest.approx(sum(one.cost for one in plan.runs))
        (target,) = plan.targets
        assert target.before[0] < target.after[0] < target.value < target.after[1] < target.before[1]
        spreads = [one.relative_se_after for one in plan.runs]
        assert spreads == sorted(spreads, reverse=True)

    def test_what_is_expected_comes_about(self, surface):
        """Make the planned runs, fit again: the interval shrinks about as far as was said."""
        plan = rung.next_runs(surface, budget=3e21, decide=1e23)
        made = pl.DataFrame([dict(one.inputs) for one in plan.runs])
        rng = np.random.default_rng(5)
        truth = rung.fit(isoflop(noise=0.0), LAW, draws=0)
        loss = truth.law.value(truth.values, {"N": made["params"].to_numpy(), "D": made["tokens"].to_numpy()})
        made = made.with_columns(loss=pl.Series(loss * np.exp(0.005 * rng.standard_normal(len(made)))))
        runs = isoflop(noise=0.005)
        after = rung.fit(pl.concat([runs.select(made.columns), made]), LAW, draws=0)
        low, high = rung.allocate(after, flops=1e23).choices["params"].interval
        (target,) = plan.targets
        assert np.log(high / low) == pytest.approx(np.log(target.after[1] / target.after[0]), rel=0.4)

    @pytest.mark.parametrize(
        ("asked", "most_left"), [({"targets": [{"N": 1e10, "D": 2e11}]}, 1.0), ({"decide": 1e23}, 0.8)]
    )
    def test_the_last_run_leaves_the_error_that_the_interval_shows(self, surface, asked, most_left):
        plan = rung.next_runs(surface, budget=3e21, **asked)
        (target,) = plan.targets
        before, after = (np.log(ends[1] / ends[0]) for ends in (target.before, target.after))
        assert after / before < most_left
        errors = [one.relative_se_after for one in plan.runs]
        wide = 2 * student_quantile(0.95, surface.rows - len(surface.coefficients))
        assert wide * errors[-1] == pytest.approx(after, rel=0.05)
        assert errors == sorted(errors, reverse=True)

    def test_a_target_within_the_budget_is_named(self, surface):
        plan = rung.next_runs(surface, budget=1e22, targets=[{"N": 1e9, "D": 2e10}])
        assert "target_affordable" in {one.code for one in plan.warnings}
        far = rung.next_runs(surface, budget=1e20, targets=[{"N": 1e11, "D": 2e12}])
        assert "target_affordable" not in {one.code for one in far.warnings}

    def test_a_level_is_that_of_the_intervals(self, surface):
        widths = [
            np.log(target.before[1] / target.before[0])
            for level in (0.5, 0.9)
            for target in rung.next_runs(surface, budget=1e21, decide=1e23, level=level).targets
        ]
        assert widths[0] < 0.6 * widths[1]

    def test_better_than_chance_at_the_same_cost(self, surface):
        pool = rung.read_runs(
            pl.DataFrame(
                {
                    "params": np.repeat(np.geomspace(1e7, 3e9, 20), 20),
                    "tokens": np.tile(np.geomspace(3e8, 1e11, 20), 20),
                }
            )
        )
        chosen = rung.next_runs(surface, budget=1e21, decide=1e23, pool=pool).targets[0]
        widths = []
        rng = np.random.default_rng(0)
        for _ in range(10):
            order = rng.permutation(len(pool))
            cost = 6 * pool.numbers("params")[order] * pool.numbers("tokens")[order]
            part = pool.take(np.isin(np.arange(len(pool)), order[np.cumsum(cost) <= 1e21]))
            if len(part):
                after = rung.next_runs(surface, budget=1e30, decide=1e23, pool=part, most=len(part)).targets[0].after
                widths.append(np.log(after[1] / after[0]))
        assert np.log(chosen.after[1] / chosen.after[0]) < min(widths)

    def test_from_nothing(self):
        box = {"N": (1e7, 1e9), "D": (1e8, 1e11)}
        plan = rung.next_runs("besiroglu-2024", budget=1e20, targets=[{"N": 7e10, "D": 1.4e12}], box=box)
        assert plan.prior == "besiroglu-2024"
        assert len({one.inputs["params"] for one in plan.runs}) >= 4
        assert plan.to_csv().startswith("params,tokens,cost\n")
        assert plan.to_ladder().count("[[rung]]") == len(plan.runs)

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"budget": 1e3, "decide": 1e23}, "affordable"),
            ({"budget": -1.0, "decide": 1e23}, "must be positive"),
            ({"budget": 1e21}, "what is to become sharper"),
            ({"budget": 1e21, "targets": [{"N": 1e9}]}, "missing D"),
            ({"budget": 1e21, "targets": [{"N": 1e9, "D": 1e9, "x": 1.0}]}, "unknown x"),
            ({"budget": 1e21, "decide": 1e23, "box": {"x": (1.0, 2.0)}}, "box has x"),
            ({"budget": 1e21, "decide": 1e23, "box": {"N": (2e9, 1e9)}}, "LOW:HIGH"),
            ({"budget": 1e21, "decide": 1e23, "most": 0}, "at least one"),
            ({"budget": 1e21, "decide": 1e23, "level": 90.0}, "between 0 and 1"),
            ({"budget": 1e21, "decide": 1e23, "noise": float("nan")}, "noise nan"),
            ({"budget": 1e21, "decide": -1.0}, "positive compute"),
        ],
    )
    def test_an_impossible_plan_says_why(self, surface, asked, said):
        with pytest.raises(PlanError, match=said):
            rung.next_runs(surface, **asked)

    @pytest.mark.parametrize(("law", "said"), [("nowhere", "no constants"), ("besiroglu-2024", "without runs")])
    def test_no_runs_and_no_law(self, law, said):
        with pytest.raises(PlanError, match=said):
            rung.next_runs(law, budget=1e20, targets=[{"N": 1e9, "D": 1e9}])


@pytest.fixture(scope="module")
def kept(surface, tmp_path_factory):
    """The same fit as a file."""
    file = tmp_path_factory.mktemp("plan") / "fit.json"
    surface.write(file)
    return file


class TestCommands:
    def test_allocate(self, command, kept):
        done = command("allocate", kept, "--days", 10, "--hardware", "h100-sxm", "--accelerators", 64, "--price", 2)
        assert done.returncode == 0, done.stderr
        assert "tokens per parameter" in done.stdout
        assert "10.0 days" in done.stdout
        said = json.loads(command("allocate", kept, "--flops", "1e22", "--json").stdout)
        assert said["budget"] == pytest.approx(1e22)

    def test_allocate_a_table(self, command, tmp_path):
        isoflop(noise=0.005).write_csv(tmp_path / "runs.csv")
        done = command("allocate", "runs.csv", "--flops", "1e22")
        assert done.returncode == 0, done.stderr
        assert "surface over all runs" in done.stdout
        assert "parabola's bottom" in done.stdout

    def test_next_writes_a_plan(self, command, kept, tmp_path):
        done = command("next", kept, "--budget", "1e21", "--decide", "1e23", "-o", "plan.csv")
        assert done.returncode == 0, done.stderr
        assert pl.read_csv(tmp_path / "plan.csv").columns == ["params", "tokens", "cost"]

    def test_next_takes_a_table_that_no_fit_could(self, command, tmp_path):
        """Three runs for five coefficients, in columns of the user's own names."""
        (tmp_path / "runs.csv").write_text("N,D,val_loss\n2e7,4e8,4.1\n4e7,1e9,3.62\n1e8,2e9,3.25\n")
        asked = ("next", "runs.csv", "--target", "val_loss", "--budget", "1e20", "--target", "N=1B,D=20B")
        done = command(*asked, "-o", "plan.csv")
        assert done.returncode == 0, done.stderr
        assert "3 runs for 5 coefficients" in done.stderr
        assert pl.read_csv(tmp_path / "plan.csv")["cost"].sum() <= 1e20
        assert "5 coefficients cannot be fitted to 3 rows" in command(*asked, "--objective", "log-huber").stderr

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("allocate", "FIT", "--flops", "1e3"), "below the smallest run"),
            (("allocate", "FIT", "--loss", "0.5"), "irreducible"),
            (("allocate", "FIT", "--flops", "1e22", "--loss", "2"), "one or the other"),
            (("allocate", "FIT", "--flops", "1e22", "--hours", "3"), "two budgets"),
            (("allocate", "FIT", "--hours", "3"), "needs a machine"),
            (("allocate", "FIT", "--money", "3", "--hardware", "h100-sxm"), "needs a price"),
            (("allocate", "FIT", "--flops", "1e22", "--hardware", "abacus"), "no hardware 'abacus'"),
            (("cost", "N=7B", "D=2T"), "name a machine"),
            (("cost", "--hardware", "h100-sxm"), "state what is trained"),
            (("cost", "N=7B", "--hardware", "h100-sxm"), "has D"),
            (("next", "FIT", "--budget", "1e3", "--decide", "1e23", "-o", "plan.toml"), "affordable"),
            (("next", "FIT", "--budget", "1e21", "--decide", "1e23", "-o", "plan.txt"), "use .csv (the runs)"),
            (("allocate", "FIT", "--flops", "1e22", "--where", "params > 1"), "is fitted already"),
            (("allocate", "FIT", "--flops", "1e22", "--price", "2"), "belong to a machine"),
            (("cost", "N=7B", "D=2T", "--hardware", "h100-sxm", "--accelerators", "2.5"), "no whole number"),
            (("tune",), "state the run"),
            (("tune", "N=1B", "x=3"), "does not describe a run here"),
        ],
    )
    def test_what_cannot_be_served(self, command, kept, tmp_path, arguments, said):
        done = command(*(kept if one == "FIT" else one for one in arguments))
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(tmp_path.iterdir())


class TestOptima:
    """The best point as a quantity of the coefficients: its derivatives are those of solving again."""

    @pytest.mark.parametrize(
        ("cost", "unique"), [("6*N*D", None), (SERVING, None), ("6*N*D", 5e9)], ids=["plain", "serving", "repeats"]
    )
    def test_derivatives(self, surface, cost, unique):
        task = allocation_problem(surface, cost, limits=Limits(unique_tokens=unique))
        budget, size = float(np.log(1e22)), len(task.theta)
        best = task.frontier.best(task.theta[None, :], np.array([budget]))[0]
        _, slopes = Optima(task.frontier, budget, best, task.indices, (0, 1)).evaluate(task.theta[None, :])
        for index in range(size):
            step = 1e-4 * np.eye(size)[index]
            ends = [task.frontier.best((task.theta + side * step)[None, :], np.array([budget]))[0] for side in (1, -1)]
            assert slopes[index, 0] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-3, abs=1e-6)

    def test_the_usable_size_of_one_exponent_is_the_published_one(self):
        """U (A / B)^(1 / alpha), arXiv:2305.16264, and with it the whole law of the book."""
        runs = isoflop(noise=0.002)
        loss = 1.7 + 480 / runs["params"] ** 0.35 + 900 / runs["tokens"] ** 0.35
        fit = rung.fit(runs.with_columns(loss=loss), "E + A / N^alpha + B / D^alpha", draws=0)
        task = allocation_problem(fit, limits=Limits(unique_tokens=1e9))
        v = fit.values
        usable = task.frontier.repeats.size
        assert np.exp(usable.log_size) == pytest.approx(1e9 * (v["A"] / v["B"]) ** (1 / v["alpha"]), rel=1e-9)
        slopes = dict(zip(fit.coefficients, usable.slopes, strict=True))
        assert slopes["A"] == pytest.approx(1 / v["alpha"], rel=1e-5)
        assert slopes["E"] == pytest.approx(0, abs=1e-6)
        said = rung.allocate(fit, flops=1e22, unique_tokens=1e9)
        entry = law_book()["muennighoff-2023"]
        point = {"N": said.choices["params"].value, "D": said.choices["tokens"].value, "U": 1e9}
        constants = {**v, "RN": entry.constants["RN"], "RD": entry.constants["RD"]}
        assert said.loss == pytest.approx(float(entry.law.value(constants, point)), rel=1e-9)

    def test_repeats_do_not_make_it_surer(self, surface):
        """The size that the tokens can use is itself uncertain: held still, the interval would be a tenth as wide."""
        low, high = rung.allocate(surface, flops=1e23, unique_tokens=5e9).choices["params"].interval
        free_low, free_high = rung.allocate(surface, flops=1e23).choices["params"].interval
        assert np.log(high / low) > 0.2 * np.log(free_high / free_low)


class TestGreedyDesign:
    """Against the covariance that all rows together leave, inverted whole."""

    noise = 0.04

    def predictive(self, count=6, discrepancy=0.0, target=-np.inf, noise=noise):
        rng = np.random.default_rng(0)
        root = rng.standard_normal((3, 3))
        slopes = np.column_stack([np.random.default_rng(1).standard_normal((3, count)), [1.0, 0.5, -0.3]])
        sizes = np.linspace(-3, 2, count)
        return predictive_of_estimate(
            np.zeros(count + 1),
            slopes,
            root @ root.T,
            noise=noise,
            degrees=10,
            scale_discrepancy=ScaleDiscrepancy(
                variance=discrepancy, largest=0.0, candidates=sizes, targets=np.array([target])
            ),
        )

    def left(self, predictive, chosen):
        """Variance of the target after some runs."""
        covariance = predictive.prior_RX.T @ predictive.prior_RX
        S = covariance[np.ix_(chosen, chosen)] + self.noise * np.eye(len(chosen))
        moved = covariance[-1, chosen]
        return covariance[-1, -1] - moved @ np.linalg.solve(S, moved)

    def test_what_is_left_is_what_all_rows_together_leave(self):
        predictive = self.predictive()
        plan = greedy_design([predictive], np.ones(6), 10.0, 0.0, 4)
        assert plan.coefficients[1] == pytest.approx(self.left(predictive, plan.selected), rel=1e-9)
        assert len(plan.selected) == 4

    def test_the_first_run_is_the_best_single_one(self):
        predictive = self.predictive()
        assert greedy_design([predictive], np.ones(6), 10.0, 0.0, 1).selected[0] == np.argmin(
            [self.left(predictive, [at]) for at in range(6)]
        )

    def test_a_larger_run_shortens_the_way(self):
        predictive = self.predictive(discrepancy=50.0, target=10.0)
        plan = greedy_design([predictive], np.ones(6), 1.0, 0.0, 1)
        assert plan.selected[0] == np.argmax(predictive.scale_discrepancy.candidates)
        assert plan.discrepancy[0] - plan.discrepancy[1] == pytest.approx(50.0 * 2.0)

    def test_the_budget_is_kept(self):
        costs = np.array([3.0, 2.0, 2.0, 5.0, 1.0, 1.0])
        plan = greedy_design([self.predictive()], costs, 4.0, 0.5, 10)
        assert costs[plan.selected].sum() <= 4

    def test_what_several_losses_of_a_run_tell_adds_up(self):
        """A quantity that is measured without noise decides, beside one that says nothing."""
        alone = greedy_design([self.predictive()], np.ones(6), 10.0, 0.0, 3)
        beside = greedy_design([self.predictive(noise=1e9), self.predictive()], np.ones(6), 10.0, 0.0, 3)
        assert list(beside.selected) == list(alone.selected)

    def test_from_the_book_an_interval_is_as_wide_as_is_assumed(self):
        """Exponents and the floor known to a fifth, the rest to a factor of e, one standard deviation each."""
        entry = law_book()["besiroglu-2024"]
        point = {"N": 7e10, "D": 1.4e12}
        plan = rung.next_runs(
            "besiroglu-2024", budget=1e20, targets=[point], box={"N": (1e7, 1e9), "D": (1e8, 1e11)}, most=1
        )
        columns = {name: np.array([value]) for name, value in point.items()}
        gradient = entry.law.gradient(entry.constants, columns)
        loss = float(entry.law.value(entry.constants, point))
        spreads = {"E": 0.2, "alpha": 0.2, "beta": 0.2, "A": 1.0, "B": 1.0}
        variance = sum((gradient[name][0] * entry.constants[name] * spreads[name] / loss) ** 2 for name in spreads)
        low, high = plan.targets[0].before
        assert np.log(high / low) / 2 == pytest.approx(1.645 * np.sqrt(variance), rel=1e-3)


class TestSensiblePlans:
    """What a plan proposes by default, and what it says where it buys nothing."""

    def test_no_corners(self, surface):
        plan = rung.next_runs(surface, budget=1e22, targets=[{"N": 7e9, "D": 2e11}], most=20)
        ratio = surface.table.columns["D"] / surface.table.columns["N"]
        low, high = np.quantile(ratio, [0.05, 0.95])
        low, high = min(low, 2e11 / 7e9) / 2, max(high, 2e11 / 7e9) * 2
        found = [one.inputs["tokens"] / one.inputs["params"] for one in plan.runs]
        assert low * 0.999 <= min(found)
        assert max(found) <= high * 1.001
        assert "10x its largest, D / N from" in plan.headline()

    def test_the_interval_now_is_that_of_the_forecast(self, surface):
        plan = rung.next_runs(surface, budget=1e23, targets=[{"N": 7e10, "D": 1.4e12}], most=3)
        now = rung.forecast(surface, N=7e10, D=1.4e12).run_interval
        assert plan.targets[0].before == pytest.approx(now, rel=1e-9)
        low, high = plan.targets[0].after
        assert now[0] < low < high < now[1]

    def test_a_target_that_the_runs_leave_open_is_named(self, surface):
        params = np.geomspace(1e7, 3.2e8, 6)
        one_line = {"params": params, "tokens": 20 * params, "loss": [4.2, 3.9, 3.65, 3.42, 3.22, 3.05]}
        open_ = rung.next_runs(rung.fit(pl.DataFrame(one_line), draws=0), budget=1e20, decide=1e24, most=3)
        assert "undetermined_target" in {finding.code for finding in open_.warnings}
        determined = rung.next_runs(surface, budget=1e23, decide=1e24, most=3)
        assert "undetermined_target" not in {finding.code for finding in determined.warnings}

    def test_a_budget_that_buys_nothing_is_named(self, surface):
        small = rung.next_runs(surface, budget=2e17, targets=[{"N": 7e11, "D": 1.4e13}], most=50)
        assert "little_gain" in {finding.code for finding in small.warnings}
        large = rung.next_runs(surface, budget=1e25, targets=[{"N": 7e11, "D": 1.4e13}], most=3)
        assert "little_gain" not in {finding.code for finding in large.warnings}
