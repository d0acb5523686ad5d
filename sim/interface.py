"""What a bench has to know of an accelerator: its ports and the streams it can watch."""

from dataclasses import dataclass

from ..hdl.manifest import Manifest
from ..hdl.streams.weight_stream import stream_port

__all__ = ["Buffer", "Interface", "Stream"]


@dataclass(frozen=True, slots=True)
class Stream:
    """Frames of `elements` elements, `lanes` a beat, `bits` bits each; `name` of its vector file and log lines.

    vectors: equal parts of a frame, the pixels of a map, that begin on a beat of their own.
    node: the node of the network whose values it carries; width: wires of the payload (TDATA: whole bytes).
    wires: what stands in front of the names of its wires in the accelerator, for a stream inside. counts: whether it
    carries counts of the popcount domain, where the node yields accumulators.
    """

    name: str
    node: str
    elements: int
    lanes: int
    bits: int
    width: int
    vectors: int = 1
    wires: str = ""
    counts: bool = False

    @property
    def vector_beats(self) -> int:
        """Beats a vector."""
        return -(-self.elements // self.vectors // self.lanes)

    @property
    def beats(self) -> int:
        """Beats a frame."""
        return self.vectors * self.vector_beats


@dataclass(frozen=True, slots=True)
class Buffer:
    """A line buffer or a FIFO of `depth` beats; `level` is the accelerator's wire that says how many it holds."""

    name: str
    depth: int
    level: str


@dataclass(frozen=True, slots=True)
class Interface:
    """Ports, taps and timing of one generated accelerator.

    class_bits, score_bits: widths of the fields of a result, score_bits 0 where it carries the class alone.
    interleave: sequences that take turns, a frame of each; 0 where frames are no steps of sequences.
    idle: inputs of an AXI4-Lite port, which a bench leaves alone. weights: of layers that take them from outside, a
    vector a frame, `wires` being the port and `name` the file beside the memories that has the beats.
    engines: their number. bound: the initiation interval in cycles; cycles: of all engines together.
    """

    module: str
    input: Stream
    taps: tuple[Stream, ...]
    classes: int
    class_bits: int
    score_bits: int
    engines: int
    bound: int
    cycles: int
    buffers: tuple[Buffer, ...] = ()
    interleave: int = 0
    idle: tuple[str, ...] = ()
    weights: tuple[Stream, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest) -> "Interface":
        """The interface that a design's manifest describes."""
        lanes, bits = manifest.input_lanes, manifest.input_bits
        width = next(port.width for port in manifest.ports if port.name == "s_axis_tdata")
        return cls(
            module=manifest.top,
            input=Stream("input", "input", manifest.frame_elements, lanes, bits, width),
            taps=tuple(
                Stream(
                    name=f"tap_{tap.name}",
                    node=tap.node,
                    elements=tap.elements,
                    lanes=tap.lanes,
                    bits=tap.bits,
                    width=tap.lanes * tap.bits,
                    vectors=tap.vectors,
                    wires=tap.name,
                    counts=tap.kind == "counts",
                )
                for tap in manifest.taps
            ),
            classes=len(manifest.result.class_names),
            class_bits=8 * manifest.result.class_bytes,
            score_bits=8 * manifest.result.score_bytes,
            engines=len(manifest.engines),
            bound=manifest.initiation_interval,
            cycles=sum(engine.cycles for engine in manifest.engines),
            interleave=manifest.interleave,
            idle=tuple(
                port.name for port in manifest.ports if port.name.startswith("s_axil_") and port.direction == "input"
            ),
            weights=_weights(manifest),
            buffers=tuple(Buffer(entry.name, entry.depth, entry.level) for entry in manifest.buffers),
        )

    @property
    def result_width(self) -> int:
        """Bits of a result's TDATA."""
        return self.class_bits + self.classes * self.score_bits


def _weights(manifest: Manifest) -> tuple[Stream, ...]:
    """Streams of weights: a port, and how many beats it takes for a vector."""
    widths = {port.name: port.width for port in manifest.ports}
    return tuple(
        Stream(f"{e.dot}_weight_stream", e.dot, beats, 1, width, width, vectors=beats, wires=stream_port(e.dot))
        for e in manifest.engines
        for beats in (e.nf * e.sf * e.planes_in_time,)
        if (width := widths.get(f"{stream_port(e.dot)}_tdata"))
    )
