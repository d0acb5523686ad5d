"""Frames as bytes: codes become the beats of an accelerator's input port, and results are read from its output port.

One piece for the vectors of simulations, the serial port and the DMA of a PYNQ board. It needs NumPy and nothing else,
of any version that such a board has: `generate` copies it into design folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WORD_BYTES", "FrameFormat", "beat_bits", "read_results"]

WORD_BYTES = 8
"""Bytes of a word of a DMA: frames and results are filled up to whole words (`hdl.board.dma`)."""


@dataclass(frozen=True)
class FrameFormat:
    """What an accelerator takes and gives, byte by byte.

    elements, lanes, bits: codes of a frame, codes a beat, bits of a code. beat_bytes: of the input port's TDATA.
    class_bytes, score_bytes: of a result's fields; score_bytes is 0 where it carries the class alone.
    """

    elements: int
    lanes: int
    bits: int
    beat_bytes: int
    class_names: tuple[str, ...]
    class_bytes: int
    score_bytes: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame: its beats, TDATA after TDATA."""
        return -(-self.elements // self.lanes) * self.beat_bytes

    @property
    def result_bytes(self) -> int:
        """Bytes of a result's TDATA."""
        return self.class_bytes + len(self.class_names) * self.score_bytes

    def pack(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Codes (B, *input shape) as the bytes of frames, uint8 (B, frame_bytes); ValueError for another size."""
        flat = codes.reshape(len(codes), -1)
        if flat.shape[1] != self.elements:
            raise ValueError(f"a frame has {self.elements} codes, not {flat.shape[1]}")
        bits = beat_bits(flat, self.lanes, self.bits)
        beats = np.zeros((len(bits), 8 * self.beat_bytes), np.uint8)
        beats[:, : bits.shape[1]] = bits
        return np.packbits(beats, axis=1, bitorder="little").reshape(len(codes), self.frame_bytes)

    def unpack(self, results: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Classes (B,) and scores (B, C), or (B, 0), of results' bytes uint8 (B, result_bytes)."""
        return read_results(results, len(self.class_names), self.class_bytes, self.score_bytes)

    def to_words(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Codes (B, *input shape) as what a DMA sends: frames filled up to whole words, uint8 (B, bytes)."""
        words = np.zeros((len(codes), self.sent_bytes), np.uint8)
        words[:, : self.frame_bytes] = self.pack(codes)
        return words

    @property
    def sent_bytes(self) -> int:
        """Bytes of a frame in whole words."""
        return -(-self.frame_bytes // WORD_BYTES) * WORD_BYTES

    @property
    def received_bytes(self) -> int:
        """Bytes of a result in whole words."""
        return -(-self.result_bytes // WORD_BYTES) * WORD_BYTES


def beat_bits(elements: NDArray[np.integer], lanes: int, bits: int, *, vectors: int = 1) -> NDArray[np.uint8]:
    """Elements (B, E) as beats: bits uint8 (B * beats, lanes * bits), bit 0 first, pad elements 0.

    vectors: equal parts of a frame, the pixels of a map, that begin on a beat of their own.
    """
    batch, count = elements.shape
    rows = elements.reshape(batch * vectors, count // vectors)
    beats = -(-rows.shape[1] // lanes)
    padded = np.zeros((len(rows), beats * lanes), np.int64)
    padded[:, : rows.shape[1]] = rows
    planes = (padded[:, :, None] >> np.arange(bits)) & 1
    return planes.astype(np.uint8).reshape(batch * vectors * beats, lanes * bits)


def read_results(
    results: NDArray[np.uint8], classes: int, class_bytes: int, score_bytes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Classes (B,) and scores (B, classes), (B, 0) with score_bytes 0, of results' bytes, lowest byte first."""
    indices = _integers(results[:, None, :class_bytes], signed=False)[:, 0]
    count = classes if score_bytes else 0
    fields = results[:, class_bytes : class_bytes + count * score_bytes]
    return indices, _integers(fields.reshape(len(results), count, score_bytes), signed=True)


def _integers(fields: NDArray[np.uint8], *, signed: bool) -> NDArray[np.int64]:
    """Little-endian fields (B, F, bytes) as integers (B, F); beyond 8 bytes a field repeats its sign."""
    batch, count, width = fields.shape
    whole = np.zeros((batch, count, 8), np.uint8)
    whole[:, :, : min(width, 8)] = fields[:, :, :8]
    if signed and 0 < width < 8:
        whole[:, :, width:] = (fields[:, :, -1:] >> 7) * np.uint8(255)
    numbers: NDArray[np.int64] = whole.reshape(batch, count * 8).view("<i8").astype(np.int64, copy=False)
    return numbers
