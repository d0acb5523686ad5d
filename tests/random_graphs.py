"""Random integer networks that are graphs: residual blocks, concatenations, pools of every kind, groups, broadcasts.

`GraphBuilder` puts a graph together node by node, `random_graph` puts the builder's moves together at random.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from xnorflow.compiler.geometry import Window
from xnorflow.compiler.golden import Tensor, step_of
from xnorflow.compiler.ir import (
    AccType,
    Add,
    CodeType,
    Concat,
    Conv2d,
    Dense,
    Encoding,
    Input,
    IntegerNetwork,
    MaxPool,
    Node,
    Requantize,
    Scores,
    SumPool,
    Threshold,
    Weights,
)
from xnorflow.compiler.ranges import acc_type
from xnorflow.compiler.verify import verify
from xnorflow.compiler.verify_edges import score_range

__all__ = ["BINARY", "MOVES", "GraphBuilder", "random_graph", "residual_network"]

BINARY = (1, Encoding.BIPOLAR)
SAMPLES = 32  # of random input, for thresholds that real accumulators cross
Extent = int | tuple[int, int]
Kind = tuple[int, Encoding]


def pair(extent: Extent) -> tuple[int, int]:
    """(vertical, horizontal)."""
    return (extent, extent) if isinstance(extent, int) else extent


class GraphBuilder:
    """Grows a network from its input "image"; every method adds a node, named after its kind, and returns the name.

    Constants are random: thresholds lie among values that random input yields, repeat, and reach "never" and "always";
    half of the neurons descend unless `descending` is False.
    """

    def __init__(self, shape: tuple[int, ...], kind: Kind = BINARY, seed: int = 0, descending: bool = True) -> None:
        self.rng = np.random.default_rng(seed)
        self.descending = descending
        source = CodeType(shape, *kind)
        self.nodes: dict[str, Node] = {"image": Input("image", (), source, None)}
        codes = self.rng.integers(0, source.max_code + 1, (SAMPLES, *shape), dtype=np.uint8)
        self.seen: dict[str, Tensor] = {"image": codes}

    def type(self, name: str) -> CodeType | AccType:
        """The type of a node."""
        return self.nodes[name].type

    def _place(self, node: Node) -> str:
        """Number the node by its kind, and run it on the samples."""
        name = f"{node.kind}{sum(other.kind == node.kind for other in self.nodes.values())}"
        node = replace(node, name=name)
        self.nodes[name] = node
        step = step_of(IntegerNetwork(tuple(self.nodes.values()), ()), node)
        self.seen[name] = step(*(self.seen[source] for source in node.inputs))
        return name

    def _weights(self, rows: int, columns: int, kind: Kind) -> Weights:
        most = CodeType((1,), *kind).max_code
        return Weights(self.rng.integers(0, most + 1, (rows, columns), dtype=np.uint8), *kind)

    def dense(self, source: str, rows: int, weights: Kind = BINARY) -> str:
        """A dense layer on everything in `source`."""
        kind = self.type(source)
        matrix = self._weights(rows, kind.size, weights)
        return self._place(Dense("", (source,), acc_type(matrix, kind), matrix))

    def conv(
        self,
        source: str,
        channels: int,
        kernel: Extent = 3,
        stride: Extent = 1,
        padding: Extent = 0,
        dilation: Extent = 1,
        groups: int = 1,
        weights: Kind = BINARY,
    ) -> str:
        """A convolution; a padding has a random code."""
        kind = self.type(source)
        draft = Conv2d("", (source,), AccType((1,), 0, 0), self._weights(1, 1, weights), pair(kernel))
        draft = replace(draft, stride=pair(stride), padding=pair(padding), dilation=pair(dilation), groups=groups)
        window = draft.window(kind)
        matrix = self._weights(channels, window.columns // groups, weights)
        pad = None if draft.padding == (0, 0) else int(self.rng.integers(0, kind.max_code + 1))
        return self._place(replace(draft, weights=matrix, pad_code=pad, type=acc_type(matrix, kind, window.output)))

    def threshold(self, source: str, kind: Kind = BINARY) -> str:
        """Thresholds of accumulators or of codes."""
        before = self.type(source)
        codes = CodeType(before.shape, *kind)
        rows, levels = before.shape[-1], codes.max_code
        values = before.values(self.seen[source]) if isinstance(before, CodeType) else self.seen[source]
        chosen = self.rng.choice(values.reshape(-1, rows), levels, axis=0).T + self.rng.integers(-1, 2, (rows, levels))
        thresholds = np.sort(np.clip(chosen, before.lo - 1, before.hi + 1), axis=1)
        thresholds[self.rng.random(rows) < 0.05] = before.hi + 1
        thresholds[self.rng.random(rows) < 0.05] = before.lo - 1
        descending = (self.rng.random(rows) < 0.5) & self.descending
        thresholds[descending] = thresholds[descending][:, ::-1]
        return self._place(Threshold("", (source,), codes, thresholds, descending))

    def requantize(self, source: str, kind: Kind = (4, Encoding.UNSIGNED)) -> str:
        """A requantization that spreads the values over the codes."""
        before = self.type(source)
        codes = CodeType(before.shape, *kind)
        rows, shift = before.shape[-1], int(self.rng.integers(4, 12))
        values = before.values(self.seen[source]) if isinstance(before, CodeType) else self.seen[source]
        lo, hi = int(values.min()), int(values.max())
        slope = (codes.max_code + 1 << shift) / (hi - lo + 1)
        multiplier = np.round(slope * self.rng.uniform(0.5, 1.5, rows)).astype(np.int64)
        if self.descending:
            multiplier *= self.rng.choice([-1, 1], rows)
        offset = (codes.max_code << shift - 1) - multiplier * ((lo + hi) // 2) + self.rng.integers(0, 1 << shift, rows)
        return self._place(Requantize("", (source,), codes, multiplier, offset, shift))

    def add(self, *sources: str) -> str:
        """The sum of codes."""
        kinds = [self.type(source) for source in sources]
        total = AccType(kinds[0].shape, sum(kind.lo for kind in kinds), sum(kind.hi for kind in kinds))
        return self._place(Add("", sources, total))

    def concat(self, *sources: str) -> str:
        """Codes one behind the other along the last axis."""
        kinds = [self.type(source) for source in sources]
        shape = (*kinds[0].shape[:-1], sum(kind.shape[-1] for kind in kinds))
        return self._place(Concat("", sources, replace(kinds[0], shape=shape)))

    def max_pool(self, source: str, kernel: Extent = 2, stride: Extent = 2) -> str:
        """A pool of codes or accumulators."""
        before = self.type(source)
        window = Window(before.shape, pair(kernel), pair(stride))
        kind = replace(before, shape=(*window.output, window.input[2]))
        return self._place(MaxPool("", (source,), kind, pair(kernel), pair(stride)))

    def sum_pool(self, source: str, kernel: Extent | None = None, stride: Extent = 1) -> str:
        """A sum pool; without a kernel it is global."""
        before = self.type(source)
        extents = before.shape[:2] if kernel is None else pair(kernel)
        window, taps = Window(before.shape, extents, pair(stride)), extents[0] * extents[1]
        kind = AccType((*window.output, window.input[2]), taps * before.lo, taps * before.hi)
        return self._place(SumPool("", (source,), kind, extents, pair(stride)))

    def finish(self, source: str) -> IntegerNetwork:
        """The verified network whose scores are those of `source`, one a value."""
        before = self.type(source)
        classes = before.size
        multiplier, offset = self.rng.integers(-9, 10, classes), self.rng.integers(-50, 51, classes)
        draft = Scores("scores", (source,), AccType((classes,), 0, 0), multiplier, offset)
        scores = replace(draft, type=AccType((classes,), *score_range(draft, before)))
        return verify(IntegerNetwork((*self.nodes.values(), scores), tuple(map(str, range(classes)))))


def residual_network(
    shape: tuple[int, int, int] = (6, 5, 3),
    widths: tuple[int, ...] = (4, 6),
    stream: Kind = (4, Encoding.SIGNED),
    classes: int = 3,
    wide: str = "threshold",
    seed: int = 0,
) -> IntegerNetwork:
    """A binary residual network as training makes them: an 8-bit input, a stem, a block a width, a global sum, scores.

    Each block takes the stream's sign, convolves it twice with 1-bit weights, and adds; where the width changes the
    map shrinks and the shortcut has a 1x1 convolution. wide: what makes the stream's codes, "threshold" or
    "requantize".
    """
    graph = GraphBuilder(shape, (8, Encoding.UNSIGNED), seed)

    def coded(source: str) -> str:
        return graph.threshold(source, stream) if wide == "threshold" else graph.requantize(source, stream)

    value = coded(graph.conv(graph.threshold("image", (2, Encoding.UNSIGNED)), widths[0], 3, padding=1))
    for before, width in pairwise((widths[0], *widths)):
        step = 1 if before == width else 2
        sign = graph.threshold(value)
        inner = graph.threshold(graph.conv(sign, width, 3, stride=step, padding=1))
        branch = coded(graph.conv(inner, width, 3, padding=1))
        shortcut = value if step == 1 else coded(graph.conv(sign, width, 1, stride=2))
        value = coded(graph.add(shortcut, branch))
    return graph.finish(graph.dense(coded(graph.sum_pool(value)), classes))


MOVES = ("plain", "residual", "shortcut", "concat", "twice", "code_pool", "acc_pool", "sum_pool", "groups", "rewrite")
"""What `random_graph` puts together. "twice": one dot product read by two thresholds, whose codes are concatenated;
"rewrite": thresholds of codes; the others are as they are called."""


def random_graph(
    seed: int,
    moves: tuple[str, ...] = MOVES,
    count: int = 4,
    weights: tuple[Kind, ...] = (BINARY,),
    codes: tuple[Kind, ...] = (BINARY, (2, Encoding.UNSIGNED), (3, Encoding.BIPOLAR)),
    requantize: bool = True,
    classes: int = 3,
) -> IntegerNetwork:
    """A graph of `count` moves behind a first convolution, all of it drawn from `seed`; maps are about 6 x 6 x 4.

    weights, codes: the kinds drawn from. requantize: whether some codes come from a Requantize. It ends in a dense
    layer, a global sum or a sum, with `classes` scores.
    """
    rng = np.random.default_rng(seed)

    def drawn(kinds: tuple[Kind, ...]) -> Kind:
        return kinds[int(rng.integers(len(kinds)))]

    shape = (int(rng.integers(4, 8)), int(rng.integers(4, 8)), int(rng.integers(1, 5)))
    graph = GraphBuilder(shape, drawn(codes), seed)

    def coded(source: str, kind: Kind | None = None) -> str:
        kind = drawn(codes) if kind is None else kind
        wide = requantize and kind[1] is not Encoding.TERNARY and rng.random() < 0.3
        return graph.requantize(source, kind) if wide else graph.threshold(source, kind)

    def conv(source: str, channels: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> str:
        return graph.conv(source, channels, kernel, stride, kernel // 2, 1, groups, drawn(weights))

    value = coded(conv("image", int(rng.integers(2, 6))))
    for move in rng.choice(moves, count):
        kind = graph.type(value)
        height, width, channels = kind.shape
        same, other = (kind.bits, kind.encoding), int(rng.integers(2, 7))
        match move:
            case "plain":
                value = coded(conv(value, other, int(rng.choice([1, 3]))))
            case "residual":
                branch = coded(conv(graph.threshold(value), channels), same)
                value = coded(graph.add(value, branch))
            case "shortcut":
                sign = graph.threshold(value)
                branch = coded(conv(coded(conv(sign, other, 3, 2)), other), same)
                value = coded(graph.add(coded(graph.conv(sign, other, 1, 2), same), branch))
            case "concat":
                value = graph.concat(coded(conv(value, other), same), value, coded(conv(value, 2, 1), same))
            case "twice":
                dot = conv(value, other)
                value = graph.concat(graph.threshold(dot, same), graph.threshold(dot, same))
            case "code_pool" if min(height, width) > 2:
                value = graph.max_pool(value, 2, int(rng.integers(1, 3)))
            case "acc_pool" if min(height, width) > 2:
                value = coded(graph.max_pool(conv(value, other), 2, int(rng.integers(1, 3))))
            case "sum_pool" if min(height, width) > 2:
                value = coded(graph.sum_pool(value, 2, int(rng.integers(1, 3))))
            case "groups":
                groups = channels if rng.random() < 0.5 else int(np.gcd(channels, 2))
                value = coded(conv(value, groups * int(rng.integers(1, 3)), groups=groups))
            case "rewrite":
                value = coded(value)
    match int(rng.integers(4)):
        case 0:  # a convolution of one pixel per class, summed
            last = coded(conv(value, classes, 1))
            return graph.finish(graph.sum_pool(last))
        case 1:
            first = graph.threshold(graph.dense(value, classes), drawn(codes))
            return graph.finish(graph.add(first, graph.threshold(graph.dense(value, classes), drawn(codes))))
        case 2:
            return graph.finish(coded(graph.dense(graph.threshold(graph.dense(value, 5)), classes)))
    return graph.finish(graph.dense(coded(graph.sum_pool(value)), classes))
