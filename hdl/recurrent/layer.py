"""A recurrent layer: the engine on [x, h], the cell of an LSTM, and the way of the state back to the engine."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..dot.engine import Engine
from ..streams.buffer import StreamFifo
from ..streams.converter import FrameWidthConverter
from ..streams.stream import beat_signature
from .lstm_cell import LstmCell, StateBeat
from .params import RecurrentParams

__all__ = ["RecurrentLayer", "StateFeeder", "StateReturn"]


class StateFeeder(wiring.Component):
    """The vectors of the engine: for every sample the beats of x, then those of its slot's state.

    A slot whose sequence has ended, or has not begun, goes on from the initial state and takes nothing from `h`.

    Latency: 0, combinational; one beat a cycle.

    Parameters
    ----------
    params: of the layer.

    Members
    -------
    i: In(stream), beats of x. h: In(stream), beats of states, in the order of samples. last: In(stream of 1 bit), one a
    sample, whether it ends its sequence.
    o: Out(stream), beats for the engine. ends: Out(stream of 1 bit), `last` once more, with the last beat of a sample.
    """

    def __init__(self, params: RecurrentParams) -> None:
        self._params = params
        beat = beat_signature(params.engine.fold.simd, params.bits)
        super().__init__(
            {
                "i": In(beat),
                "h": In(beat),
                "last": In(stream.Signature(1)),
                "o": Out(beat),
                "ends": Out(stream.Signature(1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A beat counter, a slot counter, and a flag for each slot that has no state."""
        m = Module()
        p = self._params
        beats = p.input_beats + p.state_beats
        position = Signal(range(beats))
        slot = Signal(range(p.interleave))
        fresh = Signal(p.interleave, init=-1)
        from_state, final, begins = Signal(), Signal(), Signal()
        m.d.comb += [
            from_state.eq(position >= p.input_beats),
            final.eq(position == beats - 1),
            begins.eq(fresh.bit_select(slot, 1)),
        ]
        width = p.engine.fold.simd * p.bits
        tail = p.hidden - (p.state_beats - 1) * p.engine.fold.simd  # elements of the last beat of h
        whole = Cat(Const(p.initial, p.bits) for _ in range(p.engine.fold.simd))
        initial = Mux(final, whole[: tail * p.bits], whole)
        valid, taken = Signal(), Signal()
        m.d.comb += [
            valid.eq((begins | self.h.valid) & (~final | self.last.valid & self.ends.ready)),
            self.o.valid.eq(Mux(from_state, valid, self.i.valid)),
            self.o.payload.eq(Mux(from_state, Mux(begins, initial, self.h.payload), self.i.payload)[:width]),
            taken.eq(self.o.valid & self.o.ready),
            self.i.ready.eq(~from_state & self.o.ready),
            self.h.ready.eq(from_state & ~begins & taken),
            self.last.ready.eq(final & taken),
            self.ends.valid.eq(final & taken),
            self.ends.payload.eq(self.last.payload),
        ]
        with m.If(taken):
            m.d.sync += position.eq(Mux(final, 0, position + 1))
            with m.If(final):
                m.d.sync += fresh.bit_select(slot, 1).eq(self.last.payload)
                m.d.sync += slot.eq(Mux(slot == p.interleave - 1, 0, slot + 1))
        return m


class StateReturn(wiring.Component):
    """Every beat of h goes out, and back as long as its sequence goes on.

    Latency: 0, combinational; one beat a cycle. Each side may stall alone.

    Parameters
    ----------
    params: of the layer.

    Members
    -------
    i: In(stream of StateBeat). o, back: Out(stream), beats of h.
    """

    def __init__(self, params: RecurrentParams) -> None:
        self._layout = StateBeat(params.lanes * params.bits)
        beat = beat_signature(params.lanes, params.bits)
        super().__init__({"i": In(stream.Signature(self._layout)), "o": Out(beat), "back": Out(beat)})

    def elaborate(self, platform: object) -> Module:
        """One flag a side: whether it has had the present beat."""
        m = Module()
        sent, returned = Signal(), Signal()
        done_out, done_back = Signal(), Signal()
        m.d.comb += [
            self.o.payload.eq(self.i.payload.codes),
            self.back.payload.eq(self.i.payload.codes),
            self.o.valid.eq(self.i.valid & ~sent),
            self.back.valid.eq(self.i.valid & ~returned & ~self.i.payload.last),
            done_out.eq(sent | self.o.ready),
            done_back.eq(returned | self.i.payload.last | self.back.ready),
            self.i.ready.eq(done_out & done_back),
        ]
        with m.If(self.i.valid):
            m.d.sync += [sent.eq(done_out & ~self.i.ready), returned.eq(done_back & ~self.i.ready)]
        return m


