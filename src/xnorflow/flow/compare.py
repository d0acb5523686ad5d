"""The step that compares: one network at one rate as XNOR-popcount, int8 and floats, on paper and synthesized."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..boards.loader import Board, Family, load_board
from ..compiler.cost.energy import Assumption
from ..compiler.cost.rivals import Assumptions, Rival, compare_rivals, load_assumptions, printed
from ..compiler.cost.training import Product, TrainingCounts, count_training, products_of
from ..compiler.folds.folding import Arithmetic, Folding, LayerFold, Popcount, check_folding, load_folding
from ..compiler.folds.solver import default_folding, fold_for_fps
from ..compiler.int8 import int8_twin
from ..compiler.ir import IntegerNetwork, Stage
from ..compiler.schedule.cycles import initiation_interval
from ..compiler.storage.network_file import load_network, network_hash
from ..errors import DataError, UsageError
from .designs import DEFAULT_BOARD, random_samples
from .networks import load_samples

if TYPE_CHECKING:
    from ..hdl.asic.energy import NetEnergy
    from ..hdl.tools.design_cells import DesignCells

__all__ = ["AsicSide", "Comparison", "Side", "compare", "compare_training", "fetch", "mac_folding"]

TOP = "accelerator"
CACHE = Path("build/osu018")
IMAGES = 100  # that toggles are counted on
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class AsicSide:
    """A design in standard cells. area in square micrometres, of cells alone; memory_bits: of the memories beside them.

    energy_pj: of a frame, by what toggled on `images` images; loads, internal and clock are its parts. cells: how many.
    """

    area: float
    cells: int
    flip_flops: int
    memory_bits: int
    images: int
    energy_pj: float
    loads_pj: float
    internal_pj: float
    clock_pj: float


@dataclass(frozen=True, slots=True)
class Side:
    """One of the designs that are synthesized. network: where it is from; cycles: a frame.

    accuracy: of the golden model on the test images, None where there is no such data. fpga: its cells; lut_equivalent:
    LUTs, and DSP blocks as so many. fmax_mhz: of one placement. None where they were not asked for.
    """

    name: str
    network: str
    cycles: int
    accuracy: float | None
    fpga: "DesignCells | None" = None
    lut_equivalent: float | None = None
    fmax_mhz: float | None = None
    asic: AsicSide | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One network at one rate. rivals: on paper. sides: XNOR and int8 MAC, as far as they were built.

    network: its file, network_hash: what that carries. library: of the standard cells, empty where none were mapped to.
    notes: what a reader has to know.
    """

    network: str
    network_hash: str
    board: str
    family: Family
    clock_hz: int
    cycles: int
    frames_per_second: float
    rivals: tuple[Rival, ...]
    sides: tuple[Side, ...]
    data: str
    library: str
    assumptions: tuple[Assumption, ...]
    notes: tuple[str, ...]


def compare(
    file: Path | str,
    *,
    board: str = DEFAULT_BOARD,
    folding: Path | str | None = None,
    fps: float | None = None,
    int8: Path | str | None = None,
    assumptions: Path | str | None = None,
    synthesis: bool = False,
    fmax: bool = False,
    asic: bool = False,
    liberty: Path | str | None = None,
    images: int = IMAGES,
    data_dir: Path | str | None = None,
    work: Path | str = "build/compare",
    progress: Progress | None = None,
) -> Comparison:
    """Compare a network file with the same layers in int8, fp16 and fp32 at the same rate.

    folding: of the XNOR design, as `generate` takes it; on paper the others get the same, the int8 design that is built
    gets what `mac_folding` says. int8: a network file of the same
    layers (`compile --int8`); without it the design that is built has random weights and no accuracy. synthesis, fmax,
    asic: build both designs and count their cells for the board's family, place them (ECP5 alone), map them to the
    standard cells of `liberty` (by default those that `fetch` brought). images: that ASIC toggles are counted on. work:
    where designs are built. UsageError for what does not fit together; ToolError where a tool is missing or fails.
    """
    tell = progress or (lambda text: None)
    network, target = load_network(file), load_board(board)
    rules = load_assumptions(Path(assumptions)) if assumptions is not None else Assumptions()
    chosen = _folding(network, target, folding, fps)
    rivals, stated = compare_rivals(network, chosen, rules)
    notes: list[str] = []
    if fmax and target.family is not Family.ECP5:
        raise UsageError(f"Fmax is measured on ECP5 alone, board {target.name} is {target.family.value}")
    if int8 is None:
        rival, origin = int8_twin(network), "random int8 weights"
        notes.append(
            "The int8 design has random weights (--int8 names a trained one): it has area and rate, no accuracy"
        )
    else:
        rival, origin = load_network(int8), str(int8)
    multipliers = mac_folding(network, rival, chosen)
    constant = [name for name, words in _words(network, chosen).items() if words == 1]
    if constant and (synthesis or fmax or asic):
        notes.append(f"One word is all the weights of {', '.join(constant)}: they are constants that logic folds away")
    data = network.provenance.get("data", "")
    sides = [
        Side(name, source, initiation_interval(made, fold), accuracy)
        for name, source, made, fold, accuracy in (
            ("XNOR-popcount", str(file), network, chosen, _accuracy(network, data, data_dir, notes)),
            ("int8 MAC", origin, rival, multipliers, _accuracy(rival, data, data_dir, notes) if int8 else None),
        )
    ]
    designs = [(network, chosen), (rival, multipliers)]
    if synthesis or fmax:
        stated += printed(rules, target.family)
        sides = [
            _synthesized(side, *design, target, rules, Path(work), fmax, tell)
            for side, design in zip(sides, designs, strict=True)
        ]
    library = ""
    if asic:
        path = _liberty(liberty)
        library, more = _asic_assumptions(path)
        stated += more
        raw = _samples(network, data, images, data_dir, notes)
        sides = [
            replace(side, asic=_mapped(side, *design, target, path, raw, Path(work), tell))
            for side, design in zip(sides, designs, strict=True)
        ]
    cycles = initiation_interval(network, chosen)
    return Comparison(
        network=str(file),
        network_hash=network_hash(network),
        board=target.name,
        family=target.family,
        clock_hz=target.hz,
        cycles=cycles,
        frames_per_second=target.hz / cycles,
        rivals=rivals,
        sides=tuple(sides),
        data=data,
        library=library,
        assumptions=stated,
        notes=tuple(dict.fromkeys(notes)),
    )


