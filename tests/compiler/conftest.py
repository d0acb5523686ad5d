"""Networks for the compiler's tests."""

import numpy as np
import pytest

from xnorflow.compiler.ir import (
    AccType,
    CodeType,
    Dense,
    Encoding,
    Input,
    InputTransform,
    IntegerNetwork,
    Node,
    Scores,
    Threshold,
    Weights,
)
from xnorflow.compiler.ranges import acc_type
from xnorflow.compiler.verify import score_range, verify


def random_network(
    seed: int = 0,
    sizes: tuple[int, ...] = (12, 7, 5, 3),
    bits: tuple[int, ...] = (1, 1, 1),
    encodings: tuple[Encoding, ...] | None = None,
    weight_bits: int = 1,
) -> IntegerNetwork:
    """sizes: elements of the input, of each hidden layer, classes; bits, encodings: of the input and hidden codes.

    Among the thresholds are repeated ones, both extra values, ascending and descending neurons.
    """
    rng = np.random.default_rng(seed)
    encodings = encodings or (Encoding.BIPOLAR,) * len(bits)
    source = CodeType((sizes[0],), bits[0], encodings[0])
    nodes: list[Node] = [Input("inputs", (), source, InputTransform(0.0, 255.0))]
    for index, rows in enumerate(sizes[1:]):
        codes = rng.integers(0, 1 << weight_bits, (rows, source.size), dtype=np.uint8)
        weights = Weights(codes, weight_bits, Encoding.BIPOLAR)
        acc = acc_type(weights, source)
        dense = Dense(f"fc{index + 1}", (nodes[-1].name,), acc, weights)
        nodes.append(dense)
        if index == len(sizes) - 2:
            break
        source = CodeType((rows,), bits[index + 1], encodings[index + 1])
        thresholds = np.sort(rng.integers(acc.lo - 1, acc.hi + 2, (rows, source.max_code)), axis=1)
        descending = rng.random(rows) < 0.5
        thresholds[descending] = thresholds[descending, ::-1]
        thresholds[0] = np.where(descending[0], acc.lo - 1, acc.hi + 1)
        nodes.append(Threshold(f"act{index + 1}", (dense.name,), source, thresholds, descending))
    multiplier, offset = rng.integers(-3, 4, sizes[-1]), rng.integers(-5, 6, sizes[-1])
    draft = Scores("scores", (nodes[-1].name,), AccType((sizes[-1],), 0, 0), multiplier, offset)
    kind = AccType((sizes[-1],), *score_range(draft, acc))
    nodes.append(Scores(draft.name, draft.inputs, kind, multiplier, offset))
    names = tuple(str(index) for index in range(sizes[-1]))
    return verify(IntegerNetwork(tuple(nodes), names, {"origin": "random"}))


@pytest.fixture
def network() -> IntegerNetwork:
    return random_network()
