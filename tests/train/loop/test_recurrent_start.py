"""A float recurrent network's weights in integer arithmetic: what it computes stays."""

import gzip
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xnorflow.train.layers.quantizers import BinaryWeights, BipolarWeights
from xnorflow.train.loop.recurrent_start import correct_means, on_grid, recurrent_tensors
from xnorflow.train.loop.runs import load_run
from xnorflow.train.loop.trainer import train_recipe
from xnorflow.train.loop.warm_start import warm_start
from xnorflow.train.models.build import build_model
from xnorflow.train.recipe import Recipe, load_recipe, with_overrides

SMALL = ("dataset=text", "model.recurrent.embed=12", "model.recurrent.hidden=20", "batch=512")
FINE = ("model.weights.bits=8", "model.recurrent.bits=8", "model.recurrent.gate_bits=8")
CELL = ("model.recurrent.cell_bits=16", "model.recurrent.cell_point=11")


def small(name: str, *more: str) -> Recipe:
    return with_overrides(load_recipe(name), [*SMALL, *more])


def some_network(recipe: Recipe, of_cell: float) -> nn.Sequential:
    """A float network none of whose tensors is like another; of_cell: standard deviation of the cell's."""
    model = build_model(recipe)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            wide = {"embed.weight": 0.4, "text.fc1.weight": 1.5}.get(name, of_cell)
            parameter.copy_(wide * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize(("kind", "of_cell"), [("lstm", 0.6), ("rnn", 0.15)])  # an RNN with more is chaotic
def test_states_and_scores_are_those_of_the_float_network(kind: str, of_cell: float) -> None:
    """8 bits: a state stands for h / 256 in the middle of its step, and is some steps off at most."""
    source = small(f"char-{kind}-float")
    float_model = some_network(source, of_cell)
    model = build_model(small(f"char-{kind}-w4a4", *FINE, *CELL)).eval()
    found = recurrent_tensors(model, float_model.state_dict(), source)
    assert not any(
        found[name].data_ptr() == own.data_ptr() for name, own in model.state_dict().items() if name in found
    )
    missing, other = model.load_state_dict(found, strict=False)
    assert set(missing) == {"cell.unit", "text.scores.running_mean"} and not other

    tokens = torch.randint(0, 97, (10 * 64, 1), dtype=torch.int32)
    with torch.no_grad():
        states, exact = (net[: 4 if net is model else 3](tokens) for net in (model, float_model))
        scores, wanted = model(tokens), float_model(tokens)
    assert states.abs().max() <= 255 and float((states / 256 - exact).square().mean().sqrt()) < 0.02
    assert float((scores - wanted).square().mean()) < 0.04**2 * float(wanted.square().mean())


def test_the_means_of_states_are_taken_back() -> None:
    """Without a loop from state to state the bias behind has all of the error; the mean of scores is the twin's."""
    source = small("char-lstm-float")
    twin = some_network(source, 0.3)
    with torch.no_grad():
        twin.cell.cell.weight_hh_l0.zero_()
    model = build_model(small("char-lstm-w4a4", "model.weights.bits=8", *CELL)).eval()
    model.load_state_dict(recurrent_tensors(model, twin.state_dict(), source), strict=False)
    tokens = torch.randint(0, 97, (20 * 64, 1), dtype=torch.int32)
    with torch.no_grad():
        before = (model(tokens) - twin(tokens)).mean(0)
        correct_means(model, twin, tokens)
        after = (model(tokens) - twin(tokens)).mean(0)
    assert float(after.square().mean().sqrt()) < 0.1 * float(before.square().mean().sqrt())


def test_what_the_state_does_to_the_next_one_is_taken_back_too() -> None:
    """Against the mean of h' - h of each unit, through the twin's own weights in their own order."""
    source = small("char-lstm-float")
    twin = some_network(source, 0.3)
    model = build_model(small("char-lstm-w4a4", "model.weights.bits=8", *CELL)).eval()
    model.load_state_dict(recurrent_tensors(model, twin.state_dict(), source), strict=False)
    tokens, before = torch.randint(0, 97, (20 * 64, 1), dtype=torch.int32), model.cell.bias.detach().clone()
    with torch.no_grad():
        error = (model[:4](tokens) / 16 - twin[:3](tokens)).mean(0)
        correct_means(model, twin, tokens)
        i, f, g, o = (twin.cell.cell.weight_hh_l0 @ error).split(20)
    assert torch.allclose(before - model.cell.bias, torch.cat([i, f, o, g]), atol=0.02 * float(error.abs().max()))


def test_a_4_bit_network_begins_near_its_float_twin(tmp_path: Path) -> None:
    words = ["lorem ", "ipsum ", "dolor\n", "sit ", "amet, "]
    text = tmp_path / "some.txt.gz"
    text.write_bytes(gzip.compress("".join(words[n * n * 7 % 11 % 5] for n in range(8000)).encode()))
    source = small("char-lstm-float", "optimizer.lr=0.03", "model.dropout_hidden=0.0")
    of_float = train_recipe(with_overrides(source, [], epochs=3), tmp_path / "float", data_dir=text)
    recipe = small("char-lstm-w4a4", f"init={tmp_path / 'float'}", "optimizer.lr=1e-9", "optimizer.lr_final=1e-9")
    begun = train_recipe(with_overrides(recipe, [], epochs=1), tmp_path / "run", data_dir=text)
    assert of_float.val_loss is not None and begun.val_loss is not None
    assert of_float.val_loss < 0.3 * math.log(97)
    assert begun.val_loss < of_float.val_loss + 0.1  # 10 % perplexity
    uncorrected = build_model(recipe)
    warm_start(uncorrected, tmp_path / "float")
    moved = load_run(tmp_path / "run").model.get_parameter("cell.bias") - uncorrected.get_parameter("cell.bias")
    assert float(moved.detach().abs().max()) > 0.01
    teacher = f"teacher={{run: {tmp_path / 'float'}, temperature: 1, weight: 1.0}}"
    taught = with_overrides(recipe, [teacher, "optimizer.lr=0.003", "optimizer.lr_final=0.0001"], epochs=1)
    after = train_recipe(taught, tmp_path / "taught", data_dir=text)
    assert after.val_loss is not None and of_float.val_loss < after.val_loss < begun.val_loss


def test_what_is_taken_is_said_and_other_networks_are_left(tmp_path: Path) -> None:
    text = tmp_path / "some.txt"
    text.write_text("abracadabra, " * 1000)
    source = with_overrides(small("char-lstm-float"), [], epochs=1)
    train_recipe(source, tmp_path / "float", data_dir=text)
    model = build_model(small("char-lstm-w4a4"))
    assert warm_start(model, tmp_path / "float") == f"10 of 11 tensors taken from {tmp_path / 'float'}; new: cell.unit"
    tensors = load_run(tmp_path / "float").model.state_dict()
    for name, *more in (
        ("char-rnn-w4a4",),
        ("char-lstm-w4a4", "model.recurrent.hidden=16"),
        ("char-lstm-w4a4", "model.recurrent.embed=8"),
        ("char-lstm-float",),
    ):
        assert not recurrent_tensors(build_model(small(name, *more)), tensors, source)
    assert not recurrent_tensors(model, model.state_dict(), small("char-lstm-w4a4"))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(0, 1000), st.floats(1e-3, 1e3))
