"""Dropout whose mask does not depend on how many processes share a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .randomness import draw_per_sample

__all__ = ["Dropout"]


class Dropout(nn.Dropout):
    """nn.Dropout that draws its mask by `randomness`: x / (1 - p) with probability 1 - p, else 0.

    In eval mode the identity.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x's shape, whose first axis is the samples, and x's dtype."""
        if not self.training or self.p == 0:
            return x

        def mask(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
            kept = torch.empty(*shape, dtype=x.dtype, device=x.device).bernoulli_(1 - self.p, generator=generator)
            return kept.div_(1 - self.p) if self.p < 1 else kept

        return x * draw_per_sample(mask, x.shape, x.device)
