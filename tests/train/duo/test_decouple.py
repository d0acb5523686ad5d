"""A decoupled network computes what its coupled one does: in double precision, and bit for bit as integers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from xnorflow.compiler import golden
from xnorflow.compiler.lowering.compare import compare_with_module
from xnorflow.compiler.lowering.module import compile_module
from xnorflow.errors import UsageError
from xnorflow.train.duo.decouple import decouple, decoupled_tensors
from xnorflow.train.duo.stages import decoupled_model
from xnorflow.train.duo.twins import TwinMean, Twins
from xnorflow.train.layers.modules import QuantReLU
from xnorflow.train.layers.norms import BatchNorm2d
from xnorflow.train.models.build import build_model
from xnorflow.train.recipe import (
    ActivationSpec,
    ConvSpec,
    InputSpec,
    LayerSpec,
    ModelSpec,
    OptimizerSpec,
    Recipe,
    WeightSpec,
)

VGG = ModelSpec(
    convs=(
        ConvSpec(5, padding=1),
        ConvSpec(6, padding=1, pool=2, pool_first=True),
        ConvSpec(7, padding=1, pool=2),
    ),
    hidden=(9, 8),
    activation=ActivationSpec("ternary"),
    layers={"fc2": LayerSpec(activation=ActivationSpec("relu", 4, 0.1))},
)


def digits(model):
    source = InputSpec(bits=4, lo=0, hi=16, encoding="unsigned")
    return Recipe("a test", "digits", source, model, OptimizerSpec(lr=0.01, lr_final=0.001), epochs=2, batch=50)


def shaken(recipe, seed):
    """A network with normalisations as training leaves them, and images for it."""
    torch.manual_seed(seed)
    model = build_model(recipe)
    images = torch.randint(0, 17, (60, 8, 8), dtype=torch.uint8)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight)  # falling ones among them
            nn.init.normal_(module.bias)
    for _ in range(10):
        model(images)
    return model.eval(), images


def pair(weights, seed=0):
    recipe = digits(replace(VGG, weights=WeightSpec(weights)))
    coupled, images = shaken(recipe, seed)
    return coupled, decouple(coupled, build_model(replace(recipe, model=decoupled_model(recipe.model)))), images


def doubled(model, images):
    """Scores in double precision, ScoreNorm's integer grid aside."""
    body = nn.Sequential(*[m for name, m in model.named_children() if name not in ("quantize", "scores")]).double()
    with torch.no_grad():
        return body(model.quantize(images).double())


@pytest.mark.parametrize("weights", ["float", "binary", "ternary"])
@pytest.mark.parametrize("seed", range(5))
def test_the_decoupled_network_computes_the_same_in_double_precision(weights, seed):
    coupled, decoupled, images = pair(weights, seed)
    expected, found = doubled(coupled, images), doubled(decoupled, images)
    assert expected.std() > 0.1
    assert (expected - found).abs().max() < 1e-12
    assert weights == "float" or torch.equal(expected, found)  # with whole weights the accumulators are the same


def test_layers_in_front_of_a_pair_stay_and_those_behind_read_both_halves():
    coupled, decoupled, _ = pair("binary")
    assert torch.equal(decoupled.conv1.weight, coupled.conv1.weight)
    for name in ("conv2", "conv3", "fc1", "fc2"):
        (weight, twice) = (getattr(model, name).weight for model in (coupled, decoupled))
        assert torch.equal(twice, torch.cat([weight, weight], 1))
    assert torch.equal(decoupled.fc3.weight, coupled.fc3.weight)  # behind the ReLU
    low, high, norm = decoupled.conv_norm2.low.norm, decoupled.conv_norm2.high.norm, coupled.conv_norm2
    assert torch.equal(low.bias, norm.bias + 0.25) and torch.equal(high.bias, norm.bias - 0.25)
    assert torch.equal(low.running_mean, norm.running_mean) and torch.equal(high.weight, norm.weight)


def test_the_papers_values_and_half_weights_give_the_same_normalised_sums():
    """With t in {0, 1/2, 1} and W/2 on binary 0/1 activations, as the paper has it."""
    torch.manual_seed(3)
    x, weight = torch.randn(50, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    t = (x >= 0.25).double() / 2 + (x >= 0.75).double() / 2
    assert torch.equal(QuantReLU(2, 0.5, top=2)(x), 2 * t)
    bits = torch.cat([QuantReLU(1, 1.0)(x + 0.25), QuantReLU(1, 1.0)(x - 0.25)], 1)
    halves = bits @ torch.cat([weight / 2, weight / 2], 1).T
    assert (halves - t @ weight.T).abs().max() < 1e-14
    ours = bits @ torch.cat([weight, weight], 1).T
    assert (ours - 2 * halves).abs().max() < 1e-14  # which the statistics of the BatchNorm behind have taken in


def test_both_compile_to_networks_that_give_the_same_scores():
    coupled, decoupled, images = pair("binary", 1)
    example = images[:4].numpy()
    networks = [compile_module(model, example) for model in (coupled, decoupled)]
    scores = []
    for network, model in zip(networks, (coupled, decoupled), strict=True):
        assert compare_with_module(network, model, images.numpy()).disagreements == 0
        scores.append(golden.run(network, network.input_codes(images.numpy())).scores)
    assert np.array_equal(*scores)
    assert [node.type.shape for node in networks[1].nodes if node.kind == "concat"] == [
        (8, 8, 10),
        (4, 4, 12),
        (4, 4, 14),
        (18,),
    ]


def test_a_new_pair_begins_with_its_shifts_and_groups_get_both_halves_of_their_channels():
    twins = Twins(lambda: BatchNorm2d(4), shift=0.5, groups=2).eval()
    x = torch.arange(4.0).reshape(1, 4, 1, 1).expand(1, 4, 2, 2)
    values = twins(x)[0, :, 0, 0]
    torch.testing.assert_close(values, torch.tensor([0.5, 1.5, -0.5, 0.5, 2.5, 3.5, 1.5, 2.5]), atol=1e-4, rtol=0)
    plain = Twins(lambda: BatchNorm2d(4), shift=0.5).eval()
    torch.testing.assert_close(TwinMean()(plain(x)), x, atol=1e-4, rtol=0)


def test_networks_that_do_not_correspond_are_refused():
    coupled, decoupled, _ = pair("binary")
    del coupled.fc3
    with pytest.raises(UsageError, match=r"the coupled one has no fc3\.weight"):
        decoupled_tensors(coupled.state_dict(), decoupled)
    with pytest.raises(UsageError, match=r"conv2\.weight is"):
        other = build_model(digits(replace(VGG, convs=(ConvSpec(5, padding=1), ConvSpec(4, padding=1, pool=2)))))
        decoupled_tensors(other.state_dict(), decoupled)
    with pytest.raises(UsageError, match="groups of Twins must be at least 1, not 0"):
        Twins(lambda: BatchNorm2d(4), groups=0)
