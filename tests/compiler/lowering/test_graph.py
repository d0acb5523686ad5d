"""Modules with branches equal their integer networks in every code, accumulator, sum and score."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from lowering.test_conv import conv, images, shake
from torch import Tensor, nn

from xnorflow.compiler import compare_with_module, compile_module
from xnorflow.compiler.ir import AccType, CodeType, Conv2d, IntegerNetwork, Scores, SumPool, Threshold
from xnorflow.compiler.lowering.compare import Comparison
from xnorflow.errors import UnsupportedLayerError, UsageError
from xnorflow.train.layers.activations import LinearQuant, LogQuant
from xnorflow.train.layers.modules import (
    BinaryLinear,
    ChannelsFirst,
    InputQuantizer,
    QuantConv2d,
    QuantLinear,
    QuantReLU,
    Sign,
    SumPool2d,
)
from xnorflow.train.layers.norms import BatchNorm1d, BatchNorm2d, ScoreNorm
from xnorflow.train.layers.quantizers import BinaryWeights
from xnorflow.train.models.residual import residual_layers
from xnorflow.train.recipe import BlockSpec, NormSpec, ResidualSpec

SHAPE = (5, 6, 2)


class Branches(nn.Module):
    """A stem on (5, 6, 2) images, `body` on its (B, 4, 5, 6) codes, a dense layer on whatever that yields."""

    def __init__(self, body: Callable[["Branches", Tensor], Tensor], act: nn.Module | None = None) -> None:
        super().__init__()
        self.quantize, self.turn = InputQuantizer(2, "unsigned", 0, 3), ChannelsFirst()
        self.stem, self.stem_norm = conv(2, 4, 3, padding=1), BatchNorm2d(4)
        self.act = LinearQuant(3, 0.5) if act is None else act
        self.sign, self.sign2, self.same = Sign(), Sign(), LinearQuant(3, 1.0)
        self.inner, self.norm, self.act2 = conv(4, 4, 3, padding=1, pad_value=-1), BatchNorm2d(4), LinearQuant(3, 0.6)
        self.norm3, self.pool, self.sums, self.mean = BatchNorm2d(4), nn.MaxPool2d(2), SumPool2d(2), nn.AvgPool2d(2)
        self.grouped = QuantConv2d(4, 8, 3, weight=BinaryWeights(), groups=2)
        self.all, self.average = SumPool2d(), nn.AdaptiveAvgPool2d(1)
        self.body = body
        self.out: nn.Module = nn.Identity()
        self.head: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem_norm(self.stem(self.turn(self.quantize(x)))))
        return self.head(self.out(self.body(self, x).flatten(1)))


def made(body: Callable[[Branches, Tensor], Tensor], seed: int = 0, head: type[nn.Module] = ScoreNorm) -> Branches:
    """With a dense layer of 3 classes and a head of the width that the body has."""
    torch.manual_seed(seed)
    module = Branches(body)
    width = module.eval()(torch.zeros(1, *SHAPE)).shape[1]
    module.out, module.head = BinaryLinear(width, 3), head(3)
    return shake(module, seed)


def compared(module: nn.Module, shape: tuple[int, ...] = SHAPE, top: int = 3) -> tuple[IntegerNetwork, Comparison]:
    raw = images(shape, top, count=20)
    network = compile_module(module, raw[:3])
    comparison = compare_with_module(network, module, raw)
    assert comparison.disagreements == 0
    return network, comparison


def residual(m: Branches, x: Tensor) -> Tensor:
    return m.same(x + m.act2(m.norm(m.inner(m.sign(x)))))


BODIES: dict[str, tuple[Callable[[Branches, Tensor], Tensor], list[str]]] = {
    "residual": (residual, ["sign", "inner", "act2", "add", "same"]),
    "torch.add": (lambda m, x: m.same(torch.add(m.act2(m.norm(x)), x)), ["act2", "add", "same"]),
    "a normalised sum": (lambda m, x: m.sign(m.norm(x.add(m.same(x)))), ["same", "add", "sign"]),
    "a pool of a sum": (lambda m, x: m.sign(m.norm(m.pool(x + m.same(x)))), ["same", "add", "pool", "sign"]),
    "a pool behind a normalised sum": (
        lambda m, x: m.sign(m.pool(m.norm(x + m.same(x)))),
        ["same", "add", "sign", "pool"],
    ),
    "concatenation": (lambda m, x: torch.cat([m.sign(x), m.sign2(m.norm(x))], 1), ["sign", "sign2", "concat"]),
    "cat by dim": (lambda m, x: torch.cat((m.sign(x), m.sign2(x)), dim=1), ["sign", "sign2", "concat"]),
    "one dot, two activations": (
        lambda m, x: torch.cat([m.sign(m.norm(d := m.inner(m.sign(x)))), m.sign2(m.norm3(d))], 1),
        ["sign", "inner", "sign_2", "sign2", "concat"],
    ),
    "one normalisation, two activations": (
        lambda m, x: torch.cat([m.sign(d := m.norm(x)), m.sign2(-d)], 1),
        ["sign", "sign2", "concat"],
    ),
    "sum pool": (lambda m, x: m.sign(m.norm(m.sums(x))), ["sums", "sign"]),
    "average pool": (lambda m, x: m.act2(m.norm(m.mean(x))), ["mean", "act2"]),
    "average pool without norm": (lambda m, x: m.act2(m.mean(x)), ["mean", "act2"]),
    "global sum": (lambda m, x: m.act2(m.norm(m.all(x))), ["all", "act2"]),
    "global average, flattened": (lambda m, x: m.act2(m.average(x).flatten(1) * 3), ["average", "act2"]),
    "groups": (lambda m, x: m.sign(m.grouped(x)), ["grouped", "sign"]),
    "flattened pixels": (
        lambda m, x: torch.cat([m.same(m.all(x)).flatten(1), m.act2(m.all(m.sign(x)).flatten(1))], 1),
        ["all", "same", "sign", "all_2", "act2", "concat"],
    ),
    "a pool read by two": (
        lambda m, x: torch.cat([m.sign(p := m.pool(x)), m.sign2(m.norm(p))], 1),
        ["pool", "sign", "sign2", "concat"],
    ),
    "twice itself": (lambda m, x: m.sign(m.norm(x + x)), ["sign"]),
    "a pool of accumulators for two": (
        lambda m, x: m.same(m.act2(m.norm(p := m.pool(m.inner(m.sign(x))))) + m.act(p)),
        ["sign", "inner", "pool", "act2", "act_2", "add", "same"],
    ),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_branch(body: str, seed: int):
    forward, names = BODIES[body]
    network, comparison = compared(made(forward, seed))
    assert [node.name for node in network.nodes] == ["inputs", "stem", "act", *names, "out", "scores"]
    wanted = {"inputs", "stem", "act", *names, "out", "scores", "classes"}
    assert wanted - set(comparison.by_layer) <= {"sign"}  # thresholds whose pool stands behind them have no tensor


@pytest.mark.parametrize("head", [ScoreNorm, BatchNorm1d, nn.BatchNorm1d])
def test_heads_behind_branches(head: type[nn.Module]):
    compared(made(residual, 1, head))


@pytest.mark.parametrize("last", ["sum", "average", "add"])
@pytest.mark.parametrize("head", [ScoreNorm, nn.BatchNorm1d, nn.Identity])
def test_scores_of_pools_and_sums(last: str, head: type[nn.Module]):
    def body(m: Branches, x: Tensor) -> Tensor:
        if last == "add":
            return m.act2(m.norm(m.all(x).sub(3))).add(m.same(m.norm3(m.all(m.sign(x)))))
        return (m.all if last == "sum" else m.average)(x)

    torch.manual_seed(0)
    module = Branches(body)
    module.head = head(4)
    network, _ = compared(shake(module, 4))
    assert isinstance(network.nodes[-1], Scores) and network.nodes[-1].type.size == 4
    assert network.node(network.scores.inputs[0]).kind == ("add" if last == "add" else "sumpool")


def test_a_convolution_down_to_a_pixel_is_scored():
    module = nn.Sequential(InputQuantizer(1), ChannelsFirst(), conv(2, 3, (5, 6)), nn.Flatten(), ScoreNorm(3))
    network, _ = compared(shake(module, 0), top=255)
    assert isinstance(network.nodes[1], Conv2d) and network.scores.type.shape == (3,)


def test_a_bias_goes_through_a_pool_of_accumulators():
    torch.manual_seed(0)
    biased = conv(2, 4, 2, bias=True)
    with torch.no_grad():  # eighths: exact in whichever order torch's fused kernel adds them
        biased.bias.copy_(torch.round(24 * torch.randn(4)) / 8)
    front = [InputQuantizer(2, "unsigned", 0, 3), ChannelsFirst(), biased, nn.MaxPool2d(2), BatchNorm2d(4)]
    module = nn.Sequential(*front, LogQuant(3, 0.5), nn.Flatten(), BinaryLinear(16, 3), ScoreNorm(3))
    _, comparison = compared(shake(module, 0))
    assert {"conv2", "pool3"} <= set(comparison.by_layer)
    assert comparison.plain_differences == 0


def test_depthwise_and_pointwise_convolutions():
    torch.manual_seed(1)
    depthwise = QuantConv2d(4, 4, 3, weight=BinaryWeights(), groups=4, padding=1)
    layers = [InputQuantizer(2, "unsigned", 0, 3), ChannelsFirst(), conv(2, 4, 1), BatchNorm2d(4), QuantReLU(2, 1.0)]
    layers += [depthwise, BatchNorm2d(4), QuantReLU(2, 1.0), conv(4, 6, 1), BatchNorm2d(6), Sign(), nn.Flatten()]
    network, _ = compared(shake(nn.Sequential(*layers, BinaryLinear(180, 3), ScoreNorm(3)), 1))
    node = network.node("conv5")
    assert isinstance(node, Conv2d) and node.groups == 4 and node.weights.codes.shape == (4, 9)


def test_signs_of_inputs_are_thresholds_of_codes():
    torch.manual_seed(0)
    module = nn.Sequential(InputQuantizer(3), nn.Flatten(), BatchNorm1d(8), Sign(), Sign(), BinaryLinear(8, 3))
    network, _ = compared(shake(module, 2), (8,), 255)
    assert [node.kind for node in network.nodes] == ["input", "threshold", "threshold", "dense", "scores"]


@pytest.mark.parametrize("blocks", [((4, 1), (6, 2)), ((4, 2),), ((6, 1), (6, 1))])
def test_residual_blocks(blocks: tuple[tuple[int, int], ...]):
    torch.manual_seed(0)
    spec = ResidualSpec(4, tuple(BlockSpec(*block) for block in blocks), bits=3, step=0.6)
    front = [InputQuantizer(2, "unsigned", 0, 3), ChannelsFirst(), *residual_layers(spec, 2, NormSpec()).values()]
    module = nn.Sequential(*front, nn.Flatten(), BinaryLinear(blocks[-1][0], 3), ScoreNorm(3))
    network, comparison = compared(shake(module, 3))
    kinds = [node.kind for node in network.nodes]
    assert kinds.count("add") == len(blocks) and kinds.count("sumpool") == 1
    for node in network.nodes:
        assert comparison.by_layer[node.name].compared % 20 == 0
        if node.kind == "add":
            assert node.type == AccType(node.type.shape, -8, 6)


def test_a_decoupled_network_has_one_dot_product_for_two_activations():
    """BinaryDuo: one convolution, two normalisations whose shifts differ, channels twice as many."""

    class Decoupled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.quantize, self.turn, self.conv = InputQuantizer(8), ChannelsFirst(), conv(2, 4, 3)
            self.low, self.high = BatchNorm2d(4), BatchNorm2d(4)
            self.act_low, self.act_high = QuantReLU(1, 1.0), QuantReLU(1, 1.0)
            self.fc, self.head = BinaryLinear(96, 3), ScoreNorm(3)

        def forward(self, x: Tensor) -> Tensor:
            acc = self.conv(self.turn(self.quantize(x)))
            both = torch.cat([self.act_low(self.low(acc)), self.act_high(self.high(acc))], dim=1)
            return self.head(self.fc(both.flatten(1)))

    torch.manual_seed(0)
    network, _ = compared(shake(Decoupled(), 0), top=255)
    (first, _) = network.stages()
    assert first.sink is None
    assert [type(node) for node in network.readers()["conv"]] == [Threshold, Threshold]
    assert isinstance(network.node("concat").type, CodeType) and network.node("concat").type.shape == (3, 4, 8)


REFUSED: list[tuple[Callable[[Branches, Tensor], Tensor], str]] = [
    (lambda m, x: m.same(x + m.norm(x)), "add in forward adds numbers that are no codes"),
    (lambda m, x: m.same(m.inner(m.sign(x)) + x), "add in forward adds numbers that are no codes"),
    (lambda m, x: m.same(x * m.same(x)), "mul in forward takes several tensors"),
    (lambda m, x: m.same(torch.add(x, m.same(x), alpha=2)), "add in forward adds with a factor"),
    (lambda m, x: torch.cat([x, m.norm(x)], 1), "cat in forward concatenates numbers that are no codes"),
    (lambda m, x: torch.cat([x, m.same(x)], 2), "cat in forward concatenates along another axis"),
    (lambda m, x: torch.cat([x, m.same(x)]), "cat in forward concatenates along another axis"),
    (lambda m, x: torch.cat([x, m.same(x), x], 1), "cat in forward concatenates a tensor with itself"),
    (lambda m, x: m.same(m.sums(m.norm(x))), r"sums \(SumPool2d\) sums numbers that are no codes"),
    (lambda m, x: m.inner(m.norm(x)), r"inner \(QuantConv2d\) follows a dot product or a sum without an activation"),
    (lambda m, x: m.same(nn.functional.avg_pool2d(x, 2)), "avg_pool2d in forward use a SumPool2d layer"),
]


@pytest.mark.parametrize(("body", "complaint"), REFUSED, ids=[complaint for _, complaint in REFUSED])
def test_what_has_no_integer_form_is_named(body: Callable[[Branches, Tensor], Tensor], complaint: str):
    module = Branches(body).eval()
    module.out = BinaryLinear(120, 3)
    with pytest.raises(UnsupportedLayerError, match=complaint):
        compile_module(module, images(SHAPE, 3))


def test_all_of_it_is_listed_at_once():
    module = Branches(lambda m, x: torch.cat([x, m.norm(x)], 1) + m.sums(m.norm(x)))
    with pytest.raises(UnsupportedLayerError, match=r"3 of the operations: cat .*; sums .*; add .*"):
        compile_module(module, images(SHAPE, 3))


def test_concatenated_codes_have_one_grid_and_one_shape():
    with pytest.raises(UsageError, match="concat: act has 3-bit signed codes, sign has 1-bit bipolar ones"):
        compile_module(made(lambda m, x: torch.cat([m.sign(x), x], 1)), images(SHAPE, 3))


@pytest.mark.parametrize(
    "body",
    [
        lambda m, x: torch.cat([m.sign(x).flatten(1), m.sign2(x).flatten(1)], 1),
        lambda m, x: m.same(m.sign(x).flatten(1) + m.sign2(x).flatten(1)),
        lambda m, x: torch.cat([m.same(m.all(x)).flatten(1), x.flatten(1)], 1),
    ],
)
def test_flattened_maps_are_not_joined(body: Callable[[Branches, Tensor], Tensor]):
    module = made(body)
    with pytest.raises(UnsupportedLayerError, match=r"joins maps \(4, 5, 6\) as \(120,\); join them as \(B, C, H, W\)"):
        compile_module(module, images(SHAPE, 3))


def test_adaptive_pools_of_several_pixels_are_refused():
    module = Branches(lambda m, x: m.same(m.average(x)))
    module.average = nn.AdaptiveAvgPool2d(2)
    with pytest.raises(UnsupportedLayerError, match=r"average \(AdaptiveAvgPool2d\) yields more than one pixel"):
        compile_module(module, images(SHAPE, 3))


def test_a_wrong_sum_is_found_where_it_is():
    module = made(residual)
    raw = images(SHAPE, 3, count=20)
    network = compile_module(module, raw)
    threshold = network.node("act2")
    assert isinstance(threshold, Threshold)
    never = np.where(threshold.descending, network.node("inner").type.lo - 1, network.node("inner").type.hi + 1)
    silent = replace(threshold, thresholds=np.repeat(never[:, None], 7, axis=1))
    broken = replace(network, nodes=tuple(silent if node is threshold else node for node in network.nodes))
    wrong = {name for name, layer in compare_with_module(broken, module, raw).by_layer.items() if layer.disagreements}
    assert {"act2", "add"} <= wrong and not wrong & {"inputs", "stem", "act", "sign", "inner"}


def test_sum_pools_know_their_reach():
    network, _ = compared(made(lambda m, x: m.sign(m.norm(m.sums(x)))))
    node = network.node("sums")
    assert isinstance(node, SumPool) and (node.type.lo, node.type.hi) == (-16, 12) and node.kernel == (2, 2)


def test_biased_dense_branches():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.quantize = InputQuantizer(2, "unsigned", 0, 3)
            self.a, self.b = (QuantLinear(6, 5, weight=BinaryWeights(), bias=True) for _ in range(2))
            for layer in (self.a, self.b):
                nn.init.normal_(layer.bias)
            self.act_a, self.act_b, self.out = QuantReLU(2, 1.5), QuantReLU(2, 1.5), BinaryLinear(10, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.quantize(x)
            return self.out(torch.cat([self.act_a(self.a(x)), self.act_b(self.b(x))], 1))

    torch.manual_seed(0)
    compared(Two().eval(), (6,))
