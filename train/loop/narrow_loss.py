"""Cross-entropy of bfloat16 scores over many classes, in few passes over memory.

Scores of a thousand samples over ten thousand classes fill 40 MB in float32, and torch's way (widen, log-softmax, its
gradient, narrow) goes through them eight times. Here some rows at a time are widened, stay in the cache, and leave
their gradient behind in bfloat16.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["narrow_cross_entropy"]

_ELEMENTS = 1 << 19  # in float32 at a time


class _NarrowCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor) -> Tensor:
        losses = torch.empty(len(scores), dtype=torch.float32, device=scores.device)
        gradient = torch.empty_like(scores)
        rows = max(1, _ELEMENTS // scores.shape[1])
        parts = (tensor.split(rows) for tensor in (scores, labels, losses, gradient))
        for narrow, label, loss, by_scores in zip(*parts, strict=True):
            wide, place = narrow.float(), label[:, None]
            wide.sub_(wide.amax(1, keepdim=True))
            of_label = wide.gather(1, place)
            total = wide.exp_().sum(1, keepdim=True)
            loss.copy_(total.log().sub_(of_label)[:, 0])
            wide.div_(total)
            by_scores.copy_(wide.scatter_(1, place, wide.gather(1, place).sub_(1)))
        ctx.save_for_backward(gradient)
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * (gradients[0] / len(gradient)).to(gradient.dtype), None


narrow_cross_entropy: Callable[[Tensor, Tensor], Tensor] = _NarrowCrossEntropy.apply
"""Mean over the batch of -log softmax(scores)[label], float32: scores (B, C) bfloat16, labels (B,) int64."""
