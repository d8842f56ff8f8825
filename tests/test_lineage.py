"""Lineage: planted trees, circles and unknown parents, the hub's listing from a local server."""

import http.server
import itertools
import json
import threading

import numpy as np
import polars as pl
import pytest

from rung.errors import SkillError
from rung.skill.lineage import lineage, read_hub, read_lineage


def tree(seed=0, *, count=2000, mutation=0.1, shared=0.0, traits=40, drift=0.0):
    """A branching process: each model copies a parent's binary traits, some flipped; siblings may share flips of their own.

    With a drift, licence t0 goes over to t1, t1 to t2 and so on, one step at a time.
    """
    rng = np.random.default_rng(seed)
    parent = np.full(count, -1)
    values = np.zeros((count, traits), dtype=bool)
    values[0] = rng.random(traits) < 0.5
    step = np.zeros(count, dtype=int)
    common = {}
    for child in range(1, count):
        above = int(rng.integers(max(child // 4, 1)))
        parent[child] = above
        if above not in common:
            common[above] = rng.random(traits) < shared
        values[child] = values[above] ^ common[above] ^ (rng.random(traits) < mutation)
        step[child] = min(step[above] + (rng.random() < drift), 5)
    rows = {
        "id": [f"m{i}" for i in range(count)],
        "parent": [None if one < 0 else f"m{one}" for one in parent],
        "tags": [[f"t{j}={int(on)}" for j, on in enumerate(row)] for row in values],
        "licence": [f"L{one}" for one in step],
    }
    return pl.DataFrame(rows)


def mean_of(found, pairs):
    return next(one.mean for one in found.alike if one.pairs == pairs and one.measure == "traits")


def shares(overlap):
    """The share of equal traits from Jaccard's index of two lists that name every trait once."""
    return 2 * overlap / (1 + overlap)


class TestPlantedTrees:
    def test_undirected_mutation_makes_parent_and_child_more_alike_than_siblings_by_the_planted_rate(self):
        found = lineage(tree(mutation=0.1).drop("licence"))
        child, siblings = (shares(mean_of(found, pairs)) for pairs in ("parent and child", "siblings"))
        # A sibling is two mutations away: (1 - mu)^2 + mu^2 of the traits are equal.
        assert 1 - child == pytest.approx(0.1, rel=0.1)
        assert siblings == pytest.approx(0.9**2 + 0.1**2, abs=0.02)
        assert siblings < child

    def test_changes_that_siblings_share_make_them_more_alike_than_parent_and_child(self):
        found = lineage(tree(mutation=0.03, shared=0.25).drop("licence"))
        assert mean_of(found, "siblings") > mean_of(found, "parent and child")

    def test_a_planted_drift_is_found_with_its_order_and_a_neutral_trait_is_not(self):
        table = tree(drift=0.4)
        rng = np.random.default_rng(1)
        neutral = table.with_columns(task=pl.Series([f"k{one}" for one in rng.integers(5, size=table.height)]))
        drifts = {one.trait: one for one in lineage(neutral).drifts}
        assert list(drifts["licence"].order) == sorted(drifts["licence"].order)
        assert len(drifts["licence"].directed) >= 3
        assert all((int(b[1]) - int(a[1]), back) == (1, 0) for a, b, _, back, _ in drifts["licence"].flows)
        assert not drifts["task"].directed

    def test_the_children_of_one_famous_parent_are_no_drift(self):
        rows = {
            "id": ["root", *(f"c{i}" for i in range(200))],
            "parent": [None, *["root"] * 200],
            "licence": ["gpl", *["mit"] * 200],
        }
        found = lineage(pl.DataFrame(rows)).drifts[0]
        assert found.flows[0][:4] == ("gpl", "mit", 200, 0)
        assert not found.directed

    def test_pairs_are_counted_once_and_an_unknown_trait_is_not_unlike(self):
        rows = {
            "id": [f"m{i}" for i in range(30)],
            "parent": [None, *["m0"] * 29],
            "licence": ["mit", None, *["mit"] * 28],
        }
        found = {one.pairs: one for one in lineage(pl.DataFrame(rows)).alike}
        assert found["siblings"].count == 28 * 27 // 2
        assert {one.mean for one in found.values()} == {1.0}

    def test_intervals_of_likeness_hold_the_mean_over_other_samples(self):
        table = tree(count=400, mutation=0.2).drop("licence")
        one, other = (
            next(a for a in lineage(table, sample=1500, seed=seed).alike if a.pairs == "random") for seed in (0, 1)
        )
        assert one.low < other.mean < one.high

    def test_a_circle_below_a_root_is_shown_too(self):
        rows = {"id": ["root", "x", "y"], "parent": [None, "root,y", "x"]}
        with pytest.raises(SkillError, match="has the parent"):
            lineage(pl.DataFrame(rows))

    def test_a_merge_stands_below_its_deepest_parent(self):
        found = read_lineage(pl.DataFrame({"id": list("abcd"), "parent": [None, "a", "b", "a,c"]}))
        assert found.generation.tolist() == [0, 1, 2, 3]

    def test_an_order_of_ten_values_with_unequal_flows_is_found(self):
        """Sorted by net flow alone, the ends of the weak flows stand in the wrong places."""
        names = "jcafbhdgie"
        rows = [(f"p{i}", None, value) for i, value in enumerate(names)]
        for i, (one, other) in enumerate(itertools.pairwise(names)):
            rows += [(f"c{one}{other}{k}", f"p{i}", other) for k in range(40 if i % 2 else 2)]
        found = lineage(pl.DataFrame(rows, schema=["id", "parent", "licence"], orient="row")).drifts[0]
        assert "".join(found.order) == names
        assert found.agreeing == 1

    def test_chains_and_grandparents_are_counted(self):
        found = lineage(pl.DataFrame({"id": list("abcd"), "parent": [None, "a", "b", "a"]}))
        assert found.generations == (1, 2, 1)
        assert found.roots == 1
        assert found.largest[0] == ("a", 2)


class TestTable:
    def test_columns_of_the_public_table_are_read(self):
        table = pl.DataFrame({
            "model_id": ["o/base", "o/a", "o/b", "o/m"],
            "finetune_parent": ["[]", "['o/base']", None, "[]"],
            "quantized_parent": ["[]", "[]", "['o/base']", "[]"],
            "adapter_parent": [None] * 4,
            "merge_parent": ["[]", "[]", "[]", "['o/a', 'o/gone']"],
            "licenses": ["['gpl-3.0']", "['mit']", "['gpl-3.0']", "mit"],
            "modelCard": ["a b c"] * 4,
        }, schema_overrides={"adapter_parent": pl.String})  # fmt: skip
        found = read_lineage(table)
        assert sorted(found.relation.to_list()) == ["finetune", "merge", "quantized"]
        assert found.skipped == {"o/gone": 1}
        report = lineage(table)
        assert [(one.child, one.parent_licence) for one in report.conflicts] == [("o/a", "gpl-3.0")]
        assert {one.code for one in report.warnings} == {"unknown_parents", "licence_conflict"}

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ({"id": ["a", "b", "c"], "parent": ["c", "a", "b"]}, "'a' has the parent 'c'"),
            ({"id": ["a", "b"], "parent": [None, "x"]}, "no parent is a model of the table itself ('x' for one)"),
            ({"id": ["a", "a"], "parent": [None, "a"]}, "stands twice"),
            ({"id": ["a", None], "parent": [None, "a"]}, "row 2: the model has no name"),
            ({"what": ["a"], "parent": ["b"]}, "no column id"),
            ({"id": ["a", "b"], "from": [None, "a"]}, "no column parent"),
        ],
    )
    def test_what_is_no_lineage_is_refused(self, rows, said):
        with pytest.raises(SkillError) as refused:
            lineage(pl.DataFrame(rows))
        assert said in refused.value.text

    def test_a_model_that_is_its_own_parent_is_named(self):
        found = lineage(pl.DataFrame({"id": ["a", "b"], "parent": ["a", "a"]}))
        assert [one.code for one in found.warnings] == ["own_parent"]

    def test_the_order_of_models_changes_nothing(self):
        table = tree(count=300, drift=0.3)
        one, other = (lineage(rows) for rows in (table, table.sample(fraction=1, shuffle=True, seed=1)))
        assert one.generations == other.generations
        assert one.drifts[0].flows == other.drifts[0].flows


class TestHub:
    """The client is the real one; the hub is a server of this test."""

    MODELS = (
        {"id": "o/base", "tags": ["text"], "pipeline_tag": "text-generation", "library_name": "transformers", "cardData": {"license": "apache-2.0", "language": ["en", "ro"]}},
        {"id": "o/tuned", "tags": ["base_model:finetune:o/base"], "pipeline_tag": "text-generation", "cardData": {"license": "mit", "base_model": "o/base"}},
        {"id": "o/q", "tags": ["base_model:o/tuned", "base_model:quantized:o/tuned"], "cardData": {"base_model": ["o/tuned"]}},
    )  # fmt: skip

    @pytest.fixture
    def hub(self):
        listed = [{**one, "private": False, "downloads": 1, "likes": 0} for one in self.MODELS]
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                content = json.dumps(listed).encode()
                self.send_response(404 if self.path.startswith("/gone") else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        server.server_close()

    def test_its_listing_becomes_a_lineage(self, hub):
        pytest.importorskip("huggingface_hub")
        address, asked = hub
        table = read_hub("o", endpoint=address)
        assert "author=o" in asked[0]
        assert table["relation"].to_list()[1:] == ["finetune", "quantized"]
        assert lineage(table).generations == (1, 1, 1)

    def test_a_hub_that_refuses_is_named(self, hub):
        pytest.importorskip("huggingface_hub")
        with pytest.raises(SkillError, match="cannot be read"):
            read_hub("o", endpoint=hub[0] + "/gone")


def test_the_command_writes_transitions_and_refuses_a_limit_without_a_hub(tmp_path, command):
    tree(count=300, drift=0.3).with_columns(tags=pl.col("tags").list.join(",")).write_csv(tmp_path / "models.csv")
    done = command("lineage", "models.csv", "-o", "drift.csv", "--json")
    assert json.loads(done.stdout)["models"] == 300
    assert pl.read_csv(tmp_path / "drift.csv")["trait"].unique().to_list() == ["licence"]
    assert command("lineage", "models.csv", "--limit", "3").stderr.startswith("SkillError: --limit belongs to hub:.")
