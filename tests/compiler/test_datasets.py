"""Whole test sets through the recipes' networks, with random statistics: integer network against PyTorch module."""

from pathlib import Path

import numpy as np
import pytest
import torch
from modules import shake
from torch import nn

from xnorflow.compiler.lowering.compare import Comparison, compare_with_module
from xnorflow.compiler.lowering.module import compile_module
from xnorflow.train.data.datasets import load_dataset
from xnorflow.train.layers.modules import BinaryLinear, InputQuantizer, QuantReLU
from xnorflow.train.layers.norms import BatchNorm1d, ScoreNorm
from xnorflow.train.models.build import build_model
from xnorflow.train.recipe import load_recipe

slow = pytest.mark.slow


def compare(recipe: str, data: str, data_dir: Path | None, seed: int, twist: bool = False) -> Comparison:
    """Every number of every test image; twist: torch's own nn.BatchNorm1d instead of the recipe's hidden norms."""
    torch.manual_seed(seed)
    module = build_model(load_recipe(recipe))
    if twist:
        for name, layer in module.named_children():
            if isinstance(layer, BatchNorm1d):
                setattr(module, name, nn.BatchNorm1d(layer.num_features))
    shake(module, seed)
    images = load_dataset(data, "test", data_dir).images
    comparison = compare_with_module(compile_module(module, images[:4]), module, images)
    assert comparison.images == len(images)
    codes = sum(layer.out_features for layer in module if isinstance(layer, nn.Linear))
    assert comparison.compared > len(images) * (images[0].size + codes)
    return comparison


@pytest.mark.parametrize("twist", [False, True])
def test_digits(twist: bool):
    assert compare("digits", "digits", None, 5, twist).disagreements == 0


@pytest.mark.mnist
@pytest.mark.parametrize("twist", [False, True], ids=["", "BatchNorm of torch"])
@pytest.mark.parametrize(
    "recipe",
    ["mnist-tfc", *(pytest.param(name, marks=slow) for name in ("mnist-sfc", "mnist-lfc", "mnist-bc"))],
)
def test_mnist(recipe: str, twist: bool, data_dir: Path):
    comparison = compare(recipe, "mnist", data_dir, 7, twist)
    assert comparison.images == 10_000
    assert comparison.disagreements == 0


@pytest.mark.mnist
def test_eight_bit_codes_need_255_thresholds(data_dir: Path):
    module = nn.Sequential(
        *(InputQuantizer(8, "bipolar"), nn.Flatten(), BinaryLinear(784, 64), BatchNorm1d(64), QuantReLU(8, 0.02)),
        *(BinaryLinear(64, 10), ScoreNorm(10)),
    )
    shake(module, 3)
    images = load_dataset("mnist", "test", data_dir).images
    network = compile_module(module, images[:1])
    assert network.node("act4").thresholds.shape == (64, 255)
    comparison = compare_with_module(network, module, np.ascontiguousarray(images))
    assert comparison.disagreements == 0
