"""Weights of a merge that a text chooses: one expert undoes the noise of its base, another adds noise of its own."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.numpy import load_file, save_file  # noqa: E402

from rung.errors import ModelError  # noqa: E402
from rung.models import Measuring, export_run, measure, open_model  # noqa: E402
from rung.treat import MergeOptions, search_weights  # noqa: E402
from test_measure import made_run  # noqa: E402

DOCUMENTS, LENGTH = 24, 120


def spoken(place):
    """Documents of letters that a model draws itself, so that no other model has a lower loss on them."""
    model = open_model(place)
    letters = torch.full((256,), -torch.inf)
    letters[97:123] = 0
    draws = torch.Generator().manual_seed(0)
    tokens = torch.randint(97, 123, (DOCUMENTS, 1), generator=draws)
    with torch.inference_mode():
        for _ in range(LENGTH):
            logits = model.logits(tokens[:, -model.context :])[:, -1, :256].float() + letters
            tokens = torch.cat([tokens, torch.multinomial(torch.softmax(logits, -1), 1, generator=draws)], dim=1)
    return [bytes(row.tolist()).decode() for row in tokens]


def noisy(source, place, seed, size=0.1):
    """A copy of a model with noise on its matrices."""
    shutil.copytree(source, place)
    file = place / "model.safetensors"
    rng = np.random.default_rng(seed)
    tensors = load_file(file)
    changed = {name: value + (size * rng.standard_normal(value.shape) * (value.ndim > 1)).astype(value.dtype) for name, value in tensors.items()}  # fmt: skip
    save_file(changed, file, metadata={"format": "pt"})
    return place


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A base with noise, an expert without it, one with more of it, and a text of the clean model."""
    folder = tmp_path_factory.mktemp("models")
    export_run(made_run(folder / "run"), folder / "clean")
    base = noisy(folder / "clean", folder / "base", 1)
    noisy(base, folder / "worse", 2)
    (folder / "text.jsonl").write_text("".join(json.dumps({"text": one}) + "\n" for one in spoken(folder / "clean")))
    return folder


def test_the_expert_that_helps_is_weighed_and_the_one_that_harms_is_not(models):
    places = [models / name for name in ("base", "clean", "worse")]
    how = Measuring(data=(str(models / "text.jsonl"),))
    found = search_weights(places, "task-arithmetic", MergeOptions(), how, most=25)
    helps, harms = found.weights
    assert helps == pytest.approx(1.0, abs=0.3)
    assert harms < 0.35
    assert found.interval[0] > 0
    assert found.tried <= 25
    # Default weights take both whole: what is gained is at most what the clean model itself gains.
    clean = measure([models / "clean"], how).models[0].losses
    assert found.held_out[1] > sum(one.nats for one in clean[1::2]) / sum(one.tokens for one in clean[1::2]) - 0.02
    assert found.gain.value == pytest.approx(found.held_out[0] - found.held_out[1])


def test_models_of_one_name_are_told_apart(models, tmp_path):
    for name in ("clean", "worse"):
        shutil.copytree(models / name, tmp_path / name / "model")
    places = [models / "base", tmp_path / "clean" / "model", tmp_path / "worse" / "model"]
    found = search_weights(places, "task-arithmetic", MergeOptions(), Measuring(data=(str(models / "text.jsonl"),)), most=5)  # fmt: skip
    assert len(found.to_dict()["weights"]) == 2


def test_the_place_of_slerp_is_chosen(models):
    how = Measuring(data=(str(models / "text.jsonl"),))
    found = search_weights([models / "base", models / "clean"], "slerp", MergeOptions(at=0.2), how, most=12)
    assert (found.names, found.default) == (("place",), (0.2,))
    assert found.weights[0] > 0.7
    assert found.options.at == found.weights[0]


def test_the_command_writes_the_merge_with_the_weights_it_chose(models, command, tmp_path):
    given = [str(models / name) for name in ("base", "clean", "worse")]
    done = command("merge", *given, "--method", "task-arithmetic", "--weights", "search", "--evaluate", str(models / "text.jsonl"), "--merges", "8", "-o", "out", "--json")  # fmt: skip
    told = json.loads(done.stdout)
    by_hand = command("merge", *given, "--method", "task-arithmetic", "--weights", ",".join(map(str, told["weights"].values())), "-o", "same")  # fmt: skip
    assert (done.returncode, by_hand.returncode) == (0, 0)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "same"))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_what_cannot_be_searched_is_refused(models, command):
    base, clean = models / "base", models / "clean"
    how = Measuring(data=(str(models / "text.jsonl"),))
    for method, options, text, most, said in (
        ("task-arithmetic", MergeOptions(weights=(1.0,)), how, 40, "give none"),
        ("model-stock", MergeOptions(), how, 40, "model-stock has no weights to choose"),
        ("task-arithmetic", MergeOptions(), Measuring(), 40, "--evaluate TEXT"),
        ("task-arithmetic", MergeOptions(), how, 2, "takes 4 merges or more"),
    ):
        with pytest.raises(ModelError) as refused:
            search_weights([base, clean, clean] if method == "model-stock" else [base, clean], method, options, text, most=most)  # fmt: skip
        assert said in refused.value.text
    whole = models / "whole.txt"
    whole.write_text("some text " * 50)
    with pytest.raises(ModelError, match="there is 1 document"):
        search_weights([base, clean], "task-arithmetic", MergeOptions(), Measuring(data=(str(whole),)))
    for arguments, said in (
        (["--weights", "search", "-o", "x"], "--evaluate TEXT"),
        (["--weights", "search", "--evaluate", str(whole)], "-o OUT"),
        (["--merges", "9", "-o", "x"], "--merges belongs to --weights search"),
        (["--keep", "0.5", "-o", "x"], "--keep is nothing to task-arithmetic, which has --weights, --scale"),
        (["--weights", "search", "--evaluate", str(whole), "--loss", "2", "-o", "x"], "without --weights search"),
    ):
        done = command("merge", str(base), str(clean), "--method", "task-arithmetic", *arguments)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
