"""The sliding-window unit: every geometry, at exactly the model's cycles with the chosen depth and one less."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from farm import Farm
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xnorflow.compiler.geometry import PAD, Window
from xnorflow.errors import HardwareError
from xnorflow.hdl.maps.window import SlidingWindow
from xnorflow.hdl.maps.window_model import WindowParams, frame_cycles, least_depth
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

FRAMES = 12
WARM_UP = 3  # frames until the line buffer's level repeats

# input, kernel, stride, padding, dilation; bits, simd, pad code, blocks
GEOMETRIES = {
    "plain": WindowParams(Window((5, 6, 3), (3, 3)), 2, 3),
    "beats": WindowParams(Window((4, 5, 5), (2, 3)), 1, 2),
    "same": WindowParams(Window((5, 4, 2), (3, 3), padding=(1, 1)), 2, 2, 3),
    "short": WindowParams(Window((5, 4, 5), (3, 3), (2, 1), (1, 1)), 2, 3, 1),
    "strided": WindowParams(Window((9, 7, 2), (3, 2), (2, 3)), 1, 2),
    "gaps": WindowParams(Window((8, 9, 1), (2, 1), (3, 4)), 3, 1),
    "dilated": WindowParams(Window((7, 6, 2), (3, 2), (1, 1), (2, 1), (2, 3)), 1, 2, 1),
    "dilated_strided": WindowParams(Window((9, 8, 1), (2, 3), (2, 2), (1, 2), (3, 2)), 1, 1, 1),
    "pointwise": WindowParams(Window((4, 3, 4), (1, 1)), 1, 2),
    "pointwise_strided": WindowParams(Window((5, 6, 2), (1, 1), (2, 2)), 1, 2),
    "whole": WindowParams(Window((3, 4, 2), (3, 4)), 1, 1),
    "row": WindowParams(Window((1, 12, 2), (1, 5), (1, 2), (0, 2)), 1, 2, 1),
    "column": WindowParams(Window((12, 1, 2), (4, 1), (3, 1), (2, 0)), 1, 2, 1),
    "four_sides": WindowParams(Window((5, 4, 3), (2, 4), (1, 1), (0, 1, 1, 2)), 2, 2, 2),
    "below": WindowParams(Window((4, 6, 2), (2, 3), (2, 1), (0, 0, 1, 2)), 2, 2, 1, blocks=1),
    "mostly_padding": WindowParams(Window((2, 1, 1), (3, 2), (1, 1), (2, 2), (1, 2)), 2, 1, 2),
    "by_channel": WindowParams(Window((5, 4, 5), (3, 3), (2, 2), (1, 1)), 2, 2, 0, blocks=3),
    "by_channel_padded": WindowParams(Window((5, 5, 3), (2, 3), (1, 2), (1, 0)), 2, 2, 3, blocks=2),
    "grouped": WindowParams(Window((5, 4, 12), (2, 3), (1, 1), (1, 1), (1, 1)), 2, 2, 1, blocks=3),
}


def case_of(params: WindowParams, depth: int) -> dict[str, object]:
    height, width, channels = params.window.input
    rng = np.random.default_rng(height * width + channels)
    maps = rng.integers(0, 1 << params.bits, (FRAMES, height, width, channels), dtype=np.uint8)
    frames = [
        [b for p in m.reshape(-1, channels).tolist() for b in pack_frame(p, params.simd, params.bits)] for m in maps
    ]
    return {
        "sources": {"i": frames},
        "sinks": {"o": params.reference(maps)},
        "frame_beats": params.beats_out,
        "bound": frame_cycles(params, depth),
        "warm_up": WARM_UP,
    }


@pytest.mark.parametrize("names", [list(GEOMETRIES)[::2], list(GEOMETRIES)[1::2]], ids=["even", "odd"])
def test_equals_its_reference(names: list[str], tmp_path: Path) -> None:
    """Each geometry with the depth that sustains its bound, and with one less, where the model says how much slower."""
    parts, cases = {}, {}
    for name in names:
        params = GEOMETRIES[name]
        enough, least = least_depth(params), params.least_working_depth
        assert frame_cycles(params, enough) == params.bound
        assert enough == least or frame_cycles(params, enough - 1) > params.bound
        for depth in {enough, max(enough - 1, least)}:
            parts[f"{name}_{depth}"] = SlidingWindow(params, depth=depth)
            cases[f"{name}_{depth}"] = case_of(params, depth)
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    run_bench(Farm(parts), "bench_streams", build_dir=tmp_path, name="farm", parameters={"cases": str(file)})


windows = st.builds(
    lambda size, kernel, stride, padding, dilation, end, channels: (
        size,
        kernel,
        stride,
        (*padding, *end),
        dilation,
        channels,
    ),
    *[st.tuples(*[st.integers(low, high)] * 2) for low, high in ((1, 7), (1, 3), (1, 3), (0, 2), (1, 3), (0, 2))],
    st.integers(1, 8),
)


def params_of(drawn: tuple[tuple[int, int], ...], channels: int, blocks: int = 1) -> WindowParams:
    size, kernel, stride, padding, dilation = drawn
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple(min(p, s - 1) for p, s in zip(padding, span * 2, strict=True))
    size = tuple(max(n, s - p - e, 1) for n, s, p, e in zip(size, span, padding[:2], padding[2:], strict=True))
    window = Window((*size, channels), kernel, stride, padding, dilation)
    assume((window.pixels() != PAD).any())
    assume(-(-channels // 2) % blocks == 0)
    return WindowParams(window, 2, 2, 1, blocks)


@settings(deadline=None, max_examples=150)
@given(windows, st.integers(1, 2))
def test_tails_and_places(drawn: tuple, blocks: int) -> None:
    """Nothing below a window's tail is read from there on; steps lead from each read to the next."""
    *geometry, channels = drawn
    params = params_of(tuple(geometry), channels, blocks)
    reads, tails = params.reads, params.tails
    assert (np.diff(tails) >= 0).all() and tails[-1] == tails[0] + params.beats_in
    later = np.where(reads == PAD, tails[-1], reads).min(axis=1)[::-1]
    assert (np.minimum.accumulate(later)[::-1] >= tails[:-1]).all()
    position, visited = params.start, []
    counts = [count for count, _ in params.loops]
    for index in range(params.beats_out):
        visited.append(position)
        level, rest = 0, index
        while level < len(counts) and rest % counts[level] == counts[level] - 1:
            rest //= counts[level]
            level += 1
        position += params.steps[level]
    assert position == params.start + params.beats_in
    flat = reads.ravel()
    assert (np.array(visited)[flat != PAD] == flat[flat != PAD]).all()


