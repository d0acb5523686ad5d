from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network

from xnorflow.boards.loader import Budget, list_boards, load_board
from xnorflow.compiler.cost.area import Area
from xnorflow.compiler.folds.folding import Folding, LayerFold, Memory, Popcount, check_folding
from xnorflow.compiler.folds.solver import (
    default_folding,
    estimate_area,
    estimate_luts,
    fastest_folding,
    fold_for_cycles,
    fold_for_fps,
)
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.compiler.schedule.cycles import initiation_interval
from xnorflow.errors import HardwareError, UsageError

DIGITS = random_network([64, 128, 128, 10])
LFC = random_network([784, 1024, 1024, 1024, 10])
WIDE_INPUT = random_network([784, 64, 10], source=(8, Encoding.UNSIGNED))


@given(widths=st.lists(st.integers(1, 40), min_size=2, max_size=4), cycles=st.integers(1, 3000))
@settings(max_examples=60, deadline=None)
def test_every_target_is_met(widths: list[int], cycles: int) -> None:
    network = random_network(widths)
    folding = fold_for_cycles(network, cycles)
    check_folding(network, folding)
    assert initiation_interval(network, folding) <= cycles


@given(rows=st.integers(1, 12), columns=st.integers(1, 12), cycles=st.integers(1, 150))
@settings(max_examples=60, deadline=None)
def test_no_fold_of_one_layer_is_cheaper(rows: int, columns: int, cycles: int) -> None:
    network = random_network([columns, rows])
    best = estimate_luts(network, fold_for_cycles(network, cycles))
    for pe in range(1, rows + 1):
        for simd in range(1, columns + 1):
            fold = LayerFold(pe, simd)
            if fold.neuron_folds(rows) * fold.synapse_folds(columns) <= cycles:
                assert estimate_luts(network, Folding({"dense0": fold})) >= best


@pytest.mark.parametrize(
    ("widths", "cycles"), [([7, 6, 7], 37), ([5, 9, 6], 2), ([8, 8, 9], 7), ([2, 4, 6], 17), ([5, 2, 2], 5)], ids=str
)
def test_no_pair_of_folds_is_cheaper_than_the_chosen_ones(widths: list[int], cycles: int) -> None:
    # In these networks the cheapest fold of each layer for itself is not the cheapest pair: converters cost too.
    network = random_network(widths)
    folds = [
        [
            fold
            for pe in range(1, rows + 1)
            for simd in range(1, columns + 1)
            if (fold := LayerFold(pe, simd)).neuron_folds(rows) * fold.synapse_folds(columns) <= cycles
        ]
        for columns, rows in pairwise(widths)
    ]
    assert estimate_luts(network, fold_for_cycles(network, cycles)) == min(
        estimate_luts(network, Folding({"dense0": first, "dense1": second}))
        for first in folds[0]
        for second in folds[1]
    )


def test_a_larger_fold_may_spare_a_converter() -> None:
    network = random_network([2, 30, 9])
    chosen = fold_for_cycles(network, 9)
    least = Folding({**chosen.layers, "dense0": LayerFold(4, 2)})
    assert max(initiation_interval(network, folding) for folding in (chosen, least)) <= 9
    assert (chosen.layers["dense0"].pe, chosen.layers["dense1"].simd) == (5, 30)
    assert estimate_luts(network, chosen) < estimate_luts(network, least)


def test_lfc_at_the_published_512_cycles_wastes_next_to_nothing() -> None:
    folding = fold_for_cycles(LFC, 512)
    assert initiation_interval(LFC, folding) == 512
    assert sum(fold.pe * fold.simd for fold in folding.layers.values()) <= 2048 * 3 + 24


