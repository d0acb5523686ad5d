"""Sums and concatenations of streams: every encoding, padded beats, stalls on every port, one beat a cycle."""

import json
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from farm import Farm

from xnorflow.compiler.schedule.parts import AddPart, ConcatPart
from xnorflow.compiler.types import CodeType, Encoding
from xnorflow.hdl.streams.join import StreamAdd, StreamConcat
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

FRAMES = 12

# kinds of the operands; pixels, size, lanes; step, bits of a sum
ADDS = {
    "binary": (((1, Encoding.BIPOLAR), (1, Encoding.BIPOLAR)), (3, 5, 2), (2, 2)),
    "signed": (((4, Encoding.SIGNED), (4, Encoding.SIGNED)), (4, 3, 3), (1, 5)),
    "three": (((2, Encoding.UNSIGNED), (3, Encoding.UNSIGNED), (1, Encoding.UNSIGNED)), (2, 4, 3), (1, 4)),
    # bipolar codes are two steps apart where the other operand's are one
    "mixed": (((3, Encoding.BIPOLAR), (2, Encoding.TERNARY)), (2, 3, 1), (1, 5)),
    "wide": (((8, Encoding.BIPOLAR), (2, Encoding.BIPOLAR)), (1, 7, 4), (2, 9)),
    # no multiple of the code: a table
    "powers": (((3, Encoding.LOG), (2, Encoding.LOG_UNSIGNED)), (3, 2, 2), (1, 5)),
    "alone": (((2, Encoding.SIGNED),), (2, 5, 2), (1, 2)),
}

# sizes, bits, pixels, lanes
CONCATS = {
    "two": ((4, 6), 2, 3, 2),
    "rest": ((3, 6, 4), 1, 4, 3),
    "single_beats": ((2, 2, 1), 3, 5, 2),
    "one_pixel": ((5, 7), 1, 1, 5),
    "alone": ((3,), 2, 4, 2),
}


def add_part(name: str) -> AddPart:
    kinds, (pixels, size, lanes), _ = ADDS[name]
    return AddPart(name, tuple(CodeType((pixels, size), *kind) for kind in kinds), pixels, size, lanes)


def beats(pixels: np.ndarray, lanes: int, bits: int) -> list[int]:
    """Of pixels (P, E), each in beats of its own."""
    return [beat for pixel in pixels.tolist() for beat in pack_frame(pixel, lanes, bits)]


def add_case(name: str) -> tuple[StreamAdd, dict[str, object]]:
    part = add_part(name)
    unit, rng = StreamAdd(part), np.random.default_rng(len(name))
    operands = [rng.integers(0, kind.max_code + 1, (FRAMES * part.pixels, part.size)) for kind in part.operands]
    sums = beats(unit.reference(operands), part.lanes, part.most.bit_length())
    sources = {
        f"i{k}": [beats(codes, part.lanes, kind.bits)]
        for k, (codes, kind) in enumerate(zip(operands, part.operands, strict=True))
    }
    frame = part.cycles
    return unit, {"sources": sources, "sinks": {"o": sums}, "frame_beats": frame, "bound": frame, "latency": 1}


def concat_case(name: str) -> tuple[StreamConcat, dict[str, object]]:
    sizes, bits, pixels, lanes = CONCATS[name]
    part = ConcatPart(name, sizes, bits, pixels, lanes)
    whole = np.random.default_rng(len(name)).integers(0, 1 << bits, (FRAMES * pixels, sum(sizes)))
    operands = np.split(whole, list(accumulate(sizes))[:-1], axis=1)
    sources = {f"i{k}": [beats(codes, lanes, bits)] for k, codes in enumerate(operands)}
    case = {"sources": sources, "sinks": {"o": beats(whole, lanes, bits)}}
    return StreamConcat(part), {**case, "frame_beats": part.cycles, "bound": part.cycles, "latency": 1}


def test_equals_its_reference(tmp_path: Path) -> None:
    made = {f"add_{name}": add_case(name) for name in ADDS} | {f"cat_{name}": concat_case(name) for name in CONCATS}
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({name: case for name, (_, case) in made.items()}))
    parts = {name: part for name, (part, _) in made.items()}
    run_bench(Farm(parts), "bench_streams", build_dir=tmp_path, name="farm", parameters={"cases": str(file)})


@pytest.mark.parametrize("name", ADDS)
def test_sums_are_steps_above_the_least(name: str) -> None:
    part, (step, bits) = add_part(name), ADDS[name][2]
    assert (part.step, part.most.bit_length()) == (step, bits)
    rng = np.random.default_rng(3)
    operands = [rng.integers(0, kind.max_code + 1, (40, part.size)) for kind in part.operands]
    values = sum(kind.values(codes) for kind, codes in zip(part.operands, operands, strict=True))
    sums = StreamAdd(part).reference(operands)
    np.testing.assert_array_equal(part.step * sums + sum(kind.lo for kind in part.operands), values)
    assert sums.min() >= 0 and sums.max() <= part.most


def test_beats_that_span_two_operands_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^2 lanes do not divide \(3,\)$"):
        StreamConcat(ConcatPart("cat", (3, 4), 1, 1, 2))
