"""What a product of bit planes is told beside its operands, whoever computes it. Imports nothing heavy.

Levels x, u >= 0 in binary make D = sum_k x u and S = sum_k x; `Affine` says what D and S are worth.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Self

__all__ = ["WORD", "Affine", "Windows", "aligned_words", "words_of"]

WORD = 32
"""Bits of a word, an int32 in tensors."""


def words_of(columns: int) -> int:
    """Words of so many columns."""
    return -(-columns // WORD)


def aligned_words(columns: int) -> int:
    """Words of a row of so many columns that begins at a multiple of 16 bytes, as the kernel copies rows."""
    return -(-columns // (4 * WORD)) * 4


@dataclass(frozen=True, slots=True)
class Affine:
    """acc[m][n] = alpha * D + beta * S[m] + gamma[n], gamma being a tensor of its own.

    Of values scale * level + offset: alpha is the product of both scales, beta the scale of A times the offset of B,
    gamma the offset of A times the sum of a row of B's values.
    """

    alpha: int
    beta: int


@dataclass(frozen=True, slots=True)
class Windows:
    """A window that slides over packed maps (planes, images, height, width, words of a pixel), as kernel.cu has it.

    channels: of a pixel, the bits that count. top, left: of the padding; pad_level: the level of each channel there.
    """

    height: int
    width: int
    channels: int
    kernel_y: int
    kernel_x: int
    stride_y: int
    stride_x: int
    dilation_y: int
    dilation_x: int
    top: int
    left: int
    out_height: int
    out_width: int
    pad_level: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Self | None:
        """Of an operator's list of numbers; None of an empty one, where rows are rows."""
        return cls(*numbers) if len(numbers) else None

    @property
    def numbers(self) -> list[int]:
        """As an operator takes it."""
        return list(astuple(self))

    @property
    def taps(self) -> int:
        """Pixels of a window."""
        return self.kernel_y * self.kernel_x

    @property
    def positions(self) -> int:
        """Windows of a map."""
        return self.out_height * self.out_width
