"""Quantizers beyond the odd integers: a grid with a zero, three values, powers of two.

Sources: Quantized Neural Networks (Hubara et al. 2016, arXiv 1609.07061), section 3, for LinearQuant and LogQuant, and
Ternary Weight Networks (Li, Zhang, Liu 2016, arXiv 1605.04711) for the threshold of ternary weights. As everywhere,
values are integers and scales belong to the BatchNorm behind; gradients are straight-through (`quantizers`).

Rounding is to the nearest, halves up; of powers of two, in the logarithm (`ap2`).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import UsageError
from .ap2 import nearest_power_
from .quantizers import WeightQuantizer, check_bits, pass_between

__all__ = ["MAX_LOG_BITS", "LogWeights", "SignedWeights", "TernaryWeights", "quantize_linear", "quantize_log"]

_ZERO = torch.tensor(0.0)  # of no dimension: it takes the other operand's type and device

MAX_LOG_BITS = 5
"""Of codes for powers of two with a sign, as in the integer network: powers up to 2^15."""


class _Linear(torch.autograd.Function):
    """clip(floor(x / step + 1/2), lo, hi) forward; backward g / step where lo <= x / step <= hi, or everywhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: float, lo: int, hi: int, clips: bool) -> Tensor:
        if clips:
            ctx.save_for_backward(x)
        ctx.step, ctx.lo, ctx.hi, ctx.clips = step, lo, hi, clips
        return torch.div(x, step).add_(0.5).floor_().clamp_(lo, hi)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        passed = gradients[0]
        if ctx.clips:
            (x,) = ctx.saved_tensors
            passed = pass_between(passed, x, ctx.step * ctx.lo, ctx.step * ctx.hi)
        return passed / ctx.step, None, None, None, None


class _Powers(torch.autograd.Function):
    """The nearest power of two (in the logarithm) of x / step, with its sign or as a ReLU; backward as `_Linear`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: float, powers: int, signed: bool, clips: bool) -> Tensor:
        if clips:
            ctx.save_for_backward(x)
        ctx.step, ctx.clips = step, clips
        ctx.hi = step * 2.0 ** (powers - 1)
        ctx.lo = -ctx.hi if signed else 0.0
        power = nearest_power_(torch.add(_ZERO, x, alpha=1 / step))  # 0 + -0 is +0
        largest = 2.0 ** (powers - 1)
        if not signed:
            return F.threshold(power, 0.75, 0.0).clamp_(max=largest)
        return power.abs().clamp_(1, largest).copysign_(power)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        passed = gradients[0]
        if ctx.clips:
            (x,) = ctx.saved_tensors
            passed = pass_between(passed, x, ctx.lo, ctx.hi)
        return passed / ctx.step, None, None, None, None


class _Ternary(torch.autograd.Function):
    """-1, 0 or 1 forward, the gradient unchanged backward."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return _ternary_codes(weight).sub_(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _ternary_codes(weight: Tensor) -> Tensor:
    bound = (0.7 * weight.abs().double().mean()).to(weight.dtype)
    return torch.ge(weight, bound).to(weight.dtype).add_(torch.gt(weight, -bound))


_linear: Callable[[Tensor, float, int, int, bool], Tensor] = _Linear.apply  # typed names for torch's untyped apply
_powers: Callable[[Tensor, float, int, bool, bool], Tensor] = _Powers.apply
_ternary: Callable[[Tensor], Tensor] = _Ternary.apply


def quantize_linear(x: Tensor, bits: int, step: float) -> Tensor:
    """LinearQuant as integers: clip(floor(x / step + 1/2), -2^(bits-1), 2^(bits-1) - 1).

    QNN's LinearQuant(x, k) is this times its step 2^(1-k), on [-1, 1). Gradient 1 / step inside the range.
    """
    half = 1 << bits >> 1
    return _linear(x, step, -half, half - 1, True)


