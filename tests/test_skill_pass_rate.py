"""Pass rates: the unbiased estimate, exact bounds, the law by likelihood, and tables that cannot be served."""

import json

import numpy as np
import polars as pl
import pytest

from rung.errors import SkillError
from rung.skill import PassCount, PassTable, fit_pass_law, growth_of, pass_rates, pass_until, read_attempts

SIZES = (1e8, 2e8, 4e8, 8e8)


def counts(rng, rate, *, items=60, attempts=200, sizes=SIZES, until=None, cap=20_000):
    """A table of attempts at items with pass rates rate(item, N)."""
    rows = []
    for params in sizes:
        for item in range(items):
            p = rate(item, params)
            if until:
                count = pass_until(lambda p=p: rng.random() < p, passes=until, cap=cap)
                rows.append((f"i{item}", params, count.passes, count.attempts, count.until or 0))
            else:
                rows.append((f"i{item}", params, rng.binomial(attempts, p), attempts, 0))
    return pl.DataFrame(rows, schema=["item", "params", "passes", "attempts", "until"], orient="row")


def line(levels, alpha=0.35, bend=0.0):
    def rate(item, params):
        x = np.log(params / 3e8)
        return float(np.exp(-np.exp(levels[item] - alpha * x + bend * x**2)))

    return rate


class TestEstimate:
    def test_it_is_unbiased_where_the_published_one_is_twice_too_high(self):
        rng = np.random.default_rng(0)
        attempts = rng.negative_binomial(2, 0.01, 20_000) + 2
        ours = np.mean([PassCount(passes=2, attempts=int(k), until=2).rate for k in attempts])
        assert ours == pytest.approx(0.01, rel=0.03)
        assert np.mean(2 / attempts) > 0.018

    def test_the_exact_interval_covers(self):
        rng = np.random.default_rng(1)
        bounds = [PassCount(passes=2, attempts=int(k), until=2).interval(0.9) for k in rng.negative_binomial(2, 0.05, 3000) + 2]  # fmt: skip
        assert np.mean([low <= 0.05 <= high for low, high in bounds]) == pytest.approx(0.9, abs=0.03)

    def test_an_item_that_never_passed_has_a_bound_and_is_no_zero(self):
        count = pass_until(lambda: False, passes=2, cap=1000)
        assert count.censored
        assert count.interval(0.9)[1] == pytest.approx(1 - 0.05 ** (1 / 1000))

    def test_a_sampler_that_raises_is_named_with_the_attempt(self):
        outcomes = iter([True, False])

        def sampler():
            try:
                return next(outcomes)
            except StopIteration:
                raise TimeoutError("no answer") from None

        with pytest.raises(SkillError, match=r"TimeoutError at attempt 3, after 1 passes: no answer"):
            pass_until(sampler)

    def test_a_sampler_that_gives_text_is_refused(self):
        with pytest.raises(SkillError, match="True or False"):
            pass_until(lambda: "yes")


