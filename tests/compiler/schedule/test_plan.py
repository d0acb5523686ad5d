"""The parts of an accelerator in stream order, their beats and bounds."""

import numpy as np
import pytest
from random_conv_networks import Conv, random_conv_network

from xnorflow.compiler.folds.folding import Folding, LayerFold, check_folding
from xnorflow.compiler.folds.solver import default_folding, fold_for_cycles
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.compiler.schedule.cycles import fold_table, initiation_interval
from xnorflow.compiler.schedule.parts import ConverterPart, InputPart, PoolOperation, PoolPart, StageKind, WindowPart
from xnorflow.compiler.schedule.plan import plan_parts
from xnorflow.errors import HardwareError, UsageError

HALVES = ((2, 2), (2, 2))
PIXELS = (8, Encoding.UNSIGNED)


def cnv() -> tuple[IntegerNetwork, Folding]:
    convs = [Conv(channels, (3, 3), pool_codes=pool) for channels, pool in
             ((64, None), (64, HALVES), (128, None), (128, HALVES), (256, None), (256, None))]  # fmt: skip
    network = random_conv_network((32, 32, 3), convs, (512, 512, 10), source=PIXELS)
    published = ((16, 3), (32, 32), (16, 32), (16, 32), (4, 32), (1, 32), (1, 4), (1, 8), (4, 1))
    names = [stage.dot.name for stage in network.stages()]
    return network, Folding({name: LayerFold(*fold) for name, fold in zip(names, published, strict=True)})


def test_published_cnv_folding_takes_32768_cycles() -> None:
    network, folding = cnv()
    assert [(part.name, part.kind, part.cycles) for part in plan_parts(network, folding).parts] == [
        ("image", StageKind.INPUT, 1024),
        ("conv0 window", StageKind.WINDOW, 900 * 9),
        ("conv0", StageKind.ENGINE, 900 * 4 * 9),
        ("conv0 to conv1", StageKind.CONVERTER, 900 * 4),
        ("conv1 window", StageKind.WINDOW, 784 * 9 * 2),
        ("conv1", StageKind.ENGINE, 784 * 2 * 18),
        ("code_pool1", StageKind.POOL, 784 * 2),
        ("conv2 window", StageKind.WINDOW, 144 * 9 * 2),
        ("conv2", StageKind.ENGINE, 144 * 8 * 18),
        ("conv2 to conv3", StageKind.CONVERTER, 144 * 8),
        ("conv3 window", StageKind.WINDOW, 100 * 9 * 4),
        ("conv3", StageKind.ENGINE, 100 * 8 * 36),
        ("code_pool3", StageKind.POOL, 100 * 8),
        ("code_pool3 to conv4", StageKind.CONVERTER, 25 * 8),
        ("conv4 window", StageKind.WINDOW, 9 * 9 * 4),
        ("conv4", StageKind.ENGINE, 9 * 64 * 36),
        ("conv4 to conv5", StageKind.CONVERTER, 9 * 64),
        ("conv5 window", StageKind.WINDOW, 9 * 8),
        ("conv5", StageKind.ENGINE, 256 * 72),
        ("conv5 to dense0", StageKind.CONVERTER, 256),
        ("dense0", StageKind.ENGINE, 512 * 64),
        ("dense0 to dense1", StageKind.CONVERTER, 512),
        ("dense1", StageKind.ENGINE, 512 * 64),
        ("dense2", StageKind.ENGINE, 3 * 512),
        ("dense2 to scores", StageKind.CONVERTER, 10),
        ("scores", StageKind.SCORES, 10),
        ("result", StageKind.OUTPUT, 1),
    ]
    assert initiation_interval(network, folding) == 32768
    assert [row.cycles for row in fold_table(network, folding) if row.bottleneck] == [32768, 32768]


def test_pixels_that_do_not_divide() -> None:
    """Outside a pixel is a beat; inside each begins on a beat of its own; a dense layer takes the map as one frame."""
    network = random_conv_network((6, 5, 5), [Conv(7, (2, 3), (2, 1), (1, 1))], (4,), source=PIXELS)
    parts = plan_parts(network, Folding({"conv0": LayerFold(3, 2), "dense0": LayerFold(4, 8)}, 4)).parts
    assert parts[:3] == (
        InputPart("image", 150, 8, 5),
        ConverterPart("image to conv0", 5, 8, 5, 2, 30),
        WindowPart("conv0", parts[2].window, 8, 2, network.node("conv0").pad_code, 3),
    )
    assert [part.cycles for part in parts[1:4]] == [30 * 3, 20 * 6 * 3, 20 * 3 * 18]
    assert parts[4:6] == (
        ConverterPart("conv0 to dense0 pixels", 7, 1, 3, 7, 20),
        ConverterPart("conv0 to dense0", 140, 1, 7, 8, 1),
    )


