"""Random operands of the plane operators, and what NumPy makes of the levels behind them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from host_kernel import packed
from numpy.typing import NDArray

from xnorflow.gpu.forms import Windows, aligned_words

Array = NDArray[Any]


@dataclass(frozen=True)
class Operands:
    """Arguments of `plane_product`, the accumulators that it should yield, int64 (M, N), and random constants."""

    arguments: tuple[Any, ...]
    acc: Array
    rng: np.random.Generator

    def thresholds(self, bits: int) -> tuple[torch.Tensor, torch.Tensor, Array]:
        """Thresholds and flip as the operator takes them, and the codes (M, N)."""
        neurons, levels = self.acc.shape[1], (1 << bits) - 1
        falls = self.rng.random(neurons) < 0.5
        drawn = (
            self.rng.choice(self.acc.reshape(-1), (levels, neurons)) if self.acc.size else np.zeros((levels, neurons))
        )
        ordered = np.sort(drawn, axis=0).astype(np.int64)
        ordered[:, falls] = ordered[::-1, falls]
        codes = np.where(falls, self.acc <= ordered[:, None], self.acc >= ordered[:, None]).sum(axis=0)
        flip = np.where(falls, -1, 0)
        return torch.tensor((ordered ^ flip).astype(np.int32)), torch.tensor(flip.astype(np.int32)), codes

    def multipliers(self, bits: int, shift: int) -> tuple[torch.Tensor, torch.Tensor, Array]:
        """Multiplier and offset of a requantization, and the codes (M, N)."""
        neurons = self.acc.shape[1]
        multiplier, offset = self.rng.integers(-300, 300, neurons), self.rng.integers(-3000, 3000, neurons)
        codes = np.clip((multiplier * self.acc + offset) >> shift, 0, (1 << bits) - 1)
        return torch.tensor(multiplier), torch.tensor(offset), codes


def tensor(words: Array) -> torch.Tensor:
    """Words as torch has them."""
    return torch.from_numpy(np.ascontiguousarray(words).view(np.int32).copy())


def plain(rows: int, neurons: int, size: int, planes: tuple[int, int] = (1, 1), seed: int = 0) -> Operands:
    """A matrix product of levels."""
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, 1 << p, (n, size)) for p, n in zip(planes, (rows, neurons), strict=True))
    gamma = rng.integers(-50, 50, neurons).astype(np.int32)
    alpha, beta = (int(n) for n in rng.integers(-4, 5, 2))
    acc = alpha * (a @ b.T) + beta * a.sum(axis=1, keepdims=True) + gamma
    words = aligned_words(size)
    operands = tensor(packed(a, planes[0], words)), tensor(packed(b, planes[1], words)), torch.from_numpy(gamma)
    return Operands((*operands, alpha, beta, []), acc, rng)


def convolved(
    images: int, neurons: int, windows: Windows, planes: tuple[int, int] = (1, 1), spare: int = 0, seed: int = 0
) -> Operands:
    """Windows on maps of levels, one by one; spare: words of a pixel that hold nothing."""
    rng = np.random.default_rng(seed)
    w = replace(windows, pad_level=windows.pad_level % (1 << planes[0]))
    a = rng.integers(0, 1 << planes[0], (images, w.height, w.width, w.channels))
    b = rng.integers(0, 1 << planes[1], (neurons, w.taps, w.channels))
    rows = np.full((images, w.out_height, w.out_width, w.taps, w.channels), w.pad_level)
    for y in range(w.out_height):
        for x in range(w.out_width):
            for tap in range(w.taps):
                py = y * w.stride_y + tap // w.kernel_x * w.dilation_y - w.top
                px = x * w.stride_x + tap % w.kernel_x * w.dilation_x - w.left
                if 0 <= py < w.height and 0 <= px < w.width:
                    rows[:, y, x, tap] = a[:, py, px]
    matrix = rows.reshape(-1, w.taps * w.channels)
    gamma = rng.integers(-50, 50, neurons).astype(np.int32)
    alpha, beta = (int(n) for n in rng.integers(-4, 5, 2))
    acc = alpha * (matrix @ b.reshape(neurons, -1).T) + beta * matrix.sum(axis=1, keepdims=True) + gamma
    words = -(-w.channels // 32) + spare
    used = w.taps * words
    right = np.zeros((planes[1], neurons, -(-used // 4) * 4), np.uint32)
    right[:, :, :used] = packed(b, planes[1], words).reshape(planes[1], neurons, used)
    return Operands(
        (tensor(packed(a, planes[0], words)), tensor(right), torch.from_numpy(gamma), alpha, beta, w.numbers), acc, rng
    )


WINDOWS = (
    Windows(6, 7, 3, 3, 3, 1, 1, 1, 1, 0, 0, 4, 5, 0),
    Windows(6, 7, 40, 3, 3, 1, 1, 1, 1, 1, 1, 6, 7, 1),
    Windows(9, 8, 64, 2, 3, 2, 3, 1, 1, 0, 1, 4, 3, 2),
    Windows(9, 9, 128, 3, 3, 1, 2, 2, 1, 2, 1, 9, 5, 0),
    Windows(5, 5, 33, 1, 1, 1, 1, 1, 1, 0, 0, 5, 5, 0),
)
"""Without padding; padded, of two words; strides; dilation; points."""
