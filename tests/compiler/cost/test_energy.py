from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network

from xnorflow.compiler.cost.energy import DesignEnergy, EnergyModel, energy
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.folds.solver import fold_for_cycles
from xnorflow.compiler.ir import Encoding

MODEL = EnergyModel()
LFC = random_network([784, 1024, 1024, 1024, 10])


def test_memory_energy_goes_through_the_published_points() -> None:
    assert [MODEL.sram_word_pj(size) for size, _ in MODEL.sram_pj] == pytest.approx([10, 20, 100], rel=1e-12)
    assert MODEL.sram_word_pj(1) == 10
    assert MODEL.sram_word_pj(16 << 10) == pytest.approx(200**0.5)  # the middle of the first line in log-log


@given(st.floats(1, 1e9), st.floats(1, 1e9))
@settings(deadline=None)
def test_larger_memories_never_cost_less(one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert MODEL.sram_word_pj(small) <= MODEL.sram_word_pj(large) * (1 + 1e-12)


def test_one_layer_by_hand() -> None:
    network = random_network([64, 2])
    report = energy(network, Folding({"dense0": LayerFold(1, 32)}))  # 2 neuron folds of 2 synapse folds
    adder = 0.03 / 8
    acc_bits = 7  # 0..64
    compute = (128 * 1.5 + 4 * acc_bits) * adder + 2 * (3.1 + 0.1)
    assert report.xnor.compute == pytest.approx(compute, rel=1e-12)
    assert report.xnor.weights == 128 / 64 * 10
    assert report.xnor.activations == (2 * 64 + 64) / 64 * 10
    int8 = report.baselines[0]
    assert int8.compute == pytest.approx(128 * (0.2 + 0.1) + 2 * 0.1, rel=1e-12)
    assert int8.weights == 8 * 128 / 64 * 10 + 2 * 32 / 64 * 10
    assert int8.activations == 8 * report.xnor.activations


def test_thresholds_by_hand() -> None:
    network = random_network([64, 3, 2], hidden=(2, Encoding.UNSIGNED))
    folding = Folding({"dense0": LayerFold(3, 64), "dense1": LayerFold(2, 3)})
    adder = 0.03 / 8
    first = 192 * 1.5 + (3 + 3 * 3) * 7  # 3 accumulations and 3 thresholds a neuron, of 7 bits (0..64)
    last = 6 * 2 * 1.5 + 2 * 2 * 4  # two planes, 4 bits (0..9)
    report = energy(network, folding)
    assert report.xnor.compute == pytest.approx((first + last) * adder + 2 * (3.1 + 0.1), rel=1e-12)
    assert report.xnor.weights == pytest.approx((192 + 9 * 7 + 6) / 64 * 10, rel=1e-12)


def test_lfc_beats_every_mac_design_and_wider_macs_cost_more() -> None:
    report = energy(LFC, fold_for_cycles(LFC, 512))
    assert [design.name for design in report.baselines] == ["int8 MAC", "fp16 MAC", "fp32 MAC"]
    ratios = [report.xnor.ratio, *(design.ratio for design in report.baselines)]
    assert ratios[0] == 1
    assert ratios == sorted(ratios)
    assert ratios[1] > 8  # eight times the weight bits, from dearer memories


def test_totals_are_sums() -> None:
    report = energy(LFC, fold_for_cycles(LFC, 512))
    for design in (report.xnor, *report.baselines):
        assert design.total == pytest.approx(design.compute + design.weights + design.activations, rel=1e-12)
        assert design.ratio == pytest.approx(design.total / report.xnor.total, rel=1e-12)


def test_more_planes_cost_more_and_mac_designs_do_not_care() -> None:
    wide = random_network([784, 1024, 1024, 1024, 10], (8, Encoding.UNSIGNED), (4, Encoding.UNSIGNED))
    folding = fold_for_cycles(LFC, 512)
    binary, planes = energy(LFC, folding), energy(wide, folding)
    assert planes.xnor.compute > 4 * binary.xnor.compute
    assert planes.baselines[0].compute == binary.baselines[0].compute


@pytest.mark.parametrize("name", [f.name for f in fields(EnergyModel) if f.name != "sram_pj"])
def test_every_number_of_the_model_enters_the_result_and_the_assumptions(name: str) -> None:
    folding = fold_for_cycles(LFC, 512)
    changed = replace(MODEL, **{name: 2 * getattr(MODEL, name)})
    before, after = energy(LFC, folding, MODEL), energy(LFC, folding, changed)

    def computes(xnor: DesignEnergy, rivals: tuple[DesignEnergy, ...]) -> list[float]:
        return [xnor.compute, *(design.compute for design in rivals)]

    assert computes(before.xnor, before.baselines) != computes(after.xnor, after.baselines)
    assert before.assumptions != after.assumptions
