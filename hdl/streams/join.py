"""Several streams to one: sums element by element, and concatenation along the channels."""

from collections.abc import Sequence

import numpy as np
from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from ...compiler.schedule.parts import AddPart, ConcatPart, beats
from ...compiler.types import CodeType
from ..dot.arithmetic import adder_tree
from ..timing.frames import Cell, Collect, Join, Merge
from .stream import beat_signature

__all__ = ["StreamAdd", "StreamConcat"]

Codes = NDArray[np.uint8]
Integers = NDArray[np.int64]


class StreamAdd(wiring.Component):
    """Element by element S = sum_i (value(q_i) - lo_i) / step of the codes of several streams; see `AddPart`.

    A beat goes out when every operand has one. Codes whose value is a multiple of the code are added as they are, or
    shifted; others go through a small table. A code 0 adds nothing, so that pad elements stay 0.

    Latency: 1 clock cycle; one beat a cycle. `i[k].ready` follows `o.ready` and the other operands' valid
    combinationally, `o` is a register.

    Parameters
    ----------
    part: operands, step, lanes.

    Members
    -------
    i: In(stream).array(operands), `lanes` codes a beat; o: Out(stream), `lanes` sums a beat.
    """

    latency = 1

    def __init__(self, part: AddPart) -> None:
        self._part = part
        operands = {f"i{k}": In(beat_signature(part.lanes, kind.bits)) for k, kind in enumerate(part.operands)}
        super().__init__({**operands, "o": Out(beat_signature(part.lanes, part.most.bit_length()))})

    @property
    def inputs(self) -> tuple[stream.Interface, ...]:
        """The operands' streams, in their order."""
        return tuple(getattr(self, f"i{k}") for k in range(len(self._part.operands)))

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        return Join(len(self._part.operands)), Collect(1, 1)

    def reference(self, operands: Sequence[Codes]) -> Integers:
        """S of codes of one shape."""
        values = [kind.values(codes) - kind.lo for kind, codes in zip(self._part.operands, operands, strict=True)]
        total: Integers = np.sum(values, axis=0) // self._part.step
        return total

    def elaborate(self, platform: object) -> Module:
        """An adder tree a lane, and a register."""
        m = Module()
        inputs = self.inputs
        advance, take = Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            take.eq(advance & Cat(operand.valid for operand in inputs).all()),
        ]
        m.d.comb += [operand.ready.eq(take) for operand in inputs]
        width = self._part.most.bit_length()
        sums: list[Value] = []
        for lane in range(self._part.lanes):
            terms = [
                self._steps(operand.payload.word_select(lane, kind.bits), kind)
                for operand, kind in zip(inputs, self._part.operands, strict=True)
            ]
            total = Signal(width, name=f"sum_{lane}")
            m.d.comb += total.eq(adder_tree(m, terms, f"sum_{lane}"))
            sums.append(total)
        with m.If(advance):
            m.d.sync += self.o.valid.eq(take)
        with m.If(take):
            m.d.sync += self.o.payload.eq(Cat(sums))
        return m

    def _steps(self, code: Value, kind: CodeType) -> Value:
        """(value - lo) / step of a code."""
        table = ((kind.values(np.arange(kind.max_code + 1)) - kind.lo) // self._part.step).tolist()
        if table == [table[1] * code for code in range(len(table))]:
            factor = table[1]
            return code << factor.bit_length() - 1 if factor & (factor - 1) == 0 else code * factor
        return Array(Const(number, table[-1].bit_length()) for number in table)[code]


class StreamConcat(wiring.Component):
    """The pixels of several streams, one behind the other: first all elements of operand 0's, then of operand 1's, ...

    Latency: 1 clock cycle; one beat a cycle. `i[k].ready` follows `o.ready` combinationally, `o` is a register.

    Parameters
    ----------
    part: sizes, bits, lanes; the lanes divide every size but the last.

    Members
    -------
    i: In(stream).array(operands), o: Out(stream): `lanes` codes a beat, pad elements 0.
    """

    latency = 1

    def __init__(self, part: ConcatPart) -> None:
        if any(size % part.lanes for size in part.sizes[:-1]):
            raise ValueError(f"{part.lanes} lanes do not divide {part.sizes[:-1]}")
        self._part = part
        signature = beat_signature(part.lanes, part.bits)
        super().__init__({**{f"i{k}": In(signature) for k in range(len(part.sizes))}, "o": Out(signature)})

    @property
    def inputs(self) -> tuple[stream.Interface, ...]:
        """The operands' streams, in their order."""
        return tuple(getattr(self, f"i{k}") for k in range(len(self._part.sizes)))

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        return Merge(tuple(beats(size, self._part.lanes) for size in self._part.sizes)), Collect(1, 1)

    def elaborate(self, platform: object) -> Module:
        """Whose turn it is, a beat counter, and a register."""
        m = Module()
        counts = [beats(size, self._part.lanes) for size in self._part.sizes]
        advance, take = Signal(), Signal()
        turn, beat, last = Signal(range(len(counts))), Signal(range(max(counts))), Signal()
        m.d.comb += advance.eq(~self.o.valid | self.o.ready)
        with m.Switch(turn):
            for k, (operand, count) in enumerate(zip(self.inputs, counts, strict=True)):
                with m.Case(k):
                    m.d.comb += [
                        operand.ready.eq(advance),
                        take.eq(operand.valid & advance),
                        last.eq(beat == count - 1),
                    ]
                    with m.If(take):
                        m.d.sync += self.o.payload.eq(operand.payload)
        with m.If(advance):
            m.d.sync += self.o.valid.eq(take)
        with m.If(take):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
            with m.If(last):
                m.d.sync += turn.eq(Mux(turn == len(counts) - 1, 0, turn + 1))
        return m
