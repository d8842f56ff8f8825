"""Attempts of models at problems: a model whose pass rate is known, checks of answers, demonstrations, wrong input."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from rung.errors import ModelError
from rung.models import AnswerSampler, OpenModel, Problem, Sampling, attempts, demonstrated, read_problems
from rung.models.size import ModelSize
from rung.skill import pass_until

SIZE = ModelSize(
    params=10, params_non_embedding=10, params_active=10, params_nonzero=10, outside_nonzero=0, stored_bits=320, flops_of_weights=1.0, flops_of_position=0.0
)  # fmt: skip


def dealing(shares):
    """A model of bytes whose next byte has these probabilities, whatever stands before it; byte 0 ends a text."""
    logits = torch.full((256,), -30.0)
    for byte, share in shares.items():
        logits[byte if isinstance(byte, int) else ord(byte)] = np.log(share)
    return OpenModel(
        name="dealer",
        origin="ladder",
        network=torch.nn.Identity(),
        size=SIZE,
        context=64,
        vocab=256,
        start=0,
        encode=lambda text: np.frombuffer(text, np.uint8).astype(np.int64),
        spelt=lambda token: bytes([token]),
        logits=lambda tokens: logits.expand(*tokens.shape, 256),
        device="cpu",
    )


SEVEN = Problem(name="a", prompt="3+4=", answer="7")


class TestRates:
    def test_the_rate_of_a_model_that_deals_answers_is_its_own(self):
        model = dealing({"7": 0.2, "8": 0.7, 0: 0.1})
        counts = [
            pass_until(AnswerSampler(model, SEVEN, Sampling(tokens=1, seed=seed)), passes=2) for seed in range(150)
        ]
        rates = [one.rate for one in counts]
        assert np.mean(rates) == pytest.approx(0.2, abs=3 * np.std(rates) / np.sqrt(len(rates)))
        assert np.mean([one.interval()[0] <= 0.2 <= one.interval()[1] for one in counts]) >= 0.85

    def test_a_longer_number_is_no_pass(self):
        """A second digit is drawn with 0.9, so one in ten answers that begin with 7 is 7."""
        model = dealing({"7": 0.9, "\n": 0.1})
        count = pass_until(AnswerSampler(model, SEVEN, Sampling(tokens=2, seed=0)), passes=200, cap=100_000)
        assert count.rate == pytest.approx(0.9 * 0.1 + 0.1 * 0.9, rel=0.2)

    def test_a_lower_temperature_sharpens(self):
        model = dealing({"7": 0.2, "8": 0.8})
        cold = pass_until(AnswerSampler(model, SEVEN, Sampling(tokens=1, temperature=0.5)), passes=100, cap=100_000)
        assert cold.rate == pytest.approx(0.2**2 / (0.2**2 + 0.8**2), rel=0.3)

    def test_rows_are_what_pass_rates_read_and_repeat_themselves(self):
        model = dealing({"7": 0.3, "8": 0.7})
        problems = [
            SEVEN,
            Problem(name="b", prompt="x", pattern=re.compile("^8+$")),
            Problem(name="c", prompt="y", answer="9"),
        ]
        sampling = Sampling(tokens=1, cap=50)
        rows = list(attempts(model, problems, sampling))
        assert rows == list(attempts(model, problems, sampling))
        assert [row["item"] for row in rows] == ["a", "b", "c"]
        assert [row["until"] for row in rows] == [2, 2, 0]
        assert (rows[2]["passes"], rows[2]["attempts"]) == (0, 50)
        assert rows[0]["loss"] == pytest.approx(-np.log(0.3), rel=1e-3)
        assert rows[1]["loss"] is None
        # What stands before a problem does not change its attempts, and each has its own.
        assert list(attempts(model, problems[:1], sampling)) == rows[:1]

    def test_answers_end_at_an_end_token_and_are_decoded_whole(self):
        """The second byte of a character is no character; what stands behind an end is not read."""
        first, second = "é".encode()
        cycle = {first: {second: 1.0}, second: {2: 1.0}, 2: {ord("x"): 1.0}}
        table = torch.full((256, 256), -30.0)
        table[:, first] = 0.0
        for before, after in cycle.items():
            table[before, first] = -30.0
            for byte in after:
                table[before, byte] = 0.0
        model = replace(dealing({"a": 1.0}), logits=lambda tokens: table[tokens], ends=frozenset([2]))
        sampler = AnswerSampler(model, Problem(name="e", prompt="q", answer="é"), Sampling(tokens=6))
        assert sampler()

    def test_a_prompt_that_does_not_fit_is_refused_before_any_attempt(self):
        long = Problem(name="long", prompt="x" * 60, answer="7")
        with pytest.raises(ModelError, match="a prompt of 61 tokens and an answer of 8 do not fit into the 64"):
            next(attempts(dealing({"7": 1.0}), [SEVEN, long], Sampling(tokens=8)))


class TestProblems:
    @pytest.mark.parametrize(
        ("answer", "text", "passes"),
        [
            ("7", " 7\n", True),
            ("7", "72", False),
            ("7", "7.", True),
            ("yes", "yesterday", False),
            ("(a)", "(a)b", True),
        ],
    )
    def test_an_answer_is_a_whole_word(self, answer, text, passes):
        assert Problem(name="x", prompt="p", answer=answer).passes(text) is passes

    def test_demonstrations_stand_before_the_others(self):
        problems = [Problem(name=str(n), prompt=f"{n}+1 =" if n else "Say", answer=str(n + 1)) for n in range(3)]
        found = demonstrated(problems, 2, "Add.")
        assert [one.prompt for one in found] == ["Add.\n\nSay 1\n\n1+1 =2\n\n2+1 ="]
        assert found[0].name == "2"

    @pytest.mark.parametrize(
        ("row", "text"),
        [
            ({"prompt": "x"}, 'an "answer" or a "pattern"'),
            ({"prompt": "x", "answer": "1", "pattern": "1"}, 'an "answer" or a "pattern"'),
            ({"answer": "1"}, 'has a "prompt"'),
            ({"prompt": "x", "answer": " "}, "the answer is empty"),
            ({"prompt": "x", "pattern": "("}, "no regular expression"),
            ([], 'has a "prompt"'),
            ({"prompt": "x", "answer": ["a", "b"]}, "the answer is a list"),
            ({"prompt": "\ud800", "answer": "a"}, "half of a character"),
        ],
    )
    def test_each_fault_has_its_message(self, tmp_path, row, text):
        file = tmp_path / "problems.jsonl"
        file.write_text(json.dumps(row))
        with pytest.raises(ModelError, match=text):
            read_problems(file)

    def test_files_and_options(self, tmp_path):
        with pytest.raises(ModelError, match="no such file"):
            read_problems(tmp_path / "none.jsonl")
        (tmp_path / "empty.jsonl").write_text("")
        with pytest.raises(ModelError, match="holds no problem"):
            read_problems(tmp_path / "empty.jsonl")
        (tmp_path / "twice.jsonl").write_text('{"id": 1, "prompt": "x", "answer": "1"}\n' * 2)
        with pytest.raises(ModelError, match="two problems have the id 1"):
            read_problems(tmp_path / "twice.jsonl")
        with pytest.raises(ModelError, match="must be positive"):
            Sampling(temperature=0)
        with pytest.raises(ModelError, match="1 problems are there"):
            demonstrated([SEVEN], 1)
        with pytest.raises(ModelError, match="no answer that demonstrates"):
            demonstrated([Problem(name="p", prompt="x", pattern=re.compile("y")), SEVEN], 1)
