"""Counts to codes by a pipelined binary search among each row's thresholds."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...compiler.folds.folding import Memory
from ..dot.rom import MemoryImage, Rom, memories_of
from .params import ThresholdParams
from .threshold import Directions

__all__ = ["SearchStage", "SearchUnit", "search_stages"]


@dataclass(frozen=True, slots=True)
class SearchStage:
    """Bits of the code that one stage finds: `rounds` of them, one a cycle, with `known` more significant ones known.

    In its memories a row has, for every fold and every value of the known bits, a binary tree in heap order: node 1 is
    the root, node k branches to 2k and 2k + 1, node 0 does not exist. A tree of one node has no node number. Where
    neither is needed all rows read the same word, of one memory; otherwise each row has a memory of its own.
    """

    known: int
    rounds: int

    @property
    def node_bits(self) -> int:
        """Address bits of a node in its tree."""
        return self.rounds if self.rounds > 1 else 0

    @property
    def shared(self) -> bool:
        """Whether all rows read the same word."""
        return self.known + self.node_bits == 0

    def images(self, params: ThresholdParams, index: int) -> list[MemoryImage]:
        """The memories: one, or one for each row. Address: fold, known bits, node; the node's bits lowest."""
        bits, name = params.code_bits, f"{params.name}_thresholds_{index}"
        # A code of c or more is a count that has reached threshold c - 1; beyond T there is none to reach.
        thresholds = np.full((params.folds, params.pe, 1 << bits), params.p_max + 1, dtype=np.int64)
        thresholds[:, :, 1 : params.levels + 1] = params.padded
        table = np.full((params.folds, params.pe, 1 << self.known, 1 << self.rounds), params.p_max + 1, dtype=np.int64)
        for node in range(1, 1 << self.rounds):
            depth = node.bit_length() - 1  # bits found above the node; the candidate sets the next one
            found = node - (1 << depth)
            below = bits - self.known - depth - 1
            prefix = np.arange(1 << self.known) << depth | found
            table[:, :, :, node] = thresholds[:, :, (prefix << 1 | 1) << below]
        if not self.node_bits:
            table = table[:, :, :, 1:]
        words = table.transpose(1, 0, 2, 3).reshape(params.pe, -1)
        if self.shared:
            return [MemoryImage.of_fields(name, words.T, params.threshold_bits)]
        return [
            MemoryImage.of_fields(f"{name}_{row}", words[row, :, None], params.threshold_bits)
            for row in range(params.pe)
        ]


def search_stages(params: ThresholdParams) -> list[SearchStage]:
    """The stages, most significant bits first."""
    bits, rounds = params.code_bits, params.search_rounds
    return [SearchStage(known, min(rounds, bits - known)) for known in range(0, bits, rounds)]


