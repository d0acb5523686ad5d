"""Layers of networks that become integer networks. Put them into nn.Sequential or any torch.fx-traceable module.

Every tensor between them is integer-valued (exact in float32 below 2^24), in training and in eval mode; only the
scores at the end are scaled. nn.Flatten, nn.Dropout and nn.Identity may stand between.
"""

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import UsageError
from ...gpu.layers import conv2d, linear
from .gradients import GradientQuantizer
from .quantizers import (
    BinaryWeights,
    EncodingName,
    WeightQuantizer,
    check_bits,
    quantize_relu,
    sign,
    sign_stochastic,
)
from .surrogates import Surrogate, SurrogateName, surrogate_of

Padding: TypeAlias = tuple[int, int] | tuple[int, int, int, int]

__all__ = [
    "BinaryLinear",
    "ChannelsFirst",
    "InputQuantizer",
    "QuantConv2d",
    "QuantLinear",
    "QuantReLU",
    "Sign",
    "SumPool2d",
]


class InputQuantizer(nn.Module):
    """Raw samples to integers: uniform quantization of [lo, hi] with 2^bits levels.

    code = clip(floor((x - lo) * (2^bits - 1) / (hi - lo) + 1/2), 0, 2^bits - 1) in float64 from left to right, the
    formula of the integer network's input transform. The result is the code itself (unsigned) or 2 code - (2^bits - 1)
    (bipolar), float32, in the shape of the samples; those may have any real dtype. No gradient.
    """

    def __init__(self, bits: int, encoding: EncodingName = "bipolar", lo: float = 0.0, hi: float = 255.0) -> None:
        super().__init__()
        check_bits(bits, "bits of InputQuantizer")
        if encoding not in ("bipolar", "unsigned"):
            raise UsageError(f"encoding must be 'bipolar' or 'unsigned', not {encoding!r}")
        if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
            raise UsageError(f"lo and hi of InputQuantizer must be finite with lo < hi, not {lo!r} and {hi!r}")
        self.bits = bits
        self.encoding = encoding
        self.lo = float(lo)
        self.hi = float(hi)
        self.register_buffer("kind", torch.empty(0), persistent=False)  # goes along with .double()

    def forward(self, x: Tensor) -> Tensor:
        """Integers of the samples, float32, or float64 in a network that was made so."""
        levels = (1 << self.bits) - 1
        scaled = (x.detach().to(torch.float64) - self.lo).mul_(levels).div_(self.hi - self.lo).add_(0.5)
        codes = scaled.floor_().clamp_(0, levels)
        if self.encoding == "bipolar":
            codes = codes.mul_(2).sub_(levels)
        return codes.to(self.get_buffer("kind").dtype)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"bits={self.bits}, encoding={self.encoding!r}, lo={self.lo:g}, hi={self.hi:g}"


class QuantLinear(nn.Linear):
    """y = x q(w)^T with an exchangeable weight quantizer q, and a `gradient_quantizer` for the gradient of y, if set.

    Initialised uniformly within the quantizer's `initial_bound`, Glorot's (2010) as a rule, which `optim`'s
    learning-rate scale belongs to. A bias is possible but rarely of use: BatchNorm, which should follow, has one.
    """

    def __init__(self, in_features: int, out_features: int, *, weight: WeightQuantizer, bias: bool = False) -> None:
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} must be a positive integer, not {value!r}")
        if not isinstance(weight, WeightQuantizer):
            raise UsageError(f"weight must be a WeightQuantizer such as BinaryWeights(), not {weight!r}")
        super().__init__(in_features, out_features, bias=bias)
        self.weight_quantizer = weight
        self.gradient_quantizer: GradientQuantizer | None = None
        self.reset_parameters()

    @property
    def fans(self) -> tuple[int, int]:
        """Glorot's n_in and n_out."""
        return self.in_features, self.out_features

    def reset_parameters(self) -> None:
        """Uniform weights, zero bias."""
        _begin(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_features) to (B, out_features), in x's dtype (under autocast too: the sum alone is narrow)."""
        weight = self.weight_quantizer(self.weight)
        if self.bias is None and isinstance(self.weight_quantizer, BinaryWeights):
            y = linear(x, weight).to(x.dtype)
        else:
            y = F.linear(x, weight, self.bias).to(x.dtype)
        return y if self.gradient_quantizer is None else self.gradient_quantizer(y)


