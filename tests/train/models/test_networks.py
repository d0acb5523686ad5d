"""The big networks: their shapes and sizes, and that decoupling leaves what they compute as it is."""

from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from torch import nn

from xnorflow.errors import UsageError
from xnorflow.train.duo.decouple import decouple
from xnorflow.train.layers.modules import QuantConv2d, QuantLinear
from xnorflow.train.models.networks import network_layers
from xnorflow.train.models.spec import ActivationSpec, ModelSpec, NetworkSpec, WeightSpec

SHAPES = {"alexnet": (64, 64, 3), "resnet18": (32, 32, 3), "resnet20": (12, 12, 3), "googlenet": (40, 40, 3)}
TERNARY, DECOUPLED = ActivationSpec("ternary"), ActivationSpec("decoupled")


def build(name, activation, width=0.1, weights="float", shape=None, classes=7, widths=()):
    network = NetworkSpec(name, 1.0 if widths else width, widths)
    spec = ModelSpec((), network=network, activation=activation, weights=WeightSpec(weights))
    return nn.Sequential(network_layers(spec, shape or SHAPES[name], classes))


def body(model, images):
    """Scores in double precision, without ScoreNorm's integer grid."""
    layers = OrderedDict((name, m) for name, m in model.named_children() if name != "scores")
    with torch.no_grad():
        return nn.Sequential(layers).double()(images.double())


def shaken(model, name, seed):
    torch.manual_seed(seed)
    images = torch.randint(-255, 256, (8, *SHAPES[name])).float()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    for _ in range(4):
        model(images)
    return model.eval(), images


@pytest.mark.parametrize("weights", ["float", "binary"])
@pytest.mark.parametrize("name", ["alexnet", "resnet18", "resnet20"])
def test_decoupled_networks_compute_the_same_in_double_precision(name, weights):
    torch.manual_seed(1)
    coupled, images = shaken(build(name, TERNARY, weights=weights), name, 1)
    coupled.double()  # before: a shifted bias is rounded, and a residual stream shows it
    decoupled = decouple(coupled, build(name, DECOUPLED, weights=weights).double())
    expected, found = body(coupled, images), body(decoupled, images)
    assert expected.std() > 1e-3
    assert (expected - found).abs().max() < 1e-12
    pairs = sum(p.numel() for n, p in decoupled.named_parameters() if n.endswith("conv.weight") or "fc" in n)
    single = sum(p.numel() for n, p in coupled.named_parameters() if n.endswith("conv.weight") or "fc" in n)
    assert pairs > 1.3 * single


def test_a_residual_stream_is_shifted_where_a_stage_begins_and_read_as_the_mean_of_its_pairs():
    model = build("resnet18", DECOUPLED)
    shifts = {
        name: block.norm.shift for name, block in model.named_children() if hasattr(getattr(block, "norm", 0), "low")
    }
    assert shifts == {
        **{"stage1_1": 0, "stage1_2": 0, "stage1_3": 0, "stage1_4": 0},
        **{"stage2_1": 0.25, "stage2_2": 0, "stage2_3": 0, "stage2_4": 0},
        **{"stage3_1": 0.25, "stage3_2": 0, "stage3_3": 0, "stage3_4": 0},
        **{"stage4_1": 0.25, "stage4_2": 0, "stage4_3": 0},
    }
    assert model.stream.shift == 0.25
    grown = build("resnet18", DECOUPLED, widths=(4, 5, 6, 7, 9)).eval()
    assert grown.stage4_4.conv.weight.shape == (9, 14, 3, 3)
    assert list(dict(grown.stage4_4.past.named_children())) == ["mean", "grown"]
    assert grown(torch.randn(2, 32, 32, 3)).shape == (2, 7)


@pytest.mark.parametrize("name", SHAPES)
def test_binary_networks_take_a_step(name):
    torch.manual_seed(0)
    model = build(name, ActivationSpec("sign"), weights="binary")
    loss = model(torch.randint(-255, 256, (4, *SHAPES[name])).float()).square().mean()
    loss.backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in model.parameters())
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, QuantConv2d | QuantLinear)]
    ends = [n for n, m in layers if m.weight_quantizer.encoding == "float"]
    assert ends[0] == layers[0][0] and ends[-1] == layers[-1][0]
    assert len(ends) == {"alexnet": 2, "googlenet": 2, "resnet18": 5, "resnet20": 4}[name]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("alexnet", 62_370_000), ("resnet18", 11_690_000), ("googlenet", 7_000_000), ("resnet20", 272_000)],
)
def test_full_networks_have_the_sizes_that_are_known_of_them(name, parameters):
    """AlexNet in one tower 62.37 M, ResNet-18 11.69 M, GoogLeNet 7.0 M, ResNet-20 0.27 M (with 10 classes)."""
    cifar = name == "resnet20"
    model = build(
        name,
        ActivationSpec("sign"),
        width=1.0,
        weights="binary",
        shape=(32, 32, 3) if cifar else (224, 224, 3),
        classes=10 if cifar else 1000,
    )
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(parameters, rel=0.015)


def test_what_does_not_fit_is_said():
    with pytest.raises(UsageError, match="network alexnet has 7 widths such as"):
        build("alexnet", TERNARY, widths=(3, 4))
    with pytest.raises(UsageError, match="googlenet has no decoupled form"):
        build("googlenet", DECOUPLED)
    with pytest.raises(UsageError, match=r"do not fit images of shape \(16, 16, 3\)"):
        build("alexnet", TERNARY, shape=(16, 16, 3))
    with pytest.raises(UsageError, match="network has width or widths, not both"):
        NetworkSpec("alexnet", 0.5, (1,))
    with pytest.raises(UsageError, match="network resnet20 has no hidden, layers or dropout_input"):
        replace(ModelSpec((), network=NetworkSpec("resnet20")), hidden=(3,))
    with pytest.raises(UsageError, match="one of convs, residual, recurrent and network"):
        ModelSpec((), network=NetworkSpec("resnet20"), convs=(object(),))
