"""Shift-based batch normalisation: every product is one with a power of two.

Binarized Neural Networks (Courbariaux, Hubara et al. 2016, arXiv 1602.02830), algorithm 3, as the authors' released
Torch code has it. With c = x - mean(x) over the batch and AP2 the nearest power of two,

    var = mean(c AP2(c)),   s = AP2(1 / sqrt(var + eps)),   xh = c s,   y = AP2(gamma) xh + beta

and backward, as the released code has it, for the gradient g of y

    d beta = sum(g),   d gamma = sum(AP2(xh) g),   dx = AP2(gamma) s (g - mean(g) - AP2(c) s^2 mean(AP2(c) g)).

The running statistics are of mean(x) and of 1 / sqrt(var + eps) before AP2, which is applied when they are used. In
eval mode the layer is affine with a slope that is a power of two, and compiles to thresholds like any other.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...errors import UsageError
from .ap2 import ap2
from .norms import ScoreNorm, scaled
from .sync import processes, sum_over_processes

__all__ = ["ShiftBatchNorm1d", "ShiftBatchNorm2d", "ShiftScoreNorm"]


class _Shifted(torch.autograd.Function):
    """Of x (B, C, ...), gamma and beta (C,): y, and without a gradient mean(x) and 1 / sqrt(var + eps)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        axes, broad = _axes(x)
        mean = _mean(x, axes)
        centred = x - mean.reshape(broad)
        power = ap2(centred)
        inverse = torch.rsqrt(_mean(centred * power, axes) + eps)
        step, slope = ap2(inverse), ap2(gamma)
        normalised = centred.mul_(step.reshape(broad))
        ctx.save_for_backward(power, ap2(normalised), step, slope)
        ctx.mark_non_differentiable(mean, inverse)
        return normalised * slope.reshape(broad) + beta.reshape(broad), mean, inverse

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        power, normalised, step, slope = ctx.saved_tensors
        g = gradients[0]
        axes, broad = _axes(g)
        along = (step * step * _mean(power * g, axes)).reshape(broad)
        inner = g - _mean(g, axes).reshape(broad) - power * along
        return inner * (slope * step).reshape(broad), (normalised * g).sum(axes), g.sum(axes), None


def _mean(x: Tensor, axes: list[int]) -> Tensor:
    """Of each channel, over the samples of all processes."""
    return sum_over_processes(x.mean(axes)) / processes()


def _axes(x: Tensor) -> tuple[list[int], list[int]]:
    """The axes of a statistic of x (B, C, ...), and the shape in which that is combined with x."""
    return [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]


_shifted: Callable[[Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor, Tensor]] = _Shifted.apply


class _ShiftNorm(nn.modules.batchnorm._BatchNorm):
    """What the shift-based norms have in common; comes in front of the class of nn that it changes.

    eps, momentum: the released code's are 1e-5 and 1/8.
    """

    running_istd: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.125, **options: Any) -> None:
        if not 0 < momentum <= 1:
            raise UsageError(f"momentum of {type(self).__name__} must be above 0 and at most 1, not {momentum!r}")
        super().__init__(num_features, eps, momentum, **options)
        self.running_var = None
        self.register_buffer("running_istd", torch.ones(num_features))

    def reset_running_stats(self) -> None:
        """A mean of 0 and a deviation of 1."""
        if self.running_var is None:
            cast(Tensor, self.running_mean).zero_()
            self.running_istd.fill_(1)
        else:
            super().reset_running_stats()  # of nn's constructor

    def slope(self) -> Tensor:
        """AP2(gamma) AP2(1 / deviation) of the running statistics (C,) in float64: powers of two, or 0."""
        return ap2(self.weight.double()) * ap2(self.running_istd.double())

    def train_step(self, x: Tensor) -> Tensor:
        """Normalise by the batch, and move the running statistics."""
        if x.shape[0] * x[0, 0].numel() < 2:
            raise UsageError(f"{type(self).__name__} needs more than one value of each channel, not x of {x.shape}")
        y, mean, inverse = _shifted(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            cast(Tensor, self.running_mean).lerp_(mean, cast(float, self.momentum))
            self.running_istd.lerp_(inverse, cast(float, self.momentum))
        return y

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...), normalised per channel, in x's dtype."""
        if self.training:
            return self.train_step(x)
        alpha = self.slope()
        return scaled(x, alpha, self.bias.double() - cast(Tensor, self.running_mean).double() * alpha)


class ShiftBatchNorm1d(_ShiftNorm, nn.BatchNorm1d):
    """Shift-based BatchNorm of (B, C)."""


class ShiftBatchNorm2d(_ShiftNorm, nn.BatchNorm2d):
    """Shift-based BatchNorm of (B, C, H, W)."""


class ShiftScoreNorm(_ShiftNorm, ScoreNorm):
    """Shift-based BatchNorm of the outputs, whose eval mode is the exact integer arithmetic of `ScoreNorm`."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) accumulators to scores: x's dtype in training, float64 in eval mode."""
        return self.train_step(x) if self.training else ScoreNorm.forward(self, x)
