"""Recurrent networks down to Verilog: sequences by TLAST, in turn, back to back and under stalls."""

from pathlib import Path

import numpy as np
import pytest
from random_recurrent import random_lstm, random_rnn, recurrent_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.folding import Folding, LayerFold
from xnorflow.compiler.ir import Recurrent
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
