"""BatchNorm whose eval mode is exact: in front of thresholds, and on the scores. `shift_norms` has those of shifts.

In training all of them take the statistics of the whole batch, whatever number of processes share it (`sync`).
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from ...errors import UsageError
from .sync import step_by_step, synchronised_norm

__all__ = ["BatchNorm1d", "BatchNorm2d", "ScoreNorm", "scaled"]


def scaled(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """x * alpha + beta in two elementwise steps, channel by channel (axis 1), in x's dtype.

    alpha, beta: (C,) in float64, rounded once. torch's own kernel fuses differently by memory layout and device, which
    flips signs at ties; a separate product and sum round alike everywhere, and both are monotone.
    """
    alpha, beta = (constant.reshape(-1, *[1] * (x.dim() - 2)).to(x.dtype) for constant in (alpha, beta))
    return torch.add(torch.mul(x, alpha), beta)


class BatchNorm1d(nn.BatchNorm1d):
    """nn.BatchNorm1d whose eval mode is x * alpha + beta, see `scaled`.

    alpha = weight / sqrt(var + eps) and beta = bias - mean * alpha are taken in float64, because torch's float32
    square root is not correctly rounded.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) or (B, C, L), normalised per channel, in x's dtype."""
        if not self.training and self.running_var is not None:
            return scaled(x, *_affine(self))
        return synchronised_norm(self, x) if step_by_step(x) else super().forward(x)


class BatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d with the eval mode of `BatchNorm1d`."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), normalised per channel, in x's dtype."""
        if not self.training and self.running_var is not None:
            return scaled(x, *_affine(self))
        return synchronised_norm(self, x) if step_by_step(x) else super().forward(x)


def _affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """alpha and beta (C,) in float64."""
    variance, mean = cast(Tensor, norm.running_var), cast(Tensor, norm.running_mean)
    alpha = torch.reciprocal(torch.sqrt(variance.double() + norm.eps))
    if norm.weight is not None:
        alpha = norm.weight.double() * alpha
    beta = torch.neg(mean.double() * alpha)
    return alpha, beta if norm.bias is None else norm.bias.double() + beta


class ScoreNorm(nn.BatchNorm1d):
    """BatchNorm on the outputs whose eval mode is exact integer arithmetic.

    In training plain BatchNorm. In eval mode the affine A_c * acc + B_c of class c is rounded to a common grid,
    y = (m_c * acc + b_c) * 2^-exponent with integers m_c, b_c, and evaluated in float64, where it is exact: float32
    could not hold m_c * acc + b_c, would round different scores to the same number, and so move ties.

    score_bits: significant bits of the largest |m_c|. A class's slope is thus off by at most 2^-score_bits of the
    largest one.
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, *, score_bits: int = 16
    ) -> None:
        if not isinstance(score_bits, int) or not 2 <= score_bits <= 24:
            raise UsageError(f"score_bits must be a whole number from 2 to 24, not {score_bits!r}")
        super().__init__(num_features, eps, momentum)
        self.score_bits = score_bits

    def slope(self) -> Tensor:
        """A_c of each class (C,) in float64."""
        return self.weight.detach().double() / torch.sqrt(cast(Tensor, self.running_var).double() + self.eps)

    def integer_affine(self) -> tuple[Tensor, Tensor, int]:
        """Multiplier int64 (C,), offset int64 (C,) and exponent of the eval mode: y = (m * acc + b) * 2^-exponent.

        The offset stays below 2^47, so that m * acc + b is exact in float64 for every |acc| below 2^24; a network
        whose offsets dwarf its slopes gets fewer bits of slope. UsageError if a parameter is not finite.
        """
        slope = self.slope()
        offset = self.bias.detach().double() - cast(Tensor, self.running_mean).double() * slope
        if not bool(torch.isfinite(slope).all() and torch.isfinite(offset).all()):
            raise UsageError("ScoreNorm has a parameter or statistic that is not finite; the training went wrong")
        _, slope_exponent = math.frexp(float(slope.abs().max()))
        _, offset_exponent = math.frexp(float(offset.abs().max()))
        exponent = min(self.score_bits - slope_exponent, 47 - offset_exponent)
        grid = 2.0**exponent
        return torch.round(slope * grid).long(), torch.round(offset * grid).long(), exponent

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) accumulators to scores: x's dtype in training, float64 in eval mode."""
        if self.training:
            return synchronised_norm(self, x) if step_by_step(x) else super().forward(x)
        multiplier, offset, exponent = self.integer_affine()
        return (x.double() * multiplier.double() + offset.double()) * 2.0**-exponent

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, score_bits={self.score_bits}"
