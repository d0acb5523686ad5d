"""Networks of a published shape with random numbers: to measure what depends on size alone."""

from collections.abc import Sequence

import numpy as np

from .geometry import Window
from .ir import (
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
from .ranges import acc_type
from .verify import verify

__all__ = ["binary_chain", "binary_vgg"]

_CONVOLUTIONS = (128, 128, 256, 256, 512, 512)  # a pool behind every second one
_DENSE = (1024, 1024, 10)


def binary_vgg(seed: int = 0) -> IntegerNetwork:
    """The VGG-like network of BinaryConnect (Courbariaux, Bengio, David, 2015) for 32 x 32 colour images, untrained:
    2x128C3-MP2-2x256C3-MP2-2x512C3-MP2-2x1024FC-10, 1-bit weights and activations, 8-bit images, 14 Mbit of weights.
    """
    return binary_chain(CodeType((32, 32, 3), 8, Encoding.BIPOLAR), _CONVOLUTIONS, _DENSE, seed=seed)


def binary_chain(
    source: CodeType, convolutions: Sequence[int], dense: Sequence[int], *, bits: int = 1, seed: int = 0
) -> IntegerNetwork:
    """An untrained network with 1-bit weights: 3 x 3 convolutions of so many channels, padded by 1, a 2 x 2 pool behind
    every second one, then dense layers, the last of which has a neuron for each class.

    source: what comes in, a map where there are convolutions. bits: of the activations, bipolar codes. Weights are
    random bits, thresholds lie around the middle of what a neuron counts, half of the neurons descend.
    """
    rng = np.random.default_rng(seed)
    nodes: list[Node] = [Input("image", (), source, InputTransform(0, 255))]

    def weights(rows: int, columns: int) -> Weights:
        return Weights(rng.integers(0, 2, (rows, columns), dtype=np.uint8), 1, Encoding.BIPOLAR)

    def activation(name: str, columns: int, source: CodeType) -> CodeType:
        dot = nodes[-1]
        assert isinstance(dot.type, AccType)
        neurons = dot.type.shape[-1]
        spread = np.sqrt(columns) * source.hi
        drawn = rng.normal(0, spread, (neurons, (1 << bits) - 1))
        levels = np.sort(np.clip(np.rint(drawn), dot.type.lo, dot.type.hi).astype(np.int64), axis=1)
        kind = CodeType(dot.type.shape, bits, Encoding.BIPOLAR)
        falls = rng.random(neurons) < 0.5
        levels[falls] = levels[falls, ::-1]
        nodes.append(Threshold(name, (dot.name,), kind, levels, falls))
        return kind

    for number, channels in enumerate(convolutions, start=1):
        window = Window((source.shape[0], source.shape[1], source.shape[2]), (3, 3), padding=(1, 1))
        matrix = weights(channels, window.columns)
        kind = acc_type(matrix, source, window.output)
        read = (nodes[-1].name,)
        nodes.append(Conv2d(f"conv{number}", read, kind, matrix, (3, 3), padding=(1, 1), pad_code=source.max_code // 2))
        source = activation(f"conv_act{number}", window.columns, source)
        if number % 2 == 0:
            height, width, _ = source.shape
            source = CodeType((height // 2, width // 2, channels), bits, Encoding.BIPOLAR)
            nodes.append(MaxPool(f"pool{number}", (nodes[-1].name,), source, (2, 2), (2, 2)))
    for number, neurons in enumerate(dense, start=1):
        matrix = weights(neurons, source.size)
        nodes.append(Dense(f"fc{number}", (nodes[-1].name,), acc_type(matrix, source), matrix))
        if number < len(dense):
            source = activation(f"act{number}", matrix.codes.shape[1], source)
    last = nodes[-1].type
    assert isinstance(last, AccType)
    ones, zeros = np.ones(last.size, dtype=np.int64), np.zeros(last.size, dtype=np.int64)
    draft = Scores("scores", (nodes[-1].name,), AccType((last.size,), last.lo, last.hi), ones, zeros)
    nodes.append(draft)
    return verify(IntegerNetwork(tuple(nodes), tuple(str(k) for k in range(last.size)), {"origin": "random"}))
