"""Networks that others trained: the published parameters of BNN-PYNQ (Xilinx, 3-clause BSD), read as they are.

A folder holds, for each layer L and each of its processing elements p, `L-p-weights.bin` and `L-p-thres.bin`: 64-bit
little-endian words without a header. Row r of a layer's matrix is word block r // PE of element r % PE, column c is
bit c % SIMD of word c // SIMD in the block. Bits stand for -1 and +1, convolution columns run (ky, kx, c). A bit
leaves a layer as 1 where its popcount exceeds the threshold; batch normalisation is folded into that.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..folds.folding import Folding, LayerFold
from ..geometry import Window
from ..ir import (
    AccType,
    CodeType,
    Conv2d,
    Dense,
    Encoding,
    Input,
    InputTransform,
    IntegerNetwork,
    MaxPool,
    Node,
    Scores,
    Threshold,
    Weights,
)
from ..ranges import acc_type
from ..verify import verify
from ..verify_edges import score_range

__all__ = ["ImportedNetwork", "import_bnn_pynq"]

KERNEL, POOL = (3, 3), (2, 2)
PIXEL_ORIGIN = 128
"""CNV's first layer multiplies with q = code - 128, ours with the unsigned code itself."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A published layer: the matrix with its padding, how much of it is real, and the folding it is stored in."""

    name: str
    rows: int
    columns: int
    simd: int
    pe: int
    real: tuple[int, int] | None = None
    pooled: bool = False

    @property
    def used(self) -> tuple[int, int]:
        """Rows and columns that are no padding."""
        return self.real or (self.rows, self.columns)


LFC = (
    Layer("fc1", 1024, 832, 64, 32, real=(1024, 784)),
    Layer("fc2", 1024, 1024, 32, 64),
    Layer("fc3", 1024, 1024, 64, 32),
    Layer("fc4", 64, 1024, 8, 16, real=(10, 1024)),
)
CNV = (
    Layer("conv1", 64, 27, 3, 16),
    Layer("conv2", 64, 576, 32, 32, pooled=True),
    Layer("conv3", 128, 576, 32, 16),
    Layer("conv4", 128, 1152, 32, 16, pooled=True),
    Layer("conv5", 256, 1152, 32, 4),
    Layer("conv6", 256, 2304, 32, 1),
    Layer("fc1", 512, 256, 4, 1),
    Layer("fc2", 512, 512, 8, 1),
    Layer("fc3", 64, 512, 1, 4, real=(10, 512)),
)
BINARY = Encoding.BIPOLAR


@dataclass(frozen=True, slots=True)
class ImportedNetwork:
    """The integer network, and the folding that its parameters are stored in, the one published for Z7020 boards."""

    network: IntegerNetwork
    folding: Folding


