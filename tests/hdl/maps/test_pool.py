"""Pools: windows apart, side by side and overlapping, at the bound and under stalls."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from farm import Farm

from xnorflow.compiler.geometry import Window
from xnorflow.compiler.schedule.parts import PoolOperation
from xnorflow.hdl.maps.pool import Pool, PoolParams
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

FRAMES = 12
SUM = PoolOperation.SUM

# params; overlaps, bound
POOLS = {
    "halves": (PoolParams(Window((4, 6, 5), (2, 2), (2, 2)), 1, 2), False, 72),
    "rest_dropped": (PoolParams(Window((5, 7, 3), (2, 3), (2, 3)), 3, 3), False, 35),
    "apart": (PoolParams(Window((7, 6, 2), (1, 2), (3, 3)), 7, 1), False, 84),
    "rows": (PoolParams(Window((4, 3, 4), (2, 1), (2, 1)), 3, 4), False, 12),
    "whole": (PoolParams(Window((3, 4, 5), (3, 4), (1, 1)), 3, 2), False, 36),
    "pixel": (PoolParams(Window((2, 3, 2), (1, 1), (1, 1)), 15, 2), False, 6),
    "overlap": (PoolParams(Window((5, 5, 3), (3, 3), (2, 2)), 3, 2), True, 72),
    "overlap_wide": (PoolParams(Window((4, 5, 4), (2, 2), (1, 1)), 1, 4), True, 48),
    "overlap_rows": (PoolParams(Window((6, 2, 3), (3, 1), (2, 2)), 255, 2), True, 24),
    # counts of an engine, which are no powers of two
    "counts": (PoolParams(Window((4, 4, 3), (2, 2), (2, 2)), 577, 1), False, 48),
    # the codes of descending neurons: within a beat, over several, with pad elements
    "least": (PoolParams(Window((4, 4, 5), (2, 2), (2, 2)), 1, 2, least=frozenset({0, 3, 4})), False, 48),
    "least_of_codes": (PoolParams(Window((4, 4, 4), (2, 2), (2, 2)), 2, 4, least=frozenset({1, 2})), False, 16),
    "least_overlap": (PoolParams(Window((5, 4, 5), (3, 2), (2, 1)), 7, 2, least=frozenset({1, 2, 4})), True, 108),
    "least_everywhere": (PoolParams(Window((5, 4, 2), (3, 2), (2, 1)), 1, 2, least=frozenset({0, 1})), True, 36),
    "sum": (PoolParams(Window((4, 6, 5), (2, 2), (2, 2)), 1, 2, SUM), False, 72),
    "sum_of_three": (PoolParams(Window((3, 6, 2), (3, 1), (3, 1)), 2, 2, SUM), False, 18),
    "sum_global": (PoolParams(Window((3, 4, 5), (3, 4), (3, 4)), 255, 3, SUM), False, 24),
    "sum_overlap": (PoolParams(Window((5, 4, 3), (3, 2), (2, 1)), 15, 2, SUM), True, 72),
}


def maps_of(params: PoolParams) -> np.ndarray:
    """Random maps; of the first all numbers are 0, of the second the largest."""
    rng = np.random.default_rng(sum(params.window.input))
    maps = rng.integers(0, params.largest + 1, (FRAMES, *params.window.input))
    maps[0], maps[1] = 0, params.largest
    return maps


def case_of(params: PoolParams) -> dict[str, object]:
    maps = maps_of(params)
    channels = params.channels
    pixels = [m.reshape(-1, channels).tolist() for m in maps]
    beats = params.reference(maps)
    return {
        "sources": {"i": [[b for p in frame for b in pack_frame(p, params.lanes, params.bits)] for frame in pixels]},
        "sinks": {"o": beats},
        "frame_beats": len(beats) // FRAMES,
        "bound": params.bound,
        "warm_up": 2,
    }


def test_equals_its_reference(tmp_path: Path) -> None:
    parts = {name: Pool(params) for name, (params, _, _) in POOLS.items()}
    cases = {name: case_of(params) for name, (params, _, _) in POOLS.items()}
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    run_bench(Farm(parts), "bench_streams", build_dir=tmp_path, name="farm", parameters={"cases": str(file)})


@pytest.mark.parametrize("operation", [*PoolOperation, "least"])
def test_reference_against_a_loop(operation: PoolOperation | str) -> None:
    least = frozenset({1}) if operation == "least" else frozenset()
    params = PoolParams(Window((4, 5, 3), (2, 3), (1, 2)), 15, 2, SUM if operation is SUM else PoolOperation.MAX, least)
    maps = maps_of(params)[:4]
    expected = []
    for image in maps.tolist():
        for y in range(3):
            for x in range(2):
                taps = list(params.window.taps(y, x))
                numbers = [[image[row][column][channel] for row, column in taps] for channel in range(3)]
                pixel = [sum(n) if operation is SUM else max(n) for n in numbers]
                if operation == "least":
                    pixel[1] = min(numbers[1])
                expected += pack_frame(pixel, 2, params.output_bits)
    assert params.reference(maps) == expected


@pytest.mark.parametrize("name", POOLS)
def test_bound(name: str) -> None:
    params, overlaps, bound = POOLS[name]
    assert (params.window.overlaps, params.bound) == (overlaps, bound)


def test_bits_of_a_sum() -> None:
    params = PoolParams(Window((7, 7, 2), (7, 7), (1, 1)), 2, 1, SUM)
    assert (params.bits, params.output_largest, params.output_bits) == (2, 98, 7)


def test_refuses() -> None:
    params = PoolParams(Window((4, 4, 2), (2, 2), (2, 2)), 1, 1)
    for window in (Window((4, 4, 1), (2, 2), padding=(1, 0)), Window((4, 4, 1), (2, 2), dilation=(1, 2))):
        with pytest.raises(ValueError, match="windows without padding and dilation"):
            replace(params, window=window)
    with pytest.raises(ValueError, match="lanes must be a positive integer, not 0"):
        replace(params, lanes=0)
    with pytest.raises(ValueError, match=r"least must be channels 0..1 of a maximum, not \[2\]"):
        replace(params, least=frozenset({2}))
    with pytest.raises(ValueError, match=r"of a maximum, not \[0\]"):
        replace(params, least=frozenset({0}), operation=SUM)
