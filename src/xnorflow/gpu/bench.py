"""`xnorflow bench gpu`: the kernel against what people would use instead, on one GPU in one run.

Results are checked before anything is timed. Rivals of a product: torch.matmul in bf16, fp16, float32 (TF32 off),
int8 (torch._int_mm), and the two plain kernels of "Binarized Neural Networks" (Hubara et al., 2016), `rivals.cu`.
Those of a network: the float network of the same layers in bf16, BatchNorm folded, and the network itself on the plain
float32 kernel. Every rival is a CUDA graph as well, and its operands rotate as ours do.
"""

import ctypes
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..compiler import golden
from ..compiler.ir import Dense, IntegerNetwork, Threshold
from ..errors import HardwareError, UsageError
from .bench_networks import float_twin
from .driver import Module, Value, check_gpu
from .figures import GpuBench, NetworkTimes, ProductTimes, Rates
from .forms import aligned_words
from .operators import pack_floats, pack_planes, plane_product, plane_thresholds
from .runner import Runner
from .stages import threshold_constants
from .timing import Clock, GpuClock, Work, medians, sets_of_operands

__all__ = ["BATCHES", "SIZES", "bench_gpu", "network_times", "product_times"]

SIZES = (1024, 2048, 4096, 8192, 16384)
BATCHES = (1, 16, 128, 1024, 10_000, 16_384)
RATE_STEPS = 4096

OPERAND_BYTES = 16 << 30  # that all sets of operands of a product may take, in every type

Plain = Callable[[str, Tensor, Tensor], Tensor]
"""Launch a kernel of rivals.cu: its name, a (M, K) and b (N, K); the result (M, N)."""


def bench_gpu(
    networks: dict[str, IntegerNetwork],
    *,
    sizes: Sequence[int] = SIZES,
    batches: Sequence[int] = BATCHES,
    rounds: int = 11,
) -> GpuBench:
    """Measure products of those sizes and networks at those batches on the current GPU; UsageError without one."""
    if rounds < 1 or any(n < 1 for n in (*sizes, *batches)):
        raise UsageError("sizes, batches and rounds must be positive whole numbers")
    check_gpu()
    here = torch.device("cuda", torch.cuda.current_device())
    about, clock, plain = torch.cuda.get_device_properties(here), GpuClock(), _plain_kernels(here)
    torch.backends.cuda.matmul.allow_tf32 = False
    cache = int(about.L2_cache_size)
    with torch.inference_mode():
        rates = measured_rates(here, rounds)
        products = tuple(product_times(size, here, clock, rounds, cache, plain) for size in sizes)
        runs = tuple(
            network_times(name, network, batch, "cuda", clock, rounds, plain)
            for name, network in networks.items()
            for batch in batches
        )
    return GpuBench(about.name, torch.__version__, str(torch.version.cuda), rates, products, runs)


