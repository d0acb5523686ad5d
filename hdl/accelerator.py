"""The whole accelerator: one engine a layer, joined by streams, AXI4-Stream at the boundary."""

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.stream import Interface
from amaranth.lib.wiring import In, Out

from ..compiler.folds.folding import Folding
from ..compiler.ir import IntegerNetwork
from ..compiler.schedule.parts import InputPart, Part, ResultPart, WindowPart
from ..compiler.schedule.plan import plan_parts
from ..errors import HardwareError
from .activations.scores import ScoreUnit
from .activations.unit import StreamActivation
from .components import COMPONENTS, Component, Design, with_buffers
from .dot.engine import Engine
from .dot.rom import MemoryImage, Rom
from .maps.line_depths import line_depths
from .maps.pool import Pool
from .maps.window import SlidingWindow
from .recurrent.layer import RecurrentLayer
from .streams.axi import InputAdapter, OutputAdapter, data_width
from .streams.axi_lite import AxiLiteSlave, Region, address_map, axi_lite_ports
from .streams.broadcast import Broadcast
from .streams.buffer import StreamBuffer, StreamFifo
from .streams.join import StreamAdd, StreamConcat
from .streams.sequences import SequenceFlags
from .streams.weight_stream import stream_port, streamed_weights

__all__ = ["Accelerator", "Results"]

T = TypeVar("T")
MEMORIES = (Engine, StreamActivation, RecurrentLayer, ScoreUnit)  # what reads files


class Results(StrEnum):
    """What a result carries: the class and all scores, or the class alone."""

    SCORES = "scores"
    CLASS = "class"


