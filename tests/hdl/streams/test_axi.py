"""The accelerator's boundary: frames that are too short, too long and right; results to bytes."""

import json
import random
from pathlib import Path

import pytest
from amaranth.lib import wiring
from farm import Farm

from xnorflow.hdl.streams.axi import Admission, InputAdapter, OutputAdapter, data_width, result_layout
from xnorflow.hdl.streams.stream import frame_beats
from xnorflow.sim.component import run_bench

# elements, bits, lanes
INPUTS = [(12, 1, 4), (10, 3, 4), (5, 8, 1), (7, 2, 16), (33, 1, 8)]
# classes, bits of a score
OUTPUTS = [(10, 13), (10, None), (1, 8), (300, 5), (2, 17)]


def write(tmp_path: Path, cases: object) -> dict[str, str]:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    return {"cases": str(file)}


def test_input_equals_its_reference(tmp_path: Path) -> None:
    """Right frames come at full speed; frames of any length yield one frame each, under stalls and without."""
    generator = random.Random(1)
    parts: dict[str, wiring.Component] = {}
    cases: dict[str, object] = {}
    for number, (elements, bits, lanes) in enumerate(INPUTS):
        beats = frame_beats(elements, lanes)
        right = [beats] * 10
        ragged = [generator.choice((1, max(1, beats - 1), beats, beats + 1, beats + 5)) for _ in range(30)]
        for kind, sizes in (("right", right), ("ragged", ragged)):
            part = InputAdapter(elements, bits, lanes=lanes)
            frames = [[generator.getrandbits(data_width(lanes * bits)) for _ in range(size)] for size in sizes]
            admitted = part.reference(frames).beats
            assert len(admitted) == beats * len(frames)
            case = {"sources": {"s_axis": frames}, "sinks": {"o": admitted}}
            speed = {"frame_beats": beats, "bound": beats, "latency": 1} if kind == "right" else {}
            parts[f"{kind}_{number}"], cases[f"{kind}_{number}"] = part, case | speed
    run_bench(Farm(parts), "bench_streams", build_dir=tmp_path, name="farm", parameters=write(tmp_path, cases))


def test_input_counts_the_frames_of_sequences(tmp_path: Path) -> None:
    """TLAST ends a sequence after whole frames or in the midst of one, which is filled up."""
    generator = random.Random(4)
    parts: dict[str, wiring.Component] = {}
    cases: dict[str, object] = {}
    for number, (elements, bits, lanes) in enumerate(INPUTS):
        parts[f"c{number}"] = part = InputAdapter(elements, bits, lanes=lanes, sequences=True)
        width, beats = data_width(lanes * bits), frame_beats(elements, lanes)
        sizes = [generator.choice((beats, 4 * beats, generator.randrange(1, 4 * beats + 1))) for _ in range(15)]
        sequences = [[generator.getrandbits(width) for _ in range(size)] for size in sizes]
        admitted, flags = part.sequences_reference(sequences)
        assert sum(flags) == 15 and len(admitted) == beats * len(flags)
        cases[f"c{number}"] = {"sources": {"s_axis": sequences}, "sinks": {"o": admitted, "ends": flags}}
    run_bench(Farm(parts), "bench_streams", build_dir=tmp_path, name="farm", parameters=write(tmp_path, cases))


def test_status_bits_stay(tmp_path: Path) -> None:
    run_bench(InputAdapter(9, 2, lanes=3), "bench_axi_status", build_dir=tmp_path, name="adapter")


def test_input_reference_fills_and_drops() -> None:
    part = InputAdapter(5, 4, lanes=2)
    assert part.reference([[0x21, 0x43, 0xF5]]) == Admission([0x21, 0x43, 0x05], False, False)
    assert part.reference([[0x21]]) == Admission([0x21, 0, 0], True, False)
    assert part.reference([[1, 2, 3, 4], [5, 6, 7]]) == Admission([1, 2, 3, 5, 6, 7], False, True)


def test_output_equals_its_reference(tmp_path: Path) -> None:
    generator = random.Random(2)
    parts: dict[str, wiring.Component] = {}
    cases: dict[str, object] = {}
    for number, (classes, score_bits) in enumerate(OUTPUTS):
        part = OutputAdapter(classes, score_bits)
        payloads, expected = [], []
        for _ in range(20):
            fields: dict[str, object] = {"class_index": generator.randrange(classes)}
            scores: list[int] = []
            if score_bits is not None:
                limit = 1 << score_bits - 1
                scores = [generator.choice((-limit, limit - 1, generator.randrange(limit))) for _ in range(classes)]
                fields["scores"] = scores
            payloads.append(result_layout(classes, score_bits).const(fields).as_value().value)
            expected.append(part.reference(int(str(fields["class_index"])), scores))
        parts[f"c{number}"] = part
        case = {"sources": {"i": [payloads]}, "sinks": {"m_axis": expected}}
        cases[f"c{number}"] = case | {"frame_beats": 1, "bound": 1, "latency": 1}
    run_bench(Farm(parts), "bench_streams", build_dir=tmp_path, name="farm", parameters=write(tmp_path, cases))


def test_output_reference_pads_to_bytes() -> None:
    assert OutputAdapter(3, 5).reference(2, [-1, 3, -16]) == 0xF0_03_FF_02
    assert OutputAdapter(2, 9).reference(1, [-2, 255]) == 0x00FF_FFFE_01
    assert OutputAdapter(10, None).reference(7) == 7


@pytest.mark.parametrize("name", ["elements", "bits", "lanes"])
def test_input_refuses(name: str) -> None:
    arguments = {"elements": 4, "bits": 1, "lanes": 2, name: 0}
    with pytest.raises(ValueError, match=f"{name} must be a positive integer, not 0"):
        InputAdapter(**arguments)


def test_output_refuses() -> None:
    with pytest.raises(ValueError, match="classes must be a positive integer, not 0"):
        OutputAdapter(0, 8)
    with pytest.raises(ValueError, match="score_bits must be a positive integer, not 0"):
        OutputAdapter(2, 0)
