"""Losses over scores (B, C) and labels (B,) int64; both return the mean as a scalar float32 tensor."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from .narrow_loss import narrow_cross_entropy

__all__ = ["LossName", "build_loss", "cross_entropy", "square_hinge"]

LossName = Literal["square-hinge", "cross-entropy"]


def _wide(scores: Tensor) -> Tensor:
    """In float32, unless they are wider."""
    return scores if scores.dtype == torch.float64 else scores.float()


def square_hinge(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean over batch and classes of max(0, 1 - t * y)^2 with t = +1 for the label, -1 else (1511.00363, section 3)."""
    scores = _wide(scores)
    target = torch.full_like(scores, -1.0).scatter_(1, labels[:, None], 1.0)
    return torch.relu(1 - target * scores).square().mean()


def cross_entropy(scores: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean negative log-likelihood of the softmax, with the label's weight 1 - s + s/C under smoothing s."""
    if scores.dtype == torch.bfloat16 and not label_smoothing:
        return narrow_cross_entropy(scores, labels)
    return F.cross_entropy(_wide(scores), labels, label_smoothing=label_smoothing)


def build_loss(name: LossName, label_smoothing: float = 0.0) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of that name."""
    return square_hinge if name == "square-hinge" else partial(cross_entropy, label_smoothing=label_smoothing)
