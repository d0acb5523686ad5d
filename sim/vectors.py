"""Stimulus and expected beats of a whole data set as hexadecimal files, in the stream format of the accelerator."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..compiler import golden
from ..compiler.folds.folding import Folding
from ..compiler.ir import IntegerNetwork
from ..errors import DataError
from ..hdl.domains import stream_domain
from ..link import frames
from .interface import Interface, Stream

__all__ = ["beat_bits", "hex_lines", "write_vectors"]

Codes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Bits = NDArray[np.uint8]

_CHUNK, _ELEMENTS = 512, 1 << 20  # results, and elements of a stream, packed at a time: bounds the memory
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def write_vectors(
    network: IntegerNetwork,
    folding: Folding,
    interface: Interface,
    codes: Codes,
    folder: Path,
    last: NDArray[np.bool_] | None = None,
) -> None:
    """Write vectors for input codes (B, *input shape) into `folder`: `input.hex`, `last.hex` (TLAST of each frame's
    last beat), `result.hex` and `tap_<name>.hex`.

    folding: the design's, which tells what its streams of counts stand for.
    last: bool (B,), which frames end their sequences, where frames are steps of such; None: the last one alone.
    One beat a line, frame after frame. Raises DataError for codes of another shape or an empty batch.
    """
    shape = network.input.type.shape
    if codes.ndim != len(shape) + 1 or codes.shape[1:] != shape or not len(codes):
        raise DataError(f"the network takes images of shape {shape}, not a batch of shape {codes.shape}")
    ends = np.ones(len(codes), np.bool_)
    if interface.interleave:
        ends = np.arange(len(codes)) >= len(codes) - interface.interleave if last is None else last
    keep = [tap.node for tap in interface.taps]
    trace = golden.run(network, codes, last=ends, interleave=max(1, interface.interleave), keep=keep)
    folder.mkdir(parents=True, exist_ok=True)

    def write(stream: Stream, elements: NDArray[np.integer]) -> None:
        flat = elements.reshape(len(elements), -1)
        with (folder / f"{stream.name}.hex").open("wb") as file:
            chunk = max(1, _ELEMENTS // flat.shape[1])
            for start in range(0, len(flat), chunk):
                file.write(hex_lines(beat_bits(flat[start : start + chunk], stream)))

    write(interface.input, codes)
    (folder / "last.hex").write_bytes(hex_lines(ends[:, None].astype(np.uint8)))
    for tap in interface.taps:
        values = trace[tap.node]
        if tap.counts:
            values = stream_domain(network, folding, network.node(tap.node)).counts(values.astype(np.int64, copy=False))
        write(tap, values)
    with (folder / "result.hex").open("wb") as file:
        for bits in _result_bits(interface, trace.classes, trace.scores, ends):
            file.write(hex_lines(bits))


def beat_bits(elements: NDArray[np.integer], stream: Stream) -> Bits:
    """Elements (B, E) as beats: bits uint8 (B * beats, lanes * bits), bit 0 first, pad elements 0."""
    return frames.beat_bits(elements, stream.lanes, stream.bits, vectors=stream.vectors)


def hex_lines(bits: Bits) -> bytes:
    """Words of bits (M, width), bit 0 first, as `$readmemh` text: one word a line."""
    words, width = bits.shape
    digits = -(-width // 4)
    nibbles = np.zeros((words, digits * 4), dtype=np.uint8)
    nibbles[:, :width] = bits
    values = nibbles.reshape(words, digits, 4) @ np.array([1, 2, 4, 8], dtype=np.uint8)
    text = np.full((words, digits + 1), ord("\n"), dtype=np.uint8)
    text[:, :-1] = _DIGITS[values[:, ::-1]]
    return text.tobytes()


def _result_bits(interface: Interface, classes: Integers, scores: Integers, ends: NDArray[np.bool_]) -> Iterator[Bits]:
    """TLAST and TDATA of every result: the class, then, where results carry them, the scores; whole bytes."""
    for start in range(0, len(classes), _CHUNK):
        rows = slice(start, start + _CHUNK)
        fields = [_two_complement(classes[rows, None], interface.class_bits)]
        if interface.score_bits:
            fields.append(_two_complement(scores[rows], interface.score_bits))
        fields.append(ends[rows, None].astype(np.uint8))
        yield np.concatenate(fields, axis=1)


def _two_complement(numbers: Integers, bits: int) -> Bits:
    """Numbers (B, F) as fields of that many bits, (B, F * bits); more than 64 bits repeat the sign."""
    shifts = np.minimum(np.arange(bits), 63)
    return ((numbers[:, :, None] >> shifts) & 1).astype(np.uint8).reshape(len(numbers), -1)
