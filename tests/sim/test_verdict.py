"""Reading the bench's log: what is wrong comes first, what is missing counts, rates are those of the tail."""

from pathlib import Path

import numpy as np
import pytest

from xnorflow.sim.interface import Interface, Stream
from xnorflow.sim.results import parse_results, save_results
from xnorflow.sim.verdict import FirstMismatch, read_log, timing

INTERFACE = Interface(
    module="accelerator",
    input=Stream("input", "input", 8, 4, 1, 8),
    taps=(Stream("tap_a", "a", 6, 2, 1, 2), Stream("tap_b", "b", 2, 2, 4, 8)),
    classes=2,
    class_bits=8,
    score_bits=16,
    engines=2,
    bound=10,
    cycles=12,
)


def write(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "bench.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def frames(*cycles: int) -> list[str]:
    return [f"out {image} {cycle} 0001000200" for image, cycle in enumerate(cycles)]


def totals(result: str, a: str, b: str) -> list[str]:
    return [f"end result {result}", f"end tap_a {a}", f"end tap_b {b}"]


def test_a_clean_run(tmp_path: Path) -> None:
    cycles = [20, 29, 38, 47, *range(57, 57 + 9 * 10, 10)]
    path = write(tmp_path, "in 0 3", "in 1 8", *frames(*cycles), *totals("13 0", "39 0", "13 0"), "stop 200 137 0")
    log = read_log(path, INTERFACE, images=13, layers=True)
    assert (log.mismatches, log.first) == (0, None)
    rates = timing(log, INTERFACE)
    assert (rates.latency, rates.cycles_per_image, rates.steady) == (17, 10.0, True)


@pytest.mark.parametrize(("late", "steady"), [(0, True), (1, False)])
def test_one_late_frame_is_not_steady(late: int, steady: bool, tmp_path: Path) -> None:
    cycles = [*range(20, 150, 10), 150 + late]
    path = write(tmp_path, "in 0 3", *frames(*cycles), *totals("14 0", "42 0", "14 0"), "stop 200 151 0")
    rates = timing(read_log(path, INTERFACE, images=14, layers=True), INTERFACE)
    assert rates.steady is steady


def test_few_frames_say_nothing_of_the_rate(tmp_path: Path) -> None:
    path = write(tmp_path, "in 0 3", *frames(20, 31), *totals("2 0", "6 0", "2 0"), "stop 40 31 0")
    rates = timing(read_log(path, INTERFACE, images=2, layers=True), INTERFACE)
    assert (rates.cycles_per_image, rates.steady) == (11.0, None)


def test_the_earliest_image_and_then_the_layer_in_front_is_first(tmp_path: Path) -> None:
    wrong = ["wrong result 0 0 30 aa bb", "wrong tap_b 0 0 25 3 5", "wrong tap_a 1 0 12 1 2", "wrong tap_b 0 1 26 0 1"]
    path = write(tmp_path, *wrong, *frames(30, 40), *totals("2 1", "6 1", "2 2"), "stop 50 40 0")
    log = read_log(path, INTERFACE, images=2, layers=True)
    assert log.mismatches == 4
    assert log.first == FirstMismatch("b", "wrong", 0, 0, 25, "3", "5")
    assert str(log.first) == "wrong beat 0 of image 0 at b, cycle 25: 3 instead of 5"


def test_missing_beats_count_and_the_stream_in_front_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, *frames(30), *totals("1 0", "5 0", "1 0"), "stop 9000 33 1")
    log = read_log(path, INTERFACE, images=3, layers=True)
    assert log.mismatches == 2 + 4 + 2
    assert log.first == FirstMismatch("a", "missing", 1, 2, 33, "", "")
    assert "nothing" in str(log.first)
    alone = read_log(path, INTERFACE, images=3, layers=False)
    assert (alone.mismatches, alone.first) == (2, FirstMismatch("result", "missing", 1, 0, 33, "", ""))


def test_results_are_signed_fields(tmp_path: Path) -> None:
    results = ["ffff7fff01", "0000800000"]
    classes, scores = parse_results(results, INTERFACE)
    assert classes.tolist() == [1, 0]
    assert scores.tolist() == [[32767, -1], [-32768, 0]]
    paths = save_results(results, np.array([7, 9]), INTERFACE, tmp_path)
    assert [np.load(path).tolist() for path in paths] == [classes.tolist(), scores.tolist(), [7, 9]]
    assert [path.name for path in paths] == ["classes.npy", "scores.npy", "completions.npy"]