class RecurrentLayer(wiring.Component):
    """For every sample of D codes the state of its slot, H codes, kept for the slot's next sample.

    `engine` reads [x, h] and thresholds the rows: an RNN's state, or the gates of an LSTM, which `cell` makes its state
    of. From there the state goes out and, until the sequence ends, through a FIFO back to the engine.

    Throughput: a step waits for the state of the slot's step before. With S slots, S steps take
    max(S * NF * SF, (NF - 1) * SF + loop_latency) cycles: fold and loop latency with one slot, NF * SF a step with
    enough.

    Latency: `loop_latency` cycles from the issue of a vector's last step in the engine to the issue of the step that
    reads the last beat of the state that came of it.

    Parameters
    ----------
    params: node, engine, slots.

    Members
    -------
    i: In(stream), SIMD codes of x a beat. last: In(stream of 1 bit), one a sample: whether it ends its sequence.
    o: Out(stream), `params.lanes` codes of h a beat, pad elements 0.
    """

    def __init__(self, params: RecurrentParams) -> None:
        self._params = params
        self.engine = Engine(params.engine)
        self._cell = LstmCell(params) if params.cell else None
        super().__init__(
            {
                "i": In(beat_signature(params.engine.fold.simd, params.bits)),
                "last": In(stream.Signature(1)),
                "o": Out(beat_signature(params.lanes, params.bits)),
            }
        )

    @property
    def params(self) -> RecurrentParams:
        """Node, engine, slots."""
        return self._params

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        return self.engine.memories

    @property
    def loop_latency(self) -> int:
        """Cycles from the issue of a vector's last step to that of the step that waits for its state."""
        p = self._params
        cell = self._cell.latency if self._cell else 0
        buffered = p.engine.passes > 1
        return self.engine.latency + p.gathers + cell + p.return_cycles + 1 + buffered

    @property
    def steps_cycles(self) -> int:
        """Cycles that as many steps as there are slots take, one behind the other for ever."""
        engine = self._params.engine
        waiting = (engine.passes - 1) * engine.synapse_folds + self.loop_latency
        return max(self._params.interleave * engine.cycles, waiting)

    def elaborate(self, platform: object) -> Module:
        """A ring: feeder, engine, cell, return, FIFO."""
        m = Module()
        p = self._params
        fold = p.engine.fold
        m.submodules.feeder = feeder = StateFeeder(p)
        m.submodules.engine = engine = self.engine
        m.submodules.state_return = back = StateReturn(p)
        # A sample's flag waits until its beats come out of the engine: as many as it holds, and the input banks.
        under_way = 4 + -(-(engine.latency + engine.fifo_depth) // p.engine.cycles) + engine.fifo_depth
        m.submodules.ends = ends = StreamFifo(1, depth=under_way)
        m.submodules.states = states = StreamFifo(fold.simd * p.bits, depth=max(2, p.interleave * p.state_beats))
        wiring.connect(m, wiring.flipped(self.i), feeder.i)
        wiring.connect(m, wiring.flipped(self.last), feeder.last)
        wiring.connect(m, states.o, feeder.h)
        wiring.connect(m, feeder.o, engine.i)
        wiring.connect(m, feeder.ends, ends.i)

        rows = engine.o
        if p.gathers:
            elements = p.hidden * p.node.gates
            m.submodules.gates = gates = FrameWidthConverter(
                elements, p.engine.output_bits, lanes_in=fold.pe, lanes_out=p.node.gates
            )
            wiring.connect(m, rows, gates.i)
            rows = gates.o
        # Each beat with its sample's flag.
        beat = Signal(range(p.output_beats))
        final = beat == p.output_beats - 1
        flagged = stream.Signature(StateBeat(len(rows.payload))).create()
        m.d.comb += [
            flagged.valid.eq(rows.valid & ends.o.valid),
            flagged.payload.codes.eq(rows.payload),
            flagged.payload.last.eq(ends.o.payload),
            rows.ready.eq(flagged.ready & ends.o.valid),
            ends.o.ready.eq(flagged.valid & flagged.ready & final),
        ]
        with m.If(flagged.valid & flagged.ready):
            m.d.sync += beat.eq(Mux(final, 0, beat + 1))
        if self._cell is None:
            wiring.connect(m, flagged, back.i)
        else:
            m.submodules.gates_to_state = cell = self._cell
            wiring.connect(m, flagged, cell.i)
            wiring.connect(m, cell.o, back.i)
        wiring.connect(m, back.o, wiring.flipped(self.o))

        returned = back.back
        if p.lanes != fold.simd:
            lanes = {"lanes_in": p.lanes, "lanes_out": fold.simd}
            m.submodules.lanes = converter = FrameWidthConverter(p.hidden, p.bits, **lanes)
            wiring.connect(m, returned, converter.i)
            returned = converter.o
        wiring.connect(m, returned, states.i)
        return m
