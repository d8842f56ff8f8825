"""The local app: its pages, its guard, its workers and its files, asked over HTTP as a browser asks."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from html import unescape
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import numpy as np
import polars as pl
import pytest

import rung
from rung.app import Workspace, make_app, open_store
from rung.app.questions import QUESTIONS, at_its_field, command_of, errors_in, given_of
from rung.errors import AppError

LAW = {"E": 1.8, "A": 400.0, "alpha": 0.34, "B": 900.0, "beta": 0.31}


def table_of_runs(path, *, renamed=False, recipes=False, noise=0.002, rows=40, seed=1):
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e9), rows))
    tokens = params * np.exp(rng.uniform(np.log(5), np.log(100), rows))
    loss = LAW["E"] + LAW["A"] / params ** LAW["alpha"] + LAW["B"] / tokens ** LAW["beta"]
    frame = pl.DataFrame(
        {
            "run": [f"m{index}" for index in range(rows)],
            "params": params,
            "tokens": tokens,
            "loss": loss * np.exp(noise * rng.standard_normal(rows)),
        }
    )
    if recipes:
        frame = frame.with_columns(recipe=pl.Series(["control", "treated"] * (rows // 2)))
        frame = frame.with_columns(
            loss=pl.when(pl.col("recipe") == "treated").then(pl.col("loss") * 0.97).otherwise(pl.col("loss"))
        )
    if renamed:
        frame = frame.rename({"params": "how_big", "loss": "goodness"})
    frame.write_csv(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("tables")
    table_of_runs(made / "runs.csv")
    table_of_runs(made / "odd.csv", renamed=True)
    table_of_runs(made / "recipes.csv", recipes=True)
    table_of_runs(made / "others.csv", seed=2)
    (made / "broken.csv").write_text("params,tokens,loss\n1e7,1e9,abc\n")
    (made / "hostile.csv").write_text(
        "run,params,tokens,loss,<script>alert(1)</script>\n"
        + "".join(
            f"<img src=x onerror=alert({i})>,{1e7 * (i + 1)},{1e9 * (i % 7 + 1)},{3 - 0.01 * i},a\n" for i in range(30)
        )
    )
    return made


@pytest.fixture(scope="module")
def workspace(folder, tmp_path_factory):
    return Workspace.of([folder], tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def client(workspace):
    from starlette.testclient import TestClient

    with TestClient(make_app(workspace, workers=2), base_url="http://127.0.0.1") as made:
        yield made


def get(client, path, **params):
    """A page, asked again until its answer is there."""
    for _ in range(300):
        found = client.get(path, params=params)
        if "data-job=" not in found.text:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{path} was never answered")


class TestPages:
    def test_the_first_page_offers_the_tables_of_the_folder(self, client):
        found = client.get("/")
        assert found.status_code == 200
        assert "runs.csv" in found.text

    def test_a_table_says_what_was_recognised_and_from_where(self, client):
        found = get(client, "/table", table="odd.csv")
        assert "Not found: " in found.text
        assert "params (N)" in found.text
        corrected = get(client, "/table", table="odd.csv", **{"map-params": "how_big", "map-loss": "goodness"})
        assert "from how_big" in corrected.text
        assert "from goodness" in corrected.text

    def test_a_fit_is_that_of_the_function(self, client, folder):
        found = get(client, "/fit", table="runs.csv", ask="1")
        assert found.status_code == 200
        address = re.search(r'href="(/answers/\w+/fit.json)"', found.text)[1]
        kept = client.get(address)
        assert "attachment" in kept.headers["content-disposition"]
        own = rung.fit(rung.read_runs(folder / "runs.csv"))
        values = {name: one["value"] for name, one in json.loads(kept.text)["coefficients"].items()}
        assert values == pytest.approx({name: one.value for name, one in own.coefficients.items()}, rel=1e-9)

    def test_moving_the_target_gives_the_forecast_of_the_function(self, client, folder):
        get(client, "/fit", table="runs.csv", ask="1")
        found = client.get("/at", params={"table": "runs.csv", "at-params": "7e9", "at-tokens": "140B"}).json()
        own = rung.forecast(rung.fit(rung.read_runs(folder / "runs.csv")), N=7e9, D=140e9)
        assert found["value"] == pytest.approx(own.value)
        assert found["law_interval"] == pytest.approx(list(own.law_interval))
        assert found["extrapolation_factor"] == pytest.approx(own.extrapolation_factor)

    def test_a_link_gives_the_view_back(self, client):
        params = {"table": "runs.csv", "ask": "1", "law": "E + A / N^alpha", "at-params": "2B"}
        get(client, "/fit", **params)
        again = client.get("/fit", params=params)
        assert 'value="E + A / N^alpha"' in again.text
        assert 'value="2B"' in again.text
        assert "params 2B" in again.text

    @pytest.mark.parametrize(
        ("name", "params", "word"),
        [
            ("select", {}, "Which law"),
            ("backtest", {"cuts": "3"}, "How wrong"),
            ("allocate", {"flops": "1e22", "hardware": "h100-sxm", "ask": "1"}, "Its price"),
            ("next", {"flops": "1e20", "N": "7B", "D": "140B", "ask": "1"}, "The next runs"),
            ("tune", {"N": "1B", "D": "20B", "ask": "1"}, "Learning rate"),
            ("report", {"ask": "1"}, "Checklist"),
        ],
    )
    def test_every_question_has_an_answer_with_a_figure_and_its_command(self, client, name, params, word):
        found = get(client, f"/{name}", table="runs.csv", **params)
        assert found.status_code == 200, found.text
        assert word in found.text
        assert "<svg" in found.text
        assert f"rung {name}" in found.text

    def test_recipes_are_compared_by_a_column_and_by_a_second_table(self, client):
        by = get(client, "/compare", table="recipes.csv", by="recipe", names="control,treated", ask="1")
        assert "What it is worth" in by.text, by.text
        two = get(client, "/compare", table="runs.csv", other="others.csv", ask="1")
        assert "What it is worth" in two.text

    def test_a_price_needs_no_table(self, client):
        found = get(client, "/cost", N="7B", D="2T", hardware="h100-sxm", ask="1")
        assert "58" in found.text
        assert "accelerator-hours" in found.text

    def test_the_shown_command_gives_the_same_numbers(self, client, folder):
        found = get(client, "/fit", table="runs.csv", where="params > 2e7", law="E + A / N^alpha", ask="1")
        command = (
            re.search(r"<pre[^>]*>(rung fit[^<]*)</pre>", found.text)[1].replace("&gt;", ">").replace("&#39;", "'")
        )
        ran = subprocess.run(
            f"{sys.executable} -m rung.cli {command.removeprefix('rung ')} --json",
            shell=True, capture_output=True, text=True, cwd=folder, check=True,
        )  # fmt: skip
        address = re.search(r'href="(/answers/\w+/fit.json)"', found.text)[1]
        values = json.loads(client.get(address).text)["coefficients"]
        assert json.loads(ran.stdout)["coefficients"]["A"]["value"] == pytest.approx(values["A"]["value"], rel=1e-9)


class TestWrongInput:
    def test_an_error_stands_at_its_field_and_what_was_typed_stays(self, client):
        found = get(client, "/fit", table="runs.csv", law="E + A / N^", where="params >", ask="1")
        assert found.status_code == 422
        assert 'id="error-law"' in found.text
        assert 'value="E + A / N^"' in found.text
        where = get(client, "/fit", table="runs.csv", where="params >", ask="1")
        assert 'id="error-where"' in where.text
        assert "--where" not in re.sub(r"<pre.*?</pre>", "", where.text, flags=re.DOTALL)
        number = get(client, "/allocate", table="runs.csv", flops="many", ask="1")
        assert 'id="error-flops"' in number.text
        mapped = get(client, "/table", table="runs.csv", **{"map-loss": "los"})
        assert 'id="error-map-loss"' in mapped.text
        assert "loss" in mapped.text

    def test_what_is_missing_is_asked_at_its_field(self, client):
        assert 'id="error-flops"' in get(client, "/allocate", table="runs.csv", ask="1").text
        assert 'id="error-by"' in get(client, "/compare", table="runs.csv", ask="1").text
        assert 'id="error-hardware"' in get(client, "/cost", N="1B", D="1B", ask="1").text

    def test_a_law_is_read_while_it_is_typed(self, client):
        found = client.get("/law", params={"law": "E + A / M^2 +"}).json()
        caret = found["below"].split("\n")[1]
        assert caret == " " * (int(re.search(r"column (\d+)", found["error"])[1]) - 1) + "^"
        assert client.get("/law", params={"law": "chinchilla"}).json()["coefficients"] == [
            "E",
            "A",
            "alpha",
            "B",
            "beta",
        ]

    def test_a_table_that_cannot_be_read_says_why(self, client):
        found = get(client, "/fit", table="broken.csv", ask="1")
        assert found.status_code == 422
        assert "abc" in found.text

    def test_cells_and_names_stay_text(self, client):
        found = get(client, "/table", table="hostile.csv")
        assert "<script>alert" not in found.text
        assert "<img src=x" not in found.text
        assert "&lt;img src=x onerror=alert(0)&gt;" in found.text
        fitted = get(client, "/fit", table="hostile.csv", law="E + A / N^alpha", ask="1")
        assert "<img src=x" not in fitted.text

    def test_a_target_without_a_fit_asks_for_one(self, client):
        found = client.get("/at", params={"table": "runs.csv", "law": "E + A / D^beta", "at-tokens": "1e9"})
        assert (found.status_code, "Fit first" in found.json()["error"]) == (422, True)

    def test_a_page_that_is_not_there(self, client):
        assert client.get("/nothing").status_code == 404
        assert client.get("/answers/zzz/fit.json").status_code == 404
        assert client.get("/static/..%2fserver.py").status_code == 404


class TestUploads:
    def test_a_dropped_table_is_kept_and_shown(self, client, folder, workspace):
        sent = client.put("/tables/my%20runs.csv", content=(folder / "runs.csv").read_bytes())
        assert sent.status_code == 201
        address = sent.json()["address"]
        name = parse_qs(urlsplit(address).query)["table"][0]
        assert workspace.path_of(name).read_bytes() == (folder / "runs.csv").read_bytes()
        assert "40 rows" in get(client, "/table", table=name).text

    @pytest.mark.parametrize("name", ["..%2f..%2fx.csv", "%2e%2e", "x.exe", ".csv", "a%00b.csv"])
    def test_no_name_leaves_the_folder(self, client, workspace, name):
        before = {path for path in workspace.state.rglob("*") if workspace.uploads not in path.parents}
        client.put(f"/tables/{name}", content=b"params,tokens,loss\n1,2,3\n")
        after = {path for path in workspace.state.rglob("*") if workspace.uploads not in path.parents}
        assert before == after
        assert not list(workspace.uploads.glob("*.part"))

    def test_an_upload_that_is_too_large_or_empty_leaves_nothing(self, workspace):
        import asyncio

        async def chunks(count):
            for _ in range(count):
                yield b"x" * 100

        before = set(workspace.uploads.rglob("*"))
        with pytest.raises(AppError, match="larger"):
            asyncio.run(workspace.take_upload("a.csv", chunks(30), most=1000))
        with pytest.raises(AppError, match="empty"):
            asyncio.run(workspace.take_upload("a.csv", chunks(0)))
        assert set(workspace.uploads.rglob("*")) == before

    def test_a_store_in_the_folder_is_imported(self, client, folder):
        logs = folder / "metrics.jsonl"
        logs.write_text("".join(json.dumps({"run": f"r{run}", "params": 1e6 * (run + 1), "tokens": 1e6 * (step + 1), "step": step, "val_loss": 3 - 0.01 * step}) + "\n" for run in range(3) for step in range(5)))  # fmt: skip
        found = client.post("/import", data={"store": "jsonl:metrics.jsonl"}, follow_redirects=False)
        assert found.status_code == 303
        assert found.headers["location"].startswith("/table?"), found.headers["location"]
        wrong = client.post("/import", data={"store": "tensorboard:nowhere"}, follow_redirects=True)
        assert "there is no such file" in wrong.text
        assert 'value="tensorboard:nowhere"' in wrong.text
        assert (
            "on a network"
            in client.post("/import", data={"store": "mlflow:http://127.0.0.1:9"}, follow_redirects=True).text
        )


class TestGuard:
    def test_another_host_name_is_refused(self, client):
        found = client.get("/", headers={"host": "evil.example"})
        assert found.status_code == 421

    @pytest.mark.parametrize("host", ["", "127.0.0.1.evil.example", "localhost@evil", "[::1", "127.0.0.1:99999999"])
    def test_no_odd_host_name_passes_or_breaks(self, client, host):
        assert client.get("/", headers={"host": host}).status_code == 421

    def test_another_site_may_not_post(self, client):
        headers = {"origin": "http://evil.example"}
        assert client.post("/import", data={"store": "x"}, headers=headers).status_code == 403
        assert client.put("/tables/a.csv", content=b"x", headers=headers).status_code == 403
        assert client.post("/import", data={"store": "x"}, headers={"sec-fetch-site": "cross-site"}).status_code == 403

    def test_pages_forbid_scripts_of_their_own_text(self, client):
        policy = client.get("/").headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe-inline" not in policy.split("style-src")[0]
        assert not re.search(r"<script(?![^>]*\bsrc=)", client.get("/").text)
        assert not re.search(r"\son[a-z]+=", get(client, "/fit", table="runs.csv", ask="1").text.split("<svg")[0])

    def test_nothing_outside_the_folders_is_read(self, client, folder, tmp_path):
        outside = tmp_path / "secret.csv"
        table_of_runs(outside)
        (folder / "link.csv").symlink_to(outside)
        for name in (
            str(outside),
            "../secret.csv",
            "link.csv",
            "upload:../../secret.csv",
            "/etc/passwd",
            "\0",
            "upload:",
        ):
            found = client.get("/table", params={"table": name})
            assert found.status_code == 422 or found.url.path == "/", name
            assert "m0" not in found.text
        (folder / "link.csv").unlink()

    def test_any_other_address_than_loopback_needs_the_token(self, workspace):
        from starlette.testclient import TestClient

        with TestClient(make_app(workspace, token="secret-token", workers=1), base_url="http://0.0.0.0") as made:
            assert made.get("/").status_code == 403
            assert made.get("/", params={"token": "wrong"}).status_code == 403
            admitted = made.get("/", params={"token": "secret-token"}, follow_redirects=False)
            assert (admitted.status_code, admitted.headers["location"]) == (303, "/")
            assert "HttpOnly" in admitted.headers["set-cookie"]
            assert made.get("/", headers={"cookie": "rung_token=secret-token"}).status_code == 200


class TestWork:
    def test_work_is_shown_cancelled_and_leaves_no_answer(self, client, workspace, folder):
        table_of_runs(folder / "large.csv", rows=4000, noise=0.05)
        params = {"table": "large.csv", "law": "farseer", "ask": "1"}
        found = client.get("/fit", params=params)
        key = re.search(r'data-job="(\w+)"', found.text)[1]
        assert client.post(f"/jobs/{key}/cancel", data={}).json() == {"cancelled": True}
        with client.stream("GET", f"/jobs/{key}/events") as events:
            assert "event: ended" in "".join(events.iter_text())
        assert not (workspace.answers / f"{key}.json").exists()
        assert not list(workspace.state.rglob("*.part"))
        # The workers go on with other questions.
        assert get(client, "/table", table="runs.csv", last="").status_code == 200

    def test_an_answer_is_worked_out_once(self, client, workspace):
        get(client, "/fit", table="runs.csv", ask="1")
        kept = sorted(workspace.answers.glob("*.json"))
        begun = time.perf_counter()
        get(client, "/fit", table="runs.csv", ask="1")
        assert sorted(workspace.answers.glob("*.json")) == kept
        assert time.perf_counter() - begun < 5

    def test_a_table_that_changes_is_read_anew(self, client, folder):
        table_of_runs(folder / "grows.csv", rows=20)
        assert "20 rows" in get(client, "/table", table="grows.csv").text
        table_of_runs(folder / "grows.csv", rows=30)
        assert "30 rows" in get(client, "/table", table="grows.csv").text

    def test_leftovers_of_a_killed_server_are_cleared(self, folder, tmp_path):
        made = Workspace.of([folder], tmp_path / "state")
        for name in ("uploads/x.part", "answers/.a.json.999999999.part", "progress/abc"):
            (made.state / name).write_text("half")
        Workspace.of([folder], tmp_path / "state")
        assert not [path for path in made.state.rglob("*") if path.is_file()]

    def test_an_error_that_comes_late_is_told_once_and_asked_anew(self, client, monkeypatch):
        """A page that waited is loaded again when work ends: it must find the error, and not begin the work once more."""
        monkeypatch.setattr("rung.app.pages._PATIENCE_S", 0.0)
        params = {"table": "recipes.csv", "by": "nothing", "ask": "1"}
        first = client.get("/compare", params=params)
        key = re.search(r'data-job="(\w+)"', first.text)[1]
        with client.stream("GET", f"/jobs/{key}/events") as events:
            assert "event: ended" in "".join(events.iter_text())
        second = client.get("/compare", params=params)
        assert 'id="error-by"' in second.text
        assert "data-job" not in second.text
        assert "data-job" in client.get("/compare", params=params).text

    def test_a_law_may_have_any_column_of_the_table(self, client, folder):
        own = pl.read_csv(folder / "runs.csv").rename({"params": "width"})
        own.write_csv(folder / "own.csv")
        found = get(client, "/fit", table="own.csv", law="E + A / width^alpha", ask="1")
        assert found.status_code == 200, found.text
        typed = {"law": "E + A / width^alpha"}
        assert client.get("/law", params={**typed, "table": "own.csv"}).json()["coefficients"] == ["E", "A", "alpha"]
        assert "no variable" in client.get("/law", params=typed).json()["error"]

    def test_a_table_that_is_no_sweep_has_the_command_of_the_published_rules(self, client):
        found = get(client, "/tune", table="runs.csv", N="1B", D="20B", ask="1")
        assert '<pre class="scroll" tabindex="0">rung tune N=1B D=20B</pre>' in found.text

    def test_a_store_that_is_opened_at_the_start_shows_what_it_found(self, client, folder, workspace):
        (folder / "rows.jsonl").write_text(
            "".join(
                json.dumps({"run": "=r", "params": 1e6, "tokens": 100 * i, "step": i, "val_loss": 3 - 0.01 * i}) + "\n"
                for i in range(1, 9)
            )
        )
        address = open_store(f"jsonl:{folder / 'rows.jsonl'}", workspace)
        found = client.get(address)
        assert "Where the columns come from" in found.text
        # The kept table has the run by its own name; only what is downloaded is made safe for spreadsheets.
        assert '<th scope="row">=r</th>' in get(client, "/table", **dict(parse_qsl(urlsplit(address).query))).text

    def test_what_another_server_is_writing_is_left_alone(self, folder, tmp_path):
        made = Workspace.of([folder], tmp_path / "state")
        ours, dead = made.uploads / f"x.{os.getpid()}.part", made.uploads / "y.999999999.part"
        for file in (ours, dead):
            file.write_text("half")
        Workspace.of([folder], tmp_path / "state")
        assert (ours.exists(), dead.exists()) == (True, False)

    def test_a_law_with_groups_is_asked_of_one_of_them(self, client):
        law = {"table": "recipes.csv", "law": "E[recipe] + A / N^alpha + B / D^beta", "flops": "1e22", "ask": "1"}
        missing = get(client, "/allocate", **law)
        assert 'id="error-level-recipe"' in missing.text
        found = get(client, "/allocate", **law, **{"level-recipe": "treated"})
        assert found.status_code == 200
        assert "recipe=treated" in found.text
        fitted = get(client, "/fit", table="recipes.csv", law=law["law"], ask="1")
        grids = json.loads(unescape(re.search(r'data-grid="([^"]+)"', fitted.text)[1]))["grids"]
        assert [one["levels"] for one in grids] == [{"recipe": "control"}, {"recipe": "treated"}]
        assert grids[0]["value"] != grids[1]["value"]

    @pytest.mark.parametrize(
        ("path", "params", "field"),
        [
            ("/backtest", {"cuts": "2.7"}, "cuts"),
            ("/fit", {"level": "95"}, "level"),
            ("/allocate", {"flops": "-1"}, "flops"),
            ("/report", {"N": "0"}, "N"),
            ("/next", {"flops": "1e300", "N": "1e9", "D": "1e9"}, "flops"),
            ("/compare", {"by": "recipes"}, "by"),
            ("/fit", {"target": "lss"}, "target"),
            ("/fit", {"map-tokens": "params*0"}, "map-tokens"),
        ],
    )
    def test_numbers_and_names_that_do_not_serve_are_told_at_their_field(self, client, path, params, field):
        found = get(client, path, table="runs.csv", ask="1", **params)
        assert found.status_code == 422
        assert f'id="error-{field}"' in found.text

    def test_what_an_import_found_out_is_shown(self, client, folder):
        (folder / "div.csv").write_text(
            "step,tokens,loss\n"
            + "".join(f"{i},{i * 100},{3 - 0.01 * i}\n" for i in range(1, 9))
            + "9,900,nan\n10,1000,nan\n"
        )
        found = client.post("/import", data={"store": "csv:div.csv"}, follow_redirects=True)
        assert "Where the columns come from" in found.text
        assert "diverged" in found.text

    def test_the_table_of_a_ladder_follows_its_runs(self, workspace, folder):
        run = folder / "some" / "a"
        run.mkdir(parents=True)
        (run / "metrics.jsonl").write_text("{}\n")
        before = workspace.stamp("some")
        (run / "metrics.jsonl").write_text("{}\n{}\n")
        assert workspace.stamp("some") != before

    def test_what_is_sent_by_halves_or_without_end_breaks_nothing(self, client):
        assert client.post("/import", content=(b"store=x" for _ in range(100_000))).status_code in {200, 303, 413}
        for origin in ("http://[::1", "http://[x]y", "null", ""):
            assert client.post("/import", data={"store": "x"}, headers={"origin": origin}).status_code == 403
        for path in ("/papers/9223372036854775808", "/papers/0"):
            assert client.get(path).status_code == 404
        odd = json.dumps({"papers": [{"title": "half \ud800 \0"}]}).encode()
        assert client.put("/papers/import/odd.json", content=odd).status_code == 201
        assert client.put("/tables/" + "%F0%A0%80%80" * 100 + ".csv", content=b"a,b\n1,2\n").status_code in {201, 422}
        get(client, "/fit", table="runs.csv", ask="1")
        assert client.get("/at", params={"table": "runs.csv", "at-self": "1"}).status_code == 422

    def test_pages_speak_no_options(self, client):
        for path in ("/table", "/fit", "/select", "/backtest"):
            found = get(client, path, table="runs.csv", ask="1", where="params > 2e7")
            text = re.sub(r"<pre.*?</pre>|<svg.*?</svg>|<textarea.*?</textarea>", "", found.text, flags=re.DOTALL)
            assert not re.search(r"(?<![\w-])--[a-z]{2,}", text), path


class TestPapers:
    def test_an_empty_form_keeps_the_note(self, client):
        client.put("/papers/import/one.json", content=json.dumps({"papers": [{"title": "Noted"}]}).encode())
        number = re.search(r'href="/papers/(\d+)">Noted', client.get("/papers", params={"q": "noted"}).text)[1]
        client.post(f"/papers/{number}/change", data={"note": "mine"})
        client.post(f"/papers/{number}/change", content=b"")
        client.post(f"/papers/{number}/change", data={"tag": ""})
        assert "mine</textarea>" in client.get(f"/papers/{number}").text

    def test_the_list_is_filled_searched_tagged_and_escaped(self, client):
        listing = {
            "papers": [
                {"title": "<b>Bold</b> claims", "abstract": "About merging."},
                {"title": "Other", "abstract": "x"},
            ]
        }
        sent = client.put("/papers/import/list.json", content=json.dumps(listing).encode())
        assert "2 new" in sent.json()["said"]
        found = client.get("/papers", params={"q": "merging"})
        assert "&lt;b&gt;Bold" in found.text
        assert "1 found" in found.text
        number = re.search(r'href="/papers/(\d+)">&lt;b', found.text)[1]
        client.post(f"/papers/{number}/change", data={"tag": "mine"})
        client.post(f"/papers/{number}/change", data={"vote": "1"})
        client.post(f"/papers/{number}/change", data={"note": "read <i>this</i>"})
        shown = client.get(f"/papers/{number}").text
        assert "mine" in shown
        assert "+1" in shown
        assert "read &lt;i&gt;this" in shown
        assert "a vote is" in client.post(f"/papers/{number}/change", data={"vote": "5"}, follow_redirects=True).text
        assert "Bold" in client.get("/papers/feed.xml").text
        assert client.put("/papers/import/x.txt", content=b"hello").status_code == 422
        assert client.get("/papers/999").status_code == 404

    def test_the_papers_of_rung_show_their_claims(self, client):
        assert "44 of 44" in client.get("/papers").text
        found = client.get("/papers/of/step-law")
        assert "Check it here" in found.text
        assert client.get("/papers/of/nothing").status_code == 404


class TestQuestions:
    def test_every_option_of_a_field_is_one_of_its_command(self):
        for question in QUESTIONS.values():
            name = "fit" if question.name == "table" else question.name
            shown = subprocess.run([sys.executable, "-m", "rung.cli", name, "--help"], capture_output=True, text=True, check=True).stdout  # fmt: skip
            made = subprocess.run([sys.executable, "-m", "rung.cli", "fit", "--help"], capture_output=True, text=True, check=True).stdout if question.fitted else ""  # fmt: skip
            for field in (*question.fields,):
                if field.option.startswith("--"):
                    assert field.option in shown + made, (question.name, field.option)

    def test_an_error_of_the_command_is_said_in_the_words_of_the_page(self):
        text = '5 rows have no loss. Leave them out: --where "loss is not null", or pass --drop-nonfinite; see rung select.'
        place, words = at_its_field(QUESTIONS["fit"], text, {"where": "params > 1"})
        assert place == "where"
        assert "--" not in words
        assert "“Which law”" in words

    def test_what_is_left_as_it_is_does_not_count(self):
        sent = {"table": "a", "law": "chinchilla", "where": " ", "map-loss": "l", "map-nonsense": "x", "bogus": "1"}
        assert given_of(QUESTIONS["fit"], sent) == {"table": "a", "map-loss": "l"}

    def test_numbers_are_read_as_people_write_them(self):
        assert errors_in(QUESTIONS["allocate"], {"flops": "1e24", "max_params": "70B"}) == {}
        assert set(errors_in(QUESTIONS["allocate"], {"flops": "x", "law": "nolaw"})) == {"flops", "law"}

    def test_the_command_quotes_what_a_shell_would_read(self):
        given = {"table": "my runs.csv", "where": "a = 'b'; rm -rf /", "map-params": "n p"}
        command = command_of(QUESTIONS["fit"], given)
        import shlex

        assert shlex.split(command) == [
            "rung",
            "fit",
            "my runs.csv",
            "--map",
            "params=n p",
            "--where",
            "a = 'b'; rm -rf /",
        ]


@pytest.fixture
def served(folder, tmp_path):
    """A real server as the command starts it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rung.cli", "app", str(folder), "--no-browser", "--state", str(tmp_path / "state")],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    address = process.stderr.readline().strip().rstrip("/")
    yield process, address
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.wait(20)
    process.stderr.close()


