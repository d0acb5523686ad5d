"""Recurrent layers in integer arithmetic: a vanilla RNN, and an LSTM whose cell state is fixed-point in training too.

Input and state stand on one grid, the odd integers v = 2q - (2^n - 1) of n-bit codes q, where v stands for v / 2^n. A
step is one integer dot product over [x, h], a scale and a bias for each row, and integers from there on. Gradients go
straight through every rounding, with the slope of the function that is rounded.

A batch (B, D) holds whole sequences one behind the other, each of `steps` samples; with None it is one sequence. Every
sequence begins at the state of a cell that holds 0.
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
from .quantizers import WeightQuantizer, check_bits

__all__ = ["CellSpec", "QuantHardtanh", "QuantLSTM", "QuantRNN", "QuantRecurrent", "whole_sequences"]

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


class _Rounded(torch.autograd.Function):
    """#{edges <= x} forward; backward `slope` of x, which the caller has computed from the smooth function."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, edges: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.bucketize(x, edges, right=True).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * ctx.slope(x), None, None


_rounded: Callable[[Tensor, Tensor, Callable[[Tensor], Tensor]], Tensor] = _Rounded.apply


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
        edges = (torch.arange(1, 1 << bits) - (1 << bits - 1)) * (2 * self.step)
        self.register_buffer("edges", edges.to(torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Odd integers of x's shape and dtype."""
        limit, slope = (1 << self.bits) * self.step, 0.5 / self.step
        codes = _rounded(x, self.edges, lambda x: (x.abs() <= limit).to(x.dtype) * slope)  # type: ignore[arg-type]
        return 2 * codes - ((1 << self.bits) - 1)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"bits={self.bits}, step={self.step:g}"


class QuantRecurrent(nn.Module, ABC):
    """What both kinds share: weights over [x, h], a scale and a bias for each row, sequences in a batch.

    bits: of input and state. gain: float32 (rows,), the scale of a row relative to `unit`, which makes
    z = gain * unit * acc + bias a number of about 1 for independent weights and inputs. steps: samples a sequence,
    None: the whole batch.
    """

    gates: ClassVar[int]
    encoding = "bipolar"

    def __init__(
        self, input_size: int, hidden_size: int, *, weight: WeightQuantizer, bits: int, steps: int | None = None
    ) -> None:
        super().__init__()
        sizes = {"input_size": input_size, "hidden_size": hidden_size} | ({} if steps is None else {"steps": steps})
        for name, value in sizes.items():
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} must be a positive integer, not {value!r}")
        if not isinstance(weight, WeightQuantizer):
            raise UsageError(f"weight must be a WeightQuantizer such as BipolarWeights(4), not {weight!r}")
        check_bits(bits, f"bits of {type(self).__name__}")
        self.input_size, self.hidden_size, self.bits, self.steps = input_size, hidden_size, bits, steps
        self.weight_quantizer = weight
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
        """z (B, rows) of accumulators (B, rows): a product and a sum, element by element, in acc's dtype."""
        return torch.add(torch.mul(acc, (self.gain * self.get_buffer("unit")).to(acc.dtype)), self.bias.to(acc.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """(B, input_size) to (B, hidden_size), integers; the last sequence may be cut short."""
        if x.dim() != 2 or x.shape[1] != self.input_size or not len(x):
            raise UsageError(f"{type(self).__name__} takes (B, {self.input_size}), not {tuple(x.shape)}")
        samples, steps = len(x), self.steps or len(x)
        x = F.pad(x, (0, 0, 0, -samples % steps))
        weight = self.weight_quantizer(self.weight)
        of_state = weight[:, self.input_size :]
        of_inputs = F.linear(x, weight[:, : self.input_size]).to(x.dtype).view(-1, steps, len(weight))
        state = x.new_ones(len(of_inputs), self.hidden_size)  # the code of 0 from above
        cell: Tensor | None = None
        states = []
        for accumulators in of_inputs.unbind(1):
            acc = accumulators + F.linear(state, of_state).to(x.dtype)
            state, cell = self.advance(acc, cell)
            states.append(state)
        return torch.stack(states, 1).view(len(x), self.hidden_size)[:samples]

    @abstractmethod
    def advance(self, acc: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """State (N, hidden_size) and what else is kept, after a step with accumulators (N, rows)."""

    @abstractmethod
    def codes(self, acc: Tensor) -> Tensor:
        """The codes (B, rows) that thresholds have to yield for accumulators (B, rows), as floats."""

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"{self.input_size}, {self.hidden_size}, bits={self.bits}, steps={self.steps}"


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
        half = 1 << self.bits - 1
        edges: Tensor = self.get_buffer("edges")
        return _rounded(self.preactivation(acc), edges, lambda z: half * (1 - torch.tanh(z).square_()))

    def advance(self, acc: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The next state; nothing else is kept."""
        return 2 * self.codes(acc) - ((1 << self.bits) - 1), None


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
        sigmoid = torch.bucketize(z[:, :split].contiguous(), self.get_buffer("sigmoid_edges"), right=True)
        tanh = torch.bucketize(z[:, split:].contiguous(), self.get_buffer("tanh_edges"), right=True)
        return torch.cat([sigmoid, tanh], 1).to(acc.dtype)

    def tanh_codes(self, cell: Tensor) -> Tensor:
        """Codes 0..2^s of tanh(c), for integers c of any shape."""
        edges = self.get_buffer("tanh_edges")
        return torch.bucketize(cell * 2.0**-self.cell.cell_point, edges, right=True).to(cell.dtype)

    def advance(self, acc: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The next state and the next cell."""
        if cell is None:
            cell = acc.new_zeros(len(acc), self.hidden_size)
        state, cell = _lstm_step(self.preactivation(acc), cell, self)
        return state, cell


class _LstmStep(torch.autograd.Function):
    """The integers of one step from z and c; backward by hand: a graph of thirty small operations a step is slow."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, cell: Tensor, layer: QuantLSTM) -> tuple[Tensor, Tensor]:
        spec, half = layer.cell, 1 << layer.cell.shift - 1
        scale, sizes = 1 << spec.shift, [3 * layer.hidden_size, layer.hidden_size]
        sigmoid, tanh = (part.contiguous() for part in z.split(sizes, 1))
        i, f, o = torch.bucketize(sigmoid, layer.get_buffer("sigmoid_edges"), right=True).to(z.dtype).chunk(3, 1)
        g = torch.bucketize(tanh, layer.get_buffer("tanh_edges"), right=True).to(z.dtype).sub_(half)
        limit = 1 << spec.cell_bits - 1
        raw = torch.addcmul(f * cell, i, g, value=1 << spec.lift).div_(scale).add_(0.5).floor_()
        after = raw.clamp(-limit, limit - 1)
        t = layer.tanh_codes(after).sub_(half)
        drop = 2 * spec.shift - layer.bits
        code = torch.mul(o, t).mul_(2.0**-drop).floor_().add_(1 << layer.bits - 1).clamp_(max=(1 << layer.bits) - 1)
        ctx.save_for_backward(z, cell, i, f, o, g, t, after, raw == after)
        ctx.layer = layer
        return code.mul_(2).sub_((1 << layer.bits) - 1), after

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        z, cell, i, f, o, g, t, after, inside = ctx.saved_tensors
        layer: QuantLSTM = ctx.layer
        spec, half = layer.cell, 1 << layer.cell.shift - 1
        scale, split = 1 << spec.shift, 3 * layer.hidden_size
        by_product = gradients[0] * 2.0 ** (1 + layer.bits - 2 * spec.shift)
        point = 2.0**-spec.cell_point
        slope = torch.tanh(after * point).square_().neg_().add_(1).mul_(half * point)
        by_cell = torch.addcmul(gradients[1], by_product * o, slope).mul_(inside).div_(scale)
        lifted = by_cell * (1 << spec.lift)
        by_z = torch.cat([lifted * g, by_cell * cell, by_product * t, lifted * i], 1)
        sigmoid = torch.sigmoid(z[:, :split])
        by_z[:, :split].mul_(sigmoid.mul_(1 - sigmoid).mul_(scale))
        by_z[:, split:].mul_(torch.tanh(z[:, split:]).square_().neg_().add_(1).mul_(half))
        return by_z, by_cell * f, None


_lstm_step: Callable[[Tensor, Tensor, QuantLSTM], tuple[Tensor, Tensor]] = _LstmStep.apply


def whole_sequences(model: nn.Module, samples: int) -> int:
    """The most samples, not above `samples` but at least one sequence, that are whole sequences of every layer.

    Where a layer takes a batch as one sequence, a batch must not be split: a number that no batch reaches.
    """
    steps = [module.steps for module in model.modules() if isinstance(module, QuantRecurrent)]
    if None in steps:
        return 1 << 62
    together = math.lcm(*(step for step in steps if step))
    return max(together, samples - samples % together)
