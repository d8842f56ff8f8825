"""Merging: weights on disk, the methods against plain formulas, what is refused, and the command."""

import json
import subprocess
import sys

import numpy as np
import pytest

from rung.errors import ModelError
from rung.models import Measuring, from_float32, open_weights, to_float32
from rung.models.weights import TensorInfo
from rung.treat import METHODS, MergeOptions, merge_models, read_recipe, trimming
from rung.treat import methods as methods_module
from rung.treat.subsets import curve_of, evaluate_subsets, subsets_of

SHAPES = {"embed.weight": (40, 16), "layer.0.weight": (16, 16), "layer.0.bias": (16,), "norm.weight": (1,)}


def write(folder, tensors, dtype="F32", shards=1, **files):
    """A model's folder as Transformers writes it, written without the package."""
    folder.mkdir()
    names = list(tensors)
    parts = [names[index::shards] for index in range(shards)]
    mapped = {}
    for index, part in enumerate(parts, 1):
        name = "model.safetensors" if shards == 1 else f"model-{index:05d}-of-{shards:05d}.safetensors"
        (folder / name).write_bytes(safetensors({one: (tensors[one], dtype) for one in part}))
        mapped |= dict.fromkeys(part, name)
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": mapped}))
    (folder / "config.json").write_text('{"model_type": "tiny"}')
    for name, text in {"tokenizer_json": "tokens", **files}.items():
        (folder / name.replace("_json", ".json")).write_text(text)
    return folder


def safetensors(tensors):
    header, body = {}, b""
    for name, (values, dtype) in tensors.items():
        content = values.tobytes() if values.dtype.kind in "iu" else from_float32(values.ravel(), dtype)
        kind = "I64" if values.dtype.kind == "i" else dtype
        header[name] = {
            "dtype": kind,
            "shape": list(values.shape),
            "data_offsets": [len(body), len(body) + len(content)],
        }
        body += content
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def tensors(seed, base=None, far=0.01):
    rng = np.random.default_rng(seed)
    made = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    return made if base is None else {name: base[name] + np.float32(far) * made[name] for name in made}


def read(folder, name):
    weights = open_weights(folder)
    parts = list(weights.floats(name, 7))
    return np.concatenate(parts).reshape(weights.tensors[name].shape)


@pytest.fixture
def family(tmp_path):
    base = tensors(0)
    experts = [tensors(seed, base) for seed in (1, 2, 3)]
    places = [write(tmp_path / "base", base), *(write(tmp_path / f"e{i}", one) for i, one in enumerate(experts))]
    return places, base, experts


def plain_ties(base, experts, weights, keep, scale, global_):
    """TIES by its definition, over whole models at once."""
    names = list(base)
    tasks = [{name: one[name] - base[name] for name in names} for one in experts]
    out = {}
    for task in tasks:
        everything = np.concatenate([np.abs(task[name]).ravel() for name in names])
        for name in names:
            values = everything if global_ else np.abs(task[name]).ravel()
            least = np.sort(values)[::-1][max(1, round(keep * len(values))) - 1]
            task[name] = np.where(np.abs(task[name]) >= least, task[name], 0)
    for name in names:
        weighted = np.array([weight * task[name] for weight, task in zip(weights, tasks, strict=True)])
        sign = np.sign(weighted.sum(axis=0))
        agree = (np.sign(weighted) == sign) & (weighted != 0)
        share = (agree * np.array(weights).reshape(-1, *[1] * (weighted.ndim - 1))).sum(axis=0)
        out[name] = base[name] + scale * np.where(
            share > 0, (weighted * agree).sum(axis=0) / np.where(share > 0, share, 1), 0
        )
    return out


def plain_slerp(one, other, at):
    cosine = (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())
    angle = np.arccos(cosine)
    return (np.sin((1 - at) * angle) * one + np.sin(at * angle) * other) / np.sin(angle)


