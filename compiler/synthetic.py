"""Networks of a published shape with random numbers: to measure what depends on size alone."""

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

__all__ = ["binary_vgg"]

_CONVOLUTIONS = (128, 128, 256, 256, 512, 512)  # a pool behind every second one
_DENSE = (1024, 1024, 10)


def binary_vgg(seed: int = 0) -> IntegerNetwork:
    """The VGG-like network of BinaryConnect (Courbariaux, Bengio, David, 2015) for 32 x 32 colour images, untrained:
    2x128C3-MP2-2x256C3-MP2-2x512C3-MP2-2x1024FC-10, 1-bit weights and activations, 8-bit images, 14 Mbit of weights.

    Weights are random bits, thresholds lie around the middle of what a neuron counts.
    """
    rng = np.random.default_rng(seed)
    pixels = CodeType((32, 32, 3), 8, Encoding.BIPOLAR)
    nodes: list[Node] = [Input("image", (), pixels, InputTransform(0, 255))]

    def weights(rows: int, columns: int) -> Weights:
        return Weights(rng.integers(0, 2, (rows, columns), dtype=np.uint8), 1, Encoding.BIPOLAR)

    def activation(name: str, columns: int, source: CodeType) -> CodeType:
        dot = nodes[-1]
        assert isinstance(dot.type, AccType)
        neurons = dot.type.shape[-1]
        spread = np.sqrt(columns) * source.hi
        levels = np.clip(np.rint(rng.normal(0, spread, (neurons, 1))), dot.type.lo, dot.type.hi).astype(np.int64)
        kind = CodeType(dot.type.shape, 1, Encoding.BIPOLAR)
        nodes.append(Threshold(name, (dot.name,), kind, levels, rng.random(neurons) < 0.5))
        return kind

    source = pixels
    for number, channels in enumerate(_CONVOLUTIONS, start=1):
        window = Window((source.shape[0], source.shape[1], source.shape[2]), (3, 3), padding=(1, 1))
        matrix = weights(channels, window.columns)
        kind = acc_type(matrix, source, window.output)
        read = (nodes[-1].name,)
        nodes.append(Conv2d(f"conv{number}", read, kind, matrix, (3, 3), padding=(1, 1), pad_code=source.max_code // 2))
        source = activation(f"conv_act{number}", window.columns, source)
        if number % 2 == 0:
            height, width, _ = source.shape
            source = CodeType((height // 2, width // 2, channels), 1, Encoding.BIPOLAR)
            nodes.append(MaxPool(f"pool{number}", (nodes[-1].name,), source, (2, 2), (2, 2)))
    for number, neurons in enumerate(_DENSE, start=1):
        matrix = weights(neurons, source.size)
        nodes.append(Dense(f"fc{number}", (nodes[-1].name,), acc_type(matrix, source), matrix))
        if number < len(_DENSE):
            source = activation(f"act{number}", matrix.codes.shape[1], source)
    last = nodes[-1].type
    assert isinstance(last, AccType)
    ones, zeros = np.ones(last.size, dtype=np.int64), np.zeros(last.size, dtype=np.int64)
    draft = Scores("scores", (nodes[-1].name,), AccType((last.size,), last.lo, last.hi), ones, zeros)
    nodes.append(draft)
    return verify(IntegerNetwork(tuple(nodes), tuple(str(k) for k in range(last.size)), {"origin": "random"}))
