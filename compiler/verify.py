"""The verifier: every invariant of an integer network, stated once, all violations reported at once.

`verify` runs after every pass and on every file that is read. The rules come in two tables: `NODE_RULES` look at one
node alone and at the chain of names; only a network that passes them is handed to `EDGE_RULES`, which follow inputs.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from math import isfinite

import numpy as np

from ..errors import UsageError, XnorflowError
from .ir import (
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
    Threshold,
)
from .names import name_problem
from .ranges import row_ranges

__all__ = ["EXACT", "problems", "verify"]

EXACT = 1 << 53  # below this float64 holds every integer: the golden model multiplies in float64
SCORE_LIMIT = 1 << 62  # scores are int64; differences of two must not wrap either
SHOWN = 8

Rule = Callable[[IntegerNetwork], Iterator[str]]


def verify(network: IntegerNetwork, error: type[XnorflowError] = UsageError) -> IntegerNetwork:
    """Return `network` if it keeps every rule; otherwise raise `error` with all violations in one line."""
    found = problems(network)
    if found:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise error(f"not a valid integer network: {'; '.join(found[:SHOWN])}{more}")
    return network


def problems(network: IntegerNetwork) -> list[str]:
    """Every violated rule, one line each; empty for a valid network."""
    found = [problem for rule in NODE_RULES for problem in rule(network)]
    return found or [problem for rule in EDGE_RULES for problem in rule(network)]


def ends_are_input_and_scores(network: IntegerNetwork) -> Iterator[str]:
    """Input first, Scores last, neither anywhere else."""
    kinds = [node.kind for node in network.nodes]
    if len(kinds) < 3 or kinds[0] != "input" or kinds[-1] != "scores":
        yield f"the nodes are {', '.join(kinds) or 'none'}; they must begin with input and end with scores"
    for node in network.nodes[1:-1]:
        if node.kind in ("input", "scores"):
            yield f"{node.name}: a second {node.kind} node"


def names_are_legal_and_unique(network: IntegerNetwork) -> Iterator[str]:
    """Names become file names and Verilog identifiers."""
    seen: set[str] = set()
    for node in network.nodes:
        problem = name_problem(node.name)
        if problem:
            yield problem
        if node.name in seen:
            yield f"two nodes are named {node.name!r}"
        seen.add(node.name)


def nodes_form_a_chain(network: IntegerNetwork) -> Iterator[str]:
    """Every node reads the one before it, and no other: streams are not broadcast yet."""
    if network.nodes and network.nodes[0].inputs:
        yield f"{network.nodes[0].name}: the first node takes no input, not {', '.join(network.nodes[0].inputs)}"
    for before, node in pairwise(network.nodes):
        if node.inputs != (before.name,):
            yield f"{node.name}: reads ({', '.join(node.inputs)}) instead of the node before it, {before.name}"
        if not follows(node, before):
            yield f"{node.name}: {node.kind} cannot follow {before.kind}"


def follows(node: Node, before: Node) -> bool:
    """Whether the kinds of two neighbours fit: what a node reads, codes or accumulators, the other yields.

    A pool yields what it reads; its type says which. Scores close a dot product or a Threshold.
    """
    codes = isinstance(before, Input | Threshold) or (isinstance(before, MaxPool) and isinstance(before.type, CodeType))
    match node:
        case Dense() | Conv2d():
            return codes
        case Threshold():
            return not codes
        case MaxPool():
            return codes == isinstance(node.type, CodeType)
        case Scores():
            return isinstance(before, Dense | Conv2d | Threshold)
    return True  # an input: its place is a rule of its own


def types_are_sound(network: IntegerNetwork) -> Iterator[str]:
    """Shapes of positive integers; 1 to 8 bits; ranges not empty and exact in float64."""
    for node in network.nodes:
        kind = node.type
        wanted = CodeType if isinstance(node, Input | Threshold) else AccType
        if not isinstance(kind, wanted) and not (isinstance(node, MaxPool) and isinstance(kind, CodeType)):
            yield f"{node.name}: a {node.kind} node has a {wanted.__name__}, not {type(kind).__name__}"
            continue
        if not kind.shape or not all(isinstance(extent, int) and extent > 0 for extent in kind.shape):
            yield f"{node.name}: shape {kind.shape} is not made of positive integers"
        if isinstance(kind, CodeType):
            if not 1 <= kind.bits <= 8:
                yield f"{node.name}: codes have 1 to 8 bits, not {kind.bits}"
        elif kind.lo > kind.hi:
            yield f"{node.name}: the range {kind.lo}..{kind.hi} is empty"
        elif isinstance(node, Dense | Conv2d) and max(-kind.lo, kind.hi) >= EXACT:
            yield f"{node.name}: accumulators {kind.lo}..{kind.hi} do not stay below 2^53"


def arrays_are_sound(network: IntegerNetwork) -> Iterator[str]:
    """dtypes, dimensions, and codes that fit their bits."""
    for node in network.nodes:
        for name, array, dtype, dimensions in node_arrays(node):
            if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != dimensions:
                yield f"{node.name}: {name} must be {np.dtype(dtype).name} with {dimensions} axes"
        if isinstance(node, Dense | Conv2d):
            weights = node.weights
            if not 1 <= weights.bits <= 8:
                yield f"{node.name}: weights have 1 to 8 bits, not {weights.bits}"
            elif not weights.codes.size:
                yield f"{node.name}: the weight matrix is empty"
            elif int(weights.codes.max()) >> weights.bits:
                yield f"{node.name}: weight code {weights.codes.max()} does not fit into {weights.bits} bits"


def node_arrays(node: Node) -> tuple[tuple[str, object, type, int], ...]:
    """The arrays of a node: what it is called, the array, its dtype, its number of axes."""
    match node:
        case Dense() | Conv2d():
            return (("weights", node.weights.codes, np.uint8, 2),)
        case Threshold():
            return (("thresholds", node.thresholds, np.int64, 2), ("descending", node.descending, np.bool_, 1))
        case Scores():
            return (("multiplier", node.multiplier, np.int64, 1), ("offset", node.offset, np.int64, 1))
    return ()


def transform_is_sound(network: IntegerNetwork) -> Iterator[str]:
    """The input's quantization range is finite and not empty."""
    for node in network.nodes:
        if isinstance(node, Input) and node.transform is not None:
            lo, hi = node.transform.lo, node.transform.hi
            if not (isfinite(lo) and isfinite(hi) and lo < hi):
                yield f"{node.name}: the input range must be two finite numbers lo < hi, not {lo}, {hi}"