@pytest.mark.parametrize("board", [b for b in list_boards() if b.name != "icebreaker"], ids=lambda b: b.name)
@pytest.mark.parametrize("network", [DIGITS, WIDE_INPUT], ids=["digits", "wide_input"])
def test_default_folding_is_modest_and_as_fast_as_that_allows(network: IntegerNetwork, board: object) -> None:
    assert isinstance(board, type(load_board("pynq-z1")))
    folding = default_folding(network, board)
    tenth = max(1000, (board.budget.lut if board.budget else 50_000) // 10)
    assert estimate_luts(network, folding, board) <= tenth
    faster = fold_for_cycles(network, max(1, initiation_interval(network, folding) // 2), board)
    assert estimate_luts(network, faster, board) > tenth
    assert folding.popcount == Popcount(board.popcount)


def test_default_board_is_the_default() -> None:
    assert default_folding(DIGITS) == default_folding(DIGITS, load_board("pynq-z1"))


def test_frames_a_second_become_cycles() -> None:
    board = load_board("pynq-z1")
    assert fold_for_fps(LFC, 195_312.5, board) == fold_for_cycles(LFC, 512, board)
    assert fold_for_fps(LFC, 195_312.6, board) == fold_for_cycles(LFC, 511, board)
    assert fold_for_fps(LFC, 0.5, board) == fold_for_cycles(LFC, 200_000_000, board)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_senseless_rates(fps: float) -> None:
    with pytest.raises(UsageError, match="frames a second must be a positive number"):
        fold_for_fps(LFC, fps, load_board("pynq-z1"))


def test_more_frames_than_cycles() -> None:
    with pytest.raises(
        UsageError, match="more than one frame a cycle of pynq-z1's 100000000 Hz; at most 100000000 fit"
    ):
        fold_for_fps(LFC, 100_000_001, load_board("pynq-z1"))


def test_senseless_cycles() -> None:
    with pytest.raises(UsageError, match="cycles a frame must be a positive whole number, not 0"):
        fold_for_cycles(LFC, 0)


def test_too_fast_for_the_board_says_what_would_fit() -> None:
    board = load_board("pynq-z1")
    with pytest.raises(
        HardwareError,
        match=r"16 cycles a frame need about \d+ LUTs and \d+ kbit of block RAM, pynq-z1 has 53200 and 5040, "
        r"95 % of the LUTs to be counted on; layer 'dense1' alone needs \d+ LUTs and \d+ kbit; ",
    ) as e:
        fold_for_cycles(LFC, 16, board)
    fits = int(str(e.value).split("; ")[-1].split()[0])
    assert initiation_interval(LFC, fold_for_cycles(LFC, fits, board)) <= fits
    with pytest.raises(HardwareError, match=f"{fits - 1} cycles a frame need .*; {fits} cycles .* would fit"):
        fold_for_cycles(LFC, fits - 1, board)


def test_too_many_weights_for_the_board() -> None:
    with pytest.raises(
        HardwareError, match=r"weights take 2842 kbit, icebreaker has room for 202; layer 'dense1' alone takes 1024"
    ):
        default_folding(LFC, load_board("icebreaker"))


def test_nothing_fits_a_board_without_luts() -> None:
    board = load_board("icebreaker")
    tiny = replace(board, budget=Budget(lut=20, ff=20, bram_kbit=1000, dsp=0))
    with pytest.raises(HardwareError, match="no folding fits this board"):
        default_folding(DIGITS, tiny)


def test_a_board_takes_what_it_has() -> None:
    board = load_board("icebreaker")
    folding = fastest_folding(DIGITS, board)
    assert board.budget is not None
    area = sum(estimate_area(DIGITS, folding, board).values(), Area())
    assert (area.luts <= board.budget.lut, area.blocks <= 30) == (True, True)
    with pytest.raises(HardwareError, match=f"{initiation_interval(DIGITS, folding)} cycles .* would fit"):
        fold_for_cycles(DIGITS, initiation_interval(DIGITS, folding) - 1, board)


def test_fewer_luts_are_slower() -> None:
    board = load_board("pynq-z1")
    intervals = []
    for luts in (1000, 2000, 4000):
        folding = fastest_folding(DIGITS, board, luts)
        assert estimate_luts(DIGITS, folding, board) <= luts
        intervals.append(initiation_interval(DIGITS, folding))
    assert intervals == sorted(set(intervals), reverse=True)


def test_an_asic_needs_a_limit() -> None:
    board = load_board("asic-generic")
    with pytest.raises(UsageError, match="asic-generic sets no limit; give a rate or a number of LUTs"):
        fastest_folding(DIGITS, board)
    folding = fastest_folding(DIGITS, board, 2000)
    assert estimate_luts(DIGITS, folding, board) <= 2000
    assert {fold.memory for fold in folding.layers.values()} == {Memory.AUTO}


def test_senseless_luts() -> None:
    with pytest.raises(UsageError, match="LUTs must be a positive whole number, not 0"):
        fastest_folding(DIGITS, load_board("pynq-z1"), 0)


def test_wider_than_a_memory_word() -> None:
    with pytest.raises(HardwareError, match="layer 'dense0' takes at least 2 cycles a frame, as wide as memory words"):
        fold_for_cycles(random_network([300, 300, 3]), 1)


def test_score_lanes_keep_up() -> None:
    assert fold_for_cycles(DIGITS, 3).score_lanes == 4
    assert fold_for_cycles(DIGITS, 10).score_lanes == 1
