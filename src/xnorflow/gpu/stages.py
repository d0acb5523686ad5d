"""A dot product of the integer network as a product of bit planes: operands, constants, and what cannot be done so.

Both sides are affine in a level, value = scale * level + offset (`compiler.planes` has the same for activations), hence

    acc = s_a s_w D + s_a o_w S + o_a sum(w)

with D and S of `forms`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..compiler.ir import AccType, CodeType, Conv2d, IntegerNetwork, Node, Recurrent, Scores, Threshold
from ..compiler.types import Encoding, Weights, code_values
from ..errors import UsageError
from .forms import Affine, Windows, aligned_words, words_of
from .host import pack_bits

__all__ = ["Layout", "ProductForm", "check_network", "layout_of", "level_scale", "product_form", "threshold_constants"]

Words = NDArray[np.uint32]

_LOGARITHMIC = (Encoding.LOG, Encoding.LOG_UNSIGNED)
_INT32 = 1 << 31
INSTEAD = "leave out --device: the golden model computes every network"


@dataclass(frozen=True, slots=True)
class Layout:
    """How codes of a sample are packed: so many pixels of so many channels in so many words each."""

    pixels: int
    channels: int
    words: int


def layout_of(kind: CodeType, flat: bool = False) -> Layout:
    """The layout of a tensor of codes; flat: as one vector, of which nobody asks for pixels."""
    if flat or len(kind.shape) == 1:
        return Layout(1, kind.size, aligned_words(kind.size))
    channels = kind.shape[2] if len(kind.shape) == 3 else 1 if len(kind.shape) == 2 else kind.shape[-1]
    pixels = kind.size // channels
    return Layout(pixels, channels, aligned_words(channels) if pixels == 1 else words_of(channels))


@dataclass(frozen=True, slots=True, eq=False)
class ProductForm:
    """The right operand of a stage, and what its accumulators are in terms of D and S.

    b: uint32 (planes, N, words); gamma: int32 (N,); windows: of a convolution, or of a dense layer on maps that do not
    begin at multiples of 16 bytes each.
    """

    b: Words
    gamma: NDArray[np.int32]
    form: Affine
    windows: Windows | None


def product_form(dot: Node, weights: Weights, source: CodeType, layout: Layout) -> ProductForm:
    """The form of a dense layer or convolution on codes that are packed in that layout."""
    pad_level, window = 0, None
    if isinstance(dot, Conv2d):
        pad_level, window = dot.pad_code or 0, dot.window(source)
    segments = layout.pixels if window is None else window.kernel[0] * window.kernel[1]
    table = code_values(weights.bits, weights.encoding)
    scale_w, scale_a = level_scale(weights.encoding), level_scale(source.encoding)
    levels = (weights.values() - table[0]) // scale_w
    rows = levels.reshape(len(levels), segments, layout.channels)
    used = segments * layout.words
    packed = np.zeros((int((table[-1] - table[0]) // scale_w).bit_length(), len(levels), -(-used // 4) * 4), np.uint32)
    for plane, words in enumerate(packed):
        bits = (rows >> plane & 1).astype(np.uint8).reshape(-1, layout.channels)
        words[:, :used] = pack_bits(bits, layout.words).reshape(len(levels), used)
    gamma = source.lo * weights.values().sum(axis=1)
    about = None
    if window is not None:
        (height, width, channels), (top, left, _, _) = window.input, window.border
        about = Windows(
            height,
            width,
            channels,
            *window.kernel,
            *window.stride,
            *window.dilation,
            top,
            left,
            *window.output,
            pad_level,
        )
    elif used % 4:
        pixels = layout.pixels
        about = Windows(pixels, 1, layout.channels, pixels, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0)
    form = Affine(scale_a * scale_w, scale_a * int(table[0]))
    return ProductForm(packed, gamma.astype(np.int32), form, about)


def level_scale(encoding: Encoding) -> int:
    """What a level of 1 is worth."""
    return 2 if encoding is Encoding.BIPOLAR else 1


def threshold_constants(node: Threshold) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Thresholds (levels, N) and flip (N,) of the kernel: acc <= t where ~acc >= ~t, as ~x is -x - 1."""
    flip = np.where(node.descending, -1, 0).astype(np.int32)
    return np.ascontiguousarray(node.thresholds.T.astype(np.int32) ^ flip), flip


def check_network(network: IntegerNetwork) -> None:
    """UsageError for the first node that the operators cannot compute, with what can."""
    for node in network.nodes:
        reason = _problem(network, node)
        if reason is not None:
            raise UsageError(f"{node.name!r} {reason}; {INSTEAD}")


def _problem(network: IntegerNetwork, node: Node) -> str | None:
    if isinstance(node, Recurrent):
        return "keeps a state from sample to sample, which the operators do not"
    if isinstance(node, Conv2d) and node.groups > 1:
        return f"is a convolution in {node.groups} groups, which the operators do not compute"
    if isinstance(node.type, CodeType) and node.type.encoding in _LOGARITHMIC:
        return f"yields {node.type.encoding} codes, which bit planes do not hold as they are"
    if isinstance(node.type, AccType) and not isinstance(node, Scores):
        low, high = node.type.lo, node.type.hi
        if not -_INT32 < low <= high < _INT32 - 1:
            return f"has accumulators from {low} to {high}, more than 32 bits hold"
    return None
