"""Layers over sequences: states that are carried, tables that take tokens, scores of many classes."""

import pytest
import torch
from torch import nn

from xnorflow.errors import UsageError
from xnorflow.train.layers.gradients import GradientQuantizer
from xnorflow.train.layers.quantizers import BipolarWeights, FloatWeights
from xnorflow.train.layers.recurrent import QuantLSTM, QuantRNN
from xnorflow.train.layers.sequences import (
    FloatRecurrent,
    QuantEmbedding,
    SequenceLayer,
    TextScores,
    TokenQuantizer,
    begin_streams,
    carried_tensors,
    restore_carried,
    streaming,
)

WEIGHT = BipolarWeights(4)
KINDS = ["rnn", "lstm", "float rnn", "float lstm"]


def layer_of(kind: str, steps: int) -> SequenceLayer:
    torch.manual_seed(5)
    if kind.startswith("float"):
        return FloatRecurrent("lstm" if kind == "float lstm" else "rnn", 4, 3, steps=steps)
    return (QuantLSTM if kind == "lstm" else QuantRNN)(4, 3, weight=WEIGHT, bits=4, steps=steps)


@pytest.mark.parametrize("kind", KINDS)
def test_streams_go_on_from_batch_to_batch(kind: str) -> None:
    layer = layer_of(kind, 8)
    x = torch.randint(0, 16, (3, 8, 4)) * 2.0 - 15  # three streams of eight samples
    whole = layer(x.view(24, 4)).view(3, 8, 3)
    layer.steps, layer.carries = 4, "training"
    halves = [layer(part.reshape(12, 4)).view(3, 4, 3) for part in x.split(4, 1)]
    assert torch.equal(torch.cat(halves, 1), whole)
    begin_streams(layer)
    assert torch.equal(layer(x[:, :4].reshape(12, 4)).view(3, 4, 3), halves[0])
    fresh = layer.eval()(x[:, 4:].reshape(12, 4)).view(3, 4, 3)
    assert not torch.equal(fresh, halves[1])  # evaluation begins anew
    with pytest.raises(UsageError, match="goes on with 3 sequences; the batch has 2"):
        layer.train()(x[:2, :4].reshape(8, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_kept_states_can_be_put_back(kind: str) -> None:
    model = nn.Sequential(nn.Identity(), layer_of(kind, 4))
    model[1].carries = "training"
    first, second = torch.randn(2, 8, 4).round().mul(2).add(1).unbind()
    model(first)
    kept = {name: tensor.clone() for name, tensor in carried_tensors(model).items()}
    assert len(kept) == (2 if "lstm" in kind else 1)
    expected = model(second)
    restore_carried(model, kept)
    assert torch.equal(model(second), expected)
    restore_carried(model, {})
    assert not torch.equal(model(second), expected)


def test_streaming_leaves_layers_as_they_were() -> None:
    layer = layer_of("lstm", 4).eval()
    layer.carries = "training"
    x = torch.randint(0, 16, (6, 4)) * 2.0 - 15
    layer.steps = 6
    whole = layer(x)
    layer.steps = 4
    with streaming(layer) as take:
        take(4)
        first = layer(x[:4])
        take(2)
        assert torch.equal(torch.cat([first, layer(x[4:])]), whole)
    assert (layer.steps, layer.carries, layer.kept) == (4, "training", None)


def test_float_layers_are_torchs() -> None:
    layer = layer_of("float lstm", 5)
    x = torch.randn(10, 4)
    assert isinstance(layer, FloatRecurrent)
    expected = layer.cell(x.view(2, 5, 4).transpose(0, 1))[0].transpose(0, 1).reshape(10, 3)
    assert torch.equal(layer(x), expected)
    assert layer.cell.bias_ih_l0.tolist() == [0] * 3 + [1] * 3 + [0] * 6


@pytest.mark.parametrize("quantizer", [None, GradientQuantizer(3)])
@pytest.mark.parametrize("weight", [WEIGHT, FloatWeights()])
def test_a_table_takes_tokens_and_one_hot_samples_alike(weight: nn.Module, quantizer: GradientQuantizer | None) -> None:
    torch.manual_seed(0)
    quantize, table = TokenQuantizer(), QuantEmbedding(7, 3, weight=weight)
    table.gradient_quantizer = quantizer
    tokens = torch.tensor([[6], [0], [3], [3]], dtype=torch.int32)
    hot = torch.eye(7)[tokens[:, 0].long()]
    gradients = []
    for samples in (tokens, hot):
        table.weight.grad = None
        torch.manual_seed(1)
        rows = table(quantize(samples))
        (rows * torch.arange(12.0).view(4, 3)).sum().backward()
        gradients.append((rows.detach(), table.weight.grad))
    assert torch.equal(gradients[0][0], gradients[1][0]) and torch.equal(gradients[0][1], gradients[1][1])


@pytest.mark.parametrize("weight", [WEIGHT, FloatWeights()])
def test_scores_are_the_same_in_training_up_to_rounding(weight: nn.Module) -> None:
    torch.manual_seed(0)
    text = TextScores(6, 11, weight=weight, top=16, score_bits=16)
    with torch.no_grad():
        text.scores.weight.uniform_(0.5, 2)
        text.scores.bias.uniform_(-1, 1)
    x = torch.randint(0, 16, (9, 6)) * 2.0 - 15
    trained, evaluated = text(x), text.eval()(x)
    assert evaluated.dtype == torch.float64 and (trained - evaluated).abs().max() < 1e-3 * evaluated.abs().max()
    multiplier, offset, exponent = text.scores.integer_affine()
    acc = text.fc1(x).double()
    assert torch.equal(evaluated, (acc * multiplier + offset) * 2.0**-exponent)
    layered = text.scores.train()(text.fc1(x))
    assert (layered - trained).abs().max() < 1e-5 * trained.abs().max()


def test_scores_quantize_the_gradient_of_their_accumulators() -> None:
    """In front of the gains, whose own gradients, and the offsets', are those of the scores as they are."""
    torch.manual_seed(0)
    text = TextScores(6, 11, weight=FloatWeights(), top=16, score_bits=16)
    with torch.no_grad():
        text.scores.weight.uniform_(0.5, 2)
    text.fc1.gradient_quantizer = quantizer = GradientQuantizer(3)
    x, upstream = torch.randn(9, 6, requires_grad=True), torch.randn(9, 11)
    torch.manual_seed(2)
    text(x).backward(upstream)
    torch.manual_seed(2)
    narrow = quantizer.quantize(upstream * text.scores.gain.detach())
    assert torch.equal(x.grad, narrow @ text.fc1.weight)
    assert torch.equal(text.fc1.weight.grad, narrow.t() @ x)
    assert torch.equal(text.scores.bias.grad, upstream.sum(0))
