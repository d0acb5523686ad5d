import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from xnorflow.errors import UsageError
from xnorflow.train.layers.modules import BinaryLinear
from xnorflow.train.loop.adamax import ShiftAdaMax
from xnorflow.train.loop.optim import build_optimizer
from xnorflow.train.recipe import OptimizerSpec, load_recipe, with_overrides


def power(x):
    return 0.0 if x == 0 else math.copysign(2.0 ** round(math.log2(abs(x))), x)


def reference(w, gradients, lr, betas, variant):
    """Algorithm 4, number by number."""
    w, (b1, b2) = list(w), betas
    m, v = [0.0] * len(w), [0.0] * len(w)
    for t, g in enumerate(gradients, start=1):
        for i in range(len(w)):
            m[i] = b1 * m[i] + (1 - b1) * g[i]
            v[i] = max(b2 * v[i], abs(g[i]))
            correction = 1 / (1 - b1**t)
            if variant == "released":
                v[i] = power(v[i]) + 2.0**-27
                w[i] -= power(lr * correction) * m[i] / v[i]
            elif v[i]:
                w[i] -= lr * power(correction) * m[i] * power(1 / v[i])
    return w


@pytest.mark.parametrize(("variant", "betas"), [("paper", (1 - 2**-3, 1 - 2**-10)), ("released", (0.9, 0.999))])
def test_steps_equal_the_algorithm_number_by_number(variant, betas):
    rng = np.random.default_rng(2)
    gradients = [rng.normal(size=7) * (np.arange(7) > 0) for _ in range(15)]  # the first one never has a gradient
    start = rng.uniform(-1, 1, size=7)
    weight = torch.from_numpy(start.copy()).requires_grad_()
    optimizer = ShiftAdaMax([weight], lr=2.0**-6, betas=betas, variant=variant)
    for gradient in gradients:
        weight.grad = torch.from_numpy(gradient)
        optimizer.step()
    expected = reference(start, gradients, 2.0**-6, betas, variant)
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-12)
    assert float(weight.detach()[0]) == start[0]


def test_gradients_below_the_least_normal_number_move_nothing():
    weight = torch.ones(2, requires_grad=True)
    optimizer = ShiftAdaMax([weight])
    weight.grad = torch.tensor([1e-44, 0.0])
    optimizer.step()
    assert weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "betas"), [("adamax", (1 - 2**-3, 1 - 2**-10)), ("adamax-released", (0.9, 0.999)), ("adam", (0.9, 0.999))]
)
def test_the_constants_follow_from_the_kind(kind, betas):
    spec = OptimizerSpec(lr=0.5, kind=kind, schedule="constant")
    assert build_optimizer(BinaryLinear(3, 2), spec).param_groups[0]["betas"] == betas
    changed = with_overrides(load_recipe("digits"), [f"optimizer.kind={kind}"])
    assert changed.optimizer.betas == betas
    again = with_overrides(load_recipe("digits"), ["optimizer.betas=[0.5, 0.75]", f"optimizer.kind={kind}"])
    assert again.optimizer.betas == (0.5, 0.75)


@pytest.mark.parametrize(("widths", "scale"), [((784, 1024), 32), ((1024, 10), 32), ((6, 4), 2), ((64, 64), 8)])
def test_the_scale_of_a_layer_is_a_power_of_two(widths, scale):
    for kind in ("adamax", "adamax-released"):
        spec = OptimizerSpec(lr=2**-10, kind=kind, schedule="constant")
        assert build_optimizer(BinaryLinear(*widths), spec).param_groups[0]["lr"] == 2**-10 * scale
        unscaled = replace(spec, lr_scale="none")
        assert build_optimizer(BinaryLinear(*widths), unscaled).param_groups[0]["lr"] == 2**-10


@pytest.mark.parametrize(("kind", "variant"), [("adamax", "paper"), ("adamax-released", "released")])
def test_recipes_name_both_variants_with_the_scale_of_each_layer_and_clipping(kind, variant):
    layer = BinaryLinear(6, 4)
    optimizer = build_optimizer(layer, OptimizerSpec(lr=0.5, kind=kind, schedule="constant", betas=(0.8, 0.9)))
    (group,) = optimizer.param_groups
    assert (group["variant"], group["betas"], group["lr"]) == (variant, (0.8, 0.9), 0.5 * 2)
    layer.weight.grad = torch.ones_like(layer.weight)
    for _ in range(9):
        optimizer.step()
    assert layer.weight.unique().tolist() == [-1.0]


@pytest.mark.parametrize("wrong", [{"lr": 0}, {"betas": (1.0, 0.5)}, {"variant": "quick"}])
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        ShiftAdaMax([torch.ones(1)], **wrong)
