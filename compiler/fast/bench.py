"""How much faster the CPU backend is than the PyTorch module it came from, measured in one run, turn by turn."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .. import golden
from ..ir import CodeType, Conv2d, IntegerNetwork
from .backend import Backend, input_codes

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["BackendBench", "bench_backend"]


@dataclass(frozen=True, slots=True)
class BackendBench:
    """Median milliseconds for all samples, and ratios (above 1: the backend is faster).

    module: the module in eval mode without gradients, from raw samples, at the better of two batch sizes. products:
    its matrix products alone, inputs and weights being float32 already, the least any float program needs.
    disagreements: scores in which the backend differs from the golden model, over all samples.
    """

    samples: int
    threads: int
    module_batch: int
    backend_ms: float
    module_ms: float
    products_ms: float
    ratio: float
    products_ratio: float
    methods: Mapping[str, str]
    disagreements: int


def bench_backend(
    network: IntegerNetwork,
    module: "nn.Module",
    raw: NDArray[np.generic],
    *,
    threads: int = 2,
    repeats: int = 7,
) -> BackendBench:
    """Time backend and module on the raw samples (B, *input shape), alternating, with that many threads each.

    NumPy's BLAS takes its threads from OMP_NUM_THREADS when the process starts: set it to the same number.
    """
    import torch

    before = torch.get_num_threads()
    was_training = module.training
    torch.set_num_threads(threads)
    try:
        module.eval()
        backend = Backend(network, threads=threads)
        samples = torch.from_numpy(np.array(raw))  # a copy: torch wants to own what it could write to
        batches = sorted({min(1000, len(raw)), len(raw)})
        forwards = {size: _forward(module, samples, size) for size in batches}
        batch = min(batches, key=lambda size: _best_of_two(forwards[size]))
        timed = {
            "backend": lambda: backend.run(input_codes(network, raw)),
            "module": forwards[batch],
            "products": _products(network, raw),
        }
        times: dict[str, list[float]] = {name: [] for name in timed}
        for _ in range(repeats):
            for name, work in timed.items():
                times[name].append(_milliseconds(work))
        median = {name: statistics.median(values) for name, values in times.items()}
        codes = input_codes(network, raw)
        scores = backend.run(codes).scores
    finally:
        torch.set_num_threads(before)
        module.train(was_training)
    return BackendBench(
        len(raw),
        threads,
        batch,
        median["backend"],
        median["module"],
        median["products"],
        median["module"] / median["backend"],
        median["products"] / median["backend"],
        {name: str(method) for name, method in backend.methods.items()},
        int(np.count_nonzero(scores != golden.run(network, codes, keep=()).scores)),
    )


def _forward(module: "nn.Module", samples: "torch.Tensor", batch: int) -> Callable[[], object]:
    import torch

    def forward() -> object:
        with torch.inference_mode():
            return [module(part) for part in samples.split(batch)]

    return forward


def _products(network: IntegerNetwork, raw: NDArray[np.generic]) -> Callable[[], object]:
    """The matrix products on ready float32 operands. Which numbers the inputs are does not matter for their speed."""
    import torch

    operands = []
    for stage in network.stages():
        kind: CodeType = stage.input_type
        weights = torch.from_numpy(stage.dot.weights.values().astype(np.float32))
        shape: tuple[int, ...] = (kind.size,)
        product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = torch.nn.functional.linear
        if isinstance(stage.dot, Conv2d):
            window = stage.dot.window(kind)
            shape = (window.input[2], *window.padded)
            weights = weights.reshape(-1, *window.kernel, window.input[2]).permute(0, 3, 1, 2).contiguous()
            product = partial(torch.nn.functional.conv2d, stride=window.stride, dilation=window.dilation)
        codes = np.random.default_rng(0).integers(0, kind.max_code + 1, (len(raw), *shape), dtype=np.uint8)
        operands.append((product, torch.from_numpy(kind.values(codes).astype(np.float32)), weights))

    def products() -> object:
        with torch.inference_mode():
            return [product(inputs, weights) for product, inputs, weights in operands]

    return products


def _best_of_two(work: Callable[[], object]) -> float:
    return min(_milliseconds(work), _milliseconds(work))


def _milliseconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3
