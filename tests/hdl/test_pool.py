"""Maximum pooling: windows apart, side by side and overlapping, at the bound and under stalls."""

import json
from pathlib import Path

import numpy as np
import pytest
from farm import Farm

from xnorflow.compiler.geometry import Window
from xnorflow.hdl.pool import MaxPool
from xnorflow.hdl.stream import pack_frame
from xnorflow.sim.component import run_bench

FRAMES = 12

# window; bits, lanes; overlaps, bound
POOLS = {
    "halves": (Window((4, 6, 5), (2, 2), (2, 2)), 1, 2, False, 72),
    "rest_dropped": (Window((5, 7, 3), (2, 3), (2, 3)), 2, 3, False, 35),
    "apart": (Window((7, 6, 2), (1, 2), (3, 3)), 3, 1, False, 84),
    "rows": (Window((4, 3, 4), (2, 1), (2, 1)), 2, 4, False, 12),
    "whole": (Window((3, 4, 5), (3, 4), (1, 1)), 2, 2, False, 36),
    "pixel": (Window((2, 3, 2), (1, 1), (1, 1)), 4, 2, False, 6),
    "overlap": (Window((5, 5, 3), (3, 3), (2, 2)), 2, 2, True, 72),
    "overlap_wide": (Window((4, 5, 4), (2, 2), (1, 1)), 1, 4, True, 48),
    "overlap_rows": (Window((6, 2, 3), (3, 1), (2, 2)), 8, 2, True, 24),
}


def case_of(part: MaxPool, window: Window, bits: int, lanes: int) -> dict[str, object]:
    rng = np.random.default_rng(sum(window.input))
    maps = rng.integers(0, 1 << bits, (FRAMES, *window.input), dtype=np.uint8)
    frames = [[b for p in m.reshape(-1, m.shape[-1]).tolist() for b in pack_frame(p, lanes, bits)] for m in maps]
    beats = part.reference(maps)
    return {
        "sources": {"i": frames},
        "sinks": {"o": beats},
        "frame_beats": len(beats) // FRAMES,
        "bound": part.bound,
        "warm_up": 2,
    }


def test_equals_its_reference(tmp_path: Path) -> None:
    parts = {name: MaxPool(window, bits, lanes=lanes) for name, (window, bits, lanes, _, _) in POOLS.items()}
    cases = {name: case_of(parts[name], *POOLS[name][:3]) for name in POOLS}
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    run_bench(Farm(parts), "bench_streams", build_dir=tmp_path, name="farm", parameters={"cases": str(file)})


def test_reference_against_a_loop() -> None:
    window = Window((4, 5, 3), (2, 3), (1, 2))
    maps = np.random.default_rng(1).integers(0, 16, (2, 4, 5, 3), dtype=np.uint8)
    expected = []
    for image in maps.tolist():
        for y in range(3):
            for x in range(2):
                taps = list(window.taps(y, x))
                pixel = [max(image[row][column][channel] for row, column in taps) for channel in range(3)]
                expected += pack_frame(pixel, 2, 4)
    assert MaxPool(window, 4, lanes=2).reference(maps) == expected


@pytest.mark.parametrize("name", POOLS)
def test_bound(name: str) -> None:
    window, bits, lanes, overlaps, bound = POOLS[name]
    part = MaxPool(window, bits, lanes=lanes)
    assert (window.overlaps, part.bound) == (overlaps, bound)


@pytest.mark.parametrize(
    "window", [Window((4, 4, 1), (2, 2), padding=(1, 0)), Window((4, 4, 1), (2, 2), dilation=(1, 2))]
)
def test_refuses(window: Window) -> None:
    with pytest.raises(ValueError, match="windows without padding and dilation"):
        MaxPool(window, 1, lanes=1)
