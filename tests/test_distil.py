"""Distilling: what a teacher's answers are, what a student learns from them, and how loyal it is."""

import json
import math

import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import jensenshannon

from rung.errors import LadderError, ModelError
from rung.ladder import read_ladder
from rung.models import open_model
from rung.treat import Teaching, loyalty_of, loyalty_of_models, probability_loyalty, teach
from test_measure import made_run

torch = pytest.importorskip("torch")


@pytest.fixture
def teacher(tmp_path):
    return made_run(tmp_path / "teacher", "llama", vocab=256)


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.jsonl"
    rows = ("".join(f"def f{number}{line}(x):\n    return {line}\n" for line in range(12)) for number in range(40))
    file.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    return (str(file),)


def student(place, taught, soft=0.5, **more):
    options = "\n".join(
        f"{name} = {json.dumps(value)}" for name, value in {"context": 16, "head_width": 8, **more}.items()
    )
    place.write_text(
        f'output = "students"\n[family]\nname = "gpt"\n{options}\n[corpus]\nname = "teacher"\npath = "{taught}"\n'
        f"[recipe]\nsoft = {soft}\ntemperature = 2.0\n[[rung]]\nwidth = 8\ndepth = 1\ntokens = 5e4\n"
    )
    return place


class TestAnswers:
    def test_what_is_kept_are_the_likeliest_tokens_after_each_token_of_a_window(self, teacher, text, tmp_path):
        found = teach([teacher], tmp_path / "taught", Teaching(data=text, context=16, likeliest=5))
        ladder = read_ladder(student(tmp_path / "s.toml", tmp_path / "taught"))
        rung = ladder.rungs[0]
        data = rung.made_corpus.open(rung.made_family, None)
        tokens, likeliest, log_p = data.batch(rung.key, 3, 4)
        model = open_model(teacher)
        with torch.inference_mode():
            logs = torch.log_softmax(model.logits(torch.from_numpy(tokens[:, :-1].astype(np.int64))), dim=-1)
        best = logs.topk(5, dim=-1)
        assert np.array_equal(likeliest, best.indices.numpy())
        assert np.allclose(log_p.astype(float), best.values.numpy(), atol=5e-3)
        assert 0 < found.mass < 1
        assert found.tokens == data.unique_items * 16

    def test_several_teachers_answer_with_their_mean(self, teacher, text, tmp_path):
        other = made_run(tmp_path / "other", "llama", seed=1, vocab=256)
        both = tmp_path / "both"
        teach([teacher, other], both, Teaching(data=text, context=16, likeliest=3))
        rung = read_ladder(student(tmp_path / "s.toml", both)).rungs[0]
        tokens, likeliest, log_p = rung.made_corpus.open(rung.made_family, None).batch(rung.key, 0, 2)
        with torch.inference_mode():
            shares = [
                torch.softmax(open_model(one).logits(torch.from_numpy(tokens[:, :-1].astype(np.int64))), dim=-1)
                for one in (teacher, other)
            ]
        best = torch.stack(shares).mean(dim=0).topk(3, dim=-1)
        assert np.array_equal(likeliest, best.indices.numpy())
        assert np.allclose(np.exp(log_p.astype(float)), best.values.numpy(), rtol=5e-3)

    def test_another_teacher_in_the_same_place_is_another_teacher(self, teacher, text, tmp_path):
        teach([teacher], tmp_path / "taught", Teaching(data=text, context=16))
        other = made_run(tmp_path / "other", "llama", seed=1, vocab=256)
        (teacher / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
        with pytest.raises(ModelError, match="holds other answers: identity"):
            teach([teacher], tmp_path / "taught", Teaching(data=text, context=16))

    def test_what_is_damaged_or_was_never_named_is_made_again(self, teacher, text, tmp_path):
        how, place = Teaching(data=text, context=16), tmp_path / "taught"
        teach([teacher], place, how)
        rung = read_ladder(student(tmp_path / "s.toml", place)).rungs[0]
        for name, says in (("tokens.safetensors", "missing or damaged"), ("part-00000.safetensors", "is damaged")):
            whole = (place / name).read_bytes()
            (place / name).write_bytes(whole[:200])
            with pytest.raises(LadderError, match=says):
                rung.made_corpus.open(rung.made_family, None).batch(rung.key, 0, 4)
            teach([teacher], place, how)
            assert (place / name).read_bytes() == whole
        for file in place.iterdir():
            if file.name != "tokens.safetensors":
                file.unlink()
        teach([teacher], place, how)
        assert len(rung.made_corpus.open(rung.made_family, None).batch(rung.key, 0, 4)) == 3

    def test_a_large_vocabulary_takes_forty_bytes_a_token(self, text, tmp_path):
        large = made_run(tmp_path / "large", vocab=70_000)
        found = teach([large], tmp_path / "taught", Teaching(data=text, context=16, likeliest=8))
        assert found.bytes_per_token == pytest.approx(40, rel=0.05)
        rung = read_ladder(student(tmp_path / "s.toml", tmp_path / "taught", vocab=70_000)).rungs[0]
        tokens, likeliest, _ = rung.made_corpus.open(rung.made_family, None).batch(rung.key, 0, 1)
        with torch.inference_mode():
            logits = open_model(large).logits(torch.from_numpy(tokens[:, :-1].astype(np.int64)))
        assert np.array_equal(likeliest, logits.topk(8, dim=-1).indices.numpy())
        assert likeliest.max() > 1 << 16

    def test_an_interrupted_call_goes_on_and_another_teacher_is_refused(self, teacher, text, tmp_path, monkeypatch):
        from rung.ladder.corpora import teacher as corpus
        from rung.treat import teaching

        for module in (teaching, corpus):
            monkeypatch.setattr(module, "PART", 100)
        how = Teaching(data=text, context=16)
        teach([teacher], tmp_path / "taught", how)
        files = sorted((tmp_path / "taught").glob("part-*"))
        assert len(files) > 2
        before, kept = files[1].read_bytes(), files[0].stat().st_mtime_ns
        files[1].unlink()
        rung = read_ladder(student(tmp_path / "s.toml", tmp_path / "taught")).rungs[0]
        with pytest.raises(LadderError, match=r"part-00001\.safetensors is missing"):
            rung.made_corpus.open(rung.made_family, None)
        teach([teacher], tmp_path / "taught", how)
        assert files[1].read_bytes() == before
        assert files[0].stat().st_mtime_ns == kept
        with pytest.raises(ModelError, match="holds other answers: likeliest is 8 there, 4 here"):
            teach([teacher], tmp_path / "taught", Teaching(data=text, context=16, likeliest=4))

    @pytest.mark.parametrize(
        ("how", "says"),
        [
            ({"context": 1}, "context=1 must lie between 2 and 32"),
            ({"context": 64}, "context=64 must lie between"),
            ({"likeliest": 0}, "likeliest=0 must lie"),
            ({"data": ()}, "name the text"),
            ({"data": ("nowhere",)}, "no file or folder 'nowhere'"),
        ],
    )
    def test_what_cannot_be_asked(self, teacher, text, tmp_path, how, says):
        with pytest.raises(ModelError, match=says):
            teach([teacher], tmp_path / "taught", Teaching(**{"data": text, "context": 16, **how}))
        assert not (tmp_path / "taught").exists()

    def test_teachers_with_other_tokens(self, teacher, text, tmp_path):
        other = made_run(tmp_path / "other", "llama", vocab=300)
        with pytest.raises(ModelError, match="have different tokenizers"):
            teach([teacher, other], tmp_path / "taught", Teaching(data=text, context=16))


class TestObjective:
    def net(self):
        from rung.ladder.architectures import Decoder, Size, build_network

        torch.manual_seed(0)
        net = build_network(Decoder(vocab=20, context=6, head_width=8), Size(8, 1))
        with torch.no_grad():
            net.head.weight.copy_(torch.randn_like(net.head.weight))
        return net

    def given(self, net, likeliest=4):
        generator = torch.Generator().manual_seed(1)
        tokens = torch.randint(0, 20, (3, 7), generator=generator)
        logs = torch.log_softmax(2 * torch.randn(3, 6, 20, generator=generator), dim=-1)
        best = logs.topk(likeliest, dim=-1)
        return tokens, best.indices, best.values, net(tokens[:, :-1])

    def test_at_temperature_one_it_is_the_divergence_over_the_likeliest_and_any_other(self):
        net = self.net()
        tokens, ids, log_p, logits = self.given(net)
        objective, loss = net.taught((tokens, ids, log_p), 1.0, 1.0)
        p = log_p.double().exp()
        q = torch.softmax(logits.double(), dim=-1).gather(-1, ids)
        p, q = (torch.cat([one, 1 - one.sum(dim=-1, keepdim=True)], dim=-1) for one in (p, q))
        wanted = (p * (p / q).log()).sum(dim=-1).mean()
        assert objective.item() == pytest.approx(wanted.item(), rel=1e-4)
        assert loss.item() == pytest.approx(net.losses((tokens,))[1].item(), rel=1e-6)

    def test_a_temperature_softens_among_the_likeliest_alone(self):
        net = self.net()
        tokens, ids, log_p, logits = self.given(net)
        objective, _ = net.taught((tokens, ids, log_p), 1.0, 3.0)
        p, q = log_p.double().exp().sum(dim=-1), torch.softmax(logits.double(), dim=-1).gather(-1, ids).sum(dim=-1)
        among = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
        a = torch.softmax(log_p.double() / 3, dim=-1)
        b = torch.softmax(logits.double().gather(-1, ids) / 3, dim=-1)
        wanted = (among + p * 9 * (a * (a / b).log()).sum(dim=-1)).mean()
        assert objective.item() == pytest.approx(wanted.item(), rel=1e-4)

    def test_one_likeliest_token_that_is_sure_is_the_hard_loss(self):
        net = self.net()
        tokens, _, _, _ = self.given(net)
        ids = tokens[:, 1:, None]
        objective, loss = net.taught((tokens, ids, torch.zeros(3, 6, 1)), 1.0, 1.0)
        assert objective.item() == pytest.approx(loss.item(), rel=1e-3)

    def test_the_share_weighs_both_parts_and_a_student_that_agrees_learns_nothing(self):
        net = self.net()
        tokens, ids, log_p, logits = self.given(net)
        ends = [net.taught((tokens, ids, log_p), soft, 2.0)[0].item() for soft in (0.0, 0.5, 1.0)]
        assert ends[1] == pytest.approx((ends[0] + ends[2]) / 2, rel=1e-5)
        own = torch.log_softmax(logits, dim=-1).topk(4, dim=-1)
        objective, _ = net.taught((tokens, own.indices, own.values.detach()), 1.0, 2.0)
        objective.backward()
        assert objective.item() == pytest.approx(0, abs=1e-5)
        assert float(net.head.weight.grad.abs().max()) < 1e-4


class TestStudents:
    def test_a_ladder_trains_students_and_their_controls_on_the_same_windows(self, teacher, text, tmp_path, command):
        teach([teacher], tmp_path / "taught", Teaching(data=text, context=16))
        held = []
        for soft in (0.0, 0.9):
            student(tmp_path / "s.toml", tmp_path / "taught", soft=soft)
            content = (tmp_path / "s.toml").read_text().replace('"students"', f'"students{soft}"')
            (tmp_path / "s.toml").write_text(content)
            done = command("ladder", "run", "s.toml", "--json")
            assert done.returncode == 0, done.stderr
            (run,) = (tmp_path / f"students{soft}").glob("*/model.safetensors")
            held.append(loyalty_of_models(teacher, run.parent, text, windows=20).found["probability"][0])
        # The teacher is random: the text says nothing of what it thinks, and it does.
        assert held[1] > held[0] + 0.02

    def test_what_does_not_go_together(self, teacher, text, tmp_path):
        teach([teacher], tmp_path / "taught", Teaching(data=text, context=16))
        wrong = student(tmp_path / "s.toml", tmp_path / "taught")
        plain = wrong.read_text().replace(f'name = "teacher"\npath = "{tmp_path / "taught"}"', 'name = "python"')
        wrong.write_text(plain)
        with pytest.raises(LadderError, match=r"soft = 0\.5 learns from a teacher, and the corpus 'python' has none"):
            read_ladder(wrong)
        for options, says in (
            ({"context": 8}, "saw windows of 16 tokens"),
            ({"vocab": 100}, "vocabulary of 256 tokens"),
        ):
            rung = read_ladder(student(wrong, tmp_path / "taught", **options)).rungs[0]
            with pytest.raises(LadderError, match=says):
                rung.made_corpus.open(rung.made_family, None)
        rung = read_ladder(student(wrong, tmp_path / "nowhere")).rungs[0]
        with pytest.raises(LadderError, match=r"is no folder of a teacher: it has no about\.json"):
            rung.made_corpus.open(rung.made_family, None)

    def test_the_command_trains_the_students_of_its_own_folder_alone(self, teacher, text, tmp_path, command):
        student(tmp_path / "s.toml", tmp_path / "other")
        done = command("distil", teacher, "--data", *text, "--context", 16, "--student", "s.toml", "-o", "taught")
        assert done.returncode == 1
        assert "does not learn from taught" in done.stderr


class TestLoyalty:
    def test_probabilities_are_compared_by_the_distance_of_jensen_and_shannon(self):
        rng = np.random.default_rng(0)
        p, q = (rng.dirichlet(np.ones(5), 50) for _ in range(2))
        wanted = [1 - jensenshannon(a, b, base=2) for a, b in zip(p, q, strict=True)]
        assert probability_loyalty(p, q) == pytest.approx(wanted)
        assert probability_loyalty(p, q) == pytest.approx(probability_loyalty(q, p))
        assert probability_loyalty(p, p) == pytest.approx(1.0, abs=1e-7)
        apart = np.eye(2)
        assert probability_loyalty(apart, apart[::-1]) == pytest.approx(0.0)
        assert probability_loyalty(apart, apart[::-1], base="e") == pytest.approx(1 - math.sqrt(math.log(2)))

    def test_files_are_matched_by_their_ids(self, tmp_path):
        rng = np.random.default_rng(1)
        p = rng.dirichlet(np.ones(3), 20)
        first = pl.DataFrame(
            {"id": np.arange(20), "value": rng.standard_normal(20), **{f"p_{n}": p[:, i] for i, n in enumerate("abc")}}
        )
        first.write_csv(tmp_path / "a.csv")
        first.sample(fraction=1.0, shuffle=True, seed=2).with_columns(value=2 * pl.col("value") + 1).write_ndjson(
            tmp_path / "b.jsonl"
        )
        found = loyalty_of(tmp_path / "a.csv", tmp_path / "b.jsonl").found
        assert {kind: value for kind, (value, _) in found.items()} == pytest.approx(
            {"label": 1.0, "probability": 1.0, "regression": 1.0}, abs=1e-6
        )

    @pytest.mark.parametrize(
        ("first", "second", "says"),
        [
            ("id,label\n1,a\n", "id,label\n2,a\n", "predict different cases: 1 is in one"),
            ("id,label\n1,a\n1,b\n", "id,label\n1,a\n", "an id stands twice"),
            ("p_a,p_b\n0.5,0.6\n", "p_a,p_b\n0.5,0.5\n", "row 1: the probabilities"),
            ("p_a,p_b\n0.5,0.5\n", "p_a,p_c\n0.5,0.5\n", "has the choices a, b"),
            ("label\na\n", "value\n1\n", "neither labels, nor probabilities"),
            ("id,label\n1,\n", "id,label\n1,a\n", "row 1: the label is missing"),
            ("label\n", "label\n", "holds no row"),
            ("value\n90%\n", "value\n1\n", "value must hold numbers"),
            ("id,label\n1,a\n", "label\na\nb\n", "has 1 rows and .* 2"),
            ("value\n1\n1\n1\n", "value\n1\n2\n3\n", "there is no r"),
        ],
    )
    def test_what_cannot_be_compared(self, tmp_path, first, second, says):
        (tmp_path / "a.csv").write_text(first)
        (tmp_path / "b.csv").write_text(second)
        with pytest.raises(ModelError, match=says):
            loyalty_of(tmp_path / "a.csv", tmp_path / "b.csv")

    def test_choices_are_matched_by_name_and_labels_that_are_numbers_by_value(self, tmp_path):
        (tmp_path / "a.csv").write_text("label,p_a,p_b\n1,0.9,0.1\n0,0.2,0.8\n")
        (tmp_path / "b.csv").write_text("p_b,label,p_a\n0.1,1.0,0.9\n0.8,0.0,0.2\n")
        found = loyalty_of(tmp_path / "a.csv", tmp_path / "b.csv").found
        assert found["label"][0] == 1.0
        assert found["probability"][0] == pytest.approx(1.0, abs=1e-6)

    def test_a_model_is_loyal_to_itself_and_less_to_another(self, teacher, text, tmp_path, command):
        same = loyalty_of_models(teacher, teacher, text, windows=10).found
        assert same["label"][0] == 1.0
        assert same["probability"][0] == pytest.approx(1.0, abs=1e-6)
        other = made_run(tmp_path / "other", "llama", seed=1, vocab=256)
        done = command("loyalty", teacher, other, "--data", *text, "--windows", 10, "--json")
        found = json.loads(done.stdout)
        assert found["label"]["value"] < 0.5
        assert found["probability"]["value"] < 0.9
        larger = made_run(tmp_path / "larger", "llama", vocab=300)
        with pytest.raises(ModelError, match="tells 256 tokens apart"):
            loyalty_of_models(teacher, larger, text)
        with pytest.raises(ModelError, match="must be at least 1"):
            loyalty_of_models(teacher, other, text, windows=0)
        with pytest.raises(ModelError, match="two models are compared on a text"):
            loyalty_of(teacher, other)
