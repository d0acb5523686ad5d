import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from xnorflow.train.layers.modules import BinaryLinear, QuantLinear
from xnorflow.train.layers.norms import BatchNorm1d
from xnorflow.train.layers.quantizers import FloatWeights
from xnorflow.train.loop.optim import build_optimizer, glorot_scale, parameter_groups, set_learning_rate
from xnorflow.train.recipe import OptimizerSpec


def small_model():
    torch.manual_seed(0)
    return nn.Sequential(BinaryLinear(6, 4), BatchNorm1d(4), QuantLinear(4, 2, weight=FloatWeights()))


def numpy_adam(w, gradients, lr, betas, eps, decay):
    """Kingma and Ba, algorithm 1, with decay * w in the gradient and clipping to [-1, 1]."""
    m = v = np.zeros_like(w)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient + decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        w = w - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
        w = np.clip(w, -1, 1)
    return w


def numpy_nesterov(w, gradients, lr, momentum, decay):
    buffer = np.zeros_like(w)
    for gradient in gradients:
        g = gradient + decay * w
        buffer = momentum * buffer + g
        w = np.clip(w - lr * (g + momentum * buffer), -1, 1)
    return w


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_steps_equal_a_plain_numpy_reference(kind, decay):
    torch.manual_seed(1)
    layer = BinaryLinear(6, 4).double()
    spec = OptimizerSpec(lr=0.05, kind=kind, schedule="constant", betas=(0.8, 0.95), weight_decay=decay)
    gradients = [np.random.default_rng(i).normal(size=(4, 6)) for i in range(12)]
    scale = math.sqrt(10 / 1.5)
    start = layer.weight.detach().numpy().copy()
    if kind == "adam":
        expected = numpy_adam(start, gradients, 0.05 * scale, (0.8, 0.95), 1e-8, decay)
    else:
        expected = numpy_nesterov(start, gradients, 0.05 * scale**2, 0.9, decay)
    optimizer = build_optimizer(layer, spec)
    for gradient in gradients:
        layer.weight.grad = torch.from_numpy(gradient)
        optimizer.step()
    np.testing.assert_allclose(layer.weight.detach().numpy(), expected, rtol=1e-10, atol=1e-12)
    assert decay or (np.abs(expected) == 1).any()  # clipping took part


def test_scale_is_the_inverse_glorot_coefficient_squared_for_sgd():
    assert glorot_scale(784, 1024) == pytest.approx(1 / math.sqrt(1.5 / (784 + 1024)), rel=1e-15)
    model = small_model()
    scales = [g["lr_scale"] for g in parameter_groups(model, OptimizerSpec(lr=1.0, schedule="constant"))]
    assert scales == [glorot_scale(6, 4), 1.0]
    scales = [g["lr_scale"] for g in parameter_groups(model, OptimizerSpec(lr=1.0, schedule="constant", kind="sgd"))]
    assert scales == [glorot_scale(6, 4) ** 2, 1.0]
    unscaled = OptimizerSpec(lr=1.0, schedule="constant", lr_scale="none")
    assert [g["lr_scale"] for g in parameter_groups(model, unscaled)] == [1.0, 1.0]


def test_every_parameter_is_in_exactly_one_group():
    model = small_model()
    grouped = [id(p) for g in parameter_groups(model, OptimizerSpec(lr=1.0, schedule="constant")) for p in g["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


def test_learning_rate_is_scaled_per_group():
    optimizer = build_optimizer(small_model(), OptimizerSpec(lr=0.5, schedule="constant"))
    assert [g["lr"] for g in optimizer.param_groups] == [0.5 * glorot_scale(6, 4), 0.5]
    set_learning_rate(optimizer, 0.1)
    assert [g["lr"] for g in optimizer.param_groups] == [0.1 * glorot_scale(6, 4), 0.1]


def test_only_latent_weights_are_clipped():
    model = small_model()
    optimizer = build_optimizer(model, OptimizerSpec(lr=5.0, schedule="constant"))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    binary, norm, real = model
    assert binary.weight.unique().tolist() == [-1.0]
    assert float(real.weight.detach().max()) < -1
    assert float(norm.bias.detach().max()) < -1


def test_schedules_begin_and_end_where_they_should():
    exponential = OptimizerSpec(lr=1e-2, lr_final=1e-6)
    assert [exponential.rate(t) for t in (0.0, 0.5, 1.0)] == pytest.approx([1e-2, 1e-4, 1e-6], rel=1e-12)
    cosine = OptimizerSpec(lr=1e-2, lr_final=0.0, schedule="cosine")
    assert [cosine.rate(t) for t in (0.0, 0.5, 1.0)] == pytest.approx([1e-2, 5e-3, 0.0], abs=1e-18)
    assert OptimizerSpec(lr=1e-2, schedule="constant").rate(0.7) == 1e-2


def test_gradients_beyond_the_bound_are_scaled_down_together():
    model, twin = small_model(), small_model()
    spec = OptimizerSpec(lr=0.25, kind="sgd", schedule="constant", momentum=0.0)
    clipping, plain = build_optimizer(model, replace(spec, clip=2.0)), build_optimizer(twin, spec)
    for size in (1e-3, 10.0):  # within the bound, and beyond it
        norm = math.sqrt(sum(p.numel() for p in model.parameters())) * size
        for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
            ours.grad, theirs.grad = torch.full_like(ours, size), torch.full_like(theirs, size * min(1, 2 / norm))
        clipping.step()
        plain.step()
        for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
