"""A draft refuses what compiling refuses, and nothing else."""

import numpy as np
import pytest
import torch

from xnorflow.compiler.lowering.draft import check_module
from xnorflow.compiler.lowering.module import compile_module
from xnorflow.errors import UnsupportedLayerError, UsageError
from xnorflow.train.models.build import build_model
from xnorflow.train.recipe import load_recipe, with_overrides


def both(module, shape):
    """What the draft and the compiler say."""
    said = []
    for check in (check_module, compile_module):
        try:
            check(module, np.zeros((1, *shape), np.uint8))
            said.append(None)
        except (UnsupportedLayerError, UsageError) as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize(
    ("recipe", "override", "complaint"),
    [
        ("digits", "seed=1", None),
        ("digits-resnet", "seed=1", None),
        ("digits-duo", "seed=1", None),
        ("digits", "model.norm.kind=shift", None),
        ("digits", "model.weights={kind: signed, bits: 8}", None),
        ("digits", "model.weights.kind=float", "has FloatWeights"),
        ("digits-resnet", "model.residual.pad_value=-7", "stem: pads with -7, which is no value of its 4-bit unsigned"),
        ("digits", "model={hidden: [9], weights: {kind: log, bits: 5}, activation: {kind: log, bits: 5}}", "not exact"),
    ],
)
def test_a_draft_says_what_compiling_says(recipe, override, complaint):
    torch.manual_seed(0)
    module = build_model(with_overrides(load_recipe(recipe), [override]))
    draft, compiled = both(module, (8, 8))
    assert draft == compiled
    assert complaint is None if draft is None else complaint in draft


def test_the_module_stays_as_it_is():
    module = build_model(load_recipe("digits")).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    check_module(module, np.zeros((1, 8, 8), np.uint8))
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