@settings(deadline=None, max_examples=60)
@given(windows, st.integers(0, 60))
def test_least_depth_is_the_least(drawn: tuple, slack: int) -> None:
    *geometry, channels = drawn
    params = params_of(tuple(geometry), channels)
    target = params.bound + slack
    depth = least_depth(params, target)
    assert frame_cycles(params, depth) <= target
    if depth > params.least_working_depth:
        assert frame_cycles(params, depth - 1) > target


def test_the_bound_is_the_busier_side() -> None:
    assert GEOMETRIES["plain"].bound == 12 * 9
    assert GEOMETRIES["gaps"].bound == 8 * 9
    params = WindowParams(Window((32, 32, 1), (3, 3)), 1, 1)
    assert (params.bound, params.least_working_depth) == (8100, 67)
    assert [frame_cycles(params, depth) for depth in (67, 125, 126)] == [8159, 8101, 8100]
    assert least_depth(params) == 126


def test_refuses() -> None:
    params = GEOMETRIES["plain"]
    with pytest.raises(HardwareError, match="a line buffer of 14 beats never holds a window; 15 would"):
        SlidingWindow(params, depth=params.least_working_depth - 1)
    with pytest.raises(HardwareError, match="a line buffer of 1 beats never holds"):
        frame_cycles(params, 1)
    with pytest.raises(ValueError, match="simd must be a positive integer, not 0"):
        replace(params, simd=0)
    with pytest.raises(ValueError, match="2 blocks do not divide a pixel of 1 beats"):
        replace(params, blocks=2)
    with pytest.raises(HardwareError, match="every window is padding"):
        WindowParams(Window((3, 1, 1), (1, 2), (1, 1), (0, 1), (1, 2)), 1, 1)
    with pytest.raises(HardwareError, match="pad code 4 does not fit into 2 bits"):
        replace(params, pad_code=4)
