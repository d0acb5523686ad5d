"""The verifier's rules about what flows along the edges: shapes, ranges, constants. `verify` runs them.

They expect the rules of `verify.NODE_RULES` to hold: every input names an earlier node of a kind that fits.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..errors import UsageError
from .ir import (
    Add,
    Concat,
    Conv2d,
    Dense,
    IntegerNetwork,
    MaxPool,
    Node,
    Recurrent,
    Requantize,
    Scores,
    SumPool,
    Threshold,
)
from .ranges import row_ranges
from .recurrent import Lstm
from .types import AccType, CodeType

__all__ = ["EDGE_RULES", "score_range"]

INT64 = 1 << 62  # products and sums stay below, so that nothing wraps; nor does the difference of two scores

Rule = Callable[[IntegerNetwork], Iterator[str]]
Edges = Iterator[tuple[Node, tuple[Node, ...]]]


def edges(network: IntegerNetwork) -> Edges:
    """Every node with the nodes that it reads."""
    named = {node.name: node for node in network.nodes}
    for node in network.nodes:
        yield node, tuple(named[name] for name in node.inputs)


def windows_fit(network: IntegerNetwork) -> Iterator[str]:
    """Windows fit their maps; a padding has a code of the input; pools take the window's shape, groups divide."""
    for node, sources in edges(network):
        if not isinstance(node, Conv2d | MaxPool | SumPool):
            continue
        before = sources[0].type
        try:
            window = node.window(before)
        except UsageError as error:
            text = str(error)
            yield text if text.startswith(f"{node.name}: ") else f"{node.name}: {text}"
            continue
        shape = (*window.output, window.input[2])
        match node:
            case Conv2d():
                yield from padding_fits(node, before)
            case MaxPool():
                wanted = replace(before, shape=shape)
                if node.type != wanted:
                    yield f"{node.name}: type {node.type} instead of {wanted}"
            case SumPool():
                taps = node.kernel[0] * node.kernel[1]
                if node.type.shape != shape:
                    yield f"{node.name}: shape {node.type.shape} instead of {shape}"
                yield from holds(node, taps * before.lo, taps * before.hi)


def padding_fits(node: Conv2d, before: CodeType | AccType) -> Iterator[str]:
    """A padding, and it alone, has a code, which is one of the input's."""
    if (node.pad_code is None) == any(node.padding):
        yield f"{node.name}: padding {node.padding} and pad_code {node.pad_code}: padding alone has a code"
    elif node.pad_code is not None and isinstance(before, CodeType) and not 0 <= node.pad_code <= before.max_code:
        yield f"{node.name}: pad_code {node.pad_code} is no code of {before.bits} bits"


def holds(node: Node, lo: int, hi: int) -> Iterator[str]:
    """The node's range holds what is reachable."""
    kind = node.type
    if isinstance(kind, AccType) and (lo < kind.lo or hi > kind.hi):
        yield f"{node.name}: range {kind.lo}..{kind.hi} does not hold the reachable {lo}..{hi}"


def dots_fit(network: IntegerNetwork) -> Iterator[str]:
    """One weight row a neuron, one column an element that it sees; the type holds every reachable accumulator."""
    for node, sources in edges(network):
        if not isinstance(node, Dense | Conv2d):
            continue
        (before,) = sources
        if not isinstance(before.type, CodeType):
            continue  # a rule of its own
        rows, columns = node.weights.codes.shape
        elements, of = before.type.size, before.name
        positions: tuple[int, ...] = ()
        if isinstance(node, Conv2d):
            try:
                window = node.window(before.type)
            except UsageError:
                continue  # windows_fit tells
            channels = window.input[2]
            if node.groups < 1 or channels % node.groups or rows % node.groups:
                yield f"{node.name}: {node.groups} groups do not divide {channels} channels and {rows} neurons"
                continue
            elements, positions, of = window.columns // node.groups, window.output, "a window"
        if columns != elements:
            yield f"{node.name}: {columns} weight columns for {elements} elements of {of}"
        elif node.type.shape != (*positions, rows):
            yield f"{node.name}: {rows} weight rows, but shape {node.type.shape}"
        else:
            reach = row_ranges(node.weights, before.type)
            yield from holds(node, int(reach.lo.min()), int(reach.hi.max()))


def joins_fit(network: IntegerNetwork) -> Iterator[str]:
    """Sums are of one shape and their range holds what is reachable; what is concatenated has one grid and map size."""
    for node, sources in edges(network):
        kinds = [source.type for source in sources]
        match node:
            case Add():
                for source in sources:
                    if source.type.shape != node.type.shape:
                        yield f"{node.name}: shape {node.type.shape}, but {source.name} has {source.type.shape}"
                yield from holds(node, sum(kind.lo for kind in kinds), sum(kind.hi for kind in kinds))
            case Concat():
                first = kinds[0]
                shape = (*first.shape[:-1], sum(kind.shape[-1] for kind in kinds))
                wanted = replace(first, shape=shape)
                if node.type != wanted:
                    yield f"{node.name}: type {node.type} instead of {wanted}"
                for source, kind in zip(sources, kinds, strict=True):
                    if replace(kind, shape=(*kind.shape[:-1], 1)) != replace(first, shape=(*first.shape[:-1], 1)):
                        yield f"{node.name}: {source.name} is {kind}, {sources[0].name} is {first}"


