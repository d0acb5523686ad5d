"""Recurrent networks down to Verilog: sequences by TLAST, in turn, back to back and under stalls."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_recurrent import random_lstm, random_rnn, recurrent_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.ir import Concat, IntegerNetwork, Recurrent
from xnorflow.compiler.ranges import acc_type
from xnorflow.compiler.types import Encoding, Weights
from xnorflow.compiler.verify import verify
from xnorflow.hdl.accelerator import Accelerator
from xnorflow.hdl.generate import write_design
from xnorflow.sim.simulate import simulate


@pytest.mark.parametrize(
    ("node", "slots", "fold", "cycles"),
    [(random_lstm(6, 5, 4, 4), 1, LayerFold(4, 3), 34), (random_rnn(6, 7, 2, 3), 3, LayerFold(2, 2), 28)],
    ids=["lstm", "rnn_in_turn"],
)
def test_every_stream_equals_the_golden_model(
    node: Recurrent, slots: int, fold: LayerFold, cycles: int, tmp_path: Path
) -> None:
    folding = Folding({"steps": fold, "out": LayerFold(2, node.hidden)}, interleave=slots)
    design = write_design(recurrent_network(node), folding, tmp_path / "design", board=load_board("pynq-z1"))
    rng = np.random.default_rng(0)
    codes = rng.integers(0, node.type.max_code + 1, (300, node.features), dtype=np.uint8)
    result = simulate(design.path, raw_images=codes, last=rng.random(300) < 0.05, stalls=5)
    assert result.mismatches == 0 and result.layers_checked == 2
    steady = simulate(design.path, raw_images=codes)  # one sequence a slot
    assert (steady.mismatches, steady.bound_cycles, steady.steady) == (0, cycles, True)


@pytest.mark.parametrize(("stages", "cycles"), [(1, 34), (3, 36)])
def test_registers_in_popcounts_lengthen_the_way_of_the_state(stages: int, cycles: int, tmp_path: Path) -> None:
    network = recurrent_network(random_lstm(6, 5, 4, 4))
    folding = Folding({"steps": LayerFold(4, 3), "out": LayerFold(2, 5)})
    accelerator = Accelerator(network, folding, popcount_stages=stages)
    assert accelerator.interval == cycles
    design = write_design(network, folding, tmp_path / "design", board=load_board("pynq-z1"), popcount_stages=stages)
    codes = np.random.default_rng(0).integers(0, 16, (60, 6), dtype=np.uint8)
    result = simulate(design.path, raw_images=codes)
    assert (result.mismatches, result.bound_cycles, result.cycles_per_image, result.steady) == (0, cycles, cycles, True)


def test_a_branch_beside_the_state(tmp_path: Path) -> None:
    """h behind x itself: x waits in a FIFO for the step that it belongs to."""
    node = random_lstm(6, 5, 4, 4)
    plain = recurrent_network(node)
    source, dense, scores = plain.nodes[0], plain.nodes[2], plain.nodes[3]
    both = Concat("both", ("inputs", "steps"), replace(node.type, shape=(11,)))
    weights = Weights(np.random.default_rng(1).integers(0, 4, (3, 11), dtype=np.uint8), 2, Encoding.BIPOLAR)
    out = replace(dense, inputs=("both",), weights=weights, type=acc_type(weights, both.type))
    scores = replace(scores, type=out.type)
    network = verify(IntegerNetwork((source, node, both, out, scores), plain.class_names))
    folding = Folding({"steps": LayerFold(4, 3), "out": LayerFold(3, 11)})
    design = write_design(network, folding, tmp_path / "design", board=load_board("pynq-z1"))
    codes = np.random.default_rng(0).integers(0, 16, (200, 6), dtype=np.uint8)
    steady = simulate(design.path, raw_images=codes)
    assert (steady.mismatches, steady.bound_cycles, steady.steady) == (0, 34, True)
    stalled = simulate(design.path, raw_images=codes, last=np.arange(200) % 7 == 6, stalls=3)
    assert stalled.mismatches == 0
