"""The operators on an NVIDIA GPU: kernel.cu, launched with the struct `Product` that stands at its top.

Which kernel a product takes is decided by its shape (`chosen`). Memory is torch's; a tensor that is not contiguous, or
begins where 16 bytes at a time cannot be read, is copied first.
"""

import ctypes
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import torch
from torch import Tensor

from ..errors import UsageError
from .driver import Module, Value
from .forms import Windows
from .kernels import KERNELS
from .operators import check, check_codes, check_floats, check_pack, check_scores, check_unpack, pooled_shape, rows_of

__all__ = [
    "Mode",
    "Pool",
    "Product",
    "chosen",
    "class_scores",
    "pack_floats",
    "pack_planes",
    "plane_product",
    "plane_requantized",
    "plane_thresholds",
    "pool_planes",
    "product",
    "unpack_planes",
]


class Mode:
    """What becomes of acc, as kernel.cu numbers it."""

    INT32 = 0
    THRESHOLD = 1
    REQUANTIZE = 2


class Product(ctypes.Structure):
    """kernel.cu's struct of that name, field by field."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("a", "b", "out", "gamma", "thresholds", "flip", "multiplier", "offset")),
        *(
            (name, ctypes.c_longlong)
            for name in ("M", "N", "k_words", "a_row", "a_plane", "b_row", "b_plane", "out_row", "out_plane")
        ),
        *(
            (name, ctypes.c_int)
            for name in (
                *("a_planes", "b_planes", "alpha", "beta", "mode", "bits", "levels", "shift"),
                *("height", "width", "pixel_words", "channels"),
                *("out_height", "out_width", "kernel_y", "kernel_x"),
                *("stride_y", "stride_x", "dilation_y", "dilation_x", "top", "left", "pad_level"),
            )
        ),
    )


FEW_ROWS = 8  # up to which a product waits for its weights alone, and tensor cores have nothing to do
MOST_TILES = (1 << 31) - 1
_RESIDENT = 8  # blocks of 256 threads that a multiprocessor has room for


def _machine_code(architecture: str) -> bytes:
    from .build import cubin  # here, so that shapes can be asked about where nothing is ever launched

    return cubin(architecture)


_MODULE = Module(_machine_code)


def chosen(rows: int, columns: int, windows: bool, architecture: int, processors: int) -> str:
    """The kernel for a product of that shape: the largest tile of which every multiprocessor gets one.

    architecture: such as 90. By design, not yet by measurement.
    """
    tiles = ("tile_128_windows", "tile_64_windows") if windows else ("tile_256", "tile_128", "tile_64")
    there = [name for name in tiles if KERNELS[name].on(architecture)]
    if rows <= FEW_ROWS or not there:
        return "count_windows" if windows else "count_plain"
    return next((name for name in there if KERNELS[name].tiles(rows, columns) >= processors), there[-1])


@lru_cache(maxsize=16)
def _about(device: int) -> tuple[int, int]:
    """Architecture and multiprocessors of a device."""
    properties = torch.cuda.get_device_properties(device)
    return 10 * properties.major + properties.minor, properties.multi_processor_count


def readable(planes: Tensor, aligned: bool) -> Tensor:
    """Planes as the kernels read them: contiguous, at a multiple of 16 bytes; aligned: rows of whole chunks."""
    if aligned and planes.shape[-1] % 4:
        planes = torch.nn.functional.pad(planes, (0, -planes.shape[-1] % 4))
    planes = planes.contiguous()
    return planes if planes.data_ptr() % 16 == 0 else planes.clone()


def product(
    a: Tensor,
    b: Tensor,
    gamma: Tensor,
    alpha: int,
    beta: int,
    windows: Sequence[int],
    out: Tensor,
    mode: int = Mode.INT32,
    epilogue: Mapping[str, Tensor | int] = MappingProxyType({}),
    kernel: str | None = None,
) -> None:
    """Launch a product that writes `out`; epilogue: the fields of `Product` that its mode has.

    kernel: None for the one that the shape asks for. UsageError for more tiles than a launch has.
    """
    about = Windows.of(windows)
    a, b = readable(a, about is None), readable(b, True)
    told = Product(alpha=alpha, beta=beta, mode=mode, a_planes=len(a), b_planes=len(b), N=b.shape[1])
    kept = {"a": a, "b": b, "gamma": gamma.contiguous(), "out": out}
    kept |= {name: value.contiguous() for name, value in epilogue.items() if isinstance(value, Tensor)}
    for name, tensor in kept.items():
        setattr(told, name, tensor.data_ptr())
    for name, value in epilogue.items():
        if not isinstance(value, Tensor):
            setattr(told, name, value)
    told.b_row, told.b_plane = b.shape[2], b.stride(0)
    told.a_plane = a.stride(0)
    if mode != Mode.INT32:
        told.out_row, told.out_plane = out.shape[2], out.stride(0)
    if about is None:
        told.M, told.a_row, told.k_words = a.shape[1], a.shape[2], a.shape[2]
    else:
        told.M, told.pixel_words, told.k_words = a.shape[1] * about.positions, a.shape[4], about.taps * a.shape[4]
        for field in Windows.__dataclass_fields__:
            setattr(told, field, getattr(about, field))
    columns = told.N if mode == Mode.INT32 else 32 * out.shape[2]  # packed rows are written to their ends
    architecture, processors = _about(a.device.index)
    kernel = kernel or chosen(told.M, columns, about is not None, architecture, processors)
    shape = KERNELS[kernel]
    tiles = shape.tiles(told.M, columns)
    if tiles > MOST_TILES:
        raise UsageError(f"a product of {told.M:,} x {columns:,} has {tiles:,} tiles, too many for a launch: split it")
    blocks = min(tiles, shape.resident * processors)
    _MODULE.launch(a.device.index, kernel, blocks, shape.threads, shape.shared, [told])


def plane_product(a: Tensor, b: Tensor, gamma: Tensor, alpha: int, beta: int, windows: Sequence[int]) -> Tensor:
    """acc, int32 (M, N)."""
    check(a, b, gamma, windows)
    out = torch.empty((rows_of(a, windows), b.shape[1]), dtype=torch.int32, device=a.device)
    product(a, b, gamma, alpha, beta, windows, out)
    return out


def plane_thresholds(
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
    """Planes (bits, M, words) of the codes behind thresholds."""
    check(a, b, gamma, windows, thresholds=(thresholds, torch.int32), flip=(flip, torch.int32))
    check_codes(b, bits, words)
    out = torch.empty((bits, rows_of(a, windows), words), dtype=torch.int32, device=a.device)
    told: dict[str, Tensor | int] = {"thresholds": thresholds, "flip": flip, "bits": bits, "levels": len(thresholds)}
    product(a, b, gamma, alpha, beta, windows, out, Mode.THRESHOLD, told)
    return out


def plane_requantized(
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
    """Planes (bits, M, words) of the requantized codes."""
    check(a, b, gamma, windows, multiplier=(multiplier, torch.int64), offset=(offset, torch.int64))
    check_codes(b, bits, words)
    out = torch.empty((bits, rows_of(a, windows), words), dtype=torch.int32, device=a.device)
    told: dict[str, Tensor | int] = {"multiplier": multiplier, "offset": offset, "bits": bits, "shift": shift}
    product(a, b, gamma, alpha, beta, windows, out, Mode.REQUANTIZE, told)
    return out


class Pool(ctypes.Structure):
    """kernel.cu's struct of that name."""

    _fields_ = (
        ("in", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("images", ctypes.c_longlong),
        *(
            (name, ctypes.c_int)
            for name in (
                *("planes", "height", "width", "words", "out_height", "out_width"),
                *("kernel_y", "kernel_x", "stride_y", "stride_x"),
            )
        ),
    )


def _simple(device: int, name: str, items: int, each: int, *arguments: Value | Tensor | int) -> None:
    """Launch a kernel whose blocks of 256 threads make `each` items at a time. Integers are passed as 64 bits."""
    blocks = min(-(-items // each), _RESIDENT * _about(device)[1])
    values: list[Value] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            values.append(ctypes.c_void_p(argument.data_ptr()))
        else:
            values.append(ctypes.c_longlong(argument) if isinstance(argument, int) else argument)
    _MODULE.launch(device, name, blocks, 256, 0, values)


def pack_planes(codes: Tensor, table: Tensor, planes: int, words: int) -> Tensor:
    """Planes (planes, rows, words) of codes."""
    check_pack(codes, table, planes, words)
    codes, table, (rows, columns) = codes.contiguous(), table.contiguous(), codes.shape
    out = torch.empty((planes, rows, words), dtype=torch.int32, device=codes.device)
    _simple(codes.device.index, "pack", rows * words, 8, codes, table, out, rows, columns, words, ctypes.c_int(planes))
    return out


def pack_floats(values: Tensor, least: float, scale: float, planes: int, words: int) -> Tensor:
    """Planes (planes, rows, words) of values."""
    check_floats(values, planes, words)
    values, (rows, columns) = values.contiguous(), values.shape
    out = torch.empty((planes, rows, words), dtype=torch.int32, device=values.device)
    _simple(
        values.device.index,
        "pack_floats",
        rows * words,
        8,
        values,
        ctypes.c_float(least),
        ctypes.c_float(scale),
        out,
        rows,
        columns,
        words,
        ctypes.c_int(planes),
    )
    return out


def unpack_planes(planes: Tensor, columns: int) -> Tensor:
    """Levels, uint8 (rows, columns)."""
    check_unpack(planes, columns)
    planes, (count, rows, words) = planes.contiguous(), planes.shape
    out = torch.empty((rows, columns), dtype=torch.uint8, device=planes.device)
    _simple(planes.device.index, "unpack", rows * columns, 256, planes, out, rows, columns, words, ctypes.c_int(count))
    return out


def pool_planes(maps: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """The largest level of each window."""
    shape, maps = pooled_shape(maps, kernel, stride), maps.contiguous()
    planes, images, height, width, words = maps.shape
    out = torch.empty((planes, images, *shape, words), dtype=torch.int32, device=maps.device)
    told = Pool(maps.data_ptr(), out.data_ptr(), images, planes, height, width, words, *shape, *kernel, *stride)
    _simple(maps.device.index, "pool", out[0].numel(), 256, told)
    return out


def class_scores(acc: Tensor, multiplier: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Scores int64 (M, C) and the first largest of each row, int64 (M,)."""
    check_scores(acc, multiplier, offset)
    acc, multiplier, offset = acc.contiguous(), multiplier.contiguous(), offset.contiguous()
    scores = torch.empty(acc.shape, dtype=torch.int64, device=acc.device)
    best = torch.empty(len(acc), dtype=torch.int64, device=acc.device)
    _simple(acc.device.index, "scores", len(acc), 8, acc, multiplier, offset, scores, best, *acc.shape)
    return scores, best
