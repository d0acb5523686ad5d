"""Whole sequences of the integer cells as one operation each, forward and backward by hand.

A graph of thirty small operations a step costs more than their arithmetic. Here the loop forward holds one matrix
product and what depends on it, the loop backward one matrix product and a few products; slopes, and the gradients of
weights, scale and bias, are taken of all steps at once. Under autocast the matrix products alone are narrow.

With gradients of few bits (`gradients`) each step's gradient of the accumulators (N, R) is quantized, sequence by
sequence, before it enters a product: with the recurrent weights, with the states for those weights' gradient, and
outside with the inputs and their weights. What goes element by element is not: gates, cell, scale and bias.

Shapes: T steps, N sequences, H units, R = gates * H rows.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .recurrent import QuantLSTM, QuantRecurrent, QuantRNN

__all__ = ["lstm_sequence", "rnn_sequence"]

_Quantize: TypeAlias = Callable[[Tensor], Tensor]
"""What takes the place of a gradient (N, R), sequence by sequence."""


def _narrow(weight: Tensor) -> Tensor:
    """The weight in the type that matrix products have now."""
    kind = weight.device.type
    return weight.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else weight


def _product(x: Tensor, weight: Tensor, plus: Tensor | None = None) -> Tensor:
    """x @ weight [+ plus] in x's type, the product in weight's."""
    if weight.dtype == x.dtype:
        return x @ weight if plus is None else torch.addmm(plus, x, weight)
    product = x.to(weight.dtype) @ weight
    return product.to(x.dtype) if plus is None else product + plus


class _Products:
    """The products of a loop backward, and what follows from them behind it.

    The loop fills by_z (T, N, R), the gradient of z, from its end and calls `step` at each. quantize: what takes the
    place of a step's gradient of the accumulators (N, R), if anything does; without it the scale is in the weights, and
    that gradient is made of all steps at once. kind: the type of matrix products.
    """

    def __init__(
        self, by_z: Tensor, of_state: Tensor, scale: Tensor, kind: torch.dtype, quantize: _Quantize | None
    ) -> None:
        self.by_z, self.scale, self.kind, self.quantize = by_z, scale, kind, quantize
        self.weight = (of_state * scale[:, None] if quantize is None else of_state).to(kind)
        self.by_acc = by_z if quantize is None else torch.empty_like(by_z)

    def step(self, t: int) -> Tensor:
        """The gradient (N, H) of the state that step t reads."""
        if self.quantize is not None:
            self.by_acc[t] = self.quantize(self.by_z[t] * self.scale)
        return _product(self.by_acc[t], self.weight)

    def gradients(self, acc: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of of_inputs, of_state, scale and bias; acc (T, N, R); earlier: states (T, N, H) that steps read."""
        by_z, kind = self.by_z, self.kind
        by_acc = by_z * self.scale if self.quantize is None else self.by_acc
        rows = by_acc.flatten(0, 1)
        by_weight = (rows.t().to(kind) @ earlier.flatten(0, 1).to(kind)).to(by_z.dtype)
        return by_acc, by_weight, (by_z * acc).sum((0, 1)), by_z.sum((0, 1))


def _quantize_of(layer: "QuantRecurrent") -> _Quantize | None:
    """What quantizes the layer's gradients now; none in eval mode."""
    quantizer = layer.gradient_quantizer
    return quantizer.quantize if quantizer is not None and quantizer.training else None


class _RnnSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, of_inputs: Tensor, of_state: Tensor, scale: Tensor, bias: Tensor, state: Tensor, layer: "QuantRNN"
    ) -> Tensor:
        half, top = 1 << layer.bits - 1, (1 << layer.bits) - 1
        acc, smooth = torch.empty_like(of_inputs), torch.empty_like(of_inputs)
        states = torch.cat([state[None], torch.empty_like(of_inputs)])
        weight = _narrow(of_state.t().contiguous())
        for t, inputs in enumerate(of_inputs):
            acc[t] = _product(states[t], weight, inputs)
            if layer.training:
                torch.tanh(torch.addcmul(bias, acc[t], scale), out=smooth[t])
                codes = torch.mul(smooth[t], half).floor_().add_(half).clamp_(max=top)
            else:
                codes = layer.codes(acc[t])
            torch.mul(codes, 2, out=states[t + 1]).sub_(top)
        if not layer.training:
            smooth = torch.tanh(acc * scale + bias)
        ctx.save_for_backward(acc, smooth, states, of_state, scale)
        ctx.bits, ctx.kind, ctx.quantize = layer.bits, weight.dtype, _quantize_of(layer)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        acc, smooth, states, of_state, scale = ctx.saved_tensors
        slope = smooth.square().neg_().add_(1).mul_(1 << ctx.bits)
        by_z = torch.empty_like(acc)
        products = _Products(by_z, of_state, scale, ctx.kind, ctx.quantize)
        by_state = torch.zeros_like(acc[0])
        for t in reversed(range(len(acc))):
            torch.mul(by_state.add_(gradients[0][t]), slope[t], out=by_z[t])
            by_state = products.step(t)
        return *products.gradients(acc, states[:-1]), None, None


