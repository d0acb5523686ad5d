"""A recurrent network in integer arithmetic that begins with the weights of its float twin.

Both read x and h; the integer network has them as integers v_x = Q(T) of its table T and v_h, which stands for
v_h / 2^n. Scales that a table or a row of weights needs to lie on its grid go into the factors behind the products:

    x ~ a v_x,   z = W_x x + W_h h + b ~ [a W_x, W_h / 2^n] (v_x, v_h) + b ~ r Q(L) (v_x, v_h) + b

with a for the whole table and r for each row; L are the latent weights of the row, T and L the float numbers over a
range that is found with a and r, so that rounding errs least.

Gates and states of few bits shift the mean of the state: their products are rounded down. On some samples it is seen
how far, and biases behind the state take it back (Nagel et al. 2019, 1906.04721, section 4.2).
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from ..layers.modules import QuantLinear
from ..layers.recurrent import QuantHardtanh, QuantLSTM, QuantRecurrent
from ..layers.sequences import TextScores
from ..recipe import Recipe

__all__ = ["correct_means", "on_grid", "recurrent_tensors"]

_TRIED = 48  # ranges of a row
_LEAST = 0.2  # the smallest of them, in largest magnitudes of the row


@torch.no_grad()
def correct_means(model: nn.Sequential, twin: nn.Sequential, samples: Tensor) -> None:
    """Move the biases of the cell and of a text's scores by what the mean error of the state adds in front of them.

    model: with `recurrent_tensors` of the float network `twin`. samples (B, ...): raw, as they follow one another. The
    error is of each unit; B of some thousands leave a hundredth of its spread. Both networks come back in eval mode.
    """
    cell, text = model.get_submodule("cell"), dict(model.named_children()).get("text")
    assert isinstance(cell, QuantRecurrent)
    states, exact = (_as_far_as_cell(network.eval(), samples) for network in (model, twin))
    error = (states - exact * (1 << cell.bits)).mean(0).to(cell.weight.dtype)
    of_state = cell.weight_quantizer(cell.weight)[:, cell.input_size :]
    cell.bias.sub_(cell.gain * cell.get_buffer("unit") * (of_state @ error))
    if isinstance(text, TextScores):
        text.scores.bias.sub_(text.scores.gain * (text.fc1.weight_quantizer(text.fc1.weight) @ error))


def _as_far_as_cell(network: nn.Sequential, samples: Tensor) -> Tensor:
    names = [name for name, _ in network.named_children()]
    return cast(Tensor, network[: names.index("cell") + 1](samples))


@torch.no_grad()
def recurrent_tensors(model: nn.Module, tensors: Mapping[str, Tensor], source: Recipe) -> dict[str, Tensor]:
    """Tensors of `model`, a network of `models.language`, that compute about what those of the float run `source` do.

    They are of the table, the cell and, behind the cell, the scores of a text; {} if the networks are not such, of one
    kind and of equal sizes.
    """
    layers = dict(model.named_children())
    table, cell, text = (layers.get(name) for name in ("embed", "cell", "text"))
    of_source = source.model.recurrent
    if of_source is None or of_source.arithmetic != "float" or source.model.weights.kind != "float":
        return {}
    if not isinstance(table, QuantLinear) or not isinstance(cell, QuantRecurrent) or table.weight_quantizer.bits == 32:
        return {}
    if not _fit(tensors, {"embed.weight": table.weight, "cell.cell.weight_ih_l0": cell.weight[:, : cell.input_size]}):
        return {}
    if not _fit(tensors, {"cell.cell.weight_hh_l0": cell.weight[:, cell.input_size :]}):
        return {}

    act = cast(QuantHardtanh, layers["embed_act"])
    latent, scale = on_grid(tensors["embed.weight"].reshape(1, -1), lambda w: act(table.weight_quantizer(w)))
    found = {"embed.weight": latent.view_as(table.weight)} | _of_cell(cell, tensors, float(scale))
    if isinstance(text, TextScores) and source.model.weights_of("fc1").kind == "float":
        found |= _of_scores(text, tensors, 2.0**-cell.bits)
    return found


def on_grid(rows: Tensor, quantize: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Latent weights (R, C) from -1 to 1 and factors (R,), so that factor * quantize(latent) is near `rows`.

    For each row the range of _TRIED that has the least sum of squared errors, each with the factor that suits it best.
    """
    largest = rows.abs().amax(1, keepdim=True).clamp_(min=torch.finfo(rows.dtype).tiny)
    least = torch.full((len(rows),), torch.inf, dtype=rows.dtype)
    latent, factors = torch.zeros_like(rows), torch.ones_like(least)
    for part in torch.linspace(_LEAST, 1.0, _TRIED).tolist():
        tried = (rows / (part * largest)).clamp_(-1, 1)
        values = quantize(tried)
        factor = (rows * values).sum(1) / values.square().sum(1).clamp_(min=1)
        error = (rows - factor[:, None] * values).square_().sum(1)
        better = error < least
        least, factors = torch.where(better, error, least), torch.where(better, factor, factors)
        latent = torch.where(better[:, None], tried, latent)
    return latent, factors


def _fit(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    return all(name in tensors and tensors[name].shape == tensor.shape for name, tensor in wanted.items())


def _of_cell(cell: QuantRecurrent, tensors: Mapping[str, Tensor], table: float) -> dict[str, Tensor]:
    """table: what 1 of the table's integers stands for."""
    of_input, of_state, *biases = (
        tensors[f"cell.cell.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    rows, bias = torch.cat([of_input * table, of_state * 2.0**-cell.bits], 1), biases[0] + biases[1]
    if isinstance(cell, QuantLSTM):  # torch's rows are i, f, g, o
        rows, bias = (
            torch.cat([i, f, o, g]) for i, f, g, o in (tensor.split(cell.hidden_size) for tensor in (rows, bias))
        )
    latent, factors = on_grid(rows, cell.weight_quantizer)
    return {"cell.weight": latent, "cell.gain": factors / cell.get_buffer("unit"), "cell.bias": bias}


def _of_scores(text: TextScores, tensors: Mapping[str, Tensor], state: float) -> dict[str, Tensor]:
    """state: what 1 of the state's integers stands for."""
    scores = text.scores
    if not _fit(tensors, {"text.fc1.weight": text.fc1.weight, "text.scores.weight": scores.weight}):
        return {}
    latent, factors = on_grid(tensors["text.fc1.weight"], text.fc1.weight_quantizer)
    gain = tensors["text.scores.weight"] * tensors["text.scores.running_var"].rsqrt() * factors * state
    return {
        "text.fc1.weight": latent,
        "text.scores.weight": gain / cast(Tensor, scores.running_var).rsqrt(),
        "text.scores.bias": tensors["text.scores.bias"],
        # The scale of a fresh network, not the float one's.
        "text.scores.running_var": cast(Tensor, scores.running_var).clone(),
    }
