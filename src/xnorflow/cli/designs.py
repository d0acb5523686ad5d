"""Commands on hardware: boards, generate, simulate, report."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import HardwareError, UsageError
from .folds import print_occupancy
from .options import DataDir, Json, arithmetic_kind, popcount_kind
from .output import log, print_json, print_lines, print_table
from .progress import working

if TYPE_CHECKING:
    from ..flow import Generated

__all__ = ["boards", "build", "generate", "report", "simulate"]

Design = Annotated[Path, typer.Argument(help="Design folder that `generate` wrote.", metavar="DIR", show_default=False)]


def boards() -> None:
    """List the boards."""
    from ..boards.loader import list_boards

    for board in list_boards():
        print_lines(f"{board.name:16} {board.title}, {board.hz / 1e6:g} MHz")


def generate(
    file: Annotated[Path, typer.Argument(help="Network file (.safetensors).", metavar="FILE", show_default=False)],
    board: Annotated[str, typer.Option(help="Known board, or a YAML file.", metavar="NAME|FILE.yaml")] = "pynq-z1",
    folding: Annotated[
        Path | None,
        typer.Option(help="How many rows and columns work in a cycle. (default: solved)", metavar="FILE.yaml"),
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Fold for that many frames a second.", metavar="N")] = None,
    popcount: Annotated[
        str | None, typer.Option(help="How bits are counted, adders or lut6. (default: as folding or board say)")
    ] = None,
    arithmetic: Annotated[
        str | None, typer.Option(help="planes (XNOR and popcount) or mac (multipliers). (default: as the folding says)")
    ] = None,
    pipeline: Annotated[
        int, typer.Option(help="Registers from weights to counts: more for a faster clock.", min=1, max=64, metavar="N")
    ] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Design folder. (default: design beside FILE)", metavar="DIR")
    ] = None,
) -> None:
    """Write Verilog, memory contents, manifest and a self-contained bench."""
    from .. import flow

    kind = None if popcount is None else popcount_kind(popcount)
    generated = flow.generate(
        file,
        board=board,
        folding=folding,
        fps=fps,
        popcount=kind,
        arithmetic=None if arithmetic is None else arithmetic_kind(arithmetic),
        pipeline=pipeline,
        out=out,
    )
    print_generated(generated)


def print_generated(generated: "Generated") -> None:
    """The folding table, its warnings, and what the design promises."""
    from ..compiler.schedule.cycles import fold_table, waste_warnings
    from ..report.words import unit

    table = fold_table(generated.network, generated.folding)
    print_table(
        ("layer", "PE", "SIMD", "NF", "SF", "turns", "cycles", "busy", "padding", ""),
        [
            (
                row.layer,
                row.pe,
                row.simd,
                row.neuron_folds,
                row.synapse_folds,
                row.planes_in_time,
                row.cycles,
                f"{row.share:.0%}",
                f"{row.waste:.1%}",
                "slowest" if row.bottleneck else "",
            )
            for row in table
        ],
    )
    for warning in waste_warnings(table):
        log(f"warning: {warning}")
    cycles = generated.design.manifest.initiation_interval
    hertz = generated.board.hz
    print_lines(
        f"{generated.design.path}: one {unit(generated.design.manifest)} every {cycles:,} cycles, "
        f"{hertz / cycles:,.0f} a second at {hertz / 1e6:g} MHz ({generated.board.name})"
    )
    print_occupancy(generated.whole)
    if generated.slow is not None:
        log(f"warning: {generated.slow}")


def build(design: Design, as_json: Json = False) -> None:
    """Make the bitstream of a design for its board with the open tools; for Xilinx an estimate of its size."""
    from .. import flow

    with working(sys.stderr) as progress:
        result = flow.build(design, progress=progress)
    if as_json:
        print_json(result)
        return
    print_table(
        ("", "used", "available", "share"),
        [
            (name, f"{there.used:,}", f"{there.available:,}", f"{there.used / max(1, there.available):.0%}")
            for name, there in result.resources.items()
        ],
    )
    rate = f"{result.frames_per_s:,.0f} images a second inside the device"
    if result.bitstream is None or result.fmax_hz is None:
        print_lines(
            f"an estimate for {result.board} by Yosys' synthesis alone: no open tools place and route for it, so no "
            f"clock is known; {rate} at {result.clock_hz / 1e6:.6g} MHz, if Vivado meets it (scripts: {design}/board); "
            f"{result.seconds:.0f} s"
        )
    else:
        print_lines(
            f"{result.bitstream}: up to {result.fmax_hz / 1e6:.1f} MHz, the clock of {result.board} has "
            f"{result.clock_hz / 1e6:.6g} MHz; {rate}; {result.seconds:.0f} s"
        )


def simulate(
    design: Design,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set. (default: the one the network was trained on; random samples where there is none)",
            metavar="NAME",
        ),
    ] = None,
    samples: Annotated[
        Path | None, typer.Option(help="Send these samples: an .npy array, or a PNG image.", metavar="FILE")
    ] = None,
    images: Annotated[str, typer.Option(help="Take the first N test images.", metavar="N|all")] = "all",
    stalls: Annotated[
        int | None, typer.Option(help="Seed of random pauses at both ports.", min=0, metavar="SEED")
    ] = None,
    waves: Annotated[bool, typer.Option("--waves", help="Keep a waveform of the whole run.")] = False,
    layers: Annotated[bool, typer.Option("--layers", help="Check every layer's stream too.")] = False,
    gate_level: Annotated[
        bool, typer.Option("--gate-level", help="Simulate the synthesized netlist for the board; results alone.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Run a design in cocotb + Verilator and compare it with the golden model."""
    from .. import flow
    from ..hdl.manifest import FILE, load_manifest
    from ..report.words import unit, with_article

    result = flow.simulate(
        design,
        data=data,
        data_dir=data_dir,
        samples=samples,
        images=_count(images),
        stalls=stalls,
        waves=waves,
        layers=layers,
        gate_level=gate_level,
        progress=log,
    )
    if as_json:
        print_json(result)
    else:
        sent = str(samples) if samples else flow.sends(design, data)
        checked = f", {result.layers_checked} layers checked" if result.layers_checked else ""
        checked += f" through the netlist ({result.synth}), results alone" if result.synth else ""
        frame = unit(load_manifest(design / FILE))
        print_lines(
            f"{result.images:,} {frame}s{checked}: {result.mismatches:,} mismatches ({sent})",
            f"{_cycles(result.cycles_per_image)} cycles {with_article(frame)} (bound {result.bound_cycles:,}), "
            f"latency {_cycles(result.latency_cycles)} cycles",
            f"{result.kcycles_per_s:,.0f} kcycles/s, Verilator {result.verilator}",
        )
        if result.buffers:
            print_table(
                ("buffer", "beats", "most held"),
                [(buffer.name, f"{buffer.depth:,}", f"{buffer.most:,}") for buffer in result.buffers],
            )
        if result.modified:
            log(f"warning: not as generated: {', '.join(result.modified)}")
        if result.waveform:
            print_lines(f"waveform: {result.waveform}")
    if result.mismatches:
        raise HardwareError(
            f"{design} disagrees with the golden model: {result.mismatches:,} mismatches, the first a "
            f"{result.first_mismatch}"
        )


def report(
    design: Design,
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write. (default: DIR/report.html)", metavar="FILE.html")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Training run: adds its curves and PyTorch's scores.", metavar="RUN_DIR")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write the HTML report: accuracy, pipeline, digits, operations, memory, energy."""
    from .. import flow

    result = flow.report(design, out, run=run, data_dir=data_dir)
    if as_json:
        print_json(result)
    else:
        print_lines(str(result.path))


def _cycles(count: float | None) -> str:
    return "unknown" if count is None else f"{count:,.2f}".removesuffix(".00")


def _count(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise UsageError(f"--images takes a positive number or all, not {text!r}")
    return int(text)
