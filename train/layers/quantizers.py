"""Quantizers and their straight-through estimators.

Everywhere sign(0) = +1 (and sign(-0.0) = +1), so that the code of a 1-bit number is the bit x >= 0. Quantizers yield
integer-valued floats: -1/+1 for one bit, odd integers 2q - (2^n - 1) for bipolar n-bit codes q, and q itself for
unsigned codes. Scales belong to the BatchNorm behind the dot product, never in front of it.

A weight quantizer is an exchangeable object: subclass `WeightQuantizer` and give it to `layers.QuantLinear`.

Sources: BinaryConnect (Courbariaux, Bengio, David 2015, arXiv 1511.00363) for the weights, Binarized Neural Networks
(Hubara et al. 2016, arXiv 1602.02830) for the activations and the straight-through estimator.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from ...errors import UnsupportedLayerError, UsageError
from .randomness import draw_per_sample, draw_shared, octets

__all__ = [
    "BinaryWeights",
    "BipolarWeights",
    "EncodingName",
    "FloatWeights",
    "WeightQuantizer",
    "check_bits",
    "pass_between",
    "quantize_relu",
    "sign",
    "sign_stochastic",
]

EncodingName = Literal["bipolar", "unsigned"]

Slope: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Of a gradient with respect to sign(x), and x, the gradient with respect to x."""

_MINUS_ONE = torch.tensor(-1.0)  # of no dimension: it takes the other operand's type and device
_HALF_SCALE = torch.tensor(127.5)


def check_bits(bits: int, what: str) -> None:
    """UsageError unless `bits` is a whole number from 1 to 8, the code widths of the integer network."""
    if not isinstance(bits, int) or isinstance(bits, bool) or not 1 <= bits <= 8:
        raise UsageError(f"{what} must be a whole number from 1 to 8, not {bits!r}")


def _plus_minus(x: Tensor, bound: Tensor | float, out: Tensor | None = None) -> Tensor:
    """+1 where x >= bound, else -1, in x's dtype; into `out` if given.

    A comparison that writes floats and one pass for 2b - 1: many times faster on a CPU than torch.where, and right
    for -0.0, which the sign bit alone would take for negative.
    """
    out = torch.empty_like(x) if out is None else out
    torch.ge(x, bound, out=out)
    return torch.add(_MINUS_ONE, out, alpha=2, out=out)


def _plus_minus_drawn(x: Tensor, drawn: Tensor, out: Tensor) -> Tensor:
    """+1 for round(256 hs(x)) of the 256 bytes `drawn` that may come, else -1; hs(x) = clip((x + 1) / 2, 0, 1).

    So the probability is off by at most 1/512, and exact at -1, 0 and 1.
    """
    torch.add(_HALF_SCALE, x, alpha=128, out=out)
    torch.ge(out, drawn, out=out)
    return torch.add(_MINUS_ONE, out, alpha=2, out=out)


