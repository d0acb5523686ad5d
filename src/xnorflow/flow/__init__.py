"""The road as Python calls: each step takes paths, writes one artefact and returns what it did.

run = train("digits", Path("run"))
network = compile_run(run.run)
evaluate(network.path, "digits", against=run.run)
generated = generate(network.path, out=Path("design"))
simulate(generated.design.path)
report(generated.design.path)
"""

from .boards import BuildResult, build
from .compare import Comparison, compare, compare_training, fetch
from .designs import DEFAULT_BOARD, Generated, generate, report, sends, simulate
from .devices import DeviceRun, run
from .duo import duo_results, gradient_mismatch, train_duo
from .evaluation import RunEvaluation, evaluate_run
from .folds import Folded, FoldedLayer, fold
from .networks import (
    CompiledFile,
    Evaluation,
    Prediction,
    compile_run,
    evaluate,
    import_bnn_pynq,
    inspect_file,
    predict,
    run_kernels,
)
from .training import curves, train, train_seeds

__all__ = [
    "DEFAULT_BOARD",
    "BuildResult",
    "Comparison",
    "CompiledFile",
    "DeviceRun",
    "Evaluation",
    "Folded",
    "FoldedLayer",
    "Generated",
    "Prediction",
    "RunEvaluation",
    "build",
    "compare",
    "compare_training",
    "compile_run",
    "curves",
    "duo_results",
    "evaluate",
    "evaluate_run",
    "fetch",
    "fold",
    "generate",
    "gradient_mismatch",
    "import_bnn_pynq",
    "inspect_file",
    "predict",
    "report",
    "run",
    "run_kernels",
    "sends",
    "simulate",
    "train",
    "train_duo",
    "train_seeds",
]