def quantize_log(x: Tensor, bits: int, step: float, signed: bool = True) -> Tensor:
    """LogQuant as integers: clip(AP2(x / step)), AP2(x) = sign(x) 2^round(log2 |x|), on a code's powers of two.

    signed: -2^(h-1), ..., -1, 1, ..., 2^(h-1) with h = 2^(bits-1); there is no zero, AP2(0) is taken as 1. Otherwise
    0, 1, 2, ..., 2^(2^bits - 2), 0 for all x / step below 2^(-1/2), where the next power would begin. Gradient 1 / step
    inside the range.
    """
    powers = 1 << (bits - 1) if signed else (1 << bits) - 1
    return _powers(x, step, powers, signed, True)


class TernaryWeights(WeightQuantizer):
    """-1, 0, +1: 0 where |w| < d with d = 0.7 mean(|w|) over the layer's weights (1605.04711, equation 6).

    d is the approximate optimum for weights that are uniform or normal. It moves with the weights and so is taken in
    float64: codes and values come from the same tensor and agree. A bound is +1 or -1. The scale that the paper gives
    each layer is BatchNorm's. The gradient passes unchanged; the optimizer clips the real weights to [-1, 1].
    """

    def __init__(self) -> None:
        super().__init__()
        self.bits = 2
        self.encoding = "ternary"

    def forward(self, weight: Tensor) -> Tensor:
        """-1, 0, 1 in the weight's dtype."""
        return _ternary(weight)

    def codes(self, weight: Tensor) -> Tensor:
        """0, 1, 2."""
        return _ternary_codes(weight.detach()).to(torch.uint8)


class SignedWeights(WeightQuantizer):
    """QNN's LinearQuant of weights: clip(floor(w 2^(n-1) + 1/2), -2^(n-1), 2^(n-1) - 1), a grid with a zero.

    1609.07061, section 3. The latent weight lives in [-1, 1] and begins there too: of 2 bits all within 1/4 is 0,
    and a network that begins with Glorot's weights, all smaller, has no gradient anywhere. BatchNorm takes the scale.
    One bit would be 0 and -1; QNN takes the sign then, which is BinaryWeights.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        check_bits(bits, "bits of SignedWeights")
        if bits == 1:
            raise UsageError("SignedWeights have at least 2 bits; with 1 they are the sign: use BinaryWeights")
        self.bits = bits
        self.encoding = "signed"

    def forward(self, weight: Tensor) -> Tensor:
        """Integers from -2^(n-1) to 2^(n-1) - 1, in the weight's dtype."""
        half = 1 << self.bits >> 1
        return _linear(weight, 1 / half, -half, half - 1, False)

    def codes(self, weight: Tensor) -> Tensor:
        """Codes 0..2^n - 1: the value plus 2^(n-1)."""
        return self.forward(weight.detach()).add_(1 << self.bits >> 1).to(torch.uint8)

    def initial_bound(self, n_in: int, n_out: int) -> float:
        """1: all codes from the beginning, whatever the fans."""
        return 1.0


class LogWeights(WeightQuantizer):
    """QNN's LogQuant of weights: sign(w) 2^e, e from 0 to 2^(n-1) - 1, nearest to the latent weight in the logarithm.

    1609.07061, section 3. The latent weight lives in [-1, 1], 1 being the largest power, and begins there too. With one
    bit this is the sign; at most 5 bits.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        check_bits(bits, "bits of LogWeights")
        if bits > MAX_LOG_BITS:
            raise UsageError(f"LogWeights have at most {MAX_LOG_BITS} bits, powers up to 2^15, not {bits}")
        self.bits = bits
        self.encoding = "log"

    def forward(self, weight: Tensor) -> Tensor:
        """Powers of two with a sign, in the weight's dtype."""
        powers = 1 << (self.bits - 1)
        return _powers(weight, 2.0 ** (1 - powers), powers, True, False)

    def codes(self, weight: Tensor) -> Tensor:
        """Codes 0..2^n - 1, rising with the value."""
        half = 1 << (self.bits - 1)
        values = self.forward(weight.detach())
        exponent = torch.frexp(values.abs().float()).exponent - 1
        return torch.where(values > 0, half + exponent, half - 1 - exponent).to(torch.uint8)

    def initial_bound(self, n_in: int, n_out: int) -> float:
        """1: Glorot's weights would be the smallest powers alone."""
        return 1.0
