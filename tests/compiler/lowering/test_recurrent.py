"""Recurrent layers: thresholds and table against the layer itself, whole modules number by number."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from xnorflow.compiler import golden
from xnorflow.compiler.ir import Recurrent
from xnorflow.compiler.lowering.compare import compare_with_module
from xnorflow.compiler.lowering.module import compile_module
from xnorflow.compiler.lowering.recurrent import sequence_ends
from xnorflow.compiler.ranges import row_ranges
from xnorflow.compiler.recurrent import Lstm
from xnorflow.errors import UnsupportedLayerError, UsageError
from xnorflow.train.layers.modules import InputQuantizer, QuantLinear
from xnorflow.train.layers.norms import ScoreNorm
from xnorflow.train.layers.quantizers import BinaryWeights, BipolarWeights
from xnorflow.train.layers.recurrent import CellSpec, QuantHardtanh, QuantLSTM, QuantRecurrent, QuantRNN
from xnorflow.train.models.build import build_model
from xnorflow.train.recipe import load_recipe, with_overrides


def module_of(layer: QuantRecurrent, symbols: int = 9, classes: int = 5) -> nn.Sequential:
    """One-hot symbols, a table, the layer, scores; rows with slopes of both signs, statistics that are not 0 and 1."""
    generator = torch.Generator().manual_seed(layer.hidden_size)
    with torch.no_grad():
        layer.gain.copy_(torch.randn(layer.gain.shape, generator=generator))
        layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator))
    table = QuantLinear(symbols, layer.input_size, weight=BipolarWeights(layer.bits))
    nn.init.uniform_(table.weight, -1, 1, generator=generator)
    norm = ScoreNorm(classes)
    norm.running_mean = torch.randn(classes, generator=generator)
    return nn.Sequential(
        InputQuantizer(1, "unsigned", 0, 1),
        table,
        QuantHardtanh(layer.bits),
        layer,
        QuantLinear(layer.hidden_size, classes, weight=BinaryWeights()),
        norm,
    ).eval()


def layers() -> dict[str, QuantRecurrent]:
    torch.manual_seed(3)
    four = BipolarWeights(4)
    return {
        "rnn": QuantRNN(5, 7, weight=BipolarWeights(2), bits=3, steps=6),
        "binary": QuantRNN(4, 8, weight=BinaryWeights(), bits=1, steps=6),
        "lstm": QuantLSTM(6, 5, weight=four, bits=4, steps=6),
        "wide": QuantLSTM(3, 4, weight=four, bits=8, cell=CellSpec(6, 13, 9), steps=6),
        "narrow": QuantLSTM(3, 4, weight=four, bits=2, cell=CellSpec(2, 4, 2), steps=None),
    }


@pytest.mark.parametrize("name", sorted(layers()))
def test_module_and_network_agree_in_every_number(name: str) -> None:
    module = module_of(layers()[name])
    symbols = np.random.default_rng(5).integers(0, 9, 150)
    samples = np.eye(9, dtype=np.uint8)[symbols]
    network = compile_module(module, samples)
    comparison = compare_with_module(network, module, samples, batch=20)
    assert comparison.disagreements == 0 and comparison.plain_differences == 0
    assert comparison.by_layer["recurrent3"].compared == 150 * layers()[name].hidden_size
    states = golden.run(network, network.input_codes(samples), last=sequence_ends(module, 150))["recurrent3"]
    assert len(np.unique(states, axis=0)) > 1


def test_a_wrong_threshold_a_wrong_table_and_lost_states_are_noticed() -> None:
    module = module_of(layers()["lstm"])
    samples = np.eye(9, dtype=np.uint8)[np.random.default_rng(5).integers(0, 9, 600)]
    network = compile_module(module, samples)
    node = network.node("recurrent3")
    assert isinstance(node, Lstm)
    for wrong in (
        replace(node, thresholds=node.thresholds + 9),
        replace(node, cell=replace(node.cell, tanh=node.cell.tanh + 5)),
        replace(node, descending=~node.descending, thresholds=node.thresholds[:, ::-1]),
    ):
        nodes = tuple(wrong if other is node else other for other in network.nodes)
        assert compare_with_module(replace(network, nodes=nodes), module, samples).disagreements > 0
    states = golden.run(network, network.input_codes(samples))
    assert (
        states["recurrent3"]
        != golden.run(network, network.input_codes(samples), last=sequence_ends(module, 600))["recurrent3"]
    ).any()


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_thresholds_are_the_layer_on_every_reachable_accumulator(name: str) -> None:
    layer = layers()[name]
    network = compile_module(module_of(layer), np.eye(9, dtype=np.uint8))
    node = network.node("recurrent3")
    assert isinstance(node, Recurrent)
    reach = row_ranges(node.weights, node.stage.input_type)
    for value in range(int(reach.lo.min()), int(reach.hi.max()) + 1, 7):
        acc = np.full(len(reach.lo), value)
        expected = layer.codes(torch.full((1, len(acc)), float(value)))[0].detach().numpy()
        by_unit = expected.reshape(node.gates, -1).T.ravel()
        steps = node.thresholds
        codes = np.where(node.descending[:, None], acc[:, None] <= steps, acc[:, None] >= steps).sum(axis=1)
        within = (acc >= reach.lo) & (acc <= reach.hi) & ((acc - reach.lo) % reach.step == 0)
        assert (codes == by_unit)[within].all()


def test_what_does_not_fit_is_said() -> None:
    layer = layers()["lstm"]
    samples = np.eye(9, dtype=np.uint8)
    module = module_of(layer)
    with pytest.raises(UsageError, match=r"3 reads 2-bit bipolar codes and keeps 4-bit bipolar ones; give it"):
        compile_module(nn.Sequential(*module[:2], QuantHardtanh(2), *module[3:]), samples)
    with pytest.raises(UnsupportedLayerError, match="reads numbers that are no codes"):
        compile_module(nn.Sequential(*module[:2], *module[3:]), samples)
    with torch.no_grad():
        layer.gain[2] = torch.nan
    with pytest.raises(UsageError, match="not finite"):
        compile_module(module, samples)


def test_layers_with_sequences_of_several_lengths_are_refused() -> None:
    module = nn.Sequential(layers()["lstm"], layers()["narrow"])
    with pytest.raises(UsageError, match="sequences of"):
        sequence_ends(module, 12)


@pytest.mark.parametrize("name", ["ptb-lstm-w4a4", "ptb-lstm-w3a4", "char-rnn-w4a4", "char-lstm-w4a4"])
def test_networks_of_tokens_compile_as_dense_layers_on_one_hot_samples(name: str) -> None:
    torch.manual_seed(2)
    small = ["dataset=text", "model.recurrent.embed=8", "model.recurrent.hidden=12", "batch=512"]
    module = build_model(with_overrides(load_recipe(name), small)).eval()
    with torch.no_grad():
        module.cell.gain.uniform_(-2, 2)
        module.text.scores.weight.uniform_(-2, 2)
        module.text.scores.bias.uniform_(-1, 1)
    tokens = np.random.default_rng(1).integers(0, 97, (200, 1)).astype(np.int32)
    samples = np.eye(97, dtype=np.uint8)[tokens[:, 0]]
    network = compile_module(module, samples[:1])
    comparison = compare_with_module(network, module, samples)
    assert (comparison.disagreements, comparison.plain_differences) == (0, 0)
    classes = golden.run(network, network.input_codes(samples), last=sequence_ends(module, 200)).classes
    assert np.array_equal(classes, module(torch.from_numpy(tokens)).argmax(1).numpy())
