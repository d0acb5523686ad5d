"""Steps on networks: a trained run becomes a file; a file is inspected, evaluated and asked for predictions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..compiler.storage.network_file import load_network, save_network
from ..errors import DataError, UsageError
from ..files import sha256_file
from ..images import read_samples

if TYPE_CHECKING:
    from ..compiler.cost.kernels import KernelRow
    from ..compiler.inspect import Inspection
    from ..compiler.ir import IntegerNetwork
    from ..train.data.datasets import Samples
    from ..train.loop.runs import TrainedRun

__all__ = [
    "CompiledFile",
    "Evaluation",
    "Prediction",
    "compile_run",
    "evaluate",
    "import_bnn_pynq",
    "inspect_file",
    "predict",
    "run_kernels",
]

CALIBRATION_IMAGES = 1000
"""By which int8 activations are scaled, where nobody says otherwise."""

Raw = TypeVar("Raw", bound=NDArray[np.generic])


@dataclass(frozen=True, slots=True)
class CompiledFile:
    """A network file that `compile_run` wrote."""

    path: Path
    network: "IntegerNetwork"
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Golden model over a data set; with a trained run beside it, how many values were compared and differ.

    compared: activation codes of every layer, accumulators and scores, all images; 0 and disagreements 0 without a
    run. path: the PyTorch evaluation path that defines equality (CPU, float32, contiguous, eval mode).
    device: where the operators computed the network, None: the golden model did. checked, differing: values that they
    yielded and that were compared with the golden model's, and how many of them are others.
    """

    data: str
    split: str
    images: int
    accuracy: float
    disagreements: int
    compared: int
    path: str = "canonical"
    device: str | None = None
    checked: int = 0
    differing: int = 0


@dataclass(frozen=True, slots=True)
class Prediction:
    """The class of one sample, and the integer score of every class."""

    source: str
    class_index: int
    class_name: str
    scores: tuple[int, ...]


def compile_run(
    run_dir: Path | str,
    out: Path | str | None = None,
    *,
    int8: bool = False,
    calibrate: int = CALIBRATION_IMAGES,
    data_dir: Path | str | None = None,
) -> CompiledFile:
    """Compile the best checkpoint of a training run to a network file, `RUN_DIR/network.safetensors` by default.

    int8: quantize a float network to 8 bits, activations by what `calibrate` training images yield (from `data_dir`);
    without it the network's own integers, exactly.
    """
    from ..train.loop.runs import load_run

    run = load_run(run_dir)
    network = quantized(run, calibrate, data_dir) if int8 else compiled(run)
    path = Path(out) if out else Path(run_dir) / "network.safetensors"
    save_network(network, path)
    return CompiledFile(path, network, path.stat().st_size, sha256_file(path))


def compiled(run: "TrainedRun") -> "IntegerNetwork":
    """The integer network of a trained run, wide activations requantized where that takes less than thresholds."""
    from ..compiler.lowering.module import compile_module
    from ..compiler.requantize import requantized

    example = np.zeros((1, *run.input_shape), np.uint8)
    network = compile_module(run.model, example, class_names=run.class_names, provenance=_provenance(run))
    return requantized(network)


def quantized(run: "TrainedRun", calibrate: int, data_dir: Path | str | None = None) -> "IntegerNetwork":
    """The int8 network of a float run, calibrated on that many training images, drawn without replacement."""
    import torch

    from ..compiler.lowering.int8 import compile_int8
    from ..train.loop.feed import load_feed

    if calibrate < 1:
        raise UsageError(f"the number of calibration images must be positive, not {calibrate}")
    feed = load_feed(run.recipe, "train", data_dir, torch.device("cpu"))
    chosen = np.random.default_rng(0).permutation(len(feed))[:calibrate]
    images, _ = next(feed.batches([torch.from_numpy(np.sort(chosen))]))
    about = {"quantization": f"int8 after training, calibrated on {len(chosen)} training images"}
    return compile_int8(run.model, images.numpy(), class_names=run.class_names, provenance=_provenance(run) | about)


