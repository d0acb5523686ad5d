"""Sums over the processes that share a batch, and BatchNorm's statistics over all of it.

torch's SyncBatchNorm works on GPUs alone; this is the same in a few differentiable steps on any device. With one
process, or outside of torch.distributed, all of it is what it was.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["processes", "step_by_step", "sum_over_processes", "synchronised_norm"]


class _Sum(torch.autograd.Function):
    """The sum over processes; a gradient of it is one of every process's share, so backward sums as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


_sum: Callable[[Tensor], Tensor] = _Sum.apply  # a typed name for torch's untyped apply


def processes() -> int:
    """How many processes share each batch; 1 outside of torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(x: Tensor) -> Tensor:
    """The element-wise sum of all processes' tensors of one shape, differentiable. Every process must call it."""
    return _sum(x) if processes() > 1 else x


def step_by_step(x: Tensor) -> bool:
    """Whether BatchNorm of x is `synchronised_norm`: with several processes, and in float64, which is for comparisons.

    torch's kernel contracts x * alpha - mean * alpha, so that an accumulator that equals its mean does not always yield
    the bias, and a sign behind it is another: one process and several would differ in more than rounding.
    """
    return processes() > 1 or x.dtype == torch.float64


def synchronised_norm(norm: _BatchNorm, x: Tensor) -> Tensor:
    """BatchNorm's training mode (1502.03167, algorithm 1) over the samples of all processes, equally many in each.

    x: (B, C, ...), the result in its shape and dtype. Sums are taken in float64. The running statistics are updated as
    torch does, with the unbiased variance, and are the same in every process.
    """
    axes, shape = [0, *range(2, x.dim())], (1, -1, *[1] * (x.dim() - 2))
    count = processes() * (x.numel() // x.shape[1])
    mean = (sum_over_processes(x.sum(axes, dtype=torch.float64)) / count).to(x.dtype)
    centred = x - mean.view(shape)
    variance = (sum_over_processes(centred.square().sum(axes, dtype=torch.float64)) / count).to(x.dtype)
    if norm.track_running_stats:
        _update(norm, mean.detach(), variance.detach() * (count / (count - 1)))
    out = centred * torch.rsqrt(variance + norm.eps).view(shape)
    return out * norm.weight.view(shape) + norm.bias.view(shape) if norm.affine else out


def _update(norm: nn.Module, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics; a momentum of None is the mean over all batches."""
    seen = norm.get_buffer("num_batches_tracked").add_(1)
    momentum: float = 1 / float(seen) if norm.momentum is None else norm.momentum  # type: ignore[assignment]
    norm.get_buffer("running_mean").lerp_(mean, momentum)
    norm.get_buffer("running_var").lerp_(variance, momentum)
