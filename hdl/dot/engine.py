"""The matrix-vector-threshold engine: PE rows x SIMD columns a cycle."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...compiler.folds.folding import SHALLOW_WORDS, Arithmetic, Memory, Popcount, WeightStore
from ..activations.levels import level_planes, shifted_planes
from ..activations.threshold import Directions
from ..activations.unit import activation_unit
from ..streams.buffer import StreamFifo
from ..streams.input_buffer import InputBuffer
from ..streams.stream import beat_signature
from ..timing.frames import Cell, Repeat, Work
from .arithmetic import adder_tree
from .mac import MacUnit
from .params import EngineParams
from .popcount import XnorPopcount
from .rom import Rom, memories_of

__all__ = ["Engine"]


class Engine(wiring.Component):
    """For every vector of K activation codes, N codes (or counts, where nothing makes codes of them).

    A vector is worked on in NF folds of PE rows, each SF steps of SIMD columns: NF * SF cycles, and no bubble between
    folds or vectors while beats come and the output is taken. With NF = 1 the beats are consumed as they come; with
    more (or planes in time), two banks of input buffer let the next vector load meanwhile.

    With groups a vector comes in blocks, the codes of groups that are worked on at once side by side, and each block is
    worked on by its groups' rows as a vector of its own: NF * SF cycles all in all.

    Bit planes stand side by side: one popcount for each power of two takes all pairs of a weight plane and an
    activation plane of that weight, and the shifted counts are added up. Or the activation planes take turns, a group
    after the other (`planes_in_time` of the fold): a fold then takes as many times SF cycles, the topmost planes first,
    and with each following group the accumulator moves up by its planes. The adder takes what is moved, so that turns
    cost a multiplexer for each activation, shared by all rows, and the buffer where NF = 1 had none.

    With `arithmetic: mac` of the fold a row multiplies instead: SIMD products of a weight and a level, summed up.

    Control issues a step a cycle; behind it weights, popcounts, accumulators and thresholds run free, without a stall
    network: a fold's last step is issued when the output FIFO has room for its beat, counting the beats under way.
    A single threshold is the accumulator's start value, and its top bit is the code: no comparator.

    Latency: `latency` cycles from the issue of a fold's last step to its beat at `o`; a step is issued in the cycle
    its beat is at `i` (without buffer), or the cycle after at the soonest.

    Parameters
    ----------
    params: weights, thresholds, folding, kinds of memory and popcount.

    Members
    -------
    i: In(stream), SIMD activation codes a beat (of each group in it), SF beats a block, pad elements 0.
    o: Out(stream), PE codes or counts a beat, NF beats a vector, pad elements 0.
    w: In(stream), with `weights: stream` in the fold: a word of weights for each step, in the order of `weight_steps`.
    """

    def __init__(self, params: EngineParams) -> None:
        self._params = params
        fold = params.fold
        lut6 = params.popcount is Popcount.LUT6  # a target whose primitives may be instantiated
        writable = fold.weights is WeightStore.AXI
        streamed = fold.weights is WeightStore.STREAM
        weights = None if streamed else Rom(params.weight_image, fold.memory, lut6=lut6, writable=writable)
        self._weights = weights
        single = params.single_threshold
        shallow = fold.memory is Memory.BLOCK and params.neuron_folds <= SHALLOW_WORDS
        memory = Memory.LUT if shallow else fold.memory
        self._holds_start = params.word_stages > 0 and not shallow  # block RAM is slow without a register behind it
        kinds = {"lut6": lut6, "writable": writable}
        self._preload = Rom(params.preload_image, memory, **kinds) if single else None
        self._directions = Directions(params.threshold_unit, **kinds) if single else None
        unit = params.unit
        self._thresholds = activation_unit(unit, fold.memory, **kinds) if unit is not None else None
        super().__init__(
            {
                "i": In(beat_signature(params.lanes, params.activation_bits)),
                "o": Out(beat_signature(fold.pe, params.output_bits)),
                **({"w": In(stream.Signature(params.weight_image.width))} if streamed else {}),
            }
        )

    @property
    def params(self) -> EngineParams:
        """Weights, thresholds, folding, kinds of memory and popcount."""
        return self._params

    @property
    def streams_weights(self) -> bool:
        """Whether weights come through `w`."""
        return self._weights is None

    @property
    def count_latency(self) -> int:
        """Cycles from the issue of a step to its counts: memory; popcount and sum over powers of two, or products and
        their sum."""
        p = self._params
        return 1 + p.popcount_stages + p.form.adds_powers(p.planes_at_once)

    @property
    def _powers(self) -> int:
        """Powers of two that pairs of planes have in a cycle."""
        p = self._params
        return p.form.powers - p.form.activation_planes + p.planes_at_once

    @property
    def latency(self) -> int:
        """Cycles from the issue of a fold's last step to its beat at `o`, the FIFO being empty."""
        compare = self._thresholds.latency if self._thresholds else 0
        return self.count_latency + 1 + compare + 1

    @property
    def fifo_depth(self) -> int:
        """Output beats that can be under way: a credit returns `latency` + 1 cycles after its use at the soonest."""
        return max(2, -(-(self.latency + 1) // self._params.fold_cycles) + 1)

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        p = self._params
        work = Work(p.fold_cycles, delay=self.latency - 1, depth=self.fifo_depth)
        return (work,) if p.passes == 1 else (Repeat(p.synapse_folds, p.passes), work)

    @property
    def roms(self) -> tuple[Rom, ...]:
        """Weights, and what makes codes of counts."""
        own = (rom for rom in (self._weights, self._preload) if rom is not None)
        return *own, *(rom for part in (self._directions, self._thresholds) if part is not None for rom in part.roms)

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        return memories_of(self.roms)

    def elaborate(self, platform: object) -> Module:
        """Control, the rows' counts, and one of three ways out."""
        m = Module()
        p = self._params
        pe, steps, turns = p.fold.pe, p.neuron_folds * p.synapse_folds, p.fold.planes_in_time
        m.submodules.output = output = StreamFifo(pe * p.output_bits, depth=self.fifo_depth)
        wiring.connect(m, output.o, wiring.flipped(self.o))

        # Control: one step a cycle. A fold is one pass over the vector's beats for each group of planes.
        issue, last, begins_pass = Signal(), Signal(), Signal(init=1)
        step, turn = Signal(range(steps)), Signal(range(turns))
        credits = Signal(range(self.fifo_depth + 1), init=self.fifo_depth)
        room = Signal()
        ends_fold, final = Signal(), Signal()
        come, words = self._weight_words(m, step, issue)
        at_end = Signal(init=steps == 1)  # step == steps - 1, a cycle ahead: the step is far away, at the memory
        m.d.comb += [
            ends_fold.eq(last & (turn == turns - 1)),
            final.eq(ends_fold & at_end),
            room.eq((~ends_fold | credits.any()) & come),
        ]
        with m.If(issue):
            again = last & ~ends_fold
            m.d.sync += begins_pass.eq(last)
            m.d.sync += step.eq(Mux(final, 0, Mux(again, step - (p.synapse_folds - 1), step + 1)))
            if steps > 1:
                stays = at_end if p.synapse_folds == 1 else Const(0)
                m.d.sync += at_end.eq(Mux(again, stays, step == steps - 2))
            m.d.sync += turn.eq(Mux(again, turn + 1, Mux(last, 0, turn)))
        m.d.sync += credits.eq(credits - (issue & ends_fold) + (self.o.valid & self.o.ready))

        # The activations of a step arrive with its weights.
        activations = Signal(p.lanes * p.activation_bits)
        if p.passes == 1:
            ends_block = step == steps - 1 if p.blocks == 1 else _last_of(m, issue, p.synapse_folds, "beat")
            m.d.comb += [self.i.ready.eq(room), issue.eq(self.i.valid & room), last.eq(ends_block)]
            m.d.sync += activations.eq(self.i.payload)
        else:
            m.submodules.input = buffer = InputBuffer(p.synapse_folds, len(activations))
            wiring.connect(m, wiring.flipped(self.i), buffer.i)
            over = final if p.blocks == 1 else ends_fold & _last_of(m, issue & ends_fold, p.block_folds, "fold")
            m.d.comb += [
                issue.eq(buffer.available & room),
                buffer.next.eq(issue),
                buffer.release.eq(over),
                last.eq(buffer.last),
                activations.eq(buffer.data),
            ]

        # The datapath runs free; these flags travel beside it. Index d: d cycles after the issue.
        def travel(flag: Value, name: str, cycles: int) -> list[Value]:
            line = [flag]
            for cycle in range(1, cycles + 1):
                line.append(Signal(flag.shape(), name=f"{name}_{cycle}"))
                m.d.sync += line[-1].eq(line[-2])
            return line

        arrive = self.count_latency
        issued = travel(issue, "issued", arrive)
        begins = travel(issue & begins_pass, "begins", arrive)
        turned = travel(turn, "turn", arrive)
        done = travel(issue & ends_fold, "done", arrive + 1)

        planes = self._planes(m, activations, turned[1])
        for _ in range(p.word_stages):
            planes, words = [self._held(m, plane) for plane in planes], self._held(m, words)
        soon = arrive - 1 - self._holds_start
        start = self._fold_start(m, begins[soon] & (turned[soon] == turns - 1))
        counts = Signal(pe * self._accumulator_bits)
        for row in range(pe):
            if row >= p.rows:  # a padding row in every fold: its output is the constant 0
                continue
            total = self._row_total(m, row, words, planes)
            accumulator = counts.word_select(row, self._accumulator_bits)
            begin = start.word_select(row, self._accumulator_bits)
            with m.If(issued[arrive]):
                m.d.sync += accumulator.eq(
                    Mux(begins[arrive], self._pass_start(accumulator, begin, turned[arrive]), accumulator) + total
                )

        if self._thresholds is not None:
            m.submodules.thresholds = unit = self._thresholds
            m.d.comb += [unit.i.valid.eq(done[-1]), unit.i.payload.eq(counts)]
            m.d.comb += [output.i.valid.eq(unit.o.valid), output.i.payload.eq(unit.o.payload)]
        elif self._preload is not None:
            tops = Cat(counts.word_select(row, self._accumulator_bits)[-1] for row in range(pe))
            codes = self._directions.applied(m, tops, done[-1]) if self._directions is not None else tops
            m.d.comb += [output.i.valid.eq(done[-1]), output.i.payload.eq(codes)]
        else:
            m.d.comb += [output.i.valid.eq(done[-1]), output.i.payload.eq(self._without_padding(m, counts, done[-1]))]
        return m

    @property
    def _accumulator_bits(self) -> int:
        return self._params.preload_bits if self._params.single_threshold else self._params.count_bits

    def _weight_words(self, m: Module, step: Value, issue: Value) -> tuple[Value, Value]:
        """Whether the weights of the next step are there, and those of the step before: of a memory, or streamed."""
        if self._weights is not None:
            m.submodules.weights = self._weights
            m.d.comb += self._weights.addr.eq(step)
            return Const(1), self._weights.data
        m.d.comb += self.w.ready.eq(issue)
        return self.w.valid, self._held(m, self.w.payload)

    def _fold_start(self, m: Module, soon: Value) -> Value:
        """The accumulators' start values of a fold; `soon` is high in the cycle before their last use, or, where they
        are held, in the one before that."""
        p = self._params
        if self._preload is None:
            return Const(p.form.start, self._accumulator_bits).replicate(p.fold.pe)
        m.submodules.thresholds = self._preload
        with m.If(soon):
            wraps = self._preload.addr == p.neuron_folds - 1
            m.d.sync += self._preload.addr.eq(Mux(wraps, 0, self._preload.addr + 1))
        return self._held(m, self._preload.data) if self._holds_start else self._preload.data

    def _pass_start(self, accumulator: Value, begin: Value, turn: Value) -> Value:
        """What the first count of a group of planes is added to: the fold's start value, or, `turn` groups later, all
        so far, moved up. The start value moves up with it: its low bits follow one group after the other."""
        p = self._params
        turns, bits = p.fold.planes_in_time, p.planes_at_once
        if turns == 1:
            return begin
        groups = [begin[bits * k : bits * (k + 1)] for k in reversed(range(turns - 1))]  # of turns 1 and later
        follows = Cat(Const(0, bits), groups).word_select(turn, bits)
        moved = Cat(follows, accumulator)[: self._accumulator_bits]
        return Mux(turn == 0, begin[bits * (turns - 1) :], moved)

    def _planes(self, m: Module, codes: Value, turn: Value) -> list[Value]:
        """The activation planes that a cycle works on: all, or the group whose turn it is, the topmost first."""
        p = self._params
        every, turns, bits = level_planes(m, codes, p.form), p.fold.planes_in_time, p.planes_at_once
        if turns == 1:
            return every
        chosen: list[Value] = []
        for bit in range(bits):
            plane = Signal(p.lanes, name=f"plane_{bit}")
            m.d.comb += plane.eq(Cat(reversed(every[bit::bits])).word_select(turn, p.lanes))
            chosen.append(plane)
        return chosen

    def _held(self, m: Module, value: Value) -> Value:
        """The value of the cycle before."""
        held = Signal(len(value), name="held", reset_less=True)
        m.d.sync += held.eq(value)
        return held

    def _row_total(self, m: Module, row: int, words: Value, planes: Sequence[Value]) -> Value:
        """What a step adds to one row's P, of the weights and the activations that the row reads."""
        p = self._params
        if p.groups_at_once > 1:
            part = row // (p.rows // p.groups)
            planes = [plane.word_select(part, p.fold.simd) for plane in planes]
        words = words.word_select(row, p.fold.simd * p.form.word_bits)
        if p.fold.arithmetic is Arithmetic.MAC:
            return self._products(m, row, words, planes)
        return self._row_count(m, row, words, planes)

    def _products(self, m: Module, row: int, words: Value, planes: Sequence[Value]) -> Value:
        """The sum of the products of a row's weights and levels."""
        p = self._params
        m.submodules[f"mac_{row}"] = unit = MacUnit(
            p.fold.simd,
            word_bits=p.form.word_bits,
            level_bits=p.form.level_bits,
            stages=p.popcount_stages - p.word_stages,
        )
        m.d.comb += [
            unit.w.eq(words),
            unit.x.eq(Cat(plane[column] for column in range(p.fold.simd) for plane in planes)),
        ]
        return unit.total

    def _row_count(self, m: Module, row: int, words: Value, planes: Sequence[Value]) -> Value:
        """Popcounts of the pairs of bit planes, weighted."""
        p = self._params
        form = p.form
        weights = [words[bit :: form.word_bits] for bit in range(form.word_bits)]
        if form.shift_bits:
            shift = weights[len(form.planes) :]
            planes = shifted_planes(m, planes, shift, form.activation_planes, f"shifted_{row}")
        counts: list[Value] = []
        for power in range(self._powers):
            # One tree over all pairs of a power is smaller than a tree for each and an addition.
            pairs = [
                (i, power - plane.power)
                for i, plane in enumerate(form.planes)
                if 0 <= power - plane.power < len(planes)
            ]
            name = f"popcount_{row}" if self._powers == 1 else f"popcount_{row}_power_{power}"
            gates = [form.planes[i].gate for i, _ in pairs for _ in range(p.fold.simd)]
            unit = XnorPopcount(len(gates), kind=p.popcount, stages=p.popcount_stages - p.word_stages, gates=gates)
            m.submodules[name] = unit
            m.d.comb += [
                unit.w.eq(Cat(weights[i] for i, _ in pairs)),
                unit.x.eq(Cat(planes[j] for _, j in pairs)),
            ]
            counts.append(unit.count << power)
        if self._powers == 1:
            return counts[0]
        total = Signal(range(p.step_max + 1), name=f"count_{row}", reset_less=True)
        m.d.sync += total.eq(adder_tree(m, counts, f"powers_{row}"))
        return total

    def _without_padding(self, m: Module, counts: Value, done: Value) -> Value:
        """`counts` with 0 for the padding rows of the last fold."""
        p = self._params
        pads = p.neuron_folds * p.fold.pe - p.rows
        if pads == 0 or p.neuron_folds == 1:
            return counts
        fold = Signal(range(p.neuron_folds))
        with m.If(done):
            m.d.sync += fold.eq(Mux(fold == p.neuron_folds - 1, 0, fold + 1))
        real = len(counts) - pads * self._accumulator_bits
        return Cat(counts[:real], Mux(fold == p.neuron_folds - 1, 0, counts[real:]))


def _last_of(m: Module, move: Value, count: int, name: str) -> Value:
    """Whether the next move is the last one of `count`, over and over."""
    index = Signal(range(count), name=f"{name}_of_block")
    with m.If(move):
        m.d.sync += index.eq(Mux(index == count - 1, 0, index + 1))
    return index == count - 1