class BinaryLinear(QuantLinear):
    """QuantLinear with weights -1/+1."""

    def __init__(self, in_features: int, out_features: int, stochastic: bool = False) -> None:
        super().__init__(in_features, out_features, weight=BinaryWeights(stochastic))


class QuantConv2d(nn.Conv2d):
    """2-D convolution (correlation) on (B, C, H, W) with an exchangeable weight quantizer, and, if set, a
    `gradient_quantizer` for the gradient of what it yields.

    kernel_size, stride, padding, dilation: a whole number or (vertical, horizontal); padding also (top, left, bottom,
    right), or "same" for maps as large as the input's (stride 1). pad_value: the integer that stands outside the map.
    Bipolar inputs have no 0: give one of their values, such as -1, where they are padded. groups: the outputs in so
    many parts of equal size, each of its own part of the channels; as many as channels make a depthwise convolution.
    Initialised as `QuantLinear`, each group by its own fans.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        weight: WeightQuantizer,
        stride: int | tuple[int, int] = 1,
        padding: int | Padding | Literal["same"] = 0,
        dilation: int | tuple[int, int] = 1,
        pad_value: int = 0,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        extents = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation, "groups": groups}
        for name, value in ({"in_channels": in_channels, "out_channels": out_channels} | extents).items():
            if not all(isinstance(n, int) and n >= 1 for n in (value if isinstance(value, tuple) else (value,))):
                raise UsageError(f"{name} must be positive whole numbers, not {value!r}")
        if padding == "same":
            padding = _same_padding(kernel_size, stride, dilation)
        border: Padding = padding if isinstance(padding, tuple) else (padding, padding)
        if len(border) not in (2, 4) or not all(isinstance(n, int) and n >= 0 for n in border):
            raise UsageError(f"padding must be whole numbers from 0 up or 'same', not {padding!r}")
        if not isinstance(weight, WeightQuantizer):
            raise UsageError(f"weight must be a WeightQuantizer such as BinaryWeights(), not {weight!r}")
        if in_channels % groups or out_channels % groups:
            raise UsageError(f"groups must divide {in_channels} channels and {out_channels} outputs, not {groups}")
        super().__init__(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias=bias)
        self.padding = self.border = border
        self.weight_quantizer = weight
        self.gradient_quantizer: GradientQuantizer | None = None
        self.pad_value = pad_value
        self.reset_parameters()

    @property
    def fans(self) -> tuple[int, int]:
        """Glorot's n_in and n_out, of a group."""
        area = math.prod(self.kernel_size)
        return self.in_channels // self.groups * area, self.out_channels // self.groups * area

    def reset_parameters(self) -> None:
        """Uniform weights, zero bias."""
        _begin(self)

    def padded(self, x: Tensor) -> Tensor:
        """The input with its border of `pad_value`."""
        if not any(self.border):
            return x
        top, left, bottom, right = self.border if len(self.border) == 4 else self.border * 2
        return F.pad(x, (left, right, top, bottom), value=float(self.pad_value))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, N, H', W'), in x's dtype."""
        weight = self.weight_quantizer(self.weight)
        if self.bias is None and self.groups == 1 and isinstance(self.weight_quantizer, BinaryWeights):
            y = conv2d(self.padded(x), weight, self.stride, self.dilation).to(x.dtype)
        else:
            y = F.conv2d(self.padded(x), weight, self.bias, self.stride, 0, self.dilation, self.groups).to(x.dtype)
        return y if self.gradient_quantizer is None else self.gradient_quantizer(y)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        return f"{self.in_channels}, {self.out_channels}, {sizes}, pad_value={self.pad_value}{groups}"


