import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xnorflow.compiler.geometry import PAD, Window
from xnorflow.errors import UsageError


@st.composite
def windows(draw: st.DrawFn) -> Window:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    side = st.integers(0, 3)
    padding = draw(st.tuples(side, side) | st.tuples(side, side, side, side))
    try:
        return Window(shape, kernel, stride, padding, dilation)
    except UsageError:
        assume(False)
        raise


def test_the_published_cnv_geometry():
    window = Window((32, 32, 3), (3, 3))
    assert (window.output, window.positions, window.columns) == ((30, 30), 900, 27)


def test_a_border_of_four_sides():
    window = Window((5, 7, 2), (2, 4), padding=(0, 1, 1, 2))
    assert (window.border, window.padded, window.output) == ((0, 1, 1, 2), (6, 10), (5, 7))
    assert list(window.taps(4, 0))[4:6] == [(5, -1), (5, 0)]
    assert Window((5, 7, 2), (3, 3), padding=(1, 0)).border == (1, 0, 1, 0)


def test_a_dilated_padded_strided_window():
    window = Window((5, 7, 2), (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 3))
    assert (window.span, window.padded, window.output, window.columns) == ((3, 4), (7, 7), (3, 4), 12)
    assert list(window.taps(0, 1)) == [(-1, 1), (-1, 4), (0, 1), (0, 4), (1, 1), (1, 4)]


@settings(deadline=None, max_examples=80)
@given(windows())
def test_patches_pixels_and_taps_are_one_order(window: Window):
    height, width, channels = window.input
    maps = np.random.default_rng(0).integers(0, 200, (2, height, width, channels)).astype(np.uint8)
    patches = window.patches(maps, 255)
    assert patches.shape == (2, *window.output, *window.kernel, channels)
    pixels = window.pixels().reshape(*window.output, -1)
    rows, columns = window.output
    for y in range(rows):
        for x in range(columns):
            for tap, (row, column) in enumerate(window.taps(y, x)):
                inside = 0 <= row < height and 0 <= column < width
                assert pixels[y, x, tap] == (row * width + column if inside else PAD)
                ky, kx = divmod(tap, window.kernel[1])
                expected = maps[:, row, column] if inside else np.full((2, channels), 255)
                assert np.array_equal(patches[:, y, x, ky, kx], expected)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            {"input": (0, 4, 1)},
            r"input must be \(height, width, channels\) of whole numbers from 1 up, not \(0, 4, 1\)",
        ),
        ({"kernel": (3,)}, r"kernel must be \(vertical, horizontal\)"),
        ({"stride": (1, 0)}, r"stride must be .* from 1 up, not \(1, 0\)"),
        ({"padding": (-1, 0)}, r"padding must be .* from 0 up"),
        ({"padding": (1, 0, 1)}, r"padding must be .* from 0 up, not \(1, 0, 1\)"),
        ({"padding": (0, 0, 0, 3)}, r"padding \(0, 0, 0, 3\) must be less than the window's extent \(3, 3\)"),
        ({"padding": (3, 0)}, r"padding \(3, 0\) must be less than the window's extent \(3, 3\)"),
        ({"dilation": (2, 1)}, r"a window of \(5, 3\) pixels does not fit into \(4, 4\), padding included"),
    ],
)
def test_impossible_windows_are_refused(arguments: dict, complaint: str):
    with pytest.raises(UsageError, match=complaint):
        Window(**({"input": (4, 4, 1), "kernel": (3, 3)} | arguments))