class _SignIdentity(torch.autograd.Function):
    """sign(w) forward, the gradient unchanged backward: BinaryConnect's rule for weights, which are clipped anyway.

    spare: at most one buffer, which forward takes and backward, when it has no more use for it, puts back: fresh
    memory of a weight matrix's size costs more in page faults than the sign itself. A second forward before the first
    backward finds no spare and takes fresh memory; a graph that is retained and run again after a later forward is
    refused by autograd, because the output shares the buffer's version counter.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, stochastic: bool, spare: list[Tensor]) -> Tensor:
        buffer = spare.pop() if spare else None
        if buffer is None or (buffer.shape, buffer.dtype, buffer.device) != (weight.shape, weight.dtype, weight.device):
            buffer = torch.empty_like(weight)
        ctx.buffer, ctx.spare = buffer, spare
        if stochastic:
            _plus_minus_drawn(weight, draw_shared(octets(weight.device), weight.shape, weight.device), buffer)
        else:
            _plus_minus(weight, 0.0, buffer)
        return buffer.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        if ctx.buffer is not None:
            ctx.spare[:] = [ctx.buffer]
            ctx.buffer = None
        return gradients[0], None, None


class _BipolarIdentity(torch.autograd.Function):
    """Odd integers forward; backward the slope 2^n - 1 of the line that the staircase follows."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, levels: int) -> Tensor:
        ctx.levels = levels
        return _bipolar_codes(weight, levels).mul_(2).sub_(levels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.levels, None


def _bipolar_codes(weight: Tensor, levels: int) -> Tensor:
    return torch.add(weight, 1).mul_(levels / 2).add_(0.5).floor_().clamp_(0, levels)


def _clipped(gradient: Tensor, x: Tensor) -> Tensor:
    """g * 1{|x| <= 1}: the straight-through estimator of BNN."""
    return pass_between(gradient, x, -1.0, 1.0)


class _Sign(torch.autograd.Function):
    """sign(x) forward; backward what a function makes of the gradient and x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stochastic: bool, slope: Slope) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        if not stochastic:
            return _plus_minus(x, 0.0)
        return _plus_minus_drawn(x, draw_per_sample(octets(x.device), x.shape, x.device), torch.empty_like(x))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return ctx.slope(gradients[0], x), None, None


class _QuantizedReLU(torch.autograd.Function):
    """clip(floor(x / step + 1/2), 0, levels) forward; g / step where 0 <= x <= step * levels backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: float, levels: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.step, ctx.levels = step, levels
        return torch.div(x, step).add_(0.5).floor_().clamp_(0, levels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return pass_between(gradients[0], x, 0.0, ctx.step * ctx.levels).div_(ctx.step), None, None


def pass_between(gradient: Tensor, x: Tensor, lo: float, hi: float) -> Tensor:
    """`gradient` where lo <= x <= hi, zero elsewhere.

    hardtanh's backward is one fused pass where a mask takes three, but it leaves the bounds out; so they are moved
    outward to the next number of x's type.
    """
    return cast(Tensor, torch.ops.aten.hardtanh_backward(gradient, x, *_outward(lo, hi, x.dtype)))


@cache
def _outward(lo: float, hi: float, dtype: torch.dtype) -> tuple[float, float]:
    """The numbers of that type just below lo and just above hi."""
    away = torch.tensor([-torch.inf, torch.inf], dtype=dtype)
    below, above = torch.nextafter(torch.tensor([lo, hi], dtype=dtype), away).tolist()
    return below, above


_sign_identity: Callable[[Tensor, bool, list[Tensor]], Tensor] = (
    _SignIdentity.apply
)  # typed names for torch's untyped apply
_bipolar_identity: Callable[[Tensor, int], Tensor] = _BipolarIdentity.apply
_sign: Callable[[Tensor, bool, Slope], Tensor] = _Sign.apply
_quantized_relu: Callable[[Tensor, float, int], Tensor] = _QuantizedReLU.apply


def sign(x: Tensor, slope: Slope = _clipped) -> Tensor:
    """+1 where x >= 0, else -1; the gradient passes where |x| <= 1. Any shape; the result has x's dtype.

    slope: instead of that, what makes the gradient of x (`surrogates` has some).
    """
    return _sign(x, False, slope)


def sign_stochastic(x: Tensor, slope: Slope = _clipped) -> Tensor:
    """+1 with probability clip((x + 1) / 2, 0, 1), else -1; gradient as for `sign`. See `randomness`."""
    return _sign(x, True, slope)


def quantize_relu(x: Tensor, top: int, step: float) -> Tensor:
    """Unsigned codes clip(floor(x / step + 1/2), 0, top) as floats; gradient 1 / step inside the range."""
    return _quantized_relu(x, step, top)


class WeightQuantizer(nn.Module, ABC):
    """Turns real ("latent") weights into the integers that the dot product uses.

    bits, encoding: the code type of `codes`. latent_bound: the optimizer clips latent weights to
    [-latent_bound, latent_bound] after every step; None: it does not. In eval mode `forward` must be deterministic
    and equal the values that `codes` stand for; the gradient goes straight through.
    """

    bits: int
    encoding: str
    latent_bound: float | None = 1.0

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Integer-valued floats of the weight's shape and dtype."""

    @abstractmethod
    def codes(self, weight: Tensor) -> Tensor:
        """The codes (uint8, same shape) of the eval-mode values."""

    def initial_bound(self, n_in: int, n_out: int) -> float:
        """Latent weights of a layer of these fans begin uniform between -bound and bound: Glorot and Bengio (2010).

        A quantizer whose grid is coarser than that near 0 overrides it.
        """
        return math.sqrt(3.0) * math.sqrt(2.0 / (n_in + n_out))

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"bits={self.bits}"


class BinaryWeights(WeightQuantizer):
    """BinaryConnect: w >= 0 is +1, else -1.

    stochastic: in training +1 with probability hs(w) = clip((w + 1) / 2, 0, 1), by random numbers of 8 bits: rounded to
    the nearest multiple of 1/256, so off by at most 1/512 (exact at -1, 0, 1); in eval mode the sign (1511.00363,
    section 2.2; `evaluate.accuracy` also offers the real weights and an ensemble). The gradient with respect to the
    binary weight is applied to the real one, without a mask; the optimizer clips the real one to [-1, 1].
    """

    def __init__(self, stochastic: bool = False) -> None:
        super().__init__()
        self.bits = 1
        self.encoding = "bipolar"
        self.stochastic = stochastic
        self._spare: list[Tensor] = []

    def forward(self, weight: Tensor) -> Tensor:
        """-1/+1 of the weight's shape and dtype."""
        return _sign_identity(weight, self.stochastic and self.training, self._spare)

    def codes(self, weight: Tensor) -> Tensor:
        """1 where the weight is >= 0, else 0."""
        return (weight.detach() >= 0).to(torch.uint8)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return "stochastic=True" if self.stochastic else ""


class BipolarWeights(WeightQuantizer):
    """n-bit weights on the odd grid: q = clip(floor((w + 1) / 2 * (2^n - 1) + 1/2), 0, 2^n - 1), value 2q - (2^n - 1).

    With one bit this is the sign. The latent weight lives in [-1, 1], which the 2^n levels cover evenly.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        check_bits(bits, "bits of BipolarWeights")
        self.bits = bits
        self.encoding = "bipolar"

    def forward(self, weight: Tensor) -> Tensor:
        """Odd integers from -(2^n - 1) to 2^n - 1, in the weight's dtype."""
        return _bipolar_identity(weight, (1 << self.bits) - 1)

    def codes(self, weight: Tensor) -> Tensor:
        """Codes 0..2^n - 1."""
        return _bipolar_codes(weight.detach(), (1 << self.bits) - 1).to(torch.uint8)


class FloatWeights(WeightQuantizer):
    """The weights as they are: the twin without regulariser. It trains and evaluates, but has no integer form."""

    latent_bound = None

    def __init__(self) -> None:
        super().__init__()
        self.bits = 32
        self.encoding = "float"

    def forward(self, weight: Tensor) -> Tensor:
        """The weight itself."""
        return weight

    def codes(self, weight: Tensor) -> Tensor:
        """UnsupportedLayerError: there are none."""
        raise UnsupportedLayerError("FloatWeights have no integer codes; train with BinaryWeights or BipolarWeights")
