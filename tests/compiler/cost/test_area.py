import math
from pathlib import Path

import numpy as np
import pytest
from random_conv_networks import Conv, random_conv_network
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.cost.area import WORD_BITS_MOST, layer_areas
from xnorflow.compiler.cost.device import Device
from xnorflow.compiler.folds.folding import Folding, LayerFold, Memory, load_folding
from xnorflow.compiler.folds.solver import estimate_area, estimate_luts
from xnorflow.compiler.ir import Encoding
from xnorflow.compiler.storage.network_file import load_network
from xnorflow.hdl.dot.constants import engine_params
from xnorflow.hdl.dot.rom import MAX_WIDTH


def test_hardware_has_the_same_widest_word() -> None:
    assert WORD_BITS_MOST == MAX_WIDTH


CONTROL = 2 * 28.8  # of an engine with an input buffer
CONVERTED = 0.5  # of a bit that a converter holds


@pytest.mark.parametrize(
    ("simd", "converter"),
    [(2, 0), (4, 4), (1, 2), (3, 2 * (2 + 3))],  # equal; one divides the other; through a common multiple
)
def test_estimate_by_hand(simd: int, converter: int) -> None:
    network = random_network([8, 4, 2])
    folding = Folding({"dense0": LayerFold(2, 4), "dense1": LayerFold(1, simd)})
    # 4 bits count to 8, and one says whether the threshold is reached; a popcount saves a LUT.
    first = 2.7 * 8 - 2 + CONTROL + 2 * 1.1 * (4 + 1)
    last = 2.7 * simd - 1 + CONTROL + (1.1 if simd < 4 else 0.4) * 3 + CONVERTED * converter
    area = estimate_area(network, folding)
    assert area["dense0"].tenths == round(10 * first)
    assert area["dense1"].tenths == round(10 * last)
    assert estimate_luts(network, folding) == math.ceil((area["dense0"].tenths + area["dense1"].tenths) / 10)


def test_comparators_keep_up_with_a_fold() -> None:
    network = random_network([8, 4, 2], hidden=(3, Encoding.UNSIGNED))
    for simd, comparators in ((1, 1), (4, 4), (8, 7)):  # 7 thresholds in 8, 2, 1 cycles
        folding = Folding({"dense0": LayerFold(2, simd), "dense1": LayerFold(1, 2)})
        tenths = round(27 * 2 * simd - 20 + 10 * CONTROL + 2 * 4 * ((11 if simd < 8 else 4) + 10 * comparators))
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
    if hidden[0] == 1:
        images.pop()  # 6, 15 or 1 words of thresholds lie in LUTs
    blocks = sum(int(device.in_blocks((np.array([image.width]), np.array([image.depth])))[0]) for image in images)
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
    assert (
        areas[Memory.BLOCK].blocks == areas[Memory.AUTO].blocks == 8
    )  # 256 x 512 bits; the 64 words of thresholds not
    assert areas[Memory.AUTO].tenths == areas[Memory.BLOCK].tenths


def test_many_thresholds_lie_where_weights_do() -> None:
    network = random_network([512, 260, 4])
    folding = Folding({"dense0": LayerFold(4, 64, Memory.BLOCK), "dense1": LayerFold(1, 4)})
    blocks = layer_areas(network, folding, Device(6, 53_200, 280))["dense0"].blocks
    assert blocks == 15 + 2  # 256 x 520 bits of weights; 65 words of 4 thresholds of 11 bits


def test_deep_line_buffers_lie_in_block_rams_where_there_are_some() -> None:
    folding = Folding({"conv0": LayerFold(6, 3, Memory.LUT), "dense0": LayerFold(3, 6, Memory.LUT)}, 3)
    for columns, blocks in ((12, 0), (20, 1)):  # 24 bits wide, 4 rows of so many pixels of 2 beats deep
        network = random_conv_network((8, columns, 5), [Conv(6, (3, 3))], (3,), source=(8, Encoding.UNSIGNED))
        with_blocks = layer_areas(network, folding, Device(6, 10_000, 50))["conv0"]
        without = layer_areas(network, folding, Device(6, 10_000, 0))["conv0"]
        assert (with_blocks.blocks, without.blocks) == (blocks, 0)
        assert without.tenths - with_blocks.tenths == blocks * 10 * 24 // 3 * 4 * 3  # 160 words are three of 64


@pytest.mark.parametrize(
    ("rows", "columns", "pe", "simd", "lut4", "lut6", "blocks"),
    [(64, 512, 4, 32, 605, 234, 4), (64, 1024, 4, 128, 1725, 630, 15), (32, 784, 2, 196, 1386, 539, 11)]
    + [(64, 1024, 8, 64, 1845, 667, 15)],
)
def test_estimates_of_single_engines(
    rows: int, columns: int, pe: int, simd: int, lut4: int, lut6: int, blocks: int
) -> None:
    """Measured with synth_ecp5 (LUT4s, those of carry chains and of memories included) and synth_xilinx."""
    network = random_network([columns, rows, 4])
    folding = Folding({"dense0": LayerFold(pe, simd, Memory.BLOCK), "dense1": LayerFold(1, pe)})
    for device, luts in ((Device(4, 83_640, 208), lut4), (Device(6, 53_200, 280), lut6)):
        area = layer_areas(network, folding, device)["dense0"]
        assert area.luts == pytest.approx(luts, rel=0.05)
        assert area.blocks == blocks


def test_estimates_are_near_what_yosys_measured() -> None:
    """`xnorflow bench design` on SFC at 16 cycles an image: the engines with the converters in front of them."""
    networks = Path(__file__).parents[3] / "networks"
    network = load_network(networks / "mnist-sfc.safetensors")
    folding = load_folding(networks / "sfc-16.folding.yaml", network)
    areas = layer_areas(network, folding, Device.of(load_board("zc706")))
    measured = {"fc1": 17_555, "fc2": 6_107, "fc3": 6_107, "fc4": 334}
    assert set(areas) == set(measured)
    for name, luts in measured.items():
        assert areas[name].luts == pytest.approx(luts, rel=0.1), name
        assert areas[name].blocks == 0


def test_no_budget_no_price() -> None:
    network = random_network([64, 32, 4])
    folding = Folding({"dense0": LayerFold(4, 8), "dense1": LayerFold(1, 4)})
    assert estimate_area(network, folding, load_board("asic-generic")) == estimate_area(network, folding)
    assert all(area.blocks == 0 for area in estimate_area(network, folding).values())
