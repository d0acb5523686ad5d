"""From PyTorch to Verilog: pools, groups and paddings. The golden model equals the module, the accelerator the golden
model, at the bound of the cycle model and under stalls."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerator_farm import accelerator_case, run_farm
from torch import nn

from xnorflow.compiler import compare_with_module, compile_module, golden
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.ir import Conv2d, IntegerNetwork, MaxPool, SumPool, Threshold
from xnorflow.compiler.types import AccType
from xnorflow.train.duo.twins import Twins
from xnorflow.train.layers.modules import (
    BinaryLinear,
    ChannelsFirst,
    InputQuantizer,
    QuantConv2d,
    QuantReLU,
    Sign,
    SumPool2d,
)
from xnorflow.train.layers.norms import BatchNorm1d, BatchNorm2d
from xnorflow.train.layers.quantizers import BinaryWeights, BipolarWeights

FRAMES = 18
WARM_UP = 7  # frames that fill the pipeline and let the line buffers find their level


def conv(c: int, n: int, kernel: int | tuple[int, int], bits: int = 1, **options) -> QuantConv2d:
    return QuantConv2d(c, n, kernel, weight=BinaryWeights() if bits == 1 else BipolarWeights(bits), **options)


def front(bits: int = 2) -> list[nn.Module]:
    return [InputQuantizer(bits, "unsigned", 0, 255), ChannelsFirst()]


# image; layers; the folds of the dot products in order
MODULES = {
    # BinaryConnect: the pool in front of BatchNorm, whose slopes have both signs
    "binary_connect": (
        (8, 7, 3),
        [*front(), conv(3, 6, 3, padding=1), nn.MaxPool2d(2), BatchNorm2d(6), Sign(),
         conv(6, 5, 3), BatchNorm2d(5), Sign(), nn.Flatten(), BinaryLinear(10, 3)],
        [(4, 3), (2, 3), (1, 4)],
    ),
    # pools of accumulators with windows that overlap, wide codes behind; scores of a pooled map
    "overlapping": (
        (9, 7, 2),
        [*front(), conv(2, 5, 2), nn.MaxPool2d(3, 2), BatchNorm2d(5), QuantReLU(2, 0.7),
         conv(5, 4, 1), BatchNorm2d(4), QuantReLU(2, 0.7), nn.MaxPool2d((2, 1), (1, 1)), nn.Flatten(),
         BinaryLinear(16, 4)],
        [(2, 2), (4, 3), (2, 4)],
    ),
    # average pools: sums whose divisor BatchNorm takes, the last one of the whole map
    "averages": (
        (8, 9, 2),
        [*front(), conv(2, 6, (3, 2), 2), BatchNorm2d(6), QuantReLU(3, 0.5), SumPool2d(2), BatchNorm2d(6),
         QuantReLU(2, 0.5), conv(6, 5, 1), BatchNorm2d(5), Sign(), SumPool2d(), BatchNorm2d(5), QuantReLU(2, 0.6),
         nn.Flatten(), BinaryLinear(5, 3)],
        [(3, 2), (5, 3), (3, 5)],
    ),
    "averages_overlapping": (
        (7, 6, 3),
        [*front(1), conv(3, 4, 2), BatchNorm2d(4), Sign(), SumPool2d(3, (2, 1)), BatchNorm2d(4), Sign(), nn.Flatten(),
         BinaryLinear(24, 3)],
        [(4, 3), (1, 8)],
    ),
    # depthwise and pointwise, two at a time and padded; then two neurons a channel, all at once
    "separable": (
        (7, 6, 3),
        [*front(), conv(3, 5, 2), BatchNorm2d(5), Sign(),
         conv(5, 5, 3, padding=1, pad_value=-1, groups=5), BatchNorm2d(5), Sign(),
         conv(5, 6, 1), BatchNorm2d(6), Sign(),
         conv(6, 12, (3, 2), stride=2, groups=6), BatchNorm2d(12), Sign(), nn.Flatten(), BinaryLinear(48, 3)],
        [(3, 3), (2, 1), (3, 5), (4, 1), (1, 12)],
    ),
    # groups of several channels, one in turn and two at once; pools of their accumulators
    "groups": (
        (6, 6, 4),
        [*front(), conv(4, 12, 3, padding=(1, 0), groups=2), nn.MaxPool2d((2, 1)), BatchNorm2d(12), QuantReLU(2, 0.8),
         conv(12, 8, 2, 2, groups=4), BatchNorm2d(8), Sign(), nn.Flatten(), BinaryLinear(48, 3)],
        [(3, 1), (4, 3), (1, 8)],
    ),
    # paddings of four sides, dilation, an even kernel that keeps the map's size
    "borders": (
        (5, 8, 2),
        [*front(), conv(2, 4, (2, 3), padding="same"), BatchNorm2d(4), Sign(),
         conv(4, 5, 2, padding=(1, 0, 0, 2), dilation=(2, 3), pad_value=1), BatchNorm2d(5), Sign(), nn.Flatten(),
         BinaryLinear(140, 3)],
        [(2, 2), (2, 4), (1, 10)],
    ),
    # BinaryDuo: a ternary layer, then decoupled ones, whose accumulators and pool have two readers each
    "duo": (
        (6, 7, 2),
        [*front(), conv(2, 4, 3, padding=1), BatchNorm2d(4), QuantReLU(2, 0.5, top=2),
         conv(4, 6, 3), nn.MaxPool2d(2), Twins(lambda: BatchNorm2d(6), lambda: QuantReLU(1, 1.0)), nn.Flatten(),
         BinaryLinear(48, 12), Twins(lambda: BatchNorm1d(12), lambda: QuantReLU(1, 1.0)), BinaryLinear(24, 3)],
        [(2, 2), (3, 4), (4, 6), (1, 8)],
    ),
}  # fmt: skip


def settled(module: nn.Module, raw: np.ndarray, seed: int) -> nn.Module:
    """Statistics of the images themselves in every BatchNorm, and slopes of both signs."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, BatchNorm1d | BatchNorm2d):
            norm.momentum = 1.0
            with torch.no_grad():
                norm.weight.copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
                norm.weight[::2].neg_()
                norm.bias.copy_(torch.randn(norm.num_features, generator=generator) / 2)
    module.train()(torch.from_numpy(raw))
    return module.eval()


