"""Depths of line buffers for the whole chain: the pace of the input, of engines and of pools."""

import pytest
from random_conv_networks import Conv, random_conv_network

from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.ir import IntegerNetwork
from xnorflow.compiler.schedule.parts import WindowPart
from xnorflow.compiler.schedule.plan import plan_parts
from xnorflow.errors import HardwareError
from xnorflow.hdl.maps.line_depths import line_depths, window_params


def depths(network: IntegerNetwork, interval: int, **folds: tuple[int, int]) -> tuple[list[int], list[int]]:
    """What the chain takes, and the least that works at all."""
    plan = plan_parts(network, Folding({name: LayerFold(*fold) for name, fold in folds.items()}))
    windows = [part for part in plan.parts if isinstance(part, WindowPart)]
    found = line_depths(plan, interval)
    assert list(found) == [part.name for part in windows]
    return list(found.values()), [window_params(part).least_working_depth for part in windows]


def test_a_window_that_reads_all_the_time() -> None:
    """32 x 32, 3 x 3: two rows and three pixels wait for the first window, as many come while the last ones go."""
    network = random_conv_network((32, 32, 1), [Conv(2, (3, 3))], (2,))
    (depth,), (least,) = depths(network, 8100, conv0=(2, 1), dense0=(1, 4))
    assert (least, depth) == (67, 133)


def test_time_to_spare_takes_less() -> None:
    network = random_conv_network((12, 12, 2), [Conv(2, (3, 3)), Conv(2, (3, 3))], (2,))
    folds = {"conv0": (1, 2), "conv1": (1, 2), "dense0": (1, 2)}
    busy, least = depths(network, 1800, **folds)
    idle, _ = depths(network, 10 * 1800, **folds)
    assert all(a <= b for a, b in zip(idle, busy, strict=True)) and sum(idle) < sum(busy)
    assert all(a <= b for a, b in zip(least, idle, strict=True))


def test_an_interval_below_a_bound_is_refused() -> None:
    network = random_conv_network((6, 6, 1), [Conv(2, (3, 3))], (2,))
    with pytest.raises(HardwareError, match="^the parts do not keep 287 cycles a frame, whatever their buffers$"):
        depths(network, 287, conv0=(1, 1), dense0=(1, 4))
    assert depths(network, 288, conv0=(1, 1), dense0=(1, 4))[0][0] > 0


def test_a_pool_sends_in_bursts() -> None:
    """Behind a pool a row of pixels comes while the engine is busy with the rows before; without it one by one."""
    pooled = random_conv_network((10, 10, 2), [Conv(2, (3, 3), pool_codes=((2, 2), (2, 2))), Conv(16, (3, 3))], (2,))
    found, least = depths(pooled, 1152, conv0=(1, 2), conv1=(1, 1), dense0=(1, 1))
    assert found[1] > least[1]
