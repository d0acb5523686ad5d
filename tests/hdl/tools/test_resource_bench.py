# amaranth: UnusedElaboratable=no (a refused design is made and not elaborated)
from pathlib import Path

import pytest
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.folds.folding import Folding, LayerFold, Memory, Popcount
from xnorflow.compiler.schedule.plan import plan_parts
from xnorflow.errors import HardwareError, ToolError
from xnorflow.hdl.tools import part_cells
from xnorflow.hdl.tools.resource_bench import compare_design
from xnorflow.hdl.tools.resource_set import fitted_designs


@pytest.mark.parametrize("name", ["pynq-z1", "ulx3s-85f", "icebreaker", "tangnano9k"])
def test_the_fitted_designs_are_various(name: str) -> None:
    board = load_board(name)
    designs = fitted_designs(board)
    assert len({design.name for design in designs}) == len(designs)
    folds = [fold for design in designs for fold in design.folding.layers.values()]
    assert {fold.memory for fold in folds} == {Memory.BLOCK, Memory.LUT}
    assert {design.folding.popcount for design in designs} == {Popcount(board.popcount)}
    parts = {type(part).__name__ for design in designs for part in plan_parts(design.network, design.folding).parts}
    assert {"EnginePart", "WindowPart", "PoolPart", "ConverterPart", "ScoresPart"} <= parts


def test_a_design_without_cells_is_refused(tmp_path: Path) -> None:
    network = random_network([16, 8, 4])
    folding = Folding({"dense0": LayerFold(2, 8), "dense1": LayerFold(1, 4)})
    with pytest.raises(HardwareError, match="no cells"):
        compare_design(network, folding, load_board("asic-generic"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pynq-z1", "ulx3s-85f", "icebreaker", "tangnano9k"])
def test_the_model_is_near_synthesis(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = load_board(name)
    network = random_network([64, 40, 6])
    folding = Folding(
        {"dense0": LayerFold(4, 16, Memory.BLOCK), "dense1": LayerFold(2, 8, Memory.LUT)},
        popcount=Popcount(board.popcount),
    )
    compared = compare_design(network, folding, board, tmp_path)
    assert abs(compared.lut_error) <= 0.1
    assert (compared.estimated.blocks, compared.estimated.dsps) == (compared.measured.blocks, compared.measured.dsps)
    assert compared.estimated.flip_flops == pytest.approx(compared.measured.flip_flops, rel=0.1)

    def refuse(*_: object) -> None:
        raise ToolError("synthesized again")

    monkeypatch.setattr(part_cells, "run_yosys", refuse)
    assert compare_design(network, folding, board, tmp_path) == compared
    other = Folding({**folding.layers, "dense1": LayerFold(1, 8, Memory.LUT)}, popcount=folding.popcount)
    with pytest.raises(ToolError, match="again"):
        compare_design(network, other, board, tmp_path)
