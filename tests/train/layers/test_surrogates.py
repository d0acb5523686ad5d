import math

import pytest
import torch

from xnorflow.errors import UsageError
from xnorflow.train.layers.modules import Sign
from xnorflow.train.layers.surrogates import SURROGATES, Surrogate
from xnorflow.train.models.parts import build_activation
from xnorflow.train.recipe import ActivationSpec

KINKS = {"clipped": (-1, 1), "approx-sign": (-1, 0, 1), "reste": (-1.5, -0.1, 0, 0.1, 1.5)}
"""Where the smooth function has a corner or a jump in its slope."""


def slopes(name, x, **options):
    x = x.clone().requires_grad_()
    layer = Sign(surrogate=name, **options)
    layer(x).backward(torch.full_like(x, 3.0))
    return x.grad / 3


@pytest.mark.parametrize("name", SURROGATES)
def test_gradients_are_the_finite_differences_of_the_smooth_function(name):
    x = torch.linspace(-2.3, 2.3, 997, dtype=torch.float64)
    for kink in KINKS.get(name, ()):
        x = x[(x - kink).abs() > 1e-4]
    eps = 1e-5
    smooth = SURROGATES[name].smooth
    differences = (smooth(x + eps) - smooth(x - eps)) / (2 * eps)
    if name == "reste":
        differences = torch.where(x.abs() < 0.1, 0.1 ** (1 / 3 - 1), differences)
    torch.testing.assert_close(slopes(name, x), differences, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "x", "value", "slope"),
    [
        ("clipped", 0.5, 0.5, 1.0),
        ("clipped", 1.25, 1.0, 0.0),
        ("identity", -7.0, -7.0, 1.0),
        ("approx-sign", 0.25, 2 * 0.25 - 0.25**2, 1.5),
        ("approx-sign", -0.5, 2 * -0.5 + 0.25, 1.0),
        ("swish-sign", 0.0, 0.0, 5.0),  # beta (2 - beta x tanh(beta x / 2)) / (1 + cosh(beta x)), its paper's form
        ("swish-sign", 0.3, None, 5 * (2 - 1.5 * math.tanh(0.75)) / (1 + math.cosh(1.5))),
        ("reste", 0.125, 0.5, 4 / 3),
        ("reste", 1.0, 1.0, 1 / 3),
        ("reste", 1.75, None, 0.0),
    ],
)
def test_values_and_slopes_are_the_papers(name, x, value, slope):
    x = torch.tensor([x], dtype=torch.float64)
    assert slopes(name, x).tolist() == pytest.approx([slope], rel=1e-12)
    if value is not None:
        assert SURROGATES[name].smooth(x).tolist() == pytest.approx([value], rel=1e-12)


@pytest.mark.parametrize("name", SURROGATES)
def test_forward_stays_the_sign_and_gradients_are_symmetric(name):
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    assert torch.equal(Sign(surrogate=name)(x), Sign()(x))
    assert torch.allclose(slopes(name, x), slopes(name, -x))
    assert torch.equal(slopes(name, x), slopes(name, x, stochastic=True))


def test_one_of_ones_own():
    tanh = Surrogate(torch.tanh, lambda g, x: g / torch.cosh(x) ** 2)
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    assert torch.allclose(slopes(tanh, x), 1 - torch.tanh(x) ** 2)
    assert torch.equal(Sign(surrogate=tanh)(x), Sign()(x))


def test_recipes_know_every_name_and_hand_it_on():
    for name in SURROGATES:
        for kind in ("sign", "stochastic"):
            layer = build_activation(ActivationSpec(kind, surrogate=name))
            assert isinstance(layer, Sign)
            assert (layer.surrogate, layer.stochastic) == (name, kind == "stochastic")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="approx-sign"):
        Sign(surrogate="approx")