class TestLaw:
    def test_many_attempts_at_one_item_give_the_line_through_its_rates(self):
        levels = np.log(-np.log([0.2]))
        rows = [("i", n, round(1e6 * line(levels)(0, n)), 10**6) for n in SIZES]
        law = fit_pass_law(read_attempts(pl.DataFrame(rows, schema=["item", "params", "passes", "attempts"], orient="row")))  # fmt: skip
        assert law.rate(3.2e9) == pytest.approx(line(levels)(0, 3.2e9), rel=0.02)

    def test_the_likelihood_is_that_of_numerical_integration(self):
        """The adaptive nodes against a fine grid of both coefficients of an item."""
        from scipy.stats import norm

        from rung.skill.pass_law import _log_likelihood

        rng = np.random.default_rng(2)
        frame = counts(rng, line(rng.normal(0.6, 0.8, 8)), items=8, attempts=40)
        table = read_attempts(frame.sort("item"))
        theta = np.array([0.5, 0.0, np.log(0.8), 0.4, np.log(0.1), 0.02])
        a, s = (
            one.ravel() for one in np.meshgrid(np.linspace(-6, 6, 1201), np.linspace(-0.2, 1.0, 121), indexing="ij")
        )
        weight = norm.pdf(a, 0.5, 0.8) * norm.pdf(s, 0.4, 0.1) * 0.01 * 0.01
        total = 0.0
        for item in range(8):
            rows = table.item == item
            x = np.log(table.params[rows] / 3e8)[:, None]
            p = np.exp(-np.exp(a - s * x + 0.02 * x**2))
            passed, tried = table.passes[rows][:, None], table.attempts[rows][:, None]
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.where(passed > 0, passed * np.log(p), 0) + np.where(tried > passed, (tried - passed) * np.log1p(-p), 0)  # fmt: skip
            total += np.log(np.sum(weight * np.exp(logs.sum(axis=0))))
        assert _log_likelihood(theta, table, 3e8, np.zeros(8)) == pytest.approx(total, abs=0.02)

    def test_a_held_out_size_is_forecast_where_items_never_passed(self):
        rng = np.random.default_rng(3)
        levels = rng.normal(1.3, 0.7, 80)
        frame = counts(rng, line(levels), items=80, until=2, cap=3000)
        found = pass_rates(frame, [2.4e9])
        truth = np.mean([line(levels)(item, 2.4e9) for item in range(80)])
        assert found.sizes[0].never > 10
        assert found.forecasts[0][1] == pytest.approx(truth, rel=0.15)
        assert found.forecasts[0][2] < truth < found.forecasts[0][3]

    def test_the_loss_of_right_answers_helps_where_nothing_passed(self):
        rng = np.random.default_rng(4)
        levels = rng.normal(1.9, 0.9, 60)
        frame = counts(rng, line(levels), items=60, attempts=15)
        loss = pl.DataFrame({"item": [f"i{i}" for i in range(60)], "loss": levels + 0.1 * rng.standard_normal(60)})
        plain, assisted = (pass_rates(one) for one in (frame, frame.join(loss, on="item")))
        truth = np.array([line(levels)(item, 3.2e9) for item in range(60)])
        alike = [np.corrcoef(one.law.by_item(3.2e9), truth)[0, 1] for one in (plain, assisted)]
        assert assisted.assisted
        assert 1 - alike[1] < 0.5 * (1 - alike[0])

    @pytest.mark.parametrize(("bend", "verdict"), [(0.0, "as expected"), (-0.12, "accelerated"), (0.12, "slower")])
    def test_growth_is_told_from_its_curvature(self, bend, verdict):
        rng = np.random.default_rng(5)
        levels = rng.normal(0.5, 0.8, 120)
        table = read_attempts(counts(rng, line(levels, bend=bend), items=120, attempts=2000, sizes=(5e7, 1e8, 3e8, 1e9, 2e9)))  # fmt: skip
        assert growth_of(table)[0] == verdict

    def test_few_attempts_at_few_items_leave_growth_undetermined(self):
        verdicts = []
        for seed in range(8):
            rng = np.random.default_rng(seed)
            table = read_attempts(counts(rng, line(rng.normal(0.5, 0.5, 8)), items=8, attempts=15))
            verdicts.append(growth_of(table)[0])
        assert verdicts.count("undetermined") >= 5

    def test_two_sizes_leave_growth_undetermined(self):
        rng = np.random.default_rng(6)
        table = read_attempts(counts(rng, line(rng.normal(0.5, 0.5, 20)), items=20, sizes=SIZES[:2]))
        assert growth_of(table) == ("undetermined", None)


class TestDoors:
    def test_one_row_per_attempt_gives_the_same_as_counts(self, tmp_path, command):
        rows = [(f"i{i}", n, int(k < 3 + i)) for i in range(5) for n in (1e8, 1e9) for k in range(20)]
        long = pl.DataFrame(rows, schema=["item", "params", "passed"], orient="row")
        long.write_csv(tmp_path / "long.csv")
        short = long.group_by("item", "params", maintain_order=True).agg(
            passes=pl.col("passed").sum(), attempts=pl.len()
        )
        short.write_csv(tmp_path / "short.csv")
        command("skill", "pass-rate", "short.csv", "N=4B", "--figure", "p.svg")
        assert "pass rate" in (tmp_path / "p.svg").read_text()
        one, other = (json.loads(command("skill", "pass-rate", name, "N=4B", "--json").stdout) for name in ("long.csv", "short.csv"))  # fmt: skip
        assert one == other
        assert isinstance(read_attempts(short), PassTable)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"passes": [3, 0]}, "more passes than attempts"),
            ({"passes": ["yes", "no"]}, "row 1: passes is 'yes'"),
            ({"passes": [1, None]}, "row 2: passes is None"),
            ({"passes": [0.3, 0.1]}, "give counts, not rates"),
            ({"passes": [0, 0]}, "no attempt of the frame passed"),
            ({"params": [1e8, 1e8]}, "needs 2 or more"),
            ({"item": ["a", "a"], "params": [1e8, 1e8]}, "stands twice"),
        ],
    )
    def test_counts_that_cannot_be_are_refused(self, change, said):
        rows = {"item": ["a", "b"], "params": [1e8, 1e9], "passes": [1, 1], "attempts": [2, 2]} | change
        with pytest.raises(SkillError) as refused:
            pass_rates(pl.DataFrame(rows))
        assert said in refused.value.text

    def test_a_size_far_beyond_is_warned_of(self):
        rows = {"item": ["a", "b"] * 2, "params": [1e8, 1e8, 1e9, 1e9], "passes": [1, 1, 5, 3], "attempts": [10] * 4}
        assert "far_scores" in {one.code for one in pass_rates(pl.DataFrame(rows), [1e12]).warnings}