class _LstmSequence(torch.autograd.Function):
    """Gates are codes Q = #{thresholds <= z} of sigmoid(z), tanh's of sigmoid(2 z): tanh(z) = 2 sigmoid(2 z) - 1."""

    @staticmethod
    def forward(
        ctx: Any,
        of_inputs: Tensor,
        of_state: Tensor,
        scale: Tensor,
        bias: Tensor,
        state: Tensor,
        cell: Tensor,
        layer: "QuantLSTM",
    ) -> tuple[Tensor, Tensor]:
        spec, size = layer.cell, layer.hidden_size
        half, levels, limit = 1 << spec.shift - 1, 1 << spec.shift, 1 << spec.cell_bits - 1
        drop, top = 2 * spec.shift - layer.bits, (1 << layer.bits) - 1
        doubled = torch.ones_like(scale)
        doubled[3 * size :] = 2
        twice, offset = scale * doubled, bias * doubled
        acc, smooth, gates = (torch.empty_like(of_inputs) for _ in range(3))
        blank = of_inputs.new_empty(len(of_inputs), *state.shape)
        states, cells = torch.cat([state[None], blank]), torch.cat([cell[None], blank])
        curves, tanhs, inside = torch.empty_like(blank), torch.empty_like(blank), torch.empty_like(blank)
        weight = _narrow(of_state.t().contiguous())
        middle = of_inputs.new_tensor(0.5)
        for t, inputs in enumerate(of_inputs):
            acc[t] = _product(states[t], weight, inputs)
            if layer.training:
                torch.sigmoid(torch.addcmul(offset, acc[t], twice), out=smooth[t])
                torch.add(middle, smooth[t], alpha=levels, out=gates[t]).floor_()
            else:
                gates[t] = layer.codes(acc[t])
            i, f, o, g = gates[t].split(size, 1)
            g.sub_(half)
            raw = torch.addcmul(f * cells[t], i, g, value=1 << spec.lift)
            raw = torch.add(middle, raw, alpha=1 / levels).floor_()
            after = torch.clamp(raw, -limit, limit - 1, out=cells[t + 1])
            torch.eq(raw, after, out=inside[t])
            if layer.training:
                torch.tanh(after * 2.0**-spec.cell_point, out=curves[t])
                torch.add(middle, curves[t], alpha=half, out=tanhs[t]).floor_()
            else:
                torch.sub(layer.tanh_codes(after), half, out=tanhs[t])
            code = torch.mul(o, tanhs[t]).mul_(2.0**-drop).floor_()
            torch.add(torch.ones_like(middle), code, alpha=2, out=states[t + 1]).clamp_(max=top)
        if not layer.training:
            smooth = torch.sigmoid(acc * twice + offset)
            curves = torch.tanh(cells[1:] * 2.0**-spec.cell_point)
        ctx.save_for_backward(acc, smooth, gates, curves, tanhs, inside, states, cells, of_state, scale, doubled)
        ctx.spec, ctx.drop, ctx.kind, ctx.quantize = spec, drop, weight.dtype, _quantize_of(layer)
        last = cells[-1].clone()
        ctx.mark_non_differentiable(last)
        return states[1:], last

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        acc, smooth, gates, curves, tanhs, inside, states, cells, of_state, scale, doubled = ctx.saved_tensors
        spec, size = ctx.spec, curves.shape[2]
        half, levels = 1 << spec.shift - 1, 1 << spec.shift
        of_code = 2.0 ** (1 - ctx.drop)  # d h / d (o tanh)
        # d gates / d z, then of what each gate is multiplied with: the gradient of the cell, o's that of the state.
        slope = smooth.mul(1 - smooth).mul_(doubled * levels)
        i, f, o, g = gates.split(size, 2)
        factors = torch.cat([g * (1 << spec.lift), cells[:-1], tanhs * of_code, i * (1 << spec.lift)], 2).mul_(slope)
        inside = inside / levels
        by_tanh = curves.square().neg_().add_(1).mul_(half * 2.0**-spec.cell_point * of_code).mul_(o).mul_(inside)
        by_z = torch.empty_like(acc)
        products = _Products(by_z, of_state, scale, ctx.kind, ctx.quantize)
        by_state, by_cell = torch.zeros_like(states[0]), torch.zeros_like(states[0])
        for t in reversed(range(len(acc))):
            by_state.add_(gradients[0][t])
            # of f c + (i g << lift) + 2^(s-1), which is shifted down and clipped
            by_sum = torch.addcmul(by_cell * inside[t], by_state, by_tanh[t])
            step = by_z[t].view(-1, 4, size)
            torch.mul(factors[t].view(-1, 4, size), by_sum[:, None], out=step)
            torch.mul(factors[t, :, 2 * size : 3 * size], by_state, out=step[:, 2])
            by_cell = by_sum * f[t]
            by_state = products.step(t)
        return *products.gradients(acc, states[:-1]), None, None, None


rnn_sequence: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, "QuantRNN"], Tensor] = _RnnSequence.apply
"""States (T, N, H) from accumulators (T, N, H) of the inputs, weights (H, H), scale and bias (H,), and a state."""

lstm_sequence: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, "QuantLSTM"], tuple[Tensor, Tensor]] = (
    _LstmSequence.apply
)
"""States (T, N, H) and the last cell, from accumulators (T, N, R) of the inputs, weights (R, H), scale and bias (R,),
a state and a cell. No gradient passes through what comes before the first step and behind the last one."""
