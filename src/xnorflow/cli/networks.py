"""Commands on networks: compile, import, inspect, eval, predict."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import HardwareError, NetworkFileError, UsageError
from .options import DataDir, Json, one_of
from .output import plain, print_json, print_lines, print_table
from .sizes import print_size

if TYPE_CHECKING:
    from ..compiler.cost.kernels import KernelRow
    from ..flow import Evaluation, RunEvaluation

__all__ = ["compile_command", "evaluate", "import_bnn_pynq", "inspect", "predict"]

File = Annotated[Path, typer.Argument(help="Network file (.safetensors).", metavar="FILE", show_default=False)]


def compile_command(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a training run.", metavar="RUN_DIR", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Network file to write. (default: RUN_DIR/network.safetensors)")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantize a float run (a recipe *-float) to 8 bits after training.")
    ] = False,
    calibrate: Annotated[
        int, typer.Option(help="Training images that scale int8 activations.", metavar="N", min=1)
    ] = 1000,
    data_dir: DataDir = None,
) -> None:
    """Compile a trained run to an integer network in one file."""
    from .. import flow
    from ..compiler.requantize import wide_activations

    compiled = flow.compile_run(run_dir, out, int8=int8, calibrate=calibrate, data_dir=data_dir)
    layers = sum(1 for _ in compiled.network.stages())
    print_lines(f"{compiled.path}: {layers} layers, {compiled.size:,} bytes, sha256 {compiled.sha256}")
    print_lines(*wide_activations(compiled.network))


def import_bnn_pynq(
    folder: Annotated[
        Path, typer.Argument(help="Folder with the *-weights.bin and *-thres.bin.", metavar="DIR", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Network file to write.")] = Path("network.safetensors"),
    folding: Annotated[
        Path | None, typer.Option(help="Also write the published folding to this YAML file.", metavar="FILE")
    ] = None,
) -> None:
    """Import a published BNN-PYNQ network: LFC (MNIST) or CNV (CIFAR-10)."""
    from .. import flow

    imported = flow.import_bnn_pynq(folder, out, folding)
    layers = sum(1 for _ in imported.network.stages())
    print_lines(f"{imported.path}: {layers} layers, {imported.size:,} bytes, sha256 {imported.sha256}")


def inspect(
    file: Annotated[
        Path,
        typer.Argument(
            help="Network file (.safetensors), a recipe, or the folder of a trained run.",
            metavar="FILE|RECIPE|RUN_DIR",
            show_default=False,
        ),
    ],
    stage: Annotated[
        str | None, typer.Option(help="Of a recipe with duo: baseline, coupled, tuned, decoupled.", metavar="STAGE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a network: shapes, bits, weights, operations, thresholds, bytes; of a recipe its memory and operations;
    of a trained run the unique 2-D kernels of its binary convolutions."""
    from .. import flow

    if file.suffix in (".yaml", ".yml") or (file.name == str(file) and not file.suffix and not file.exists()):
        print_size(file, stage, as_json)
        return
    if stage is not None:
        raise UsageError(f"--stage is for a recipe; {file} is {'a run' if file.is_dir() else 'a network'} already")
    if file.is_dir():
        kernels = flow.run_kernels(file)
        if as_json:
            print_json({"kernels": kernels})
        elif kernels:
            _print_kernels(kernels)
        else:
            print_lines("no convolution with 1-bit weights and a kernel of several pixels")
        return
    table = flow.inspect_file(file)
    if as_json:
        print_json(table)
        return
    columns = ("layer", "kind", "input", "output", "bits", "weights", "operations", "thresholds", "bytes")
    print_table(columns, [row.cells() for row in (*table.rows, table.total)], left=5)
    if table.kernels:
        print_lines("")
        _print_kernels(table.kernels)


def _print_kernels(rows: "Sequence[KernelRow]") -> None:
    print_table(
        ("binary 2-D kernels", "kernels", "different", "for each channel, up to sign", "share", "operations saved"),
        [
            (
                row.layer,
                f"{row.kernels:,}",
                f"{row.unique:,}",
                f"{row.by_channel:,}",
                f"{row.share_by_channel:.1%}",
                f"{row.operations / row.reused:.2f} x fewer",
            )
            for row in rows
        ],
    )


def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            help="Network file (.safetensors); or the folder of a trained run, then in PyTorch.",
            metavar="FILE|RUN_DIR",
            show_default=False,
        ),
    ],
    data: Annotated[
        str | None, typer.Option(help="Data set, such as digits or mnist. (default: the network's own)", metavar="NAME")
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Take the first N samples only.", metavar="N")] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Trained run: compare every code and score with PyTorch.", metavar="RUN_DIR"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Of a run: binary (those that go to hardware), real, or ensemble (of sampled stochastic ones). "
            "(default: binary)",
            metavar="KIND",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="Networks of an ensemble.", metavar="N")] = 20,
    device: Annotated[
        str | None,
        typer.Option(
            help="Compute the network file there by the operators on bit planes: cpu, cuda or cuda:N. "
            "(default: the golden model)",
            metavar="NAME",
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="With --device: compare every layer with the golden model.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Measure a network's accuracy, and its agreement with the PyTorch run it came from."""
    from .. import flow

    if file.is_dir():
        if data is not None or against is not None:
            raise UsageError(f"{file} is a run: it is evaluated on its own data set, and against nothing else")
        if device is not None or layers:
            raise UsageError(f"--device and --layers go with a network file; {file} is a run")
        kind = one_of("--weights", weights or "binary", ("binary", "real", "ensemble"))
        of_run = flow.evaluate_run(file, weights=kind, draws=draws, split=split, limit=limit, data_dir=data_dir)
        if as_json:
            print_json(of_run)
        else:
            name = f"an ensemble of {of_run.draws}" if of_run.draws else f"{of_run.weights} weights"
            print_lines(f"{_samples(of_run)} {split}, {name}: accuracy {of_run.accuracy:.2%}")
        return
    if weights is not None:
        raise UsageError(f"--weights goes with the folder of a run; {file} has the quantized weights alone")
    result = flow.evaluate(
        file, data, split=split, limit=limit, against=against, data_dir=data_dir, device=device, layers=layers
    )
    if as_json:
        print_json(result)
    else:
        print_lines(f"{_samples(result)} {split}: accuracy {result.accuracy:.2%}")
        if against is not None:
            print_lines(f"{result.compared:,} values compared with PyTorch: {result.disagreements:,} disagreements")
        if layers:
            print_lines(f"{result.checked:,} values compared with the golden model: {result.differing:,} disagreements")
    if result.differing:
        raise HardwareError(f"{file} on {device} disagrees with the golden model in {result.differing:,} values")
    if result.disagreements:
        raise NetworkFileError(f"{file} disagrees with {against} in {result.disagreements:,} values")


def _samples(result: "Evaluation | RunEvaluation") -> str:
    """358 images of digits."""
    from ..train.data.datasets import DATASETS

    return f"{result.images:,} {DATASETS[result.data].unit}s of {result.data}"


def predict(
    file: File,
    images: Annotated[
        list[Path],
        typer.Argument(
            help="PNG images of the network's size, values 0 to 255 as they are; .npy arrays, a sample or a batch.",
            metavar="IMAGES...",
            show_default=False,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Classes and scores of images, from the network file alone (no torch)."""
    from .. import flow

    predictions = flow.predict(file, images)
    if as_json:
        print_json({"predictions": plain(predictions)})
        return
    for prediction in predictions:
        scores = " ".join(map(str, prediction.scores))
        print_lines(f"{prediction.source}: {prediction.class_name}  scores {scores}")