def test_rows_of_a_grid_are_found_again(bits: int, seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 1 << bits, (5, 30), generator=generator)
    codes[:, 0] = (1 << bits) - 1
    rows = (2 * codes - ((1 << bits) - 1)).double() * scale
    latent, factors = on_grid(rows, BipolarWeights(bits))
    assert torch.equal(BipolarWeights(bits).codes(latent).long(), codes)
    assert torch.allclose(factors, torch.full_like(factors, scale), rtol=1e-12)


def test_factors_are_the_best_ones() -> None:
    """Of signs the mean magnitude (XNOR-Net, section 3.1); in 3 bits less error than any range of a coarse search."""
    rows = torch.randn(7, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows[0] = 0
    latent, factors = on_grid(rows, BinaryWeights())
    assert torch.equal(latent[1:] >= 0, rows[1:] >= 0) and torch.equal(latent[0], rows[0])
    assert torch.allclose(factors[1:], rows[1:].abs().mean(1), rtol=1e-12)
    grid = BipolarWeights(3)
    latent, factors = on_grid(rows, grid)
    error = (rows - factors[:, None] * grid(latent)).square().sum(1)
    for sigmas in (1.5, 2.0, 2.5, 3.0):
        values = grid((rows / sigmas).clamp(-1, 1))
        assert bool((error[1:] < 1.01 * (rows - values * sigmas / 7).square().sum(1)[1:]).all())
