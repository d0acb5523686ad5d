"""Where a window stands on a feature map: the geometry that network, golden model, hardware and simulation share.

A feature map is (H, W, C), channel last; on a stream it goes pixel by pixel, row by row, a pixel being a vector of C
elements. A window yields its elements in the order (ky, kx, c), channel fastest. This module imports NumPy alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..errors import UsageError

__all__ = ["PAD", "Padding", "Window"]

T = TypeVar("T", bound=np.generic)

Padding: TypeAlias = tuple[int, int] | tuple[int, int, int, int]
"""(vertical, horizontal), on both sides each; or (top, left, bottom, right)."""

PAD = -1
"""The pixel index of a position outside the map."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window that slides over a map.

    input: (H, W, C). kernel, stride, dilation: (vertical, horizontal); padding: the same on both sides each, or (top,
    left, bottom, right). UsageError for extents that are not positive, a padding as large as the window (windows of
    nothing but padding), or a window larger than the padded map.
    """

    input: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        for name, least in (("input", 1), ("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            extents = getattr(self, name)
            lengths = {"input": (3,), "padding": (2, 4)}.get(name, (2,))
            if len(extents) not in lengths or not all(isinstance(n, int) and n >= least for n in extents):
                wanted = {"input": "(height, width, channels)"}.get(name, "(vertical, horizontal)")
                raise UsageError(f"{name} must be {wanted} of whole numbers from {least} up, not {extents}")
        for axis, (span, size) in enumerate(zip(self.span, self.padded, strict=True)):
            if max(self.border[axis::2]) >= span:
                raise UsageError(f"padding {self.padding} must be less than the window's extent {self.span}")
            if span > size:
                raise UsageError(f"a window of {self.span} pixels does not fit into {self.padded}, padding included")

    @property
    def span(self) -> tuple[int, int]:
        """Pixels from the first to the last row and column of the window, both included."""
        (ky, kx), (dy, dx) = self.kernel, self.dilation
        return (ky - 1) * dy + 1, (kx - 1) * dx + 1

    @property
    def border(self) -> tuple[int, int, int, int]:
        """The padding's (top, left, bottom, right)."""
        return self.padding if len(self.padding) == 4 else (*self.padding, *self.padding)

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the map with its padding."""
        top, left, bottom, right = self.border
        return self.input[0] + top + bottom, self.input[1] + left + right

    @property
    def output(self) -> tuple[int, int]:
        """(H', W'): how many positions the window takes, vertically and horizontally."""
        (height, width), (span_y, span_x), (sy, sx) = self.padded, self.span, self.stride
        return (height - span_y) // sy + 1, (width - span_x) // sx + 1

    @property
    def positions(self) -> int:
        """H' * W'."""
        return self.output[0] * self.output[1]

    @property
    def overlaps(self) -> bool:
        """Whether a pixel can belong to two windows."""
        axes = zip(self.span, self.stride, self.output, strict=True)
        return any(span > stride and count > 1 for span, stride, count in axes)

    @property
    def columns(self) -> int:
        """Elements of a window, kh * kw * C: the columns of a convolution's weight matrix."""
        return self.kernel[0] * self.kernel[1] * self.input[2]

    def taps(self, y: int, x: int) -> Iterator[tuple[int, int]]:
        """Input (row, column) of each pixel of the window at output (y, x), in the order (ky, kx); may lie outside."""
        for ky in range(self.kernel[0]):
            for kx in range(self.kernel[1]):
                yield (
                    y * self.stride[0] + ky * self.dilation[0] - self.border[0],
                    x * self.stride[1] + kx * self.dilation[1] - self.border[1],
                )

    def pixels(self) -> NDArray[np.int64]:
        """The input pixel row * W + column of each tap of each window, or PAD: int64 (H' * W', kh * kw)."""
        height, width, _ = self.input
        rows, columns = (
            np.arange(count)[:, None] * stride + np.arange(kernel) * dilation - padding
            for count, stride, kernel, dilation, padding in zip(
                self.output, self.stride, self.kernel, self.dilation, self.border[:2], strict=True
            )
        )
        row, column = rows[:, None, :, None], columns[None, :, None, :]
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return np.where(inside, row * width + column, PAD).reshape(self.positions, -1)

    def patches(self, maps: NDArray[T], pad: int = 0) -> NDArray[T]:
        """The windows of maps (B, H, W, C): (B, H', W', kh, kw, C), a view where there is no padding.

        pad: what stands outside the map.
        """
        top, left, bottom, right = self.border
        if any(self.border):
            maps = np.pad(maps, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=pad)
        every: NDArray[Any] = sliding_window_view(maps, self.span, axis=(1, 2))
        chosen = every[:, :: self.stride[0], :: self.stride[1], :, :: self.dilation[0], :: self.dilation[1]]
        return np.moveaxis(chosen, 3, 5)