class Accelerator(wiring.Component):
    """One frame of input codes in, one beat with the class and the scores out; every layer works at once.

    The submodules are `input_adapter`, an engine by each dot product's name, `<conv>_window` in front of one that
    convolves, a pool, an activation of its own, a sum, a concatenation and the score unit by their nodes' names,
    `output_adapter`, `<a>_to_<b>` where a converter stands between beats of different widths, `<a>_fork` behind what
    several read, and `<a>_to_<b>_fifo` where one branch waits for another. The streams of the plan's taps are on the
    top-level wires `<tap>_valid`, `<tap>_ready`, `<tap>_payload` for benches to watch, and how many beats each line
    buffer and FIFO holds on `<submodule>_level`.

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
    s_axil_*: AXI4-Lite, where layers have `weights: axi`; see `axi_lite.AxiLiteSlave` and `regions`. What is written
    takes effect at once: no frame may be under way.
    s_axis_<layer>_tdata, s_axis_<layer>_tvalid: In, s_axis_<layer>_tready: Out, for layers with `weights: stream`; see
    `weight_stream`. The layer waits for them; the throughput holds where they come as fast.
    """

    def __init__(
        self,
        network: IntegerNetwork,
        folding: Folding,
        *,
        results: Results = Results.SCORES,
        popcount_stages: int = 1,
    ) -> None:
        self.plan = plan_parts(network, folding, popcount_stages)
        self.interval = max(part.cycles for part in self.plan.parts)
        self._with_scores = results is Results.SCORES
        design = Design(network, folding, self._with_scores, popcount_stages, {})
        self.score_params = design.score_params
        fixed = {part.name: _component(part, design) for part in self.plan.parts if not with_buffers(part)}
        latencies = {name: part.latency for name, part in fixed.items() if isinstance(part, Engine | StreamActivation)}
        design = replace(design, depths=line_depths(self.plan, self.interval, latencies))
        self._components = {
            part.name: fixed[part.name] if part.name in fixed else _component(part, design) for part in self.plan.parts
        }
        self.input_part = next(part for part in self.plan.parts if isinstance(part, InputPart))
        self._input = self._only(InputAdapter)
        self._output = self._only(OutputAdapter)
        self._slave = (
            AxiLiteSlave(address_map((n, i.depth, i.width) for n, i in self.images.items())) if self.images else None
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
                **(axi_lite_ports("s_axil", self._slave.address_bits) if self._slave is not None else {}),
                **{
                    f"{stream_port(layer)}_{name}": member
                    for layer, beats in self.weight_streams.items()
                    for name, member in (("tdata", In(beats.width)), ("tvalid", In(1)), ("tready", Out(1)))
                },
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
        parts = (part for part in self._components.values() if isinstance(part, MEMORIES))
        return {name: text for part in parts for name, text in part.memories.items()}

    @property
    def weight_streams(self) -> dict[str, MemoryImage]:
        """The beats that layers with `weights: stream` are to be sent for every vector, by the layer's name."""
        return streamed_weights(self.engines)

    @property
    def regions(self) -> tuple[Region, ...]:
        """Where the memories are that can be written at run time, by the names of their `images`."""
        return () if self._slave is None else self._slave.regions

    @property
    def images(self) -> dict[str, MemoryImage]:
        """The contents of the memories that can be written at run time, by name."""
        return {name: rom.image for name, rom in self.roms.items() if rom.writable}

    @property
    def roms(self) -> dict[str, Rom]:
        """The memories of engines, activations and scores by name."""
        parts = (part for part in self._components.values() if isinstance(part, Engine | StreamActivation | ScoreUnit))
        return {rom.image.name: rom for part in parts for rom in part.roms}

    @property
    def parts(self) -> dict[str, Component]:
        """The submodules by name, in topological order."""
        return {_module_name(part): self._components[part.name] for part in self.plan.parts}

    @property
    def has_sequences(self) -> bool:
        """Whether TLAST at the ports marks the ends of sequences, for recurrent layers."""
        return any(isinstance(part, RecurrentLayer) for part in self._components.values())

    @property
    def engines(self) -> dict[str, Engine]:
        """By the names of their dot products."""
        layers = {name: part.engine for name, part in self._components.items() if isinstance(part, RecurrentLayer)}
        return layers | {name: part for name, part in self._components.items() if isinstance(part, Engine)}

    @property
    def windows(self) -> dict[str, SlidingWindow]:
        """The sliding-window units by the names of their dot products."""
        units = ((part, self._components[part.name]) for part in self.plan.parts if isinstance(part, WindowPart))
        return {part.dot: unit for part, unit in units if isinstance(unit, SlidingWindow)}

    @property
    def buffers(self) -> dict[str, SlidingWindow | Pool | StreamFifo]:
        """The submodules with a line buffer, and the FIFOs."""
        kinds = (SlidingWindow, Pool, StreamFifo)
        return {name: part for name, part in self.parts.items() if isinstance(part, kinds) and part.depth}

    @property
    def reads(self) -> dict[str, tuple[str, ...]]:
        """For each submodule those whose streams it takes, in the order of its ports; see `Plan.reads` for forks."""
        names = {part.name: _module_name(part) for part in self.plan.parts}
        return {names[part]: tuple(names[source] for source in sources) for part, sources in self.plan.reads.items()}

    def elaborate(self, platform: object) -> Module:
        """Parts and the streams between them."""
        m = Module()

        def place(name: str, part: wiring.Component) -> None:
            if name in placed:
                raise HardwareError(f"a node must not be named {name!r}: the accelerator has a part of that name")
            placed.add(name)
            m.submodules[name] = part

        placed: set[str] = set()
        adapter, output = self._input, self._output
        place("input_adapter", adapter)
        place("output_adapter", output)
        for port in ("s_axis_tdata", "s_axis_tvalid", "s_axis_tlast"):
            m.d.comb += getattr(adapter, port).eq(getattr(self, port))
        m.d.comb += [
            self.s_axis_tready.eq(adapter.s_axis_tready),
            self.short_frame.eq(adapter.short_frame),
            self.long_frame.eq(adapter.long_frame),
        ]

        taps = {tap.part: tap.name for tap in self.plan.taps}
        streams: dict[str, Iterator[Interface]] = {}
        for part in self.plan.parts:
            component = self._components[part.name]
            if component is not adapter and component is not output:
                place(_module_name(part), component)
            for source, port in zip(self.plan.reads[part.name], _inputs(component), strict=True):
                wiring.connect(m, next(streams[source]), port)
            outputs = _outputs(component)
            if part.name in taps:
                (stream,) = outputs
                outputs = (self._tapped(m, taps[part.name], stream),)
            streams[part.name] = iter(outputs)
        for name, buffer in self.buffers.items():
            m.d.comb += Signal(range(buffer.depth + 1), name=f"{name}_level").eq(buffer.level)
        self._flag_sequences(m)
        if self._slave is not None:
            self._place_slave(m, self._slave)
        for layer in self.weight_streams:
            self._place_weights(m, layer, self.engines[layer])
        for port in ("m_axis_tdata", "m_axis_tvalid", "m_axis_tlast"):
            m.d.comb += getattr(self, port).eq(getattr(output, port))
        m.d.comb += output.m_axis_tready.eq(self.m_axis_tready)
        return m

    def _place_weights(self, m: Module, layer: str, engine: Engine) -> None:
        """A register slice between the port of a layer's weights and its engine."""
        width, port = len(engine.w.payload), stream_port(layer)
        m.submodules[f"{layer}_weights_in"] = buffer = StreamBuffer(width)
        m.d.comb += [
            buffer.i.payload.eq(getattr(self, f"{port}_tdata")[:width]),
            buffer.i.valid.eq(getattr(self, f"{port}_tvalid")),
            getattr(self, f"{port}_tready").eq(buffer.i.ready),
        ]
        wiring.connect(m, buffer.o, engine.w)

    def _place_slave(self, m: Module, slave: AxiLiteSlave) -> None:
        """The port to the memories, and what its registers tell."""
        m.submodules.axi_lite = slave
        for name, member in axi_lite_ports("s_axil", slave.address_bits).items():
            inner, outer = getattr(slave, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        m.d.comb += [
            slave.short_frame.eq(self.short_frame),
            slave.long_frame.eq(self.long_frame),
            slave.frame.eq(self.m_axis_tvalid & self.m_axis_tready & self.m_axis_tlast),
        ]
        roms = self.roms
        for region in slave.regions:
            slave.connect(m, region, roms[region.name])

    def _flag_sequences(self, m: Module) -> None:
        """Each frame's flag, whether it ends its sequence, from the input to the recurrent layers and to the output."""
        layers = [part for part in self._components.values() if isinstance(part, RecurrentLayer)]
        if not layers:
            return
        # Frames under way: no part takes in more than two before it gives one, beside its pipeline.
        latencies = sum(engine.latency for engine in self.engines.values())
        depth = 4 * len(self.plan.parts) + -(-latencies // self.interval)
        m.submodules.sequence_flags = flags = SequenceFlags(len(layers) + 1, depth=depth)
        wiring.connect(m, self._input.ends, flags.i)
        for reader, port in zip((*(layer.last for layer in layers), self._output.last), flags.o, strict=True):
            wiring.connect(m, port, reader)

    def _tapped(self, m: Module, name: str, stream: Interface) -> Interface:
        """A stream, passing through wires of this module under names a bench can rely on."""
        valid, ready = Signal(name=f"{name}_valid"), Signal(name=f"{name}_ready")
        payload = Signal(len(stream.payload), name=f"{name}_payload")
        tap: Interface = stream.signature.create()
        m.d.comb += [valid.eq(stream.valid), payload.eq(stream.payload), stream.ready.eq(ready)]
        m.d.comb += [tap.valid.eq(valid), tap.payload.eq(payload), ready.eq(tap.ready)]
        return tap

    def _only(self, kind: type[T]) -> T:
        (part,) = (part for part in self._components.values() if isinstance(part, kind))
        return part


def _component(part: Part, design: Design) -> Component:
    return COMPONENTS[type(part)](part, design)


def _module_name(part: Part) -> str:
    match part:
        case InputPart():
            return "input_adapter"
        case ResultPart():
            return "output_adapter"
    return part.name.replace(" ", "_")


def _inputs(component: Component) -> tuple[Interface, ...]:
    """The streams that a component takes, in the order of its ports."""
    match component:
        case InputAdapter():
            return ()
        case StreamAdd() | StreamConcat():
            return component.inputs
    return (component.i,)


def _outputs(component: Component) -> tuple[Interface, ...]:
    """The streams that a component gives."""
    match component:
        case OutputAdapter():
            return ()
        case Broadcast():
            return tuple(component.o)
    return (component.o,)