def labels_are_sound(network: IntegerNetwork) -> Iterator[str]:
    """Class names: printable, distinct, one a score; provenance: printable text."""
    names = network.class_names
    if network.nodes and names and network.nodes[-1].type.size != len(names):
        yield f"{len(names)} class names for {network.nodes[-1].type.size} scores"
    if not names or len(set(names)) != len(names) or not all(name and name.isprintable() for name in names):
        yield "class names must be distinct, printable and not empty"
    for key, value in network.provenance.items():
        if not (key.isprintable() and value.isprintable()):
            yield f"provenance {key!r} is not printable text"


def windows_fit(network: IntegerNetwork) -> Iterator[str]:
    """Windows fit their maps; a padding has a code of the input; a pool keeps the type and takes the window's shape."""
    for before, node in pairwise(network.nodes):
        if not isinstance(node, Conv2d | MaxPool):
            continue
        try:
            window = node.window(before.type)
        except UsageError as error:
            text = str(error)
            yield text if text.startswith(f"{node.name}: ") else f"{node.name}: {text}"
            continue
        if isinstance(node, MaxPool):
            wanted = replace(before.type, shape=(*window.output, window.input[2]))
            if node.type != wanted:
                yield f"{node.name}: type {node.type} instead of {wanted}"
        elif (node.pad_code is None) != (node.padding == (0, 0)):
            yield f"{node.name}: padding {node.padding} and pad_code {node.pad_code}: padding alone has a code"
        elif (
            node.pad_code is not None
            and isinstance(before.type, CodeType)
            and not 0 <= node.pad_code <= before.type.max_code
        ):
            yield f"{node.name}: pad_code {node.pad_code} is no code of {before.type.bits} bits"


