"""Layers that go through sequences: what they share, a float recurrent layer, the table and the scores of a text.

A batch (B, D) holds whole sequences one behind the other, each of `steps` samples; with None it is one sequence. A
sequence begins with an empty state, or goes on where the sequence in its place of the batch before it ended
(`carries`): truncated back-propagation through time, no gradient passing from batch to batch.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import UsageError
from .modules import InputQuantizer, QuantLinear
from .norms import ScoreNorm
from .quantizers import WeightQuantizer

__all__ = [
    "FloatRecurrent",
    "QuantEmbedding",
    "ScoreScale",
    "SequenceLayer",
    "TextScores",
    "TokenQuantizer",
    "begin_streams",
    "carried_tensors",
    "restore_carried",
    "streaming",
    "whole_sequences",
]


class SequenceLayer(nn.Module):
    """A layer whose samples are time steps.

    steps: samples a sequence, None: the whole batch. carries: when a sequence goes on from the batch before: never,
    in training, always. kept: the state there, (N, ...) each for N sequences, None: empty.
    """

    def __init__(self, input_size: int, hidden_size: int, steps: int | None = None) -> None:
        super().__init__()
        sizes = {"input_size": input_size, "hidden_size": hidden_size} | ({} if steps is None else {"steps": steps})
        for name, value in sizes.items():
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} must be a positive integer, not {value!r}")
        self.input_size, self.hidden_size, self.steps = input_size, hidden_size, steps
        self.carries: Literal["never", "training", "always"] = "never"
        self.kept: tuple[Tensor, ...] | None = None

    def side_by_side(self, x: Tensor) -> Tensor:
        """(B, D) as (T, N, D), step by step; sequences that are cut short end in zeros. UsageError for other shapes."""
        if x.dim() != 2 or x.shape[1] != self.input_size or not len(x):
            raise UsageError(f"{type(self).__name__} takes (B, {self.input_size}), not {tuple(x.shape)}")
        steps = self.steps or len(x)
        return F.pad(x, (0, 0, 0, -len(x) % steps)).view(-1, steps, x.shape[1]).transpose(0, 1).contiguous()

    def one_by_one(self, states: Tensor, samples: int) -> Tensor:
        """(T, N, H) as (B, H), the first `samples`."""
        return states.transpose(0, 1).reshape(-1, states.shape[2])[:samples]

    def before(self, sequences: int) -> tuple[Tensor, ...] | None:
        """What so many sequences go on from; None: empty states. UsageError where there were as many others."""
        if self.carries == "never" or (self.carries == "training" and not self.training) or self.kept is None:
            return None
        if len(self.kept[0]) != sequences:
            raise UsageError(
                f"{type(self).__name__} goes on with {len(self.kept[0])} sequences; the batch has {sequences}"
            )
        return self.kept

    def keep(self, *state: Tensor) -> None:
        """Keep the state behind a batch."""
        if self.carries == "always" or (self.carries == "training" and self.training):
            self.kept = tuple(part.detach().clone() for part in state)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"{self.input_size}, {self.hidden_size}, steps={self.steps}"


def _layers(model: nn.Module) -> dict[str, SequenceLayer]:
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, SequenceLayer)}


def whole_sequences(model: nn.Module, samples: int) -> int:
    """The most samples, not above `samples` but at least one sequence, that are whole sequences of every layer.

    Where a layer takes a batch as one sequence, a batch must not be split: a number that no batch reaches.
    """
    steps = [layer.steps for layer in _layers(model).values()]
    if None in steps:
        return 1 << 62
    together = math.lcm(*(step for step in steps if step))
    return max(together, samples - samples % together)


def begin_streams(model: nn.Module) -> None:
    """Empty states: the next batch begins its streams."""
    for layer in _layers(model).values():
        layer.kept = None


def carried_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The kept states, for a checkpoint between two batches of a stream."""
    return {
        f"{name}.{place}": part for name, layer in _layers(model).items() for place, part in enumerate(layer.kept or ())
    }


