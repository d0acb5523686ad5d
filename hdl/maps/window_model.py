"""What a sliding-window unit does, beat by beat and cycle by cycle: its reference, and the depth of its line buffer.

A position is the number of a beat on the input stream, counted from the frame's first one. The unit reads positions in
the order of the windows, keeps what a later window still reads, and lets the rest go when a window is over.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ...compiler.geometry import PAD, Window
from ...errors import HardwareError
from ..streams.stream import frame_beats, pack_frame, require_positive

__all__ = ["WindowParams", "frame_cycles", "least_depth"]

Codes = NDArray[np.uint8]
Integers = NDArray[np.int64]

_FRAMES_MOST = 1000  # far more than any line buffer takes to find its level


@dataclass(frozen=True)
class WindowParams:
    """Geometry and beats of a sliding-window unit.

    window: the geometry; bits: of a code; simd: codes a beat, a pixel being ceil(C / simd) beats; pad_code: the code of
    every channel of a pixel outside the map. blocks: pieces of a pixel, of so many beats each, that a window is gone
    through for one after the other: its beats come (block, ky, kx, beat of the block). What works channel by channel
    takes a block for each beat, so that it needs one accumulator; a grouped convolution a block for its groups.
    """

    window: Window
    bits: int
    simd: int
    pad_code: int = 0
    blocks: int = 1

    def __post_init__(self) -> None:
        require_positive("bits", self.bits)
        require_positive("simd", self.simd)
        if self.pixel_beats % require_positive("blocks", self.blocks):
            raise ValueError(f"{self.blocks} blocks do not divide a pixel of {self.pixel_beats} beats")
        if not 0 <= self.pad_code < 1 << self.bits:
            raise HardwareError(f"pad code {self.pad_code} does not fit into {self.bits} bits")
        if (self.window.pixels() == PAD).all():
            raise HardwareError(f"no pixel of {self.window} lies on the map: every window is padding")

    @property
    def pixel_beats(self) -> int:
        """Beats of a pixel."""
        return frame_beats(self.window.input[2], self.simd)

    @property
    def block_beats(self) -> int:
        """Beats of a window that follow each other for one block: SF of the engine behind."""
        return self.window_beats // self.blocks

    @property
    def beats_in(self) -> int:
        """Beats of a frame in."""
        return self.window.input[0] * self.window.input[1] * self.pixel_beats

    @property
    def window_beats(self) -> int:
        """Beats of a window."""
        return self.window.kernel[0] * self.window.kernel[1] * self.pixel_beats

    @property
    def beats_out(self) -> int:
        """Beats of a frame out."""
        return self.window.positions * self.window_beats

    @property
    def bound(self) -> int:
        """Cycles a frame in steady state, the line buffer being deep enough."""
        return max(self.beats_in, self.beats_out)

    @cached_property
    def loops(self) -> tuple[tuple[int, int], ...]:
        """(count, distance in positions) of each nested loop over a frame's reads, the innermost first."""
        beats, width, within = self.pixel_beats, self.window.input[1], self.pixel_beats // self.blocks
        (kh, kw), (sy, sx), (dy, dx) = self.window.kernel, self.window.stride, self.window.dilation
        rows, columns = self.window.output
        window = ((within, 1), (kw, dx * beats), (kh, dy * width * beats), (self.blocks, within))
        return (*window, (columns, sx * beats), (rows, sy * width * beats))

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Positions from a read to the next one, by the outermost loop that moves; the last: on to the next frame.

        The loops within go back to their beginning.
        """
        distances = [*(distance for _, distance in self.loops), self.beats_in]
        back = [0, *accumulate((count - 1) * distance for count, distance in self.loops)]
        return tuple(distance - within for distance, within in zip(distances, back, strict=True))

    @property
    def start(self) -> int:
        """The position of a frame's first read, negative where it lies in the padding."""
        (top, left), width = self.window.border[:2], self.window.input[1]
        return -(top * width + left) * self.pixel_beats

    @cached_property
    def reads(self) -> Integers:
        """Positions a window reads, or PAD: int64 (H' * W', window_beats)."""
        pixels, beats = self.window.pixels()[:, :, None], np.arange(self.pixel_beats)
        positions = np.where(pixels == PAD, PAD, pixels * self.pixel_beats + beats)
        by_block = positions.reshape(*pixels.shape[:2], self.blocks, -1).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(by_block.reshape(self.window.positions, -1))

    @cached_property
    def row_tails(self) -> tuple[int, ...]:
        """The first map row that each output row or a later one reads; one entry more: the map's height."""
        height = self.window.input[0]
        return _first_needed(
            height, self.window.output[0], self.window.kernel[0],
            self.window.stride[0], self.window.border[0], self.window.dilation[0],
        )  # fmt: skip

    @cached_property
    def column_tails(self) -> tuple[int, ...]:
        """The first map column that each output column or a later one reads; one entry more: the map's width."""
        return _first_needed(
            self.window.input[1], self.window.output[1], self.window.kernel[1],
            self.window.stride[1], self.window.border[1], self.window.dilation[1],
        )  # fmt: skip

    @cached_property
    def tails(self) -> Integers:
        """Positions below which nothing is read from each window on: int64 (H' * W' + 1,), the last for the next frame.

        A row that the next output row reads too is kept whole; one that it does not read goes pixel by pixel.
        """
        (height, width, _), (rows, columns) = self.window.input, self.window.output
        tails = np.empty((rows, columns), dtype=np.int64)
        for y in range(rows):
            moves = self.row_tails[y + 1] > self.row_tails[y]
            column = np.array(self.column_tails[:columns]) if moves else self.column_tails[0]
            tails[y] = self.row_tails[y] * width + column
        return np.append(tails.ravel(), height * width + tails[0, 0]) * self.pixel_beats

    def counter_ranges(self, depth: int) -> tuple[range, range]:
        """What the unit's two counters reach with a line buffer of `depth` beats.

        The first: beats written less those let go; the second: beats written less the position of the next read,
        which may lie in the padding. What has been read is written, and no more is written than the buffer holds.
        """
        places = np.array([self.start])
        for count, distance in self.loops:
            places = (np.arange(count)[:, None] * distance + places).ravel()
        frames = np.array([[0], [self.beats_in]])
        places = (frames + places).ravel()
        inside = (frames + np.where(self.reads == PAD, -self.beats_in - 1, self.reads).ravel()).ravel()
        written = np.maximum(np.maximum.accumulate(inside), -1) + 1
        before = np.concatenate([[0], written[:-1]])
        tails = (frames + self.tails[:-1]).ravel()
        kept = written.reshape(len(tails), -1)[:, -1] - np.append(tails[1:], self.tails[-1] + self.beats_in)
        room = np.repeat(tails + depth, self.window_beats)
        least = min(int(kept.min()), -int(self.tails[0]), 0)
        return range(least, depth + 1), range(int((before - places).min()), int((room - places).max()) + 1)

    @property
    def least_working_depth(self) -> int:
        """The depth below which the unit would wait for ever: a window must lie in the buffer as a whole."""
        return max(1, int((self.reads.max(axis=1) + 1 - self.tails[:-1]).max()))

    def reference(self, maps: Codes) -> list[int]:
        """The beats out for maps (B, H, W, C) of codes."""
        channels, beats = self.window.input[2], self.pixel_beats
        pixels = self.window.patches(maps, self.pad_code).reshape(-1, self.window_beats // beats, channels)
        padded = np.zeros((*pixels.shape[:2], beats * self.simd), dtype=np.int64)
        padded[..., :channels] = pixels
        words = padded.reshape(*pixels.shape[:2], self.blocks, -1).transpose(0, 2, 1, 3)
        return pack_frame(words.ravel().tolist(), self.simd, self.bits)


def _first_needed(size: int, count: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[int, ...]:
    """For each output place the first map place that it or a later one reads; then `size`."""
    needed = [size]
    for place in reversed(range(count)):
        taps = (place * stride + k * dilation - padding for k in range(kernel))
        needed.append(min([needed[-1], *(tap for tap in taps if 0 <= tap < size)]))
    return tuple(reversed(needed))


def frame_cycles(params: WindowParams, depth: int) -> float:
    """Cycles a frame in steady state with a line buffer of `depth` beats, nothing stalling. Exact."""
    if depth < params.least_working_depth:
        raise HardwareError(f"a line buffer of {depth} beats never holds a window; {params.least_working_depth} would")
    model = _Model(params, depth)
    seen: dict[bytes, tuple[int, int]] = {}
    for frame in range(_FRAMES_MOST):
        model.run_frame()
        before, then = seen.setdefault(model.state(), (frame, model.issued))
        if before < frame:
            return (model.issued - then) / (frame - before)
    raise HardwareError(f"the line buffer of {params.window} finds no steady state in {_FRAMES_MOST} frames")


@lru_cache(maxsize=256)
def least_depth(params: WindowParams, interval: int = 1) -> int:
    """The least depth in beats with which the unit alone sustains its bound, or `interval` if that is longer."""
    target = max(params.bound, interval)
    low = params.least_working_depth
    if frame_cycles(params, low) <= target:
        return low
    step = params.pixel_beats
    while frame_cycles(params, low + step) > target:
        low, step = low + step, 2 * step
    high = low + step  # deep enough, low is not; deeper is never slower
    while high - low > 1:
        middle = (low + high) // 2
        if frame_cycles(params, middle) <= target:
            high = middle
        else:
            low = middle
    return high


class _Model:
    """The unit's cycles: when each position is written and each read is issued.

    Everything is a maximum of earlier times plus a constant, so a whole window is one NumPy expression.
    """

    def __init__(self, params: WindowParams, depth: int) -> None:
        self._params, self._depth = params, depth
        self._reads = params.reads
        self._tails: list[int] = params.tails.tolist()
        self._beats = np.arange(params.window_beats)
        self._written = np.zeros(0, dtype=np.int64)  # the cycle in which each position of the present frames is written
        self._last_write = -1
        self.issued = -1  # the cycle of the last read
        self._allow_writes(self._tails[0])

    def state(self) -> bytes:
        """All that decides what comes, relative to the last read. Times long past are all alike."""
        kept = self._written[self._tails[0] :]
        times = np.append(kept, self._last_write) - self.issued
        return np.maximum(times, -self._depth).tobytes()

    def run_frame(self) -> None:
        """One frame more."""
        for reads, tail in zip(self._reads, self._tails[1:], strict=True):
            wait = np.where(reads == PAD, -1, self._written[reads] + 1) - self._beats
            wait[0] = max(wait[0], self.issued + 1)
            # At most one read a cycle, none before its beat is there.
            self.issued = int(wait.max() + self._beats[-1])
            self._allow_writes(tail)
        self._written = self._written[self._params.beats_in :]

    def _allow_writes(self, tail: int) -> None:
        """Writes up to the buffer's depth beyond `tail`, which was let go with the last read."""
        count = tail + self._depth - len(self._written)
        if count > 0:
            begin = max(self._last_write, self.issued) + 1
            self._written = np.append(self._written, np.arange(begin, begin + count))
            self._last_write = begin + count - 1
