import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_conv_networks import Conv, random_conv_network
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.area import WORD_BITS_MOST, Area, Device, Joint, layer_areas
from xnorflow.compiler.folding import Folding, LayerFold, Memory
from xnorflow.compiler.ir import Encoding
from xnorflow.compiler.solver import estimate_area, estimate_luts
from xnorflow.hdl.constants import engine_params
from xnorflow.hdl.rom import MAX_WIDTH


def shape(width: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([width]), np.array([depth])


def test_hardware_has_the_same_widest_word() -> None:
    assert WORD_BITS_MOST == MAX_WIDTH


@pytest.mark.parametrize(
    ("width", "depth", "blocks"),
    [(72, 512, 2), (73, 512, 3), (36, 513, 2), (18, 1024, 1), (1, 16384, 1), (1, 16385, 2), (5, 4096, 2), (99, 1, 0)],
)
def test_block_rams_of_18_kbit(width: int, depth: int, blocks: int) -> None:
    for board in ("pynq-z1", "ulx3s-85f", "tangnano9k", "kv260"):
        device = Device.of(load_board(board))
        assert device.block_kbit == 18
        assert device.in_blocks(shape(width, depth)) == blocks


@pytest.mark.parametrize(("width", "depth", "blocks"), [(16, 256, 1), (17, 256, 2), (16, 257, 2), (8, 512, 1)])
def test_block_rams_of_4_kbit(width: int, depth: int, blocks: int) -> None:
    assert Device.of(load_board("icebreaker")).in_blocks(shape(width, depth)) == blocks


@pytest.mark.parametrize(
    ("inputs", "width", "depth", "luts"),
    [
        *((6, 10, 64, 10), (6, 10, 65, 30), (6, 10, 256, 50), (6, 10, 257, 70), (6, 10, 1, 0)),
        *((4, 10, 16, 10), (4, 10, 17, 30), (4, 10, 64, 70)),
        *((6, 1000, 2, 4), (6, 1000, 3, 8)),  # of two words there are four different columns
    ],
)
def test_read_only_memory_in_luts(inputs: int, width: int, depth: int, luts: int) -> None:
    assert Device(inputs, 1000).in_luts(shape(width, depth)) == 10 * luts


@pytest.mark.parametrize(
    ("simd", "converter"),
    [(2, 0), (4, 4), (1, 2), (3, 2 * (2 + 3))],  # equal; one divides the other; through a common multiple
)
def test_estimate_by_hand(simd: int, converter: int) -> None:
    network = random_network([8, 4, 2])
    folding = Folding({"dense0": LayerFold(2, 4), "dense1": LayerFold(1, simd)})
    first = 2.7 * 8 + 2 * 4 + 2 * 4  # sums up to 8 take 4 bits in 2 rows; their start value is the threshold
    last = 2.7 * simd + 3 + 2 * simd
    assert estimate_luts(network, folding) == math.ceil(round(first + converter + last, 1))
    assert estimate_area(network, folding)["dense1"].tenths == round(10 * (converter + last))


def test_comparators_keep_up_with_a_fold() -> None:
    network = random_network([8, 4, 2], hidden=(3, Encoding.UNSIGNED))
    for simd, comparators in ((1, 1), (4, 4), (8, 7)):  # 7 thresholds in 8, 2, 1 cycles
        folding = Folding({"dense0": LayerFold(2, simd), "dense1": LayerFold(1, 2)})
        tenths = 27 * 2 * simd + 10 * 2 * 4 * (1 + comparators) + 20 * simd
        assert estimate_area(network, folding)["dense0"].tenths == tenths


@pytest.mark.parametrize("hidden", [(1, Encoding.BIPOLAR), (3, Encoding.UNSIGNED)])
@pytest.mark.parametrize("fold", [LayerFold(5, 3), LayerFold(2, 7), LayerFold(30, 40)], ids=str)
def test_memories_are_those_that_are_generated(hidden: tuple[int, Encoding], fold: LayerFold) -> None:
    network = random_network([40, 30, 4], hidden=hidden)
    stage = next(iter(network.stages()))
    params = engine_params(stage, fold)
    images = [params.weight_image, params.preload_image if hidden[0] == 1 else params.threshold_unit.image]
    folding = Folding({"dense0": fold, "dense1": LayerFold(1, 1)})
    area = layer_areas(network, folding, Device(6, 1000, 100))["dense0"]
    assert area.memory_bits == sum(image.width * image.depth for image in images)
    block = Folding({**folding.layers, "dense0": LayerFold(fold.pe, fold.simd, Memory.BLOCK)})
    device = Device(6, 1000, 100)
    blocks = sum(int(device.in_blocks(shape(image.width, image.depth))[0]) for image in images)
    assert layer_areas(network, block, device)["dense0"].blocks == blocks


def test_a_tool_takes_the_cheaper_kind_for_each_memory() -> None:
    network = random_network([512, 256, 4])
    device = Device(6, 53_200, 280)
    areas = {
        kind: layer_areas(
            network, Folding({"dense0": LayerFold(4, 64, kind), "dense1": LayerFold(1, 4, kind)}), device
        )["dense0"]
        for kind in Memory
    }
    assert areas[Memory.LUT].blocks == 0
    assert areas[Memory.BLOCK].blocks == 8 + 2  # 256 x 512 bits of weights; 4 thresholds of 11 bits
    assert areas[Memory.AUTO].blocks == 8
    assert areas[Memory.AUTO].tenths == areas[Memory.BLOCK].tenths + 4 * 11 * 10


def test_line_buffers_lie_in_block_rams_or_in_luts() -> None:
    network = random_conv_network((8, 12, 5), [Conv(6, (3, 3))], (3,), source=(8, Encoding.UNSIGNED))
    folding = Folding({"conv0": LayerFold(6, 3, Memory.LUT), "dense0": LayerFold(3, 6, Memory.LUT)}, 3)
    with_blocks = layer_areas(network, folding, Device(6, 10_000, 50))["conv0"]
    without = layer_areas(network, folding, Device(6, 10_000, 0))["conv0"]
    assert with_blocks.blocks == 1  # 24 bits wide, 4 rows of 12 pixels of 2 beats deep
    assert without == Area(with_blocks.tenths + 2 * 10 * 24 * (2 + 1), 0, with_blocks.memory_bits)


@pytest.mark.parametrize(("sent", "luts"), [(1, 7), (7, 0), (14, 14), (3, 2 * (3 + 14) + 14)])
def test_a_map_becomes_a_vector_through_whole_pixels(sent: int, luts: int) -> None:
    joint = Joint(bits=1, senders=14, takers=70, relay=14)
    assert joint.tenths(np.array([sent]), 7) == 10 * luts  # 3 do not divide a pixel of 14
    assert Joint(bits=1, senders=14, takers=70).tenths(np.array([3]), 7) == 10 * 20


def test_no_budget_no_price() -> None:
    network = random_network([64, 32, 4])
    folding = Folding({"dense0": LayerFold(4, 8), "dense1": LayerFold(1, 4)})
    assert estimate_area(network, folding, load_board("asic-generic")) == estimate_area(network, folding)
    assert all(area.blocks == 0 for area in estimate_area(network, folding).values())


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
