"""Frames and results as bytes, against the hardware's own references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.hdl.streams.axi import OutputAdapter, data_width
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.link.frames import FrameFormat, read_results


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_a_frame_is_its_beats_lowest_byte_first(elements: int, lanes: int, bits: int, seed: int) -> None:
    beat_bytes = data_width(lanes * bits) // 8
    form = FrameFormat(elements, lanes, bits, beat_bytes, ("a", "b"), 1, 2)
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (3, elements), dtype=np.uint8)
    frames = form.pack(codes)
    assert frames.shape == (3, form.frame_bytes)
    for frame, image in zip(frames, codes, strict=True):
        beats = pack_frame(image.tolist(), lanes, bits)
        assert frame.tobytes() == b"".join(beat.to_bytes(beat_bytes, "little") for beat in beats)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 300), st.integers(0, 80), st.integers(0, 2**32 - 1))
def test_results_are_what_the_output_port_packs(classes: int, score_bits: int, seed: int) -> None:
    output = OutputAdapter(classes, score_bits or None)
    rng = np.random.default_rng(seed)
    most = 1 << max(min(score_bits, 63) - 1, 0)
    indices = rng.integers(0, classes, 4)
    scores = rng.integers(-most, most, (4, classes if score_bits else 0))
    width = len(output.m_axis_tdata) // 8
    tdata = b"".join(
        (output.reference(int(index), row) & (1 << 8 * width) - 1).to_bytes(width, "little")
        for index, row in zip(indices, scores.tolist(), strict=True)
    )
    class_bytes = data_width((classes - 1).bit_length()) // 8
    score_bytes = (width - class_bytes) // classes
    read = read_results(np.frombuffer(tdata, np.uint8).reshape(4, width), classes, class_bytes, score_bytes)
    assert np.array_equal(read[0], indices)
    assert np.array_equal(read[1], scores)


def test_no_results_and_wrong_frames() -> None:
    form = FrameFormat(5, 5, 1, 1, ("a", "b", "c"), 1, 2)
    classes, scores = form.unpack(np.zeros((0, form.result_bytes), np.uint8))
    assert (classes.shape, scores.shape) == ((0,), (0, 3))
    with pytest.raises(ValueError, match="a frame has 5 codes, not 6"):
        form.pack(np.zeros((2, 6), np.uint8))
