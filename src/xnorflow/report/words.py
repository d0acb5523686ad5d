"""The report's sentences and headline figures. Each says what was measured, and what was not."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from ..boards.loader import Board, load_board
from ..compiler.cost.energy import EnergyReport
from ..compiler.folds.folding import Arithmetic
from ..errors import UsageError
from ..hdl.manifest import Manifest
from .figures import Resources, picojoules

__all__ = [
    "Tile",
    "Verdict",
    "board_of",
    "commands",
    "energy_text",
    "input_port",
    "memory",
    "output_port",
    "proof",
    "samples_text",
    "streams",
    "subtitle",
    "tiles",
    "title",
    "unit",
    "verdict",
    "versions",
    "with_article",
]

Result = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The sentence under the title; good: simulated, as generated, and no mismatch."""

    good: bool
    text: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline figure."""

    label: str
    value: str
    note: str


def board_of(manifest: Manifest) -> Board | None:
    """The board, where it is one of ours: a user's own YAML may be elsewhere by now."""
    try:
        return load_board(manifest.source.board)
    except UsageError:
        return None


def title(provenance: Mapping[str, str]) -> str:
    """The network's own description, as a heading."""
    text = provenance.get("description", "an integer network")
    return text[:1].upper() + text[1:]


def unit(manifest: Manifest) -> str:
    """What a frame is called: a step where networks read sequences."""
    return "step" if manifest.interleave else "image"


