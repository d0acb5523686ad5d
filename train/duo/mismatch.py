"""Gradient mismatch: how far straight-through gradients point from those of the smoothed loss (BinaryDuo, section 3).

The loss of a network with quantized activations is a staircase, whose gradient says nothing; a straight-through
estimator computes another one. What it should point along is the gradient of the loss smoothed over +-eps in each
coordinate, which is the *coordinate discrete gradient*

    G_i = (L(x + eps e_i) - L(x - eps e_i)) / (2 eps),

exactly, whatever the staircase. The cosine of the two, layer by layer, is the measure: 1 where training goes downhill.

variable "weights": x are the numbers of a layer's matrix as the dot product uses them, L is the mean loss of the batch;
eps is relative to their root mean square. "inputs": x are what goes into an activation, sample by sample, L is that
sample's loss; eps is absolute (a BatchNorm stands in front, so that inputs are of order 1).
BatchNorm is in eval mode for both gradients: it takes the running statistics, which the perturbation leaves alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import UsageError
from ..layers.modules import QuantConv2d, QuantLinear, QuantReLU, Sign
from ..layers.surrogates import SURROGATES, Surrogate, SurrogateName, check_surrogate

__all__ = ["LayerMismatch", "Variable", "gradient_mismatch", "with_surrogate"]

Variable = Literal["weights", "inputs"]
SampleLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]

_ELEMENTS = 1 << 22  # of all perturbed tensors at a time: bounds the memory, not the result
_RESAMPLES = 1000
_PERCENT = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class LayerMismatch:
    """One layer's figure under one backward function.

    layer: the dot product of the weights, or the activation. eps: absolute. coordinates: how many; exhaustive: they are
    all there are. still: the fraction of coordinates whose discrete gradient is 0. cosine: with the discrete gradient,
    and its 95 % interval by resampling the coordinates (percentile bootstrap), None where they are all there. None
    throughout where a gradient is 0 altogether.
    """

    layer: str
    backward: str
    eps: float
    coordinates: int
    exhaustive: bool
    still: float
    cosine: float | None
    interval: tuple[float, float] | None


def gradient_mismatch(
    model: nn.Sequential,
    images: Tensor,
    labels: Tensor,
    loss: SampleLoss,
    *,
    variable: Variable = "weights",
    eps: float = 0.5,
    coordinates: int = 512,
    surrogates: Sequence[SurrogateName] = (),
    seed: int = 1,
) -> tuple[LayerMismatch, ...]:
    """The mismatch of every layer of a chain of modules, such as `models.build.build_model` makes.

    images, labels: a batch of raw samples. loss: of scores (B, C) and labels, one number a sample. coordinates: drawn
    without replacement in each layer (all, where it has no more). surrogates: gradients of sign to compare beside the
    network's own, in the place of every 1-bit activation's (`layers.surrogates`; one with the codes 0 and 1 on
    [0, step] is a sign of 2 x / step - 1); the loss, and so the discrete gradient, is the same.
    UsageError for wrong numbers, and for a model that is no chain or has some of its layers inside other modules
    (decoupled pairs, residual blocks, inception modules). The model comes back as it was.
    """
    if not isinstance(model, nn.Sequential):
        raise UsageError(f"gradient mismatch is measured on a chain, an nn.Sequential, not on {type(model).__name__}")
    if not eps > 0 or coordinates < 2:
        raise UsageError(f"eps must be positive and coordinates at least 2, not {eps:g} and {coordinates}")
    training = model.training
    model.eval()
    try:
        chain = _Chain(model, images, labels, loss)
        generator = torch.Generator().manual_seed(seed)
        places = chain.places(variable)
        estimates = {"own": chain.estimates(variable, places)}
        for name in surrogates:
            check_surrogate(name)
            with with_surrogate(model, SURROGATES[name]):
                estimates[name] = chain.estimates(variable, places)
        found = []
        for place in places:
            size = estimates["own"][place].numel()
            chosen = torch.randperm(size, generator=generator)[:coordinates]
            step, discrete = chain.discrete(place, variable, eps, chosen)
            for backward, gradients in estimates.items():
                guess = gradients[place].flatten()[chosen].double()
                found.append(_figure(chain.names[place], backward, step, size, discrete, guess, generator))
        return tuple(found)
    finally:
        model.train(training)


class _Chain:
    """A chain of modules with a batch, cut at any place."""

    def __init__(self, model: nn.Sequential, images: Tensor, labels: Tensor, loss: SampleLoss) -> None:
        self.names = [name for name, _ in model.named_children()]
        self.model, self.images, self.labels, self.loss = model, images, labels, loss

    def places(self, variable: Variable) -> list[int]:
        """Where the variables are; UsageError if nowhere."""
        if variable == "weights":
            kinds: tuple[type[nn.Module], ...] = (QuantConv2d, QuantLinear)
        else:
            kinds = (QuantReLU, Sign, nn.ReLU)
        inside = [name for name, module in self.model.named_modules() if "." in name and isinstance(module, kinds)]
        if inside:
            raise UsageError(
                f"{inside[0]} stands inside another module: {variable} are measured in a plain chain alone, not in "
                "decoupled pairs (whose weights are) or residual blocks"
            )
        found = [place for place, module in enumerate(self.model) if isinstance(module, kinds)]
        if not found:
            raise UsageError(f"the model has no layer with {variable} to measure at")
        return found

    def before(self, place: int) -> Tensor:
        """What goes into a module."""
        with torch.no_grad():
            values: Tensor = self.model[:place](self.images)
        return values

    def losses(self, place: int, values: Tensor, labels: Tensor) -> Tensor:
        """Each sample's loss, from what goes into a module on."""
        return self.loss(self.model[place:](values), labels)

    def estimates(self, variable: Variable, places: Sequence[int]) -> dict[int, Tensor]:
        """The straight-through gradients: of the mean loss to weights, of each sample's loss to inputs."""
        if variable == "weights":
            weights = [self.layer(place).weight for place in places]
            mean = self.losses(0, self.images, self.labels).mean()
            return dict(zip(places, torch.autograd.grad(mean, weights), strict=True))
        found = {}
        for place in places:
            values = self.before(place).requires_grad_()
            (found[place],) = torch.autograd.grad(self.losses(place, values, self.labels).sum(), values)
        return found

    def layer(self, place: int) -> QuantConv2d | QuantLinear:
        """A dot product."""
        layer = self.model[place]
        assert isinstance(layer, QuantConv2d | QuantLinear)  # by `places`
        return layer

    @torch.no_grad()
    def discrete(self, place: int, variable: Variable, eps: float, chosen: Tensor) -> tuple[float, Tensor]:
        """eps in absolute terms, and the discrete gradient (float64) at the chosen coordinates."""
        if variable == "inputs":
            return eps, self._of_inputs(place, eps, chosen)
        layer = self.layer(place)
        values = layer.weight_quantizer(layer.weight)
        step = eps * float(values.double().square().mean().sqrt())
        return step, self._of_weights(place, step, chosen)

    def _of_inputs(self, place: int, eps: float, chosen: Tensor) -> Tensor:
        values = self.before(place)
        samples, elements = chosen // values[0].numel(), chosen % values[0].numel()
        parts = []
        for sample, element in _split(values[0].numel() * 2, samples, elements):
            moved = values[sample].flatten(1)[None].repeat(2, 1, 1)
            rows = torch.arange(len(sample))
            moved[0, rows, element] += eps
            moved[1, rows, element] -= eps
            both = self.losses(place, moved.reshape(-1, *values.shape[1:]), self.labels[sample].repeat(2)).double()
            up, down = both.view(2, -1)
            parts.append((up - down) / (2 * eps))
        return torch.cat(parts)

    def _of_weights(self, place: int, step: float, chosen: Tensor) -> Tensor:
        """A weight of output n and column k moves the accumulators of n alone, by step times what column k reads."""
        layer, values = self.layer(place), self.before(place)
        acc: Tensor = layer(values)
        columns = _columns(layer, values)
        width = layer.weight[0].numel()
        parts = []
        for coordinate in _split(acc.numel() * 2, chosen):
            (index,) = coordinate
            moved = acc[None, None].repeat(2, len(index), *[1] * acc.dim())
            for row, flat in enumerate(index.tolist()):
                n, k = divmod(flat, width)
                part = layer.groups if isinstance(layer, QuantConv2d) else 1
                change = step * columns[:, n * part // len(layer.weight) * width + k].reshape(acc[:, n].shape)
                moved[0, row, :, n] += change
                moved[1, row, :, n] -= change
            labels = self.labels.repeat(2 * len(index))
            both = self.losses(place + 1, moved.flatten(0, 2), labels).double().view(2, len(index), -1).mean(2)
            parts.append((both[0] - both[1]) / (2 * step))
        return torch.cat(parts)


def _columns(layer: QuantConv2d | QuantLinear, values: Tensor) -> Tensor:
    """(B, K, positions): what each column of a layer's matrix reads."""
    if isinstance(layer, QuantLinear):
        return values[:, :, None]
    return F.unfold(layer.padded(values), layer.kernel_size, layer.dilation, 0, layer.stride)


def _split(elements: int, *indices: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """So many coordinates at a time that their tensors, of so many elements each, fit."""
    parts = [index.split(max(1, _ELEMENTS // elements)) for index in indices]
    return zip(*parts, strict=True)


class _Backward(torch.autograd.Function):
    """The codes forward; a sign's gradient at `place` backward, times `slope`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, place: Tensor, slope: float, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(place)
        ctx.slope, ctx.surrogate = slope, surrogate
        return codes.view_as(codes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (place,) = ctx.saved_tensors
        return ctx.surrogate.gradient(gradients[0], place) * ctx.slope, None, None, None, None


_backward: Callable[[Tensor, Tensor, Tensor, float, Surrogate], Tensor] = _Backward.apply


class _WithSurrogate(nn.Module):
    """A 1-bit activation with another gradient."""

    def __init__(self, activation: Sign | QuantReLU, surrogate: Surrogate) -> None:
        super().__init__()
        self.activation = activation
        self.surrogate = surrogate

    def forward(self, x: Tensor) -> Tensor:
        """The activation's codes."""
        with torch.no_grad():
            codes = self.activation(x)
            if isinstance(self.activation, Sign):
                place, slope = x, 1.0
            else:  # (sign(place) + 1) / 2
                place, slope = 2 * x / self.activation.step - 1, 1 / self.activation.step
        return _backward(x, codes, place, slope, self.surrogate)


@contextmanager
def with_surrogate(model: nn.Sequential, surrogate: Surrogate) -> Iterator[None]:
    """Every 1-bit activation of the chain with another backward function."""
    own = {
        name: module
        for name, module in model.named_children()
        if isinstance(module, Sign) or (isinstance(module, QuantReLU) and module.top == 1)
    }
    if not own:
        raise UsageError("surrogates are compared on 1-bit activations, and the model has none")
    try:
        for name, module in own.items():
            setattr(model, name, _WithSurrogate(module, surrogate))
        yield
    finally:
        for name, module in own.items():
            setattr(model, name, module)


def _figure(
    layer: str, backward: str, eps: float, size: int, discrete: Tensor, guess: Tensor, generator: torch.Generator
) -> LayerMismatch:
    """The cosine over the coordinates, and its interval if there are others."""
    count = len(discrete)
    cosine = interval = None
    if bool(discrete.any()) and bool(guess.any()):
        cosine = float(F.cosine_similarity(discrete, guess, dim=0))
        if count < size:
            cosines = []
            for _ in range(_RESAMPLES):
                draw = torch.randint(count, (count,), generator=generator)
                cosines.append(F.cosine_similarity(discrete[draw], guess[draw], dim=0))
            low, high = torch.quantile(torch.stack(cosines), torch.tensor(_PERCENT, dtype=torch.float64) / 100).tolist()
            interval = (low, high)
    still = float((discrete == 0).double().mean())
    return LayerMismatch(layer, backward, eps, count, count == size, still, cosine, interval)
