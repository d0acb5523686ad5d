"""Layers whose weights and inputs are -1 and +1, in training and evaluation: the same numbers as torch's, sooner.

`linear` and `conv2d` stand for torch.nn.functional's where the weights are -1 and +1. A product of such numbers is an
integer below 2^24, which float32 holds, so that it does not matter who computes it: on a CPU torch's int8 product does,
several times as quickly as the float one (`xnorflow bench operator`, docs/performance.md). Inputs that hold anything
else (pixels, say) are found out and go torch's way, and so does what is small, on another device or of another type,
under autocast, and on a CPU without AVX-512, where nothing was measured. Gradients are torch's, by the same calls.

On a GPU the kernel of bit planes takes them where XNORFLOW_GPU_LAYERS=1 is in the environment: not before it is
measured there, and finding out about inputs makes the host wait.
"""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .forms import Windows, aligned_words, words_of
from .host import int8_product
from .operators import fake, pack_floats, plane_product

__all__ = ["conv2d", "linear", "sign_conv2d", "sign_linear", "takes"]

LEAST_ROWS = 32  # below, turning weights into bytes costs more than it saves
LEAST_OUTPUTS = 64  # below, turning inputs into bytes does
LEAST_CHANNELS = 128  # of a convolution, in and out: below, spreading out its windows does
CHUNK = 1 << 16  # numbers looked at together: they stay in the second-level cache
WINDOW_BYTES = 1 << 23  # of the windows of a convolution that are spread out at a time

_LIBRARY = torch.library.Library("xnorflow", "FRAGMENT")
_LIBRARY.define("sign_linear(Tensor x, Tensor weight) -> Tensor")
_LIBRARY.define("sign_conv2d(Tensor x, Tensor weight, int[] stride, int[] dilation) -> Tensor")


sign_linear: Callable[..., Tensor] = torch.ops.xnorflow.sign_linear
sign_conv2d: Callable[..., Tensor] = torch.ops.xnorflow.sign_conv2d


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """F.linear(x, weight); weight (N, K) holds -1 and +1 alone, x (B, K) anything."""
    if x.dim() == 2 and takes(x, weight, len(x)):
        return sign_linear(x, weight)
    return F.linear(x, weight)


def conv2d(x: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int]) -> Tensor:
    """F.conv2d without padding and groups; weight (N, C, kh, kw) holds -1 and +1 alone, x (B, C, H, W) anything."""
    if x.dim() == 4 and min(weight.shape[:2]) >= LEAST_CHANNELS and takes(x, weight, len(x) * x.shape[2] * x.shape[3]):
        return sign_conv2d(x, weight, stride, dilation)
    return F.conv2d(x, weight, None, stride, 0, dilation)


def takes(x: Tensor, weight: Tensor, rows: int) -> bool:
    """Whether a product of `rows` rows is worth the operators, as far as can be told without looking at numbers."""
    kind = x.device.type
    return (
        x.dtype == weight.dtype == torch.float32
        and kind == weight.device.type
        and not torch.is_autocast_enabled(kind)
        and rows >= LEAST_ROWS
        and len(weight) >= LEAST_OUTPUTS
        and weight[0].numel() < 1 << 24
        and (_cpu_pays() if kind == "cpu" else kind == "cuda" and os.environ.get("XNORFLOW_GPU_LAYERS") == "1")
    )


@lru_cache(maxsize=1)
def _cpu_pays() -> bool:
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


def holds_signs(x: Tensor) -> bool:
    """Whether x holds -1 and +1 alone. Pixels are found out by the first few."""
    flat = x.reshape(-1)
    if x.device.type == "cuda":
        return bool((flat.abs() == 1).all())
    ones = torch.ones(min(CHUNK, len(flat)))
    return all(torch.equal(part.abs(), ones[: len(part)]) for part in flat.split(CHUNK))


@torch.library.impl(_LIBRARY, "sign_linear", "CPU")
def _linear_cpu(x: Tensor, weight: Tensor) -> Tensor:
    if not holds_signs(x):
        return F.linear(x, weight)
    return int8_product(x.to(torch.int8), weight.to(torch.int8).t()).to(torch.float32)


