"""The whole accelerator: one engine a layer, joined by streams, AXI4-Stream at the boundary."""

from enum import StrEnum
from typing import TypeAlias

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.stream import Interface
from amaranth.lib.wiring import In, Out

from ..compiler.folding import Folding
from ..compiler.ir import IntegerNetwork
from ..compiler.plan import (
    ConverterPart,
    EnginePart,
    InputPart,
    PoolPart,
    ResultPart,
    ScoresPart,
    WindowPart,
    plan_parts,
)
from ..errors import HardwareError
from .axi import InputAdapter, OutputAdapter, data_width
from .constants import engine_params, score_params
from .converter import FrameWidthConverter
from .engine import Engine
from .line_depths import line_depths, pool_params, window_params
from .pool import Pool
from .scores import ScoreUnit
from .window import SlidingWindow

__all__ = ["Accelerator", "Results"]

StreamPart: TypeAlias = Engine | SlidingWindow | Pool | FrameWidthConverter | ScoreUnit


class Results(StrEnum):
    """What a result carries: the class and all scores, or the class alone."""

    SCORES = "scores"
    CLASS = "class"


class Accelerator(wiring.Component):
    """One frame of input codes in, one beat with the class and the scores out; every layer works at once.

    The submodules are `input_adapter`, an engine by each dot product's name, `<conv>_window` in front of one that
    convolves, a pool and the score unit by their nodes' names, `output_adapter`, and `<a>_to_<b>` where a converter
    stands between beats of different widths. Each engine's output stream is on the top-level wires `<sink>_valid`,
    `<sink>_ready`, `<sink>_payload` for benches to watch.

    Throughput: a frame every `compiler.cycles.initiation_interval(network, folding)` cycles.

    Parameters
    ----------
    network, folding: what to build.
    results: what a result carries.
    popcount_stages: registers inside each popcount.

    Members
    -------
    s_axis_tdata, s_axis_tvalid, s_axis_tlast: In, s_axis_tready: Out; see `axi.InputAdapter`.
    m_axis_tdata, m_axis_tvalid, m_axis_tlast: Out, m_axis_tready: In; see `axi.OutputAdapter`.
    short_frame, long_frame: Out(1), a frame of the wrong length has come since reset.
    """

    def __init__(
        self,
        network: IntegerNetwork,
        folding: Folding,
        *,
        results: Results = Results.SCORES,
        popcount_stages: int = 1,
    ) -> None:
        parts = plan_parts(network, folding)
        stages = list(network.stages())
        depths = line_depths(parts, max(part.cycles for part in parts))
        self.engines: dict[str, Engine] = {}
        self.windows: dict[str, SlidingWindow] = {}
        self._chain: list[tuple[str, StreamPart]] = []
        for part in parts:
            match part:
                case EnginePart():
                    params = engine_params(part.stage, part.fold, folding.popcount, popcount_stages)
                    sink = (part.stage.sink or part.stage.dot).name
                    self.engines[sink] = Engine(params)
                    self._chain.append((part.name, self.engines[sink]))
                case WindowPart():
                    unit = SlidingWindow(window_params(part), depth=depths[part.name])
                    self.windows[part.dot] = unit
                    self._chain.append((part.name, unit))
                case PoolPart():
                    self._chain.append((part.name, Pool(pool_params(part), depth=depths.get(part.name))))
                case ConverterPart():
                    lanes = {"lanes_in": part.lanes_in, "lanes_out": part.lanes_out}
                    self._chain.append((part.name, FrameWidthConverter(part.elements, part.bits, **lanes)))
                case InputPart():
                    self._input = InputAdapter(part.elements, part.bits, lanes=part.lanes)
                    self.input_part = part
                case ScoresPart() | ResultPart():
                    pass  # one each, at the end
        self._with_scores = results is Results.SCORES
        self.score_params = score_params(stages[-1], network.scores, folding.score_lanes)
        self._scores = ScoreUnit(self.score_params, with_scores=self._with_scores)
        self._output = OutputAdapter(
            self.score_params.classes, self.score_params.score_bits if self._with_scores else None
        )
        super().__init__(
            {
                "s_axis_tdata": In(len(self._input.s_axis_tdata)),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "s_axis_tlast": In(1),
                "m_axis_tdata": Out(len(self._output.m_axis_tdata)),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "m_axis_tlast": Out(1),
                "short_frame": Out(1),
                "long_frame": Out(1),
            }
        )

    @property
    def class_bytes(self) -> int:
        """Bytes of a result's class."""
        return data_width(self.score_params.class_bits) // 8

    @property
    def score_bytes(self) -> int:
        """Bytes of each of a result's scores; 0 where it carries none."""
        return data_width(self.score_params.score_bits) // 8 if self._with_scores else 0

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        parts: tuple[Engine | ScoreUnit, ...] = (*self.engines.values(), self._scores)
        return {name: text for part in parts for name, text in part.memories.items()}

    @property
    def parts(self) -> dict[str, wiring.Component]:
        """The submodules by name, in stream order."""
        chain = ((name.replace(" ", "_"), part) for name, part in self._chain)
        scores = (self.score_params.name, self._scores)
        return dict((("input_adapter", self._input), *chain, scores, ("output_adapter", self._output)))

    def elaborate(self, platform: object) -> Module:
        """A chain of streams."""
        m = Module()

        def place(name: str, part: wiring.Component) -> None:
            if name in placed:
                raise HardwareError(f"a node must not be named {name!r}: the accelerator has a part of that name")
            placed.add(name)
            m.submodules[name] = part

        placed: set[str] = set()
        adapter, output, scores = self._input, self._output, self._scores
        place("input_adapter", adapter)
        place("output_adapter", output)
        for port in ("s_axis_tdata", "s_axis_tvalid", "s_axis_tlast"):
            m.d.comb += getattr(adapter, port).eq(getattr(self, port))
        m.d.comb += [
            self.s_axis_tready.eq(adapter.s_axis_tready),
            self.short_frame.eq(adapter.short_frame),
            self.long_frame.eq(adapter.long_frame),
        ]

        sinks = {id(engine): sink for sink, engine in self.engines.items()}
        stream = adapter.o
        for name, part in (*self._chain, (self.score_params.name, scores)):
            place(name.replace(" ", "_"), part)
            wiring.connect(m, stream, part.i)
            stream = self._tapped(m, sinks[id(part)], part) if isinstance(part, Engine) else part.o
        wiring.connect(m, stream, output.i)
        for port in ("m_axis_tdata", "m_axis_tvalid", "m_axis_tlast"):
            m.d.comb += getattr(self, port).eq(getattr(output, port))
        m.d.comb += output.m_axis_tready.eq(self.m_axis_tready)
        return m

    def _tapped(self, m: Module, sink: str, engine: Engine) -> Interface:
        """The engine's output stream, passing through wires of this module under names a bench can rely on."""
        valid, ready = Signal(name=f"{sink}_valid"), Signal(name=f"{sink}_ready")
        payload = Signal(len(engine.o.payload), name=f"{sink}_payload")
        tap: Interface = engine.o.signature.create()
        m.d.comb += [valid.eq(engine.o.valid), payload.eq(engine.o.payload), engine.o.ready.eq(ready)]
        m.d.comb += [tap.valid.eq(valid), tap.payload.eq(payload), ready.eq(tap.ready)]
        return tap