def thresholds_fit(network: IntegerNetwork) -> Iterator[str]:
    """As many ordered thresholds a neuron as its largest code, within the range of what is read and one beyond."""
    for node, sources in edges(network):
        if not isinstance(node, Threshold):
            continue
        before = sources[0].type
        wanted = (before.shape[-1], node.type.max_code)
        if node.thresholds.shape != wanted or node.descending.shape != wanted[:1]:
            yield f"{node.name}: thresholds {node.thresholds.shape}, descending {node.descending.shape}, need {wanted}"
            continue
        yield from keeps_shape(node, before)
        signed = np.where(node.descending[:, None], -node.thresholds, node.thresholds)
        unordered = np.flatnonzero((np.diff(signed, axis=1) < 0).any(axis=1))
        if unordered.size:
            yield f"{node.name}: thresholds of neuron {unordered[0]} are not in order"
        lo, hi = int(node.thresholds.min()), int(node.thresholds.max())
        if lo < before.lo - 1 or hi > before.hi + 1:
            yield f"{node.name}: thresholds {lo}..{hi} leave [{before.lo} - 1, {before.hi} + 1]"


def keeps_shape(node: Threshold | Requantize, before: CodeType | AccType) -> Iterator[str]:
    """Codes come in the shape of what they are made of."""
    if node.type.shape != before.shape:
        yield f"{node.name}: shape {node.type.shape} for accumulators of shape {before.shape}"


def requantizations_fit(network: IntegerNetwork) -> Iterator[str]:
    """One multiplier and offset a neuron, a shift that int64 has, and products that do not leave it."""
    for node, sources in edges(network):
        if not isinstance(node, Requantize):
            continue
        before = sources[0].type
        wanted = (before.shape[-1],)
        if node.multiplier.shape != wanted or node.offset.shape != wanted:
            given = f"{node.multiplier.size} multipliers and {node.offset.size} offsets"
            yield f"{node.name}: {given} for {wanted[0]} neurons"
            continue
        yield from keeps_shape(node, before)
        if not 0 <= node.shift <= 62:
            yield f"{node.name}: shift {node.shift} is not within 0..62"
        lo, hi = affine_range(node, (before.lo, before.hi))
        if max(-lo, hi) >= INT64:
            yield f"{node.name}: multiplier * acc + offset in {lo}..{hi} does not stay below 2^62"


def recurrences_fit(network: IntegerNetwork) -> Iterator[str]:
    """Input and state are on one grid; a row a gate, ordered thresholds in reach; the cell's numbers fit each other."""
    for node, sources in edges(network):
        if not isinstance(node, Recurrent):
            continue
        before = sources[0].type
        if len(node.type.shape) != 1 or replace(before, shape=()) != replace(node.type, shape=()):
            yield f"{node.name}: yields {node.type}, reads {before}; input and state have one grid"
            continue
        levels = node.type.max_code
        if isinstance(node, Lstm):
            found = list(node.cell.problems(node.type))
            yield from (f"{node.name}: {problem}" for problem in found)
            if found:
                continue
            levels = 1 << node.cell.shift
        rows = node.gates * node.hidden
        shapes = (node.weights.codes.shape, node.thresholds.shape, node.descending.shape)
        if shapes != ((rows, before.size + node.hidden), (rows, levels), (rows,)):
            wanted = f"{(rows, before.size + node.hidden)}, {(rows, levels)}, {(rows,)}"
            yield f"{node.name}: weights, thresholds, descending of shapes {shapes}, need {wanted}"
            continue
        signed = np.where(node.descending[:, None], -node.thresholds, node.thresholds)
        unordered = np.flatnonzero((np.diff(signed, axis=1) < 0).any(axis=1))
        if unordered.size:
            yield f"{node.name}: thresholds of row {unordered[0]} are not in order"
        reach = row_ranges(node.weights, node.stage.input_type)
        lo, hi = int(node.thresholds.min()), int(node.thresholds.max())
        if lo < reach.lo.min() - 1 or hi > reach.hi.max() + 1:
            yield f"{node.name}: thresholds {lo}..{hi} leave [{reach.lo.min()} - 1, {reach.hi.max()} + 1]"


def scores_fit(network: IntegerNetwork) -> Iterator[str]:
    """One multiplier and offset a class; the type holds every score, and int64 holds the type."""
    for node, sources in edges(network):
        if not isinstance(node, Scores):
            continue
        before = sources[0].type
        classes = before.size
        if node.multiplier.shape != (classes,) or node.offset.shape != (classes,) or node.type.shape != (classes,):
            yield (
                f"{node.name}: {node.multiplier.size} multipliers, {node.offset.size} offsets and shape "
                f"{node.type.shape} for {classes} accumulators"
            )
            continue
        lo, hi = score_range(node, before)
        if lo < node.type.lo or hi > node.type.hi:
            yield f"{node.name}: range {node.type.lo}..{node.type.hi} does not hold the scores {lo}..{hi}"
        if max(-node.type.lo, node.type.hi) >= INT64:
            yield f"{node.name}: scores {node.type.lo}..{node.type.hi} do not stay below 2^62"


def score_range(node: Scores, source: AccType | CodeType) -> tuple[int, int]:
    """The least and the largest score of what `source` holds."""
    return affine_range(node, (source.lo, source.hi) if isinstance(source, AccType) else (0, source.max_code))


def affine_range(node: Scores | Requantize, reach: tuple[int, int]) -> tuple[int, int]:
    """The ends of multiplier * x + offset, in Python integers: a product that wraps must be seen, not computed."""
    pairs = zip(node.multiplier.tolist(), node.offset.tolist(), strict=True)
    ends = [m * end + b for m, b in pairs for end in reach]
    return min(ends), max(ends)


EDGE_RULES: tuple[Rule, ...] = (
    windows_fit,
    dots_fit,
    joins_fit,
    thresholds_fit,
    recurrences_fit,
    requantizations_fit,
    scores_fit,
)
