"""The command that folds a network onto a board."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json
from .output import log, print_json, print_lines, print_table

if TYPE_CHECKING:
    from ..compiler.cost.occupancy import Occupancy

__all__ = ["fold", "print_occupancy"]


def fold(
    file: Annotated[Path, typer.Argument(help="Network file (.safetensors).", metavar="FILE", show_default=False)],
    board: Annotated[str, typer.Option(help="Known board, or a YAML file.", metavar="NAME|FILE.yaml")] = "pynq-z1",
    fps: Annotated[float | None, typer.Option(help="At least so many frames a second.", metavar="N")] = None,
    cycles: Annotated[int | None, typer.Option(help="At most so many cycles a frame.", metavar="N")] = None,
    max_luts: Annotated[
        int | None,
        typer.Option(
            help="As fast as so many LUTs of engines allow. (default: what the board has room for)", metavar="N"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write the folding to this file, for `generate`.", metavar="FILE.yaml")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find PE, SIMD and memory of each layer: the least area for a rate, or the highest rate that fits."""
    from .. import flow

    folded = flow.fold(file, board=board, fps=fps, cycles=cycles, max_luts=max_luts, out=out)
    if as_json:
        print_json(folded)
        return
    columns = (
        "layer",
        "memory",
        "PE",
        "SIMD",
        "NF",
        "SF",
        "turns",
        "cycles",
        "busy",
        "padding",
        "LUTs",
        "kbit",
        "BRAM kbit",
        "",
    )
    rows: list[tuple[object, ...]] = [
        (
            *(layer.layer, layer.memory, layer.pe, layer.simd),
            *(layer.neuron_folds, layer.synapse_folds, layer.planes_in_time),
            *(f"{layer.cycles:,}", f"{layer.share:.0%}", f"{layer.waste:.1%}"),
            *(f"{layer.luts:,}", f"{layer.memory_kbit:,.1f}", f"{layer.block_kbit:,}"),
            "slowest" if layer.bottleneck else "",
        )
        for layer in folded.layers
    ]
    total = (f"{folded.luts:,}", f"{folded.memory_kbit:,.1f}", f"{folded.block_kbit:,}")
    print_table(columns, [*rows, ("total", *[""] * 6, f"{folded.cycles:,}", "", "", *total, "")], left=2)
    for warning in folded.warnings:
        log(f"warning: {warning}")
    room = "no limits"
    if folded.luts_available is not None and folded.block_kbit_available is not None:
        room = f"{folded.luts_available:,} LUTs and {folded.block_kbit_available:,} kbit of block RAM"
    print_lines(
        f"one frame every {folded.cycles:,} cycles, {folded.frames_per_second:,.0f} a second; "
        f"slowest: {', '.join(folded.slowest)}",
        f"engines: about {folded.luts:,} LUTs and {folded.block_kbit:,} kbit of block RAM; {folded.board} has {room}",
    )
    print_occupancy(folded.whole)
    if folded.path is not None:
        print_lines(str(folded.path))


def print_occupancy(whole: "Occupancy | None") -> None:
    """What a whole design takes of its board by estimate, with a warning where that is too much; nothing for None."""
    if whole is None:
        return
    from ..compiler.cost.occupancy import ROOM_PERCENT

    used, there = whole.used, whole.available
    print_lines(
        f"whole design, estimated {whole.scope}: {whole.cells:,} of {there.luts:,} {whole.kind} ({whole.share:.0%}), "
        f"{used.flip_flops:,} of {there.flip_flops:,} flip-flops, {used.blocks:,} of {there.blocks:,} block RAMs, "
        f"{used.dsps:,} of {there.dsps:,} DSP blocks"
    )
    if not whole.fits:
        log(f"warning: the design may not fit: estimates can be counted on up to {ROOM_PERCENT} % of the {whole.kind}")
    if used.dsps > there.dsps:
        log(f"warning: {used.dsps:,} multipliers are more than the {there.dsps:,} DSP blocks of the board")
