"""Scores and the class: an affine function of the last engine's counts, and the first largest."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...compiler.folds.folding import Memory
from ..dot.params import ScoreParams
from ..dot.rom import Rom
from ..streams.axi import result_layout
from ..streams.stream import beat_signature
from ..timing.frames import Cell, Pipe

__all__ = ["ScoreUnit"]


class ScoreUnit(wiring.Component):
    """score[c] = (multiplier[c] * P[c] << shift) + offset[c] for `lanes` classes a cycle, and the first largest.

    One beat in a cycle, one beat out a frame. Products are registered, and no multiplier is built where all are 1;
    the lanes are compared in a registered tree, and its winner with the best class so far.

    Latency: `latency` cycles from a frame's last beat in to its beat out. A stalled output stalls the pipeline:
    `i.ready` follows `o.ready` combinationally.

    Parameters
    ----------
    params: multipliers, offsets, lanes.
    with_scores: whether results carry the scores beside the class.

    Members
    -------
    i: In(stream), `lanes` counts a beat.
    o: Out(stream of result_layout), one beat a frame.
    """

    def __init__(self, params: ScoreParams, *, with_scores: bool = True) -> None:
        self._params = params
        self._with_scores = with_scores
        self._rom = Rom(
            params.image, Memory.LUT, writable=params.writable
        )  # a few words: a block RAM would be wasted on them
        super().__init__(
            {
                "i": In(beat_signature(params.lanes, params.count_bits)),
                "o": Out(stream.Signature(result_layout(params.classes, params.score_bits if with_scores else None))),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a frame's last beat in to its beat out."""
        return self._params.multiplies + 1 + (self._params.lanes - 1).bit_length() + 1

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        return (Pipe(self._params.beats, self.latency),)

    @property
    def roms(self) -> tuple[Rom, ...]:
        """The constants."""
        return (self._rom,)

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        return self._rom.memories

    def elaborate(self, platform: object) -> Module:
        """A pipeline with one enable: products, scores, a tree over the lanes, the best so far."""
        m = Module()
        p = self._params
        m.submodules.constants = self._rom
        advance = Signal()
        m.d.comb += [advance.eq(~self.o.valid | self.o.ready), self.i.ready.eq(advance)]

        def stage(value: Value, name: str) -> Signal:
            held = Signal(value.shape(), name=name)
            with m.If(advance):
                m.d.sync += held.eq(value)
            return held

        # The memory is read a cycle ahead: it shows the constants of the beat that may come.
        beat, following = Signal(range(p.beats)), Signal(range(p.beats))
        final = Signal()
        m.d.comb += [
            final.eq(beat == p.beats - 1),
            following.eq(Mux(self.i.valid & advance, Mux(final, 0, beat + 1), beat)),
            self._rom.addr.eq(following),
        ]
        m.d.sync += beat.eq(following)

        counts = [self.i.payload.word_select(lane, p.count_bits) for lane in range(p.lanes)]
        offsets, multipliers = self._constants()
        valid, last = self.i.valid, final
        if p.multiplies:
            counts = [stage(c * f, f"product_{i}") for i, (c, f) in enumerate(zip(counts, multipliers, strict=True))]
            offsets = [stage(offset, f"offset_{lane}") for lane, offset in enumerate(offsets)]
            valid, last = stage(valid, "product_valid"), stage(last, "product_last")
        sums = [(count << p.shift) + offset for count, offset in zip(counts, offsets, strict=True)]
        scores: list[Value] = [stage(s[: p.score_bits].as_signed(), f"score_{lane}") for lane, s in enumerate(sums)]
        valid, last = stage(valid, "score_valid"), stage(last, "score_last")

        # The tree over the lanes: a later lane must be larger to win.
        leaders = [(score, Value.cast(lane)) for lane, score in enumerate(scores)]
        level = 0
        while len(leaders) > 1:
            winners: list[tuple[Value, Value]] = []
            for index in range(0, len(leaders), 2):
                (score, lane), (rival, rival_lane) = leaders[index], leaders[min(index + 1, len(leaders) - 1)]
                wins = Signal(name=f"wins_{level}_{index // 2}")
                m.d.comb += wins.eq(rival > score)
                best = stage(Mux(wins, rival, score), f"leader_{level}_{index // 2}_score")
                winners.append((best, stage(Mux(wins, rival_lane, lane), f"leader_{level}_{index // 2}_lane")))
            leaders = winners
            scores = [stage(score, f"score_{lane}_{level}") for lane, score in enumerate(scores)]
            valid, last = stage(valid, f"leaders_valid_{level}"), stage(last, f"leaders_last_{level}")
            level += 1
        ((score, lane),) = leaders

        # The best so far: a frame's first beat always leads, a later one must be larger.
        first = Signal(init=1)
        base = Signal(range(p.beats * p.lanes))
        best_score, best_class = Signal(signed(p.score_bits)), Signal(p.class_bits)
        collected = Signal(p.beats * p.lanes * p.score_bits)
        with m.If(advance):
            m.d.sync += self.o.valid.eq(valid & last)
            with m.If(valid):
                m.d.sync += [
                    first.eq(last),
                    base.eq(Mux(last, 0, base + p.lanes)),
                    collected.eq(Cat(collected, *scores)[p.lanes * p.score_bits :]),
                ]
                with m.If(first | (score > best_score)):
                    m.d.sync += [best_score.eq(score), best_class.eq(base + lane)]
        m.d.comb += self.o.payload.class_index.eq(best_class)
        if self._with_scores:
            m.d.comb += Value.cast(self.o.payload.scores).eq(collected)
        return m

    def _constants(self) -> tuple[list[Value], list[Value]]:
        """Each lane's offset and, where it has one, multiplier in the memory's word."""
        p = self._params
        size = p.image.width // p.lanes
        words = [self._rom.data.word_select(lane, size) for lane in range(p.lanes)]
        offsets = [word[: p.score_bits].as_signed() for word in words]
        return offsets, [word[p.score_bits :].as_signed() for word in words] if p.multiplies else []