def mac_folding(network: IntegerNetwork, rival: IntegerNetwork, folding: Folding) -> Folding:
    """The folding of the MAC design that keeps an XNOR design's rate with the fewest multipliers, layer by layer.

    No layer has more PE or SIMD than in the XNOR design. Where that has more than its rate needs, because lookup tables
    are cheap, or takes planes in turn, multipliers are fewer. UsageError if the networks have not the same layers.
    """
    ours = {stage.dot.name: stage.dot.weights.codes.shape for stage in network.stages()}
    theirs = {stage.dot.name: stage.dot.weights.codes.shape for stage in rival.stages()}
    if ours != theirs:
        wrong = next(name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name))
        raise UsageError(
            f"the int8 network has other layers: {wrong} is {theirs.get(wrong, 'missing')} there, "
            f"{ours.get(wrong, 'missing')} here"
        )
    interval = initiation_interval(network, folding)
    layers = {stage.dot.name: _mac_fold(stage, folding.layers[stage.dot.name], interval) for stage in rival.stages()}
    made = replace(folding, layers=layers)
    check_folding(rival, made)
    if initiation_interval(rival, made) <= interval:
        return made
    layers = {  # what stands between engines needs the lanes
        name: replace(fold, planes_in_time=1, arithmetic=Arithmetic.MAC) for name, fold in folding.layers.items()
    }
    return replace(folding, layers=layers)


def _mac_fold(stage: Stage, fold: LayerFold, interval: int) -> LayerFold:
    """The fewest multipliers, at most PE x SIMD, with which a layer keeps up; of these the most columns."""
    plain = replace(fold, planes_in_time=1, arithmetic=Arithmetic.MAC)
    rows, columns = (int(extent) for extent in stage.dot.weights.codes.shape)
    if stage.groups > 1:
        return plain
    smaller = (replace(plain, pe=pe, simd=simd) for pe in range(1, fold.pe + 1) for simd in range(1, fold.simd + 1))
    enough = [
        made
        for made in smaller
        if stage.vectors * made.neuron_folds(rows) * made.synapse_folds(columns, stage.segments) <= interval
    ]
    return min(enough, key=lambda made: (made.pe * made.simd, -made.simd), default=plain)


def compare_training(what: Path | str) -> tuple[TrainingCounts, ...]:
    """Multiplications and additions of a training step, by method: of a network file's layers, or of a recipe's."""
    if str(what).endswith(".safetensors"):
        return count_training(products_of(load_network(what)))
    from ..train.models.products import recipe_products
    from ..train.recipe import load_recipe

    return count_training([Product(*product) for product in recipe_products(load_recipe(what))])


def fetch(folder: Path | str = CACHE) -> Path:
    """Bring the OSU 0.18 micrometre standard cells from Debian into a folder; the liberty file."""
    from ..hdl.asic.osu018 import fetch_osu018

    return fetch_osu018(Path(folder))


def _words(network: IntegerNetwork, folding: Folding) -> dict[str, int]:
    """Words of each layer's weight memory."""
    return {
        stage.dot.name: fold.neuron_folds(int(stage.dot.weights.codes.shape[0]))
        * fold.synapse_folds(int(stage.dot.weights.codes.shape[1]), stage.segments)
        for stage in network.stages()
        if (fold := folding.layers[stage.dot.name])
    }


