from dataclasses import replace
from pathlib import Path

import pytest
from random_networks import random_network

from xnorflow.boards.loader import Board, Budget, Interface, load_board
from xnorflow.compiler.cost.cells import Resources, total
from xnorflow.compiler.cost.occupancy import ROOM_PERCENT, Occupancy, occupancy
from xnorflow.compiler.cost.resources import LINK, design_resources
from xnorflow.compiler.folds.folding import Folding, LayerFold, Memory, WeightStore
from xnorflow.compiler.folds.solver import fastest_folding, fold_for_cycles
from xnorflow.compiler.schedule.cycles import initiation_interval
from xnorflow.compiler.storage.network_file import load_network
from xnorflow.errors import HardwareError

NETWORKS = Path(__file__).parents[3] / "networks"
DIGITS = load_network(NETWORKS / "digits.safetensors")
SMALL = random_network([24, 16, 10])


def known(network: object, folding: Folding, board: Board) -> Occupancy:
    whole = occupancy(network, folding, board)  # type: ignore[arg-type]
    assert whole is not None
    return whole


# Placed by nextpnr, docs/performance.md "Bitstreams": cells of the whole board top.
@pytest.mark.parametrize(
    ("board", "folds", "placed"),
    [
        ("icebreaker", ("2x8b", "2x8b", "2x8b", "1x4l"), 3518),
        ("tangnano9k", ("2x8b", "2x8b", "2x8b", "1x4l"), 2767),
        ("tangnano20k", ("4x16b", "4x16b", "4x16b", "1x11l"), 3915),
        ("icesugar-pro", ("4x16l", "4x16b", "4x16b", "1x11l"), 4251),
        ("ulx3s-85f", ("4x64l", "4x64l", "4x64l", "2x22l"), 8215),
    ],
)
def test_bitstreams_that_were_placed(board: str, folds: tuple[str, ...], placed: int) -> None:
    layers = {}
    for stage, fold in zip(DIGITS.stages(), folds, strict=True):
        pe, simd = map(int, fold[:-1].split("x"))
        layers[stage.dot.name] = LayerFold(pe, simd, Memory.BLOCK if fold[-1] == "b" else Memory.LUT)
    assert known(DIGITS, Folding(layers), load_board(board)).cells == pytest.approx(placed, rel=0.06)


def test_the_whole_is_the_sum_with_the_link() -> None:
    board = load_board("icebreaker")
    folding = fold_for_cycles(SMALL, 60, board)
    whole = known(SMALL, folding, board)
    parts = design_resources(SMALL, folding, board, link=True)
    assert whole.used == total(parts)
    assert whole.cells == -(-(102 * whole.used.luts + 66 * whole.used.flip_flops) // 100)
    assert (whole.kind, whole.scope) == ("logic cells", "with the board's link")
    alone = known(SMALL, folding, replace(board, interface=Interface("none"), pins=None))
    assert alone.used + parts[LINK] == whole.used


@pytest.mark.parametrize(
    ("used", "cells", "over"),
    [
        (Resources(900, 500, 4), 950, (0, 0)),
        (Resources(900, 500, 4), 951, (1, 0)),
        (Resources(900, 1003, 4), 900, (3, 0)),
        (Resources(900, 500, 6), 900, (0, 1)),
        (Resources(1100, 500, 9), 1100, (150, 4)),
    ],
)
def test_over(used: Resources, cells: int, over: tuple[int, int]) -> None:
    assert ROOM_PERCENT == 95
    whole = Occupancy(used, Resources(1000, 1000, 5, 0), cells, "LUTs", "by itself")
    assert (whole.cells_over, whole.blocks_over) == over
    assert whole.fits == (over == (0, 0))
    assert whole.share == cells / 1000


def test_no_sum() -> None:
    assert occupancy(SMALL, fold_for_cycles(SMALL, 60), load_board("asic-generic")) is None
    folding = fold_for_cycles(SMALL, 60)
    for store in (WeightStore.AXI, WeightStore.STREAM):
        layers = {name: replace(fold, weights=store) for name, fold in folding.layers.items()}
        assert occupancy(SMALL, replace(folding, layers=layers), load_board("zc706")) is None


def test_a_folding_leaves_room_for_the_rest_of_the_design() -> None:
    """At 64 cycles the engines alone fit an iCEBreaker in LUTs; with the rest it is block RAMs that they take."""
    board = load_board("icebreaker")
    folding = fold_for_cycles(DIGITS, 64, board)
    whole = known(DIGITS, folding, board)
    assert whole.fits
    assert {fold.memory for fold in folding.layers.values()} == {Memory.BLOCK, Memory.LUT}
    roomy = replace(board, budget=Budget(lut=52_800, ff=52_800, bram_kbit=1_200, dsp=8))
    assert not known(DIGITS, fold_for_cycles(DIGITS, 64, roomy), board).fits


def test_the_fastest_fits_as_a_whole() -> None:
    for luts in (2_000, 2_600, 4_000):
        board = load_board("icebreaker")
        board = replace(board, budget=Budget(lut=luts, ff=luts, bram_kbit=40, dsp=8))
        folding = fastest_folding(SMALL, board)
        assert known(SMALL, folding, board).fits
        with pytest.raises(HardwareError, match="of the logic cells to be counted on|takes at least"):
            fold_for_cycles(SMALL, initiation_interval(SMALL, folding) - 1, board)