@torch.library.impl(_LIBRARY, "sign_conv2d", "CPU")
def _conv2d_cpu(x: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int]) -> Tensor:
    if not holds_signs(x):
        return F.conv2d(x, weight, None, stride, 0, dilation)
    kernel = weight.shape[2:]
    out_y, out_x = outputs(x, weight, stride, dilation)
    right = weight.permute(2, 3, 1, 0).to(torch.int8).reshape(-1, len(weight))
    maps = x.permute(0, 2, 3, 1).to(torch.int8, memory_format=torch.contiguous_format)
    y = torch.empty((len(x), len(weight), out_y, out_x))
    images = max(1, WINDOW_BYTES // max(1, out_y * out_x * len(right)))
    for part, into in zip(maps.split(images), y.split(images), strict=True):
        strides = part.stride()
        windows = part.as_strided(
            (len(part), out_y, out_x, *kernel, part.shape[3]),
            (
                *(strides[0], strides[1] * stride[0], strides[2] * stride[1]),
                *(strides[1] * dilation[0], strides[2] * dilation[1], strides[3]),
            ),
            part.storage_offset(),
        )
        product = int8_product(windows.reshape(-1, len(right)), right)
        into.copy_(product.reshape(len(part), out_y, out_x, -1).permute(0, 3, 1, 2))
    return y


def outputs(x: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int]) -> tuple[Any, Any]:
    """(H', W')."""
    spans = [(weight.shape[2 + i] - 1) * dilation[i] + 1 for i in (0, 1)]
    return (x.shape[2] - spans[0]) // stride[0] + 1, (x.shape[3] - spans[1]) // stride[1] + 1


@torch.library.impl(_LIBRARY, "sign_linear", "CUDA")
def _linear_cuda(x: Tensor, weight: Tensor) -> Tensor:
    if not holds_signs(x):
        return F.linear(x, weight)
    words = aligned_words(x.shape[1])
    left, right = (pack_floats(operand, -1.0, 0.5, 1, words) for operand in (x, weight))
    gamma = -weight.sum(dim=1).to(torch.int32)
    return plane_product(left, right, gamma, 4, -2, []).to(torch.float32)


@torch.library.impl(_LIBRARY, "sign_conv2d", "CUDA")
def _conv2d_cuda(x: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int]) -> Tensor:
    if not holds_signs(x):
        return F.conv2d(x, weight, None, stride, 0, dilation)
    batch, channels, height, width = x.shape
    (kernel_y, kernel_x), words = weight.shape[2:], words_of(channels)
    out_y, out_x = outputs(x, weight, stride, dilation)
    steps = (stride[0], stride[1], dilation[0], dilation[1])
    about = Windows(height, width, channels, kernel_y, kernel_x, *steps, 0, 0, out_y, out_x, 0)
    maps = pack_floats(x.permute(0, 2, 3, 1).reshape(-1, channels), -1.0, 0.5, 1, words)
    rows = pack_floats(weight.permute(0, 2, 3, 1).reshape(-1, channels), -1.0, 0.5, 1, words)
    used = about.taps * words
    right = F.pad(rows.reshape(1, len(weight), used), (0, -used % 4))
    gamma = -weight.sum(dim=(1, 2, 3)).to(torch.int32)
    product = plane_product(maps.reshape(1, batch, height, width, words), right, gamma, 4, -2, about.numbers)
    return product.to(torch.float32).reshape(batch, out_y, out_x, -1).permute(0, 3, 1, 2).contiguous()


@fake("sign_linear")
def _linear_fake(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[0]))


@fake("sign_conv2d")
def _conv2d_fake(x: Tensor, weight: Tensor, stride: Sequence[int], dilation: Sequence[int]) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[0], *outputs(x, weight, stride, dilation)))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.geometry = inputs[2:]


def _linear_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    x, weight = ctx.saved_tensors
    of_x = gradient.mm(weight) if ctx.needs_input_grad[0] else None
    return of_x, gradient.t().mm(x) if ctx.needs_input_grad[1] else None


def _conv2d_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
    x, weight = ctx.saved_tensors
    stride, dilation = ctx.geometry
    wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[1], False)
    of_x, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, stride, [0, 0], dilation, False, [0, 0], 1, wanted
    )
    return of_x, of_weight, None, None


torch.library.register_autograd("xnorflow::sign_linear", _linear_backward, setup_context=_keep, lib=_LIBRARY)
torch.library.register_autograd("xnorflow::sign_conv2d", _conv2d_backward, setup_context=_keep, lib=_LIBRARY)
