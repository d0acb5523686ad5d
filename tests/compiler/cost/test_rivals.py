from pathlib import Path

import pytest
from random_networks import random_network

from xnorflow.boards.loader import Family
from xnorflow.compiler.cost.energy import EnergyModel, energy
from xnorflow.compiler.cost.rivals import Assumptions, compare_rivals, load_assumptions, printed
from xnorflow.compiler.cost.work import mac_work, xnor_work
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.config import dump_yaml, to_mapping
from xnorflow.errors import UsageError

NETWORK = random_network([64, 32, 10])
FOLDING = Folding({"dense0": LayerFold(2, 8), "dense1": LayerFold(2, 8)})


def test_four_designs_with_their_work_and_energy() -> None:
    rivals, assumptions = compare_rivals(NETWORK, FOLDING)
    assert [rival.name for rival in rivals] == ["XNOR", "int8 MAC", "fp16 MAC", "fp32 MAC"]
    assert rivals[0].layers == xnor_work(NETWORK, FOLDING)
    assert [rival.layers for rival in rivals[1:]] == [mac_work(NETWORK, FOLDING, bits) for bits in (8, 16, 32)]
    report = energy(NETWORK, FOLDING)
    assert [rival.energy for rival in rivals] == [report.xnor, *report.baselines]
    assert assumptions == report.assumptions


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("energy: {fp32_multiply_pj: 7.4}\nluts_per_dsp: {ecp5: 100}\n")
    mine = load_assumptions(file)
    assert mine.energy == EnergyModel(fp32_multiply_pj=7.4)
    assert (mine.dsp_luts(Family.ECP5), mine.dsp_luts(Family.ICE40), mine.dsp_luts(Family.ASIC)) == (100, 179, 0)
    before, after = (compare_rivals(NETWORK, FOLDING, a)[0] for a in (None, mine))
    assert after[3].energy.compute - before[3].energy.compute == pytest.approx(3.7 * (64 * 32 + 32 * 10), rel=1e-9)
    assert printed(mine, Family.ECP5)[0].source == "the user's file"
    assert "Yosys" in printed(mine, Family.ICE40)[0].source


def test_an_empty_file_changes_nothing_and_a_written_one_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("# nothing\n")
    assert load_assumptions(file) == Assumptions()
    file.write_text(dump_yaml(to_mapping(Assumptions())))
    assert load_assumptions(file) == Assumptions()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("energie: {}", "unknown key 'energie'; did you mean 'energy'"),
        ("energy: {int8_mul_pj: 1}", "unknown key 'int8_mul_pj'; did you mean 'int8_multiply_pj'"),
        ("energy: {int8_add_pj: 0}", "int8_add_pj must be positive, not 0"),
        ("energy: {sram_pj: [[8, 1], [4, 2]]}", "sizes ascending"),
        ("energy: {sram_pj: [[8, 1]]}", "two or more pairs"),
        ("luts_per_dsp: {asic: 1}", "no family 'asic' with DSP blocks"),
        ("luts_per_dsp: {ecp5: -1}", "luts_per_dsp.ecp5 must not be negative"),
        ("[1]", "expected a mapping"),
    ],
)
def test_wrong_files_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_assumptions(file)
    assert str(file) in str(caught.value)
