"""Logs of LM Evaluation Harness as it writes them: scores that follow from the likelihoods in them."""

import json
import math

import numpy as np
import pytest

from rung.errors import SkillError
from rung.skill import ScoreColumns, compare_scores, read_scores

QUESTIONS = [
    ((" Paris", " Rome"), (-1.0, -2.5), 0),
    ((" a very long answer", " no"), (-6.0, -3.0), 0),
    ((" red", " green", " blue"), (-4.0, -3.9, -0.5), 2),
]
"""Choices, their log likelihoods and which is right."""


def line(index, choices, nats, right, *, layout="new", target=None, empty=False, **more):
    """A line of a log: as version 0.4 writes it, in which everything is text, or as earlier ones did."""
    asked = [("Question?", choice) for choice in choices]
    answers = list(nats)
    if empty:
        asked += [("", choice) for choice in choices]
        answers += [-0.1] * len(choices)  # likelier without its question than any choice behind it
    target = right if target is None else target
    acc = float(int(np.argmax(nats)) == right)
    if layout == "new":
        arguments = {
            f"gen_args_{at}": {"arg_0": context, "arg_1": choice} for at, (context, choice) in enumerate(asked)
        }
        pairs = [[str(value), "False"] for value in answers]
        target, resps = str(target), [[one] for one in pairs]
    else:
        arguments, pairs = [list(one) for one in asked], [[value, False] for value in answers]
        resps = [[one] for one in pairs]
    return {
        "doc_id": index, "doc": {"query": "Question?"}, "target": target, "arguments": arguments, "resps": resps, "filtered_resps": pairs,
        "filter": "none", "acc": acc, "acc_norm": acc, **more,
    }  # fmt: skip


def log(path, lines):
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def scores(path, name):
    (found,) = read_scores([path], ScoreColumns(score=name))
    return found.values.tolist()


@pytest.mark.parametrize("layout", ["new", "old"])
@pytest.mark.parametrize("empty", [False, True], ids=["plain", "with mutual information"])
def test_scores_follow_from_the_likelihoods(tmp_path, layout, empty):
    path = log(tmp_path / "a.jsonl", [line(at, *one, layout=layout, empty=empty) for at, one in enumerate(QUESTIONS)])
    assert scores(path, "correct_by_byte") == [1.0, 1.0, 1.0]
    wanted = [1.0 / 6, 6.0 / 19, 0.5 / 5]
    assert scores(path, "bpb_of_right") == pytest.approx([nats / math.log(2) for nats in wanted])


def test_a_target_may_be_the_text_of_a_choice_and_acc_tells_digits_apart(tmp_path):
    """The right choice is " 0", which is the second: by its number the first would be right, which acc contradicts."""
    texts = [line(at, *one, target=one[0][one[2]].strip()) for at, one in enumerate(QUESTIONS)]
    assert scores(log(tmp_path / "t.jsonl", texts), "bpb_of_right")[2] == pytest.approx(0.5 / 5 / math.log(2))
    digits = [line(at, (" 1", " 0"), (-1.0, -0.25), 1, target="0") for at in range(3)]
    assert scores(log(tmp_path / "d.jsonl", digits), "bpb_of_right") == pytest.approx([0.125 / math.log(2)] * 3)
    numbers = [line(at, (" 1", " 0"), (-0.25, -1.0), 0, target="0") for at in range(3)]
    assert scores(log(tmp_path / "n.jsonl", numbers), "bpb_of_right") == pytest.approx([0.125 / math.log(2)] * 3)


def test_the_choice_may_stand_in_the_context(tmp_path):
    """Winogrande asks for one ending behind two contexts."""
    one = line(0, (" won.", " won."), (-2.0, -1.0), 1)
    one["arguments"]["gen_args_1"]["arg_0"] = "Another context"
    assert scores(log(tmp_path / "w.jsonl", [one]), "bpb_of_right") == pytest.approx([1 / 5 / math.log(2)])


def test_models_are_compared_by_what_the_right_answer_costs(tmp_path, command):
    rng = np.random.default_rng(0)
    for name, gain in (("small", 0.0), ("large", 0.3)):
        lines = [line(at, (" yes", " no"), tuple(rng.normal(-2 + gain * (side == 0), 0.5) for side in range(2)), 0) for at in range(300)]  # fmt: skip
        log(tmp_path / f"{name}.jsonl", lines)
    done = command("skill", "compare", "small.jsonl", "large.jsonl", "--score", "bpb_of_right")
    assert "large is better" in done.stdout
    found = compare_scores([tmp_path / "small.jsonl", tmp_path / "large.jsonl"], columns=ScoreColumns(score="bpb_of_right"))  # fmt: skip
    assert found.lower
    asked = command("skill", "compare", "small.jsonl", "large.jsonl")
    assert "Its likelihoods give correct_by_byte and bpb_of_right too" in asked.stderr


def test_a_log_without_what_it_takes_is_refused_by_row(tmp_path):
    lines = [line(at, *one) for at, one in enumerate(QUESTIONS)]
    drawn = [{**one, "resps": [["42"]], "filtered_resps": ["42"], "arguments": {"gen_args_0": {"arg_0": "?", "arg_1": "{}"}}} for one in lines]  # fmt: skip
    unknown = [lines[0], {**lines[1], "target": "neither"}, lines[2]]
    for content, said in (
        (drawn, "row 1: bpb_of_right needs the log likelihoods of two choices"),
        (unknown, "row 2: the target 'neither' is neither the number nor the text"),
    ):
        with pytest.raises(SkillError) as refused:
            scores(log(tmp_path / "a.jsonl", content), "bpb_of_right")
        assert said in refused.value.text
