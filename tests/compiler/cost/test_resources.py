from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.cost.area import price_engines
from xnorflow.compiler.cost.cells import Cells, Resources, total
from xnorflow.compiler.cost.device import Device
from xnorflow.compiler.cost.link_cells import link_cells
from xnorflow.compiler.cost.resources import LINK, design_resources
from xnorflow.compiler.folds.folding import Arithmetic, Folding, LayerFold, Memory, Popcount, WeightStore, load_folding
from xnorflow.compiler.ir import IntegerNetwork
from xnorflow.compiler.storage.network_file import load_network
from xnorflow.errors import HardwareError
from xnorflow.hdl.accelerator import Accelerator

NETWORKS = Path(__file__).parents[3] / "networks"

# `xnorflow bench resources`: LUTs, flip-flops, block RAMs, DSP blocks of whole designs; no constant was fitted to them.
# Foldings are PE, SIMD, memory of each layer, planes in time of the first.
MEASURED = [
    ("mnist-tfc", "pynq-z1", "2x49b 2x4b 2x4b 1x22l", 1, (924, 1420, 5, 1)),
    ("digits", "pynq-z1", "2x4b 2x4b 2x4b 1x22l", 1, (789, 1344, 3, 1)),
    ("digits", "pynq-z1", "4x32l 4x32l 4x32l 2x12l", 2, (1862, 2320, 0, 1)),
    ("digits", "pynq-z1", "4x64l 4x64l 4x64l 2x24l", 1, (3130, 3327, 0, 1)),
    ("mnist-tfc", "ulx3s-85f", "1x98b 1x8b 4x2b 1x4l", 1, (2601, 2124, 6, 1)),
    ("digits", "ulx3s-85f", "16x16l 4x16l 4x16l 1x11l", 4, (4948, 2805, 0, 1)),
    ("digits", "icebreaker", "4x1b 4x1b 4x1b 1x1l", 1, (2036, 1947, 8, 1)),
    ("digits", "icebreaker", "4x4b 4x4b 4x4b 10x4l", 1, (2398, 2276, 7, 1)),
    ("digits", "icebreaker", "4x64l 1x64l 1x64l 1x17l", 4, (5261, 4401, 1, 1)),
]


def folding_of(network: IntegerNetwork, text: str, turns: int, board: str) -> Folding:
    layers = {}
    for number, (stage, fold) in enumerate(zip(network.stages(), text.split(), strict=True)):
        pe, simd = map(int, fold[:-1].split("x"))
        memory = Memory.BLOCK if fold[-1] == "b" else Memory.LUT
        layers[stage.dot.name] = LayerFold(pe, simd, memory, turns if number == 0 else 1)
    return Folding(layers, 1, Popcount(load_board(board).popcount))


@pytest.mark.parametrize(("name", "board", "folds", "turns", "measured"), MEASURED)
def test_designs_that_were_synthesized(
    name: str, board: str, folds: str, turns: int, measured: tuple[int, int, int, int]
) -> None:
    network = load_network(NETWORKS / f"{name}.safetensors")
    folding = folding_of(network, folds, turns, board)
    estimated = total(design_resources(network, folding, load_board(board), link=board != "pynq-z1"))
    luts, flip_flops, blocks, dsps = measured
    assert estimated.luts == pytest.approx(luts, rel=0.1)
    assert estimated.flip_flops == pytest.approx(flip_flops, rel=0.1)
    assert (estimated.blocks, estimated.dsps) == (blocks, dsps)


@pytest.mark.parametrize("pe", [1, 2, 3, 10])
@pytest.mark.parametrize("simd", [1, 7, 40])
@pytest.mark.parametrize("board", ["zc706", "ulx3s-85f"])
def test_block_rams_are_those_of_the_memories_that_are_generated(pe: int, simd: int, board: str) -> None:
    network = random_network([40, 30, 4])
    folding = Folding({"dense0": LayerFold(pe, simd, Memory.BLOCK), "dense1": LayerFold(1, 1)})
    device = Device.of(load_board(board))
    images = [rom.image for rom in Accelerator(network, folding).engines["dense0"].roms]
    weights = [image for image in images if image.name.endswith("weights")]  # a few words of thresholds lie in LUTs
    counted = [device.in_blocks((np.array([image.width]), np.array([image.depth])))[0] for image in weights]
    assert design_resources(network, folding, load_board(board))["dense0"].blocks == sum(counted)