@pytest.mark.slow
class TestServer:
    def test_it_answers_at_once_and_an_interrupt_ends_it_cleanly(self, served):
        import httpx2 as httpx

        process, address = served
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        assert httpx.get(address + "/", timeout=10).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in {0, 130, -2}
        assert "Traceback" not in process.stderr.read()

    def test_a_kill_in_a_fit_and_in_an_upload_leaves_nothing_half(self, served, folder, tmp_path):
        import httpx2 as httpx

        process, address = served
        table_of_runs(folder / "large.csv", rows=4000, noise=0.05)
        client = httpx.Client(timeout=20)
        assert (
            "data-job"
            in client.get(address + "/fit?" + urlencode({"table": "large.csv", "law": "farseer", "ask": 1})).text
        )

        def slow_body():
            yield b"params,tokens,loss\n"
            process.kill()
            time.sleep(0.2)
            yield b"1,2,3\n" * 10

        with pytest.raises(httpx.HTTPError):
            client.put(address + "/tables/slow.csv", content=slow_body())
        client.close()
        process.wait(20)
        state = tmp_path / "state"
        assert not list((state / "uploads").glob("*/*"))
        Workspace.of([folder], state)
        assert not list(state.rglob("*.part"))
        for file in (state / "answers").glob("*.json"):
            json.loads(file.read_text())

    def test_a_ladder_is_started_watched_stopped_and_resumed(self, served, folder):
        import httpx2 as httpx

        pytest.importorskip("torch")
        _, address = served
        from planted import LADDER

        text = re.sub(r"steps = 40", "steps = 4000", LADDER)
        (folder / "ladder.toml").write_text(text)
        client = httpx.Client(base_url=address, timeout=30)
        assert "waiting" in client.get("/ladder/data", params={"folder": "ladder.toml"}).text

        def state():
            return client.get("/ladder/data", params={"folder": "ladder.toml"}).json()

        def wait(for_):
            for _ in range(200):
                now = state()
                if for_(now):
                    return now
                time.sleep(0.3)
            raise AssertionError(now)

        client.post("/ladder/start", data={"folder": "ladder.toml"})
        wait(lambda now: any(one["status"] == "running" for one in now["runs"]))
        assert (
            "at work already"
            in client.post("/ladder/start", data={"folder": "ladder.toml"}, follow_redirects=True).text
        )
        client.post("/ladder/stop", data={"folder": "ladder.toml"})
        wait(lambda now: not now["here"])
        stopped = state()
        assert all(one["status"] != "running" for one in stopped["runs"])
        page = client.get("/ladder", params={"folder": "ladder.toml"}).text
        assert "Start or resume" in page
        client.close()


def test_the_app_without_its_packages_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['uvicorn'] = None; sys.argv = ['rung', 'app']; import importlib.util as u; old = u.find_spec; u.find_spec = lambda name, *a: None if name == 'uvicorn' else old(name, *a); from rung.cli import main; main()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 1
    assert 'pip install "rung[app]"' in ran.stderr


def test_a_mistyped_source_creates_nothing(command, tmp_path):
    ran = command("app", "nowhere.csv", "--state", tmp_path / "state", "--no-browser")
    assert ran.returncode == 1
    assert "no such file" in ran.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
def test_no_random_request_is_an_error_of_the_server():
    """make fuzz sends thousands."""
    from fuzz_requests import fuzz

    finds, statuses, _ = fuzz(300, seed=3)
    assert finds == []
    assert {200, 303, 404, 422} <= set(statuses)
