"""Training in bfloat16 against the same run in float32: operands of -1 and +1 are exact, sums above 256 are not."""

from dataclasses import replace

import pytest
import torch

from xnorflow.train.loop.metrics import read_metrics
from xnorflow.train.loop.trainer import train_recipe
from xnorflow.train.recipe import ActivationSpec, ConvSpec, OptimizerSpec, WeightSpec


@pytest.fixture
def conv_net(quick):
    """1,260 digits through two binary convolutions of 16 and 32 channels: sums up to 144, then 512 of dense inputs."""
    model = replace(
        quick.model,
        convs=(ConvSpec(16), ConvSpec(32)),
        hidden=(64,),
        weights=WeightSpec("binary"),
        activation=ActivationSpec("sign"),
        dropout_input=0.0,
        dropout_hidden=0.0,
    )
    return replace(quick, model=model, epochs=6, batch=60, augment=None, optimizer=OptimizerSpec(0.01, 0.001))


def test_twins_of_a_small_conv_net_learn_alike(conv_net, tmp_path):
    narrow, wide = (replace(conv_net, precision=precision) for precision in ("bf16", "float32"))
    results = [train_recipe(recipe, tmp_path / recipe.precision) for recipe in (narrow, wide)]
    losses = [read_metrics(tmp_path / recipe.precision / "metrics.jsonl")[-1].loss for recipe in (narrow, wide)]
    assert losses[0] != losses[1]  # two runs, not one
    assert losses[0] == pytest.approx(losses[1], rel=0.25)
    assert all(result.val_accuracy > 0.8 for result in results)
    assert abs(results[0].val_accuracy - results[1].val_accuracy) < 0.06


def test_products_of_signs_are_exact_up_to_256_terms():
    """What autocast computes is the integer, rounded to the 8 bits that bfloat16 has."""
    signs = torch.where(torch.rand(8, 1024, generator=torch.Generator().manual_seed(1)) < 0.5, -1.0, 1.0)
    ones = torch.ones(1, 1024)
    for terms, exact in ((100, True), (256, True), (1024, False)):
        with torch.autocast("cpu", torch.bfloat16):
            narrow = torch.nn.functional.linear(ones[:, :terms] * signs[:1, :terms], signs[:, :terms])
        wide = signs[:1, :terms] @ signs[:, :terms].T
        assert torch.equal(narrow.float(), wide.to(torch.bfloat16).float())
        assert torch.equal(narrow.float(), wide) or not exact
