"""The width converter: every road through it, whole frames and ragged ones, at the bound and under stalls."""

import json
import random
from pathlib import Path

import pytest
from farm import Farm
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.hdl.streams.converter import FrameWidthConverter
from xnorflow.hdl.streams.stream import frame_beats
from xnorflow.sim.component import run_bench

FRAMES = 12

# elements, bits, lanes in, lanes out
CASES = [
    (12, 2, 4, 4),  # nothing to do
    (10, 2, 4, 4),  # the last beat's pad elements are cleared
    (3, 3, 8, 5),  # one beat in, one out
    (24, 1, 8, 2),  # cut
    (21, 2, 8, 2),  # cut, the last beat in is cut short and the last beat out is padded
    (7, 2, 16, 3),  # cut, one beat in
    (24, 1, 2, 8),  # gathered
    (21, 2, 2, 8),  # gathered, the last group is short
    (23, 1, 4, 8),  # gathered, the last beat alone is ragged
    (7, 2, 3, 16),  # gathered, one beat out
    (48, 1, 6, 4),  # gathered to 12, cut
    (50, 2, 6, 4),  # ... with ragged ends
    (50, 1, 4, 6),
    (37, 1, 9, 2),  # the last group is one beat: the cut would idle without slack
    (40, 3, 2, 9),
    (11, 2, 7, 5),  # the least common multiple is longer than a frame
    (1, 8, 1, 1),
]


def case_of(part: FrameWidthConverter, elements: int, bits: int, lanes_in: int, lanes_out: int) -> dict[str, object]:
    generator = random.Random(elements * lanes_in + lanes_out)
    beats_in = frame_beats(elements, lanes_in)
    # Pad elements hold rubbish: whatever they are, they must not come out.
    frames = [[generator.getrandbits(lanes_in * bits) for _ in range(beats_in)] for _ in range(FRAMES)]
    return {
        "sources": {"i": frames},
        "sinks": {"o": [beat for frame in frames for beat in part.reference(frame)]},
        "frame_beats": frame_beats(elements, lanes_out),
        "bound": part.bound,
        "latency": part.latency,
    }


def test_equals_its_reference(tmp_path: Path) -> None:
    parts = {f"c{n}": FrameWidthConverter(e, b, lanes_in=i, lanes_out=o) for n, (e, b, i, o) in enumerate(CASES)}
    cases = {f"c{n}": case_of(parts[f"c{n}"], *case) for n, case in enumerate(CASES)}
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    run_bench(Farm(parts), "bench_streams", build_dir=tmp_path, name="farm", parameters={"cases": str(file)})


def test_reference_drops_and_pads() -> None:
    part = FrameWidthConverter(5, 4, lanes_in=3, lanes_out=2)
    assert part.reference([0x321, 0xF54]) == [0x21, 0x43, 0x05]
    assert part.bound == 3


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))
def test_bound_is_the_busier_side(elements: int, lanes_in: int, lanes_out: int) -> None:
    part = FrameWidthConverter(elements, 1, lanes_in=lanes_in, lanes_out=lanes_out)
    codes = [1] * elements
    beats = [sum(codes[k : k + lanes_in]) for k in range(0, elements, lanes_in)]
    assert part.bound == max(len(beats), len(part.reference([0] * len(beats))))


@pytest.mark.parametrize("name", ["elements", "bits", "lanes_in", "lanes_out"])
def test_refuses(name: str) -> None:
    arguments = {"elements": 4, "bits": 1, "lanes_in": 2, "lanes_out": 2, name: 0}
    with pytest.raises(ValueError, match=f"{name} must be a positive integer, not 0"):
        FrameWidthConverter(**arguments)