def product_times(
    size: int, here: torch.device, clock: Clock, rounds: int, cache: int, plain: Plain | None
) -> ProductTimes:
    """Products of -1/+1, size x size x size. HardwareError where one of ours or of the plain kernels is wrong."""
    words = aligned_words(size)
    sets = min(sets_of_operands(2 * 4 * size * words, cache), max(1, OPERAND_BYTES // (18 * size * size)))
    signs = [[_signs(size, here) for _ in range(2)] for _ in range(sets)]
    bits = [[pack_floats(one.to(torch.float32), -1.0, 0.5, 1, words) for one in pair] for pair in signs]
    gamma = [-pair[1].sum(dim=1, dtype=torch.int32) for pair in signs]
    levels = torch.randint(-size // 64 - 1, size // 64 + 2, (1, size), dtype=torch.int32, device=here)
    behind = levels, torch.zeros(size, dtype=torch.int32, device=here), 1, words
    every_byte = torch.arange(256, dtype=torch.uint8, device=here)

    def packed(reached: Tensor) -> Tensor:
        return pack_planes(reached.view(torch.uint8), every_byte, 1, words)

    def multiplied(kind: torch.dtype) -> Callable[[int], Tensor]:
        operands = [[one.to(kind) for one in pair] for pair in signs]
        if kind is torch.int8:
            return lambda i: torch._int_mm(operands[i][0], operands[i][1].t())
        return lambda i: operands[i][0] @ operands[i][1].t()

    float32, bf16 = multiplied(torch.float32), multiplied(torch.bfloat16)
    narrow = levels.to(torch.bfloat16)
    works: dict[str, Callable[[int], Tensor]] = {
        "int32": lambda i: plane_product(*bits[i], gamma[i], 4, -2, []),
        "threshold": lambda i: plane_thresholds(*bits[i], gamma[i], 4, -2, [], *behind),
        "bf16": bf16,
        "bf16, compare, pack": lambda i: packed(bf16(i) >= narrow),
        "fp16": multiplied(torch.float16),
        "int8": multiplied(torch.int8),
        "float32": float32,
    }
    if plain is not None:
        floats = [[one.to(torch.float32) for one in pair] for pair in signs]
        works["plain float32"] = lambda i: plain("plain_float", *floats[i])
        if 32 * words == size:  # it takes its number of columns from whole words
            works["plain popcount"] = lambda i: plain("plain_xnor", *(one[0] for one in bits[i]))
    exact = float32(0)
    mismatches = int((works["threshold"](0) != packed(exact >= levels)).sum())
    for name in ("int32", "int8", "plain float32", "plain popcount"):
        if name in works:
            mismatches += int((works[name](0) != exact).sum())
    if mismatches:
        raise HardwareError(f"{mismatches:,} numbers of a product of {size} x {size} x {size} differ from float32's")
    return ProductTimes(size, medians(works, sets, clock, rounds), mismatches)


def _signs(size: int, here: torch.device) -> Tensor:
    """-1/+1, int8 (size, size)."""
    return torch.randint(0, 2, (size, size), dtype=torch.int8, device=here).mul_(2).sub_(1)


def network_times(
    name: str, network: IntegerNetwork, batch: int, where: str, clock: Clock, rounds: int, plain: Plain | None
) -> NetworkTimes:
    """A network on a batch of random bytes, from bytes to scores. HardwareError where scores are others than the golden
    model's."""
    runner = Runner(network, where, batch=batch)
    here, shape = runner.device, network.input.type.shape
    top = 255 if network.input.transform is not None else network.input.type.max_code
    raw = np.random.default_rng(0).integers(0, top + 1, (batch, *shape), dtype=np.uint8)
    checked = raw[: min(batch, 256)]
    scores = runner.run(raw).scores[: len(checked)]
    mismatches = int(np.count_nonzero(scores != golden.run(network, network.input_codes(checked), keep=()).scores))
    samples, table = torch.from_numpy(raw).to(here), torch.from_numpy(runner.table()).to(here)
    twin = float_twin(network).to(here, torch.bfloat16).eval()
    images = samples.reshape(batch, *shape)
    works: dict[str, Work] = {
        "ours": lambda _: runner.forward(samples, table),
        "bf16": lambda _: twin(images.to(torch.bfloat16)),
    }
    if plain is not None and all(isinstance(stage.dot, Dense) for stage in network.stages()):
        network_on_floats = plain_network(network, here, plain)
        works["plain float32"] = lambda _: network_on_floats(samples, table)
        mismatches += int((network_on_floats(samples, table)[: len(checked)].cpu().numpy() != scores).sum())
    if mismatches:
        raise HardwareError(f"{mismatches:,} scores of {name} at batch {batch} are not the golden model's")
    return NetworkTimes(name, batch, medians(works, 1, clock, rounds), mismatches)


def plain_network(network: IntegerNetwork, here: torch.device, multiply: Plain) -> Callable[[Tensor, Tensor], Tensor]:
    """A chain of dense layers with float32 values and that kernel: scores (B, classes) of bytes and their codes."""
    layers = []
    for stage in network.stages():
        weights = torch.from_numpy(stage.dot.weights.values().astype(np.float32)).to(here)
        constants = None
        if isinstance(stage.sink, Threshold):
            levels, flip = (torch.from_numpy(one).to(here) for one in threshold_constants(stage.sink))
            constants = levels, flip, stage.sink.type
        layers.append((weights, constants))
    source = network.input.type
    multiplier, offset = (torch.from_numpy(one).to(here) for one in (network.scores.multiplier, network.scores.offset))
    values = torch.from_numpy(source.values(np.arange(source.max_code + 1)).astype(np.float32)).to(here)

    def run(samples: Tensor, table: Tensor) -> Tensor:
        x, codes = values[table[samples.reshape(len(samples), -1).long()].long()], None
        for weights, constants in layers:
            acc = multiply("plain_float", x, weights)
            codes = acc.to(torch.int64)
            if constants is not None:
                levels, flip, kind = constants
                codes = ((acc.to(torch.int32) ^ flip)[:, None] >= levels).sum(dim=1)
                x = (codes * ((kind.hi - kind.lo) // kind.max_code) + kind.lo).to(torch.float32)
        assert codes is not None  # there is a layer
        return codes * multiplier + offset

    return run


def _plain_kernels(here: torch.device) -> Plain:
    """The kernels of rivals.cu on that GPU."""
    from .build import cubin

    module = Module(lambda architecture: cubin(architecture, "rivals.cu"))

    def launch(name: str, a: Tensor, b: Tensor) -> Tensor:
        rows, columns, inner = len(a), len(b), a.shape[1]
        kind = torch.int32 if name == "plain_xnor" else torch.float32
        out = torch.empty((rows, columns), dtype=kind, device=here)
        told: list[Value] = [ctypes.c_void_p(one.data_ptr()) for one in (a, b, out)]
        told += [ctypes.c_longlong(n) for n in (rows, columns, inner)]
        if name == "plain_xnor":
            told.append(ctypes.c_int(32 * inner))
        module.launch(here.index, name, -(-rows // 16) * -(-columns // 16), 256, 0, told)
        return out

    return launch


def measured_rates(here: torch.device, rounds: int) -> Rates:
    """Bits multiplied a second by the tensor cores alone (rates.cu), and bytes a second of a copy."""
    from .build import cubin

    about = torch.cuda.get_device_properties(here)
    architecture, blocks = 10 * about.major + about.minor, 4 * about.multi_processor_count
    out = torch.empty(blocks * 256, dtype=torch.int32, device=here)
    kernels: dict[str, tuple[Module, int, int]] = {}  # module, products of bits a step of a block, what ones add up to
    if 80 <= architecture <= 90:
        module = Module(lambda own: cubin(own, "rates.cu"))
        kernels["mma_rate"] = module, 8 * 16 * 16 * 8 * 256, 64 * 256
    if architecture == 90:
        module = Module(lambda _: cubin("sm_90a", "rates.cu"))
        kernels["wgmma_rate"] = module, 2 * 4 * 64 * 256 * 256, 128 * 256 * 4
    rates: dict[str, float] = {}
    for name, (module, each, ones) in kernels.items():

        def launch(pattern: int, module: Module = module, name: str = name) -> None:
            told: list[Value] = [ctypes.c_void_p(out.data_ptr()), ctypes.c_int(RATE_STEPS)]
            told.append(ctypes.c_int(pattern))
            module.launch(here.index, name, blocks, 256, 0, told)

        launch(-1)
        if not bool((out.to(torch.int64) == ones * RATE_STEPS).all()):
            raise HardwareError(f"{name} does not add up: its rate would be of something else")
        seconds = medians({name: lambda _: launch(0)}, 1, GpuClock(), rounds)[name]
        rates[name] = each * RATE_STEPS * blocks / seconds
    source = torch.empty(1 << 30, dtype=torch.uint8, device=here)
    target = torch.empty_like(source)
    copy = medians({"copy": lambda _: target.copy_(source)}, 1, GpuClock(), rounds)["copy"]
    return Rates(rates.get("mma_rate"), rates.get("wgmma_rate"), 2 * source.numel() / copy)
