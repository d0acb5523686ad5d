from dataclasses import replace
from pathlib import Path

import pytest
from random_networks import random_network

from xnorflow import flow
from xnorflow.compiler.cost.rivals import compare_rivals
from xnorflow.compiler.cost.training import Method
from xnorflow.compiler.folds.folding import Arithmetic, Folding, LayerFold, save_folding
from xnorflow.compiler.int8 import int8_twin
from xnorflow.compiler.ir import Encoding
from xnorflow.compiler.schedule.cycles import initiation_interval
from xnorflow.compiler.storage.network_file import save_network
from xnorflow.errors import UsageError
from xnorflow.flow.compare import Comparison, mac_folding

NETWORK = random_network([24, 12, 4], source=(4, Encoding.UNSIGNED))
FOLDING = Folding({"dense0": LayerFold(4, 8), "dense1": LayerFold(2, 6)})


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    save_network(NETWORK, tmp_path / "net.safetensors")
    save_folding(FOLDING, tmp_path / "folding.yaml")
    return tmp_path / "net.safetensors", tmp_path / "folding.yaml"


def compared(files: tuple[Path, Path], **options: object) -> Comparison:
    return flow.compare(files[0], folding=files[1], board="ulx3s-85f", **options)  # type: ignore[arg-type]


def test_on_paper(files: tuple[Path, Path]) -> None:
    result = compared(files)
    assert (result.rivals, result.assumptions) == compare_rivals(NETWORK, FOLDING)
    assert result.cycles == initiation_interval(NETWORK, FOLDING)
    assert result.frames_per_second == result.clock_hz / result.cycles
    assert [side.name for side in result.sides] == ["XNOR-popcount", "int8 MAC"]
    assert [side.cycles for side in result.sides] == [result.cycles] * 2
    assert all(side.fpga is None and side.asic is None and side.accuracy is None for side in result.sides)
    assert any("random weights" in note for note in result.notes)
    assert any("does not say which data set" in note for note in result.notes)


def test_a_users_assumptions_are_used_and_listed(files: tuple[Path, Path], tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("energy: {int8_multiply_pj: 20}\n")
    plain, changed = compared(files), compared(files, assumptions=mine)
    assert changed.rivals[1].energy.total > plain.rivals[1].energy.total
    assert "20 pJ" in [assumption.value for assumption in changed.assumptions]


def test_multipliers_keep_the_rate() -> None:
    twin = int8_twin(NETWORK)
    made = mac_folding(NETWORK, twin, FOLDING)
    assert all(fold.arithmetic is Arithmetic.MAC for fold in made.layers.values())
    assert [(f.pe, f.simd) for f in made.layers.values()] == [(4, 8), (1, 6)]  # 8 cycles where there are 9
    assert initiation_interval(twin, made) == initiation_interval(NETWORK, FOLDING)


def test_multipliers_are_as_few_as_the_rate_allows() -> None:
    generous = replace(FOLDING, layers={**FOLDING.layers, "dense1": LayerFold(4, 12)})  # 1 cycle where 9 would do
    interval = initiation_interval(NETWORK, generous)
    made = mac_folding(NETWORK, int8_twin(NETWORK), generous)
    fold = made.layers["dense1"]
    assert fold.pe * fold.simd == min(
        pe * simd for pe in range(1, 5) for simd in range(1, 13) if -(-4 // pe) * -(-12 // simd) <= interval
    )
    assert initiation_interval(int8_twin(NETWORK), made) == interval


def test_where_planes_take_turns_multipliers_need_fewer_rows() -> None:
    in_turn = replace(FOLDING, layers={**FOLDING.layers, "dense0": LayerFold(4, 8, planes_in_time=2)})
    made = mac_folding(NETWORK, int8_twin(NETWORK), in_turn)
    assert (made.layers["dense0"].pe, made.layers["dense0"].planes_in_time) == (2, 1)
    assert initiation_interval(int8_twin(NETWORK), made) == initiation_interval(NETWORK, in_turn)


def test_another_topology_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    save_network(int8_twin(random_network([24, 10, 4])), tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"other layers: dense0 is \(10, 24\) there, \(12, 24\) here"):
        compared(files, int8=tmp_path / "other.safetensors")


def test_what_does_not_go_together(files: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="a folding or frames per second"):
        compared(files, fps=100.0)
    with pytest.raises(UsageError, match="Fmax is measured on ECP5 alone, board pynq-z1"):
        flow.compare(files[0], folding=files[1], board="pynq-z1", fmax=True)
    with pytest.raises(UsageError, match="cannot read"):
        compared(files, asic=True, liberty=files[0].parent / "none.lib")


def test_standard_cells_are_asked_for_in_one_line(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files[0].parent)
    with pytest.raises(UsageError, match="xnorflow fetch osu018"):
        compared(files, asic=True)


def test_training_of_a_network_file_and_of_a_recipe(files: tuple[Path, Path]) -> None:
    assert [counts.method for counts in flow.compare_training(files[0])] == list(Method)
    _, connect, _ = flow.compare_training("digits")
    products, first = 3 * 64 * 64 + 64 * 10, 64 * 64
    assert connect.removed == pytest.approx(1 - products / (3 * products - first))


@pytest.mark.slow
def test_both_designs_built(files: tuple[Path, Path], tmp_path: Path) -> None:
    from small_library import write_library

    heard: list[str] = []
    result = compared(
        files,
        synthesis=True,
        asic=True,
        liberty=write_library(tmp_path),
        images=6,
        work=tmp_path / "work",
        progress=heard.append,
    )
    ours, theirs = result.sides
    assert ours.fpga and theirs.fpga and ours.asic and theirs.asic
    assert ours.fpga.dsps < theirs.fpga.dsps
    assert ours.lut_equivalent == ours.fpga.luts + 184 * ours.fpga.dsps
    assert ours.asic.area < theirs.asic.area
    for side in (ours.asic, theirs.asic):
        assert side.images == 6
        assert side.energy_pj == pytest.approx(side.loads_pj + side.internal_pj + side.clock_pj)
    assert ours.asic.energy_pj < theirs.asic.energy_pj
    assert result.library == "small"
    assert len(heard) == 6
