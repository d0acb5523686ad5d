"""Random integer networks for tests: no training, every kind of threshold, exact ranges."""

from dataclasses import replace
from itertools import product

import numpy as np

from xnorflow.compiler.ir import (
    AccType,
    CodeType,
    Dense,
    Encoding,
    Input,
    IntegerNetwork,
    Node,
    Scores,
    Threshold,
    Weights,
)
from xnorflow.compiler.ranges import acc_type
from xnorflow.compiler.types import bits_problem, code_values
from xnorflow.compiler.verify import verify
from xnorflow.compiler.verify_edges import score_range

BINARY = (1, Encoding.BIPOLAR)
LOGARITHMIC = (Encoding.LOG, Encoding.LOG_UNSIGNED)


def kinds(most: int = 8) -> list[tuple[int, Encoding]]:
    """(bits, encoding) of every code of at most so many bits."""
    every = product(range(1, most + 1), Encoding)
    return [(bits, encoding) for bits, encoding in every if bits_problem(bits, encoding) is None]


def random_weights(rng: np.random.Generator, rows: int, columns: int, bits: int, encoding: Encoding) -> Weights:
    """A matrix of uniform codes."""
    codes = len(code_values(bits, encoding))
    return Weights(rng.integers(0, codes, (rows, columns), dtype=np.uint8), bits, encoding)


def random_network(
    widths: list[int],
    source: tuple[int, Encoding] = BINARY,
    hidden: tuple[int, Encoding] = BINARY,
    weights: tuple[int, Encoding] | list[tuple[int, Encoding]] = BINARY,
    seed: int = 0,
) -> IntegerNetwork:
    """A perceptron of those widths (input first, classes last) with random numbers in every place.

    Thresholds crowd around zero, repeat, and reach both "never" and "always"; half of the neurons descend. weights:
    of all layers, or layer by layer.
    """
    rng = np.random.default_rng(seed)
    code = CodeType((widths[0],), *source)
    kinds = weights if isinstance(weights, list) else [weights] * (len(widths) - 1)
    nodes: list[Node] = [Input("image", (), code, None)]
    for index, (columns, rows) in enumerate(zip(widths, widths[1:], strict=False)):
        bits, encoding = kinds[index]
        matrix = random_weights(rng, rows, columns, bits, encoding)
        kind = acc_type(matrix, code)
        lo, hi = kind.lo, kind.hi
        dense = Dense(f"dense{index}", (nodes[-1].name,), kind, matrix)
        nodes.append(dense)
        if index == len(widths) - 2:
            multiplier = rng.integers(-9, 10, rows)
            offset = rng.integers(-50, 51, rows)
            draft = Scores("scores", (dense.name,), AccType((rows,), 0, 0), multiplier, offset)
            nodes.append(replace(draft, type=AccType((rows,), *score_range(draft, kind))))
            break
        largest = code.hi if code.encoding in LOGARITHMIC else CodeType((), *hidden).max_code
        spread = 2 * int(np.sqrt(columns)) * largest * max(-matrix.type.lo, matrix.type.hi)
        code = CodeType((rows,), *hidden)
        thresholds = np.sort(np.clip(rng.integers(-spread, spread + 1, (rows, code.max_code)), lo - 1, hi + 1), axis=1)
        thresholds[rng.random(rows) < 0.1] = hi + 1
        thresholds[rng.random(rows) < 0.1] = lo - 1
        descending = rng.random(rows) < 0.5
        thresholds[descending] = thresholds[descending][:, ::-1]
        nodes.append(Threshold(f"act{index}", (dense.name,), code, thresholds, descending))
    return verify(IntegerNetwork(tuple(nodes), tuple(str(i) for i in range(widths[-1])), {}))
