"""Modules with weights and activations of every encoding: the integer network equals them on every input, and so do
the counts of the engines made from it."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering.test_module import assert_equal, every_input
from modules import shake
from torch import nn

from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import LayerFold
from xnorflow.compiler.ir import Encoding, Threshold
from xnorflow.compiler.lowering.module import compile_module
from xnorflow.errors import UsageError
from xnorflow.hdl.dot.constants import engine_params
from xnorflow.train.layers.activations import LinearQuant, LogQuant
from xnorflow.train.layers.modules import InputQuantizer, QuantLinear, QuantReLU, Sign
from xnorflow.train.layers.norms import BatchNorm1d, ScoreNorm
from xnorflow.train.layers.qnn import LogWeights, SignedWeights, TernaryWeights
from xnorflow.train.layers.quantizers import BinaryWeights, BipolarWeights, WeightQuantizer

WEIGHTS = st.one_of(
    *(st.builds(kind) for kind in (BinaryWeights, TernaryWeights)),
    st.builds(BipolarWeights, st.integers(1, 4)),
    st.builds(SignedWeights, st.integers(2, 5)),
    st.builds(LogWeights, st.integers(1, 3)),
)
STEPS = st.sampled_from([0.05, 0.25, 1.0])
ACTIVATIONS = st.one_of(
    st.builds(Sign),
    st.builds(QuantReLU, st.integers(1, 3), STEPS),
    st.builds(LinearQuant, st.integers(2, 4), STEPS),
    st.builds(LogQuant, st.integers(1, 3), STEPS, st.booleans()),
)
LAYERS = st.lists(st.tuples(WEIGHTS, ACTIVATIONS), min_size=1, max_size=3)


def mixed(columns: int, layers: list[tuple[WeightQuantizer, nn.Module]], seed: int) -> nn.Sequential:
    """An MLP whose layers have weights and activations of their own."""
    torch.manual_seed(seed)
    made: OrderedDict[str, nn.Module] = OrderedDict(quantize=InputQuantizer(3, "unsigned", 0, 7), flatten=nn.Flatten())
    for index, (weight, activation) in enumerate(layers, start=1):
        made[f"fc{index}"] = QuantLinear(columns, 6, weight=weight)
        made[f"norm{index}"] = BatchNorm1d(6)
        made[f"act{index}"] = activation
        columns = 6
    made["out"] = QuantLinear(columns, 3, weight=SignedWeights(3))
    made["scores"] = ScoreNorm(3)
    return shake(nn.Sequential(made), seed)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3), LAYERS, st.integers(0, 9999))
def test_mixed_precision_equals_the_module_on_every_input(columns, layers, seed):
    module = mixed(columns, layers, seed)
    raw = every_input(columns, 8)
    network = compile_module(module, raw[:1])
    assert_equal(network, module, raw)
    trace = golden.run(network, network.input_codes(raw))
    for stage in network.stages():
        if isinstance(stage.sink, Threshold):
            params = engine_params(stage, LayerFold(2, 1))
            np.testing.assert_array_equal(params.reference(trace[stage.dot.inputs[0]]), trace[stage.sink.name])


@pytest.mark.parametrize(
    ("weight", "encoding", "bits"),
    [
        (TernaryWeights(), Encoding.TERNARY, 2),
        (SignedWeights(4), Encoding.SIGNED, 4),
        (LogWeights(3), Encoding.LOG, 3),
    ],
)
def test_encodings_reach_the_network(weight, encoding, bits):
    network = compile_module(mixed(5, [(weight, LogQuant(2, 1.0))], 1), np.zeros((1, 5), np.uint8))
    stage = next(network.stages())
    assert (stage.dot.weights.encoding, stage.dot.weights.bits) == (encoding, bits)
    assert (stage.sink.type.encoding, stage.sink.type.bits) == (Encoding.LOG, 2)


def test_values_off_the_grid_are_refused():
    class Halves(LinearQuant):
        def forward(self, x):
            return super().forward(x) / 2

    module = mixed(3, [(BinaryWeights(), Halves(3, 0.25))], 4)
    with pytest.raises(UsageError, match=r"act1 yields -?[0-9.]+, which is no 3-bit signed value"):
        compile_module(module, np.zeros((1, 3), np.uint8))
