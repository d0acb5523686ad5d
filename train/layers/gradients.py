"""Quantized gradients: every layer's backward pass works on numbers of a few bits.

Quantized Neural Networks (Hubara et al. 2016, arXiv 1609.07061) train with gradients of 6 bits. The paper has
no formula for the linear ones; DoReFa-Net's (Zhou et al. 2016, arXiv 1606.06160, section 2.5) is the usual one.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...errors import UsageError
from .quantizers import check_bits
from .randomness import draw_per_sample, octets

__all__ = ["GradientQuantizer", "quantize_gradient_linear", "quantize_gradient_log"]


def quantize_gradient_linear(g: Tensor, bits: int) -> Tensor:
    """2^bits levels from -M to M, M the largest |g| of each sample (first axis), rounded at random:

        u = clip(g / 2M + 1/2 + U / n, 0, 1),   2M (round(u n) / n - 1/2),   n = 2^bits - 1, U uniform in (-1/2, 1/2)

    Its mean is g, but for U being one of 256 numbers: off by at most M / 256 n. There is no level 0. g of any shape
    with samples first; the result has its dtype.
    """
    levels = (1 << bits) - 1
    drawn = draw_per_sample(octets(g.device), g.shape, g.device)
    largest = _largest(g)
    scale = torch.where(largest > 0, levels / (2 * largest), 0)
    # round(v + U) for v = g n / 2M + n/2 is floor(v + r), r = (byte + 1/2) / 256 in (0, 1).
    codes = torch.add(g * scale, drawn, alpha=1 / 256).add_(levels / 2 + 1 / 512).floor_().clamp_(0, levels)
    return codes.sub_(levels / 2).mul_(largest * (2 / levels))


def quantize_gradient_log(g: Tensor, bits: int) -> Tensor:
    """Powers of two with a sign, and 0: the 2^(bits-1) - 1 exponents up to the first power that reaches the sample's
    largest |g|.

    Rounded at random between neighbours in proportion to the distance, the least power and 0 included, so that the
    mean is g, but for the random numbers' 8 bits: off by at most 1/512 of the distance. At least 2 bits. Shapes and
    dtypes as above.
    """
    drawn = draw_per_sample(octets(g.device), g.shape, g.device)
    mantissa, exponent = torch.frexp(_largest(g))
    top = exponent - (mantissa == 0.5).to(exponent.dtype)  # ceil(log2 M)
    least = torch.ldexp(torch.ones_like(mantissa), (top - ((1 << (bits - 1)) - 2)).clamp_(min=_LEAST_EXPONENT))
    magnitude = g.abs()
    mantissa, exponent = torch.frexp(magnitude)
    below = torch.ldexp(torch.full_like(mantissa, 0.5), exponent)  # the power at or below |g|
    below = torch.where(magnitude < least, 0, below)
    step = torch.maximum(below, least)
    chance = (magnitude - below) / step
    up = torch.ge(chance.mul_(256), drawn.to(g.dtype).add_(0.5))
    return torch.copysign(below + step * up, g)


_LEAST_EXPONENT = -126  # of normal numbers; gradients below it are 0


def _largest(g: Tensor) -> Tensor:
    """M of each sample, in a shape that goes with g."""
    return g.abs().amax(dim=tuple(range(1, g.dim())), keepdim=True) if g.dim() > 1 else g.abs()


class _Backward(torch.autograd.Function):
    """x forward; the gradient goes through a function backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.function = function
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.function(gradients[0]), None


_backward: Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor] = _Backward.apply


class GradientQuantizer(nn.Module):
    """The identity, whose gradient is quantized; behind a layer both its products of the backward pass take it.

    kind: linear (`quantize_gradient_linear`) or log (`quantize_gradient_log`). Layers of `modules` and `recurrent` take
    one as their attribute `gradient_quantizer`, so that the network stays the same in everything else. In eval mode
    nothing. A recurrent layer has no such place in its forward pass and calls `quantize` at each of its steps backward.
    """

    def __init__(self, bits: int = 6, kind: Literal["linear", "log"] = "linear") -> None:
        super().__init__()
        check_bits(bits, "bits of GradientQuantizer")
        if kind not in ("linear", "log"):
            raise UsageError(f"kind of GradientQuantizer must be linear or log, not {kind!r}")
        if bits == 1 and kind == "log":
            raise UsageError("gradients that are powers of two need at least 2 bits: a sign and an exponent")
        self.bits = bits
        self.kind = kind

    def quantize(self, gradient: Tensor) -> Tensor:
        """What takes the place of a gradient (B, ...)."""
        return (quantize_gradient_linear if self.kind == "linear" else quantize_gradient_log)(gradient, self.bits)

    def forward(self, x: Tensor) -> Tensor:
        """x, samples first."""
        return _backward(x, self.quantize) if self.training and x.requires_grad else x

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"bits={self.bits}, kind={self.kind!r}"
