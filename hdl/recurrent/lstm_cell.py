"""The cell of an LSTM: gates in, state out, the cell's integers kept in a memory."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...compiler.schedule.recurrent_cycles import CELL_LATENCY
from ..dot.arithmetic import adder_tree
from .params import RecurrentParams

__all__ = ["LstmCell", "StateBeat"]


class StateBeat(data.StructLayout):
    """A beat and whether its sample is the last of its sequence."""

    def __init__(self, bits: int) -> None:
        super().__init__({"codes": bits, "last": 1})


class LstmCell(wiring.Component):
    """c' = clip((f c + (i g << lift) + 2^(s-1)) >> s), h' = clip((o tanh(c') >> (2s - n)) + 2^(n-1), 0, 2^n - 1).

    `lanes` units at once, each with its four gates beside each other (i, f, o, g; g less 2^(s-1)). The cells of all
    slots lie in one memory that is read and written in turn; behind the last sample of a sequence a slot's cells count
    as 0. tanh is a comparison with constants, the same for all units.

    Latency: `latency` cycles; one beat a cycle. A beat's cells are written before its state is at `o`, so that a slot's
    next sample, which waits for the state, finds them.

    Parameters
    ----------
    params: of the layer.

    Members
    -------
    i: In(stream of StateBeat), codes of 4 gates of `lanes` units. o: Out(stream of StateBeat), `lanes` codes of h, pad
    elements 0.
    """

    latency = CELL_LATENCY

    def __init__(self, params: RecurrentParams) -> None:
        self._params = params
        assert params.cell is not None  # the caller's case
        self._cell = params.cell
        gates = params.lanes * params.node.gates * params.engine.output_bits
        super().__init__(
            {
                "i": In(stream.Signature(StateBeat(gates))),
                "o": Out(stream.Signature(StateBeat(params.lanes * params.bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Five stages that move together: read, multiply, sum, tanh, multiply."""
        m = Module()
        p, cell = self._params, self._cell
        depth = p.interleave * p.output_beats
        m.submodules.cells = memory = Memory(shape=p.lanes * cell.bits, depth=depth, init=())
        read, write = memory.read_port(), memory.write_port()

        move = Signal()
        m.d.comb += [move.eq(~self.o.valid | self.o.ready), self.i.ready.eq(move), read.en.eq(move)]

        # What is known of a beat when it comes in travels beside it.
        beat, slot, address = Signal(range(p.output_beats)), Signal(range(p.interleave)), Signal(range(depth))
        fresh = Signal(p.interleave, init=-1)
        final = Signal()
        m.d.comb += [final.eq(beat == p.output_beats - 1), read.addr.eq(address)]
        with m.If(self.i.valid & move):
            m.d.sync += [
                beat.eq(Mux(final, 0, beat + 1)),
                address.eq(Mux(address == depth - 1, 0, address + 1)),
            ]
            with m.If(final):
                m.d.sync += fresh.bit_select(slot, 1).eq(self.i.payload.last)
                m.d.sync += slot.eq(Mux(slot == p.interleave - 1, 0, slot + 1))

        def travel(value: Value, name: str, stages: int) -> list[Value]:
            line = [value]
            for stage in range(1, stages + 1):
                line.append(Signal(len(value), name=f"{name}_{stage}"))
                with m.If(move):
                    m.d.sync += line[-1].eq(line[-2])
            return line

        valid = travel(self.i.valid, "valid", self.latency)
        last = travel(self.i.payload.last, "last", self.latency)
        finals = travel(final, "final", self.latency - 1)
        begins = travel(fresh.bit_select(slot, 1), "begins", 1)
        addresses = travel(address, "address", 2)
        gates = travel(self.i.payload.codes, "gates", 1)[1]
        m.d.comb += [self.o.valid.eq(valid[-1]), self.o.payload.last.eq(last[-1])]
        m.d.comb += [write.addr.eq(addresses[2]), write.en.eq(valid[2] & move)]

        width = p.engine.output_bits
        kept = p.hidden - (p.output_beats - 1) * p.lanes  # units of a sample's last beat
        for lane in range(p.lanes):
            codes = [gates.word_select(4 * lane + gate, width) for gate in range(4)]
            before = Mux(begins[1], 0, read.data.word_select(lane, cell.bits))
            after, code = self._unit(m, lane, codes, before, move)
            m.d.comb += write.data.word_select(lane, cell.bits).eq(after)
            pad = finals[-1] if lane >= kept else Const(0)
            with m.If(move):
                m.d.sync += self.o.payload.codes.word_select(lane, p.bits).eq(Mux(pad, 0, code))
        return m

    def _unit(self, m: Module, lane: int, gates: list[Value], before: Value, move: Value) -> tuple[Value, Value]:
        """The cell of one unit as it is written, two stages on, and the state, ready for its register."""
        p, cell = self._params, self._cell
        shift, half, limit = cell.shift, 1 << cell.shift - 1, cell.limit
        i, f, o, g = gates

        def register(value: Value, name: str) -> Signal:
            kept = Signal(value.shape(), name=f"{name}_{lane}", reset_less=True)
            with m.If(move):
                m.d.sync += kept.eq(value)
            return kept

        kept_part = register(f.as_unsigned() * before.as_signed(), "kept")
        new_part = register(i * (g - half), "new")
        o = register(register(o, "o_1"), "o_2")
        raw = Signal(signed(cell.bits + shift + 4), name=f"raw_{lane}")
        m.d.comb += raw.eq((kept_part + (new_part << cell.lift) + half) >> shift)
        clipped = Signal(signed(cell.bits), name=f"clipped_{lane}")
        m.d.comb += clipped.eq(Mux(raw >= limit, limit - 1, Mux(raw < -limit, -limit, raw)))
        after = register(clipped, "after")
        reached = [after >= int(threshold) for threshold in cell.tanh]
        tanh = register(adder_tree(m, reached, f"tanh_{lane}") - half, "tanh")
        o = register(o, "o_3")
        state = Signal(signed(p.bits + 2), name=f"state_{lane}")
        m.d.comb += state.eq((o * tanh >> 2 * shift - p.bits) + (1 << p.bits - 1))
        top = (1 << p.bits) - 1
        return clipped, Mux(state > top, top, state[: p.bits])