def built(name: str) -> tuple[nn.Module, np.ndarray, IntegerNetwork, Folding]:
    """The module, images, the network and its folding."""
    shape, layers, folds = MODULES[name]
    torch.manual_seed(len(name))
    for layer in layers:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    raw = np.random.default_rng(5).integers(0, 256, (FRAMES, *shape)).astype(np.uint8)
    module = settled(nn.Sequential(*layers), raw, 3)
    network = compile_module(module, raw)
    dots = [stage.dot.name for stage in network.stages()]
    folding = Folding({dot: LayerFold(*fold) for dot, fold in zip(dots, folds, strict=True)}, 3)
    return module, raw, network, folding


def case_of(network: IntegerNetwork, folding: Folding, raw: np.ndarray) -> dict[str, object]:
    codes = network.input_codes(raw)
    trace = golden.run(network, codes)
    assert len({tuple(scores) for scores in trace.scores.tolist()}) > FRAMES // 2
    return accelerator_case(network, folding, codes, trace, warm_up=WARM_UP)


@pytest.mark.parametrize("name", MODULES)
def test_the_network_equals_the_module(name: str) -> None:
    module, raw, network, _ = built(name)
    assert compare_with_module(network, module, raw).disagreements == 0
    for node in network.nodes:
        if isinstance(node, Threshold) and isinstance(network.node(node.inputs[0]), MaxPool | SumPool):
            assert node.descending.any() and not node.descending.all()  # both directions are tried


def test_the_kinds_of_nodes_are_all_there() -> None:
    nodes = [node for name in MODULES for node in built(name)[2].nodes]
    pools = [node for node in nodes if isinstance(node, MaxPool)]
    assert sum(isinstance(node.type, AccType) for node in pools) == 4 and len(pools) == 5
    assert sum(isinstance(node, SumPool) for node in nodes) == 3
    assert [node.groups for node in nodes if isinstance(node, Conv2d) and node.groups > 1] == [5, 6, 2, 4]
    assert sum(isinstance(node, Conv2d) and len(node.padding) == 4 for node in nodes) == 2


@pytest.mark.slow
@pytest.mark.parametrize("names", [list(MODULES)[::2], list(MODULES)[1::2]], ids=["even", "odd"])
def test_the_accelerator_equals_the_network(names: list[str], tmp_path: Path) -> None:
    designs = {name: built(name) for name in names}
    cases = {name: case_of(network, folding, raw) for name, (_, raw, network, folding) in designs.items()}
    run_farm({name: (network, folding) for name, (_, _, network, folding) in designs.items()}, cases, tmp_path)
