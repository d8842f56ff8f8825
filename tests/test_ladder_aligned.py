"""Fine-tuning on answers and on pairs of them: the corpus, the objectives by hand, chains of runs, and a planted preference."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rung.errors import LadderError  # noqa: E402
from rung.ladder.architectures.decoder.aligned import DPO, ORPO, SFT, Aligned  # noqa: E402
from rung.ladder.architectures.registry import build_network  # noqa: E402
from rung.ladder.architectures.size import Size  # noqa: E402
from rung.ladder.corpora.answers import Answers  # noqa: E402
from rung.ladder.execution import Launch, execute_all, prepare  # noqa: E402
from rung.ladder.ladder_file import ladder_of  # noqa: E402
from rung.ladder.track import Track  # noqa: E402
from rung.ladder.training.trainer import Trainer, train  # noqa: E402
from rung.models import Measuring, export_run, measure, open_model  # noqa: E402

CONTEXT = 24


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def rung_of(place, name, family, corpus, tokens=40_000, **recipe):
    content = {
        "family": {"context": CONTEXT, "head_width": 8, **family},
        "corpus": corpus,
        "recipe": {"lr": 0.005, "batch_tokens": 1536, **recipe},
        "rung": [{"width": 16, "depth": 1, "tokens": tokens}],
    }
    return ladder_of(content, name, place / name)


def run(place, name, family, corpus, tokens=40_000, **recipe):
    (folder,) = prepare(rung_of(place, name, family, corpus, tokens, **recipe))
    execute_all([folder], Launch(launcher="here", threads=1), Track())
    return folder.path


class TestCorpus:
    def test_an_answer_stands_behind_its_prompt_whatever_the_format(self, tmp_path):
        rows = [{"prompt": f"q{n}", "answer": "yes"} for n in range(40)]
        said = [{"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "yes"}]} for n in range(40)]  # fmt: skip
        family = Aligned(context=CONTEXT, head_width=8)
        for name, content in (("rows", rows), ("messages", said)):
            data = Answers(path=written(tmp_path / f"{name}.jsonl", content), one_in=4).open(family, None)
            tokens, lengths, leads = data.batch((0,), 0, 3)
            for text, length, lead in zip(tokens, lengths, leads, strict=True):
                whole = bytes(text[:length].astype(np.uint8).tolist())
                assert whole.startswith(b"q")
                assert whole[lead:] == b"yes\0"
                assert not text[length:].any()

    def test_prompts_are_held_out_whole_and_repeats_count_once(self, tmp_path):
        rows = [{"prompt": f"q{n % 20}", "answer": f"a{n}"} for n in range(100)] * 2
        corpus = Answers(path=written(tmp_path / "a.jsonl", rows), one_in=4)
        data = corpus.open(Aligned(context=CONTEXT, head_width=8), None)
        found = list(dict.fromkeys(corpus.read()))
        assert len(data.train) + len(data.held) == 100
        held, seen = ({found[row][0] for row in rows} for rows in (data.held, data.train))
        assert held
        assert not held & seen

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ([{"prompt": "q", "reply": "a"}], "no answer"),
            ([{"prompt": "q", "answer": ""}], "holds nothing"),
            ([{"messages": [{"role": "user", "content": "q"}]}], "the last message is of the user"),
            ([{"prompt": 3, "answer": "a"}], "the prompt is a int"),
            ([{"prompt": "q", "answer": "a" * 99}] * 2, "longer than context"),
            ([{"prompt": "q", "answer": "a"}], "leave none to"),
        ],
    )
    def test_what_is_no_answer_is_named(self, tmp_path, rows, said):
        with pytest.raises(LadderError, match=said):
            Answers(path=written(tmp_path / "a.jsonl", rows)).open(Aligned(context=CONTEXT, head_width=8), None)


def network(objective, beta=0.3):
    torch.manual_seed(0)
    net = build_network(Aligned(context=CONTEXT, head_width=8, objective=objective, beta=beta), Size(16, 1))
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return net


def pairs():
    draws = torch.Generator().manual_seed(1)
    texts = [torch.randint(97, 123, (3, CONTEXT), generator=draws) for _ in range(2)]
    return (*texts, torch.tensor([[12, 9], [CONTEXT, 7], [8, 8]]), torch.tensor([[4, 4], [6, 6], [0, 0]]))


def by_hand(net, text, length, lead):
    """The log-probability of each token of an answer, one forward pass for each."""
    found = []
    with torch.no_grad():
        for at in range(max(lead, 1), length):
            logits = net(text[None, :at].long())[0, -1].float()
            found.append(float(torch.log_softmax(logits, -1)[int(text[at])]))
    return np.array(found)


class TestObjectives:
    def test_fine_tuning_learns_the_tokens_of_answers_alone(self):
        net, (texts, _, lengths, leads) = network(SFT), pairs()
        parts = [by_hand(net, text, int(length), int(lead)) for text, length, lead in zip(texts, lengths[:, 0], leads[:, 0], strict=True)]  # fmt: skip
        loss = net.losses((texts, lengths[:, 0], leads[:, 0]))[1].detach()
        assert float(loss) == pytest.approx(-np.concatenate(parts).mean(), rel=1e-5)

    def test_preference_optimisation_by_hand(self):
        net, batch = network(DPO), pairs()
        net.begin(started=True)
        # At the start nothing has changed, so no answer is ahead.
        assert float(net.losses(batch)[1].detach()) == pytest.approx(np.log(2), rel=1e-5)
        assert float(net.measures(batch)["accuracy"].detach()) == 0.5
        before = [[by_hand(net, batch[side][row], int(batch[2][row, side]), int(batch[3][row, side])).sum() for side in (0, 1)] for row in range(3)]  # fmt: skip
        with torch.no_grad():
            for weight in net.parameters():
                weight.mul_(1.1)
        after = [[by_hand(net, batch[side][row], int(batch[2][row, side]), int(batch[3][row, side])).sum() for side in (0, 1)] for row in range(3)]  # fmt: skip
        gains = np.array(after) - np.array(before)
        margins = 0.3 * (gains[:, 0] - gains[:, 1])
        assert float(net.losses(batch)[1].detach()) == pytest.approx(np.log1p(np.exp(-margins)).mean(), rel=1e-3)
        assert float(net.measures(batch)["accuracy"].detach()) == pytest.approx((margins > 0).mean())
        assert "head.weight" in net.state_dict()
        assert not any("reference" in name for name in net.state_dict())

    def test_odds_ratio_by_hand(self):
        net, batch = network(ORPO), pairs()
        with torch.no_grad():
            net.head.weight.mul_(4)
            for at in range(4, CONTEXT - 1):  # answers of which the network is sure, where odds and probability part
                batch[0][:, at] = net(batch[0][:, :at].long())[:, -1].argmax(-1)
            batch[1][:] = batch[0]
            batch[1][:, 6] = net(batch[1][:, :6].long())[:, -1].topk(2).indices[:, 1]
        mean = np.array([[by_hand(net, batch[side][row], int(batch[2][row, side]), int(batch[3][row, side])).mean() for side in (0, 1)] for row in range(3)])  # fmt: skip
        odds = np.log(np.exp(mean) / (1 - np.exp(mean)))
        margins = odds[:, 0] - odds[:, 1]
        wanted = (-mean[:, 0] + 0.3 * np.log1p(np.exp(-margins))).mean()
        assert float(net.losses(batch)[1].detach()) == pytest.approx(wanted, rel=1e-4)
        assert float(net.measures(batch)["loss_chosen"].detach()) == pytest.approx(-mean[:, 0].mean(), rel=1e-5)

    def test_counts_and_what_does_not_serve(self):
        assert Aligned(objective=DPO).item_tokens == 2 * Aligned(objective=SFT).item_tokens
        size = Size(64, 2)
        sft, dpo, orpo = (Aligned(objective=one).flops_per_token(size) for one in (SFT, DPO, ORPO))
        assert (dpo / sft, orpo) == (pytest.approx(4 / 3), sft)
        for options, said in (({"objective": "ppo"}, "sft, dpo or orpo"), ({"beta": 0.0}, "must be positive")):
            with pytest.raises(LadderError, match=said):
                Aligned(**options)


WORDS = ("good", "bad")


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A language model of both words, fine-tuned on answers, and then on pairs in which one of them is preferred."""
    place = tmp_path_factory.mktemp("chain")
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 4)) for _ in range(400)]
    text = written(place / "text.jsonl", [{"text": f"q{n}\n\n{one}"} for n, one in enumerate(texts)])
    answers = written(place / "answers.jsonl", [{"prompt": f"q{n}", "answer": one} for n, one in enumerate(texts)])
    chosen = [{"prompt": f"q{n}", "chosen": "good good", "rejected": "bad bad"} for n in range(200)]
    preferred = written(place / "pairs.jsonl", chosen)
    base = run(place, "base", {"name": "gpt"}, {"name": "text", "path": text, "one_in": 5}, 150_000)
    sft = run(place, "sft", {"name": "sft"}, {"name": "answers", "path": answers, "one_in": 5}, **{"from": str(base)})
    pairs_of = {"name": "preferences", "path": preferred, "one_in": 5}
    tuned = {
        name: run(place, name, {"name": name}, pairs_of, 60_000, lr=0.001, **{"from": str(sft)})
        for name in ("dpo", "orpo")
    }
    return place, base, sft, tuned


