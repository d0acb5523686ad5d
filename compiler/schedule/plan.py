"""What a network and a folding come to: a graph of parts joined by streams, before any of it is built.

The cycle model reads the parts' bounds, `hdl.accelerator` builds them. A stream carries pixels (a vector of a dense
layer is one pixel), each of them padded to whole beats; only a dense layer behind a map takes the map as one frame.

`RULES` says for each kind of node which parts it becomes. A rule asks the `Planner` for the streams it reads, with the
lanes that it wants, places its parts, and says which of them yields the node's values.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import HardwareError
from ..folds.folding import Folding, check_folding
from ..ir import (
    Add,
    Concat,
    Conv2d,
    Dense,
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
from ..recurrent import Lstm, Rnn
from ..types import CodeType, code_values
from .parts import (
    ActivationPart,
    AddPart,
    ConcatPart,
    ConverterPart,
    EnginePart,
    FifoPart,
    ForkPart,
    InputPart,
    Part,
    PoolOperation,
    PoolPart,
    RecurrentPart,
    ResultPart,
    ScoresPart,
    StreamShape,
    WindowPart,
    beats,
)

__all__ = ["RULES", "Plan", "Planner", "Rule", "Tap", "check_buildable", "plan_parts"]


@dataclass(frozen=True, slots=True)
class Tap:
    """A stream that a bench can watch: on wires `<name>_valid`, ... behind `part`, with the values of `node`."""

    name: str
    node: str
    part: str


@dataclass(frozen=True, eq=False)
class Plan:
    """Parts in topological order, the input port first and the output port last; for a chain that is stream order.

    reads: for each part's name the parts whose streams it takes, in the order of its ports. A part with several readers
    is a fork; its k-th output goes to the k-th of them, in the order of `parts`.
    shapes: for each part's name what its output stream carries (nothing for scores and result).
    taps: in topological order.
    """

    parts: tuple[Part, ...]
    reads: Mapping[str, tuple[str, ...]]
    shapes: Mapping[str, StreamShape]
    taps: tuple[Tap, ...]

    def tap_behind(self, part: str) -> Tap:
        """The first tap on the way from a part on."""
        taps, readers = {tap.part: tap for tap in self.taps}, {name: k for k, of in self.reads.items() for name in of}
        while part not in taps:
            part = readers[part]
        return taps[part]


def plan_parts(network: IntegerNetwork, folding: Folding, popcount_stages: int = 1) -> Plan:
    """The parts and what each of them reads.

    popcount_stages: registers inside each engine's popcount; the bound of a recurrent layer follows from its latency.

    HardwareError for nodes that no hardware is built for, UsageError if the folding does not suit the network.
    """
    check_buildable(network)
    check_folding(network, folding)
    planner = Planner(network, folding, popcount_stages)
    for node in network.nodes:
        RULES[type(node)].place(planner, node)
    return planner.plan()


def check_buildable(network: IntegerNetwork) -> None:
    """HardwareError naming every node that no hardware is built for."""
    missing = []
    for node in network.nodes:
        rule = RULES.get(type(node))
        reasons = [f"{node.kind} nodes"] if rule is None else rule.refuse(network, node)
        missing += [f"{node.name} ({reason})" for reason in reasons]
    if missing:
        raise HardwareError(f"hardware for {', '.join(missing)} is not built yet")


class Planner:
    """A plan in the making: what rules build with.

    `network`, `folding`, `popcount_stages`, `readers` (of each node) and `stages` (of each dot product) are there to be
    read.
    """

    def __init__(self, network: IntegerNetwork, folding: Folding, popcount_stages: int) -> None:
        self.network, self.folding, self.popcount_stages = network, folding, popcount_stages
        self.readers = network.readers()
        self.stages = {stage.dot.name: stage for stage in network.stages()}
        self._parts: list[Part] = []
        self._reads: dict[str, tuple[str, ...]] = {}
        self._shapes: dict[str, StreamShape] = {}
        self._taps: list[Tap] = []
        self._yielding: dict[str, str] = {}  # node -> the part that yields its values
        self._within: set[str] = set()  # nodes whose work other nodes' parts do

    def place(self, part: Part, reads: Sequence[str], shape: StreamShape | None) -> str:
        """Put a part behind the parts that it reads; `shape` of its output stream. Returns its name."""
        self._parts.append(part)
        self._reads[part.name] = tuple(reads)
        if shape is not None:
            self._shapes[part.name] = shape
        return part.name

    def yields(self, node: Node, part: str, *, tap: str | None = None) -> None:
        """The node's values are on the part's stream, which benches see under the name `tap`; None: they do not."""
        self._yielding[node.name] = part
        if tap is not None:
            self._taps.append(Tap(tap, node.name, part))
        readers = len(self.readers[node.name])
        if readers > 1:
            shape = self._shapes[part]
            self.place(ForkPart(_fork(part), shape, readers), [part], shape)

    def absorb(self, node: Node) -> None:
        """The node is part of what follows it: no stream has its values."""
        self._within.add(node.name)

    def placed(self, node: Node) -> bool:
        """Whether parts placed before do the node's work already."""
        return node.name in self._yielding or node.name in self._within

    def shape(self, node: str) -> StreamShape:
        """Of the stream with the node's values."""
        return self._shapes[self._yielding[node]]

    def take(self, node: str, reader: str, lanes: int, *, frame: bool = False, buffered: bool = False) -> str:
        """The part from which `reader` reads the node's values, `lanes` elements a beat.

        frame: as one vector, not pixel by pixel. buffered: with a FIFO, for a reader that waits for another stream.
        Where there are other readers, a converter and the input buffer of a dense layer's engine have one too: they
        take their time, for which the others are not to wait.
        """
        source = self._yielding[node]
        shape = self._shapes[source]
        read = _fork(source) if len(self.readers[node]) > 1 else source
        edge = f"{source} to {reader}"
        if buffered or (len(self.readers[node]) > 1 and (frame or shape.lanes != lanes)):
            read = self.place(FifoPart(f"{edge} fifo", shape), [read], shape)
        if frame and shape.pixels > 1:
            if shape.size % shape.lanes:
                read, shape = self._convert(f"{edge} pixels", read, shape, shape.size)
            shape = StreamShape(1, shape.pixels * shape.size, shape.lanes, shape.bits)
        if shape.lanes != lanes:
            read, shape = self._convert(edge, read, shape, lanes)
        return read

    def plan(self) -> Plan:
        """What has been placed."""
        return Plan(tuple(self._parts), self._reads, self._shapes, tuple(self._taps))

    def _convert(self, name: str, read: str, shape: StreamShape, lanes: int) -> tuple[str, StreamShape]:
        part = ConverterPart(name, shape.size, shape.bits, shape.lanes, lanes, shape.pixels)
        after = StreamShape(shape.pixels, shape.size, lanes, shape.bits)
        return self.place(part, [read], after), after


