"""The matrix-vector-threshold engine: PE rows x SIMD columns a cycle."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..compiler.folding import Popcount
from .activation import activation_unit
from .arithmetic import adder_tree
from .buffer import StreamFifo
from .input_buffer import InputBuffer
from .params import EngineParams
from .popcount import XnorPopcount
from .rom import Rom
from .stream import beat_signature
from .timing import Cell, Repeat, Work

__all__ = ["Engine"]


class Engine(wiring.Component):
    """For every vector of K activation codes, N codes (or counts, where there are no thresholds).

    A vector is worked on in NF folds of PE rows, each SF steps of SIMD columns: NF * SF cycles, and no bubble between
    folds or vectors while beats come and the output is taken. With NF = 1 the beats are consumed as they come; with
    more, two banks of input buffer let the next vector load meanwhile.

    Bit planes stand side by side: one popcount for each power of two takes all pairs of a weight plane and an
    activation plane of that weight, and the shifted counts are added up.

    Control issues a step a cycle; behind it weights, popcounts, accumulators and thresholds run free, without a stall
    network: a fold's last step is issued when the output FIFO has room for its beat, counting the beats under way.
    A single threshold is the accumulator's start value, and its top bit is the code: no comparator.

    Latency: `latency` cycles from the issue of a fold's last step to its beat at `o`; a step is issued in the cycle
    its beat is at `i` (NF = 1), or the cycle after at the soonest.

    Parameters
    ----------
    params: weights, thresholds, folding, kinds of memory and popcount.

    Members
    -------
    i: In(stream), SIMD activation codes a beat, SF beats a vector, pad elements 0.
    o: Out(stream), PE codes or counts a beat, NF beats a vector, pad elements 0.
    """

    def __init__(self, params: EngineParams) -> None:
        self._params = params
        fold = params.fold
        lut6 = params.popcount is Popcount.LUT6  # a target whose primitives may be instantiated
        self._weights = Rom(params.weight_image, fold.memory, lut6=lut6)
        self._preload = Rom(params.preload_image, fold.memory, lut6=lut6) if params.single_threshold else None
        compares = params.thresholds is not None and not params.single_threshold
        self._thresholds = activation_unit(params.threshold_unit, fold.memory, lut6=lut6) if compares else None
        super().__init__(
            {
                "i": In(beat_signature(fold.simd, params.activation_bits)),
                "o": Out(beat_signature(fold.pe, params.output_bits)),
            }
        )

    @property
    def params(self) -> EngineParams:
        """Weights, thresholds, folding, kinds of memory and popcount."""
        return self._params

    @property
    def count_latency(self) -> int:
        """Cycles from the issue of a step to its weighted popcounts: memory, popcount, sum over powers of two."""
        return 1 + self._params.popcount_stages + (self._powers > 1)

    @property
    def _powers(self) -> int:
        """Powers of two that pairs of planes have."""
        return self._params.weight_bits + self._params.activation_bits - 1

    @property
    def latency(self) -> int:
        """Cycles from the issue of a fold's last step to its beat at `o`, the FIFO being empty."""
        compare = self._thresholds.latency if self._thresholds else 0
        return self.count_latency + 1 + compare + 1

    @property
    def fifo_depth(self) -> int:
        """Output beats that can be under way: a credit returns `latency` + 1 cycles after its use at the soonest."""
        return max(2, -(-(self.latency + 1) // self._params.synapse_folds) + 1)

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        p = self._params
        work = Work(p.synapse_folds, delay=self.latency - 1, depth=self.fifo_depth)
        return (work,) if p.neuron_folds == 1 else (Repeat(p.synapse_folds, p.neuron_folds), work)

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        parts = (self._weights, self._preload, self._thresholds)
        return {name: text for part in parts if part is not None for name, text in part.memories.items()}

    def elaborate(self, platform: object) -> Module:
        """Control, the rows' counts, and one of three ways out."""
        m = Module()
        p = self._params
        pe, steps = p.fold.pe, p.cycles
        m.submodules.weights = self._weights
        m.submodules.output = output = StreamFifo(pe * p.output_bits, depth=self.fifo_depth)
        wiring.connect(m, output.o, wiring.flipped(self.o))

        # Control: one step a cycle.
        issue, first, last = Signal(), Signal(init=1), Signal()
        step = Signal(range(steps))
        credits = Signal(range(self.fifo_depth + 1), init=self.fifo_depth)
        room = Signal()
        final = Signal()
        m.d.comb += [room.eq(~last | credits.any()), final.eq(step == steps - 1), self._weights.addr.eq(step)]
        with m.If(issue):
            m.d.sync += [step.eq(Mux(final, 0, step + 1)), first.eq(last)]
        m.d.sync += credits.eq(credits - (issue & last) + (self.o.valid & self.o.ready))

        # The activations of a step arrive with its weights.
        activations = Signal(p.fold.simd * p.activation_bits)
        if p.neuron_folds == 1:
            m.d.comb += [self.i.ready.eq(room), issue.eq(self.i.valid & room), last.eq(final)]
            m.d.sync += activations.eq(self.i.payload)
        else:
            m.submodules.input = buffer = InputBuffer(p.synapse_folds, len(activations))
            wiring.connect(m, wiring.flipped(self.i), buffer.i)
            m.d.comb += [
                issue.eq(buffer.available & room),
                buffer.next.eq(issue),
                buffer.release.eq(final),
                last.eq(buffer.last),
                activations.eq(buffer.data),
            ]

        # The datapath runs free; these flags travel beside it. Index d: d cycles after the issue.
        def travel(flag: Value, name: str, cycles: int) -> list[Value]:
            line = [flag]
            for cycle in range(1, cycles + 1):
                line.append(Signal(name=f"{name}_{cycle}"))
                m.d.sync += line[-1].eq(line[-2])
            return line

        arrive = self.count_latency
        issued = travel(issue, "issued", arrive)
        begins = travel(issue & first, "begins", arrive)
        done = travel(issue & last, "done", arrive + 1)

        start = self._fold_start(m, begins[arrive - 1])
        counts = Signal(pe * self._accumulator_bits)
        for row in range(pe):
            if row >= p.rows:  # a padding row in every fold: its output is the constant 0
                continue
            total = self._row_count(m, row, activations)
            accumulator = counts.word_select(row, self._accumulator_bits)
            with m.If(issued[arrive]):
                begin = start.word_select(row, self._accumulator_bits)
                m.d.sync += accumulator.eq(Mux(begins[arrive], begin, accumulator) + total)

        if self._thresholds is not None:
            m.submodules.thresholds = unit = self._thresholds
            m.d.comb += [unit.i.valid.eq(done[-1]), unit.i.payload.eq(counts)]
            m.d.comb += [output.i.valid.eq(unit.o.valid), output.i.payload.eq(unit.o.payload)]
        elif self._preload is not None:
            tops = [counts.word_select(row, self._accumulator_bits)[-1] for row in range(pe)]
            m.d.comb += [output.i.valid.eq(done[-1]), output.i.payload.eq(Cat(tops))]
        else:
            m.d.comb += [output.i.valid.eq(done[-1]), output.i.payload.eq(self._without_padding(m, counts, done[-1]))]
        return m

    @property
    def _accumulator_bits(self) -> int:
        return self._params.preload_bits if self._params.single_threshold else self._params.count_bits

    def _fold_start(self, m: Module, soon: Value) -> Value:
        """The accumulators' start values; `soon` is high in the cycle before they are used."""
        p = self._params
        if self._preload is None:
            return Const(0, p.fold.pe * self._accumulator_bits)
        m.submodules.thresholds = self._preload
        with m.If(soon):
            wraps = self._preload.addr == p.neuron_folds - 1
            m.d.sync += self._preload.addr.eq(Mux(wraps, 0, self._preload.addr + 1))
        return self._preload.data

    def _row_count(self, m: Module, row: int, activations: Value) -> Value:
        """One row's P for a step: popcounts of the pairs of bit planes, weighted."""
        p = self._params
        weights = self._weights.data.word_select(row, p.fold.simd * p.weight_bits)
        weight_planes = [weights[plane :: p.weight_bits] for plane in range(p.weight_bits)]
        activation_planes = [activations[plane :: p.activation_bits] for plane in range(p.activation_bits)]
        counts: list[Value] = []
        for power in range(self._powers):
            # One tree over all pairs of a power is smaller than a tree for each and an addition.
            pairs = [(i, power - i) for i in range(p.weight_bits) if 0 <= power - i < p.activation_bits]
            name = f"popcount_{row}" if self._powers == 1 else f"popcount_{row}_power_{power}"
            unit = XnorPopcount(len(pairs) * p.fold.simd, kind=p.popcount, stages=p.popcount_stages)
            m.submodules[name] = unit
            m.d.comb += [
                unit.w.eq(Cat(weight_planes[i] for i, _ in pairs)),
                unit.x.eq(Cat(activation_planes[j] for _, j in pairs)),
            ]
            counts.append(unit.count << power)
        if self._powers == 1:
            return counts[0]
        total = Signal(range(p.fold.simd * p.column_max + 1), name=f"count_{row}", reset_less=True)
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
