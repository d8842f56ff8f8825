"""Preference models: pairs and posts as they are read, the loss of Bradley and Terry, a planted world, scores of a finished run."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from rung.errors import LadderError, ModelError
from rung.ladder.architectures.decoder.preference import Preference
from rung.ladder.architectures.registry import build_network
from rung.ladder.architectures.size import Size
from rung.ladder.corpora.preferences import Preferences
from rung.ladder.execution import Launch, execute_all, prepare
from rung.ladder.ladder_file import ladder_of
from rung.ladder.track import Track
from rung.ladder.training import score_pairs
from rung.models.ladder_model import run_and_weights
from rung.skill import preferences

FAMILY = Preference(context=24, head_width=8)


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def posts(path, threads=60, seed=0):
    """Posts whose votes follow how often they say "good"."""
    rng = np.random.default_rng(seed)
    rows = []
    for thread in range(threads):
        for _ in range(3):
            count = int(rng.integers(5))
            text = " ".join("good" if index < count else "bad" for index in rng.permutation(4))
            rows.append({"thread": thread, "prompt": "?", "text": text, "votes": int(rng.poisson(1 + 3 * count))})
    return written(path, rows)


class TestCorpus:
    def test_pairs_of_a_thread_follow_its_votes(self, tmp_path):
        rows = [{"thread": 1, "text": text, "votes": votes} for text, votes in (("a", 5), ("b", 1), ("c", 1), ("d", 9))]
        rows += [{"thread": 2, "text": "x", "votes": 0}, {"thread": 2, "text": "y", "votes": 0}]
        found = list(Preferences(path=written(tmp_path / "p.jsonl", rows)).read())
        assert {one[2:] for one in found} == {("a", "b"), ("a", "c"), ("d", "a"), ("d", "b"), ("d", "c")}
        wide = list(Preferences(path=str(tmp_path / "p.jsonl"), gap=5).read())
        assert {one[2:] for one in wide} == {("d", "b"), ("d", "c")}
        assert len(list(Preferences(path=str(tmp_path / "p.jsonl"), most=2).read())) == 2

    def test_a_text_is_prompt_answer_and_end(self, tmp_path):
        rows = [
            {"prompt": f"q{n}", "chosen": [{"role": "assistant", "content": "yes"}], "rejected": "n"} for n in range(40)
        ]
        data = Preferences(path=written(tmp_path / "p.jsonl", rows), one_in=4).open(FAMILY, None)
        chosen, rejected, lengths, _ = data.batch((0,), 0, 1)
        assert bytes(chosen[0, : lengths[0, 0]].astype(np.uint8).tolist())[2:] in {
            b"\n\nyes\0",
            b"0\n\nyes\0",
            *(f"{n}\n\nyes\0".encode() for n in range(10)),
        }
        assert lengths[0, 0] - lengths[0, 1] == 2
        assert not rejected[0, lengths[0, 1] :].any()

    def test_of_a_long_prompt_the_beginning_is_cut(self, tmp_path):
        rows = [{"prompt": "x" * 50 + str(n), "chosen": "yes", "rejected": "no"} for n in range(40)]
        chosen, _, lengths, _ = (
            Preferences(path=written(tmp_path / "p.jsonl", rows), one_in=4).open(FAMILY, None).batch((0,), 0, 1)
        )
        assert lengths[0, 0] == 24
        assert bytes(chosen[0].astype(np.uint8).tolist()).endswith(b"\n\nyes\0")

    def test_threads_are_held_out_whole(self, tmp_path):
        corpus = Preferences(path=posts(tmp_path / "p.jsonl"), one_in=4)
        data, pairs = corpus.open(FAMILY, None), list(corpus.read())
        held, train = ({pairs[row][0] for row in rows} for rows in (data.held, data.train))
        assert held
        assert not held & train
        assert len(data.held) + len(data.train) == len(pairs)

    def test_conversations_give_their_prompt(self, tmp_path):
        question = {"role": "user", "content": "hi"}
        answers = [{"role": "assistant", "content": text} for text in ("a", "b")]
        apart = {"prompt": [question], "chosen": [answers[0]], "rejected": [answers[1]]}
        whole = {"chosen": [question, answers[0]], "rejected": [question, answers[1]]}
        pairs = list(Preferences(path=written(tmp_path / "p.jsonl", [apart, whole])).read())
        assert pairs == [("hi", "hi", "a", "b")] * 2

    @pytest.mark.parametrize(
        ("rows", "options", "text"),
        [
            ([{"thread": ["a"], "text": "x", "votes": 1}], {}, "a thread is a list"),
            ([{"thread": 1, "text": "x", "votes": 10**400}], {}, "no number of votes"),
            ([{"prompt": "\ud800", "chosen": "x", "rejected": "y"}], {}, "half of a character"),
            (
                [{"chosen": [{"content": "q"}, {"content": "x"}], "rejected": [{"content": "r"}, {"content": "y"}]}],
                {},
                "differ before",
            ),
            ([{"a": 1}], {}, "line 1: neither a pair"),
            ([{"text": "x", "votes": "many", "thread": 1}], {}, "votes is 'many', no number of votes"),
            ([{"text": "x", "votes": 1}], {}, "needs thread or prompt"),
            ([{"chosen": "", "rejected": "x"}], {}, "chosen holds nothing"),
            ([[1]], {}, "a list where an object"),
            ([{"thread": 1, "text": "x", "votes": 1}] * 2, {}, "holds no pairs"),
            ([{"chosen": "x" * 40 + str(n), "rejected": f"y{n}"} for n in range(40)], {}, "longer than context = 24"),
            ([{"prompt": "p", "chosen": "x", "rejected": "y"}], {}, "leave none to"),
            ([{"chosen": "x", "rejected": "y"}], {"gap": 0.0}, "gap must be positive"),
        ],
    )
    def test_each_fault_has_its_message(self, tmp_path, rows, options, text):
        with pytest.raises(LadderError, match=text):
            Preferences(path=written(tmp_path / "p.jsonl", rows), **options).open(FAMILY, None)


class TestNetwork:
    def batch(self):
        generator = torch.Generator().manual_seed(0)
        sides = [torch.randint(1, 256, (6, 24), generator=generator) for _ in range(2)]
        return (*sides, torch.randint(3, 24, (6, 2), generator=generator))

    def net(self):
        torch.manual_seed(0)
        net = build_network(FAMILY, Size(16, 2))
        torch.nn.init.normal_(net.head.weight)
        return net

    def test_swapped_sides_have_the_opposite_margin_and_the_loss_is_that_of_bradley_and_terry(self):
        net, (one, other, lengths) = self.net(), self.batch()
        with torch.no_grad():
            margins = net.margins((one, other, lengths))
            swapped = net.margins((other, one, lengths.flip(1)))
            loss = net.losses((one, other, lengths))[1]
            share = net.measures((one, other, lengths))["accuracy"]
        assert margins.tolist() == pytest.approx((-swapped).tolist(), abs=1e-5)
        assert float(loss) == pytest.approx(np.mean(np.log1p(np.exp(-margins.numpy()))), rel=1e-5)
        assert float(share) == pytest.approx(float((margins > 0).float().mean()))

    def test_a_score_is_read_at_the_last_token(self):
        net, (one, _, lengths) = self.net(), self.batch()
        other = one.clone()
        for row, length in enumerate(lengths[:, 0].tolist()):
            other[row, length - 1] = (other[row, length - 1] + 1) % 256
        with torch.no_grad():
            gaps = net(one, lengths[:, 0]) - net(other, lengths[:, 0])
        assert (gaps.abs() > 1e-4).all()

    def test_what_fills_a_text_up_does_not_matter(self):
        net, (one, _, lengths) = self.net(), self.batch()
        filled = one.clone()
        for row, length in enumerate(lengths[:, 0].tolist()):
            filled[row, length:] = 7
        with torch.no_grad():
            assert net(one, lengths[:, 0]).tolist() == pytest.approx(net(filled, lengths[:, 0]).tolist(), abs=1e-5)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("preference")
    content = {
        "family": {"name": "preference", "context": 32, "head_width": 8},
        "corpus": {"name": "preferences", "path": posts(place / "posts.jsonl", 300), "one_in": 5},
        "recipe": {"lr": 0.01, "batch_tokens": 2048},
        "rung": [{"width": 16, "depth": 1, "tokens": 200_000}],
    }
    (folder,) = prepare(ladder_of(content, "ladder", place / "ladder"))
    execute_all([folder], Launch(launcher="here"), Track())
    return folder.path, place / "posts.jsonl"


class TestRuns:
    def test_a_run_learns_what_votes_follow_and_scores_pairs(self, run):
        folder, file = run
        frame = score_pairs(folder, file)
        assert frame.columns == ["thread", "prompt", "chosen", "rejected", "score_chosen", "score_rejected"]
        counts = {side: frame[side].str.count_matches("good") for side in ("chosen", "rejected")}
        apart = (counts["chosen"] != counts["rejected"]).to_numpy()
        says = (frame["score_chosen"] > frame["score_rejected"]).to_numpy()[apart]
        truth = (counts["chosen"] > counts["rejected"]).to_numpy()[apart]
        assert np.mean(says == truth) > 0.95
        assert preferences(frame).scores[0].accuracy > 0.7

    def test_accuracy_stands_in_the_metrics(self, run):
        folder, _ = run
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        last = [line["evaluation"] for line in lines if "evaluation" in line][-1]
        assert 0.6 < last["accuracy"] <= 1
        assert last["loss"] < np.log(2)

    def test_a_preference_model_is_no_language_model(self, run):
        with pytest.raises(ModelError, match="no language model"):
            run_and_weights(run[0])

    def test_it_begins_from_a_language_model(self, run, tmp_path):
        text = tmp_path / "text.jsonl"
        written(text, [{"text": "good bad good good bad " * 20} for _ in range(60)])
        options = {"context": 32, "head_width": 8, "mlp": "swiglu", "mlp_ratio": 8 / 3, "mlp_multiple": 8}
        base = {
            "family": {"name": "llama", "context": 32, "head_width": 8},
            "corpus": {"name": "text", "path": str(text)},
            "recipe": {"batch_tokens": 512},
            "rung": [{"width": 16, "depth": 1, "tokens": 5000}],
        }
        (folder,) = prepare(ladder_of(base, "base", tmp_path / "base"))
        execute_all([folder], Launch(launcher="here"), Track())
        tuned = {
            "family": {"name": "preference", **options},
            "corpus": {"name": "preferences", "path": str(run[1]), "one_in": 5},
            "recipe": {"batch_tokens": 2048, "from": str(folder.path)},
            "rung": [{"width": 16, "depth": 1, "tokens": 4096}],
        }
        from rung.ladder.training import Trainer

        rung = ladder_of(tuned, "tuned", tmp_path / "tuned").rungs[0]
        weights = dict(Trainer(rung).net.state_dict())
        from safetensors.torch import load_file

        before = load_file(folder.path / "model.safetensors")
        assert torch.equal(weights["embedding.weight"], before["embedding.weight"])
        assert weights["head.weight"].shape == (1, 16)

    def test_only_preference_models_score_pairs(self, run, tmp_path):
        with pytest.raises(LadderError, match=r"no rung\.json"):
            score_pairs(tmp_path, run[1])


def test_a_frame_of_scores_is_what_skill_reads():
    frame = pl.DataFrame(
        {"chosen": ["a b"] * 50, "rejected": ["a"] * 50, "score_chosen": [1.0] * 50, "score_rejected": [0.0] * 50}
    )
    assert preferences(frame).scores[0].accuracy == 1