def import_bnn_pynq(folder: Path, out: Path, folding: Path | None = None) -> CompiledFile:
    """Write a published BNN-PYNQ network to the file `out`, and the folding it was published with to `folding`."""
    from ..compiler.folds.folding import save_folding
    from ..compiler.storage import bnn_pynq

    imported = bnn_pynq.import_bnn_pynq(folder)
    save_network(imported.network, out)
    if folding is not None:
        save_folding(imported.folding, folding)
    return CompiledFile(out, imported.network, out.stat().st_size, sha256_file(out))


def inspect_file(file: Path | str) -> "Inspection":
    """The table of a network file: shapes, bits, weights, operations, thresholds and bytes of every layer."""
    from ..compiler.inspect import inspect

    return inspect(load_network(file))


def run_kernels(run: Path | str) -> tuple["KernelRow", ...]:
    """Unique 2-D kernels of a trained run's binary convolutions, a row each and their total: of networks too that have
    no integer form, such as BinaryConnect's with float activations."""
    from ..compiler.cost.kernels import kernel_row, kernel_total
    from ..train.layers.modules import QuantConv2d
    from ..train.layers.quantizers import BinaryWeights
    from ..train.loop.runs import load_run
    from ..train.models.sizes import model_size

    trained = load_run(run)
    layers = dict(trained.model.named_modules())
    rows = []
    for size in model_size(trained.recipe).layers:
        layer = layers[size.name]
        if isinstance(layer, QuantConv2d) and isinstance(layer.weight_quantizer, BinaryWeights):
            bits = layer.weight_quantizer.codes(layer.weight).flatten(2).numpy()
            if bits.shape[2] > 1:
                rows.append(kernel_row(size.name, bits, groups=layer.groups, positions=size.macs // size.weights))
    return kernel_total(rows)


def evaluate(
    file: Path | str,
    data: str | None = None,
    *,
    split: str = "test",
    limit: int | None = None,
    against: Path | str | None = None,
    data_dir: Path | str | None = None,
    device: str | None = None,
    layers: bool = False,
) -> Evaluation:
    """Accuracy of the golden model on a data set; with `against` (a run folder) every value compared with PyTorch.

    data: without it the data set that the network was trained on. device: compute the network there, by the operators
    on bit planes: cpu, cuda or cuda:N. layers: compare every tensor that they form with the golden model's.
    """
    from ..compiler import golden

    if layers and device is None:
        raise UsageError("layers are compared with the golden model where a device computes them: give --device too")

    network = load_network(file)
    data = data or network.provenance.get("data")
    if data is None:
        raise UsageError(f"{file} does not say which data set it is for; give --data")
    samples = load_samples(network, data, split=split, limit=limit, data_dir=data_dir)
    checked = differing = 0
    if device is None:
        classes = golden.run(network, network.input_codes(samples.images), last=samples.last, keep=()).classes
    else:
        from ..gpu.runner import Runner, compare_with_golden

        runner = Runner(network, device)
        classes = runner.run(samples.images).classes
        if layers:
            counts = compare_with_golden(Runner(network, device, keep=runner.names), samples.images).values()
            checked, differing = (sum(column) for column in zip(*counts, strict=True))
    correct = int(np.count_nonzero(classes == samples.labels))
    compared = disagreements = 0
    if against is not None:
        from ..compiler.lowering.compare import compare_with_module
        from ..train.loop.runs import load_run

        comparison = compare_with_module(network, load_run(against).model, samples.images)
        compared, disagreements = comparison.compared, comparison.disagreements
    accuracy = correct / len(samples.labels)
    return Evaluation(
        data,
        split,
        len(samples.labels),
        accuracy,
        disagreements,
        compared,
        device=device,
        checked=checked,
        differing=differing,
    )


def predict(file: Path | str, images: Sequence[Path | str]) -> tuple[Prediction, ...]:
    """Classes and scores of PNG images and .npy arrays, from the network file alone: needs no torch.

    Values are taken as they are. A PNG is refused where most of its range 0..255 lies beyond the network's inputs: its
    pixels would saturate, and the answer would be wrong without a word.
    """
    from ..compiler import golden

    network = load_network(file)
    sources, raw = read_raw(network, images)
    trace = golden.run(network, network.input_codes(raw))
    return tuple(
        Prediction(source, int(index), network.class_names[index], tuple(map(int, scores)))
        for source, index, scores in zip(sources, trace.classes, trace.scores, strict=True)
    )


def read_raw(network: "IntegerNetwork", images: Sequence[Path | str]) -> tuple[list[str], NDArray[np.generic]]:
    """The samples in PNG images and .npy arrays: what to call each, and their values (B, *input shape)."""
    transform, pictures = network.input.transform, [path for path in images if Path(path).suffix.lower() == ".png"]
    if pictures and transform is not None and transform.hi < 128:
        raise DataError(
            f"{pictures[0]}: a PNG's pixels go up to 255, this network's inputs from {transform.lo:g} to "
            f"{transform.hi:g}; give an .npy array of values in that range"
        )
    samples = [sample for path in images for sample in read_samples(Path(path), network.input.type.shape)]
    if not samples:
        raise DataError("no images in " + ", ".join(map(str, images)))
    raw = _checked(network, np.stack([sample.raw for sample in samples]), "the images")
    return [sample.source for sample in samples], raw


def load_samples(
    network: "IntegerNetwork",
    data: str,
    *,
    split: str = "test",
    limit: int | None = None,
    data_dir: Path | str | None = None,
) -> "Samples":
    """The first `limit` samples of a data set's split, checked to fit the network."""
    from ..train.data.datasets import DATASETS, data_folder, load_dataset, load_pictures

    if limit is not None and limit < 1:
        raise UsageError(f"the number of images must be positive, not {limit}")
    if data == "imagenet":  # in the network's size, and no more pictures than are wanted
        side, classes = network.input.type.shape[0], len(network.class_names)
        samples = load_pictures(data_folder(data, data_dir), split, side, classes, limit)
    else:
        samples = load_dataset(data, split, data_dir)
    samples = replace(samples, images=samples.images[:limit], labels=samples.labels[:limit])
    if DATASETS[data].tokens:
        samples = samples.one_hot()
    shape = network.input.type.shape
    if samples.images[0].size != network.input.type.size:
        raise UsageError(f"data set {data} has samples of {samples.images.shape[1:]}, the network takes {shape}")
    if len(samples.class_names) != len(network.class_names):
        raise UsageError(
            f"data set {data} has {len(samples.class_names)} classes, the network {len(network.class_names)}"
        )
    return replace(samples, images=_checked(network, samples.images.reshape(-1, *shape), f"data set {data}"))


def _checked(network: "IntegerNetwork", raw: Raw, what: str) -> Raw:
    """Raw samples that the network can take: those without an input transform must be codes already."""
    source = network.input
    if source.transform is None and not (
        np.array_equal(raw, raw.astype(np.uint8)) and int(raw.max(initial=0)) <= source.type.max_code
    ):
        raise DataError(f"{what} must hold whole numbers from 0 to {source.type.max_code}: the network takes codes")
    return raw


def _provenance(run: "TrainedRun") -> dict[str, str]:
    """Where a compiled network came from, as its file tells: no dates and no paths, the same run gives the same.

    Accuracies of other weights than the network's, the real ones, are left out.
    """
    from .. import __version__

    recipe, summary = run.recipe, run.summary
    accuracies = {key: repr(summary[key]) for key in ("val_accuracy", "test_accuracy") if key in summary}
    if recipe.evaluation != "binary":
        accuracies = {}
    return {
        "data": recipe.dataset,
        "description": recipe.description,
        "epochs": str(recipe.epochs),
        "seed": str(recipe.seed),
        "xnorflow": __version__,
        **accuracies,
    }
