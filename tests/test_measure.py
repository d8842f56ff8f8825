"""Measuring: windows, losses against plain formulas and Transformers' own, items, exports, what is refused, and the command."""

import hashlib
import json
import math
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import polars as pl
import pytest

from rung.errors import ModelError
from rung.ladder import read_ladder
from rung.ladder.execution import prepare
from rung.models import Measuring, export_run, measure, open_model
from rung.models.documents import PIECE, documents, pieces
from rung.models.ratio import ratio
from rung.models.windows import windows_of

torch = pytest.importorskip("torch")

TEXTS = ["def f(x):\n    return x\n" * 9, "é€ and 漢字, " * 20, "a", "", "x = 1\n" * 60]


def made_run(place, family="gpt", seed=0, **options):
    """The folder of a finished run with random weights, large enough to tell tokens apart."""
    from safetensors.torch import save_file

    from rung.ladder.architectures import build_network

    place.mkdir(parents=True, exist_ok=True)
    (place / "text.txt").write_text("".join(f"some text {number}\n" for number in range(400)))
    given = {"context": 32, "head_width": 8, **options}
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in given.items())
    (place / "ladder.toml").write_text(
        f'output = "runs"\n[family]\nname = "{family}"\n{lines}\n[corpus]\nname = "text"\npath = "text.txt"\nseparator = "\\n"\none_in = 2\n'
        "[[rung]]\nwidth = 16\ndepth = 2\ntokens = 1e5\n"
    )
    folder = prepare(read_ladder(place / "ladder.toml"))[0]
    rung = folder.rung()
    torch.manual_seed(seed)
    network = build_network(rung.made_family, rung.size)
    with torch.no_grad():
        for one in network.parameters():
            one.copy_(torch.randn_like(one) * (0.3 if one.ndim > 1 else 0.1) + (one.ndim < 2))
    state = {name: value.clone() for name, value in network.state_dict().items()}
    save_file(state, folder.model_path)
    return folder.path


def log_likelihood(model, tokens, following):
    """Of the token that follows, by a forward pass of its own [nats]."""
    with torch.inference_mode():
        return float(torch.log_softmax(model.logits(torch.tensor([tokens]))[0, -1].double(), -1)[following])


@pytest.fixture
def run(tmp_path):
    return made_run(tmp_path / "ladder")


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.jsonl"
    file.write_text("".join(json.dumps({"text": one}) + "\n" for one in TEXTS))
    return str(file)


