"""The families: closed forms against what is built and what torch counts, published models, and sizes that cannot be."""

import itertools
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import library as operators
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from rung.errors import LadderError
from rung.ladder.architectures.decoder.spec import Decoder
from rung.ladder.architectures.features.spec import Memoriser
from rung.ladder.architectures.images.spec import ImageModel
from rung.ladder.architectures.registry import FAMILIES, PUBLISHED, build_network
from rung.ladder.architectures.series.spec import LADDER as SERIES_LADDER
from rung.ladder.architectures.series.spec import SeriesTransformer
from rung.ladder.architectures.size import Size, nearest_size
from rung.ladder.corpora.registry import CORPORA
from rung.ladder.training.optimizer import Optimizer

SMALL = {"head_width": 8, "context": 32}
CORPUS_OF = {
    "tokens": "markov",
    "series": "series",
    "pairs": "views",
    "features": "features",
    "facts": "bio-d",
    "images": "gratings",
    "preferences": "preferences",
    "answers": "answers",
}


@pytest.fixture(scope="module")
def _torchvision():
    """timm imports torchvision, whose compiled operators do not load beside every build of torch; timm's classes need none of them."""
    spec = find_spec("torchvision")
    if spec is None or find_spec("timm") is None:
        pytest.skip("timm or torchvision is not installed")
    try:
        for compiled in Path(spec.origin).parent.glob("_C*.so"):
            torch.ops.load_library(compiled)
    except OSError:
        missing = operators.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            missing.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        yield
        missing._destroy()
    else:
        yield


def family(name):
    entry = FAMILIES[name]
    return entry.spec(**entry.options, **(SMALL if issubclass(entry.spec, Decoder) else {}))


def items(made, count):
    if made.data == "preferences":  # a corpus of a file, of which there is none here
        texts = [torch.randint(256, (count, made.context)) for _ in range(2)]
        return (*texts, torch.full((count, 2), made.context), torch.full((count, 2), 3))
    if made.data == "answers":
        return torch.randint(256, (count, made.context)), torch.full((count,), made.context), torch.full((count,), 3)
    corpus = CORPORA[CORPUS_OF[made.data]]()
    return tuple(torch.from_numpy(part) for part in corpus.open(made, None).batch((0,), 0, count))


NAMES = [name for name in FAMILIES if name != "timm"]


@pytest.mark.parametrize("name", NAMES)
def test_counts_equal_the_built_model_at_five_sizes(name):
    made = family(name)
    sizes = [*itertools.islice(made.sizes(), 4), made.size_of(64, 3)]
    for size in sizes:
        assert made.count_params(size).total == sum(weight.numel() for weight in build_network(made, size).parameters())
    totals = [made.count_params(size).total for size in sizes[:4]]
    assert totals == sorted(set(totals))


@pytest.mark.parametrize(
    "options", [{"kv_heads": 2}, {"tied": True}, {"qk_norm": True}, {"mlp": "swiglu", "experts": 4, "top": 1}]
)
def test_counts_equal_the_built_decoder_under_every_option(options):
    made = Decoder(**SMALL, **options)
    size = made.size_of(32, 2)
    assert made.count_params(size).total == sum(weight.numel() for weight in build_network(made, size).parameters())


@pytest.mark.parametrize("name", NAMES)
def test_flops_are_those_that_torch_counts(name):
    made = family(name)
    size = made.size_of(64, 2)
    # The towers' table of similarities grows with the batch and is no part of a pair's cost.
    batch = items(made, 1 if name == "two-tower" else 4)
    net = build_network(made, size)
    net.begin(started=True)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        net.losses(batch)[0].backward()
    counted = counter.get_total_flops() / (len(batch[0]) * made.item_tokens)
    assert made.flops_per_token(size) == pytest.approx(counted, rel=0.01)


@pytest.mark.parametrize("variant", PUBLISHED, ids=lambda variant: variant.name)
def test_published_models_have_their_published_counts(variant):
    kind = SeriesTransformer if variant.name in SERIES_LADDER else Decoder
    made = kind(**variant.options)
    found = made.count_params(variant.size).by(variant.convention)
    slips = {"10K": 14_040, "1B decoder": 906_073_600}
    if variant.name in slips:
        assert found == slips[variant.name]
        assert abs(found - variant.params) > 10 * variant.within
    else:
        assert abs(found - variant.params) <= variant.within


def test_active_parameters_are_those_one_token_meets():
    dense, sparse = Decoder(**SMALL, mlp="swiglu"), Decoder(**SMALL, mlp="swiglu", experts=8, top=1)
    size = Size(32, 2)
    router = 2 * 32 * 8
    assert sparse.count_params(size).active == dense.count_params(size).total + router


