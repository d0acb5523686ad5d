import numpy as np
import pytest
import torch
from torch import nn

from xnorflow.errors import UsageError
from xnorflow.train.layers.modules import BinaryLinear, QuantLinear
from xnorflow.train.layers.norms import BatchNorm1d
from xnorflow.train.layers.quantizers import BinaryWeights, FloatWeights
from xnorflow.train.loop.bop import Bop
from xnorflow.train.loop.checkpoint import optimizer_tensors, restore_optimizer
from xnorflow.train.loop.optim import build_optimizer, set_learning_rate
from xnorflow.train.recipe import OptimizerSpec


def reference(w, gradients, gamma, threshold):
    """Algorithm 1, number by number."""
    w, m = [1.0 if x >= 0 else -1.0 for x in w], [0.0] * len(w)
    for gradient in gradients:
        for i, g in enumerate(gradient):
            m[i] = (1 - gamma) * m[i] + gamma * g
            if abs(m[i]) > threshold and (m[i] > 0) == (w[i] > 0):
                w[i] = -w[i]
    return w


def test_steps_equal_the_algorithm_number_by_number():
    rng = np.random.default_rng(8)
    start, gradients = rng.normal(size=50), [rng.normal(size=50) for _ in range(20)]
    weight = torch.from_numpy(start.copy()).requires_grad_()
    optimizer = Bop([weight], lr=0.1, threshold=0.15)
    flips = 0
    for n, gradient in enumerate(gradients, start=1):
        before = weight.detach().clone()
        weight.grad = torch.from_numpy(gradient)
        optimizer.step()
        flips += int((weight != before).sum())
        assert weight.tolist() == reference(start, gradients[:n], 0.1, 0.15)
    assert flips > 10


def mixed_model():
    torch.manual_seed(0)
    return nn.Sequential(BinaryLinear(6, 4), BatchNorm1d(4), QuantLinear(4, 2, weight=FloatWeights()))


SPEC = OptimizerSpec(lr=0.5, kind="bop", schedule="constant", flip_rate=0.25, flip_threshold=0.125)


def step(model, optimizer, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()


def test_bop_takes_the_binary_weights_and_adam_the_rest():
    model, twin = mixed_model(), mixed_model()
    optimizer = build_optimizer(model, SPEC)
    adam = torch.optim.Adam([*twin[1].parameters(), *twin[2].parameters()], lr=0.5)
    alone = Bop([twin[0].weight], lr=0.25, threshold=0.125)
    for seed in range(6):
        step(model, optimizer, seed)
        step(twin, adam, seed)
        alone.step()
    assert torch.equal(model[0].weight, twin[0].weight)
    for ours, theirs in zip(model[1:].parameters(), twin[1:].parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-6)
    assert model[0].weight.abs().unique().tolist() == [1.0]


def test_gamma_follows_the_learning_rate():
    optimizer = build_optimizer(mixed_model(), SPEC)
    set_learning_rate(optimizer, 0.05)
    assert [group["lr"] for group in optimizer.param_groups] == [pytest.approx(0.025), pytest.approx(0.05)]


def test_a_restored_pair_goes_on_in_the_same_way():
    model = mixed_model()
    optimizer = build_optimizer(model, SPEC)
    for seed in range(3):
        step(model, optimizer, seed)
    twin = mixed_model()
    twin.load_state_dict(model.state_dict())
    again = build_optimizer(twin, SPEC)
    kept = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()}
    restore_optimizer(again, kept)
    for seed in range(3, 6):
        step(model, optimizer, seed)
        step(twin, again, seed)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_models_without_binary_weights_are_refused():
    for weight in (FloatWeights(), BinaryWeights(stochastic=True)):
        with pytest.raises(UsageError, match="bop flips binary weights"):
            build_optimizer(QuantLinear(3, 2, weight=weight), SPEC)


@pytest.mark.parametrize(("wrong", "message"), [({"lr": 0}, "gamma"), ({"threshold": -1}, "threshold")])
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(UsageError, match=message):
        Bop([torch.ones(1)], **wrong)
