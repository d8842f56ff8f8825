"""Pruning: masks, the formulas of each method against plain ones, what is written, what is refused, and the command."""

import json

import numpy as np
import pytest

from rung.errors import ModelError
from rung.models import export_run, open_model, open_weights
from rung.treat import Pruning, prune_model
from rung.treat.layers import layers_of, watch_inputs
from rung.treat.masks import Pattern, keeps, masks_of, read_pattern
from rung.treat.obert import BlockFisher
from rung.treat.sparsegpt import sparsegpt
from test_measure import made_run

torch = pytest.importorskip("torch")


@pytest.fixture
def run(tmp_path):
    return made_run(tmp_path / "ladder", "llama")


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text(
        "".join(f"def f{number}(x):\n    return x + {number}\n" for number in range(400))
    )
    return str(tmp_path / "text.txt")


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestMasks:
    def test_the_least_go_over_the_whole_the_layer_or_the_row(self):
        scores = [drawn(8, 12).abs(), 10 * drawn(4, 8, seed=1).abs()]
        flat = torch.cat([one.flatten() for one in scores])
        limit = flat.sort().values[64]
        found = masks_of(scores, 0.5, Pattern(), "global")
        for mask, one in zip(found, scores, strict=True):
            assert torch.equal(mask, one >= limit)
        by_layer = masks_of(scores, 0.25, Pattern(), "layer")
        assert [int((~mask).sum()) for mask in by_layer] == [24, 8]
        by_row = masks_of(scores, 0.25, Pattern(), "row")
        assert all(((~mask).sum(dim=1) == mask.shape[1] // 4).all() for mask in by_row)

    def test_blocks_go_together_by_their_sum(self):
        scores = drawn(6, 8).abs()
        (mask,) = masks_of([scores], 0.5, Pattern(block=4), "global")
        sums = scores.reshape(6, 2, 4).sum(dim=2)
        assert torch.equal(mask.reshape(6, 2, 4).all(dim=2), mask.reshape(6, 2, 4).any(dim=2))
        assert torch.equal(mask.reshape(6, 2, 4).all(dim=2), sums >= sums.flatten().sort().values[6])

    def test_the_largest_n_of_m_stay(self):
        scores = drawn(6, 8).abs()
        (mask,) = masks_of([scores], 0.5, Pattern(kept=2, of=4), "group")
        kept = scores.masked_fill(~mask, 0).reshape(6, 2, 4)
        assert torch.equal(kept.sum(dim=2), scores.reshape(6, 2, 4).topk(2, dim=2).values.sum(dim=2))

    def test_what_stands_in_a_pattern(self):
        assert keeps(torch.tensor([[0.0, 1, 2, 0]]), Pattern(kept=2, of=4))
        assert not keeps(torch.tensor([[0.0, 1, 2, 3]]), Pattern(kept=2, of=4))
        assert keeps(torch.tensor([[0.0, 0, 2, 3]]), Pattern(block=2))
        assert not keeps(torch.tensor([[0.0, 1, 2, 3]]), Pattern(block=2))

    @pytest.mark.parametrize("text", ["2:2", "4:2", "0:4", "block1", "blocks", "2/4"])
    def test_what_is_no_pattern(self, text):
        with pytest.raises(ModelError, match="choose unstructured, block4"):
            read_pattern(text)


class TestSurgeon:
    """On L = 1/2 (w - w*)^T H (w - w*), where its formulas are exact."""

    def quadratic(self, size=12):
        root = drawn(size, size)
        hessian = root @ root.T + 0.5 * torch.eye(size, dtype=torch.float64)
        optimum = drawn(1, size, seed=2)

        def rise(weights):
            apart = (weights - optimum).flatten()
            return float(0.5 * apart @ hessian @ apart)

        fisher = BlockFisher(torch.linalg.inv(hessian)[None], (1, size), 1)
        return optimum, rise, fisher

    def test_removing_one_weight_costs_what_its_saliency_says(self):
        optimum, rise, fisher = self.quadratic()
        saliency = fisher.saliency(optimum, Pattern())
        for index in range(optimum.numel()):
            kept = torch.ones_like(optimum, dtype=torch.bool)
            kept[0, index] = False
            moved = fisher.updated(optimum, kept, ~kept, Pattern())
            assert float(moved[0, index]) == 0.0
            assert rise(moved) == pytest.approx(float(saliency[0, index]), rel=1e-4)

    def test_removing_a_block_costs_what_its_saliency_says(self):
        optimum, rise, fisher = self.quadratic()
        pattern = Pattern(block=4)
        saliency = fisher.saliency(optimum, pattern).reshape(3, 4).sum(dim=1)
        for index in range(3):
            kept = torch.ones_like(optimum, dtype=torch.bool)
            kept[0, 4 * index : 4 * index + 4] = False
            moved = fisher.updated(optimum, kept, ~kept, pattern)
            assert rise(moved) == pytest.approx(float(saliency[index]), rel=1e-4)

    def test_a_gradient_at_a_time_gives_the_inverse(self):
        gradients, damp = [drawn(5, 4, seed=seed) for seed in range(30)], 1e-3
        fisher = BlockFisher.of(torch.zeros(5, 4), 6, len(gradients), damp)
        for one in gradients:
            fisher.add(one)
        flat = torch.stack([torch.nn.functional.pad(one.flatten(), (0, 4)).reshape(4, 6) for one in gradients])
        wanted = torch.einsum("mbi,mbj->bij", flat, flat) / len(gradients) + damp * torch.eye(6, dtype=torch.float64)
        assert torch.allclose(fisher.inverse, torch.linalg.inv(wanted), rtol=1e-5, atol=1e-9)


class TestSparseGPT:
    def test_inputs_that_do_not_correlate_need_no_update(self):
        weights, scale = drawn(10, 256), drawn(256, seed=1).abs() + 0.1
        found = sparsegpt(weights, torch.diag(scale), 0.5, Pattern(), damp=1e-12)
        for first in (0, 128):
            part = slice(first, first + 128)
            (mask,) = masks_of([weights[:, part] ** 2 * scale[part]], 0.5, Pattern(), "layer")
            assert torch.allclose(found[:, part], weights[:, part] * mask)

    @pytest.mark.parametrize("pattern", [Pattern(), Pattern(kept=2, of=4), Pattern(block=4)])
    def test_what_the_layer_gives_changes_less_than_by_taking_the_smallest(self, pattern):
        inputs = drawn(400, 64)
        for column in range(1, 64):
            # Each input resembles the one before it.
            inputs[:, column] = 0.7 * (inputs[:, column - 1] + inputs[:, column])
        weights = drawn(32, 64, seed=4)
        found = sparsegpt(weights, inputs.T @ inputs, 0.5, pattern, damp=0.01)
        assert keeps(found, pattern)
        assert float((found == 0).double().mean()) == pytest.approx(0.5, abs=1e-9)
        (mask,) = masks_of([weights.abs()], 0.5, pattern, "layer")
        apart, plain = (float((inputs @ (one - weights).T).square().sum()) for one in (found, weights * mask))
        assert apart < 0.9 * plain

    def test_with_one_column_removed_the_rest_is_the_least_squares_solution(self):
        inputs = drawn(200, 6) @ drawn(6, 6, seed=5)
        weights = torch.ones(1, 6, dtype=torch.float64)
        weights[0, 0] = 1e-6
        found = sparsegpt(weights, inputs.T @ inputs, 1 / 6, Pattern(), damp=1e-12)
        assert float(found[0, 0]) == 0.0
        wanted = torch.linalg.lstsq(inputs[:, 1:], inputs @ weights.T).solution.T
        assert torch.allclose(found[:, 1:], wanted, rtol=1e-6)


class TestModels:
    @pytest.mark.parametrize(
        ("method", "pattern", "to"),
        [
            ("magnitude", "unstructured", 0.5),
            ("magnitude", "2:4", None),
            ("wanda", "unstructured", 0.5),
            ("wanda", "2:4", None),
            ("sparsegpt", "unstructured", 0.5),
            ("sparsegpt", "block4", 0.5),
            ("obert", "unstructured", 0.5),
            ("obert", "block4", 0.5),
        ],
    )
    def test_what_is_written_has_the_share_and_the_pattern_and_opens(self, run, text, tmp_path, method, pattern, to):
        how = Pruning(to=to, method=method, pattern=pattern, calibrate=(text,), windows=8, damp=1e-4)
        found = prune_model(run, tmp_path / "out", how)
        assert found.sparsity == pytest.approx(0.5, abs=0.02)
        model = open_model(tmp_path / "out")
        layers = layers_of(model, open_weights(tmp_path / "out"))
        assert len(layers) == 2 * 7
        assert all(keeps(layer.matrix, read_pattern(pattern)) for layer in layers)
        zero = sum(int((layer.matrix == 0).sum()) for layer in layers)
        assert found.nonzero == found.params - zero == model.size.params_nonzero
        before = open_model(run).network.state_dict()
        after = model.network.state_dict()
        assert torch.equal(before["embedding.weight"], after["model.embed_tokens.weight"])
        assert torch.equal(before["head.weight"], after["lm_head.weight"])

    def test_wanda_takes_weights_by_their_inputs(self, run, text, tmp_path):
        prune_model(run, tmp_path / "out", Pruning(to=0.25, method="wanda", calibrate=(text,), windows=8))
        dense, pruned = open_model(run), open_model(tmp_path / "out")
        matrix = dense.network.state_dict()["blocks.0.attention.query_key_value.weight"][:16]
        seen = []
        hook = dense.network.blocks[0].attention.query_key_value.register_forward_pre_hook(
            lambda _, given: seen.append(given[0].flatten(0, 1))
        )
        from rung.treat.calibration import windows_of_text

        with torch.no_grad():
            for tokens in windows_of_text(dense, (text,), count=8, context=None):
                dense.logits(tokens[:, :-1])
        hook.remove()
        lengths = torch.cat(seen).norm(dim=0)
        found = pruned.network.state_dict()["model.layers.0.self_attn.q_proj.weight"]
        assert torch.equal((found == 0).sum(dim=1), torch.full((16,), 4))
        scores = matrix.abs() * lengths
        agree = (found == 0) == (scores < scores.sort(dim=1).values[:, 4:5])
        assert float(agree.double().mean()) > 0.99

    def test_later_blocks_are_watched_as_the_pruned_ones_before_feed_them(self, run):
        model = open_model(run)
        layers = layers_of(model, open_weights(run / "model.safetensors"))
        tokens = [torch.arange(33)[None]]
        first = [layer for layer in layers if layer.block == 0]
        last = [layer for layer in layers if layer.block == 1]
        sums = []
        for scale in (1.0, 0.0):
            for layer in first:
                layer.matrix.mul_(scale)
            seen = []
            watch_inputs(model, last, tokens, lambda layer, inputs, seen=seen: seen.append(float(inputs.abs().sum())))
            sums.append(seen)
        assert len(sums[0]) == len(last)
        assert not np.allclose(sums[0], sums[1], rtol=1e-3)

    def test_bfloat16_stays_bfloat16_and_a_shard_index_is_not_lost(self, run, text, tmp_path):
        from rung.models import export_run

        export_run(run, tmp_path / "hf")
        network = open_model(tmp_path / "hf").network.to(torch.bfloat16)
        network.save_pretrained(tmp_path / "half", max_shard_size="20KB")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (tmp_path / "half" / name).write_text((tmp_path / "hf" / name).read_text())
        assert (tmp_path / "half" / "model.safetensors.index.json").exists()
        found = prune_model(
            tmp_path / "half", tmp_path / "out", Pruning(to=0.5, method="sparsegpt", calibrate=(text,), windows=4)
        )
        written = open_weights(tmp_path / "out")
        assert {one.dtype for one in written.tensors.values()} == {"BF16"}
        assert written.tensors.keys() == open_weights(tmp_path / "half").tensors.keys()
        assert found.sparsity == pytest.approx(0.5, abs=0.01)
        assert found.nonzero_bytes < found.dense_bytes

    @pytest.mark.parametrize(
        ("how", "says"),
        [
            ({}, "say which share of the weights is pruned"),
            ({"to": 1.0}, "must be a share above 0 and below 1"),
            ({"to": 0.5, "method": "magnitud"}, "Did you mean magnitude"),
            ({"to": 0.5, "method": "wanda"}, "looks at a text"),
            ({"to": 0.4, "pattern": "2:4"}, "leave out"),
            ({"to": 0.5, "pattern": "block5"}, "no multiple of 5"),
            ({"to": 0.5, "method": "sparsegpt", "scope": "global", "calibrate": ("x",)}, "sparsegpt seeks by layer"),
            ({"method": "obert", "pattern": "2:4", "calibrate": ("x",)}, "not N of M"),
            ({"to": 0.5, "method": "obert", "block": 50, "pattern": "block4", "calibrate": ("x",)}, "must be a multiple of the 4"),
            ({"to": 0.5, "method": "wanda", "calibrate": ("BINARY",)}, "is no text in UTF-8"),
            ({"to": 0.5, "method": "wanda", "calibrate": ("TEXT",), "context": 64}, "must lie between 2 and 32"),
            ({"to": 0.5, "method": "wanda", "calibrate": ("TEXT",), "seed": -1}, "seed"),
            ({"to": 0.5, "method": "wanda", "calibrate": ("nowhere",)}, "no file or folder 'nowhere'"),
            ({"to": 0.5, "method": "wanda", "calibrate": ("TEXT",), "windows": 10_000}, "and 10000 are asked for"),
        ],
    )  # fmt: skip
    def test_what_is_refused_and_leaves_nothing(self, run, text, tmp_path, how, says):
        (tmp_path / "binary").write_bytes(bytes(range(256)) * 40)
        places = {"TEXT": text, "BINARY": str(tmp_path / "binary")}
        given = {**how, "calibrate": tuple(places.get(one, one) for one in how.get("calibrate", ()))}
        with pytest.raises(ModelError, match=says):
            prune_model(run, tmp_path / "out", Pruning(**given))
        assert not [one for one in tmp_path.iterdir() if "out" in one.name]


def test_weights_that_are_not_finite_are_not_pruned(run, tmp_path):
    from safetensors.torch import load_file, save_file

    from rung.models import export_run

    export_run(run, tmp_path / "hf")
    state = load_file(tmp_path / "hf" / "model.safetensors")
    state["model.layers.1.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(state, tmp_path / "hf" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.up_proj\.weight holds numbers that are not finite"):
        prune_model(tmp_path / "hf", tmp_path / "out", Pruning(to=0.5))
    assert not (tmp_path / "out").exists()


def test_the_command_prunes_and_does_not_overwrite(run, text, command):
    done = command(
        "prune", run, "--to", "0.5", "--method", "wanda", "--calibrate", text, "--windows", 4, "-o", "out", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert found["treatment_flops"] > 0
    again = command("prune", run, "--to", "0.5", "-o", "out")
    assert again.returncode == 1
    assert "is there already, and is not overwritten" in again.stderr


def test_numbers_that_a_method_does_not_know_are_refused(run, text, command):
    for given, said in ((["--damp", "0.1"], "--damp belongs to obert and sparsegpt, and the method is magnitude"), (["--method", "wanda", "--calibrate", text, "--steps", "2"], "--steps belongs to obert")):  # fmt: skip
        done = command("prune", run, "--to", "0.5", *given, "-o", "out")
        assert (done.returncode, said in done.stderr) == (1, True)


def test_the_smallest_go_without_a_tokenizer(run, text, tmp_path):
    """Magnitude looks at no text; methods that do say what is missing."""
    export_run(run, tmp_path / "model")
    for file in (tmp_path / "model").glob("*token*"):
        file.unlink()
    found = prune_model(tmp_path / "model", tmp_path / "half", Pruning(to=0.5))
    assert found.sparsity == pytest.approx(0.5, abs=0.001)
    with pytest.raises(ModelError, match="holds no tokenizer"):
        prune_model(
            tmp_path / "model", tmp_path / "other", Pruning(to=0.5, method="wanda", calibrate=(text,), windows=4)
        )