def with_article(word: str) -> str:
    """An image, a step."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def subtitle(manifest: Manifest, board: Board | None) -> str:
    """What it is built for."""
    place = board.title if board else manifest.source.board
    return (
        f"{len(manifest.engines)} engines for {place} at {manifest.source.clock_hz / 1e6:g} MHz, "
        f"network {manifest.source.network_hash[:12]}"
    )


def verdict(result: Result, modified: Sequence[str], unit: str) -> Verdict:
    """Whether the hardware equals the golden model, as far as it was looked at."""
    if result is None:
        return Verdict(False, "Not simulated yet: run `xnorflow simulate`")
    if modified:
        return Verdict(False, f"The design is not as generated: {', '.join(modified)} changed")
    if result["mismatches"]:
        return Verdict(False, f"{result['mismatches']:,} mismatches in {result['images']:,} {unit}s")
    return Verdict(True, f"The hardware equals the golden model on all {result['images']:,} {unit}s: 0 mismatches")


def tiles(
    manifest: Manifest,
    result: Result,
    accuracy: float | None,
    seen: int | None,
    energy: EnergyReport,
    arithmetics: Set[Arithmetic],
) -> list[Tile]:
    """The row of headline figures; what was not measured is not in it. arithmetics: of the layers."""
    bound, hertz, frame = manifest.initiation_interval, manifest.source.clock_hz, unit(manifest)
    row = []
    if accuracy is not None and seen is not None:
        row.append(Tile("accuracy of the hardware", f"{accuracy:.2%}", f"{round(accuracy * seen):,} of {seen:,} right"))
    if result is not None:
        stalled = result["stalls"] is not None
        note = "with random stalls" if stalled else f"bound {bound:,}" + (", every frame" if result["steady"] else "")
        row.append(Tile(f"cycles {with_article(frame)}", f"{result['cycles_per_image']:,g}", note))
        cycles = result["latency_cycles"]
        row.append(Tile("latency", _seconds(cycles / hertz), f"{cycles:,} cycles, first beat to result"))
    else:
        row.append(Tile(f"cycles {with_article(frame)}, bound", f"{bound:,}", "not simulated"))
    row.append(Tile(f"{frame}s a second", _count(hertz / bound), f"at {hertz / 1e6:g} MHz, {bound:,} cycles each"))
    least, most = energy.baselines[0], energy.baselines[-1]
    if arithmetics == {Arithmetic.PLANES}:
        times = f"{least.name} {least.ratio:.1f} × as much"
        row.append(Tile(f"energy {with_article(frame)}", picojoules(energy.xnor.total), f"45 nm table; {times}"))
        row.append(Tile(f"against {most.name}", f"{most.ratio:.0f} ×", "less energy on the same table"))
    elif arithmetics == {Arithmetic.MAC}:
        times = f"{most.name} {most.total / least.total:.1f} × as much"
        row.append(
            Tile(f"energy {with_article(frame)}", picojoules(least.total), f"45 nm table, {least.name}; {times}")
        )
    return row


def input_port(manifest: Manifest) -> str:
    """The input in a line."""
    beats = "1 beat" if manifest.frame_beats == 1 else f"{manifest.frame_beats} beats"
    return f"{beats} of {manifest.input_lanes} × {manifest.input_bits} bit {with_article(unit(manifest))}"


def output_port(manifest: Manifest) -> str:
    """The output in a line."""
    scores = " and scores" if manifest.result.score_bytes else ""
    return f"class{scores}, 1 beat {with_article(unit(manifest))}"


def proof(result: Result, netlist: Result, unit: str) -> str:
    """What was compared with what; netlist: the result of the latest simulation at gate level."""
    text = _proof(result, unit)
    if netlist is None:
        return text
    return (
        f"{text} The netlist that {netlist.get('synth', 'Yosys')} makes gave {netlist['mismatches']:,} mismatches on "
        f"{netlist['images']:,} {unit}s, results alone."
    )


def _proof(result: Result, unit: str) -> str:
    if result is None:
        return "Nothing was simulated yet."
    stalls = (
        "without a pause, so that the cycle counts show the bound"
        if result["stalls"] is None
        else f"with random pauses at both ports (seed {result['stalls']})"
    )
    return (
        f"{result['images']:,} {unit}s went through the Verilog back to back in cocotb and Verilator, {stalls}. "
        "Each beat of the streams below was compared with the golden model, a NumPy interpreter of the integer "
        "network that shares no code with the hardware. A missing or surplus beat counts as a mismatch."
    )


def streams(manifest: Manifest, result: Result) -> list[dict[str, str]]:
    """A row a compared stream; which one differs is known for the first mismatch only, the sum is in the verdict."""
    if result is None:
        return []
    first = result["first_mismatch"]["layer"] if result["first_mismatch"] else None
    images = result["images"]
    rows = [(tap.name, tap.elements) for tap in manifest.taps] if result["layers_checked"] else []
    rows.append(("result", 1))

    def differs(name: str) -> str:
        if not result["mismatches"]:
            return "0"
        return "the first is here" if name == first else "see the verdict"

    return [
        {"name": name, "elements": f"{count:,}", "compared": f"{count * images:,}", "mismatches": differs(name)}
        for name, count in rows
    ]


def samples_text(from_hardware: bool, with_module: bool) -> str:
    """What the scores beside the images are."""
    text = (
        "The integers are the scores in the accelerator's result beats"
        if from_hardware
        else "The accelerator sends the class alone; the integers are the golden model's scores"
    )
    if with_module:
        text += "; beside them what the PyTorch module says, the same numbers up to one common factor"
    return text + ". A red frame marks a wrong class."


def memory(held: Resources) -> str:
    """Memory and width of the whole design."""
    text = (
        f"{held.weights_per_cycle:,} weights are handled in a cycle. Memory: "
        f"{held.weight_memory_bits / 1024:,.1f} kbit of weights, "
        f"{held.threshold_memory_bits / 1024:,.1f} kbit of thresholds, "
        f"{held.input_buffer_bits / 1024:,.1f} kbit of input buffers"
    )
    if held.board_bram_kbit is not None:
        text += f"; {held.board} has {held.board_bram_kbit:,} kbit of block RAM"
    times = held.float_memory_bits / held.weight_memory_bits
    return text + f". 32-bit floating-point weights would take {times:.3g} times the weight memory."


def energy_text(energy: EnergyReport, arithmetics: Set[Arithmetic]) -> str:
    """The comparison in a sentence. arithmetics: of the layers."""
    if Arithmetic.MAC in arithmetics:
        which = "This design multiplies" if arithmetics == {Arithmetic.MAC} else "Some layers of this design multiply"
        return (
            f"{which}. The table has the same network with the same folding: its bits counted as bit planes (XNOR), and"
            " multiplied and added with numbers of three widths. It compares designs on paper: nothing here was"
            " measured on a chip."
        )
    ratios = ", ".join(f"{design.ratio:.1f} × for {design.name}" for design in energy.baselines)
    computes = ", ".join(f"{design.compute_ratio:.0f} ×" for design in energy.baselines)
    return (
        f"By the published 45 nm table the same network with the same folding takes {ratios}; of the arithmetic alone "
        f"{computes}. It compares designs on paper: nothing here was measured on a chip."
    )


def commands(provenance: Mapping[str, str], result: Result) -> list[str]:
    """How to repeat what the report shows."""
    data = provenance.get("data", "DATA")
    stalls = f" --stalls {result['stalls']}" if result and result["stalls"] is not None else ""
    return [
        "xnorflow inspect DESIGN/network.safetensors",
        f"xnorflow eval DESIGN/network.safetensors --data {data} --against RUN",
        f"xnorflow simulate DESIGN --data {data} --images all --layers{stalls}",
        "make -C DESIGN/bench",
    ]


def versions(manifest: Manifest, result: Result) -> list[tuple[str, str]]:
    """What it was made with."""
    rows = list(manifest.source.tools.items())
    if result is not None:
        rows.append(("verilator", result["verilator"]))
    return rows


def _count(value: float) -> str:
    """A rate in few digits: 12.5 M, 195,312."""
    return f"{value / 1e6:,.4g} M" if value >= 1e6 else f"{value:,.0f}"


def _seconds(value: float) -> str:
    """A duration with a readable unit."""
    return f"{1e3 * value:,.2f} ms" if value >= 1e-3 else f"{1e6 * value:,.2f} µs"
