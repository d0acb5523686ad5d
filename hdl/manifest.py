"""manifest.json of a design folder: what was generated, from what, and how it looks from outside.

Under the key `seal` stands the hash of all the rest: benches, reports and drivers believe the numbers, and a number
changed by hand would contradict the Verilog, or others.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..config import from_mapping, to_mapping
from ..errors import UsageError
from ..link.frames import FrameFormat

__all__ = [
    "FILE",
    "FORMAT",
    "VERSION",
    "BufferEntry",
    "EngineEntry",
    "Manifest",
    "PortEntry",
    "RegionEntry",
    "ResultEntry",
    "SourceEntry",
    "StageEntry",
    "TapEntry",
    "load_manifest",
    "manifest_text",
]

FILE = "manifest.json"  # in a design folder
FORMAT: Literal["xnorflow-design"] = "xnorflow-design"
VERSION = 8

_SEAL = "seal"


def _positive(entry: object, *names: str) -> None:
    """UsageError unless these fields are 1 or more."""
    for name in names:
        value = getattr(entry, name)
        if value < 1:
            raise UsageError(f"{name} must be a positive whole number, not {value}; generate the design anew")


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """What the design was made of: the network (the hash its file carries), board and clock, and with which tools."""

    network_hash: str
    board: str
    clock_hz: int
    tools: Mapping[str, str]

    def __post_init__(self) -> None:
        _positive(self, "clock_hz")


@dataclass(frozen=True, slots=True)
class PortEntry:
    """A port of the top module."""

    name: str
    direction: Literal["input", "output"]
    width: int

    def __post_init__(self) -> None:
        _positive(self, "width")


@dataclass(frozen=True, slots=True)
class ResultEntry:
    """A result's TDATA: the class in the lowest class_bytes, then each class's score in score_bytes (0: none)."""

    class_names: tuple[str, ...]
    class_bytes: int
    score_bytes: int


@dataclass(frozen=True, slots=True)
class TapEntry:
    """A stream inside, on wires of the top module: `elements` a frame, `lanes` a beat of `bits` bits each.

    name: of the stream, in front of the wires' names; node: the node whose values it carries. The two differ where an
    engine's counts go to the score unit: that stream is called after the scores.
    A frame is `vectors` vectors of equal length, the pixels of a map, each in whole beats; `beats` are a frame's.
    kind: codes, or counts P of the popcount domain (sums of codes too), acc = alpha * P + beta[n].
    """

    name: str
    node: str
    valid: str
    ready: str
    payload: str
    kind: Literal["codes", "counts"]
    elements: int
    vectors: int
    lanes: int
    beats: int
    bits: int

    def __post_init__(self) -> None:
        _positive(self, "elements", "vectors", "lanes", "beats", "bits")
        each, rest = divmod(self.elements, self.vectors)
        if rest or self.beats != self.vectors * -(-each // self.lanes):
            raise UsageError(
                f"beats {self.beats} do not carry {self.elements} elements in {self.vectors} vectors, "
                f"{self.lanes} a beat; generate the design anew"
            )


@dataclass(frozen=True, slots=True)
class BufferEntry:
    """A line buffer or a FIFO of `depth` beats, by the name of its submodule. level: the wire of the top module that
    says how many it holds."""

    name: str
    depth: int
    level: str


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """One engine: its nodes, matrix, folding, memories and the files these are loaded from.

    kind: of the dot product's node. sink: name of the tap on its output (behind its pools). cycles: a frame, so many
    vectors times NF * SF * planes in time. line_buffer: beats that the sliding-window unit in front holds, 0 where
    there is none. latency: cycles from the issue of a fold's last step to its beat at the output.
    """

    dot: str
    kind: Literal["dense", "conv2d", "rnn", "lstm"]
    sink: str
    rows: int
    columns: int
    activation_bits: int
    pe: int
    simd: int
    nf: int
    sf: int
    planes_in_time: int
    cycles: int
    memory: str
    memory_files: tuple[str, ...]
    latency: int
    line_buffer: int

    def __post_init__(self) -> None:
        _positive(self, "rows", "columns", "activation_bits", "pe", "simd", "nf", "sf", "planes_in_time", "cycles")


@dataclass(frozen=True, slots=True)
class StageEntry:
    """A stage's bound in cycles a frame."""

    name: str
    kind: str
    cycles: int


@dataclass(frozen=True, slots=True)
class RegionEntry:
    """A memory that the AXI4-Lite port writes: `depth` words of `width` bits from byte address `base` on.

    Word w, bits 32 p and up, lies at base + 4 * (w * stride + p), stride being ceil(width / 32) rounded up to a power
    of two. Address 0 is the status (bit 0: short_frame, bit 1: long_frame), address 4 the results since reset.
    """

    name: str
    base: int
    depth: int
    width: int

    def __post_init__(self) -> None:
        _positive(self, "depth", "width")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A design. files: path below the design folder -> SHA-256, of every file that `write_design` wrote beside it.

    interleave: sequences that take turns on the ports, a frame of each; 0 where frames are no steps of sequences.
    regions: empty where there is no AXI4-Lite port.
    memory_paths says where simulators and synthesis find the memory files that the Verilog names.
    """

    format: Literal["xnorflow-design"]
    version: int
    top: str
    source: SourceEntry
    ports: tuple[PortEntry, ...]
    frame_elements: int
    frame_beats: int
    input_lanes: int
    input_bits: int
    result: ResultEntry
    interleave: int
    popcount: str
    popcount_stages: int
    engines: tuple[EngineEntry, ...]
    taps: tuple[TapEntry, ...]
    buffers: tuple[BufferEntry, ...]
    regions: tuple[RegionEntry, ...]
    stages: tuple[StageEntry, ...]
    initiation_interval: int
    memory_paths: str
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise UsageError(f"design format {self.version}, but this program reads format {VERSION}: generate it anew")
        _positive(self, "frame_elements", "frame_beats", "input_lanes", "input_bits", "initiation_interval")

    @property
    def frames(self) -> FrameFormat:
        """What stands in a frame's and in a result's bytes."""
        width = next((port.width for port in self.ports if port.name == "s_axis_tdata"), 0)
        return FrameFormat(
            elements=self.frame_elements,
            lanes=self.input_lanes,
            bits=self.input_bits,
            beat_bytes=width // 8,
            class_names=self.result.class_names,
            class_bytes=self.result.class_bytes,
            score_bytes=self.result.score_bytes,
        )


def load_manifest(path: Path) -> Manifest:
    """The manifest in a JSON file, every key and type checked; UsageError in one line if anything is wrong."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}; is {path.parent} a design folder?") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    seal = plain.pop(_SEAL, None) if isinstance(plain, dict) else None
    manifest = from_mapping(Manifest, plain, str(path))
    if seal != _seal(manifest):
        raise UsageError(f"{path} was changed by hand; generate the design anew")
    return manifest


def manifest_text(manifest: Manifest) -> str:
    """The JSON text; the same manifest gives the same text."""
    return json.dumps({**to_mapping(manifest), _SEAL: _seal(manifest)}, indent=2) + "\n"


def _seal(manifest: Manifest) -> str:
    return hashlib.sha256(json.dumps(to_mapping(manifest), sort_keys=True).encode()).hexdigest()