@given(st.integers(1, 30), st.integers(1, 64), st.sampled_from(["zc706", "ulx3s-85f", "icebreaker"]))
@settings(max_examples=60, deadline=None)
def test_more_rows_at_once_never_take_fewer_luts(pe: int, simd: int, board: str) -> None:
    stage = list(random_network([64, 64]).stages())[-1]  # of scores: no thresholds that move from block RAM to LUTs
    folds = (np.array([pe, pe + 1]), np.array([simd, simd]), np.array([1, 1]))
    tenths, _ = price_engines(stage, *folds, Memory.BLOCK, Device.of(load_board(board)))
    assert tenths[0] <= tenths[1]


def test_registers_behind_weights() -> None:
    network = random_network([40, 30, 4])
    folding = Folding({"dense0": LayerFold(3, 8), "dense1": LayerFold(1, 1)})
    one, two = (
        total(design_resources(network, folding, load_board("zc706"), popcount_stages=stages)) for stages in (1, 2)
    )
    assert two.flip_flops - one.flip_flops >= (3 * 8 + 8) + (1 + 1)  # weights and activations of both engines
    assert two.blocks == one.blocks


def test_multipliers_are_dsp_blocks() -> None:
    network = random_network([40, 30, 4])
    planes, mac = (
        design_resources(
            network,
            Folding({name: LayerFold(2, 4, arithmetic=kind) for name in ("dense0", "dense1")}),
            load_board("zc706"),
        )["dense0"]
        for kind in (Arithmetic.PLANES, Arithmetic.MAC)
    )
    assert (planes.dsps, mac.dsps) == (0, 8)


def test_a_link_takes_more_for_longer_frames_and_results() -> None:
    for board in ("ulx3s-85f", "icebreaker"):
        cells = Cells(Device.of(load_board(board)))
        sizes = [link_cells(cells, 2, beats, results) for beats, results in ((4, 8), (400, 8), (400, 40))]
        assert sizes[0].luts < sizes[1].luts < sizes[2].luts
        assert sizes[0].blocks <= sizes[1].blocks == sizes[2].blocks


def test_the_link_is_a_part_of_its_own() -> None:
    network = random_network([40, 30, 4])
    folding = Folding({"dense0": LayerFold(3, 8), "dense1": LayerFold(1, 1)})
    board = load_board("ulx3s-85f")
    with_link = design_resources(network, folding, board, link=True)
    link = with_link.pop(LINK)
    assert with_link == design_resources(network, folding, board)
    assert link.luts > 500
    assert total({"a": Resources(1, 2, 3, 4), "b": Resources(10, 20, 30, 40)}) == Resources(11, 22, 33, 44)


def test_what_the_model_does_not_know_is_refused() -> None:
    network = random_network([40, 30, 4])
    folding = Folding({"dense0": LayerFold(3, 8), "dense1": LayerFold(1, 1)})
    with pytest.raises(HardwareError, match="asic-generic has no cells"):
        design_resources(network, folding, load_board("asic-generic"))
    rewritten = Folding({**folding.layers, "dense0": LayerFold(3, 8, weights=WeightStore.AXI)})
    with pytest.raises(HardwareError, match="written at run time"):
        design_resources(network, rewritten, load_board("zc706"))
    recurrent = load_network(NETWORKS / "shakespeare-lstm.safetensors")
    with pytest.raises(HardwareError, match="recurrent"):
        design_resources(
            recurrent, load_folding(NETWORKS / "shakespeare-lstm.folding.yaml", recurrent), load_board("zc706")
        )
