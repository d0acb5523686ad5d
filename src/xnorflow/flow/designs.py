"""Steps on hardware: a network file becomes a design folder, which is simulated and reported on."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..boards.loader import DEFAULT_BOARD, Board, load_board
from ..compiler.cost.clock import design_clock
from ..compiler.cost.occupancy import Occupancy, occupancy
from ..compiler.folds.folding import Arithmetic, Folding, Popcount, load_folding, with_arithmetic
from ..compiler.folds.solver import default_folding, fold_for_fps
from ..compiler.storage.network_file import load_network
from ..config import from_mapping
from ..errors import DataError, UsageError
from ..files import atomic_directory, atomic_write
from ..hdl.manifest import FILE
from .networks import load_samples, read_raw

if TYPE_CHECKING:
    from ..compiler.ir import IntegerNetwork
    from ..hdl.generate import Design
    from ..report import ReportResult
    from ..sim.simulate import SimulationResult
    from ..train.data.datasets import Samples

__all__ = ["DEFAULT_BOARD", "Generated", "generate", "random_samples", "report", "sends", "simulate"]

NETWORK = "network.safetensors"  # in a design folder
SENT = "sim/samples.json"
RANDOM_IMAGES = 64  # simulated where neither --data nor the network names a data set


@dataclass(frozen=True, slots=True)
class Sent:
    """What a simulation was sent: the first so many test images of a data set."""

    data: str
    images: int


@dataclass(frozen=True, slots=True)
class Generated:
    """A design folder that `generate` wrote, with what it was made of, and what it takes of the board by estimate.

    slow: a note where the estimated clock is below the board's.
    """

    design: "Design"
    network: "IntegerNetwork"
    folding: Folding
    board: Board
    whole: Occupancy | None
    slow: str | None


def generate(
    file: Path | str,
    *,
    board: str = DEFAULT_BOARD,
    folding: Path | str | None = None,
    fps: float | None = None,
    popcount: Popcount | str | None = None,
    arithmetic: Arithmetic | str | None = None,
    pipeline: int = 1,
    out: Path | str | None = None,
) -> Generated:
    """Write the Verilog of a network file into a folder, `design` beside the file by default.

    board: the name of a known board or a YAML file. The folding comes from a YAML file, or is solved for `fps`
    frames a second at the board's clock, or is the default for the board. popcount: how bits are counted, where not as
    the folding says; explicit LUTs (`lut6`) take the least area, portable `adders` simulate ten times faster.
    arithmetic: what all layers compute with, where not as the folding says: bit `planes` or multipliers (`mac`).
    pipeline: registers from each engine's weights to its counts; more make a faster clock and cost latency alone.
    """
    from ..hdl.generate import load_design, write_design
    from ..sim.design_bench import write_bench

    if folding is not None and fps is not None:
        raise UsageError("give a folding or frames per second, not both")
    if popcount is not None and popcount not in list(Popcount):
        raise UsageError(f"popcount must be {' or '.join(Popcount)}, not {popcount!r}")
    if arithmetic is not None and arithmetic not in list(Arithmetic):
        raise UsageError(f"arithmetic must be {' or '.join(Arithmetic)}, not {arithmetic!r}")
    if pipeline < 1:
        raise UsageError(f"pipeline must be a positive whole number, not {pipeline}")
    network = load_network(file)
    target = load_board(board)
    if folding is not None:
        chosen = load_folding(Path(folding), network)
        if arithmetic is not None:
            chosen = with_arithmetic(chosen, Arithmetic(arithmetic))
    elif fps is not None:
        chosen = fold_for_fps(network, fps, target, Arithmetic(arithmetic or Arithmetic.PLANES))
    else:
        chosen = default_folding(network, target, Arithmetic(arithmetic or Arithmetic.PLANES))
    if popcount is not None:
        chosen = replace(chosen, popcount=Popcount(popcount))
    folder = Path(out) if out else Path(file).parent / "design"
    _check_replaceable(folder)
    with atomic_directory(folder) as draft:
        write_design(network, chosen, draft, board=target, popcount_stages=pipeline)
        write_bench(draft)
    whole = occupancy(network, chosen, target, popcount_stages=pipeline)
    clock = design_clock(network, chosen, target, popcount_stages=pipeline)
    slow = clock.note(target, pipeline) if clock is not None else None
    return Generated(load_design(folder), network, chosen, target, whole, slow)


def simulate(
    design_dir: Path | str,
    *,
    data: str | None = None,
    data_dir: Path | str | None = None,
    samples: Path | str | None = None,
    images: int | None = None,
    stalls: int | None = None,
    waves: bool = False,
    layers: bool = True,
    gate_level: bool = False,
    progress: Callable[[str], None] | None = None,
) -> "SimulationResult":
    """Run a design in cocotb + Verilator over a data set's test split and compare it with the golden model.

    data: the data set's name; without it the one that the network was trained on, or random samples where that is
    not known (`sends` tells). samples: an .npy array or a PNG image to send instead. images: how many of them (None:
    all). stalls: the seed of random pauses at both ports. gate_level: simulate the netlist for the board's family,
    whose results alone can be compared (layers must be False); progress: hears of its synthesis. What was sent of a
    data set is noted in DESIGN/sim/samples.json, for the report.
    """
    from ..hdl.generate import load_design
    from ..sim.simulate import simulate as run

    if images is not None and images < 1:
        raise UsageError(f"the number of images must be positive, not {images}")
    loaded = load_design(Path(design_dir))
    design, slots, last = loaded.path, loaded.manifest.interleave, None
    network = load_network(design / NETWORK)
    if samples is not None and data is not None:
        raise UsageError("give samples or a data set, not both")
    name = None if samples is not None else data or network.provenance.get("data")
    if samples is not None:
        raw = read_raw(network, [samples])[1][:images]
    elif name is None:
        raw = random_samples(network, images or RANDOM_IMAGES)
    else:
        sent = load_samples(network, name, limit=images, data_dir=data_dir).in_turn(slots)
        raw, last = sent.images, sent.ends(slots)
    result = run(
        design,
        raw_images=raw,
        last=last,
        stalls=stalls,
        waves=waves,
        layers=layers,
        gate_level=gate_level,
        progress=progress,
    )
    if gate_level:  # the report shows answers of the Verilog
        return result
    if name is None:
        (design / SENT).unlink(missing_ok=True)
    else:
        atomic_write(design / SENT, json.dumps(asdict(Sent(name, len(raw)))) + "\n")
    return result


def sends(design_dir: Path | str, data: str | None = None) -> str:
    """What `simulate` sends to a design, in words, where it is given no samples."""
    from ..train.data.datasets import DATASETS

    name = data or load_network(Path(design_dir) / NETWORK).provenance.get("data")
    return f"test {DATASETS[name].unit}s of {name}" if name else "random samples: the network names no data set"


def report(
    design_dir: Path | str,
    out: Path | str | None = None,
    *,
    run: Path | str | None = None,
    data_dir: Path | str | None = None,
) -> "ReportResult":
    """Write the HTML report of a design folder, `DESIGN/report.html` by default.

    run: the training run, for its curves and for PyTorch's scores beside the hardware's.
    """
    from ..report import write_report

    design, samples = Path(design_dir), _sent_samples(Path(design_dir), data_dir)
    return write_report(design, Path(out) if out else None, samples=samples, run_dir=Path(run) if run else None)


def _check_replaceable(folder: Path) -> None:
    """UsageError where `generate` would delete something else than an earlier design."""
    is_design = (folder / FILE).is_file() and (folder / "rtl").is_dir()
    is_empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not (is_design or is_empty):
        raise UsageError(f"{folder} exists and is no design folder, so it is not replaced; give another --out")


def _sent_samples(design: Path, data_dir: Path | str | None) -> "Samples | None":
    """The labelled samples that the design's last simulation was sent; None if it was none or random ones."""
    note = design / SENT
    if not note.exists():
        return None
    try:
        sent = from_mapping(Sent, json.loads(note.read_text(encoding="utf-8")), str(note))
    except (ValueError, UsageError) as error:
        raise DataError(f"{note} is damaged; run `xnorflow simulate` again") from error
    from ..hdl.generate import load_design

    samples = load_samples(load_network(design / NETWORK), sent.data, limit=sent.images, data_dir=data_dir)
    return samples.in_turn(load_design(design).manifest.interleave)


def random_samples(network: "IntegerNetwork", count: int) -> NDArray[np.generic]:
    """Reproducible samples that are uniform over the input's codes."""
    source = network.input
    codes = np.random.default_rng(0).integers(0, source.type.max_code + 1, (count, *source.type.shape))
    if source.transform is None:
        return codes.astype(np.uint8)
    low, high = source.transform.lo, source.transform.hi
    return codes * ((high - low) / source.type.max_code) + low
