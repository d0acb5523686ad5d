"""The verifier: every invariant of an integer network, stated once, all violations reported at once.

`verify` runs after every pass and on every file that is read. The rules come in two tables: `NODE_RULES` look at one
node alone and at the graph of names; only a network that passes them is handed to `EDGE_RULES` (`verify_edges`), which
look at what flows along the edges.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from math import isfinite

import numpy as np

from ..errors import UsageError, XnorflowError
from .ir import (
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
    Recurrent,
    Requantize,
    Scores,
    SumPool,
    Threshold,
)
from .names import name_problem
from .recurrent import Lstm
from .types import bits_problem
from .verify_edges import EDGE_RULES

__all__ = ["EXACT", "problems", "verify"]

EXACT = 1 << 53  # below this float64 holds every integer: the golden model multiplies in float64
SHOWN = 8

ARITY: Mapping[type[Node], tuple[int, int]] = {Input: (0, 0), Add: (2, sys.maxsize), Concat: (2, sys.maxsize)}
"""How many tensors a node of a kind reads, least and most, where not one."""

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


def nodes_form_a_graph(network: IntegerNetwork) -> Iterator[str]:
    """Every node reads earlier nodes, as many as its kind takes, each once, and everything but the scores is read."""
    earlier: set[str] = set()
    read: set[str] = set()
    for node in network.nodes:
        least, most = ARITY.get(type(node), (1, 1))
        if not least <= len(node.inputs) <= most:
            wanted = {0: "nothing", 1: "one tensor"}.get(most, f"{least} or more tensors")
            yield f"{node.name}: of kind {node.kind}, reads {wanted}, not ({', '.join(node.inputs)})"
        if len(set(node.inputs)) != len(node.inputs):
            yield f"{node.name}: reads ({', '.join(node.inputs)}), one of them twice"
        for name in node.inputs:
            if name not in earlier:
                yield f"{node.name}: reads {name}, which is no node in front of it"
        earlier.add(node.name)
        read.update(node.inputs)
    for node in network.nodes[:-1]:
        if node.name not in read:
            yield f"{node.name}: nobody reads it"


def kinds_fit(network: IntegerNetwork) -> Iterator[str]:
    """What a node reads, codes or accumulators, the other yields. A pool yields what it reads; its type says which."""
    named = {node.name: node for node in network.nodes}
    for node in network.nodes:
        for source in (named[name] for name in node.inputs if name in named):
            if not readable(node, source):
                yield f"{node.name}: {node.kind} cannot follow {source.kind}"


def readable(node: Node, source: Node) -> bool:
    """Whether the kinds of a node and one of its inputs fit."""
    codes = isinstance(source.type, CodeType)
    match node:
        case Dense() | Conv2d() | SumPool() | Add() | Concat() | Recurrent():
            return codes
        case MaxPool():
            return codes == isinstance(node.type, CodeType)
        case Threshold() | Requantize():
            return not isinstance(source, Scores)
        case Scores():
            return isinstance(source, Dense | Conv2d | SumPool | Add | Threshold | Requantize)
    return True  # an input: its place is a rule of its own


def types_are_sound(network: IntegerNetwork) -> Iterator[str]:
    """Shapes of positive integers; bits that the encoding has; ranges not empty and exact in float64."""
    for node in network.nodes:
        kind = node.type
        wanted = CodeType if isinstance(node, Input | Threshold | Requantize | Concat | Recurrent) else AccType
        if not isinstance(kind, wanted) and not (isinstance(node, MaxPool) and isinstance(kind, CodeType)):
            yield f"{node.name}: a {node.kind} node has a {wanted.__name__}, not {type(kind).__name__}"
            continue
        if not kind.shape or not all(isinstance(extent, int) and extent > 0 for extent in kind.shape):
            yield f"{node.name}: shape {kind.shape} is not made of positive integers"
        if isinstance(kind, CodeType):
            problem = bits_problem(kind.bits, kind.encoding)
            if problem is not None:
                yield f"{node.name}: {problem}"
        elif kind.lo > kind.hi:
            yield f"{node.name}: the range {kind.lo}..{kind.hi} is empty"
        elif not isinstance(node, Scores) and max(-kind.lo, kind.hi) >= EXACT:
            yield f"{node.name}: accumulators {kind.lo}..{kind.hi} do not stay below 2^53"


def arrays_are_sound(network: IntegerNetwork) -> Iterator[str]:
    """dtypes, dimensions, and codes that fit their bits."""
    for node in network.nodes:
        for name, array, dtype, dimensions in node_arrays(node):
            if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != dimensions:
                yield f"{node.name}: {name} must be {np.dtype(dtype).name} with {dimensions} axes"
        if isinstance(node, Dense | Conv2d | Recurrent):
            weights = node.weights
            problem = bits_problem(weights.bits, weights.encoding)
            if problem is not None:
                yield f"{node.name}: weights: {problem}"
            elif not weights.codes.size:
                yield f"{node.name}: the weight matrix is empty"
            elif int(weights.codes.max()) > weights.type.max_code:
                yield f"{node.name}: weight code {weights.codes.max()} is no {weights.bits}-bit {weights.encoding} code"


def node_arrays(node: Node) -> tuple[tuple[str, object, type, int], ...]:
    """The arrays of a node: what it is called, the array, its dtype, its number of axes."""
    match node:
        case Dense() | Conv2d():
            return (("weights", node.weights.codes, np.uint8, 2),)
        case Recurrent():
            tanh = (("tanh", node.cell.tanh, np.int64, 1),) if isinstance(node, Lstm) else ()
            return (
                ("weights", node.weights.codes, np.uint8, 2),
                ("thresholds", node.thresholds, np.int64, 2),
                ("descending", node.descending, np.bool_, 1),
                *tanh,
            )
        case Threshold():
            return (("thresholds", node.thresholds, np.int64, 2), ("descending", node.descending, np.bool_, 1))
        case Scores() | Requantize():
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


def encodings_are_known(network: IntegerNetwork) -> Iterator[str]:
    """Encodings are members of the enumeration, not strings."""
    for node in network.nodes:
        if isinstance(node.type, CodeType) and not isinstance(node.type.encoding, Encoding):
            yield f"{node.name}: encoding {node.type.encoding!r} is not an Encoding"
        if isinstance(node, Dense | Conv2d | Recurrent) and not isinstance(node.weights.encoding, Encoding):
            yield f"{node.name}: weight encoding {node.weights.encoding!r} is not an Encoding"


NODE_RULES: tuple[Rule, ...] = (
    encodings_are_known,
    ends_are_input_and_scores,
    names_are_legal_and_unique,
    nodes_form_a_graph,
    kinds_fit,
    types_are_sound,
    arrays_are_sound,
    transform_is_sound,
    labels_are_sound,
)
