"""Write a design's report: gather, fill in the template, write the file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ..compiler.cost.counts import count_layers, total_counts
from ..compiler.cost.energy import DesignEnergy
from ..compiler.cost.energy import energy as energy_of
from ..compiler.folds.folding import Arithmetic, load_folding
from ..compiler.schedule.cycles import fold_table
from ..compiler.storage.network_file import load_network
from ..errors import DataError
from ..files import atomic_write
from ..hdl.generate import load_design
from ..train.loop.metrics import read_metrics
from . import words
from .comparison import read_comparison
from .figures import Resources, count_table, energy_rows, engine_cards, resources
from .gallery import pick_samples, sample_cards
from .training import training_charts

if TYPE_CHECKING:
    from ..train.data.datasets import Samples

__all__ = ["ReportResult", "write_report"]


@dataclass(frozen=True, slots=True)
class ReportResult:
    """The report and the numbers in it.

    accuracy: of the hardware's classes, None where no labelled images were simulated. images, mismatches: of the
    simulation, None before one. ops: sums over the layers. energy: picojoules an image; baselines: the same network
    with MACs, `ratio` how many times ours.
    """

    path: Path
    accuracy: float | None
    images: int | None
    mismatches: int | None
    cycles_per_image: float | None
    bound_cycles: int
    ops: Mapping[str, int]
    energy: DesignEnergy
    baselines: tuple[DesignEnergy, ...]
    resources: Resources


def write_report(
    design_dir: Path,
    out: Path | None = None,
    *,
    samples: "Samples | None" = None,
    run_dir: Path | None = None,
) -> ReportResult:
    """Write the report of a design folder to `out` (DESIGN/report.html by default), in one atomic step.

    The simulation's part comes from DESIGN/sim where there is one. samples: the labelled images that were simulated,
    in that order; without them there is no accuracy and no gallery. run_dir: the training run, for its curve and for
    PyTorch's scores beside the hardware's. A comparison of this network that `xnorflow compare --out` left in the
    folder of the report is shown in it. The same input gives the same bytes. Raises UsageError (no design), DataError
    (a damaged result).
    """
    design = load_design(design_dir)
    network = load_network(design_dir / "network.safetensors")
    folding = load_folding(design_dir / "folding.yaml", network)
    layers = count_layers(network, folding)
    energy = energy_of(network, folding)
    board = words.board_of(design.manifest)
    result = _read_result(design_dir / "sim" / "result.json")
    classes = _array(design_dir / result["classes"]) if result else None
    scores = _array(design_dir / result["scores"]) if result else None
    seen = None if classes is None or samples is None else min(len(classes), len(samples.labels))
    accuracy = None
    if seen and classes is not None and samples is not None:
        accuracy = float(np.mean(classes[:seen] == samples.labels[:seen]))
    table = fold_table(network, folding)
    arithmetics = {folding.layers[stage.dot.name].arithmetic for stage in network.stages()}
    unit = words.unit(design.manifest)
    path = out or design_dir / "report.html"
    held = resources(design.manifest, layers, board)

    context: dict[str, Any] = {
        "title": words.title(network.provenance),
        "subtitle": words.subtitle(design.manifest, board),
        "verdict": words.verdict(result, design.modified, unit),
        "unit": unit,
        "a_unit": words.with_article(unit),
        "tiles": words.tiles(design.manifest, result, accuracy, seen, energy, arithmetics),
        "bound": f"{design.manifest.initiation_interval:,}",
        "input_port": words.input_port(design.manifest),
        "output_port": words.output_port(design.manifest),
        "branches": any(len(node.inputs) > 1 for node in network.nodes),
        "engines": engine_cards(design.manifest, table, network, folding),
        "proof": words.proof(result, _read_result(design_dir / "gate_level" / "result.json"), unit),
        "streams": words.streams(design.manifest, result),
        "buffers": result.get("buffers", []) if result else [],
        "samples": (),
        "training": None,
        "counts": dict(zip(("head", "rows", "total"), count_table(layers), strict=True)),
        "memory": words.memory(held),
        "energy": {
            "text": words.energy_text(energy, arithmetics),
            "rows": energy_rows(energy, multiplies=arithmetics == {Arithmetic.MAC}),
            "assumptions": energy.assumptions,
        },
        "comparison": read_comparison(path.parent, design.manifest.source.network_hash),
        "commands": words.commands(network.provenance, result),
        "versions": words.versions(design.manifest, result),
        "style": Markup((Path(__file__).parent / "report.css").read_text()),
    }
    if seen and classes is not None and scores is not None and samples is not None:
        chosen = pick_samples(classes[:seen], samples.labels[:seen])
        context["samples"] = sample_cards(network, samples, chosen, scores if scores.size else None, classes, run_dir)
        context["samples_text"] = words.samples_text(bool(scores.size), run_dir is not None)
    if run_dir is not None:
        context["training"] = training_charts(read_metrics(run_dir / "metrics.jsonl"))

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    atomic_write(path, environment.get_template("report.html.j2").render(context))
    return ReportResult(
        path=path,
        accuracy=accuracy,
        images=result["images"] if result else None,
        mismatches=result["mismatches"] if result else None,
        cycles_per_image=result["cycles_per_image"] if result else None,
        bound_cycles=design.manifest.initiation_interval,
        ops=total_counts(layers),
        energy=energy.xnor,
        baselines=energy.baselines,
        resources=held,
    )


def _read_result(path: Path) -> dict[str, Any] | None:
    """A simulation's result.json, None where nothing was simulated yet."""
    if not path.exists():
        return None
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged; run `xnorflow simulate` again") from error
    if not isinstance(result, dict) or not {"images", "mismatches", "classes", "scores"} <= result.keys():
        raise DataError(f"{path} is not a simulation's result; run `xnorflow simulate` again")
    return result


def _array(path: Path) -> NDArray[np.int64]:
    try:
        array: NDArray[np.int64] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged or missing; run `xnorflow simulate` again") from error
    return array