def _fork(part: str) -> str:
    return f"{part} fork"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of node is built. refuse: what about a node, if anything, is not."""

    place: Callable[[Planner, Node], None]
    refuse: Callable[[IntegerNetwork, Node], Iterator[str]] = lambda network, node: iter(())


def _place_input(planner: Planner, node: Node) -> None:
    """Pixels follow each other without gaps outside; so where a beat would span two of them, a whole one is a beat.

    The lanes are the SIMD of the first dot product: nobody else has reason to ask for more.
    """
    assert isinstance(node, Input)
    first = next(iter(planner.stages.values()))
    rows = int(first.dot.weights.codes.shape[0])
    taken = planner.folding.layers[first.dot.name].lanes(rows, first.groups)
    as_map = len(node.type.shape) > 1 and not all(
        isinstance(reader, Dense | Recurrent) for reader in planner.readers[node.name]
    )
    size = node.type.size
    if as_map:
        # (H, W) is a map of one channel to windows
        size = node.type.shape[2] if len(node.type.shape) == 3 else 1
    pixels = node.type.size // size
    lanes = taken if pixels == 1 or size % taken == 0 else size
    part = InputPart(node.name, node.type.size, node.type.bits, lanes)
    planner.yields(node, planner.place(part, [], StreamShape(pixels, size, lanes, node.type.bits)))


def _place_dot(planner: Planner, node: Node) -> None:
    """A sliding window in front of a convolution, and the engine. A Threshold or Requantize that alone reads it works
    inside, also through pools of accumulators: those then pool its codes."""
    assert isinstance(node, Dense | Conv2d)
    pools, inside = _codes_behind(planner, node)
    stage, fold = planner.stages[node.name], planner.folding.layers[node.name]
    if isinstance(inside, Threshold):
        stage = replace(stage, sink=inside)
    rows, columns = (int(extent) for extent in node.weights.codes.shape)
    lanes = fold.lanes(rows, stage.groups)
    source = planner.take(node.inputs[0], node.name, lanes, frame=isinstance(node, Dense))
    if isinstance(node, Conv2d):
        window, bits, blocks = node.window(stage.input_type), stage.input_type.bits, fold.blocks(rows, stage.groups)
        passes = fold.passes(rows) // blocks
        part = WindowPart(node.name, window, bits, lanes, node.pad_code or 0, passes, blocks)
        pixels = window.positions * window.kernel[0] * window.kernel[1]
        source = planner.place(part, [source], StreamShape(pixels, window.input[2], lanes, bits))
    counts = fold.form(node.weights, stage.input_type).p_max(columns)
    bits = inside.type.bits if inside else counts.bit_length()
    shape = StreamShape(stage.vectors, rows, fold.pe, bits)
    engine = EnginePart(node.name, stage, fold, inside if isinstance(inside, Requantize) else None)
    name = planner.place(engine, [source], shape)
    if inside is None:
        planner.yields(node, name, tap=stage.sink.name if stage.sink is not None else node.name)
        return
    # The codes of neurons that descend fall as the accumulators rise.
    falls = inside.descending if isinstance(inside, Threshold) else inside.multiplier < 0
    least = frozenset(np.flatnonzero(falls).tolist())
    for pool in pools:
        window = pool.window(planner.network.node(pool.inputs[0]).type)
        shape = replace(shape, pixels=window.positions)
        pooled = PoolPart(pool.name, window, inside.type.max_code, fold.pe, least=least)
        name = planner.place(pooled, [name], shape)
        planner.absorb(pool)
    planner.yields(inside, name, tap=inside.name)


def _codes_behind(planner: Planner, node: Node) -> tuple[list[MaxPool], Threshold | Requantize | None]:
    """The Threshold or Requantize that alone reads a node through pools, or None, and those pools."""
    pools: list[MaxPool] = []
    while len(readers := planner.readers[node.name]) == 1:
        (node,) = readers
        match node:
            case MaxPool():
                pools.append(node)
            case Threshold() | Requantize():
                return pools, node
            case _:
                break
    return [], None


def _place_activation(planner: Planner, node: Node) -> None:
    """A part of its own, unless it works inside an engine; as many lanes as come."""
    assert isinstance(node, Threshold | Requantize)
    if planner.placed(node):
        return
    before = planner.shape(node.inputs[0])
    read = planner.take(node.inputs[0], node.name, before.lanes)
    shape = StreamShape(before.pixels, before.size, before.lanes, node.type.bits)
    part = ActivationPart(node, planner.network.node(node.inputs[0]), shape)
    planner.yields(node, planner.place(part, [read], shape), tap=node.name)


def _place_pool(planner: Planner, node: Node) -> None:
    """As many lanes as come; of codes, of counts, or of codes that become sums."""
    assert isinstance(node, MaxPool | SumPool)
    if planner.placed(node):
        return
    before, source = planner.shape(node.inputs[0]), planner.network.node(node.inputs[0]).type
    window, lanes = node.window(source), before.lanes
    read = planner.take(node.inputs[0], node.name, lanes)
    if isinstance(node, SumPool):
        assert isinstance(source, CodeType)  # verified
        part = PoolPart(node.name, window, source.max_code, lanes, PoolOperation.SUM)
        bits = (window.kernel[0] * window.kernel[1] * source.max_code).bit_length()
    else:
        part, bits = PoolPart(node.name, window, (1 << before.bits) - 1, lanes), before.bits
    shape = StreamShape(window.positions, before.size, lanes, bits)
    planner.yields(node, planner.place(part, [read], shape), tap=node.name)


def _refuse_pool(network: IntegerNetwork, node: Node) -> Iterator[str]:
    source = network.node(node.inputs[0]).type
    if isinstance(source, CodeType) and np.ptp(np.diff(code_values(source.bits, source.encoding))):
        yield f"sums of {source.encoding} codes"


def _place_add(planner: Planner, node: Node) -> None:
    """The fewest lanes of any operand: its producer takes as many cycles to send, so that nobody waits for the sum."""
    assert isinstance(node, Add)
    shapes = [planner.shape(name) for name in node.inputs]
    lanes = min(shape.lanes for shape in shapes)
    reads = [planner.take(name, node.name, lanes, buffered=True) for name in node.inputs]
    types = tuple(kind for name in node.inputs if isinstance(kind := planner.network.node(name).type, CodeType))
    part = AddPart(node.name, types, shapes[0].pixels, shapes[0].size, lanes)
    shape = StreamShape(part.pixels, part.size, lanes, part.most.bit_length())
    planner.yields(node, planner.place(part, reads, shape), tap=node.name)


def _place_concat(planner: Planner, node: Node) -> None:
    """Lanes that divide every operand but the last, so that all pixels but the last end with a full beat: the fewest
    with which nobody waits, that is, with which the pixel takes no more beats than the slowest operand's."""
    assert isinstance(node, Concat)
    shapes = [planner.shape(name) for name in node.inputs]
    sizes = tuple(shape.size for shape in shapes)
    slowest = max(beats(shape.size, shape.lanes) for shape in shapes)
    common = math.gcd(*sizes[:-1])
    divisors = [lanes for lanes in range(1, common + 1) if common % lanes == 0]
    enough = (lanes for lanes in divisors if sum(beats(size, lanes) for size in sizes) <= slowest)
    lanes = next(enough, common)
    reads = [planner.take(name, node.name, lanes, buffered=True) for name in node.inputs]
    part = ConcatPart(node.name, sizes, node.type.bits, shapes[0].pixels, lanes)
    shape = StreamShape(part.pixels, sum(sizes), lanes, part.bits)
    planner.yields(node, planner.place(part, reads, shape), tap=node.name)


