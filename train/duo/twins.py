"""The parts of a decoupled network: normalisations in pairs, and what reads a pair as one (BinaryDuo, section 4)."""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ...errors import UsageError

BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d

__all__ = ["TwinMean", "Twins"]


class Twins(nn.Module):
    """Each channel twice: (B, N, ...) to (B, 2N, ...), first all `low` ones, then all `high` ones.

    A ternary activation of one channel is the sum of two binary ones: with BN the channel's normalisation and the
    thresholds 1/4 and 3/4,

        2 t(x) = 1{BN(x) + 1/4 >= 1/2} + 1{BN(x) - 1/4 >= 1/2},

    so the pair's normalisations are BN with `shift` = 1/4 added to the bias (low) and taken off it (high). The layer in
    front stays as it is: one accumulator feeds both. As new, the biases are +shift and -shift.

    norm: makes a BatchNorm of N channels. act: makes the activation behind each; None: what comes out is real (a
    residual stream, whose activations stand elsewhere). shift: 0 for a branch that is added to a shifted stream.
    groups: of the convolution that reads the pair; its groups get both halves of their own channels, so the order is
    low and high of the first group, low and high of the second, and so on.
    """

    def __init__(
        self,
        norm: Callable[[], BatchNorm],
        act: Callable[[], nn.Module] | None = None,
        *,
        shift: float = 0.25,
        groups: int = 1,
    ) -> None:
        super().__init__()
        if groups < 1:
            raise UsageError(f"groups of Twins must be at least 1, not {groups}")
        self.shift = shift
        self.groups = groups
        self.low, self.high = _half(norm(), act, shift), _half(norm(), act, -shift)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2N, ...)."""
        pair = torch.cat([self.low(x), self.high(x)], 1)
        if self.groups == 1:
            return pair
        return torch.flatten(pair.unflatten(1, (2, self.groups, -1)).transpose(1, 2), 1, 3)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"shift={self.shift:g}" + (f", groups={self.groups}" if self.groups > 1 else "")


def _half(norm: BatchNorm, act: Callable[[], nn.Module] | None, bias: float) -> nn.Sequential:
    nn.init.constant_(norm.bias, bias)
    return nn.Sequential(OrderedDict({"norm": norm} | ({"act": act()} if act else {})))


class TwinMean(nn.Module):
    """The mean of each pair of channels, (B, 2N, ...) to (B, N, ...): the stream before it was decoupled.

    The shifts of a pair cancel, so that a layer which reads the stream itself keeps its weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, ...)."""
        low, high = x.chunk(2, 1)
        return (low + high) / 2