class TestMethods:
    @pytest.mark.parametrize("part", [5, 1 << 22])
    def test_each_method_is_its_formula_whatever_the_parts(self, family, tmp_path, monkeypatch, part):
        monkeypatch.setattr(methods_module, "PART", part)
        monkeypatch.setattr(trimming, "PART", part)
        places, base, experts = family
        wanted = {
            "average": ({}, {n: np.mean([base[n], *(e[n] for e in experts)], axis=0) for n in base}),
            "task-arithmetic": ({"weights": (1.0, 0.5, -1.0), "scale": 0.7}, {n: base[n] + 0.7 * sum(w * (e[n] - base[n]) for w, e in zip((1, 0.5, -1), experts, strict=True)) for n in base}),
            "ties": ({"keep": 0.3, "scale": 0.9}, plain_ties(base, experts, (1, 1, 1), 0.3, 0.9, True)),
        }  # fmt: skip
        for method, (options, expected) in wanted.items():
            merge_models(places, tmp_path / method, method, MergeOptions(**options))
            for name in base:
                assert read(tmp_path / method, name) == pytest.approx(expected[name], abs=2e-6), (method, name)
        merge_models(places, tmp_path / "by-tensor", "ties", MergeOptions(keep=0.3, trim="tensor", weights=(1, 2, 3)))
        expected = plain_ties(base, experts, (1, 2, 3), 0.3, 1.0, False)
        for name in base:
            assert read(tmp_path / "by-tensor", name) == pytest.approx(expected[name], abs=2e-6)

    def test_slerp_of_models_and_of_task_vectors(self, family, tmp_path):
        places, base, experts = family
        other = tensors(9)
        far = write(tmp_path / "far", other)
        merge_models([places[0], far], tmp_path / "s", "slerp", MergeOptions(at=0.3))
        merge_models(places[:3], tmp_path / "t", "task-slerp", MergeOptions(at=0.3))
        for name in ("embed.weight", "layer.0.weight"):
            assert read(tmp_path / "s", name) == pytest.approx(plain_slerp(base[name], other[name], 0.3), abs=2e-6)
            turned = plain_slerp(experts[0][name] - base[name], experts[1][name] - base[name], 0.3)
            assert read(tmp_path / "t", name) == pytest.approx(base[name] + turned, abs=2e-6)

    def test_model_stock_lies_between_the_mean_and_the_base(self, family, tmp_path):
        places, base, experts = family
        merge_models(places, tmp_path / "m", "model-stock")
        name = "embed.weight"
        tasks = [(one[name] - base[name]).ravel() for one in experts]
        cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for i, a in enumerate(tasks) for b in tasks[:i]]
        c = max(np.mean(cosines), 0)
        share = 3 * c / (1 + 2 * c)
        expected = share * np.mean([one[name] for one in experts], axis=0) + (1 - share) * base[name]
        assert read(tmp_path / "m", name) == pytest.approx(expected, abs=2e-6)

    def test_identities_of_the_papers(self, family, tmp_path):
        places, base, experts = family
        merge_models(places[1:], tmp_path / "avg", "average")
        merge_models(places, tmp_path / "ta", "task-arithmetic", MergeOptions(scale=1 / 3))
        merge_models(places[:2], tmp_path / "one", "ties", MergeOptions(keep=1.0))
        merge_models(places, tmp_path / "dare0", "dare", MergeOptions(drop=0.0, scale=1 / 3))
        for name in base:
            assert read(tmp_path / "ta", name) == pytest.approx(read(tmp_path / "avg", name), abs=1e-6)
            assert read(tmp_path / "one", name) == pytest.approx(experts[0][name], abs=1e-6)
            assert read(tmp_path / "dare0", name) == pytest.approx(read(tmp_path / "ta", name), abs=1e-6)

    def test_dare_keeps_the_mean_and_drops_the_share(self, tmp_path):
        base = {"w": np.zeros((200, 200), dtype=np.float32)}
        expert = {"w": np.ones((200, 200), dtype=np.float32)}
        places = [write(tmp_path / "b", base), write(tmp_path / "e", expert)]
        merge_models(places, tmp_path / "d", "dare", MergeOptions(drop=0.8, seed=1))
        found = read(tmp_path / "d", "w")
        assert np.unique(found) == pytest.approx([0.0, 5.0])
        # 40,000 draws: within four standard errors.
        assert np.mean(found) == pytest.approx(1.0, abs=4 * 2.0 / 200)
        merge_models(places, tmp_path / "again", "dare", MergeOptions(drop=0.8, seed=1))
        assert np.array_equal(read(tmp_path / "again", "w"), found)

    def test_trimming_finds_the_exact_size_among_equal_and_odd_ones(self, tmp_path):
        values = np.array([0, 0, 1e-40, -1e-40, 2, -2, 2, 3e18, 5, 1], dtype=np.float32)
        places = [write(tmp_path / "b", {"w": np.zeros(10, np.float32)}), write(tmp_path / "e", {"w": values})]
        merge_models(places, tmp_path / "o", "ties", MergeOptions(keep=0.3))
        # The third largest is 2, and all entries of that size stay.
        assert read(tmp_path / "o", "w").tolist() == [0, 0, 0, 0, 2, -2, 2, np.float32(3e18), 5, 0]