def evaluations(path):
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [line["evaluation"] for line in lines if "evaluation" in line]


def odds(path, prompt="q7\n\n"):
    """Log odds that an answer begins with the preferred word."""
    model = open_model(path)
    tokens = torch.tensor([list(prompt.encode())])
    with torch.inference_mode():
        logits = model.logits(tokens)[0, -1].float()
    return float(logits[ord("g")] - logits[ord("b")])


class TestChains:
    def test_what_is_preferred_becomes_likelier(self, chain):
        _, _, sft, tuned = chain
        assert abs(odds(sft)) < 1
        for path in tuned.values():
            assert odds(path) > odds(sft) + 1
            assert evaluations(path)[-1]["accuracy"] > 0.95

    def test_fine_tuned_models_are_measured_and_exported_as_any_other(self, chain, tmp_path):
        pytest.importorskip("transformers")
        place, _, sft, tuned = chain
        how = Measuring(data=(str(place / "text.jsonl"),), context=CONTEXT, stride=CONTEXT)
        for number, path in enumerate((sft, tuned["dpo"])):
            export_run(path, tmp_path / str(number))
            ours, theirs = (measure([one], how).models[0].loss.value for one in (path, tmp_path / str(number)))
            assert theirs == pytest.approx(ours, rel=1e-5)

    def test_an_interrupted_run_goes_on_from_the_same_reference(self, chain):
        place, _, sft, _ = chain
        corpus = {"name": "preferences", "path": str(place / "pairs.jsonl"), "one_in": 5}
        (rung,) = rung_of(place, "again", {"name": "dpo"}, corpus, 12_000, **{"from": str(sft)}).rungs
        whole = train(rung)
        first = Trainer(rung)
        for _ in range(rung.steps // 2):
            first.advance()
        kept = {name: value.clone() for name, value in first.state().items()}
        second = Trainer(rung)
        second.restore(kept, first.step)
        while second.step < rung.steps:
            second.advance()
        assert all(torch.equal(value, second.net.state_dict()[name]) for name, value in whole.net.state_dict().items())

    def test_parts_of_a_batch_are_the_whole(self, chain):
        """Answers differ in length: parts count by their tokens, in training and in evaluation."""
        place, base, _, _ = chain
        rows = [{"prompt": f"q{n}", "answer": "good" if n % 2 else "bad bad bad bad"} for n in range(300)]
        corpus = {"name": "answers", "path": written(place / "uneven.jsonl", rows), "one_in": 2}
        (rung,) = rung_of(place, "parts", {"name": "sft"}, corpus, micro_batch=5, **{"from": str(base)}).rungs
        trainer = Trainer(rung)
        batch = tuple(torch.from_numpy(part) for part in trainer.data.batch(rung.key, 0, rung.batch))
        loss = trainer.net.losses(batch)[0]
        wanted = torch.autograd.grad(loss, list(trainer.net.parameters()))
        assert float(trainer._gradients(batch)) == pytest.approx(float(loss.detach()), rel=1e-5)
        assert all(torch.allclose(one.grad, other, atol=1e-6) for one, other in zip(trainer.net.parameters(), wanted, strict=True))  # fmt: skip
        held = trainer.data.held_out(1 << 20)[""].items
        assert len(held[0]) > 64
        with torch.no_grad():
            whole = trainer.net.losses(tuple(torch.from_numpy(part) for part in held))[1]
        assert trainer.evaluate()["loss"] == pytest.approx(float(whole), rel=1e-5)

    def test_dpo_needs_a_model_to_begin_from_and_a_shape_that_fits(self, chain):
        place, _, sft, _ = chain
        corpus = {"name": "preferences", "path": str(place / "pairs.jsonl"), "one_in": 5}
        (alone,) = rung_of(place, "alone", {"name": "dpo"}, corpus).rungs
        with pytest.raises(LadderError, match="the one it begins from"):
            Trainer(alone)
        (other,) = rung_of(place, "other", {"name": "dpo", "mlp": "swiglu"}, corpus, **{"from": str(sft)}).rungs
        with pytest.raises(LadderError, match="mlp is 'gelu' there and 'swiglu' here"):
            Trainer(other)

    def test_it_runs_from_a_file_and_stands_in_the_table(self, chain, command, tmp_path):
        place, base, _, _ = chain
        shutil.copy(place / "answers.jsonl", tmp_path / "answers.jsonl")
        (tmp_path / "sft.toml").write_text(
            f'output = "runs"\n[family]\nname = "sft"\ncontext = {CONTEXT}\nhead_width = 8\n[corpus]\nname = "answers"\npath = "answers.jsonl"\none_in = 5\n'
            f'[recipe]\nfrom = "{base}"\nlr = 0.002\n[[rung]]\nwidth = 16\ndepth = 1\ntokens = 2e4\n'
        )
        assert command("ladder", "run", "sft.toml").returncode == 0
        done = command("ladder", "table", "runs", "--json")
        assert "loss" in done.stdout
