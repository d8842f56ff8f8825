"""What treatments are worth: planted multipliers, intervals, refusals, and the command."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import WorthError
from rung.worth import effects

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from effects import DESIGNS, ladder, loss, needed, treated

SIZE, TOKENS = 1e8, 2e9


@pytest.fixture(scope="module")
def exact():
    """A ladder without noise."""
    params, tokens = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(2e8, 2e10, 6)))
    return rung.fit(pl.DataFrame({"params": params, "tokens": tokens, "loss": loss(params, tokens)}), draws=50)


def rows(*given):
    return pl.DataFrame(
        [{"params": SIZE, "tokens": TOKENS, "treatment": "new", **row} for row in given], infer_schema_length=None
    )


class TestPlanted:
    @pytest.mark.parametrize("multiplier", [0.5, 1.0, 2.5])
    def test_the_multipliers_of_a_loss_without_noise_are_those_of_the_law(self, exact, multiplier):
        one = effects(exact, rows({"loss": loss(multiplier * SIZE, TOKENS)})).effects[0]
        wanted = needed(SIZE, TOKENS, multiplier)
        plain = needed(SIZE, TOKENS, 1.0)["own"]
        assert one.multipliers["size"].value == pytest.approx(multiplier, rel=1e-4)
        assert one.multipliers["data"].value == pytest.approx(wanted["data"], rel=1e-3)
        assert one.multipliers["compute"].value == pytest.approx(wanted["compute"] * plain, rel=1e-3)
        assert one.effective_size.value == pytest.approx(multiplier * SIZE, rel=1e-4)

    def test_a_control_of_its_own_is_what_multipliers_are_over(self, exact):
        table = rows(
            {"loss": loss(3 * SIZE, TOKENS), "before": "old"}, {"treatment": "old", "loss": loss(1.5 * SIZE, TOKENS)}
        )
        one = effects(exact, table).effects[0]
        assert one.multipliers["size"].value == pytest.approx(2.0, rel=1e-4)
        ratio = needed(SIZE, TOKENS, 3.0)["compute"] / needed(SIZE, TOKENS, 1.5)["compute"]
        assert one.multipliers["compute"].value == pytest.approx(ratio, rel=1e-3)
        assert one.before == pytest.approx(loss(1.5 * SIZE, TOKENS))
        assert "no_cost" in {finding.code for finding in effects(exact, table).warnings}

    def test_what_a_treatment_cost_lowers_its_multiplier_of_compute(self, exact):
        free, dear = (
            effects(exact, rows({"loss": loss(2 * SIZE, TOKENS), "treatment_flops": cost})).effects[0]
            for cost in (0.0, 3 * SIZE * TOKENS)
        )
        assert dear.multipliers["compute"].value == pytest.approx(free.multipliers["compute"].value / 1.5, rel=1e-9)
        assert dear.multipliers["size"].value == free.multipliers["size"].value

    def test_densities_are_over_what_is_active_stored_and_not_zero(self, exact):
        one = effects(
            exact,
            rows({"loss": loss(SIZE / 2, TOKENS), "params_nonzero": SIZE / 4, "params_active": SIZE / 2, "bits": 4.0}),
        ).effects[0]
        found = {name: worth.value for name, worth in one.densities.items()}
        wanted = {"params": 0.5, "active params": 1.0, "nonzero params": 2.0, "stored bits": 2.0}
        assert found == pytest.approx(wanted, rel=1e-4)

    @pytest.mark.parametrize(("exponent", "verdict"), [(0.2, "grows"), (-0.2, "shrinks"), (0.0, "no change seen")])
    def test_how_a_multiplier_changes_with_size_is_told_from_three_sizes(self, exponent, verdict):
        fit = ladder(np.random.default_rng(1))
        sizes = np.geomspace(2e7, 5e8, 5)
        rng = np.random.default_rng(2)
        table = pl.concat(
            [
                rows(*({"params": size, "seed": str(seed), "loss": value} for seed, value in enumerate(
                    loss(1.5 * (size / 1e8) ** exponent * size, TOKENS) * np.exp(0.001 * rng.standard_normal(3))
                )))
                for size in sizes
            ]
        )  # fmt: skip
        (slope,) = effects(fit, table).slopes
        assert (slope.sizes, slope.verdict) == (5, verdict)
        assert slope.slope.interval[0] <= exponent <= slope.slope.interval[1]

    def test_one_size_says_nothing_of_others(self, exact):
        found = effects(exact, rows({"loss": loss(2 * SIZE, TOKENS)}))
        assert found.slopes[0].slope is None
        assert "measured at one size, which says nothing of other sizes" in str(found.describe().text())


class TestIntervals:
    def test_chance_that_seeds_share_is_not_in_the_interval(self):
        fit = ladder(np.random.default_rng(3))
        common, own = np.exp([0.02, -0.02, 0.01]), np.exp([0.001, -0.002, 0.0])
        widths = []
        for prefix in ("s", "c"):
            table = rows(
                *(
                    {"seed": f"s{seed}", "loss": loss(1.5 * SIZE, TOKENS) * value, "before": "plain"}
                    for seed, value in enumerate(common * own)
                ),
                *(
                    {"seed": f"{prefix}{seed}", "loss": loss(SIZE, TOKENS) * value, "treatment": "plain"}
                    for seed, value in enumerate(common)
                ),
            )
            low, high = effects(fit, table).effects[0].multipliers["size"].interval
            widths.append(np.log(high / low))
        assert widths[0] < 0.5 * widths[1]

    def test_a_model_that_was_made_from_its_control_shares_its_chance(self):
        fit = ladder(np.random.default_rng(3))
        table = rows(
            {"loss": loss(1.5 * SIZE, TOKENS), "seed": "0"},
            {"loss": loss(SIZE, TOKENS), "treatment": "plain", "seed": "0"},
        )
        found = {name: effects(fit, table, **{name: "plain"}) for name in ("before", "made_from")}
        apart, shared = (np.log(one.effects[0].multipliers["size"].interval) for one in found.values())
        assert np.diff(shared) < 0.5 * np.diff(apart)
        assert [finding.code for finding in found["made_from"].warnings] == ["single_pair", "no_cost"]
        with pytest.raises(WorthError, match="name one control"):
            effects(fit, table, before="plain", made_from="plain")

    @pytest.mark.slow
    def test_intervals_hold_planted_multipliers(self):
        inside = {design: [] for design in DESIGNS}
        for repeat in range(60):
            rng = np.random.default_rng([11, repeat])
            fit = ladder(rng)
            for design in DESIGNS:
                multiplier = float(rng.choice([0.6, 1.5, 2.5]))
                low, high = effects(fit, treated(design, SIZE, multiplier, rng)).effects[0].multipliers["size"].interval
                inside[design].append(low <= multiplier <= high)
        # 60 repeats: a coverage of 0.9 lies above 0.8 in 99 of 100 tries.
        assert all(np.mean(found) > 0.8 for found in inside.values()), inside


class TestRefused:
    def test_a_loss_below_the_floor_and_one_far_beyond_the_ladder_have_no_worth(self, exact):
        found = effects(exact, rows({"loss": 1.5}, {"treatment": "far", "loss": loss(5e10, TOKENS)})).effects
        assert "lies below what the ladder reaches with any size" in found[0].refused
        assert "more than 10 times beyond the ladder's sizes" in found[1].refused
        assert not found[0].multipliers
        assert found[1].effective_size is None

    def test_a_size_outside_the_ladder_is_named(self, exact):
        found = effects(exact, rows({"loss": loss(3e9, TOKENS)}))
        assert "outside_ladder" in {one.code for one in found.warnings}

    def test_a_ladder_of_two_sizes(self):
        params, tokens = (grid.ravel() for grid in np.meshgrid([1e7, 1e9], np.geomspace(2e8, 2e10, 8)))
        fit = rung.fit(
            pl.DataFrame({"params": params, "tokens": tokens, "loss": loss(params, tokens)}),
            "E + A / N^alpha + B / D^beta",
            draws=20,
        )
        with pytest.raises(WorthError, match="2 sizes, and an exponent in N needs 3 or more"):
            effects(fit, rows({"loss": 3.0}))

    def test_what_is_missing_or_misspelt(self, exact):
        table = rows({"loss": 3.0, "before": "odl"}, {"treatment": "old", "loss": 3.1})
        with pytest.raises(WorthError, match=r"the control 'odl' is none of its rows\. Did you mean old"):
            effects(exact, table)
        with pytest.raises(WorthError, match="needs params"):
            effects(exact, table.drop("params"))
        with pytest.raises(WorthError, match="fill in the column, or give"):
            effects(exact, rows({"loss": 3.0}).drop("tokens"))
        with pytest.raises(WorthError, match="loss is 0, and must be a positive number"):
            effects(exact, rows({"loss": 0}))
        with pytest.raises(WorthError, match="new is, by way of others, its own control"):
            effects(exact, rows({"loss": 3.0, "before": "old"}, {"treatment": "old", "loss": 3.1, "before": "new"}))
        for given in ({"before": "new"}, {"made_from": "new"}):
            with pytest.raises(WorthError, match="every row is a control"):
                effects(exact, rows({"loss": 3.0}), **given)
        for column in ("flops", "bits", "params_nonzero", "treatment_flops", "tokens"):
            with pytest.raises(WorthError, match=f"{column} is -1, and must be a positive number"):
                effects(exact, rows({"loss": 3.0, column: -1.0}))
        with pytest.raises(WorthError, match="must be a positive number"):
            effects(exact, rows({"loss": 3.0}).drop("tokens"), tokens=0.0)

    def test_a_control_that_the_ladder_cannot_place_refuses_what_is_over_it(self, exact):
        for bad, says in (
            (1.5, "its control old: loss 1.5000 lies below"),
            (9.0, "its control old: loss 9.0000 is that of"),
        ):
            table = rows({"loss": loss(SIZE, TOKENS), "before": "old"}, {"treatment": "old", "loss": bad})
            one = effects(exact, table).effects[0]
            assert says in one.refused
            assert not one.multipliers

    def test_a_control_that_has_a_control_of_its_own_is_told_too(self, exact):
        table = rows(
            {"treatment": "base", "loss": loss(SIZE, TOKENS)},
            {"treatment": "half", "loss": loss(SIZE / 2, TOKENS), "made_from": "base"},
            {"treatment": "quarter", "loss": loss(SIZE / 4, TOKENS), "made_from": "half"},
        )
        found = {one.treatment: one.multipliers["size"].value for one in effects(exact, table).effects}
        assert found == pytest.approx({"half": 0.5, "quarter": 0.5}, rel=1e-3)

    def test_a_control_of_another_size_or_training_is_named(self, exact):
        table = rows(
            {"loss": loss(SIZE, 2 * TOKENS), "tokens": 2 * TOKENS, "before": "old"},
            {"treatment": "old", "loss": loss(SIZE, TOKENS)},
        )
        (finding,) = [one for one in effects(exact, table).warnings if one.code == "unlike_control"]
        assert "differ in tokens (4B against 2B)" in finding.text

    def test_rows_without_seeds_are_nobodys_partners(self):
        fit = ladder(np.random.default_rng(3))
        new, old = ([loss(size, TOKENS) * value for value in (1.02, 0.98)] for size in (1.5 * SIZE, SIZE))
        intervals = []
        for order in (1, -1):
            given = [{"loss": value, "before": "old"} for value in new[::order]]
            table = rows(*given, *({"treatment": "old", "loss": value} for value in old))
            intervals.append(effects(fit, table).effects[0].multipliers["size"].interval)
        assert intervals[0] == pytest.approx(intervals[1], rel=1e-9)

    def test_what_a_model_was_made_from_needs_no_seed_to_share_its_chance(self):
        fit = ladder(np.random.default_rng(3))
        widths = []
        for seed in ("0", ""):
            table = rows(
                {"loss": loss(SIZE / 2, TOKENS), "seed": ""},
                {"treatment": "old", "loss": loss(SIZE, TOKENS), "seed": seed},
            )
            widths.append(effects(fit, table, made_from="old").effects[0].multipliers["size"].interval)
        assert widths[0] == pytest.approx(widths[1], rel=1e-9)

    def test_a_law_of_other_variables(self):
        fit = rung.fit(
            pl.DataFrame({"flops": np.geomspace(1e18, 1e21, 8), "loss": 2 + 5e3 / np.geomspace(1e18, 1e21, 8) ** 0.2}),
            "E + A / C^alpha",
            draws=20,
        )
        with pytest.raises(WorthError, match="a worth needs a law of N, or of N and D"):
            effects(fit, rows({"loss": 3.0}))


def test_the_command_tells_the_worth_of_a_measured_table(command, tmp_path):
    params, tokens = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(2e8, 2e10, 6)))
    pl.DataFrame({"params": params, "tokens": tokens, "loss": loss(params, tokens)}).write_csv(tmp_path / "ladder.csv")
    rows(
        {"loss": loss(SIZE, TOKENS), "treatment": "dense"}, {"loss": loss(SIZE / 2, TOKENS), "treatment": "pruned"}
    ).write_csv(tmp_path / "measured.csv")
    done = command("worth", "measured.csv", "--against", "ladder.csv", "--before", "dense", "--json", "-o", "worth.csv")
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)["effects"]
    assert one["multipliers"]["size"]["value"] == pytest.approx(0.5, rel=1e-3)
    assert pl.read_csv(tmp_path / "worth.csv")["size_multiplier"].to_list() == pytest.approx([0.5], rel=1e-3)
    wrong = command("worth", "measured.csv", "--against", "ladder.csv", "--before", "dens")
    assert wrong.returncode == 1
    assert "Did you mean dense" in wrong.stderr
