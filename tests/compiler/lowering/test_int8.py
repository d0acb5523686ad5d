"""Quantization to int8 after training, against the float module and against a slow computation by its formulas."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from xnorflow.compiler import golden
from xnorflow.compiler.ir import Conv2d, Dense, IntegerNetwork, MaxPool, Requantize
from xnorflow.compiler.lowering.int8 import compile_int8
from xnorflow.errors import UnsupportedLayerError, UsageError
from xnorflow.train.layers.modules import BinaryLinear, ChannelsFirst, InputQuantizer, QuantConv2d, QuantLinear, Sign
from xnorflow.train.layers.norms import BatchNorm1d, BatchNorm2d, ScoreNorm
from xnorflow.train.layers.quantizers import FloatWeights


def dense(columns: int, rows: int, *, bias: bool = False) -> QuantLinear:
    return QuantLinear(columns, rows, weight=FloatWeights(), bias=bias)


def conv(channels: int, rows: int, kernel: int = 3, **options: int) -> QuantConv2d:
    return QuantConv2d(channels, rows, kernel, weight=FloatWeights(), **options)


def settled(module: nn.Sequential, raw: np.ndarray, seed: int = 0) -> nn.Sequential:
    """Statistics of the samples themselves in every BatchNorm, slopes of both signs, shifts."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.momentum = None
            with torch.no_grad():
                norm.weight.copy_(torch.randn(norm.num_features, generator=generator))
                norm.bias.copy_(torch.randn(norm.num_features, generator=generator) / 2)
    with torch.no_grad():
        module.train()(torch.from_numpy(raw))
    return module.eval()


def perceptron() -> tuple[nn.Sequential, np.ndarray]:
    torch.manual_seed(1)
    raw = np.random.default_rng(1).integers(0, 256, (300, 4, 5), dtype=np.uint8)
    layers = OrderedDict(
        quantize=InputQuantizer(8, "unsigned", 0, 255), flatten=nn.Flatten(), drop0=nn.Dropout(0.2),
        fc1=dense(20, 16, bias=True), norm1=BatchNorm1d(16), act1=nn.ReLU(),
        fc2=dense(16, 12), norm2=BatchNorm1d(12), act2=nn.ReLU(),
        fc3=dense(12, 5), scores=ScoreNorm(5),
    )  # fmt: skip
    return settled(nn.Sequential(layers), raw), raw


def convolutional() -> tuple[nn.Sequential, np.ndarray]:
    torch.manual_seed(2)
    raw = np.random.default_rng(2).integers(0, 256, (200, 9, 8, 2), dtype=np.uint8)
    layers = OrderedDict(
        quantize=InputQuantizer(8, "bipolar", 0, 255), channels=ChannelsFirst(),
        conv1=conv(2, 6, padding=1, pad_value=-1), norm1=BatchNorm2d(6), act1=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv2=conv(6, 4, padding=1, stride=2, groups=2), norm2=BatchNorm2d(4), act2=nn.ReLU(), flatten=nn.Flatten(),
        fc1=dense(16, 7), norm3=BatchNorm1d(7), act3=nn.ReLU(), fc2=dense(7, 3),
    )  # fmt: skip
    return settled(nn.Sequential(layers), raw), raw


def outputs(module: nn.Sequential, raw: np.ndarray) -> dict[str, np.ndarray]:
    """What every layer yields."""
    found, x = {}, torch.from_numpy(raw)
    with torch.no_grad():
        for name, layer in module.named_children():
            x = layer(x)
            found[name] = x.double().numpy()
    return found


@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_every_activation_is_near_the_float_one(make) -> None:
    """A code of the first activation is at most one step from the float output's, the others a few."""
    module, raw = make()
    network = compile_int8(module, raw)
    real, trace = outputs(module, raw), golden.run(network, network.input_codes(raw))
    activations = [node for node in network.nodes if isinstance(node, Requantize)]
    assert [node.name for node in activations] == [name for name in real if name.startswith("act")]
    for depth, node in enumerate(activations):
        wanted = real[node.name]
        wanted = wanted if wanted.ndim == 2 else wanted.transpose(0, 2, 3, 1)
        codes = 255 * wanted / wanted.max()
        errors = np.abs(codes - trace[node.name].reshape(codes.shape))
        assert errors.max() < (3, 12, 24)[depth]
        assert trace[node.name].max() >= 250
    scores = real[list(real)[-1]]
    assert np.mean(trace.classes == scores.argmax(axis=1)) > 0.95


