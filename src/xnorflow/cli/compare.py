"""The commands that compare a network with its rivals, and that bring standard cells for it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .options import DataDir, Json
from .output import log, plain, print_json, print_lines, print_table

if TYPE_CHECKING:
    from ..compiler.cost.training import TrainingCounts
    from ..flow.compare import Comparison

__all__ = ["compare", "fetch", "print_comparison"]


def compare(
    network: Annotated[
        str, typer.Argument(help="Network file; with --training also a recipe.", metavar="NETWORK", show_default=False)
    ],
    board: Annotated[str, typer.Option(help="Known board, or a YAML file.", metavar="NAME|FILE.yaml")] = "pynq-z1",
    folding: Annotated[Path | None, typer.Option(help="Folding of all designs.", metavar="FILE.yaml")] = None,
    fps: Annotated[float | None, typer.Option(help="Fold for that many frames a second.", metavar="N")] = None,
    int8: Annotated[
        Path | None, typer.Option(help="The same layers in int8. (default: random weights)", metavar="FILE")
    ] = None,
    assumptions: Annotated[
        Path | None, typer.Option(help="Energies and equivalents instead of the published ones.", metavar="FILE.yaml")
    ] = None,
    synthesis: Annotated[
        bool, typer.Option("--synthesis", help="Synthesize XNOR and int8 design for the board's family (minutes).")
    ] = False,
    fmax: Annotated[bool, typer.Option("--fmax", help="Place and route both as well (ECP5, minutes).")] = False,
    asic: Annotated[
        bool, typer.Option("--asic", help="Map both to standard cells and count toggles on real images (minutes).")
    ] = False,
    liberty: Annotated[
        Path | None, typer.Option(help="Standard cells. (default: those of `fetch osu018`)", metavar="FILE.lib")
    ] = None,
    images: Annotated[int, typer.Option(help="Images on which toggles are counted.", min=1, metavar="N")] = 100,
    training: Annotated[
        bool, typer.Option("--training", help="Count a training step instead: floats, BinaryConnect, BNN.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Also write compare.json, plots and a page there.", metavar="DIR")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Compare a network at one rate: XNOR-popcount, int8 MACs, fp16 and fp32.

    With --training count instead what a training step of it multiplies and adds.
    """
    from .. import flow

    if training:
        designs = {"--folding": folding, "--fps": fps, "--int8": int8, "--assumptions": assumptions}
        designs |= {"--synthesis": synthesis, "--fmax": fmax, "--asic": asic, "--liberty": liberty, "--out": out}
        for option, value in designs.items():
            if value:
                raise UsageError(f"{option} is for a comparison of designs; --training counts a training step, alone")
        counts = flow.compare_training(network)
        if as_json:
            print_json({"methods": counts})
        else:
            _print_training(counts)
        return
    if liberty is not None and not asic:
        raise UsageError("--liberty is for --asic")
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out names a folder, but {out} is a file")
    result = flow.compare(
        network,
        board=board,
        folding=folding,
        fps=fps,
        int8=int8,
        assumptions=assumptions,
        synthesis=synthesis,
        fmax=fmax,
        asic=asic,
        liberty=liberty,
        images=images,
        data_dir=data_dir,
        progress=log,
        **({"work": out / "work"} if out is not None else {}),
    )
    if out is not None:
        from ..files import atomic_write
        from ..report.comparison import COMPARISON_FILE, shown, write_comparison

        content = {**plain(result), "shown": plain(shown(result))}
        atomic_write(out / COMPARISON_FILE, json.dumps(content, indent=1, allow_nan=False) + "\n")
        page = write_comparison(result, out)
    if as_json:
        print_json(result)
        return
    print_comparison(result)
    if out is not None:
        print_lines("", str(page))


def fetch(
    what: Annotated[str, typer.Argument(help="osu018: standard cells of 0.18 micrometres, from Debian.")],
    out: Annotated[Path, typer.Option(help="Folder for it.", metavar="DIR")] = Path("build/osu018"),
) -> None:
    """Bring something free that is not shipped."""
    from .. import flow

    if what != "osu018":
        raise UsageError(f"nothing named {what!r} can be fetched (known: osu018)")
    print_lines(str(flow.fetch(out)))


