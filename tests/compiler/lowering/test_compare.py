from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from modules import mlp
from torch import nn

from xnorflow.compiler.ir import IntegerNetwork
from xnorflow.compiler.lowering.compare import LayerComparison, compare_with_module
from xnorflow.compiler.lowering.module import compile_module
from xnorflow.errors import UsageError
from xnorflow.train.layers.modules import InputQuantizer, QuantReLU
from xnorflow.train.layers.norms import BatchNorm1d

RAW = np.random.default_rng(0).integers(0, 256, (70, 20), dtype=np.uint8)


def changed(network: IntegerNetwork, target: str, **fields: Any) -> IntegerNetwork:
    nodes = tuple(replace(node, **fields) if node.name == target else node for node in network.nodes)
    return replace(network, nodes=nodes)


@pytest.mark.parametrize("batch", [1000, 32, 1])
def test_every_number_is_compared_and_none_differs(batch: int):
    module = mlp((20, 9, 7, 4))
    comparison = compare_with_module(compile_module(module, RAW), module, RAW, batch=batch)
    sizes = {"inputs": 20, "fc1": 9, "act1": 9, "fc2": 7, "act2": 7, "fc_out": 4, "scores": 4, "classes": 1}
    assert comparison.by_layer == {name: LayerComparison(70 * size, 0) for name, size in sizes.items()}
    assert comparison.images == 70
    assert comparison.compared == 70 * sum(sizes.values())
    assert comparison.disagreements == comparison.plain_differences == 0


def test_scores_are_compared_up_to_their_common_divisor():
    module = mlp((20, 9, 4))
    with torch.no_grad():
        module.head.weight.fill_(0.5)
        module.head.bias.zero_()
        module.head.running_mean.zero_()
        module.head.running_var.fill_(1.0)
    network = compile_module(module, RAW)
    assert network.scores.multiplier.tolist() == [1, 1, 1, 1]
    assert compare_with_module(network, module, RAW).by_layer["scores"] == LayerComparison(280, 0)


@pytest.mark.parametrize("head", [nn.BatchNorm1d, BatchNorm1d, None])
def test_outputs_in_floats_are_compared_pair_by_pair(head: Any):
    module = mlp((20, 9, 4), InputQuantizer(8, "unsigned"), lambda: QuantReLU(3, 0.4), head=head)
    comparison = compare_with_module(compile_module(module, RAW), module, RAW)
    assert comparison.by_layer["scores"] == LayerComparison(70 * 6, 0)
    assert comparison.disagreements == 0


def test_a_wrong_threshold_is_found_where_it_is():
    module = mlp((20, 9, 4))
    network = compile_module(module, RAW)
    threshold = network.node("act1")
    never = np.where(threshold.descending, -21, 21)[:, None]
    comparison = compare_with_module(changed(network, "act1", thresholds=never), module, RAW)
    wrong = {name for name, layer in comparison.by_layer.items() if layer.disagreements}
    assert {"act1", "fc_out"} <= wrong and not wrong & {"inputs", "fc1"}
    assert comparison.disagreements == sum(layer.disagreements for layer in comparison.by_layer.values())


def test_a_wrong_weight_is_found_in_every_image():
    module = mlp((20, 9, 4))
    network = compile_module(module, RAW)
    weights = network.node("fc1").weights
    codes = weights.codes.copy()
    codes[3, 5] ^= 1
    network = changed(network, "fc1", weights=replace(weights, codes=codes))
    assert compare_with_module(network, module, RAW).by_layer["fc1"] == LayerComparison(70 * 9, 70)


@pytest.mark.parametrize(("head", "compared"), [("score_norm", 4), ("batch_norm", 6)])
def test_a_wrong_score_is_found(head: str, compared: int):
    module = mlp((20, 9, 4)) if head == "score_norm" else mlp((20, 9, 4), head=nn.BatchNorm1d)
    network = compile_module(module, RAW)
    scores = network.scores
    offset = scores.offset + np.array([0, 1 << 40, 0, 0])
    wide = replace(scores.type, lo=-(1 << 50), hi=1 << 50)
    comparison = compare_with_module(changed(network, "scores", offset=offset, type=wide), module, RAW)
    assert comparison.by_layer["scores"].compared == 70 * compared
    assert comparison.by_layer["scores"].disagreements >= 70
    assert comparison.by_layer["classes"].disagreements > 0


def test_a_wrong_input_transform_is_found():
    module = mlp((20, 9, 4))
    network = compile_module(module, RAW)
    shifted = replace(network.input.transform, lo=100.0)
    comparison = compare_with_module(changed(network, "inputs", transform=shifted), module, RAW)
    assert comparison.by_layer["inputs"].disagreements > 0


@pytest.mark.parametrize("raw", [RAW[:0], RAW[:, :19], RAW[0]])
def test_samples_that_do_not_fit_are_refused(raw: np.ndarray):
    module = mlp((20, 9, 4))
    with pytest.raises(UsageError, match=r"samples must have shape \(B, \*\(20,\)\), not"):
        compare_with_module(compile_module(module, RAW), module, raw)


def test_another_module_is_refused():
    network = compile_module(mlp((20, 9, 4)), RAW)
    for other in (mlp((20, 8, 4)), mlp((20, 9, 9, 4)), mlp((20, 4))):
        with pytest.raises(UsageError, match="the network was not compiled from this module: it has layer"):
            compare_with_module(network, other, RAW)


class RoundsByBatch(nn.Identity):
    """Stands for a kernel whose rounding depends on the batch size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.25 if len(x) == len(RAW) else x


def test_differences_of_the_plain_call_are_counted_beside():
    module = mlp((20, 9, 4), head=None)
    module.add_module("odd", RoundsByBatch())
    comparison = compare_with_module(compile_module(module, RAW), module, RAW, batch=32)
    assert comparison.disagreements == 0
    assert comparison.plain_differences == 70 * 4


def test_arrays_that_are_not_writable_are_taken():
    module = mlp((20, 9, 4))
    frozen = RAW.copy()
    frozen.flags.writeable = False
    assert compare_with_module(compile_module(module, frozen), module, frozen).disagreements == 0