def test_by_the_formulas_of_the_scheme() -> None:
    """Weights, multipliers, offsets and scores of the perceptron, computed neuron by neuron."""
    module, raw = perceptron()
    network, real = compile_int8(module, raw), outputs(module, raw)
    step = 1.0
    for number in (1, 2):
        layer, norm = module.get_submodule(f"fc{number}"), module.get_submodule(f"norm{number}")
        node, act = network.node(f"fc{number}"), network.node(f"act{number}")
        assert isinstance(node, Dense) and isinstance(act, Requantize)
        top = float(real[f"act{number}"].max())
        for n in range(len(layer.weight)):
            row = layer.weight[n].detach().double().numpy()
            scale = np.abs(row).max() / 127
            assert node.weights.values()[n].tolist() == np.rint(row / scale).tolist()
            slope = float(norm.weight.detach()[n]) / (float(norm.running_var[n]) + norm.eps) ** 0.5
            bias = 0.0 if layer.bias is None else float(layer.bias.detach()[n])
            shift = float(norm.bias.detach()[n]) + slope * (bias - float(norm.running_mean[n]))
            assert abs(act.multiplier[n] - slope * scale * step * 255 / top * 2**act.shift) <= 0.51
            assert abs(act.offset[n] / 2**act.shift - (shift * 255 / top + 0.5)) < 1e-6
        step = top / 255


def test_calibration_samples_set_the_scale() -> None:
    module, raw = perceptron()
    real = outputs(module, raw)["act1"].reshape(len(raw), -1).max(axis=1)
    dim = raw[np.argsort(real)[:20]]
    bright, dark = compile_int8(module, raw), compile_int8(module, dim)
    assert golden.run(dark, dark.input_codes(dim))["act1"].max() >= 250
    assert golden.run(bright, bright.input_codes(dim))["act1"].max() < 250


def test_nodes_are_named_and_shaped_like_the_exact_ones() -> None:
    module, raw = convolutional()
    network = compile_int8(module, raw, class_names=("a", "b", "c"), provenance={"seed": "2"})
    assert [node.name for node in network.nodes] == (
        ["inputs", "conv1", "act1", "pool1", "conv2", "act2", "fc1", "act3", "fc2", "scores"]
    )
    first, second = network.node("conv1"), network.node("conv2")
    assert isinstance(first, Conv2d) and isinstance(second, Conv2d)
    assert (first.pad_code, first.padding) == (127, (1, 1))  # -1 of the bipolar pixels
    assert (second.pad_code, second.stride, second.groups) == (0, (2, 2), 2)
    assert isinstance(network.node("pool1"), MaxPool)
    assert (network.class_names, dict(network.provenance)) == (("a", "b", "c"), {"seed": "2"})


def refused(*layers: nn.Module) -> str:
    module, raw = perceptron()
    with pytest.raises(UnsupportedLayerError) as caught:
        compile_int8(nn.Sequential(*layers), raw)
    return str(caught.value)


def test_what_has_no_int8_form_is_named() -> None:
    front = InputQuantizer(8, "unsigned", 0, 255), nn.Flatten()
    assert "3 (Sign) is none of a float network's" in refused(*front, BinaryLinear(20, 4), Sign(), dense(4, 2))
    assert "3 (QuantLinear) follows a dot product without" in refused(*front, dense(20, 4), dense(4, 2))
    assert "the last layer is no dot product" in refused(*front, dense(20, 4), nn.ReLU())
    assert "2 (ReLU) does not follow" in refused(*front, nn.ReLU(), dense(20, 4))
    assert "0 (Flatten): an InputQuantizer stands in front" in refused(nn.Flatten(), dense(20, 4))
    maps = InputQuantizer(8, "unsigned", 0, 255), ChannelsFirst(), conv(1, 2)
    tail = nn.Flatten(), dense(12, 2)
    assert "3 (MaxPool2d) stands in front of the activation" in refused(*maps, nn.MaxPool2d(2), nn.ReLU(), *tail)
    assert "4 (MaxPool2d) has padding" in refused(*maps, nn.ReLU(), nn.MaxPool2d(2, padding=1), *tail)
    padded = conv(2, 2, padding=1, pad_value=1)
    assert "4 (QuantConv2d) pads with 1" in refused(*maps, nn.ReLU(), padded, nn.ReLU(), *tail)


def test_a_dead_activation_is_one_line() -> None:
    module, raw = perceptron()
    with torch.no_grad():
        module.norm1.bias.fill_(-1e6)
    with pytest.raises(UsageError, match="act1: its largest output on the calibration samples is 0"):
        compile_int8(module, raw)
    with pytest.raises(UsageError, match="Sequential"):
        compile_int8(module.fc1, raw)
    with pytest.raises(UsageError, match="calibration"):
        compile_int8(module, raw[:0])


def test_the_module_is_not_changed() -> None:
    module, raw = perceptron()
    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    first = compile_int8(module, raw)
    assert module.training and all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert isinstance(first, IntegerNetwork)
