"""Surrogate gradients of sign: what backward takes for its slope, which is 0 almost everywhere.

Each is the slope of a function that sign is taken for, `smooth`, here with its source. Recipes name them
(`activation: {surrogate: approx-sign}`). One of one's own has no name: `Sign(surrogate=Surrogate(smooth, gradient))`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...errors import UsageError
from .quantizers import pass_between

__all__ = ["SURROGATES", "Surrogate", "SurrogateName", "check_surrogate", "surrogate_of"]

SurrogateName = Literal["clipped", "identity", "approx-sign", "swish-sign", "reste"]

_BETA = 5.0  # of swish-sign, as its paper begins with
_ROOT, _FLAT, _END = 3.0, 0.1, 1.5  # of ReSTE: o, and where the slope stops growing and ends


@dataclass(frozen=True, slots=True)
class Surrogate:
    """smooth: the function, from x to x's shape and dtype. gradient: upstream gradient and x to that of x."""

    smooth: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]


def _approx_sign(x: Tensor) -> Tensor:
    inside = x.clamp(-1, 1)
    return inside * (2 - inside.abs())


def _approx_sign_slope(g: Tensor, x: Tensor) -> Tensor:
    return g * torch.relu(2 - 2 * x.abs())


def _swish_sign(x: Tensor) -> Tensor:
    s = torch.sigmoid(_BETA * x)
    return 2 * s * (1 + _BETA * x * (1 - s)) - 1


def _swish_sign_slope(g: Tensor, x: Tensor) -> Tensor:
    s = torch.sigmoid(_BETA * x)
    return g * (2 * _BETA) * s * (1 - s) * (2 + _BETA * x * (1 - 2 * s))


def _reste(x: Tensor) -> Tensor:
    magnitude = x.abs().clamp(max=_END)
    root = magnitude.pow(1 / _ROOT)
    return torch.where(magnitude < _FLAT, magnitude * _FLAT ** (1 / _ROOT - 1), root) * torch.sign(x)


def _reste_slope(g: Tensor, x: Tensor) -> Tensor:
    magnitude = x.abs()
    root = magnitude.clamp(min=_FLAT).pow(1 / _ROOT - 1) / _ROOT
    slope = torch.where(magnitude < _FLAT, _FLAT ** (1 / _ROOT - 1), root)
    return pass_between(g * slope, x, -_END, _END)


SURROGATES: dict[SurrogateName, Surrogate] = {
    # BNN (1602.02830): clip(x, -1, 1), the straight-through estimator that saturates
    "clipped": Surrogate(lambda x: x.clamp(-1, 1), lambda g, x: pass_between(g, x, -1.0, 1.0)),
    # Hinton's straight-through estimator (Bengio et al. 2013, 1308.3432): x itself
    "identity": Surrogate(lambda x: x, lambda g, x: g),
    # Bi-Real Net (Liu et al. 2018, 1808.00278): 2x - x |x| on [-1, 1]
    "approx-sign": Surrogate(_approx_sign, _approx_sign_slope),
    # BNN+ (Darabi et al. 2018, 1812.11800): SS(x) = 2 s(bx) (1 + bx (1 - s(bx))) - 1 with the logistic s, b = 5
    "swish-sign": Surrogate(_swish_sign, _swish_sign_slope),
    # ReSTE (Wu et al. 2023, "Estimator Meets Equilibrium Perspective", 2308.06689): sign(x) |x|^(1/o), straight below
    # 0.1 and flat beyond 1.5. The paper's o grows from 1 to 3 over the run; here it is 3 all along.
    "reste": Surrogate(_reste, _reste_slope),
}


def surrogate_of(surrogate: SurrogateName | Surrogate) -> Surrogate:
    """The surrogate of that name, or itself; UsageError for a name that is none."""
    if isinstance(surrogate, Surrogate):
        return surrogate
    check_surrogate(surrogate)
    return SURROGATES[surrogate]


def check_surrogate(name: str) -> None:
    """UsageError that lists the known ones, unless it is one of them."""
    if name not in SURROGATES:
        raise UsageError(f"surrogate must be one of {', '.join(SURROGATES)}, not {name!r}")
