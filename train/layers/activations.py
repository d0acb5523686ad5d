"""Activations of QNN: a grid with a zero, and powers of two. `layers` has the sign and the quantized ReLU."""

import math

from torch import Tensor, nn

from ...errors import UsageError
from .qnn import MAX_LOG_BITS, quantize_linear, quantize_log
from .quantizers import check_bits

__all__ = ["LinearQuant", "LogQuant"]


def _check_step(step: float, what: str) -> None:
    if not (math.isfinite(step) and step > 0):
        raise UsageError(f"step of {what} must be a positive number, not {step!r}")


class LinearQuant(nn.Module):
    """clip(floor(x / step + 1/2), -2^(n-1), 2^(n-1) - 1) as floats: `qnn.quantize_linear` with a fixed step.

    The gradient is 1 / step inside the range and zero elsewhere.
    """

    def __init__(self, bits: int, step: float) -> None:
        super().__init__()
        check_bits(bits, "bits of LinearQuant")
        if bits == 1:
            raise UsageError("LinearQuant has at least 2 bits; with 1 it is the sign: use Sign")
        _check_step(step, "LinearQuant")
        self.bits = bits
        self.encoding = "signed"
        self.step = float(step)

    def forward(self, x: Tensor) -> Tensor:
        """Integers of x's shape and dtype."""
        return quantize_linear(x, self.bits, self.step)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"bits={self.bits}, step={self.step:g}"


class LogQuant(nn.Module):
    """The power of two nearest to x / step, with its sign, or (signed=False) 0 for small and negative x: a ReLU.

    See `qnn.quantize_log`. The next layer's products are then shifts. The gradient is 1 / step inside the range.
    """

    def __init__(self, bits: int, step: float, signed: bool = True) -> None:
        super().__init__()
        check_bits(bits, "bits of LogQuant")
        most = MAX_LOG_BITS if signed else MAX_LOG_BITS - 1
        if bits > most:
            raise UsageError(f"LogQuant has at most {most} bits, powers up to 2^15, not {bits}")
        _check_step(step, "LogQuant")
        self.bits = bits
        self.encoding = "log" if signed else "log_unsigned"
        self.step = float(step)
        self.signed = signed

    def forward(self, x: Tensor) -> Tensor:
        """Powers of two of x's shape and dtype."""
        return quantize_log(x, self.bits, self.step, self.signed)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"bits={self.bits}, step={self.step:g}, signed={self.signed}"