def _same_padding(*extents: int | tuple[int, int]) -> Padding:
    """Padding that keeps the map's size, as torch has it: of an odd number of pixels one more below and on the right.

    extents: kernel size, stride and dilation.
    """
    kernel, stride, dilation = ((n, n) if isinstance(n, int) else n for n in extents)
    if stride != (1, 1):
        raise UsageError(f"padding 'same' takes stride 1, not {stride}")
    top, left = ((k - 1) * d // 2 for k, d in zip(kernel, dilation, strict=True))
    bottom, right = ((k - 1) * d - before for k, d, before in zip(kernel, dilation, (top, left), strict=True))
    return (top, left) if (top, left) == (bottom, right) else (top, left, bottom, right)


def _begin(layer: QuantLinear | QuantConv2d) -> None:
    """Initialise a layer; nothing while torch's constructor asks for it, before there is a quantizer."""
    if not hasattr(layer, "weight_quantizer"):
        return
    bound = layer.weight_quantizer.initial_bound(*layer.fans)
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class SumPool2d(nn.Module):
    """The sum of each window, channel by channel, on (B, C, H, W): an average pool that stays on integers.

    Its divisor belongs to what follows: BatchNorm takes it into its statistics, an activation into its step.
    kernel_size, stride: a whole number or (vertical, horizontal); a stride that is not given is the kernel size.
    kernel_size None: the whole map, a global average pool.
    """

    def __init__(
        self, kernel_size: int | tuple[int, int] | None = None, stride: int | tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        for name, value in (("kernel_size", kernel_size), ("stride", stride)):
            pair = value if isinstance(value, tuple) else (value,)
            if value is not None and not all(isinstance(n, int) and n >= 1 for n in pair):
                raise UsageError(f"{name} of SumPool2d must be positive whole numbers, not {value!r}")
        if kernel_size is None and stride is not None:
            raise UsageError("SumPool2d without kernel_size has one window, the map: leave out the stride")
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H', W')."""
        kernel = (x.shape[2], x.shape[3]) if self.kernel_size is None else self.kernel_size
        return F.avg_pool2d(x, kernel, self.stride, divisor_override=1)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return "global" if self.kernel_size is None else f"kernel_size={self.kernel_size}, stride={self.stride}"


class ChannelsFirst(nn.Module):
    """Raw images (B, H, W, C), or (B, H, W) with one channel, to PyTorch's (B, C, H, W). Goes before the first
    convolution: the integer network keeps channels last, and only here the two orders meet."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), contiguous."""
        if x.dim() not in (3, 4):
            raise UsageError(f"ChannelsFirst takes images (B, H, W, C) or (B, H, W), not {tuple(x.shape)}")
        return x[:, None] if x.dim() == 3 else x.permute(0, 3, 1, 2).contiguous()


class Sign(nn.Module):
    """1-bit activation: +1 where x >= 0, else -1; straight-through gradient g * 1{|x| <= 1} (1602.02830).

    stochastic: +1 with probability clip((x + 1) / 2, 0, 1), in training only (`quantizers.sign_stochastic`).
    surrogate: another gradient, the name of one of `surrogates.SURROGATES`, or a `Surrogate` of one's own.
    """

    def __init__(self, stochastic: bool = False, surrogate: SurrogateName | Surrogate = "clipped") -> None:
        super().__init__()
        self.surrogate = surrogate
        self._slope = surrogate_of(surrogate).gradient
        self.bits = 1
        self.encoding = "bipolar"
        self.stochastic = stochastic

    def forward(self, x: Tensor) -> Tensor:
        """-1/+1 of x's shape and dtype."""
        return (sign_stochastic if self.stochastic and self.training else sign)(x, self._slope)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        surrogate = [] if self.surrogate == "clipped" else [f"surrogate={self.surrogate!r}"]
        return ", ".join(["stochastic=True"] * self.stochastic + surrogate)


class QuantReLU(nn.Module):
    """ReLU with unsigned codes: clip(floor(x / step + 1/2), 0, top) as floats; the step stays fixed.

    top: the greatest code, from 1 to 2^bits - 1, which it is where nothing else is said. BinaryDuo's ternary activation
    has the codes 0, 1, 2 (2 bits, top 2, step 1/2), its binary one 0 and 1 (1 bit, step 1).
    The gradient is 1 / step for 0 <= x <= step * top and zero elsewhere.
    """

    def __init__(self, bits: int, step: float, top: int | None = None) -> None:
        super().__init__()
        check_bits(bits, "bits of QuantReLU")
        if not (math.isfinite(step) and step > 0):
            raise UsageError(f"step of QuantReLU must be a positive number, not {step!r}")
        if top is not None and not 1 <= top < 1 << bits:
            raise UsageError(f"top of QuantReLU must be a code of {bits} bits above 0, not {top!r}")
        self.bits = bits
        self.encoding = "unsigned"
        self.step = float(step)
        self.top = (1 << bits) - 1 if top is None else top

    def forward(self, x: Tensor) -> Tensor:
        """Codes of x's shape and dtype."""
        return quantize_relu(x, self.top, self.step)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        top = f", top={self.top}" if self.top != (1 << self.bits) - 1 else ""
        return f"bits={self.bits}, step={self.step:g}{top}"