def test_groups_come_block_by_block() -> None:
    """12 neurons and 8 channels in 4 groups: one after the other in two folds each, or two at once."""
    network = random_conv_network((5, 5, 8), [Conv(12, (2, 3), groups=4)], (4,))
    plans = [plan_parts(network, Folding({"conv0": f, "dense0": LayerFold(4, 8)}, 4)) for f in
             (LayerFold(1, 1), LayerFold(3, 2), LayerFold(6, 2))]  # fmt: skip
    windows = [part for plan in plans for part in plan.parts if isinstance(part, WindowPart)]
    assert [(part.lanes, part.blocks, part.passes) for part in windows] == [(1, 4, 3), (2, 4, 1), (4, 2, 1)]
    assert [part.cycles for part in windows] == [12 * 6 * 8, 12 * 6 * 4, 12 * 6 * 2]
    engines = [part.cycles for plan in plans for part in plan.parts if part.name == "conv0"]
    assert engines == [12 * 12 * 12, 12 * 4 * 6, 12 * 2 * 6]


def test_a_pool_of_accumulators_pools_codes() -> None:
    """Thresholds move in front of pools that nobody else reads: of descending neurons the least code is taken."""
    network = random_conv_network((6, 6, 2), [Conv(8, (3, 3), pool_acc=HALVES)], (4,), seed=4)
    plan = plan_parts(network, Folding({"conv0": LayerFold(4, 2), "dense0": LayerFold(4, 8)}, 4))
    (pool,) = (part for part in plan.parts if isinstance(part, PoolPart))
    descending = network.node("conv_act0").descending
    assert 0 < len(pool.least) < 8 and pool.least == set(np.flatnonzero(descending).tolist())
    assert (pool.largest, plan.shapes["conv0"].bits, plan.shapes[pool.name].bits) == (1, 1, 1)
    tap = plan.tap_behind("conv0")
    assert (tap.name, tap.part) == ("conv_act0", "acc_pool0")


def test_sums_have_the_bits_of_their_largest() -> None:
    network = random_conv_network(
        (5, 5, 2), [Conv(3, (2, 2), pool_sum=HALVES)], (4,), hidden=(2, Encoding.UNSIGNED), seed=4
    )
    plan = plan_parts(network, Folding({"conv0": LayerFold(3, 2), "dense0": LayerFold(4, 3)}, 4))
    assert plan.shapes["sum0"].bits == (4 * 3).bit_length()
    (pool,) = (part for part in plan.parts if isinstance(part, PoolPart))
    assert (pool.operation, pool.largest, pool.cycles) == (PoolOperation.SUM, 3, 16)


def test_simd_is_limited_by_the_channels() -> None:
    network = random_conv_network((6, 5, 5), [Conv(7, (2, 3))], (4,))
    folding = Folding({"conv0": LayerFold(3, 10), "dense0": LayerFold(4, 8)})
    with pytest.raises(UsageError, match="^layer 'conv0': simd 10 is too large for 5; use at most 5$"):
        check_folding(network, folding)


@pytest.mark.parametrize("cycles", [540, 541, 700, 1000, 5000, 10**6])
def test_solved_foldings_meet_the_cycles(cycles: int) -> None:
    convs = [Conv(6, (3, 3), pool_codes=((3, 3), (2, 2))), Conv(8, (2, 2), (1, 1), (1, 1))]
    network = random_conv_network((8, 12, 4), convs, (7, 3), source=PIXELS)
    folding = fold_for_cycles(network, cycles)
    assert initiation_interval(network, folding) <= cycles
    check_folding(network, folding)


def test_fewer_cycles_than_pixels_are_refused() -> None:
    network = random_conv_network((8, 12, 4), [Conv(6, (3, 3))], (3,))
    with pytest.raises(
        HardwareError, match="^layer 'conv0' takes at least 540 cycles a frame, a pixel a cycle, not 539$"
    ):
        fold_for_cycles(network, 539)
    strided = random_conv_network((8, 12, 4), [Conv(6, (1, 1), (2, 2))], (3,))
    with pytest.raises(HardwareError, match="^layer 'conv0' takes at least 96 cycles"):
        fold_for_cycles(strided, 95)
    assert initiation_interval(strided, fold_for_cycles(strided, 96)) == 96
    assert 540 <= initiation_interval(network, default_folding(network)) <= 1024