class SearchUnit(wiring.Component):
    """code[r] = #{i : count[r] >= threshold[fold, r, i]}, bit by bit from the most significant one.

    T thresholds need bit_length(T) comparisons. Where beats come in every cycle each is a stage of its own, with a
    comparator and a small memory for every row; where they come every SF cycles a stage takes up to SF comparisons one
    after another with the same comparator and memory. Repeated thresholds, thresholds that nothing reaches and numbers
    of thresholds other than 2^n - 1 need nothing special: codes that are not there are never reached.

    Folds come in order: each stage counts them itself. Neither side can stall.

    Latency: bit_length(T) + 1 clock cycles. A new beat is accepted every `params.search_rounds` cycles.

    Parameters and members: as of `ThresholdUnit`.
    """

    def __init__(
        self, params: ThresholdParams, memory: Memory = Memory.AUTO, *, lut6: bool = False, writable: bool = False
    ) -> None:
        self._params = params
        self._stages = search_stages(params)
        self._roms = [
            [Rom(image, memory, lut6=lut6, writable=writable) for image in stage.images(params, index)]
            for index, stage in enumerate(self._stages)
        ]
        self._directions = Directions(params, lut6=lut6, writable=writable)
        super().__init__(
            {
                "i": In(stream.Signature(params.pe * params.count_bits, always_ready=True)),
                "o": Out(stream.Signature(params.pe * params.code_bits, always_ready=True)),
            }
        )

    @property
    def params(self) -> ThresholdParams:
        """Thresholds, PE, folds."""
        return self._params

    @property
    def interval(self) -> int:
        """Cycles between two beats at the soonest."""
        return self._params.search_rounds

    @property
    def latency(self) -> int:
        """Cycles from a beat's counts to its codes."""
        return self._params.code_bits + 1

    @property
    def roms(self) -> tuple[Rom, ...]:
        """Thresholds stage by stage, and directions where rows have them."""
        return *(rom for roms in self._roms for rom in roms), *self._directions.roms

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        return memories_of(self.roms)

    def elaborate(self, platform: object) -> Module:
        """Stage behind stage; each hands on counts and the bits found so far in the cycle it finds its last one."""
        m = Module()
        p = self._params
        valid: Value = self.i.valid
        counts = [self.i.payload.word_select(row, p.count_bits) for row in range(p.pe)]
        found: list[Value] = [Cat() for _ in range(p.pe)]
        for index in range(len(self._stages)):
            valid, counts, found = self._stage(m, index, valid, counts, found)
        codes = Signal(p.pe * p.code_bits)
        m.d.sync += self.o.valid.eq(valid)
        with m.If(valid):
            m.d.sync += codes.eq(Cat(found))
        m.d.comb += self.o.payload.eq(self._directions.applied(m, codes, self.o.valid))
        return m

    def _stage(
        self, m: Module, index: int, valid: Value, counts: list[Value], known: list[Value]
    ) -> tuple[Value, list[Value], list[Value]]:
        """One stage: valid, counts and bits found, of the beat that it is done with."""
        p, stage, roms = self._params, self._stages[index], self._roms[index]

        # The words of a beat's first comparison are addressed in the cycle it enters, the others as its bits appear.
        running = Signal(stage.rounds, name=f"running_{index}")  # bit r: comparison r of the beat held takes place
        m.d.sync += running.eq(Cat(valid, running[: stage.rounds - 1]))
        fold = Signal(range(p.folds), name=f"fold_{index}")
        # Comparison r addresses the word of the next; the beat's last word is addressed when all but one bit is there.
        with m.If(valid if stage.rounds == 1 else running[stage.rounds - 2]):
            m.d.sync += fold.eq(Mux(fold == p.folds - 1, 0, fold + 1))

        held_counts: list[Value] = []
        done: list[Value] = []
        for row in range(p.pe):
            count = Signal(p.count_bits, name=f"count_{index}_{row}", reset_less=True)
            before = Signal(stage.known, name=f"known_{index}_{row}", reset_less=True)
            node = Signal(stage.rounds, name=f"node_{index}_{row}", reset_less=True)
            with m.If(valid):
                m.d.sync += [count.eq(counts[row]), before.eq(known[row])]
            rom = roms[0 if stage.shared else row]
            threshold = rom.data.word_select(row if stage.shared else 0, p.threshold_bits)
            reached = Signal(name=f"reached_{index}_{row}")
            m.d.comb += reached.eq(count >= threshold)
            onward = Cat(reached, node)  # the node's number has a leading 1: it falls off with the last bit
            m.d.sync += node.eq(Mux(valid, 1, onward))
            if not stage.shared or row == 0:
                address = Cat(Mux(valid, 1, onward)[: stage.node_bits], Mux(valid, known[row], before), fold)
                m.submodules[f"level_{index}" if stage.shared else f"level_{index}_{row}"] = rom
                m.d.comb += rom.addr.eq(address)
            held_counts.append(count)
            done.append(Cat(onward[: stage.rounds], before))
        return running[-1], held_counts, done
