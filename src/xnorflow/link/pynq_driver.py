"""The accelerator of a PYNQ board: NumPy in, classes and scores out, through the DMA of its block design.

`generate` copies this file and `frames.py` into the design's folder `host`, beside `design.json`. That folder,
xnorflow.bit and xnorflow.hwh are all that a board needs:

    from host.pynq_driver import PynqAccelerator
    accelerator = PynqAccelerator.load("xnorflow.bit")
    classes, scores = accelerator.run(samples)

A board's Python may be older than the one that wrote the design; it has NumPy and pynq.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .frames import FrameFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["DESIGN_FILE", "DMA_NAME", "HostDesign", "PynqAccelerator", "load_design"]

DESIGN_FILE = "design.json"
DMA_NAME = "dma"
_BATCH = 1024  # frames a transfer, at most: bounds the memory that the DMA needs in one piece


@dataclass(frozen=True)
class HostDesign:
    """What a host knows of a design. low, high: raw samples are quantized from here to there; None: they are codes."""

    network_hash: str
    frames: FrameFormat
    low: float | None
    high: float | None

    def codes(self, raw: NDArray[Any]) -> NDArray[np.uint8]:
        """Input codes of raw samples (B, ...): uniform levels from `low` to `high`, as the network file says."""
        if self.low is None or self.high is None:
            return raw.astype(np.uint8)
        levels = (1 << self.frames.bits) - 1
        scaled = (raw.astype(np.float64) - self.low) * levels / (self.high - self.low) + 0.5
        return np.clip(np.floor(scaled), 0, levels).astype(np.uint8)


def load_design(path: Path | str) -> HostDesign:
    """What a `design.json` says."""
    plain = json.loads(Path(path).read_text())
    frames = plain.pop("frames")
    frames["class_names"] = tuple(frames["class_names"])
    return HostDesign(frames=FrameFormat(**frames), **plain)


class PynqAccelerator:
    """An accelerator behind a DMA.

    design: what it takes and gives. dma: pynq's object for the AXI DMA, with `sendchannel` and `recvchannel`.
    allocate: pynq.allocate, which makes arrays that the DMA can reach.
    """

    def __init__(self, design: HostDesign, dma: Any, allocate: Callable[..., Any]) -> None:
        self._design, self._dma, self._allocate = design, dma, allocate

    @classmethod
    def load(cls, bitstream: Path | str) -> PynqAccelerator:
        """Configure the device with a bitstream (its .hwh beside it) of the design that this file lies with."""
        import pynq  # on the board alone

        overlay = pynq.Overlay(str(bitstream))
        return cls(load_design(Path(__file__).parent / DESIGN_FILE), getattr(overlay, DMA_NAME), pynq.allocate)

    def run(self, raw: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Classes (B,) and scores (B, C), or (B, 0), of raw samples (B, *input shape)."""
        return self.run_codes(self._design.codes(raw))

    def run_codes(self, codes: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Classes and scores of input codes (B, *input shape)."""
        frames = self._design.frames
        answers = np.zeros((len(codes), frames.received_bytes), np.uint8)
        for start in range(0, len(codes), _BATCH):
            part = frames.to_words(codes[start : start + _BATCH])
            answers[start : start + len(part)] = self._transfer(part)
        return frames.unpack(answers[:, : frames.result_bytes])

    def _transfer(self, words: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What comes back for frames uint8 (B, sent_bytes): results uint8 (B, received_bytes)."""
        sent = self._allocate(shape=words.shape, dtype=np.uint8)
        received = self._allocate(shape=(len(words), self._design.frames.received_bytes), dtype=np.uint8)
        try:
            sent[:] = words
            self._dma.recvchannel.transfer(received)  # first, so that no result waits for room
            self._dma.sendchannel.transfer(sent)
            self._dma.sendchannel.wait()
            self._dma.recvchannel.wait()
            return np.array(received)
        finally:
            sent.freebuffer()
            received.freebuffer()
