"""The page of a comparison: tables, bars and every assumption; and the bars as plots of their own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from ..config import from_mapping
from ..errors import DataError, UsageError
from ..files import atomic_write
from .charts import Bar, bar_chart
from .figures import picojoules

if TYPE_CHECKING:
    from ..flow.compare import Comparison, Side

__all__ = ["COMPARISON_FILE", "Chart", "Shown", "Table", "read_comparison", "shown", "write_comparison"]

COMPARISON_FILE = "compare.json"
"""Beside the page: the comparison as numbers, and under the key `shown` what the page shows of it."""

_PAGE = "compare.html"
_COLOURS = {"--one": "#0b6e8f", "--two": "#c2571a", "--three": "#7a6bb0", "--ink": "#1d2327"}
"""Of plots in files of their own, which no page's style reaches."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first cell of each names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars on one scale. name: of its file."""

    name: str
    title: str
    bars: tuple[Bar, ...]

    def svg(self) -> Markup:
        """The picture, in the colours of the page around it."""
        return bar_chart(self.bars)


@dataclass(frozen=True, slots=True)
class Shown:
    """What pages show of a comparison. network_hash: of the network that was compared; lead: at which rate."""

    network_hash: str
    lead: str
    paper: Table
    built: Table
    notes: tuple[str, ...]
    charts: tuple[Chart, ...]


def shown(result: "Comparison") -> Shown:
    """The tables and charts of what is known."""
    lead = (
        f"{result.network} on {result.board}: a frame every {result.cycles:,} cycles, "
        f"{result.frames_per_second:,.0f} a second at {result.clock_hz / 1e6:g} MHz."
    )
    return Shown(result.network_hash, lead, _paper(result), _built(result), result.notes, _charts(result))


def write_comparison(result: "Comparison", folder: Path) -> Path:
    """Write a plot for each figure (.svg) and compare.html into a folder; the page.

    The same comparison gives the same bytes.
    """
    tables = shown(result)
    for chart in tables.charts:
        atomic_write(folder / f"{chart.name}.svg", _standalone(chart.svg()))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((Path(__file__).parent / "report.css").read_text())
    path = folder / _PAGE
    page = environment.get_template("compare.html.j2")
    atomic_write(path, page.render(result=result, comparison=tables, style=style))
    return path


def read_comparison(folder: Path, network_hash: str) -> Shown | None:
    """What `xnorflow compare --out` left in a folder; None if it did not, or of another network.

    DataError if the file is damaged.
    """
    path = folder / COMPARISON_FILE
    if not path.is_file() or not (folder / _PAGE).is_file():
        return None
    try:
        found = from_mapping(Shown, json.loads(path.read_text(encoding="utf-8"))["shown"], str(path))
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise DataError(f"{path} is damaged; run `xnorflow compare` again") from error
    return found if found.network_hash == network_hash else None


def _charts(result: "Comparison") -> tuple[Chart, ...]:
    energies = [rival.energy for rival in result.rivals]
    charts = [
        Chart(
            "energy",
            "Energy a frame by the 45 nm table: arithmetic, weights, activations",
            tuple(Bar(e.name, (e.compute, e.weights, e.activations), picojoules(e.total)) for e in energies),
        ),
        Chart(
            "memory",
            "Bits stored: weights and constants",
            tuple(
                Bar(r.name, (r.total.weight_bits, r.total.constant_bits), f"{r.total.stored_bits:,}")
                for r in result.rivals
            ),
        ),
    ]
    fpga = [(side.name, side.fpga, side.lut_equivalent or 0.0) for side in result.sides if side.fpga is not None]
    if fpga:
        charts.append(
            Chart(
                "luts",
                f"LUTs on {result.family.value}, and DSP blocks as LUTs",
                tuple(Bar(name, (cells.luts, luts - cells.luts), f"{luts:,.0f}") for name, cells, luts in fpga),
            )
        )
    asic = [(side.name, side.asic) for side in result.sides if side.asic is not None]
    if asic:
        charts += [
            Chart(
                "area",
                f"Area of cells in {result.library}, square micrometres",
                tuple(Bar(name, (side.area,), f"{side.area:,.0f}") for name, side in asic),
            ),
            Chart(
                "asic-energy",
                "Energy a frame from toggles: loads, inside cells, clock pins",
                tuple(Bar(name, (s.loads_pj, s.internal_pj, s.clock_pj), picojoules(s.energy_pj)) for name, s in asic),
            ),
        ]
    return tuple(charts)


def _standalone(chart: Markup) -> str:
    """A chart with its colours in it, for a file of its own."""
    text = str(chart)
    for variable, colour in _COLOURS.items():
        text = text.replace(f"var({variable})", colour)
    return text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12" ', 1)


def _paper(result: "Comparison") -> Table:
    """What each design has on paper."""
    rows = [
        ("multiplications", "multiplications"),
        ("additions", "additions"),
        ("bit pairs through XNOR and counted", "bit_pairs"),
        ("weights and constants, bits", "stored_bits"),
        ("activations, bits", "activation_bits"),
        ("memory accesses, bits", "accesses"),
    ]
    table = [(label, *(f"{getattr(rival.total, name):,}" for rival in result.rivals)) for label, name in rows]
    table.append(("energy by the 45 nm table", *(picojoules(rival.energy.total) for rival in result.rivals)))
    table.append(("times XNOR", *(f"{rival.energy.ratio:.2f}" for rival in result.rivals)))
    return Table(("a frame", *(rival.name for rival in result.rivals)), tuple(table))


def _built(result: "Comparison") -> Table:
    """The two designs that were built, as far as they were."""
    sides = result.sides

    def row(label: str, values: Sequence[str]) -> tuple[str, ...]:
        return label, *values

    rows = [
        row("weights from", [side.network for side in sides]),
        row("accuracy on the test images", ["unknown" if s.accuracy is None else f"{s.accuracy:.2%}" for s in sides]),
        row("cycles a frame", [f"{side.cycles:,}" for side in sides]),
    ]
    fpga = [side.fpga for side in sides if side.fpga is not None]
    if fpga:
        rows += [
            row("LUTs", [f"{cells.luts:,}" for cells in fpga]),
            row("flip-flops", [f"{cells.flip_flops:,}" for cells in fpga]),
            row("DSP blocks", [f"{cells.dsps:,}" for cells in fpga]),
            row("block RAMs", [f"{cells.block_rams:g}" for cells in fpga]),
            row("LUTs with DSP blocks as LUTs", [f"{side.lut_equivalent or 0:,.0f}" for side in sides]),
        ]
    rows += _clock(sides)
    asic = [side.asic for side in sides if side.asic is not None]
    if asic:
        rows += [
            row("standard cells", [f"{side.cells:,}" for side in asic]),
            row("area of cells, square micrometres", [f"{side.area:,.0f}" for side in asic]),
            row("memories beside them, bits", [f"{side.memory_bits:,}" for side in asic]),
            row(f"energy a frame, {asic[0].images} images", [picojoules(side.energy_pj) for side in asic]),
        ]
    return Table(("", *(side.name for side in sides)), tuple(rows))


def _clock(sides: "Sequence[Side]") -> list[tuple[str, ...]]:
    mhz = [side.fmax_mhz for side in sides if side.fmax_mhz is not None]
    return [("clock after place and route, MHz", *(f"{value:.1f}" for value in mhz))] if mhz else []
