"""The page of a comparison: tables, bars and every assumption; and the bars as plots of their own."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from ..files import atomic_write
from .charts import Bar, bar_chart
from .figures import picojoules

if TYPE_CHECKING:
    from ..flow.compare import Comparison, Side

__all__ = ["write_comparison"]

_COLOURS = {"--one": "#0b6e8f", "--two": "#c2571a", "--three": "#7a6bb0", "--ink": "#1d2327"}
"""Of plots in files of their own, which no page's style reaches."""


def write_comparison(result: "Comparison", folder: Path) -> Path:
    """Write a plot for each figure (.svg) and compare.html into a folder; the page.

    The same comparison gives the same bytes.
    """
    charts = _charts(result)
    for name, (_, chart) in charts.items():
        atomic_write(folder / f"{name}.svg", _standalone(chart))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    context: dict[str, Any] = {
        "result": result,
        "charts": [{"title": title, "svg": chart} for title, chart in charts.values()],
        "paper": _paper(result),
        "built": _built(result),
        "style": Markup((Path(__file__).parent / "report.css").read_text()),
    }
    path = folder / "compare.html"
    atomic_write(path, environment.get_template("compare.html.j2").render(context))
    return path


def _charts(result: "Comparison") -> dict[str, tuple[str, Markup]]:
    """File name -> title and chart, of what is known."""
    energies = [rival.energy for rival in result.rivals]
    charts = {
        "energy": (
            "Energy a frame by the 45 nm table: arithmetic, weights, activations",
            bar_chart([Bar(e.name, (e.compute, e.weights, e.activations), picojoules(e.total)) for e in energies]),
        ),
        "memory": (
            "Bits stored: weights and constants",
            bar_chart(
                [
                    Bar(r.name, (r.total.weight_bits, r.total.constant_bits), f"{r.total.stored_bits:,}")
                    for r in result.rivals
                ]
            ),
        ),
    }
    fpga = [(side.name, side.fpga, side.lut_equivalent or 0.0) for side in result.sides if side.fpga is not None]
    if fpga:
        charts["luts"] = (
            f"LUTs on {result.family.value}, and DSP blocks as LUTs",
            bar_chart([Bar(name, (cells.luts, luts - cells.luts), f"{luts:,.0f}") for name, cells, luts in fpga]),
        )
    asic = [(side.name, side.asic) for side in result.sides if side.asic is not None]
    if asic:
        charts["area"] = (
            f"Area of cells in {result.library}, square micrometres",
            bar_chart([Bar(name, (side.area,), f"{side.area:,.0f}") for name, side in asic]),
        )
        charts["asic-energy"] = (
            "Energy a frame from toggles: loads, inside cells, clock pins",
            bar_chart(
                [Bar(name, (s.loads_pj, s.internal_pj, s.clock_pj), picojoules(s.energy_pj)) for name, s in asic]
            ),
        )
    return charts


def _standalone(chart: Markup) -> str:
    """A chart with its colours in it, for a file of its own."""
    text = str(chart)
    for variable, colour in _COLOURS.items():
        text = text.replace(f"var({variable})", colour)
    return text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12" ', 1)


def _paper(result: "Comparison") -> list[tuple[str, list[str]]]:
    """Rows of the table on paper, and what each design has."""
    rows = [
        ("multiplications", "multiplications"),
        ("additions", "additions"),
        ("bit pairs through XNOR and counted", "bit_pairs"),
        ("weights and constants, bits", "stored_bits"),
        ("activations, bits", "activation_bits"),
        ("memory accesses, bits", "accesses"),
    ]
    table = [(label, [f"{getattr(rival.total, name):,}" for rival in result.rivals]) for label, name in rows]
    table.append(("energy by the 45 nm table", [picojoules(rival.energy.total) for rival in result.rivals]))
    table.append(("times XNOR", [f"{rival.energy.ratio:.2f}" for rival in result.rivals]))
    return table


def _built(result: "Comparison") -> list[tuple[str, list[str]]]:
    """Rows of the two designs that were built, as far as they were."""
    sides = result.sides

    def row(label: str, values: Sequence[str]) -> tuple[str, list[str]]:
        return label, list(values)

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
    return rows


def _clock(sides: "Sequence[Side]") -> list[tuple[str, list[str]]]:
    mhz = [side.fmax_mhz for side in sides if side.fmax_mhz is not None]
    return [("clock after place and route, MHz", [f"{value:.1f}" for value in mhz])] if mhz else []