@pytest.mark.usefixtures("_torchvision")
class TestTimm:
    """FocalNet by its class: the count and the cost that its paper's table has (arXiv:2203.11926, tiny, small receptive field)."""

    def test_a_published_model(self):
        counts = ImageModel(image=224, classes=1000).count_params(Size(96, 2))
        assert counts.total == 28_427_116
        assert counts.total - counts.head == 28_427_116 - 769_000

    def test_widths_are_a_family(self):
        made = ImageModel(depth_pattern=(1, 1, 2, 1))
        sizes = [made.size_of(width, 1) for width in (16, 32, 48)]
        totals = [made.count_params(size).total for size in sizes]
        assert totals == sorted(set(totals))
        net = build_network(made, sizes[0])
        loss = net.losses(items(made, 4))[1]
        loss.backward()
        assert torch.isfinite(loss)

    def test_a_torchvision_that_does_not_load_is_told_in_a_sentence(self, monkeypatch):
        def broken(_):
            raise RuntimeError("operator torchvision::nms does not exist")

        monkeypatch.setattr("rung.ladder.architectures.images.spec.import_module", broken)
        with pytest.raises(
            LadderError, match=r"timm does not load here: operator torchvision::nms.*pip uninstall torchvision"
        ):
            ImageModel(model="convnext.ConvNeXt").make(Size(width=16, depth=1))

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"model": "focalnet.FocalNt"}, "no class 'FocalNt'"),
            ({"model": "focalnt.FocalNet"}, "no module 'focalnt'"),
            ({"arguments": {"drop_pat": 0.1}}, "Did you mean drop_rate"),
        ],
    )
    def test_what_timm_has_not(self, options, said):
        with pytest.raises(LadderError, match=said):
            ImageModel(**options).count_params(Size(16, 1))


class TestSizes:
    def test_the_nearest_size_is_taken(self):
        made = Decoder(**SMALL, aspect=16)
        size = nearest_size(made, 1e5, "non_embedding")
        count = made.count_params(size).non_embedding
        others = [made.count_params(one).non_embedding for one in itertools.islice(made.sizes(), 30)]
        assert abs(count / 1e5 - 1) < 0.05
        assert abs(count / 1e5 - 1) <= min(abs(other / 1e5 - 1) for other in others)

    @pytest.mark.parametrize(
        ("options", "requested", "said"),
        [
            ({}, (60, None), "multiple of 64, such as 64"),
            ({"head_width": 8, "kv_heads": 3}, (32, 1), "no multiple of kv_heads"),
            ({}, (None, None), "needs a size"),
            ({}, (64, -1), "depth = -1"),
            ({"aspect": 0.0}, (64, 1), "aspect = 0.0 must be positive"),
        ],
    )
    def test_a_size_that_cannot_be(self, options, requested, said):
        with pytest.raises(LadderError, match=said):
            Decoder(**options).size_of(*requested)

    def test_a_request_below_the_smallest(self):
        for aspect in (64, 16):
            with pytest.raises(LadderError, match="the smallest size of the family"):
                nearest_size(Decoder(aspect=aspect), 100.0, "non_embedding")

    @pytest.mark.parametrize(
        "options", [{"head_width": 7}, {"mlp": "relu"}, {"mlp": "swiglu", "experts": 2, "top": 3}, {"vocab": 0}]
    )
    def test_options_that_cannot_be(self, options):
        with pytest.raises(LadderError):
            Decoder(**options)


def test_a_decoder_sees_nothing_of_what_follows():
    made = Decoder(**SMALL)
    net = build_network(made, Size(32, 2))
    torch.nn.init.normal_(net.head.weight)
    tokens = torch.randint(0, 256, (1, 16))
    changed = tokens.clone()
    changed[0, 10:] = (changed[0, 10:] + 1) % 256
    assert torch.equal(net(tokens)[0, :10], net(changed)[0, :10])


def test_experts_that_are_all_alike_are_one_mlp():
    made = Decoder(**SMALL, mlp="swiglu", experts=4, top=2)
    net = build_network(made, Size(16, 1))
    experts = net.blocks[0].mlp
    for expert in experts.experts[1:]:
        expert.load_state_dict(experts.experts[0].state_dict())
    x = torch.randn(2, 5, 16)
    assert torch.allclose(experts(x), experts.experts[0](x), atol=1e-6)


def test_rows_grow_to_unit_length_under_negative_decay():
    made = family("superposition")
    net = build_network(made, Size(8, 1))
    from rung.ladder.recipe import Recipe

    optimizer = Optimizer(net, Recipe(lr=0.5, lr_vectors=0.5, weight_decay=-1.0))
    for _ in range(60):
        for weight in net.parameters():
            weight.grad = torch.zeros_like(weight)
        optimizer.step(1.0)
    assert torch.allclose(net.directions.norm(dim=1), torch.ones(256), atol=1e-4)


def test_a_memoriser_tells_every_key_from_every_other():
    made = Memoriser(keys=100, key_digits=2)
    assert made.digit_base == 10
    net = build_network(made, Size(16, 1))
    logits = net(torch.arange(100)).detach().flatten(1)
    assert len(torch.unique(logits, dim=0)) == 100
