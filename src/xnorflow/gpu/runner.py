"""The integer network on a device by the operators of `operators`: on a GPU, or on a CPU, step for step the same.

Samples go to the device as bytes, are packed there, and stay packed from layer to layer: a Threshold or Requantize that
alone reads a dot product is done inside it. Everything else is done with torch's own integer operations. On a GPU the
whole network, from bytes to scores, is one CUDA graph, captured once.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from ..compiler import golden
from ..compiler.geometry import Window
from ..compiler.golden import Trace
from ..compiler.ir import (
    AccType,
    Add,
    CodeType,
    Concat,
    Conv2d,
    Dense,
    IntegerNetwork,
    MaxPool,
    Node,
    Requantize,
    Scores,
    SumPool,
    Threshold,
)
from ..errors import UsageError
from .driver import check_gpu
from .graph import Graph
from .operators import (
    class_scores,
    pack_planes,
    plane_product,
    plane_requantized,
    plane_thresholds,
    pool_planes,
    unpack_planes,
)
from .stages import Layout, ProductForm, check_network, layout_of, level_scale, product_form, threshold_constants

__all__ = ["Runner", "compare_with_golden", "device_of"]

BATCH = 1024  # samples that pass through all layers together
ELEMENTS = 1 << 26  # of the largest tensor of a batch

_SCORES = ""  # what `Runner.forward` calls the scores, whatever the names of nodes


def device_of(name: str) -> torch.device:
    """The device that --device names: cpu, cuda or cuda:N; UsageError for another or one that is not there."""
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()) or (kind == "cpu" and number):
        raise UsageError(f"device must be cpu, cuda or cuda:N, not {name!r}")
    if kind == "cuda":
        check_gpu()
        if number and int(number) >= torch.cuda.device_count():
            raise UsageError(f"device {name}: this machine has {torch.cuda.device_count()} GPUs, counted from 0")
        return torch.device("cuda", int(number) if number else torch.cuda.current_device())
    return torch.device(kind)


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Codes of a batch as planes (bits, samples * pixels, words)."""

    planes: Tensor
    layout: Layout

    def codes(self) -> Tensor:
        """uint8 (samples * pixels, channels)."""
        return unpack_planes(self.planes, self.layout.channels)


_Value = (
    Packed | Tensor
)  # of a batch: codes packed; accumulators, sums and scores as integers (B, *shape) in this order
_Alive = Mapping[str, _Value]
_Step = Callable[[_Alive], _Value]


