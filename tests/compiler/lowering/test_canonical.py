import torch
from modules import mlp
from torch import nn

from xnorflow.compiler.lowering.canonical import Canonical
from xnorflow.compiler.lowering.roles import Role
from xnorflow.compiler.lowering.trace import trace
from xnorflow.train.layers.modules import QuantLinear
from xnorflow.train.layers.norms import BatchNorm1d
from xnorflow.train.layers.quantizers import BinaryWeights


def test_the_layout_of_the_accumulators_does_not_matter():
    traced = trace(mlp((200, 61, 2), norm=nn.BatchNorm1d))
    canonical = Canonical(traced)
    site = traced.sites[2]
    norm = site.path[0]
    expanded = torch.arange(-200.0, 201.0, 2.0)[:, None].expand(-1, 61)
    columns = expanded.contiguous().T.contiguous().T
    canonical.outputs(site, expanded.contiguous())
    expected = canonical.env[norm]
    for acc in (expanded, columns):
        assert not acc.is_contiguous()
        canonical.outputs(site, acc)
        assert torch.equal(canonical.env[norm], expected)


def test_each_row_is_evaluated_alike_in_every_batch():
    traced = trace(mlp((200, 61, 2), norm=nn.BatchNorm1d))
    canonical = Canonical(traced)
    acc = torch.randint(-200, 201, (97, 61))
    site = traced.sites[2]
    norm = site.path[0]
    canonical.outputs(site, acc)
    together = canonical.env[norm]
    for row in range(97):
        canonical.outputs(site, acc[row : row + 1])
        assert torch.equal(canonical.env[norm][0], together[row])


def test_a_bias_is_added_to_the_finished_accumulator():
    torch.manual_seed(0)
    layer = QuantLinear(4000, 16, weight=BinaryWeights(), bias=True)
    nn.init.normal_(layer.bias)
    traced = trace(nn.Sequential(layer))
    canonical = Canonical(traced)
    raw = torch.randint(0, 2, (8, 4000)) * 2.0 - 1
    node = traced.sites[1].operation
    outputs = canonical.everything(raw, [node])[node]
    exact = raw.long() @ (2 * layer.weight_quantizer.codes(layer.weight).long() - 1).T
    assert torch.equal(canonical.accumulators["fc0"], exact.float())
    assert torch.equal(outputs, exact.float() + layer.bias)
    assert torch.equal(canonical.outputs(traced.sites[-1], exact), outputs)


def test_everything_is_the_sum_of_its_layers():
    module = mlp((20, 9, 7, 3))
    traced = trace(module)
    canonical = Canonical(traced)
    ends = [site for site in traced.sites if site.role in (Role.CODES, None)]
    tensors = canonical.everything(torch.randint(0, 256, (5, 20)), [site.value for site in ends])
    assert [site.name for site in ends] == ["act1", "act2", "scores"]
    for site in ends:
        acc = canonical.accumulators[site.sources[0].name]
        assert torch.equal(canonical.outputs(site, acc), tensors[site.value])


def test_double_is_what_float32_rounds():
    traced = trace(mlp((20, 9, 3), head=BatchNorm1d))
    site = traced.sites[-1]
    acc = torch.arange(-9.0, 10.0, 2.0)[:, None].expand(-1, 3)
    exact, rounded = Canonical(traced).doubled().outputs(site, acc), Canonical(traced).outputs(site, acc)
    assert exact.dtype == torch.float64 and rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded.double())
    assert torch.allclose(exact, rounded.double(), rtol=1e-5, atol=1e-5)
    assert traced.module.head.weight.dtype == torch.float32