class TestWindows:
    @pytest.mark.parametrize(("context", "stride"), [(8, 4), (8, 8), (5, 1), (7, 3)])
    @pytest.mark.parametrize("cut", [1, 3, 100])
    def test_each_token_is_predicted_once_from_as_many_as_the_rule_says(self, context, stride, cut):
        for count in range(60):
            tokens = np.arange(count)
            found = list(windows_of(0, (tokens[at : at + cut] for at in range(0, count, cut)), context, stride))
            scored = [token for one in found for token in one.tokens[len(one.tokens) - one.scored :].tolist()]
            assert scored == list(range(1, count))
            assert all(len(one.tokens) <= context + 1 for one in found)
            assert all(len(one.tokens) - one.scored >= context - stride + 1 for one in found[1:])

    def test_pieces_keep_every_byte_and_cut_no_line_nor_character(self):
        lines = ["漢字 " * 1000 + "\n"] * 500
        whole = "".join(lines).encode()
        blocks = (whole[at : at + 999_999] for at in range(0, len(whole), 999_999))
        found = list(pieces(blocks))
        assert b"".join(found) == whole
        assert len(found) > 1
        assert all(one.endswith(b"\n") and len(one) <= PIECE for one in found)
        unbroken = list(pieces(iter(["漢".encode() * (PIECE // 2)])))
        assert len(unbroken) > 1
        assert "".join(one.decode() for one in unbroken) == "漢" * (PIECE // 2)

    def test_a_plain_file_is_cut_at_a_separator(self, tmp_path):
        (tmp_path / "a.txt").write_text("one\n--\ntwo\n--\n\n--\nthree")
        found = [(name, b"".join(text)) for name, text in documents([str(tmp_path / "a.txt")], separator="\n--\n")]
        assert found == [("a.txt:0", b"one"), ("a.txt:1", b"two"), ("a.txt:3", b"three")]


class TestRatio:
    def test_the_standard_error_is_that_of_the_bootstrap_over_documents(self):
        rng = np.random.default_rng(0)
        below = rng.integers(20, 400, 200).astype(float)
        above = below * (2 + 0.3 * rng.standard_normal(200))
        found = ratio(above, below)
        assert found.value == pytest.approx(above.sum() / below.sum(), rel=1e-12)
        draws = rng.integers(0, 200, (4000, 200))
        spread = (above[draws].sum(axis=1) / below[draws].sum(axis=1)).std()
        assert found.se == pytest.approx(spread, rel=0.06)

    def test_one_document_has_no_error(self):
        assert ratio([2.0], [4.0]).se is None


class TestLosses:
    def test_the_loss_is_that_of_every_token_from_what_stands_before_it(self, run, text):
        """Each token by a forward pass of its own over exactly the context that the rule gives it."""
        found = measure([run], Measuring(data=(text,), context=16, stride=8)).models[0]
        model = open_model(run)
        for one, written in zip(found.losses, [one for one in TEXTS if one], strict=True):
            tokens = [0, *written.encode()]
            nats = 0.0
            for at in range(1, len(tokens)):
                # Windows begin at multiples of 8; the first scores 16 tokens, each other one its last 8.
                start = 0 if at <= 16 else 8 * math.ceil((at - 16) / 8)
                nats -= log_likelihood(model, tokens[start:at], tokens[at])
            assert one.nats == pytest.approx(nats, rel=1e-5)
            assert (one.tokens, one.bytes) == (len(tokens) - 1, len(tokens) - 1)

    def test_the_loss_of_a_model_of_transformers_is_its_own(self, run, text, tmp_path):
        export_run(run, tmp_path / "hf")
        found = measure([tmp_path / "hf"], Measuring(data=(text,), context=32, stride=32)).models[0]
        network = open_model(tmp_path / "hf").network
        for one, written in zip(found.losses, [one for one in TEXTS if one], strict=True):
            tokens = torch.tensor([[0, *written.encode()]])
            nats = 0.0
            for first in range(0, tokens.shape[1] - 1, 32):
                window = tokens[:, first : first + 33]
                with torch.inference_mode():
                    loss = network(input_ids=window, labels=window).loss
                nats += float(loss) * (window.shape[1] - 1)
            assert one.nats / one.tokens == pytest.approx(nats / one.tokens, abs=1e-5)

    def test_a_model_that_knows_nothing_costs_eight_bits_per_byte(self, run, text):
        from safetensors.torch import load_file, save_file

        from rung.models.ladder_model import run_and_weights

        state = load_file(run / "model.safetensors")
        save_file({**state, "head.weight": torch.zeros_like(state["head.weight"])}, run / "model.safetensors")
        found = measure([run], Measuring(data=(text,)))
        assert found.models[0].bpb.value == pytest.approx(8.0, rel=1e-6)
        assert found.models[0].loss.value == pytest.approx(math.log(256), rel=1e-6)
        assert run_and_weights(run)[1].params == open_model(run).size.params

    def test_a_model_and_its_export_measure_the_same_and_a_worse_one_is_told_apart(self, run, text, tmp_path):
        export_run(run, tmp_path / "hf")
        other = made_run(tmp_path / "other", seed=1)
        found = measure([run, tmp_path / "hf", other], Measuring(data=(text,)))
        same, apart = found.differences()
        assert abs(same.value) < 1e-5
        assert abs(apart.value) > 5 * abs(same.value)
        first, second, third = (one.bpb.value for one in found.models)
        assert first == pytest.approx(second, abs=1e-5)
        assert apart.value == pytest.approx(third - first, abs=1e-9)
        sizes = [one.size for one in found.models[:2]]
        assert sizes[0].params == sizes[1].params
        assert sizes[0].params_non_embedding == sizes[1].params_non_embedding
        assert sizes[0].flops_per_token(32) == pytest.approx(sizes[1].flops_per_token(32), rel=1e-12)

    def test_the_rest_of_an_interrupted_measurement_is_measured_and_nothing_twice(self, run, text, tmp_path):
        kept = tmp_path / "kept.jsonl"
        whole = measure([run], Measuring(data=(text,), keep=str(kept)))
        lines = kept.read_text().splitlines(keepends=True)
        assert len(lines) == len([one for one in TEXTS if one])
        altered = json.loads(lines[0])
        kept.write_text(json.dumps({**altered, "nats": altered["nats"] + 100}) + "\n" + lines[1] + lines[2][:20])
        again = measure([run], Measuring(data=(text,), keep=str(kept)))
        assert again.models[0].losses[0].nats == pytest.approx(whole.models[0].losses[0].nats + 100)
        assert again.models[0].losses[1:] == pytest.approx(whole.models[0].losses[1:]) or [
            one.nats for one in again.models[0].losses[1:]
        ] == pytest.approx([one.nats for one in whole.models[0].losses[1:]], rel=1e-6)
        # Another rule of windows is another measurement.
        other = measure([run], Measuring(data=(text,), keep=str(kept), stride=8))
        assert other.models[0].losses[0].nats < whole.models[0].losses[0].nats + 50

    def test_what_is_no_text_is_left_out_and_named(self, run, text, tmp_path):
        (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\0\0\xff\xfe" * 50)
        found = measure([run], Measuring(data=(text, str(tmp_path / "picture.png"))))
        assert len(found.models[0].losses) == len([one for one in TEXTS if one])
        assert any(one.code == "no_text" and "picture.png" in one.text for one in found.warnings)
        again = Measuring(data=(text, str(tmp_path / "picture.png")), keep=str(tmp_path / "kept.jsonl"))
        for _ in range(2):  # the second time from what was kept
            assert any("picture.png" in one.text for one in measure([run], again).warnings)
        with pytest.raises(ModelError, match=r"no document has a token.*picture\.png are no text"):
            measure([run], Measuring(data=(str(tmp_path / "picture.png"),)))

    def test_one_document_is_said_to_have_no_error(self, run, tmp_path):
        (tmp_path / "one.txt").write_text(TEXTS[0])
        found = measure([run], Measuring(data=(str(tmp_path / "one.txt"),)))
        assert found.models[0].loss.se is None
        assert {one.code for one in found.warnings} == {"one_document"}


class TestItems:
    def items(self, tmp_path):
        rows = [
            {"prompt": "abc", "choices": ["de", "zzz", "q"], "answer": 0},
            {"id": "x", "question": "é", "choices": ["same", "other"], "answer": "other"},
        ]
        file = tmp_path / "items.jsonl"
        file.write_text("\n".join(map(json.dumps, rows)))
        return rows, str(file)

    def test_a_choice_has_the_likelihood_of_its_bytes_behind_the_prompt(self, run, tmp_path):
        rows, file = self.items(tmp_path)
        scores = measure([run], Measuring(items=file)).models[0].items
        model = open_model(run)
        for row, score in zip(rows, scores.every, strict=True):
            prompt = row.get("prompt", row.get("question")).encode()
            for choice, nats in zip(row["choices"], score.nats, strict=True):
                tokens, wanted = [0, *prompt], 0.0
                for byte in choice.encode():
                    wanted += log_likelihood(model, tokens, byte)
                    tokens.append(byte)
                assert nats == pytest.approx(wanted, rel=1e-4)
        assert [one.right for one in scores.every] == [0, 1]
        right = [int(np.argmax(one.nats)) == one.right for one in scores.every]
        assert scores.scores()["accuracy"].value == np.mean(right)

    def test_a_statement_with_a_blank_is_chosen_by_its_perplexity(self, run, tmp_path):
        row = {"statement": "The cat is ___ today.", "choices": ["black", "a dog", "zzzz"], "answer": "a dog"}
        (tmp_path / "items.jsonl").write_text(json.dumps(row))
        (score,) = measure([run], Measuring(items=str(tmp_path / "items.jsonl"))).models[0].items.every
        model, rates = open_model(run), []
        for choice in row["choices"]:
            text = f"The cat is {choice} today.".encode()
            tokens, nats = [0, *text[:3]], 0.0
            for byte in text[3:]:
                nats += log_likelihood(model, tokens, byte)
                tokens.append(byte)
            rates.append(nats / (len(text) - 3))
        assert np.array(score.nats) / np.array(score.bytes) == pytest.approx(np.array(rates), rel=1e-4)
        assert score.right == 1
        assert score.correct_by_byte == (int(np.argmax(rates)) == 1)

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ('{"statement": "no blank", "choices": ["b", "c"], "answer": 0}', "one blank, ___; this has 0"),
            ("{", "line 1: not JSON"),
            ('{"prompt": "a"}', "line 1: an item has"),
            ('{"prompt": "a", "choices": ["b", "c"], "answer": 2}', "the answer 2 is none of the 2 choices"),
            ('{"prompt": "a", "choices": ["b"], "answer": 0}', "two or more choices"),
            ('{"prompt": "a", "choices": ["b", "b"], "answer": 0}', "two choices are the same"),
            ('{"prompt": "\\ud800", "choices": ["b", "c"], "answer": 0}', "half of a character"),
            ('{"prompt": "a", "choices": ["b", "c"], "answer": "d"}', "the answer 'd' is none"),
        ],
    )
    def test_what_is_no_item_is_named_by_its_line(self, run, tmp_path, line, says):
        (tmp_path / "items.jsonl").write_text(line)
        with pytest.raises(ModelError, match=says):
            measure([run], Measuring(items=str(tmp_path / "items.jsonl")))


class TestExport:
    @pytest.mark.parametrize(
        ("family", "options"),
        [
            ("gpt", {}),
            ("gpt", {"tied": True, "rope_base": 100.0}),
            ("llama", {"kv_heads": 1}),
            ("llama", {"qk_norm": True}),
            ("moe", {"experts": 4, "top": 2}),
        ],
    )
    def test_transformers_computes_the_same_logits(self, tmp_path, family, options):
        run = made_run(tmp_path / "ladder", family, **options)
        export_run(run, tmp_path / "hf")
        ours, theirs = open_model(run), open_model(tmp_path / "hf")
        tokens = torch.randint(0, 256, (3, 32), generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            a, b = ours.logits(tokens), theirs.logits(tokens)
        assert float((a - b).abs().max() / a.abs().max()) < 1e-6
        assert ours.size.params == theirs.size.params
        assert ours.size.params_active == theirs.size.params_active
        written = "\t'é' 漢 <s> \n".encode()
        assert bytes(theirs.encode(written).tolist()) == written

    def test_an_architecture_that_transformers_lacks_is_refused_and_nothing_is_left(self, tmp_path):
        run = made_run(tmp_path / "ladder", "gpt-no-mlp")
        with pytest.raises(ModelError, match="Transformers has no architecture with mlp = 'none'"):
            export_run(run, tmp_path / "hf")
        assert not (tmp_path / "hf").exists()


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("config.json", b"{", "is damaged: it is no JSON"),
            ("config.json", b'{"auto_map": {"AutoModel": "evil.py"}}', "foreign code is not run"),
            ("config.json", b'{"model_type": "t5", "is_encoder_decoder": true}', "encoder with a decoder"),
            ("model.safetensors", b"\x80\x04\x95pickle" * 20, "is no safetensors file"),
            ("config.json", None, "no config.json"),
            ("tokenizer.json", None, "no tokenizer"),
        ],
    )
    def test_a_damaged_or_foreign_folder(self, run, tmp_path, name, content, says):
        place = tmp_path / "hf"
        export_run(run, place)
        (place / name).unlink()
        if content is not None:
            (place / name).write_bytes(content)
        if name == "tokenizer.json":
            (place / "tokenizer_config.json").unlink()
        with pytest.raises(ModelError, match=says):
            open_model(place)

    def test_a_tensor_that_is_missing_is_named_and_not_drawn_anew(self, run, tmp_path):
        from safetensors.torch import load_file, save_file

        export_run(run, tmp_path / "hf")
        file = tmp_path / "hf" / "model.safetensors"
        state = load_file(file)
        del state["model.layers.1.mlp.up_proj.weight"]
        save_file(state, file, metadata={"format": "pt"})
        with pytest.raises(ModelError, match=r"needs model\.layers\.1\.mlp\.up_proj\.weight"):
            open_model(tmp_path / "hf")

    def test_files_that_hold_more_than_the_network_are_named(self, run, text, tmp_path):
        export_run(run, tmp_path / "hf")
        config = json.loads((tmp_path / "hf" / "config.json").read_text())
        (tmp_path / "hf" / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
        found = measure([tmp_path / "hf"], Measuring(data=(text,)))
        (finding,) = [one for one in found.warnings if one.code == "unused_tensors"]
        assert "hf (8, model.layers.1." in finding.text

    def test_a_tensor_of_another_shape_than_the_configuration_is_named(self, run, tmp_path):
        export_run(run, tmp_path / "hf")
        config = json.loads((tmp_path / "hf" / "config.json").read_text())
        (tmp_path / "hf" / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
        with pytest.raises(ModelError, match=r"mlp\.down_proj\.weight has another shape than the network"):
            open_model(tmp_path / "hf")

    def test_a_tokenizer_that_cannot_spell_the_text_is_named(self, run, text, tmp_path):
        from tokenizers import Tokenizer, models, pre_tokenizers

        export_run(run, tmp_path / "hf")
        words = Tokenizer(models.WordLevel({"[UNK]": 0, "def": 1, "return": 2}, unk_token="[UNK]"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        words.save(str(tmp_path / "hf" / "tokenizer.json"))
        about = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
        (tmp_path / "hf" / "tokenizer_config.json").write_text(json.dumps(about))
        found = measure([tmp_path / "hf"], Measuring(data=(text,)))
        assert "unknown_tokens" in {one.code for one in found.warnings}

    def test_a_run_with_other_weights_is_not_exported(self, run, tmp_path):
        other = made_run(tmp_path / "other", head_width=16)
        (run / "model.safetensors").write_bytes(
            (made_run(tmp_path / "moe", "llama") / "model.safetensors").read_bytes()
        )
        with pytest.raises(ModelError, match=r"does not fit the network of its rung\.json"):
            export_run(run, tmp_path / "hf")
        from safetensors.torch import load_file, save_file

        state = load_file(other / "model.safetensors")
        save_file(
            {**state, "norm.weight": torch.full_like(state["norm.weight"], float("nan"))}, other / "model.safetensors"
        )
        with pytest.raises(ModelError, match=r"norm\.weight holds numbers that are not finite"):
            export_run(other, tmp_path / "hf")
        assert not (tmp_path / "hf").exists()

    def test_losses_are_kept_in_a_file_alone(self, run, text):
        with pytest.raises(ModelError, match="/dev/full is no file"):
            measure([run], Measuring(data=(text,), keep="/dev/full"))
        with pytest.raises(ModelError, match="is named twice"):
            measure([run, run], Measuring(data=(text,)))
        with pytest.raises(ModelError, match="torch knows no such device"):
            measure([run], Measuring(data=(text,), device="nonsense"))

    def test_weights_that_are_not_finite(self, run, text):
        from safetensors.torch import load_file, save_file

        state = load_file(run / "model.safetensors")
        state["norm.weight"] = torch.full_like(state["norm.weight"], float("nan"))
        save_file(state, run / "model.safetensors")
        with pytest.raises(ModelError, match=r"is not finite: so are numbers of norm\.weight"):
            measure([run], Measuring(data=(text,)))

    def test_a_pickle_beside_nothing_else_is_not_opened(self, tmp_path):
        (tmp_path / "hf").mkdir()
        (tmp_path / "hf" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
        with pytest.raises(ModelError, match="is pickled"):
            open_model(tmp_path / "hf")

    def test_a_run_that_is_not_finished(self, run):
        (run / "model.safetensors").unlink()
        with pytest.raises(ModelError, match="holds no finished network: its status is planned"):
            open_model(run)

    def test_options_that_cannot_be(self, run, text):
        for how, says in (
            (Measuring(), "name a text"),
            (Measuring(data=(text,), context=1), "context=1 must"),
            (Measuring(data=(text,), stride=0), "stride=0 must"),
            (Measuring(data=(text,), context=8, stride=9), "tokens between would be left out"),
            (Measuring(data=(text,), context=9999), "longer than what"),
            (Measuring(data=(text,), convention="embedding"), "choose among total"),
            (Measuring(data=("nowhere.txt",)), "no file or folder 'nowhere.txt'"),
        ):
            with pytest.raises(ModelError, match=says):
                measure([run], how)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a download asks for: what a model holds, and its files."""

    folder = Path()

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/people/tiny/revision/") or path == "/api/models/people/tiny":
            files = [{"rfilename": one.name} for one in sorted(self.folder.iterdir())]
            content = json.dumps({"id": "people/tiny", "sha": "a" * 40, "siblings": files}).encode()
        elif path.startswith("/api/models/people/tiny/tree/"):
            files = [
                {"type": "file", "path": one.name, "size": one.stat().st_size, "oid": "b" * 40}
                for one in sorted(self.folder.iterdir())
            ]
            content = json.dumps(files).encode()
        elif path.startswith("/people/tiny/resolve/") and (self.folder / path.rpartition("/")[2]).is_file():
            content = (self.folder / path.rpartition("/")[2]).read_bytes()
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


class TestCommand:
    def test_a_name_of_the_hub_is_fetched_without_pickles_and_measured(self, run, text, tmp_path):
        export_run(run, tmp_path / "hf")
        (tmp_path / "hf" / "pytorch_model.bin").write_bytes(b"pickled")
        Hub.folder = tmp_path / "hf"
        server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
        Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            **os.environ,
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
        }
        try:
            done, unknown = (
                subprocess.run(
                    [sys.executable, "-m", "rung.cli", "measure", name, "--data", text, "--json"],
                    capture_output=True,
                    text=True,
                    check=False,
                    cwd=tmp_path,
                    env=environment,
                    timeout=120,
                )
                for name in ("people/tiny", "people/none")
            )
        finally:
            server.shutdown()
            server.server_close()
        assert done.returncode == 0, done.stderr
        fetched = json.loads(done.stdout)["models"][0]
        direct = measure([run], Measuring(data=(text,))).models[0]
        assert fetched["run"] == "tiny"
        assert fetched["loss"] == pytest.approx(direct.loss.value, abs=1e-5)
        assert not list((tmp_path / "home").rglob("*.bin"))
        assert unknown.returncode == 1
        assert unknown.stderr.startswith("ModelError: people/none: there is no such folder, and the hub has no model")

    def test_the_table_is_one_of_runs_and_density_reads_it(self, run, text, tmp_path, command):
        other = made_run(tmp_path / "other", seed=1)
        done = command("measure", run, other, "--data", text, "-o", "measured.csv", "-o", "measured.json")
        assert done.returncode == 0, done.stderr
        assert "less the first" in done.stdout
        table = pl.read_csv(tmp_path / "measured.csv")
        assert table["loss"].to_list() == [
            one["loss"] for one in json.loads((tmp_path / "measured.json").read_text())["models"]
        ]
        assert set(table.columns) >= {"run", "params", "tokens", "loss", "loss_se", "bpb", "bits", "params_active"}
        assert table["params"].to_list() == table["params_non_embedding"].to_list()

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            (["nowhere/at/all"], "there is no such folder"),
            (["."], "holds no weights"),
            ([], "name one or more models"),
        ],
    )
    def test_wrong_input_is_one_sentence(self, command, text, given, says):
        done = command("measure", *given, "--data", text)
        assert done.returncode == 1
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
