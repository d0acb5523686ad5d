"""The torch operators `xnorflow::plane_product` and its relatives; importing this module registers them.

Packed planes are int32 tensors (planes, rows, words), bit k % 32 of word k // 32 of plane i being bit i of the level of
element k, zeros behind the last element; maps have (images, height, width) in the place of rows. On a GPU kernel.cu
computes them on torch's current stream, on a CPU `host`; both are exact and equal. Tensors need not be contiguous.

    plane_product(a, b, gamma, alpha, beta, windows)              acc, int32 (M, N): `forms.Affine`
    plane_thresholds(..., thresholds, flip, bits, words)          planes (bits, M, words) of codes
    plane_requantized(..., multiplier, offset, shift, bits, words)  the same
    pack_planes(codes, table, planes, words)                      codes uint8 (rows, columns), table uint8 (256,)
    pack_floats(values, least, scale, planes, words)              values float32: level (x - least) * scale, rounded
    unpack_planes(planes, columns)                                levels uint8 (rows, columns)
    pool_planes(maps, kernel, stride)                             the largest level of each window, packed maps
    class_scores(acc, multiplier, offset)                         int64 (M, C), and the first largest of each row (M,)

`windows`: `forms.Windows.numbers` of a convolution, whose M = images * positions, else an empty list.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from . import host
from .forms import Affine, Windows

__all__ = [
    "class_scores",
    "pack_floats",
    "pack_planes",
    "plane_product",
    "plane_requantized",
    "plane_thresholds",
    "pool_planes",
    "unpack_planes",
]

_F = TypeVar("_F", bound=Callable[..., Any])

_LIBRARY = torch.library.Library("xnorflow", "DEF")
_OPERANDS = "Tensor a, Tensor b, Tensor gamma, int alpha, int beta, int[] windows"
for _schema in (
    f"plane_product({_OPERANDS}) -> Tensor",
    f"plane_thresholds({_OPERANDS}, Tensor thresholds, Tensor flip, int bits, int words) -> Tensor",
    f"plane_requantized({_OPERANDS}, Tensor multiplier, Tensor offset, int shift, int bits, int words) -> Tensor",
    "pack_planes(Tensor codes, Tensor table, int planes, int words) -> Tensor",
    "pack_floats(Tensor values, float least, float scale, int planes, int words) -> Tensor",
    "unpack_planes(Tensor planes, int columns) -> Tensor",
    "pool_planes(Tensor maps, int[] kernel, int[] stride) -> Tensor",
    "class_scores(Tensor acc, Tensor multiplier, Tensor offset) -> (Tensor, Tensor)",
):
    _LIBRARY.define(_schema)

plane_product: Callable[..., Tensor] = torch.ops.xnorflow.plane_product
plane_thresholds: Callable[..., Tensor] = torch.ops.xnorflow.plane_thresholds
plane_requantized: Callable[..., Tensor] = torch.ops.xnorflow.plane_requantized
pack_planes: Callable[..., Tensor] = torch.ops.xnorflow.pack_planes
pack_floats: Callable[..., Tensor] = torch.ops.xnorflow.pack_floats
unpack_planes: Callable[..., Tensor] = torch.ops.xnorflow.unpack_planes
pool_planes: Callable[..., Tensor] = torch.ops.xnorflow.pool_planes
class_scores: Callable[..., tuple[Tensor, Tensor]] = torch.ops.xnorflow.class_scores


def rows_of(a: Tensor, windows: Sequence[int]) -> Any:
    """M of a product."""
    about = Windows.of(windows)
    return a.shape[1] if about is None else a.shape[1] * about.positions


def check(a: Tensor, b: Tensor, gamma: Tensor, windows: Sequence[int], **constants: tuple[Tensor, torch.dtype]) -> None:
    """UsageError for operands that do not fit; constants: of the neurons, along their last axis."""
    about = Windows.of(windows)
    wanted = 3 if about is None else 5
    for name, planes, axes in (("a", a, wanted), ("b", b, 3)):
        if planes.dtype != torch.int32 or planes.dim() != axes:
            raise UsageError(f"{name} must be int32 planes of {axes} axes, not {planes.dtype} {tuple(planes.shape)}")
    if about is None:
        if a.shape[2] != b.shape[2]:
            raise UsageError(f"rows of a have {a.shape[2]} words, those of b {b.shape[2]}")
    elif tuple(a.shape[2:4]) != (about.height, about.width) or about.channels > 32 * a.shape[4]:
        raise UsageError(
            f"maps {tuple(a.shape)} are not {about.height} x {about.width} pixels of {about.channels} channels"
        )
    elif not 0 <= b.shape[2] - about.taps * a.shape[4] < 4:
        raise UsageError(f"windows of {about.taps} x {a.shape[4]} words do not go with rows of {b.shape[2]} words")
    for name, (constant, dtype) in {"gamma": (gamma, torch.int32), **constants}.items():
        if constant.dtype != dtype or constant.shape[-1] != b.shape[1]:
            raise UsageError(
                f"{name} must be {dtype} for each of {b.shape[1]} neurons, not {constant.dtype} {tuple(constant.shape)}"
            )
    for name, tensor in {"b": b, "gamma": gamma, **{name: pair[0] for name, pair in constants.items()}}.items():
        if tensor.device != a.device:
            raise UsageError(f"a is on {a.device} and {name} on {tensor.device}: put all operands on one device")


def check_codes(b: Tensor, bits: int, words: int) -> None:
    """UsageError unless codes of that many bits in that many words hold all neurons."""
    if not 1 <= bits <= 8:
        raise UsageError(f"codes have 1 to 8 bits, not {bits}")
    if 32 * words < b.shape[1]:
        raise UsageError(f"{b.shape[1]} neurons do not fit into {words} words")


def _words(tensor: Tensor) -> host.Words:
    return tensor.contiguous().numpy().view(np.uint32)


def _planes(words: host.Words) -> Tensor:
    return torch.from_numpy(words.view(np.int32))


def _host_product(a: Tensor, b: Tensor, gamma: Tensor, alpha: int, beta: int, windows: Sequence[int]) -> Any:
    return host.accumulators(_words(a), _words(b), gamma.contiguous().numpy(), Affine(alpha, beta), Windows.of(windows))


@torch.library.impl(_LIBRARY, "plane_product", "CPU")
def _product_cpu(a: Tensor, b: Tensor, gamma: Tensor, alpha: int, beta: int, windows: Sequence[int]) -> Tensor:
    check(a, b, gamma, windows)
    return torch.from_numpy(_host_product(a, b, gamma, alpha, beta, windows))


@torch.library.impl(_LIBRARY, "plane_thresholds", "CPU")
def _thresholds_cpu(
    a: Tensor,
    b: Tensor,
    gamma: Tensor,
    alpha: int,
    beta: int,
    windows: Sequence[int],
    thresholds: Tensor,
    flip: Tensor,
    bits: int,
    words: int,
) -> Tensor:
    check(a, b, gamma, windows, thresholds=(thresholds, torch.int32), flip=(flip, torch.int32))
    check_codes(b, bits, words)
    acc = _host_product(a, b, gamma, alpha, beta, windows)
    return _planes(host.thresholded(acc, thresholds.contiguous().numpy(), flip.contiguous().numpy(), bits, words))


@torch.library.impl(_LIBRARY, "plane_requantized", "CPU")
def _requantized_cpu(
    a: Tensor,
    b: Tensor,
    gamma: Tensor,
    alpha: int,
    beta: int,
    windows: Sequence[int],
    multiplier: Tensor,
    offset: Tensor,
    shift: int,
    bits: int,
    words: int,
) -> Tensor:
    check(a, b, gamma, windows, multiplier=(multiplier, torch.int64), offset=(offset, torch.int64))
    check_codes(b, bits, words)
    acc = _host_product(a, b, gamma, alpha, beta, windows)
    constants = multiplier.contiguous().numpy(), offset.contiguous().numpy()
    return _planes(host.requantized(acc, *constants, shift, bits, words))


@torch.library.impl(_LIBRARY, "pack_planes", "CPU")
def _pack_cpu(codes: Tensor, table: Tensor, planes: int, words: int) -> Tensor:
    check_pack(codes, table, planes, words)
    return _planes(host.pack(codes.contiguous().numpy(), table.contiguous().numpy(), planes, words))


def check_pack(codes: Tensor, table: Tensor, planes: int, words: int) -> None:
    """UsageError for codes that cannot be packed so."""
    if codes.dtype != torch.uint8 or codes.dim() != 2 or table.dtype != torch.uint8 or table.shape != (256,):
        raise UsageError(
            f"pack_planes takes uint8 codes (rows, columns) and a table (256,), not {codes.dtype} {tuple(codes.shape)} "
            f"and {table.dtype} {tuple(table.shape)}"
        )
    check_room(codes.shape[1], planes, words)
    if table.device != codes.device:
        raise UsageError(f"codes are on {codes.device} and their table on {table.device}: put both on one device")


@torch.library.impl(_LIBRARY, "unpack_planes", "CPU")
def _unpack_cpu(planes: Tensor, columns: int) -> Tensor:
    check_unpack(planes, columns)
    return torch.from_numpy(host.unpack(_words(planes), columns))


def check_unpack(planes: Tensor, columns: int) -> None:
    """UsageError for planes that do not hold so many columns."""
    if planes.dtype != torch.int32 or planes.dim() != 3 or not 1 <= planes.shape[0] <= 8:
        raise UsageError(f"unpack_planes takes 1 to 8 int32 planes, not {planes.dtype} {tuple(planes.shape)}")
    if not 0 <= columns <= 32 * planes.shape[2]:
        raise UsageError(f"{planes.shape[2]} words do not hold {columns} columns")


@torch.library.impl(_LIBRARY, "pack_floats", "CPU")
def _pack_floats_cpu(values: Tensor, least: float, scale: float, planes: int, words: int) -> Tensor:
    check_floats(values, planes, words)
    levels = values.contiguous().sub(least).mul_(scale).add_(0.5).to(torch.uint8)
    return _planes(host.pack_codes(levels.numpy(), planes, words))


def check_floats(values: Tensor, planes: int, words: int) -> None:
    """UsageError for values that cannot be packed so."""
    if values.dtype != torch.float32 or values.dim() != 2:
        raise UsageError(f"pack_floats takes float32 values (rows, columns), not {values.dtype} {tuple(values.shape)}")
    check_room(values.shape[1], planes, words)


def check_room(columns: int, planes: int, words: int) -> None:
    """UsageError unless rows of that many columns fit."""
    if not 1 <= planes <= 8 or 32 * words < columns:
        raise UsageError(f"{columns} columns do not fit into {planes} planes of {words} words")


@torch.library.impl(_LIBRARY, "pool_planes", "CPU")
def _pool_cpu(maps: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    pooled_shape(maps, kernel, stride)
    return _planes(host.pool(_words(maps), (kernel[0], kernel[1]), (stride[0], stride[1])))


def pooled_shape(maps: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> tuple[int, int]:
    """(H', W') of windows on packed maps; UsageError where they do not fit."""
    if maps.dtype != torch.int32 or maps.dim() != 5 or not 1 <= maps.shape[0] <= 8:
        raise UsageError(f"pool_planes takes 1 to 8 int32 planes of maps, not {maps.dtype} {tuple(maps.shape)}")
    if len(kernel) != 2 or len(stride) != 2 or min(*kernel, *stride) < 1:
        raise UsageError(f"kernel and stride must be two positive numbers each, not {list(kernel)} and {list(stride)}")
    if kernel[0] > maps.shape[2] or kernel[1] > maps.shape[3]:
        raise UsageError(f"a window of {list(kernel)} pixels does not fit into {list(maps.shape[2:4])}")
    return (maps.shape[2] - kernel[0]) // stride[0] + 1, (maps.shape[3] - kernel[1]) // stride[1] + 1


@torch.library.impl(_LIBRARY, "class_scores", "CPU")
def _scores_cpu(acc: Tensor, multiplier: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    check_scores(acc, multiplier, offset)
    scores = acc.to(torch.int64) * multiplier + offset
    return scores, torch.from_numpy(scores.numpy().argmax(axis=1))  # NumPy's is the first of equal ones


def check_scores(acc: Tensor, multiplier: Tensor, offset: Tensor) -> None:
    """UsageError for operands of another type, shape or device."""
    if acc.dtype != torch.int32 or acc.dim() != 2 or acc.shape[1] < 1:
        raise UsageError(f"class_scores takes int32 accumulators (M, C), not {acc.dtype} {tuple(acc.shape)}")
    for name, constant in (("multiplier", multiplier), ("offset", offset)):
        if constant.dtype != torch.int64 or tuple(constant.shape) != (acc.shape[1],):
            raise UsageError(f"{name} must be int64 ({acc.shape[1]},), not {constant.dtype} {tuple(constant.shape)}")
        if constant.device != acc.device:
            raise UsageError(f"acc is on {acc.device} and {name} on {constant.device}: put all operands on one device")


def _on_a_gpu(name: str) -> Callable[..., Any]:
    """The function of that name in `device`, which is imported when it is needed first."""

    def call(*arguments: Any) -> Any:
        from . import device

        return getattr(device, name)(*arguments)

    return call


for _name in __all__:
    _LIBRARY.impl(_name, _on_a_gpu(_name), "CUDA")


def fake(name: str) -> Callable[[_F], _F]:
    """Register what an operator yields of tensors that have a shape alone."""

    def register(function: _F) -> _F:
        torch.library.register_fake(f"xnorflow::{name}", function, lib=_LIBRARY)
        return function

    return register


@fake("plane_product")
def _product_fake(a: Tensor, b: Tensor, gamma: Tensor, alpha: int, beta: int, windows: Sequence[int]) -> Tensor:
    return a.new_empty((rows_of(a, windows), b.shape[1]))


@fake("plane_thresholds")
@fake("plane_requantized")
def _codes_fake(
    a: Tensor, b: Tensor, gamma: Tensor, alpha: int, beta: int, windows: Sequence[int], *rest: Any
) -> Tensor:
    *_, bits, words = rest  # as both schemas end
    return a.new_empty((bits, rows_of(a, windows), words))


@fake("pack_planes")
def _pack_fake(codes: Tensor, table: Tensor, planes: int, words: int) -> Tensor:
    return codes.new_empty((planes, codes.shape[0], words), dtype=torch.int32)


@fake("pack_floats")
def _pack_floats_fake(values: Tensor, least: float, scale: float, planes: int, words: int) -> Tensor:
    return values.new_empty((planes, values.shape[0], words), dtype=torch.int32)


@fake("pool_planes")
def _pool_fake(maps: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    out_y, out_x = ((maps.shape[2 + i] - kernel[i]) // stride[i] + 1 for i in (0, 1))
    return maps.new_empty((maps.shape[0], maps.shape[1], out_y, out_x, maps.shape[4]))


@fake("class_scores")
def _scores_fake(acc: Tensor, multiplier: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    return acc.new_empty(acc.shape, dtype=torch.int64), acc.new_empty((acc.shape[0],), dtype=torch.int64)


@fake("unpack_planes")
def _unpack_fake(planes: Tensor, columns: int) -> Tensor:
    return planes.new_empty((planes.shape[1], columns), dtype=torch.uint8)