class TestFiles:
    @pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "F64"])
    def test_the_type_the_names_and_the_files_beside_stay(self, tmp_path, dtype):
        base = tensors(0)
        places = [write(tmp_path / "b", base, dtype, shards=3), write(tmp_path / "e", tensors(1, base), dtype)]
        found = merge_models(places, tmp_path / "o", "average", shard=700)
        out = open_weights(tmp_path / "o")
        assert list(out.tensors) != []
        assert {name: (one.dtype, one.shape) for name, one in out.tensors.items()} == {
            n: (dtype, s) for n, s in SHAPES.items()
        }
        assert (tmp_path / "o" / "config.json").read_text() == '{"model_type": "tiny"}'
        index = json.loads((tmp_path / "o" / "model.safetensors.index.json").read_text())
        assert index["metadata"]["total_size"] == sum(one.size for one in out.tensors.values())
        assert (found.merged, found.copied) == (4, 0)
        assert "tokenizer.json" in found.carried

    def test_a_library_reads_what_was_written(self, family, tmp_path):
        loader = pytest.importorskip("safetensors.numpy")
        places, base, _ = family
        merge_models(places, tmp_path / "o", "average")
        loaded = loader.load_file(tmp_path / "o" / "model.safetensors")
        assert {name: one.shape for name, one in loaded.items()} == {name: SHAPES[name] for name in base}

    def test_bfloat16_is_rounded_as_torch_rounds_it(self):
        torch = pytest.importorskip("torch")
        rng = np.random.default_rng(0)
        values = np.concatenate([rng.standard_normal(10_000) * 10.0 ** rng.integers(-38, 38, 10_000), [0, -0.0, np.inf, -np.inf, np.nan, 1.00390625, 1.01171875]]).astype(np.float32)  # fmt: skip
        ours = np.frombuffer(from_float32(values, "BF16"), "<u2")
        theirs = torch.from_numpy(values).bfloat16().view(torch.int16).numpy().view("<u2")
        finite = ~np.isnan(values)
        assert np.array_equal(ours[finite], theirs[finite])
        assert np.isnan(to_float32(from_float32(values, "BF16"), "BF16")[~finite]).all()

    def test_whole_numbers_are_copied_and_must_agree(self, tmp_path):
        base = {**tensors(0), "position_ids": np.arange(8)}
        places = [write(tmp_path / "b", base), write(tmp_path / "e", {**tensors(1), "position_ids": np.arange(8)})]
        found = merge_models(places, tmp_path / "o", "average")
        assert (found.merged, found.copied) == (4, 1)
        other = write(tmp_path / "x", {**tensors(1), "position_ids": np.arange(8) + 1})
        with pytest.raises(ModelError, match="position_ids holds whole numbers that differ"):
            merge_models([places[0], other], tmp_path / "p", "average")
        assert not (tmp_path / "p").exists()

    def test_nothing_is_left_of_a_merge_that_fails_or_is_interrupted(self, family, tmp_path, monkeypatch):
        places, _, _ = family

        def broken(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("rung.treat.merge.from_float32", broken)
        before = set(tmp_path.iterdir())
        with pytest.raises(KeyboardInterrupt):
            merge_models(places, tmp_path / "o", "average")
        assert set(tmp_path.iterdir()) == before

    def test_a_folder_that_is_there_is_not_overwritten(self, family, tmp_path):
        (tmp_path / "o").mkdir()
        with pytest.raises(ModelError, match="is there already"):
            merge_models(family[0], tmp_path / "o", "average")


class TestRefused:
    def test_tensors_that_do_not_match_are_listed(self, tmp_path):
        base = tensors(0)
        first = write(tmp_path / "b", base)
        without = write(tmp_path / "w", {name: one for name, one in base.items() if name != "norm.weight"})
        with pytest.raises(ModelError, match=r"1 tensors stand in .*b and not in .*w: norm.weight"):
            merge_models([first, without], tmp_path / "o", "average")
        larger = write(tmp_path / "l", {**base, "embed.weight": np.zeros((41, 16), np.float32)})
        with pytest.raises(ModelError, match=r"embed.weight.*\[40, 16\] and \[41, 16\]"):
            merge_models([first, larger], tmp_path / "o", "average")

    def test_tokenizers_that_differ(self, tmp_path):
        places = [write(tmp_path / "a", tensors(0)), write(tmp_path / "b", tensors(1), tokenizer_json="others")]
        with pytest.raises(ModelError, match="another token"):
            merge_models(places, tmp_path / "o", "average")
        merge_models(places, tmp_path / "o", "average", any_tokenizer=True)

    def test_numbers_that_are_none_are_named_with_their_model(self, tmp_path):
        base = tensors(0)
        bad = {**base, "layer.0.bias": np.full(16, np.nan, np.float32)}
        places = [write(tmp_path / "a", base), write(tmp_path / "bad", bad)]
        with pytest.raises(ModelError, match=r"layer.0.bias .* not finite: so does that of .*bad"):
            merge_models(places, tmp_path / "o", "average")

    @pytest.mark.parametrize(
        ("damage", "word"),
        [
            (lambda content: content[:-10], "is cut"),
            (lambda content: content[:4], "no safetensors"),
            (lambda content: (10**12).to_bytes(8, "little") + content[8:], "header would have"),
            (lambda content: content[:8] + b"x" * (len(content) - 8), "no JSON"),
            (lambda content: content.replace(b'"F32"', b'"F99"'), "F99"),
            (lambda content: content.replace(b"[0, ", b"[4, "), "damaged"),
            (lambda content: b"", "no safetensors"),
        ],
    )
    def test_damaged_files_are_named_in_a_sentence(self, tmp_path, damage, word):
        folder = write(tmp_path / "a", tensors(0))
        file = folder / "model.safetensors"
        file.write_bytes(damage(file.read_bytes()))
        with pytest.raises(ModelError, match=word):
            open_weights(folder)

    def test_overlapping_tensors_and_pickles(self, tmp_path):
        text = json.dumps(
            {n: {"dtype": "F32", "shape": [2], "data_offsets": [at, at + 8]} for n, at in (("a", 0), ("b", 4))}
        ).encode()
        (tmp_path / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 12)
        with pytest.raises(ModelError, match="overlaps"):
            open_weights(tmp_path / "x.safetensors")
        (tmp_path / "p").mkdir()
        (tmp_path / "p" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
        with pytest.raises(ModelError, match="pickled"):
            open_weights(tmp_path / "p")
        (tmp_path / "p" / "model.safetensors").write_bytes(b"\x80\x04K\x01." * 10)
        with pytest.raises(ModelError, match="no safetensors"):
            open_weights(tmp_path / "p")

    def test_an_index_that_leaves_its_folder_or_is_wrong(self, tmp_path):
        folder = write(tmp_path / "a", tensors(0), shards=2)
        index = folder / "model.safetensors.index.json"
        content = json.loads(index.read_text())
        for mapped, word in (
            ({**content["weight_map"], "norm.weight": "../other.safetensors"}, "no file of this folder"),
            ({**content["weight_map"], "more": "model-00001-of-00002.safetensors"}, "missing in the shards"),
            ({n: f for n, f in content["weight_map"].items() if n != "norm.weight"}, "not in the index"),
        ):
            index.write_text(json.dumps({"weight_map": mapped}))
            with pytest.raises(ModelError, match=word):
                open_weights(folder)

    def test_numbers_and_counts_that_do_not_serve(self, family, tmp_path):
        places, _, _ = family
        for method, count, options in (
            ("slerp", 3, {}), ("model-stock", 2, {}), ("ties", 2, {"keep": 0.0}), ("dare", 2, {"drop": 1.0}),
            ("average", 2, {"weights": (1.0,)}), ("average", 2, {"weights": (1.0, -1.0)}), ("ties", 2, {"trim": "some"}),
            ("task-arithmetic", 2, {"scale": float("nan")}), ("nothing", 2, {}), ("average", 1, {}),
        ):  # fmt: skip
            with pytest.raises(ModelError):
                merge_models(places[:count], tmp_path / "o", method, MergeOptions(**options))
        assert not (tmp_path / "o").exists()

    def test_a_base_that_is_no_ancestor_is_named(self, tmp_path):
        places = [write(tmp_path / "a", tensors(0)), write(tmp_path / "b", tensors(1))]
        found = merge_models(places, tmp_path / "o", "task-arithmetic")
        assert [one.code for one in found.warnings] == ["no_ancestor"]
        assert found.distances[0] == pytest.approx(np.sqrt(2), rel=0.1)


class TestRecipe:
    def recipe(self, tmp_path, text):
        path = tmp_path / "merge.yaml"
        path.write_text(text)
        return read_recipe(path)

    def test_a_recipe_of_mergekit(self, tmp_path):
        found = self.recipe(
            tmp_path,
            "merge_method: ties\nbase_model: base\ndtype: bfloat16\nmodels:\n  - model: base\n  - model: a\n    parameters: {weight: 0.5, density: 0.2}\n"
            "  - model: b\n    parameters: {weight: 1, density: 0.2}\n",
        )
        assert (found.models, found.method) == (("base", "a", "b"), "ties")
        assert (found.options.weights, found.options.keep, found.options.trim) == ((0.5, 1.0), 0.2, "tensor")
        assert "bfloat16" in found.notes[0]

    @pytest.mark.parametrize(
        "text",
        ["", "a: [", "merge_method: passthrough\nslices: []", "merge_method: breadcrumbs\nmodels: []",
         "merge_method: linear\nmodels:\n - model: a\n   parameters: {weight: [0, 1]}", "merge_method: ties\nmodels:\n - model: a",
         "merge_method: ties\nbase_model: b\nmodels:\n - {model: a, parameters: {density: 0.1}}\n - {model: c, parameters: {density: 0.2}}",
         "merge_method: linear\nmodels: a\n", "merge_method: task_arithmetic\nbase_model: b\nparameters: {normalize: true}\nmodels:\n - model: a"],
    )  # fmt: skip
    def test_what_is_not_done_is_refused_and_not_ignored(self, tmp_path, text):
        with pytest.raises(ModelError):
            self.recipe(tmp_path, text)


class TestCommand:
    def test_it_prints_what_it_merged(self, family, command):
        done = command("merge", *family[0], "--method", "ties", "-o", "out")
        assert done.returncode == 0, done.stderr
        assert "4 tensors of 4 merged" in done.stdout
        assert "keep 0.2, trim global" in done.stdout
        again = command("merge", *family[0], "-o", "out")
        assert (again.returncode, "is there already" in again.stderr) == (1, True)
        as_json = command("merge", *family[0], "--method", "average", "-o", "other", "--json")
        assert json.loads(as_json.stdout)["merged"] == 4
        assert command("merge", *family[0]).returncode == 1

    def test_it_needs_no_torch(self, family, tmp_path):
        code = "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None; from rung.treat import merge_models; merge_models(sys.argv[1:3], sys.argv[3], 'average')"
        subprocess.run([sys.executable, "-c", code, *map(str, family[0][:2]), str(tmp_path / "o")], check=True)
        assert (tmp_path / "o" / "model.safetensors").exists()


def test_every_method_says_what_it_does():
    assert all(one.meaning.startswith(("theta", "as ")) for one in METHODS.values())
    assert TensorInfo(name="a", dtype="F32", shape=(), file=None, start=0, size=4).count == 1


@pytest.mark.parametrize("method", ["ties", "dare-ties", "task-arithmetic", "model-stock"])
def test_a_number_that_is_none_is_not_lost_by_taking_signs(tmp_path, method):
    base = write(tmp_path / "base", tensors(0))
    bad = tensors(1, tensors(0))
    bad["layer.0.weight"][3, 3] = np.nan
    models = [base, write(tmp_path / "a", tensors(2, tensors(0))), write(tmp_path / "b", bad)]
    with pytest.raises(ModelError, match=r"layer\.0\.weight.*not finite.*so does that of"):
        merge_models(models, tmp_path / "out", method)


class TestSubsets:
    """Experts that are a base and noise of their own: their average errs as 1 / k."""

    def losses(self, most):
        size = {0: 0.4, 1: 0.1, 2: 0.3, 3: 0.2}
        found = {}
        for subset in subsets_of(4, most, 0):
            count = len(subset)
            loss = 2.0 + 1 / count + sum(size[index] for index in subset) / count**2
            found.setdefault(count, {})[subset] = loss
        return found

    def test_the_law_the_order_and_how_many_reach_a_loss_follow_from_all_merges(self):
        losses = self.losses(most=20)
        assert {count: len(found) for count, found in losses.items()} == {1: 4, 2: 6, 3: 4, 4: 1}
        found = curve_of("average", "abcd", losses, ["text"], wanted=2.4)
        assert [found.experts[index] for index in found.order] == ["b", "d", "c", "a"]
        # The mean over subsets is 2 + 1.25 / k, so that 2.4 takes 3.125 experts.
        values = found.fit.values
        assert (values["floor"], values["gain"], values["b"]) == pytest.approx((2.0, 1.25, 0.0), abs=1e-3)
        assert found.needed == 4
        assert curve_of("average", "abcd", losses, ["text"], wanted=2.1).needed is None

    def test_of_many_subsets_some_are_drawn_and_the_order_is_still_of_all_experts(self):
        losses = self.losses(most=3)
        assert {count: len(found) for count, found in losses.items()} == {1: 3, 2: 3, 3: 3, 4: 1}
        assert sorted(curve_of("average", "abcd", losses, ["text"]).order) == [0, 1, 2, 3]

    def test_a_merge_is_measured_as_it_would_be_written(self, tmp_path):
        pytest.importorskip("torch")
        from rung.models import export_run, measure
        from test_measure import made_run

        (tmp_path / "text.txt").write_text("def f(x):\n    return x\n" * 9)
        how = Measuring(data=(str(tmp_path / "text.txt"),))
        models = []
        for seed in range(2):
            models.append(tmp_path / f"m{seed}")
            export_run(made_run(tmp_path / f"run{seed}", seed=seed), models[-1])
        found = evaluate_subsets(models, "average", MergeOptions(), how)
        merge_models(models, tmp_path / "merged", "average")
        whole = measure([*models, tmp_path / "merged"], how).models
        assert found.losses[1] == pytest.approx({(0,): whole[0].loss.value, (1,): whole[1].loss.value}, rel=1e-6)
        assert found.losses[2] == pytest.approx({(0, 1): whole[2].loss.value}, rel=1e-6)
        assert found.fit is None
        assert {one.code for one in found.warnings} == {"few_experts"}

    def test_what_cannot_be_evaluated(self):

        how = Measuring(data=("text",))
        for models, options, asked, says in (
            (["a"], MergeOptions(), how, "two experts or more"),
            (["a", "b"], MergeOptions(), Measuring(), "two experts or more, and a text"),
            (["a", "b"], MergeOptions(weights=(1, 2)), how, "leave out weights"),
        ):
            with pytest.raises(ModelError, match=says):
                evaluate_subsets(models, "average", options, asked)
        with pytest.raises(ModelError, match="Did you mean slerp"):
            evaluate_subsets(["a", "b"], "slepr", MergeOptions(), how)
        with pytest.raises(ModelError, match="slerp merges 2 models at most, and 3 are given"):
            evaluate_subsets(["a", "b", "c"], "slerp", MergeOptions(), how)

    def test_without_a_law_the_means_tell_how_many_experts_reach_a_loss(self):
        losses = {1: {(0,): 2.4, (1,): 2.6}, 2: {(0, 1): 2.2}}
        assert curve_of("average", "ab", losses, ["text"], wanted=2.5).needed == 1
        assert curve_of("average", "ab", losses, ["text"], wanted=2.3).needed == 2
        assert curve_of("average", "ab", losses, ["text"], wanted=2.1).needed is None
