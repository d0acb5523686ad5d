"""Multipliers in foldings: what is written down, refused, priced and solved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network

from xnorflow.boards.loader import Board, load_board
from xnorflow.compiler.cost.area import Area, layer_areas, price_folds
from xnorflow.compiler.cost.counts import count_layers
from xnorflow.compiler.cost.device import Device
from xnorflow.compiler.folds.folding import (
    Arithmetic,
    Folding,
    LayerFold,
    Memory,
    check_folding,
    load_folding,
    save_folding,
    with_arithmetic,
)
from xnorflow.compiler.folds.solver import default_folding, estimate_area, fold_for_cycles, fold_for_fps
from xnorflow.compiler.int8 import int8_twin
from xnorflow.compiler.ir import Encoding
from xnorflow.compiler.schedule.cycles import initiation_interval
from xnorflow.compiler.storage.network_file import load_network
from xnorflow.errors import HardwareError, UsageError

NETWORKS = Path(__file__).parents[3] / "networks"
NETWORK = int8_twin(random_network([64, 64, 32, 10]))
FOLDING = Folding({"dense0": LayerFold(4, 8), "dense1": LayerFold(2, 8, Memory.BLOCK), "dense2": LayerFold(1, 4)}, 2)


def test_arithmetic_is_written_down_and_read_again(tmp_path: Path) -> None:
    folding = with_arithmetic(FOLDING, Arithmetic.MAC)
    assert all(fold.arithmetic is Arithmetic.MAC for fold in folding.layers.values())
    assert with_arithmetic(folding, Arithmetic.PLANES) == FOLDING
    save_folding(folding, tmp_path / "mac.yaml")
    assert load_folding(tmp_path / "mac.yaml", NETWORK) == folding
    (tmp_path / "mac.yaml").write_text("layers: {dense0: {pe: 1, simd: 1, arithmetic: mack}}\n")
    with pytest.raises(UsageError, match=r"arithmetic.*mac"):
        load_folding(tmp_path / "mac.yaml")


def test_what_cannot_be_multiplied_is_refused() -> None:
    in_turn = Folding(FOLDING.layers | {"dense1": LayerFold(2, 8, planes_in_time=2)}, 2)
    check_folding(NETWORK, in_turn)
    with pytest.raises(UsageError, match="'dense1': planes_in_time 2: multipliers take whole numbers; use 1"):
        check_folding(NETWORK, with_arithmetic(in_turn, Arithmetic.MAC))
    wide = random_network([8, 6, 3], weights=(8, Encoding.BIPOLAR))
    folding = Folding({"dense0": LayerFold(2, 2), "dense1": LayerFold(1, 2)})
    with pytest.raises(UsageError, match="8-bit bipolar weights have 9 bits in two's complement"):
        check_folding(wide, with_arithmetic(folding, Arithmetic.MAC))
    with pytest.raises(HardwareError, match="8-bit bipolar weights have 9 bits"):
        fold_for_cycles(wide, 64, arithmetic=Arithmetic.MAC)
    recurrent = load_network(NETWORKS / "shakespeare-lstm.safetensors")
    folding = load_folding(NETWORKS / "shakespeare-lstm.folding.yaml", recurrent)
    with pytest.raises(UsageError, match="a recurrent layer counts bit planes"):
        check_folding(recurrent, with_arithmetic(folding, Arithmetic.MAC))


@pytest.mark.parametrize(
    ("inputs", "simd", "luts"),
    [
        # by Yosys 0.70, synth_xilinx and synth_ecp5 without DSP blocks (two LUTs for a CCU2C), 8 x 8 bits
        *((6, 1, 119), (6, 8, 1097), (6, 32, 4537)),
        *((4, 1, 160), (4, 8, 1506), (4, 32, 6018)),
    ],
)
def test_multipliers_and_their_tree_cost_what_synthesis_says(inputs: int, simd: int, luts: int) -> None:
    """The difference of two engines that differ in SIMD alone, scaled: control and accumulators drop out."""
    stage = next(NETWORK.stages())
    pe, turns, device = np.array([2, 1]), np.array([1, 1]), Device(inputs)
    two, one = price_folds(
        stage, pe, np.array([simd, simd]), turns, Memory.AUTO, device, first=True, arithmetic=Arithmetic.MAC
    )[0].tolist()
    row = (two - one) / 10 - 1.5 - (1 if inputs == 6 else 2) * 22  # a row beside its multipliers: the accumulator
    assert abs(row / luts - 1) < (0.2 if simd == 1 else 0.05)  # one alone has no adder


def test_multipliers_are_counted_and_can_be_taken_off() -> None:
    device = Device.of(load_board("pynq-z1"))
    folding = with_arithmetic(FOLDING, Arithmetic.MAC)
    planes, macs = layer_areas(NETWORK, FOLDING, device), layer_areas(NETWORK, folding, device)
    total = sum(macs.values(), Area())
    assert total.multipliers == 4 * 8 + 2 * 8 + 1 * 4
    assert sum(planes.values(), Area()).multipliers == 0
    assert 0 < total.luts_beside_dsps < total.luts
    assert all(macs[name].luts_beside_dsps < planes[name].luts for name in macs)
    assert {name: area.memory_bits for name, area in macs.items()} == {n: a.memory_bits for n, a in planes.items()}


def tenths(folding: Folding, board: Board) -> int:
    """The cost that a folding is chosen by."""
    total = sum(estimate_area(NETWORK, folding, board).values(), Area())
    return total.tenths + total.blocks * Device.of(board).block_price


def test_a_folding_is_solved_for_multipliers() -> None:
    board = load_board("pynq-z1")
    for cycles in (64, 256):
        folding = fold_for_cycles(NETWORK, cycles, board, Arithmetic.MAC)
        assert initiation_interval(NETWORK, folding) <= cycles
        folds = folding.layers.values()
        assert {(fold.arithmetic, fold.planes_in_time) for fold in folds} == {(Arithmetic.MAC, 1)}
        for other in (FOLDING, fold_for_cycles(NETWORK, cycles, board)):
            twin = Folding({name: replace(f, planes_in_time=1) for name, f in other.layers.items()}, other.score_lanes)
            if initiation_interval(NETWORK, twin) <= cycles:
                assert tenths(folding, board) <= tenths(with_arithmetic(twin, Arithmetic.MAC), board)
    hertz = board.hz / 256
    assert fold_for_fps(NETWORK, hertz, board, Arithmetic.MAC) == folding
    modest = default_folding(NETWORK, board, Arithmetic.MAC)
    assert all(fold.arithmetic is Arithmetic.MAC for fold in modest.layers.values())


def test_work_of_multipliers_is_no_binary_work() -> None:
    planes, macs = (count_layers(NETWORK, with_arithmetic(FOLDING, kind)) for kind in Arithmetic)
    for counted, multiplied in zip(planes, macs, strict=True):
        assert counted.binary_operations == 64 * counted.operations
        assert multiplied.binary_operations == 0
        assert multiplied.macs == counted.macs and multiplied.acc_bits <= counted.acc_bits + 1
        assert replace(multiplied, binary_operations=counted.binary_operations, acc_bits=counted.acc_bits) == counted
