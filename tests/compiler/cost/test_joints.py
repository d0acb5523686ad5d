import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.compiler.cost.joints import Joint

CONVERTED = 0.5  # LUTs of a bit that a converter holds


@pytest.mark.parametrize(("sent", "luts"), [(1, 7), (7, 0), (14, 14), (3, 2 * (3 + 14) + 14)])
def test_a_map_becomes_a_vector_through_whole_pixels(sent: int, luts: int) -> None:
    joint = Joint(bits=1, senders=14, takers=70, relay=14)
    assert joint.tenths(np.array([sent]), 7) == 10 * CONVERTED * luts  # 3 do not divide a pixel of 14
    assert Joint(bits=1, senders=14, takers=70).tenths(np.array([3]), 7) == 10 * CONVERTED * 20


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([None, 6, 12]), st.data())
@settings(max_examples=100, deadline=None)
def test_how_much_dearer_a_beat_can_be(senders: int, takers: int, relay: int | None, data: st.DataObject) -> None:
    joint = Joint(2, relay or senders, takers, relay)
    on_left, on_right = np.arange(1, joint.senders + 1), range(1, takers + 1)
    table = np.stack([joint.tenths(on_left, taken) for taken in on_right], axis=1)
    for costs in (table, table.T):
        beat, other = (data.draw(st.integers(1, len(costs))) for _ in range(2))
        bound = int(joint.most_dearer(np.array([beat]), np.array([other]))[0])
        dearer = costs[beat - 1] - costs[other - 1]
        assert dearer.max() <= bound