def _place_recurrent(planner: Planner, node: Node) -> None:
    """One part; h comes out as many units a beat as the engine finishes."""
    assert isinstance(node, Recurrent)
    fold = planner.folding.layers[node.name]
    source = planner.take(node.inputs[0], node.name, fold.simd, frame=True)
    part = RecurrentPart(node.name, node, fold, planner.folding.interleave, planner.popcount_stages)
    shape = StreamShape(1, node.hidden, max(1, fold.pe // node.gates), node.type.bits)
    planner.yields(node, planner.place(part, [source], shape), tap=node.name)


def _place_scores(planner: Planner, node: Node) -> None:
    """The score unit and the output port."""
    lanes = planner.folding.score_lanes
    read = planner.take(node.inputs[0], node.name, lanes, frame=True)
    planner.place(ScoresPart(node.name, node.type.size, lanes), [read], None)
    planner.place(ResultPart(), [node.name], None)


def _refuse_scores(network: IntegerNetwork, node: Node) -> Iterator[str]:
    if math.prod(network.node(node.inputs[0]).type.shape[:-1]) > 1:
        yield "scores of a map"


RULES: dict[type[Node], Rule] = {
    Input: Rule(_place_input),
    Dense: Rule(_place_dot),
    Conv2d: Rule(_place_dot),
    Threshold: Rule(_place_activation),
    Requantize: Rule(_place_activation),
    MaxPool: Rule(_place_pool),
    SumPool: Rule(_place_pool, _refuse_pool),
    Add: Rule(_place_add),
    Concat: Rule(_place_concat),
    Rnn: Rule(_place_recurrent),
    Lstm: Rule(_place_recurrent),
    Scores: Rule(_place_scores, _refuse_scores),
}