def restore_carried(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put the states back that `carried_tensors` gave."""
    for name, layer in _layers(model).items():
        parts = [tensors[key] for key in (f"{name}.0", f"{name}.1") if key in tensors]
        layer.kept = tuple(parts) or None


@contextmanager
def streaming(model: nn.Module) -> Iterator[Callable[[int], None]]:
    """In here sequences go on from batch to batch, the first from empty states; call what it yields with the number of
    samples that a sequence of the next batch has. Behind it layers are as they were, what they keep included."""
    layers = list(_layers(model).values())
    earlier = [(layer.steps, layer.carries, layer.kept) for layer in layers]

    def take(steps: int) -> None:
        for layer in layers:
            layer.steps = steps

    try:
        for layer in layers:
            layer.carries, layer.kept = "always", None
        yield take
    finally:
        for layer, (steps, carries, kept) in zip(layers, earlier, strict=True):
            layer.steps, layer.carries, layer.kept = steps, carries, kept


class FloatRecurrent(SequenceLayer):
    """torch's LSTM or tanh RNN, one layer: the float twin of QuantLSTM and QuantRNN. It has no integer form.

    Weights begin uniform in +-1 / sqrt(hidden_size) (torch's rule), biases 0 but for an LSTM's forget gates: 1.
    """

    kinds: ClassVar = {"lstm": nn.LSTM, "rnn": nn.RNN}

    def __init__(
        self, kind: Literal["lstm", "rnn"], input_size: int, hidden_size: int, *, steps: int | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, steps)
        self.cell: nn.RNNBase = self.kinds[kind](input_size, hidden_size)
        with torch.no_grad():
            for name, bias in self.cell.named_parameters():
                if name.startswith("bias"):
                    bias.zero_()
            if kind == "lstm":
                cast(Tensor, self.cell.bias_ih_l0)[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """(B, input_size) to (B, hidden_size), from -1 to 1."""
        inputs = self.side_by_side(x)
        before = self.before(inputs.shape[1])
        state: Any = None if before is None else tuple(part[None] for part in before)
        if before is not None and len(before) == 1:
            state = state[0]
        states, after = self.cell(inputs, state)
        self.keep(*(part[0] for part in (after if isinstance(after, tuple) else (after,))))
        return self.one_by_one(states, len(x)).to(x.dtype)


class TokenQuantizer(InputQuantizer):
    """Tokens (B, 1) stay as they are; one-hot samples (B, n) become the integers 0 and 1."""

    def __init__(self) -> None:
        super().__init__(1, "unsigned", 0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens in their own dtype, or integers of the samples, float32."""
        return x if x.shape[1:] == (1,) else super().forward(x)


class QuantEmbedding(QuantLinear):
    """A table of integers: a dense layer on one-hot samples, which takes tokens (B, 1) too and looks them up.

    What a network file and the hardware get is the dense layer.
    """

    def __init__(self, tokens: int, size: int, *, weight: WeightQuantizer) -> None:
        super().__init__(tokens, size, weight=weight)
        bound = 0.1 if weight.encoding == "float" else 1.0
        nn.init.uniform_(self.weight, -bound, bound)  # all codes from the beginning

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1) tokens or (B, tokens) one-hot to (B, size), float32 for tokens."""
        if x.shape[1:] != (1,):
            return super().forward(x)
        # Not F.embedding, whose gradient comes transposed: this one is of the weight's own layout.
        y: Tensor = self.weight_quantizer(self.weight.index_select(1, x.flatten().long()).t().contiguous())
        return y if self.gradient_quantizer is None else self.gradient_quantizer(y)


class ScoreScale(ScoreNorm):
    """A gain and an offset for each class, without statistics: what a softmax over many classes wants.

    y = scale * weight * acc + bias. In eval mode it is ScoreNorm's integer arithmetic, with a variance that stays.
    """

    def __init__(self, num_features: int, scale: float, *, score_bits: int = 16) -> None:
        super().__init__(num_features, 0.0, score_bits=score_bits)
        assert self.running_var is not None
        self.running_var.fill_(scale**-2)

    @property
    def gain(self) -> Tensor:
        """float32 (C,): scale * weight."""
        return self.weight * cast(Tensor, self.running_var).rsqrt()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) accumulators to scores: x's dtype in training, float64 in eval mode."""
        return x * self.gain + self.bias if self.training else super().forward(x)


class TextScores(nn.Module):
    """The scores of every word: a dense layer `fc1` and its ScoreScale `scores`.

    In training gains and offsets go into the product: weights are fewer than scores where the vocabulary is large. Not
    with a `gradient_quantizer` of fc1, which takes the gradient of the accumulators, in front of the gains.
    """

    def __init__(self, in_features: int, classes: int, *, weight: WeightQuantizer, top: int, score_bits: int) -> None:
        """top: about the largest input. Scores begin with a standard deviation of about 1/4."""
        super().__init__()
        self.fc1 = QuantLinear(in_features, classes, weight=weight)
        bound = 0.1 if weight.encoding == "float" else 1.0
        nn.init.uniform_(self.fc1.weight, -bound, bound)
        with torch.no_grad():
            values = float(weight(self.fc1.weight).square().mean().sqrt())
        scale = 1.0 if weight.encoding == "float" else 0.25 * math.sqrt(3 / in_features) / (top * values)
        self.scores = ScoreScale(classes, scale, score_bits=score_bits)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_features) to scores (B, classes)."""
        if not self.training or self.fc1.gradient_quantizer is not None:
            return cast(Tensor, self.scores(self.fc1(x)))
        weight = self.fc1.weight_quantizer(self.fc1.weight) * self.scores.gain[:, None]
        return F.linear(x, weight, self.scores.bias)
