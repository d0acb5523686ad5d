"""The operators on this CPU against torch's float32 product of the same numbers, turn by turn in one run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from ..errors import HardwareError, UsageError
from . import host
from .forms import Affine, aligned_words
from .gradients import gradient_codes, input_gradient
from .layers import sign_linear
from .operators import pack_floats

__all__ = ["SHAPES", "OperatorBench", "ProductTimes", "bench_operator"]

SHAPES = ((16, 1024, 1024), (128, 512, 512), (128, 1024, 1024), (128, 4096, 4096), (1024, 1024, 1024))
"""(rows, inputs, outputs)."""

GRADIENT_BITS = 6


@dataclass(frozen=True, slots=True)
class ProductTimes:
    """Milliseconds for one shape, the least of all turns: what else a machine does only ever adds.

    float32: torch's product. layer: what a layer of -1/+1 does, from floats to floats. popcount, bytes: both ways of
    the plane operators, packed operands to int32. gradient, gradient_float: the gradient of the input by planes of 6
    bits, and by floats. layer_ratio, operator_ratio: float32 over layer and over the quicker way.
    """

    shape: tuple[int, int, int]
    float32: float
    layer: float
    popcount: float
    bytes: float
    gradient: float
    gradient_float: float
    layer_ratio: float
    operator_ratio: float


@dataclass(frozen=True, slots=True)
class OperatorBench:
    """What was measured and how."""

    threads: int
    repeats: int
    cpu: str
    times: tuple[ProductTimes, ...]


def bench_operator(
    shapes: Sequence[tuple[int, int, int]] = SHAPES, *, threads: int = 2, repeats: int = 21
) -> OperatorBench:
    """Check that every way yields the same numbers, then time them."""
    if threads < 1 or repeats < 1:
        raise UsageError(f"threads and repeats must be positive whole numbers, not {threads} and {repeats}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            times = tuple(_of_shape(shape, repeats) for shape in shapes)
    finally:
        torch.set_num_threads(before)
    return OperatorBench(threads, repeats, torch.backends.cpu.get_cpu_capability(), times)


def _of_shape(shape: tuple[int, int, int], repeats: int) -> ProductTimes:
    rows, inputs, outputs = shape
    x, weight = (torch.where(torch.rand(n, inputs) < 0.5, -1.0, 1.0) for n in (rows, outputs))
    words = aligned_words(inputs)
    a, b = (pack_floats(one, -1.0, 0.5, 1, words).numpy().view("uint32") for one in (x, weight))
    gamma = -weight.sum(dim=1).to(torch.int32).numpy()
    levels = torch.randint(0, 1 << GRADIENT_BITS, (rows, outputs))
    levels[:, 0] = 0  # the largest magnitude
    gradient = (2.0 * levels - ((1 << GRADIENT_BITS) - 1)) / 64
    codes, step = gradient_codes(gradient, GRADIENT_BITS)
    ways: dict[str, Callable[[], object]] = {
        "float32": lambda: F.linear(x, weight),
        "layer": lambda: sign_linear(x, weight),
        "popcount": lambda: host.accumulators(a, b, gamma, Affine(4, -2), None, host.Way.POPCOUNT),
        "bytes": lambda: host.accumulators(a, b, gamma, Affine(4, -2), None, host.Way.BYTES),
        "gradient": lambda: input_gradient(codes, step, weight, GRADIENT_BITS),
        "gradient_float": lambda: gradient @ weight,
    }
    _check(F.linear(x, weight), ways)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, work in ways.items():
            begin = time.perf_counter()
            work()
            if turn:  # the first compiles
                found[name].append((time.perf_counter() - begin) * 1e3)
    least = {name: min(values) for name, values in found.items()}
    ratios = (least["float32"] / ours for ours in (least["layer"], min(least["popcount"], least["bytes"])))
    return ProductTimes(shape, *least.values(), *ratios)


def _check(expected: torch.Tensor, ways: dict[str, Callable[[], object]]) -> None:
    """HardwareError unless all ways of the forward product agree."""
    for name in ("layer", "popcount", "bytes"):
        if not torch.equal(torch.as_tensor(ways[name]()).to(torch.float32), expected):
            raise HardwareError(f"the operators' way {name!r} does not agree with torch's float32 product")
