"""Pruning with recovery: what stays learns, zeros stay, stages, the dense model as a teacher, and what is refused."""

import json

import pytest

torch = pytest.importorskip("torch")

from rung.errors import ModelError  # noqa: E402
from rung.ladder.execution import Launch, execute_all, prepare  # noqa: E402
from rung.ladder.ladder_file import ladder_of  # noqa: E402
from rung.ladder.track import Track  # noqa: E402
from rung.models import Measuring, measure, open_model, open_weights  # noqa: E402
from rung.treat import Pruning, prune_model  # noqa: E402
from rung.treat.recovery import rate_at, share_after  # noqa: E402

CONTEXT = 32


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A small model that has learnt a text of simple functions, and other functions that are held out."""
    folder = tmp_path_factory.mktemp("recovery")
    for name, numbers in (("text", range(400)), ("held", range(400, 500))):
        rows = [
            {"text": f"def f{n}(x):\n    return x + {n}\n\n\ndef g{n}(y):\n    return y * {n % 7}\n"} for n in numbers
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    content = {
        "family": {"name": "gpt", "context": CONTEXT, "head_width": 8},
        "corpus": {"name": "text", "path": str(folder / "text.jsonl"), "one_in": 10},
        "recipe": {"lr": 0.01, "batch_tokens": 2048},
        "rung": [{"name": "dense", "width": 24, "depth": 2, "tokens": 200_000}],
    }
    (run,) = prepare(ladder_of(content, "ladder", folder / "runs"))
    execute_all([run], Launch(launcher="here", threads=1), Track())
    return folder, run.path


def loss(folder, model):
    how = Measuring(data=(str(folder / "held.jsonl"),), context=CONTEXT, stride=CONTEXT)
    return measure([model], how).models[0].loss.value


def asked(folder, **options):
    return Pruning(**{"to": 0.8, "calibrate": (str(folder / "text.jsonl"),), "windows": 16, "lr": 0.003, **options})


def test_what_stays_makes_up_for_what_goes_and_zeros_stay(place, tmp_path):
    folder, run = place
    prune_model(run, tmp_path / "once", Pruning(to=0.8))
    found = prune_model(run, tmp_path / "learnt", asked(folder, recover=30_000))
    once, learnt = loss(folder, tmp_path / "once"), loss(folder, tmp_path / "learnt")
    assert learnt < once - 0.2
    assert found.sparsity == pytest.approx(0.8, abs=0.002)
    assert found.recovered == pytest.approx(30_000, rel=0.1)
    assert found.cost > 3 * 30_000 * 2 * 10_000
    # Embedding, head and norms are those of the dense model.
    before = prune_model(run, tmp_path / "light", Pruning(to=0.001))
    one, other = (open_weights(tmp_path / name) for name in ("light", "learnt"))
    assert before.params == found.params
    for name in one.tensors:
        if not any(part in name for part in ("proj", "attn", "mlp")):
            assert all((a == b).all() for a, b in zip(one.floats(name, 1 << 20), other.floats(name, 1 << 20), strict=True)), name  # fmt: skip


@pytest.mark.parametrize("method", ["wanda", "obert", "sparsegpt"])
def test_stages_end_at_the_share_with_every_method(place, tmp_path, method):
    folder, run = place
    own = {"steps": 1, "damp": 1e-5} if method == "obert" else {}
    found = prune_model(run, tmp_path / "out", asked(folder, method=method, recover=12_000, stages=3, **own))
    assert found.stages == 3
    assert found.sparsity == pytest.approx(0.8, abs=0.02)


def test_the_dense_model_teaches(place, tmp_path):
    """With soft = 1 the pruned model follows the dense one: its answers diverge less than after learning the text alone."""
    folder, run = place
    for name, soft in (("alone", 0.0), ("taught", 1.0)):
        prune_model(run, tmp_path / name, asked(folder, recover=20_000, soft=soft))
    tokens = torch.randint(32, 127, (64, CONTEXT), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        of = {name: torch.log_softmax(open_model(one).logits(tokens).float(), -1) for name, one in (("dense", run), ("alone", tmp_path / "alone"), ("taught", tmp_path / "taught"))}  # fmt: skip
    apart = {name: float((of["dense"].exp() * (of["dense"] - of[name])).sum(-1).mean()) for name in ("alone", "taught")}
    assert apart["taught"] < apart["alone"]


def test_shares_and_rates_are_those_of_the_schedule():
    assert [share_after(stage, 4, 0.8) for stage in (1, 2, 3, 4)] == pytest.approx([0.4625, 0.7, 0.7875, 0.8])
    assert [rate_at(done, 4, 0.2) for done in range(4)] == pytest.approx([0.2, 0.15, 0.1, 0.05])


def test_patterns_hold_after_learning(place, tmp_path):
    folder, run = place
    found = prune_model(run, tmp_path / "out", asked(folder, to=None, pattern="2:4", recover=8_000))
    assert found.sparsity == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stages": 2}, "--stages belongs to --recover"),
        ({"soft": 0.5}, "--soft belongs to --recover"),
        ({"lr": 0.1, "recover": 0.0}, "--lr belongs to --recover"),
        ({"recover": 1e4, "calibrate": ()}, "--calibrate TEXT"),
        ({"recover": 1e4, "soft": 2.0}, "from 0 to 1"),
        ({"recover": 1e4, "lr": -1.0}, "positive"),
        ({"recover": 1e4, "stages": 0}, "at least 1"),
        ({"recover": 1e4, "stages": 2, "pattern": "2:4", "to": None}, "has one share"),
        ({"recover": 500, "stages": 9}, "fewer than --stages 9"),
        ({"recover": float("inf")}, "a number of tokens"),
    ],
)
def test_what_is_refused_and_leaves_nothing(place, tmp_path, options, said):
    folder, run = place
    given = {"to": 0.8, "calibrate": (str(folder / "text.jsonl"),), "windows": 16, **options}
    with pytest.raises(ModelError) as refused:
        prune_model(run, tmp_path / "out", Pruning(**given))
    assert said in refused.value.text
    assert not (tmp_path / "out").exists()


def test_the_command_recovers(place, command):
    folder, run = place
    text = str(folder / "text.jsonl")
    done = command("prune", str(run), "--to", "0.7", "--calibrate", text, "--windows", "16", "--recover", "10K", "--stages", "2", "--soft", "0.5", "--lr", "0.003", "-o", "out", "--json")  # fmt: skip
    told = json.loads(done.stdout)
    assert (told["stages"], told["sparsity"]) == (2, pytest.approx(0.7, abs=0.01))
    assert told["recovered"] == pytest.approx(10_000, rel=0.1)