def print_comparison(result: "Comparison") -> None:
    """The tables: paper, accuracy, synthesis, standard cells, and what they rest on."""
    print_lines(
        f"{result.network} on {result.board}: one frame every {result.cycles:,} cycles, "
        f"{result.frames_per_second:,.0f} a second at {result.clock_hz / 1e6:g} MHz, all designs alike",
        "",
    )
    print_table(
        ("on paper, a frame", *(rival.name for rival in result.rivals)),
        [
            (label, *(_figure(result, index, what) for index in range(len(result.rivals))))
            for label, what in _PAPER_ROWS
        ],
    )
    built = [side for side in result.sides if side.fpga or side.asic]
    rows: list[tuple[str, ...]] = [("accuracy", *(_percent(side.accuracy) for side in result.sides))]
    rows.append(("cycles a frame", *(f"{side.cycles:,}" for side in result.sides)))
    if built and result.sides[0].fpga:
        family = result.family.value
        cells = [side.fpga for side in result.sides]
        for label, name in _CELL_ROWS:
            rows.append((f"{family} {label}", *(f"{getattr(fpga, name):,g}" for fpga in cells)))
        rows.append((f"{family} LUT + DSP as LUT", *(f"{side.lut_equivalent:,.0f}" for side in result.sides)))
        if result.sides[0].fmax_mhz is not None:
            rows.append((f"{family} Fmax, MHz", *(f"{side.fmax_mhz:.1f}" for side in result.sides)))
    asics = [side.asic for side in result.sides if side.asic is not None]
    if asics:
        rows += [
            (f"{result.library} cells", *(f"{asic.cells:,}" for asic in asics)),
            ("area, square micrometres", *(f"{asic.area:,.0f}" for asic in asics)),
            ("memories beside, bits", *(f"{asic.memory_bits:,}" for asic in asics)),
            (f"energy a frame, pJ ({asics[0].images} images)", *(f"{asic.energy_pj:,.0f}" for asic in asics)),
            ("  loads, pJ", *(f"{asic.loads_pj:,.0f}" for asic in asics)),
            ("  inside cells, pJ", *(f"{asic.internal_pj:,.0f}" for asic in asics)),
            ("  clock pins, pJ", *(f"{asic.clock_pj:,.0f}" for asic in asics)),
        ]
    print_lines("")
    print_table(("built" if built else "networks", *(side.name for side in result.sides)), rows)
    print_lines("")
    print_table(("assumption", "value", "from"), [(a.what, a.value, a.source) for a in result.assumptions], left=3)
    for note in result.notes:
        print_lines(f"note: {note}")


_CELL_ROWS = (("LUT", "luts"), ("flip-flops", "flip_flops"), ("DSP blocks", "dsps"), ("BRAM", "block_rams"))
_PAPER_ROWS = (
    ("multiplications", "multiplications"),
    ("additions", "additions"),
    ("XNOR + count, bit pairs", "bit_pairs"),
    ("comparisons", "comparisons"),
    ("weights and constants, bits", "stored_bits"),
    ("activations, bits", "activation_bits"),
    ("memory accesses, bits", "accesses"),
    ("energy: arithmetic, nJ", "compute"),
    ("energy: weights, nJ", "weights"),
    ("energy: activations, nJ", "activations"),
    ("energy, nJ", "total"),
    ("times XNOR", "ratio"),
)


def _figure(result: "Comparison", index: int, what: str) -> str:
    rival = result.rivals[index]
    if what == "ratio":
        return f"{rival.energy.ratio:.2f}"
    if what in ("compute", "weights", "activations", "total"):
        return f"{getattr(rival.energy, what) / 1e3:,.3f}"
    return f"{getattr(rival.total, what):,}"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.2%}"


def _print_training(counts: "tuple[TrainingCounts, ...]") -> None:
    """A row for each method and pass."""
    rows: list[tuple[str, ...]] = []
    for method in counts:
        for name, work in (*method.passes.items(), ("all", method.total)):
            removed = f"{method.removed:.1%}" if name == "all" else ""
            numbers = (work.multiplications, work.additions, work.sign_changes, work.bit_pairs)
            rows.append((method.method.value, str(name), *(f"{number:,}" for number in numbers), removed))
    head = ("training", "pass", "multiplications", "additions", "sign changes", "XNOR + count", "removed")
    print_table(head, rows, left=2)
    print_lines("a sample; products of layers alone, without normalisation, activations, loss and update")