def dots_fit(network: IntegerNetwork) -> Iterator[str]:
    """One weight row a neuron, one column an element; the type holds every reachable accumulator."""
    for before, node in pairwise(network.nodes):
        if not isinstance(node, Dense | Conv2d) or not isinstance(before.type, CodeType):
            continue
        rows, columns = node.weights.codes.shape
        elements, of = before.type.size, before.name
        positions: tuple[int, ...] = ()
        if isinstance(node, Conv2d):
            try:
                window = node.window(before.type)
            except UsageError:
                continue  # windows_fit tells
            elements, positions, of = window.columns, window.output, "a window"
        if columns != elements:
            yield f"{node.name}: {columns} weight columns for {elements} elements of {of}"
        elif node.type.shape != (*positions, rows):
            yield f"{node.name}: {rows} weight rows, but shape {node.type.shape}"
        else:
            reach = row_ranges(node.weights, before.type)
            lo, hi = int(reach.lo.min()), int(reach.hi.max())
            if lo < node.type.lo or hi > node.type.hi:
                yield f"{node.name}: range {node.type.lo}..{node.type.hi} does not hold the reachable {lo}..{hi}"


def thresholds_fit(network: IntegerNetwork) -> Iterator[str]:
    """2^bits - 1 ordered thresholds a neuron, within the accumulator's range and one beyond."""
    for before, node in pairwise(network.nodes):
        if not isinstance(node, Threshold) or not isinstance(before.type, AccType):
            continue
        wanted = (before.type.shape[-1], node.type.max_code)
        if node.thresholds.shape != wanted or node.descending.shape != wanted[:1]:
            yield f"{node.name}: thresholds {node.thresholds.shape}, descending {node.descending.shape}, need {wanted}"
            continue
        if node.type.shape != before.type.shape:
            yield f"{node.name}: shape {node.type.shape} for accumulators of shape {before.type.shape}"
        signed = np.where(node.descending[:, None], -node.thresholds, node.thresholds)
        unordered = np.flatnonzero((np.diff(signed, axis=1) < 0).any(axis=1))
        if unordered.size:
            yield f"{node.name}: thresholds of neuron {unordered[0]} are not in order"
        lo, hi = int(node.thresholds.min()), int(node.thresholds.max())
        if lo < before.type.lo - 1 or hi > before.type.hi + 1:
            yield f"{node.name}: thresholds {lo}..{hi} leave [{before.type.lo} - 1, {before.type.hi} + 1]"


def scores_fit(network: IntegerNetwork) -> Iterator[str]:
    """One multiplier and offset a class; the type holds every score, and int64 holds the type."""
    for before, node in pairwise(network.nodes):
        if not isinstance(node, Scores):
            continue
        classes = before.type.size
        if node.multiplier.shape != (classes,) or node.offset.shape != (classes,) or node.type.shape != (classes,):
            yield (
                f"{node.name}: {node.multiplier.size} multipliers, {node.offset.size} offsets and shape "
                f"{node.type.shape} for {classes} accumulators"
            )
            continue
        lo, hi = score_range(node, before.type)
        if lo < node.type.lo or hi > node.type.hi:
            yield f"{node.name}: range {node.type.lo}..{node.type.hi} does not hold the scores {lo}..{hi}"
        if max(-node.type.lo, node.type.hi) >= SCORE_LIMIT:
            yield f"{node.name}: scores {node.type.lo}..{node.type.hi} do not stay below 2^62"


def score_range(node: Scores, source: AccType | CodeType) -> tuple[int, int]:
    """The least and the largest score, in Python integers: a product that wraps must be seen, not computed."""
    pairs = zip(node.multiplier.tolist(), node.offset.tolist(), strict=True)
    reach = (source.lo, source.hi) if isinstance(source, AccType) else (0, source.max_code)
    ends = [m * end + b for m, b in pairs for end in reach]
    return min(ends), max(ends)


def encodings_are_known(network: IntegerNetwork) -> Iterator[str]:
    """Encodings are members of the enumeration, not strings."""
    for node in network.nodes:
        if isinstance(node.type, CodeType) and not isinstance(node.type.encoding, Encoding):
            yield f"{node.name}: encoding {node.type.encoding!r} is not an Encoding"
        if isinstance(node, Dense | Conv2d) and not isinstance(node.weights.encoding, Encoding):
            yield f"{node.name}: weight encoding {node.weights.encoding!r} is not an Encoding"


NODE_RULES: tuple[Rule, ...] = (
    ends_are_input_and_scores,
    names_are_legal_and_unique,
    nodes_form_a_chain,
    types_are_sound,
    encodings_are_known,
    arrays_are_sound,
    transform_is_sound,
    labels_are_sound,
)
EDGE_RULES: tuple[Rule, ...] = (windows_fit, dots_fit, thresholds_fit, scores_fit)