def _folding(network: IntegerNetwork, board: Board, folding: Path | str | None, fps: float | None) -> Folding:
    """Portable popcounts: what every family and every library can be mapped to."""
    if folding is not None and fps is not None:
        raise UsageError("give a folding or frames per second, not both")
    if folding is not None:
        chosen = load_folding(Path(folding), network)
    else:
        chosen = default_folding(network, board) if fps is None else fold_for_fps(network, fps, board)
    return replace(chosen, popcount=Popcount.ADDERS)


def _accuracy(network: IntegerNetwork, data: str, data_dir: Path | str | None, notes: list[str]) -> float | None:
    from ..compiler import golden

    if not data:
        notes.append("No accuracy: the network does not say which data set it is for")
        return None
    try:
        samples = load_samples(network, data, split="test", limit=None, data_dir=data_dir)
    except DataError as error:
        notes.append(f"No accuracy: {error}")
        return None
    classes = golden.run(network, network.input_codes(samples.images), last=samples.last, keep=()).classes
    return float(np.mean(classes == samples.labels))


def _samples(
    network: IntegerNetwork, data: str, images: int, data_dir: Path | str | None, notes: list[str]
) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    if data:
        try:
            return load_samples(network, data, limit=images, data_dir=data_dir).images
        except DataError:
            pass
    notes.append("Toggles are those of random samples: there is no data set")
    return random_samples(network, images)


def _design(side: Side, network: IntegerNetwork, folding: Folding, board: Board, work: Path) -> Path:
    """Write a side's design folder, and return it."""
    from ..hdl.generate import write_design

    folder = work / ("xnor" if side.name.startswith("XNOR") else "int8")
    write_design(network, folding, folder, board=board)
    return folder


def _synthesized(
    side: Side,
    network: IntegerNetwork,
    folding: Folding,
    board: Board,
    rules: Assumptions,
    work: Path,
    fmax: bool,
    tell: Progress,
) -> Side:
    from ..hdl.tools.design_cells import ecp5_clock, synthesize_sources

    design = _design(side, network, folding, board, work)
    tell(f"{side.name}: Yosys for {board.family.value}")
    folder = work / f"{design.name}-{board.family.value}"
    cells = synthesize_sources(design / "rtl", TOP, board, folder)
    mhz = None
    if fmax:
        tell(f"{side.name}: nextpnr-ecp5")
        mhz = ecp5_clock(folder, TOP, board)
    equivalent = cells.luts + cells.dsps * rules.dsp_luts(board.family)
    return replace(side, fpga=cells, lut_equivalent=equivalent, fmax_mhz=mhz)


def _liberty(liberty: Path | str | None) -> Path:
    if liberty is not None:
        return Path(liberty)
    from ..hdl.asic.osu018 import LIBERTY

    path = CACHE / LIBERTY
    if not path.is_file():
        raise UsageError(f"no standard cells at {path}: `xnorflow fetch osu018` brings them, or --liberty names a file")
    return path


def _asic_assumptions(path: Path) -> tuple[str, tuple[Assumption, ...]]:
    from ..hdl.asic.energy import SLEW_NS
    from ..hdl.asic.liberty import load_liberty

    library = load_liberty(path)
    return library.name, (
        Assumption("standard cells", f"{library.name}, {library.volts:g} V", "typical corner; area of cells alone"),
        Assumption("energy of a toggle", "C V^2 / 2 + internal", f"the library's, input transitions of {SLEW_NS:g} ns"),
        Assumption("toggles", "without delays", "so that glitches are not in it, for neither design"),
        Assumption("memories of the ASIC", "not in area and energy", "weights, thresholds, scores: bits are counted"),
        Assumption("left out of the ASIC", "wires, clock tree, leakage, input pins' drivers", "for both designs"),
    )


def _mapped(
    side: Side,
    network: IntegerNetwork,
    folding: Folding,
    board: Board,
    liberty: Path,
    raw: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]",
    work: Path,
    tell: Progress,
) -> AsicSide:
    from ..hdl.asic.energy import toggle_energy
    from ..hdl.asic.liberty import load_liberty
    from ..hdl.asic.mapping import map_design
    from ..hdl.generate import load_design
    from ..sim.toggles import count_toggles
    from ..sim.verilator import find_verilator

    library = load_liberty(liberty)
    design = _design(side, network, folding, board, work)
    tell(f"{side.name}: Yosys to {library.name}")
    folder = work / f"{design.name}-asic"
    mapped = map_design(sorted((design / "rtl").glob("*.v")), TOP, library, folder)
    tell(f"{side.name}: {len(raw)} images through {sum(mapped.cells.values()):,} cells in Verilator")
    seen = count_toggles(load_design(design), mapped.verilog, find_verilator(), raw, folder / "sim")
    energy: NetEnergy = toggle_energy(mapped, library, seen.nets, seen.cycles)
    return AsicSide(
        area=mapped.area,
        cells=sum(mapped.cells.values()),
        flip_flops=mapped.flip_flops,
        memory_bits=mapped.memory_bits,
        images=seen.images,
        energy_pj=energy.total / seen.images,
        loads_pj=energy.loads / seen.images,
        internal_pj=energy.internal / seen.images,
        clock_pj=energy.clock / seen.images,
    )
