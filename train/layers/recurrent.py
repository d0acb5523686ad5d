"""Recurrent layers in integer arithmetic: a vanilla RNN, and an LSTM whose cell state is fixed-point in training too.

Input and state stand on one grid, the odd integers v = 2q - (2^n - 1) of n-bit codes q, where v stands for v / 2^n. A
step is one integer dot product over [x, h], a scale and a bias for each row, and integers from there on. Gradients go
straight through every rounding, with the slope of the function that is rounded.

An empty state is that of a cell that holds 0. How a batch holds sequences: `sequences`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import UsageError
from .gradients import GradientQuantizer
from .quantizers import WeightQuantizer, check_bits, pass_between
from .sequences import SequenceLayer
from .unrolled import lstm_sequence, rnn_sequence

__all__ = ["CellSpec", "QuantHardtanh", "QuantLSTM", "QuantRNN", "QuantRecurrent"]

_EXACT_BITS = 24  # float32 holds the integers of so many bits


@dataclass(frozen=True, slots=True)
class CellSpec:
    """The integers of an LSTM cell.

    gate_bits: of the codes q = 0..2^s of the four gates and of tanh(c), s = gate_bits - 1. A gate i, f, o stands for
    q / 2^s, so that 1 is among its values; g and tanh(c) for (q - 2^(s-1)) / 2^(s-1).
    cell_bits, cell_point: c is an integer of cell_bits bits, two's complement, and stands for c / 2^cell_point.
    """

    gate_bits: int = 4
    cell_bits: int = 10
    cell_point: int = 6

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("gate_bits", self.gate_bits, 2, 8),
            ("cell_bits", self.cell_bits, 2, 16),
            ("cell_point", self.cell_point, max(0, self.gate_bits - 2), self.cell_bits - 1),
        ):
            if not isinstance(value, int) or not least <= value <= most:
                raise UsageError(f"{name} of an LSTM must be a whole number from {least} to {most}, not {value!r}")
        if self.cell_bits + self.gate_bits > _EXACT_BITS:
            raise UsageError(
                f"cell_bits {self.cell_bits} and gate_bits {self.gate_bits} of an LSTM come to more than {_EXACT_BITS}"
            )

    @property
    def shift(self) -> int:
        """s."""
        return self.gate_bits - 1

    @property
    def lift(self) -> int:
        """Bits that i * g is shifted up by to stand on the grid of f * c."""
        return self.cell_point - self.shift + 1


class _Hardtanh(torch.autograd.Function):
    """The odd integer nearest to x / step within the limits; backward 1 / step where |x| <= limit * step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: float, bits: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.step, ctx.limit = step, step * (1 << bits)
        half = 1 << bits - 1
        return torch.div(x, 2 * step).floor_().clamp_(-half, half - 1).mul_(2).add_(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return pass_between(gradients[0], x, -ctx.limit, ctx.limit).div_(ctx.step), None, None


_hardtanh: Callable[[Tensor, float, int], Tensor] = _Hardtanh.apply


class QuantHardtanh(nn.Module):
    """Bipolar codes of several bits: the odd integer nearest to x / step, at most 2^bits - 1 either way.

    v = 2 clip(floor(x / (2 step)) + 2^(bits - 1), 0, 2^bits - 1) - (2^bits - 1); the gradient is 1 / step where
    |x| <= 2^bits * step and 0 elsewhere. With step 1 it leaves odd integers as they are: behind a dense layer of as
    many bits that reads one-hot samples, it makes a table of learned codes of that layer's weights.
    """

    def __init__(self, bits: int, step: float = 1.0) -> None:
        super().__init__()
        check_bits(bits, "bits of QuantHardtanh")
        if not (math.isfinite(step) and step > 0):
            raise UsageError(f"step of QuantHardtanh must be a positive number, not {step!r}")
        self.bits = bits
        self.encoding = "bipolar"
        self.step = float(step)

    def forward(self, x: Tensor) -> Tensor:
        """Odd integers of x's shape and dtype."""
        return _hardtanh(x, self.step, self.bits)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"bits={self.bits}, step={self.step:g}"


class QuantRecurrent(SequenceLayer, ABC):
    """What both kinds share: weights over [x, h], a scale and a bias for each row.

    bits: of input and state. gain: float32 (rows,), the scale of a row relative to `unit`, which makes
    z = gain * unit * acc + bias a number of about 1 for independent weights and inputs. steps: samples a sequence,
    None: the whole batch. gradient_quantizer: for the gradient of each step's accumulators, if set.

    In eval mode codes come from thresholds on z; in training from the functions themselves, which is quicker and
    differs where z is within float32's rounding of a threshold.
    """

    gates: ClassVar[int]
    encoding = "bipolar"

    def __init__(
        self, input_size: int, hidden_size: int, *, weight: WeightQuantizer, bits: int, steps: int | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, steps)
        if not isinstance(weight, WeightQuantizer):
            raise UsageError(f"weight must be a WeightQuantizer such as BipolarWeights(4), not {weight!r}")
        check_bits(bits, f"bits of {type(self).__name__}")
        self.bits = bits
        self.weight_quantizer = weight
        self.gradient_quantizer: GradientQuantizer | None = None
        rows, columns = self.gates * hidden_size, input_size + hidden_size
        self.weight = nn.Parameter(torch.empty(rows, columns).uniform_(-1, 1))
        self.gain = nn.Parameter(torch.ones(rows))
        self.bias = nn.Parameter(torch.zeros(rows))
        with torch.no_grad():
            values = weight(self.weight).square().mean().sqrt().clamp_(min=2.0**-10)
        # The codes of a uniform input have the root mean square 2^bits / sqrt(3).
        self.register_buffer("unit", math.sqrt(3 / columns) / ((1 << bits) * values))

    @property
    def fans(self) -> tuple[int, int]:
        """n_in and n_out of the weight matrix."""
        return self.weight.shape[1], self.weight.shape[0]

    def preactivation(self, acc: Tensor) -> Tensor:
        """z (..., rows) of accumulators (..., rows): a product and a sum, element by element, in acc's dtype."""
        return torch.add(torch.mul(acc, (self.gain * self.get_buffer("unit")).to(acc.dtype)), self.bias.to(acc.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """(B, input_size) to (B, hidden_size), integers; the last sequence may be cut short."""
        inputs = self.side_by_side(x)
        weight = self.weight_quantizer(self.weight)
        of_inputs = F.linear(inputs, weight[:, : self.input_size]).to(x.dtype)
        before = self.before(inputs.shape[1]) or self.empty(of_inputs)
        states, *kept = self.unroll(of_inputs, weight[:, self.input_size :], before)
        self.keep(states[-1], *kept)
        return self.one_by_one(states, len(x))

    @abstractmethod
    def empty(self, like: Tensor) -> tuple[Tensor, ...]:
        """The state of a sequence that begins, for accumulators (T, N, rows)."""

    @abstractmethod
    def unroll(self, of_inputs: Tensor, of_state: Tensor, before: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """States (T, N, hidden_size) and what else is kept behind the last step.

        of_inputs: accumulators (T, N, rows) of the inputs; of_state: weights (rows, hidden_size); before: the state.
        """

    @abstractmethod
    def codes(self, acc: Tensor) -> Tensor:
        """The codes (..., rows) that thresholds have to yield for accumulators (..., rows), as floats."""

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"{super().extra_repr()}, bits={self.bits}"


class QuantRNN(QuantRecurrent):
    """h' = floor(2^(n-1) tanh(z)) + 2^(n-1) as a code, z from [x, h]: the middle of its step stands for tanh(z)."""

    gates = 1

    def __init__(
        self, input_size: int, hidden_size: int, *, weight: WeightQuantizer, bits: int, steps: int | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, weight=weight, bits=bits, steps=steps)
        level = torch.arange(1, 1 << bits, dtype=torch.float64) / (1 << bits - 1) - 1
        self.register_buffer("edges", torch.atanh(level).to(torch.float32), persistent=False)

    def codes(self, acc: Tensor) -> Tensor:
        """Codes 0..2^bits - 1 of the next state."""
        return torch.bucketize(self.preactivation(acc), self.get_buffer("edges"), right=True).to(acc.dtype)

    def empty(self, like: Tensor) -> tuple[Tensor, ...]:
        """The least value above 0."""
        return (like.new_ones(like.shape[1], self.hidden_size),)

    def unroll(self, of_inputs: Tensor, of_state: Tensor, before: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The states; nothing else is kept."""
        scale = self.gain * self.get_buffer("unit")
        (state,) = before
        return (rnn_sequence(of_inputs, of_state, scale, self.bias, state, self),)


class QuantLSTM(QuantRecurrent):
    """The LSTM of Hochreiter and Schmidhuber (1997) with forget gates (Gers, Schmidhuber and Cummins 2000).

    Rows stand in the order i, f, o, g, hidden_size each. With the gates' codes, s and the other numbers of `cell`:

        c' = clip((f c + (i g << lift) + 2^(s-1)) >> s),   h' = clip((o tanh(c') >> (2s - n)) + 2^(n-1), 0, 2^n - 1)

    where >> rounds down and h' is a code. f begins with the bias 1.
    """

    gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        weight: WeightQuantizer,
        bits: int,
        cell: CellSpec | None = None,
        steps: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, weight=weight, bits=bits, steps=steps)
        self.cell = cell or CellSpec()
        shift = self.cell.shift
        if bits > 2 * shift:
            raise UsageError(
                f"a state of {bits} bits needs gates of {-(-bits // 2) + 1} bits; gate_bits is {shift + 1}"
            )
        with torch.no_grad():
            self.bias[hidden_size : 2 * hidden_size] = 1.0
        middle = (torch.arange(1, (1 << shift) + 1, dtype=torch.float64) - 0.5) / (1 << shift)
        self.register_buffer("sigmoid_edges", torch.logit(middle).to(torch.float32), persistent=False)
        self.register_buffer("tanh_edges", torch.atanh(2 * middle - 1).to(torch.float32), persistent=False)

    def codes(self, acc: Tensor) -> Tensor:
        """Codes 0..2^s of the four gates."""
        z = self.preactivation(acc)
        split = 3 * self.hidden_size
        sigmoid = torch.bucketize(z[..., :split].contiguous(), self.get_buffer("sigmoid_edges"), right=True)
        tanh = torch.bucketize(z[..., split:].contiguous(), self.get_buffer("tanh_edges"), right=True)
        return torch.cat([sigmoid, tanh], -1).to(acc.dtype)

    def tanh_codes(self, cell: Tensor) -> Tensor:
        """Codes 0..2^s of tanh(c), for integers c of any shape."""
        edges = self.get_buffer("tanh_edges")
        return torch.bucketize(cell * 2.0**-self.cell.cell_point, edges, right=True).to(cell.dtype)

    def empty(self, like: Tensor) -> tuple[Tensor, ...]:
        """The least value above 0, and a cell of 0."""
        return like.new_ones(like.shape[1], self.hidden_size), like.new_zeros(like.shape[1], self.hidden_size)

    def unroll(self, of_inputs: Tensor, of_state: Tensor, before: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The states, and the last cell."""
        scale = self.gain * self.get_buffer("unit")
        state, cell = before
        return lstm_sequence(of_inputs, of_state, scale, self.bias, state, cell, self)
