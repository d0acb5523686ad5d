"""Memory and operations against BinaryDuo's table, and against sums by hand."""

from dataclasses import replace

import pytest

from xnorflow.errors import UsageError
from xnorflow.train.duo.stages import stage_recipe
from xnorflow.train.models.sizes import LayerSize, model_size
from xnorflow.train.recipe import load_recipe


def size(name, stage):
    return model_size(replace(stage_recipe(load_recipe(name), stage, "x"), init=None))


@pytest.mark.parametrize(("name", "mbit", "millions"), [("alexnet", 189, 119), ("resnet18", 31.9, 164)])
def test_the_decoupled_networks_are_those_of_binaryduos_table(name, mbit, millions):
    """Published: AlexNet 189 Mbit and 119 M, ResNet-18 31.9 Mbit and 164 M.

    Ours have a scale and a bias for each of 1,000 scores where the authors' last layer has a bias: 0.032 Mbit more.
    """
    found = size(f"imagenet-duo-{name}", "decoupled")
    published_bits = found.memory_bits - 32 * 1000
    assert round(published_bits / 1e6, 0 if name == "alexnet" else 1) == mbit
    assert round(found.operations / 1e6) == millions


def test_a_small_network_by_hand():
    found = size("digits-duo", "coupled")
    assert found.layers == (
        LayerSize("conv1", (6, 8, 8), 1, 4, 54, 54 * 64, 54, 54 * 64 * 4 / 64),
        LayerSize("conv2", (8, 8, 8), 1, 2, 432, 432 * 64, 432, 432 * 64 * 2 / 64),
        LayerSize("fc1", (24,), 1, 2, 8 * 16 * 24, 8 * 16 * 24, 8 * 16 * 24, 8 * 16 * 24 * 2 / 64),
        LayerSize("fc2", (10,), 1, 2, 240, 240, 240, 240 * 2 / 64),
    )
    assert found.other_parameters == 2 * (6 + 8 + 24 + 10)
    assert found.memory_bits == 54 + 432 + 3072 + 240 + 32 * 96
    assert found.operations == sum(layer.operations for layer in found.layers)


def test_a_decoupled_network_has_twice_the_inputs_of_one_bit():
    coupled, decoupled = size("digits-duo", "coupled"), size("digits-duo", "decoupled")
    for one, two in zip(coupled.layers[1:], decoupled.layers[1:], strict=True):
        assert (two.weights, two.input_bits) == (2 * one.weights, 1)
        assert two.operations == one.operations  # two planes of half as many
    assert decoupled.layers[0] == coupled.layers[0]


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("digits-duo", 0.96, 1),
        ("cifar10-duo-vgg7", 0.99, 1.01),
        ("cifar10-duo-vgg7-half", 0.99, 1.01),
        ("cifar10-duo-vgg7-w1", 0.99, 1.01),
        ("cifar10-duo-resnet20", 1, 1.12),
    ],
)
def test_the_width_rule_gives_a_decoupled_network_the_weights_of_its_baseline(name, least, most):
    """Coupled widths are the baseline's / sqrt(2), about: decoupled inputs are twice as many (BinaryDuo)."""
    baseline, decoupled = (sum(layer.weights for layer in size(name, s).layers) for s in ("baseline", "decoupled"))
    assert least <= decoupled / baseline <= most


def test_codes_of_several_bits_cost_their_pairs_of_planes():
    first, *others, last = model_size(load_recipe("imagenet-qnn-googlenet")).layers
    assert (first.weight_bits, first.input_bits, first.operations) == (8, 8, first.macs)  # 64 pairs: a whole one
    assert {(layer.weight_bits, layer.input_bits) for layer in others} == {(4, 4)}
    assert all(layer.operations == layer.macs * 16 / 64 and layer.memory_bits == 4 * layer.weights for layer in others)
    assert (last.weight_bits, last.input_bits, last.operations) == (8, 32, last.macs)  # a mean is no code


def test_float_weights_cost_whole_operations():
    found = size("cifar10-duo-vgg7-half", "baseline")
    assert {layer.weight_bits for layer in found.layers} == {32}
    assert found.operations == sum(layer.macs for layer in found.layers)
    assert found.layers[1].input_bits == 1 and found.layers[-1].input_bits == 32


def test_recurrent_recipes_are_refused():
    with pytest.raises(UsageError, match="shakespeare-lstm is recurrent"):
        model_size(load_recipe("shakespeare-lstm"))