class Runner:
    """A network made ready on a device.

    keep: names of nodes whose tensors `run` returns; a dot product that an activation alone reads has none of its own.
    batch: samples of a pass, and of the CUDA graph; None for what fits. UsageError for a network with a node that the
    operators do not compute, and for a name in `keep` that there is no tensor of.
    """

    def __init__(
        self, network: IntegerNetwork, device: str = "cpu", *, keep: Collection[str] = (), batch: int | None = None
    ) -> None:
        if batch is not None and batch < 1:
            raise UsageError(f"the batch must be a positive whole number, not {batch}")
        check_network(network)
        self.device = device_of(device)
        self.network = network
        readers = network.readers()
        self._flat = all(isinstance(node, Dense) for node in readers[network.input.name])
        self._fused = {
            nodes[0].name: network.node(name)
            for name, nodes in readers.items()
            if isinstance(network.node(name), Dense | Conv2d)
            and len(nodes) == 1
            and isinstance(nodes[0], Threshold | Requantize)
        }
        inside = {dot.name for dot in self._fused.values()}
        self.names = tuple(node.name for node in network.nodes if node.name not in inside)
        for name in keep:
            if name not in self.names:
                raise UsageError(f"no tensor of {name!r} is ever formed; there are {', '.join(self.names)}")
        self.keep = tuple(name for name in self.names if name in keep)
        self.batch = batch or min(BATCH, max(1, ELEMENTS // max(node.type.size for node in network.nodes)))
        self._every_byte = torch.arange(256, dtype=torch.uint8).to(self.device)
        self._layouts = {
            node.name: layout_of(node.type, self._flat and node is network.input)
            for node in network.nodes
            if isinstance(node.type, CodeType)
        }
        self._steps = [(node.name, self._step(node)) for node in network.nodes[1:] if node.name not in inside]
        last = {name: nodes[-1].name for name, nodes in readers.items() if nodes}
        last |= {
            self._fused[name].inputs[0]: name for name, dot in self._fused.items() if last[dot.inputs[0]] == dot.name
        }
        self._last = last
        self._graph: Graph | None = None

    def run(self, raw: NDArray[np.generic]) -> Trace:
        """Raw samples (B, *input shape) through the network: scores, and the tensors of `keep`, as of `golden.run`."""
        codes, table = self._bytes(raw)
        parts: dict[str, list[Tensor]] = {name: [] for name in (*self.keep, _SCORES)}
        with torch.inference_mode():
            levels = torch.from_numpy(table).to(self.device)
            for start in range(0, max(len(codes), 1), self.batch):
                part = np.require(codes[start : start + self.batch], requirements=["C", "W"])  # torch wants to own it
                block = torch.from_numpy(part)
                for name, tensor in self._pass(block, levels).items():
                    parts[name].append(tensor.cpu())
        whole = {name: torch.cat(tensors).numpy() for name, tensors in parts.items()}
        scores = whole.pop(_SCORES)
        return Trace(whole, scores)

    def forward(self, codes: Tensor, levels: Tensor) -> dict[str, Tensor]:
        """One pass, all on the device: scores under "", int64 (B, classes), and the tensors of `keep`.

        codes: uint8 (B, *input shape). levels: uint8 (256,), of each byte.
        """
        layout = self._layouts[self.network.input.name]
        rows = codes.reshape(len(codes) * layout.pixels, layout.channels)
        bits = self.network.input.type.bits
        alive: dict[str, _Value] = {
            self.network.input.name: Packed(pack_planes(rows, levels, bits, layout.words), layout)
        }
        found = {self.network.input.name: self._shown(self.network.input, alive)} if self._keeps_input else {}
        for name, step in self._steps:
            alive[name] = step(alive)
            if name in self.keep:
                found[name] = self._shown(self.network.node(name), alive)
            for source, reader in self._last.items():
                if reader == name:
                    alive.pop(source, None)
        scores = alive[self.network.scores.name]
        assert isinstance(scores, Tensor)
        return found | {_SCORES: scores}

    @property
    def _keeps_input(self) -> bool:
        return self.network.input.name in self.keep

    def table(self) -> NDArray[np.uint8]:
        """The code of each raw byte, uint8 (256,); codes themselves where the network takes codes."""
        every = np.arange(256, dtype=np.uint8)
        return every if self.network.input.transform is None else self.network.input_codes(every)

    def _bytes(self, raw: NDArray[np.generic]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Samples as bytes, and the code that each byte stands for: the device maps and packs them."""
        source = self.network.input
        if raw.ndim != len(source.type.shape) + 1 or raw.shape[1:] != source.type.shape:
            raise UsageError(f"samples must be (B, *{source.type.shape}), not {raw.shape}")
        if raw.dtype == np.uint8 and source.transform is not None:
            return raw.astype(np.uint8, copy=False), self.table()
        codes = self.network.input_codes(raw)
        if codes.size and int(codes.max()) > source.type.max_code:
            raise UsageError(f"input code {int(codes.max())} does not fit into {source.type.bits} bits")
        return codes, np.arange(256, dtype=np.uint8)

    def _pass(self, block: Tensor, levels: Tensor) -> dict[str, Tensor]:
        """A block of at most `batch` samples. A graph is of whole batches: the rest of one is filled up and cut off."""
        if self.device.type == "cpu":
            return self.forward(block, levels)
        if self._graph is None:
            self._graph = Graph(self.forward, self.device, (self.batch, *block.shape[1:]))
        return {name: tensor[: len(block)] for name, tensor in self._graph.replay(block, levels).items()}

    def _shown(self, node: Node, alive: _Alive) -> Tensor:
        """A node's tensor as the golden model has it: uint8 codes or int64, (B, *shape)."""
        value = alive[node.name]
        if isinstance(value, Packed):
            return value.codes().reshape(-1, *node.type.shape)
        return value.to(torch.int64).reshape(-1, *node.type.shape)

    # ---- Steps -------------------------------------------------------------------------------------------------------

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        """An array on the device; words, which torch has no type for, as int32."""
        view = array.view(np.int32) if array.dtype == np.uint32 else array
        return torch.from_numpy(np.array(view)).to(self.device)

    def _step(self, node: Node) -> _Step:
        """What makes a node's value of those that are there."""
        if node.name in self._fused:
            return self._activated(node, self._fused[node.name])
        name, sources = node.inputs[0], [self.network.node(name).type for name in node.inputs]
        match node:
            case Dense() | Conv2d():
                apply, operands, about = self._product(node)
                return lambda alive: plane_product(apply(alive), *operands, about)
            case MaxPool():
                return self._pool(node, node.window(sources[0]))
            case SumPool():
                window = node.window(sources[0])
                return lambda alive: _over(self._maps(alive, name, window), window, torch.add)
            case Add():
                return lambda alive: reduce(torch.add, (self._values(alive, source) for source in node.inputs))
            case Concat():
                layout = self._layouts[node.name]
                return lambda alive: self._packed(
                    torch.cat([self._codes(alive, source) for source in node.inputs], dim=-1), node, layout
                )
            case Threshold():
                return self._thresholds(node)
            case Requantize():
                multiplier, offset = self._tensor(node.multiplier), self._tensor(node.offset)
                top, layout = node.type.max_code, self._layouts[node.name]
                return lambda alive: self._packed(
                    ((self._values(alive, name) * multiplier + offset) >> node.shift).clamp(0, top).to(torch.uint8),
                    node,
                    layout,
                )
            case Scores():
                multiplier, offset = self._tensor(node.multiplier), self._tensor(node.offset)
                if isinstance(self.network.node(name), Dense | Conv2d):
                    return lambda alive: class_scores(_rows(alive[name], node.type.size), multiplier, offset)[0]
                plain = self._codes if isinstance(sources[0], CodeType) else self._values
                return lambda alive: (
                    plain(alive, name).reshape(-1, node.type.size).to(torch.int64) * multiplier + offset
                )
        raise UsageError(f"{node.name!r}: {node.kind} nodes are not computed by the operators")  # a new kind

    def _product(self, dot: Node) -> tuple[Callable[[_Alive], Tensor], tuple[Tensor, Tensor, int, int], list[int]]:
        """Of a dot product: its left operand, b with gamma, alpha and beta, and the windows."""
        assert isinstance(dot, Dense | Conv2d)
        (source,) = dot.inputs
        kind, layout = self.network.node(source).type, self._layouts[source]
        assert isinstance(kind, CodeType)
        made: ProductForm = product_form(dot, dot.weights, kind, layout)
        bits, windows = kind.bits, made.windows

        def left(alive: _Alive) -> Tensor:
            value = alive[source]
            assert isinstance(value, Packed)
            if windows is not None:
                return value.planes.reshape(bits, -1, windows.height, windows.width, layout.words)
            return value.planes.reshape(bits, -1, layout.pixels * layout.words)

        operands = self._tensor(made.b), self._tensor(made.gamma), made.form.alpha, made.form.beta
        return left, operands, windows.numbers if windows else []

    def _activated(self, node: Node, dot: Node) -> _Step:
        """A dot product and what alone reads it."""
        assert isinstance(node, Threshold | Requantize)
        left, operands, about = self._product(dot)
        layout, bits = self._layouts[node.name], node.type.bits
        if isinstance(node, Threshold):
            levels, flip = map(self._tensor, threshold_constants(node))
            return lambda alive: Packed(
                plane_thresholds(left(alive), *operands, about, levels, flip, bits, layout.words), layout
            )
        multiplier, offset = self._tensor(node.multiplier), self._tensor(node.offset)
        return lambda alive: Packed(
            plane_requantized(left(alive), *operands, about, multiplier, offset, node.shift, bits, layout.words), layout
        )

    def _thresholds(self, node: Threshold) -> _Step:
        """Thresholds of values that are there: behind a pool, a sum, codes, or of several."""
        (name,) = node.inputs
        levels, flip = (self._tensor(constant.astype(np.int64)) for constant in threshold_constants(node))
        layout = self._layouts[node.name]

        def compare(alive: _Alive) -> Packed:
            turned = self._values(alive, name).reshape(-1, *node.type.shape) ^ flip
            codes = torch.zeros(turned.shape, dtype=torch.uint8, device=self.device)
            for level in levels:
                codes += turned >= level
            return self._packed(codes, node, layout)

        return compare

    def _pool(self, node: MaxPool, window: Window) -> _Step:
        """The largest of each window; of codes as they are packed."""
        (name,) = node.inputs
        kind = self.network.node(name).type
        if isinstance(kind, AccType):
            return lambda alive: _over(self._maps(alive, name, window), window, torch.maximum)
        layout, bits, (height, width, _) = self._layouts[node.name], kind.bits, window.input

        def merge(alive: _Alive) -> Packed:
            value = alive[name]
            assert isinstance(value, Packed)
            words = value.layout.words
            maps = value.planes.reshape(bits, -1, height, width, words)
            pooled = pool_planes(maps, window.kernel, window.stride).reshape(bits, -1, words)
            return Packed(pad(pooled, (0, layout.words - words)), layout)  # a map of one pixel is a row of whole chunks

        return merge

    # ---- Values ------------------------------------------------------------------------------------------------------

    def _codes(self, alive: _Alive, name: str) -> Tensor:
        """Codes of a node of codes, uint8 (B, *shape)."""
        value = alive[name]
        assert isinstance(value, Packed)
        return value.codes().reshape(-1, *self.network.node(name).type.shape)

    def _values(self, alive: _Alive, name: str) -> Tensor:
        """What a node's codes stand for, or its accumulators: int64 (B, *shape)."""
        kind, value = self.network.node(name).type, alive[name]
        if isinstance(kind, CodeType):
            return self._codes(alive, name).to(torch.int64) * level_scale(kind.encoding) + kind.lo
        assert isinstance(value, Tensor)
        return value.to(torch.int64).reshape(-1, *kind.shape)

    def _maps(self, alive: _Alive, name: str, window: Window) -> Tensor:
        return self._values(alive, name).reshape(-1, *window.input)

    def _packed(self, codes: Tensor, node: Node, layout: Layout) -> Packed:
        """Codes (B, ...) of a node, packed."""
        assert isinstance(node.type, CodeType)
        rows = codes.reshape(-1, layout.channels)
        return Packed(pack_planes(rows, self._every_byte, node.type.bits, layout.words), layout)


def compare_with_golden(runner: Runner, raw: NDArray[np.generic]) -> dict[str, tuple[int, int]]:
    """For each node that the runner keeps, and the scores, how many numbers were compared and how many differ."""
    network = runner.network
    names = (*runner.keep, *([] if network.scores.name in runner.keep else [network.scores.name]))
    found = dict.fromkeys(names, (0, 0))
    for start in range(0, len(raw), runner.batch):
        block = raw[start : start + runner.batch]
        trace, oracle = runner.run(block), golden.run(network, network.input_codes(block), keep=runner.keep)
        for name in names:
            ours, theirs = (one.scores if name == network.scores.name else one[name] for one in (trace, oracle))
            compared, differing = found[name]
            found[name] = compared + ours.size, differing + int(np.count_nonzero(ours != theirs))
    return found


def _rows(value: _Value, columns: int) -> Tensor:
    """Accumulators of so many classes as (B, columns)."""
    assert isinstance(value, Tensor)
    return value.reshape(-1, columns)


def _over(maps: Tensor, window: Window, merge: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Windows of maps (B, H, W, C), without padding, merged into one pixel each: (B, H', W', C)."""
    (out_y, out_x), (stride_y, stride_x) = window.output, window.stride
    taps = [
        maps[:, y : y + (out_y - 1) * stride_y + 1 : stride_y, x : x + (out_x - 1) * stride_x + 1 : stride_x]
        for y in range(window.kernel[0])
        for x in range(window.kernel[1])
    ]
    return reduce(merge, taps)
