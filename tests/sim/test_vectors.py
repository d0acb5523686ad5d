"""Vector files against the hardware's own references, beat by beat."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import load_folding
from xnorflow.compiler.ir import IntegerNetwork
from xnorflow.hdl.dot.constants import engine_params
from xnorflow.hdl.generate import load_design
from xnorflow.hdl.streams.axi import OutputAdapter
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.interface import Interface, Stream
from xnorflow.sim.vectors import beat_bits, hex_lines, write_vectors


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_beats_are_what_the_streams_carry(elements: int, lanes: int, bits: int, seed: int) -> None:
    stream = Stream("s", "s", elements, lanes, bits, lanes * bits)
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (3, elements))
    words = hex_lines(beat_bits(codes, stream)).decode().split()
    assert {len(word) for word in words} == {-(-lanes * bits // 4)}
    assert [int(word, 16) for word in words] == [b for frame in codes for b in pack_frame(frame.tolist(), lanes, bits)]


def test_every_pixel_of_a_map_begins_on_a_beat() -> None:
    stream = Stream("s", "s", 30, 3, 2, 6, vectors=6)
    codes = np.random.default_rng(1).integers(0, 4, (3, 2, 3, 5))
    assert (stream.vector_beats, stream.beats) == (2, 12)
    words = hex_lines(beat_bits(codes.reshape(3, 30), stream)).decode().split()
    pixels = codes.reshape(-1, 5).tolist()
    assert [int(word, 16) for word in words] == [beat for pixel in pixels for beat in pack_frame(pixel, 3, 2)]


def test_a_design_s_vectors(
    network: IntegerNetwork, pristine: Path, samples: NDArray[np.uint8], tmp_path: Path
) -> None:
    interface = Interface.of(load_design(pristine).manifest)
    codes = np.concatenate([samples] * 14)  # more than one chunk
    write_vectors(network, load_folding(pristine / "folding.yaml"), interface, codes, tmp_path)
    trace = golden.run(network, codes)

    def beats(name: str) -> list[int]:
        return [int(word, 16) for word in (tmp_path / f"{name}.hex").read_text().split()]

    assert beats("input") == [beat for frame in codes for beat in pack_frame(frame.tolist(), 11, 3)]
    assert beats("tap_act0") == [beat for frame in trace["act0"] for beat in pack_frame(frame.tolist(), 6, 2)]
    stage = list(network.stages())[-1]
    params = engine_params(stage, load_folding(pristine / "folding.yaml").layers[stage.dot.name])
    counts = params.reference(trace["act1"].astype(np.uint8))
    assert beats("tap_scores") == [
        beat for frame in counts for beat in pack_frame(frame.tolist(), 7, interface.taps[-1].bits)
    ]
    output = OutputAdapter(interface.classes, interface.score_bits)
    last = 1 << interface.result_width
    answers = zip(trace.classes.tolist(), trace.scores.tolist(), strict=True)
    assert beats("result") == [last | output.reference(winner, scores) for winner, scores in answers]
