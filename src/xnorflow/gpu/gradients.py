"""Gradients of few bits times 1-bit weights, bit plane by bit plane.

"Quantized Neural Networks" (Hubara et al., 2016, arXiv 1609.07061) trains with gradients of 6 bits, so that the
backward pass needs no multiplier either. A gradient of a sample (row) b is m_b (2 q - (2^n - 1)) with codes q of n bits
and one step m_b, the largest magnitude over 2^n - 1 (`train.layers.gradients.quantize_gradient_linear`). Its product
with weights of -1/+1, the gradient of the layer's input, is then m_b times a product of planes, n of the gradient with
one of the weights: exact but for one rounding.

The gradient of the weights sums over samples whose steps differ and stays a product of floats. Training does not take
this way by itself: n planes are n times the work of one, and no GPU has measured it yet.
"""

import torch
from torch import Tensor

from ..errors import UsageError
from .forms import aligned_words
from .operators import pack_floats, pack_planes, plane_product

__all__ = ["gradient_codes", "input_gradient"]


def gradient_codes(gradient: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Codes uint8 (B, N) and steps float32 (B,) of a gradient (B, N) that is quantized linearly to so many bits.

    UsageError where it is not.
    """
    levels = (1 << bits) - 1
    step = gradient.abs().amax(dim=1) / levels
    codes = torch.where(step[:, None] > 0, (gradient / step[:, None] + levels) / 2, (levels + 1) / 2)
    whole = codes.round()
    if gradient.numel() and float((codes - whole).abs().max()) > 0.01:
        raise UsageError(f"the gradient is not quantized to {bits} bits a sample")
    return whole.to(torch.uint8), step


def input_gradient(codes: Tensor, step: Tensor, weight: Tensor, bits: int) -> Tensor:
    """The gradient of a layer's input, float32 (B, K), of codes (B, N) and steps (B,) of that of its output.

    weight: -1 and +1, float32 (N, K). Rows of a step of 0 are 0.
    """
    outputs, levels = codes.shape[1], (1 << bits) - 1
    words = aligned_words(outputs)
    identity = torch.arange(256, dtype=torch.uint8, device=codes.device)
    planes = pack_planes(codes, identity, bits, words)
    columns = pack_floats(weight.t(), -1.0, 0.5, 1, words)
    # (2 q - levels)(2 u - 1) summed: 4 D - 2 S - levels * sum(w)
    gamma = (-levels * weight.sum(dim=0)).to(torch.int32)
    return plane_product(planes, columns, gamma, 4, -2, []).to(torch.float32) * step[:, None]