def import_bnn_pynq(folder: Path) -> ImportedNetwork:
    """LFC (MNIST) or CNV (CIFAR-10) with 1-bit weights and activations, whichever the folder holds.

    LFC's class is the position of the highest output bit, 0 if none is set: scores (c + 1) * bit. CNV's is the first
    largest popcount P; its scores are 2 P. Raw samples are the pixels, (28, 28) and (32, 32, 3). DataError, in one
    line, for a folder with other files, or files missing, damaged or of the wrong size.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    found = {path.name.partition("-")[0] for path in folder.glob("*-*-weights.bin")}
    layers = next((known for known in (LFC, CNV) if found == {str(i) for i in range(len(known))}), None)
    if layers is None:
        raise DataError(
            f"{folder} holds weights of {len(found)} layers; the known networks are LFC (0-*-weights.bin to "
            f"3-*-weights.bin) and CNV (0-*-weights.bin to 8-*-weights.bin)"
        )
    reader = Reader(folder)
    nodes = lfc_nodes(reader) if layers is LFC else cnv_nodes(reader)
    names = tuple(reader.content("classes.txt").decode("utf-8", errors="replace").split())
    classes = layers[-1].used[0]
    if len(names) != classes:
        raise DataError(f"{folder / 'classes.txt'} holds {len(names)} class names, not {classes}")
    origin = {
        "data": "mnist" if layers is LFC else "cifar10",
        "description": f"BNN-PYNQ {'LFC' if layers is LFC else 'CNV'} W1A1, trained and published by Xilinx",
        "parameters_sha256": reader.digest(),
    }
    folds = {layer.name: LayerFold(layer.pe, layer.simd) for layer in layers}
    return ImportedNetwork(verify(IntegerNetwork(nodes, names, origin), DataError), Folding(folds))


class Reader:
    """The files of a folder; what was read is remembered for the network's provenance."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: dict[str, bytes] = {}

    def content(self, name: str) -> bytes:
        """A file's bytes."""
        try:
            self.read[name] = (self.folder / name).read_bytes()
        except FileNotFoundError as error:
            raise DataError(f"{self.folder} has no {name}") from error
        except OSError as error:
            raise DataError(f"{self.folder / name} cannot be read: {error.strerror}") from error
        return self.read[name]

    def words(self, name: str, count: int) -> NDArray[np.int64]:
        """The `count` words of a file."""
        content = self.content(name)
        if len(content) != 8 * count:
            raise DataError(f"{self.folder / name} has {len(content)} bytes, not {8 * count}")
        return np.frombuffer(content, "<i8").astype(np.int64)

    def weights(self, index: int, layer: Layer) -> Weights:
        """The real part of a layer's matrix."""
        folds = (layer.rows // layer.pe, layer.columns // layer.simd)
        blocks = np.empty((layer.pe, *folds, layer.simd), np.uint8)
        for pe in range(layer.pe):
            name = f"{index}-{pe}-weights.bin"
            words = self.words(name, folds[0] * folds[1]).view(np.uint64)
            if layer.simd < 64 and int(words.max()) >> layer.simd:
                raise DataError(f"{self.folder / name} has bits set above its {layer.simd} columns a word")
            blocks[pe] = (words.reshape(*folds, 1) >> np.arange(layer.simd, dtype=np.uint64)) & np.uint64(1)
        rows, columns = layer.used
        matrix = blocks.transpose(1, 0, 2, 3).reshape(layer.rows, layer.columns)[:rows, :columns]
        return Weights(np.ascontiguousarray(matrix), 1, BINARY)

    def thresholds(self, index: int, layer: Layer) -> NDArray[np.int64]:
        """The real thresholds of a layer, one a row."""
        files = [self.words(f"{index}-{pe}-thres.bin", layer.rows // layer.pe) for pe in range(layer.pe)]
        rows: NDArray[np.int64] = np.stack(files, axis=1).reshape(-1)[: layer.used[0]]
        return rows

    def digest(self) -> str:
        """SHA-256 over all files read, by name."""
        return hashlib.sha256(b"".join(self.read[name] for name in sorted(self.read))).hexdigest()


def lfc_nodes(reader: Reader) -> tuple[Node, ...]:
    """784 - 1024 - 1024 - 1024 - 10 bits; a pixel's bit says whether it is at least 128."""
    nodes: list[Node] = [Input("inputs", (), CodeType((28, 28), 1, BINARY), InputTransform(0.0, 255.0))]
    for index, layer in enumerate(LFC):
        weights = reader.weights(index, layer)
        dense = dense_node(layer.name, nodes[-1], weights)
        levels = popcount_levels(reader.thresholds(index, layer), weights)
        nodes += [dense, threshold_node(f"act{index + 1}", dense, levels)]
    classes = nodes[-1].type.size
    nodes.append(scores_node(nodes[-1], np.arange(1, classes + 1), np.zeros(classes, np.int64)))
    return tuple(nodes)


def cnv_nodes(reader: Reader) -> tuple[Node, ...]:
    """Six convolutions, two of them pooled, and three dense layers; 8-bit pixels.

    A pixel p is q = min(127, floor((512 p + 255) / 510) - 128): code q + 128, which the transform gives exactly.
    """
    nodes: list[Node] = [
        Input("inputs", (), CodeType((32, 32, 3), 8, Encoding.UNSIGNED), InputTransform(0.0, 255 * 510 / 512))
    ]
    for index, layer in enumerate(CNV[:-1]):
        weights = reader.weights(index, layer)
        before = nodes[-1]
        dot = (conv_node if layer.name.startswith("conv") else dense_node)(layer.name, before, weights)
        stored = reader.thresholds(index, layer)
        if index == 0:  # 2 A > T with A over q; our accumulator is A + 128 sum(w)
            levels = stored // 2 + 1 + PIXEL_ORIGIN * weights.values().sum(axis=1)
        else:
            levels = popcount_levels(stored, weights)
        nodes += [dot, threshold_node(f"act{index + 1}", dot, levels)]
        if layer.pooled:
            nodes.append(pool_node(layer.name.replace("conv", "pool"), nodes[-1]))
    weights = reader.weights(len(CNV) - 1, CNV[-1])
    rows, columns = weights.codes.shape
    nodes.append(dense_node(CNV[-1].name, nodes[-1], weights))
    nodes.append(scores_node(nodes[-1], np.ones(rows, np.int64), np.full(rows, columns)))  # s + K = 2 P
    return tuple(nodes)


def popcount_levels(thresholds: NDArray[np.int64], weights: Weights) -> NDArray[np.int64]:
    """popcount > T as the least accumulator that fires: s = 2 popcount - K."""
    levels: NDArray[np.int64] = 2 * (thresholds + 1) - weights.codes.shape[1]
    return levels


def codes_of(node: Node) -> CodeType:
    """The type of what a node yields, known to be codes."""
    assert isinstance(node.type, CodeType)  # by construction
    return node.type


def dense_node(name: str, before: Node, weights: Weights) -> Dense:
    """A dense layer behind `before`."""
    return Dense(name, (before.name,), acc_type(weights, codes_of(before)), weights)


def conv_node(name: str, before: Node, weights: Weights) -> Conv2d:
    """A 3x3 convolution behind `before`."""
    height, width, channels = before.type.shape
    window = Window((height, width, channels), KERNEL)
    return Conv2d(name, (before.name,), acc_type(weights, codes_of(before), window.output), weights, KERNEL)


def pool_node(name: str, before: Node) -> MaxPool:
    """The largest, that is the OR, of 2x2 bits."""
    height, width, channels = before.type.shape
    window = Window((height, width, channels), POOL, POOL)
    return MaxPool(name, (before.name,), CodeType((*window.output, channels), 1, BINARY), POOL, POOL)


def threshold_node(name: str, dot: Dense | Conv2d, levels: NDArray[np.int64]) -> Threshold:
    """Ascending one-bit thresholds. Stored ones may lie far outside the range: "never" is one beyond it."""
    clipped = np.clip(levels, dot.type.lo - 1, dot.type.hi + 1)
    return Threshold(
        name, (dot.name,), CodeType(dot.type.shape, 1, BINARY), clipped[:, None], np.zeros(len(levels), np.bool_)
    )


def scores_node(before: Node, multiplier: NDArray[np.int64], offset: NDArray[np.int64]) -> Scores:
    """The scores, with the range they need."""
    draft = Scores("scores", (before.name,), AccType(multiplier.shape, 0, 0), multiplier, offset)
    kind = AccType(multiplier.shape, *score_range(draft, before.type))
    return Scores(draft.name, draft.inputs, kind, multiplier, offset)
