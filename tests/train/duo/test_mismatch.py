"""Discrete gradients against differences of the whole network's loss, one coordinate at a time."""

import copy
from collections import OrderedDict
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from xnorflow.errors import UsageError
from xnorflow.train.duo.mismatch import gradient_mismatch, with_surrogate
from xnorflow.train.layers.modules import ChannelsFirst, InputQuantizer, QuantConv2d, QuantLinear, QuantReLU, Sign
from xnorflow.train.layers.norms import BatchNorm1d, BatchNorm2d
from xnorflow.train.layers.quantizers import BinaryWeights, FloatWeights
from xnorflow.train.layers.surrogates import SURROGATES


def losses(scores, labels):
    return F.cross_entropy(scores.double(), labels, reduction="none")


def mlp(activation, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(
        InputQuantizer(4, "unsigned", 0, 15),
        QuantLinear(6, 7, weight=FloatWeights()),
        BatchNorm1d(7),
        activation(),
        QuantLinear(7, 5, weight=BinaryWeights()),
        BatchNorm1d(5),
        activation(),
        QuantLinear(5, 3, weight=FloatWeights()),
    )
    images, labels = torch.randint(0, 16, (40, 6)), torch.randint(0, 3, (40,))
    for _ in range(20):
        model(images)
    return model, images, labels


def convolutions(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(
        InputQuantizer(4, "unsigned", 0, 15),
        ChannelsFirst(),
        QuantConv2d(2, 4, 3, weight=FloatWeights(), padding=1, pad_value=-1),
        BatchNorm2d(4),
        QuantReLU(1, 1.0),
        nn.MaxPool2d(2),
        QuantConv2d(4, 6, 2, weight=FloatWeights(), groups=2, stride=1),
        BatchNorm2d(6),
        QuantReLU(2, 0.5, top=2),
        nn.Flatten(),
        QuantLinear(6 * 1 * 2, 3, weight=FloatWeights()),
    )
    images, labels = torch.randint(0, 16, (12, 4, 6, 2)), torch.randint(0, 3, (12,))
    for _ in range(20):
        model(images)
    return model, images, labels


def slow_cosines(model, images, labels, eps):
    """Of every layer's weights: the whole network twice for each weight, and autograd."""
    model = copy.deepcopy(model).eval()
    found = []
    for layer in (m for m in model if isinstance(m, QuantLinear | QuantConv2d)):
        (guess,) = torch.autograd.grad(losses(model(images), labels).mean(), layer.weight)
        kept = layer.weight.detach().clone()
        values = layer.weight_quantizer(kept).detach().clone()
        layer.weight_quantizer = FloatWeights()
        step = eps * float(values.double().square().mean().sqrt())
        discrete = torch.zeros(values.numel(), dtype=torch.float64)
        with torch.no_grad():
            for index in range(values.numel()):
                ends = []
                for sign in (1, -1):
                    layer.weight.copy_(values)
                    layer.weight.view(-1)[index] += sign * step
                    ends.append(float(losses(model(images), labels).mean()))
                discrete[index] = (ends[0] - ends[1]) / (2 * step)
            layer.weight.copy_(values)
        found.append(float(F.cosine_similarity(discrete, guess.flatten().double(), dim=0)))
    return found


@pytest.mark.parametrize("network", [lambda: mlp(lambda: QuantReLU(1, 1.0)), lambda: mlp(Sign), convolutions])
@pytest.mark.parametrize("eps", [0.3, 1.0])
def test_weights_exhaustively_against_a_slow_reference(network, eps):
    model, images, labels = network()
    figures = gradient_mismatch(model, images, labels, losses, variable="weights", eps=eps, coordinates=10**6)
    assert all(figure.exhaustive and figure.interval is None for figure in figures)
    expected = slow_cosines(model, images, labels, eps)
    # sums of float32 in another order can move an activation over its threshold
    assert [figure.cosine or 0.0 for figure in figures] == pytest.approx(expected, abs=2e-3)
    assert figures[-1].cosine > 0.9  # nothing quantized behind it


def test_inputs_exhaustively_against_a_slow_reference():
    model, images, labels = mlp(lambda: QuantReLU(2, 0.5, top=2))
    figures = gradient_mismatch(model, images, labels, losses, variable="inputs", eps=0.3, coordinates=10**6)
    model.eval()
    for figure, place in zip(figures, (3, 6), strict=True):
        values = model[:place](images).detach().requires_grad_()
        (guess,) = torch.autograd.grad(losses(model[place:](values), labels).sum(), values)
        discrete = torch.zeros_like(values, dtype=torch.float64)
        with torch.no_grad():
            for sample in range(len(values)):
                for element in range(values.shape[1]):
                    ends = []
                    for sign in (1, -1):
                        moved = values[sample : sample + 1].clone()
                        moved[0, element] += sign * 0.3
                        ends.append(float(losses(model[place:](moved), labels[sample : sample + 1])))
                    discrete[sample, element] = (ends[0] - ends[1]) / 0.6
        expected = float(F.cosine_similarity(discrete.flatten(), guess.flatten().double(), dim=0))
        assert figure.cosine == pytest.approx(expected, abs=1e-6)
        assert figure.still == pytest.approx(float((discrete == 0).double().mean()))
        assert figure.coordinates == values.numel() and figure.layer == str(place)


def test_the_window_is_the_gradient_of_the_loss_smoothed_over_it():
    """eps half the range: of a linear loss the straight-through estimator is the discrete gradient itself."""
    for activation, eps in ((Sign(), 1.0), (QuantReLU(1, 1.0), 0.5)):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Identity(), activation, QuantLinear(9, 4, weight=FloatWeights()))
        x = torch.randn(50, 9)
        (figure,) = gradient_mismatch(
            model,
            x,
            torch.zeros(50).long(),
            lambda scores, labels: scores.double().sum(1),
            variable="inputs",
            eps=eps,
            coordinates=10**6,
        )
        assert figure.cosine == pytest.approx(1, abs=1e-6)


def test_surrogates_change_the_estimate_and_nothing_else():
    model, images, labels = mlp(lambda: QuantReLU(1, 1.0))
    before = [type(module) for module in model]
    figures = gradient_mismatch(
        model, images, labels, losses, variable="weights", eps=1.0, coordinates=10**6, surrogates=list(SURROGATES)
    )
    assert [type(module) for module in model] == before and model.training
    by_backward = {name: [f for f in figures if f.backward == name] for name in ("own", *SURROGATES)}
    for own, clipped in zip(by_backward["own"], by_backward["clipped"], strict=True):
        assert own.cosine == pytest.approx(clipped.cosine, abs=1e-6)  # the window [0, 1] is [-1, 1] of 2 x - 1
    firsts = [by_backward[name][0].cosine for name in SURROGATES]
    assert all(abs(a - b) > 1e-4 for a, b in pairwise(firsts))
    assert len({f.still for f in figures if f.layer == "1"}) == 1


def test_a_surrogate_has_the_slope_of_its_function():
    """0 and 1 on [0, step] are (sign(2 x / step - 1) + 1) / 2."""
    x = torch.linspace(-1, 3, 81, dtype=torch.float64)
    for name, surrogate in SURROGATES.items():
        model = nn.Sequential(nn.Identity(), QuantReLU(1, 2.0))
        with with_surrogate(model, surrogate):
            values = x.clone().requires_grad_()
            (slope,) = torch.autograd.grad(model(values).sum(), values)
        smooth = x.clone().requires_grad_()
        (expected,) = torch.autograd.grad(((surrogate.smooth(smooth - 1) + 1) / 2).sum(), smooth)
        inside = ((x - 1).abs() - 1).abs() > 1e-9
        inside &= ((x - 1).abs() - 1.5).abs() > 1e-9
        inside &= ((x - 1).abs() - 0.1).abs() > 1e-9
        torch.testing.assert_close(slope[inside], expected[inside], msg=name)


def test_intervals_of_samples_cover_the_whole():
    model, images, labels = convolutions()
    whole = gradient_mismatch(model, images, labels, losses, variable="inputs", eps=0.5, coordinates=10**6)
    covered = 0
    for seed in range(20):
        drawn = gradient_mismatch(model, images, labels, losses, variable="inputs", coordinates=150, seed=seed)
        first = drawn[0]
        assert first.coordinates == 150 and not first.exhaustive
        covered += first.interval[0] <= whole[0].cosine <= first.interval[1]
    assert covered >= 15
    assert drawn == gradient_mismatch(model, images, labels, losses, variable="inputs", coordinates=150, seed=19)


def test_wrong_numbers_and_models_are_refused():
    model, images, labels = mlp(lambda: QuantReLU(2, 0.5))
    with pytest.raises(UsageError, match="eps must be positive and coordinates at least 2, not 0 and 512"):
        gradient_mismatch(model, images, labels, losses, eps=0)
    with pytest.raises(UsageError, match="the model has none"):
        gradient_mismatch(model, images, labels, losses, surrogates=["identity"])
    with pytest.raises(UsageError, match=r"on a chain, an nn\.Sequential, not on Linear"):
        gradient_mismatch(nn.Linear(2, 2), images, labels, losses)
    with pytest.raises(UsageError, match=r"1\.act stands inside another module: inputs are measured in a plain chain"):
        block = nn.Sequential(OrderedDict(act=QuantReLU(1, 1.0)))  # not half of the activations without a word
        gradient_mismatch(nn.Sequential(model[0], block, *model[1:]), images, labels, losses, variable="inputs")
    with pytest.raises(UsageError, match="no layer with inputs"):
        gradient_mismatch(nn.Sequential(nn.Identity()), images, labels, losses, variable="inputs")
