import math
from dataclasses import replace
from pathlib import Path

import pytest
from random_networks import random_network

from xnorflow.boards.loader import Clock, load_board
from xnorflow.compiler.cost.clock import design_clock
from xnorflow.compiler.folds.folding import Arithmetic, Folding, LayerFold, Memory
from xnorflow.compiler.storage.network_file import load_network

NETWORKS = Path(__file__).parents[3] / "networks"
BOARD = load_board("ulx3s-85f")


def folding_of(network: object, text: str) -> Folding:
    layers = {}
    for stage, fold in zip(network.stages(), text.split(), strict=True):  # type: ignore[attr-defined]
        pe, simd = map(int, fold[:-1].split("x"))
        layers[stage.dot.name] = LayerFold(pe, simd, Memory.BLOCK if fold[-1] == "b" else Memory.LUT)
    return Folding(layers)


# Bitstreams of docs/performance.md; no constant was fitted to them.
@pytest.mark.parametrize(
    ("name", "folds", "stages", "placed"),
    [
        ("digits", "4x64l 4x64l 4x64l 2x22l", 1, 73.7),
        ("digits", "4x16l 4x16b 4x16b 1x11l", 1, 78.9),
        ("mnist-sfc", "4x49b 4x16b 4x16b 1x4l", 1, 58.8),
        ("mnist-sfc", "8x196b 8x64b 8x64b 1x32l", 2, 60.3),
    ],
)
def test_bitstreams_that_were_placed(name: str, folds: str, stages: int, placed: float) -> None:
    network = load_network(NETWORKS / f"{name}.safetensors")
    clock = design_clock(network, folding_of(network, folds), BOARD, popcount_stages=stages)
    assert clock is not None
    assert clock.hz / 1e6 == pytest.approx(placed, rel=0.1)


@pytest.mark.parametrize(("stages", "bits", "launch"), [(1, 128, 5.72), (2, 128, 0.52), (3, 16, 0.52), (4, 8, 0.52)])
def test_the_formula(stages: int, bits: int, launch: float) -> None:
    network = random_network([512, 64, 10])
    clock = design_clock(network, folding_of(network, "4x128b 1x4l"), BOARD, popcount_stages=stages)
    assert clock is not None
    assert clock.hz == pytest.approx(1e9 / max(7.2, launch + 2.25 * math.log2(bits) - 1.58))
    assert stages == 4 or (clock.layer, clock.bits) == ("dense0", bits)  # at 4 all layers are at the least


def test_a_note_where_the_board_is_faster() -> None:
    network = random_network([512, 64, 10])
    clock = design_clock(network, folding_of(network, "4x128b 1x4l"), BOARD)
    assert clock is not None
    assert clock.note(BOARD) is None or clock.hz < BOARD.hz
    fast = replace(BOARD, clock=Clock(100_000_000))
    note = clock.note(fast)
    assert note is not None
    assert "'dense0' counts 128 bits" in note
    assert "--pipeline 2 or more" in note
    assert clock.note(replace(BOARD, clock=Clock(25_000_000))) is None


def test_no_model() -> None:
    network = random_network([64, 16, 10])
    folding = folding_of(network, "4x16b 1x4l")
    assert design_clock(network, folding, load_board("icebreaker")) is None
    layers = {name: replace(fold, arithmetic=Arithmetic.MAC) for name, fold in folding.layers.items()}
    assert design_clock(network, replace(folding, layers=layers), BOARD) is None
