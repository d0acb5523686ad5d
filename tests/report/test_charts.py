import base64
import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xnorflow.report.charts import Series, image_uri, line_chart, nice_ticks

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(FINITE, FINITE)
def test_ticks_cover_the_data_in_equal_steps(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    ticks = nice_ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), 1.0)
    assert ticks[0] <= low + slack and ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 8
    assert np.allclose(np.diff(ticks), ticks[1] - ticks[0], rtol=1e-3)


def test_a_chart_is_well_formed_and_draws_every_point() -> None:
    points = [(1.0, 50.0), (2.0, 80.0), (3.0, 90.0)]
    chart = line_chart([Series("a < b", "--one", points)], x_label="epoch", y_label="%", marker=(2, "best & last"))
    tree = ElementTree.fromstring(str(chart))
    (line,) = tree.iter("polyline")
    places = [tuple(map(float, place.split(","))) for place in line.attrib["points"].split()]
    assert len(places) == 3
    assert places[0][0] < places[1][0] < places[2][0]
    assert places[0][1] > places[1][1] > places[2][1]  # y grows downwards
    texts = [text.text for text in tree.iter("text")]
    assert "a < b" in texts and "best & last" in texts


def test_one_epoch_is_a_chart_too() -> None:
    ElementTree.fromstring(str(line_chart([Series("x", "--one", [(1, 5)])], x_label="x", y_label="y")))


def test_a_chart_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        line_chart([], x_label="x", y_label="y")


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (32, 32, 3)])
def test_an_image_comes_back_from_its_uri(shape: tuple[int, ...]) -> None:
    sample = np.arange(np.prod(shape)).reshape(shape)
    kind, data = image_uri(sample).split(",")
    assert kind == "data:image/png;base64"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert pixels.shape == shape
    assert pixels.min() == 0 and pixels.max() == 255


def test_a_blank_image_is_black() -> None:
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image_uri(np.full((4, 4), 7)).split(",")[1]))))
    assert not pixels.any()
