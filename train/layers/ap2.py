"""AP2, the power of two nearest in the logarithm: what turns products into shifts in BNN's and QNN's training.

AP2(x) = sign(x) 2^round(log2 |x|) (Binarized Neural Networks, arXiv 1602.02830, section 1.4; there "the approximate
power of two").
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["ap2", "nearest_power_"]


class _Layout(NamedTuple):
    """A floating point type as integers: their type, one step of the exponent, and the mantissa of sqrt(2)."""

    integers: torch.dtype
    exponent: int
    root: int  # of the least number >= sqrt(2)


_LAYOUTS = {
    torch.float32: _Layout(torch.int32, 1 << 23, 0x3504F4),
    torch.float64: _Layout(torch.int64, 1 << 52, 0x6A09E667F3BCD),
}


def ap2(x: Tensor) -> Tensor:
    """AP2(x) of x's shape and dtype, without gradient. AP2(0) = 0, AP2(+-inf) = +-inf, AP2(nan) = nan.

    Below the least normal number: 0 or that number. Narrow types go through float32.
    """
    x = x.detach()
    return torch.where(x == x, nearest_power_(x.clone()), x)


def nearest_power_(x: Tensor) -> Tensor:
    """`ap2` in place, for numbers that are not nan.

    No logarithm, whose last bit differs between machines: from the mantissa of sqrt(2) on the exponent is rounded up,
    which is one addition to the number's bits.
    """
    if x.dtype not in _LAYOUTS:
        return x.copy_(nearest_power_(x.to(torch.float32)))
    integers, exponent, root = _LAYOUTS[x.dtype]
    x.view(integers).add_(exponent - root).bitwise_and_(-exponent)
    return x
