"""Random convolutional integer networks for tests, on the pieces of `random_networks`."""

import math
from dataclasses import dataclass, replace

import numpy as np
from random_networks import random_weights

from xnorflow.compiler.geometry import Window
from xnorflow.compiler.ir import (
    AccType,
    CodeType,
    Conv2d,
    Dense,
    Encoding,
    Input,
    IntegerNetwork,
    MaxPool,
    Node,
    Scores,
    SumPool,
    Threshold,
    Weights,
)
from xnorflow.compiler.ranges import acc_type
from xnorflow.compiler.verify import verify
from xnorflow.compiler.verify_edges import score_range

BINARY = (1, Encoding.BIPOLAR)


@dataclass(frozen=True)
class Conv:
    """A convolution, [a pool of accumulators,] thresholds, [a pool of codes,] [sums of codes, thresholds]; pools are
    (kernel, stride)."""

    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    pool_acc: tuple[tuple[int, int], tuple[int, int]] | None = None
    pool_codes: tuple[tuple[int, int], tuple[int, int]] | None = None
    pool_sum: tuple[tuple[int, int], tuple[int, int]] | None = None
    groups: int = 1


def random_conv_network(
    shape: tuple[int, int, int],
    convs: list[Conv],
    dense: tuple[int, ...] = (3,),
    source: tuple[int, Encoding] = BINARY,
    hidden: tuple[int, Encoding] = BINARY,
    weights: tuple[int, Encoding] = BINARY,
    scores_of_codes: bool = False,
    seed: int = 0,
) -> IntegerNetwork:
    """Convolutions conv0, conv1, ... and dense layers of those widths (classes last) with random numbers everywhere."""
    rng = np.random.default_rng(seed)
    nodes: list[Node] = [Input("image", (), CodeType(shape, *source), None)]

    def matrix(rows: int, columns: int) -> Weights:
        return random_weights(rng, rows, columns, *weights)

    def pool(name: str, spec: tuple[tuple[int, int], tuple[int, int]] | None) -> None:
        if spec is not None:
            before = nodes[-1]
            window = Window(before.type.shape, *spec)
            kind = replace(before.type, shape=(*window.output, before.type.shape[-1]))
            nodes.append(MaxPool(name, (before.name,), kind, *spec))

    def threshold(name: str, spread: int, middle: int = 0) -> None:
        acc = nodes[-1].type
        kind = CodeType(acc.shape, *hidden)
        rows = acc.shape[-1]
        drawn = middle + rng.integers(-spread, spread + 1, (rows, kind.max_code))
        levels = np.sort(np.clip(drawn, acc.lo - 1, acc.hi + 1))
        descending = rng.random(rows) < 0.5
        levels[descending] = levels[descending][:, ::-1]
        nodes.append(Threshold(name, (nodes[-1].name,), kind, levels, descending))

    for index, conv in enumerate(convs):
        before = nodes[-1]
        window = Window(before.type.shape, conv.kernel, conv.stride, conv.padding, conv.dilation)
        w = matrix(conv.channels, window.columns // conv.groups)
        pad = None if conv.padding == (0, 0) else int(rng.integers(0, before.type.max_code + 1))
        kind = acc_type(w, before.type, window.output)
        extents = (conv.kernel, conv.stride, conv.padding, conv.dilation)
        nodes.append(Conv2d(f"conv{index}", (before.name,), kind, w, *extents, pad, conv.groups))
        pool(f"acc_pool{index}", conv.pool_acc)
        threshold(f"conv_act{index}", int(kind.hi - kind.lo) // 4)
        pool(f"code_pool{index}", conv.pool_codes)
        if conv.pool_sum is not None:
            before = nodes[-1]
            window, taps = Window(before.type.shape, *conv.pool_sum), math.prod(conv.pool_sum[0])
            kind = AccType((*window.output, conv.channels), taps * before.type.lo, taps * before.type.hi)
            nodes.append(SumPool(f"sum{index}", (before.name,), kind, *conv.pool_sum))
            threshold(f"sum_act{index}", (kind.hi - kind.lo) // 3, (kind.hi + kind.lo) // 2)
    for index, rows in enumerate(dense):
        before = nodes[-1]
        w = matrix(rows, before.type.size)
        nodes.append(Dense(f"dense{index}", (before.name,), acc_type(w, before.type), w))
        if index < len(dense) - 1 or scores_of_codes:
            threshold(f"act{index}", int(np.sqrt(w.codes.shape[1])) * before.type.max_code * w.type.max_code)
    before = nodes[-1]
    classes = dense[-1]
    multiplier, offset = rng.integers(-9, 10, classes), rng.integers(-50, 51, classes)
    draft = Scores("scores", (before.name,), AccType((classes,), 0, 0), multiplier, offset)
    nodes.append(replace(draft, type=AccType((classes,), *score_range(draft, before.type))))
    return verify(IntegerNetwork(tuple(nodes), tuple(str(i) for i in range(classes)), {}))


def random_codes(network: IntegerNetwork, count: int, seed: int = 0) -> np.ndarray:
    """Input codes, uniform."""
    kind = network.input.type
    return np.random.default_rng(seed).integers(0, kind.max_code + 1, (count, *kind.shape), dtype=np.uint8)
