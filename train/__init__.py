"""Training in PyTorch: quantizers, layers, recipes, data sets and the trainer.

Names load on first use, so that data sets and recipes can be read without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data.datasets import Samples, load_dataset
    from .layers.activations import LinearQuant, LogQuant
    from .layers.ap2 import ap2
    from .layers.dropout import Dropout
    from .layers.gradients import GradientQuantizer
    from .layers.modules import (
        BinaryLinear,
        ChannelsFirst,
        InputQuantizer,
        QuantConv2d,
        QuantLinear,
        QuantReLU,
        Sign,
        SumPool2d,
    )
    from .layers.norms import BatchNorm1d, BatchNorm2d, ScoreNorm
    from .layers.qnn import LogWeights, SignedWeights, TernaryWeights
    from .layers.quantizers import BinaryWeights, BipolarWeights, FloatWeights, WeightQuantizer
    from .layers.randomness import keyed
    from .layers.recurrent import CellSpec, QuantHardtanh, QuantLSTM, QuantRNN
    from .layers.shift_norms import ShiftBatchNorm1d, ShiftBatchNorm2d, ShiftScoreNorm
    from .layers.surrogates import SURROGATES, Surrogate
    from .layers.whitening import GcnZca
    from .loop.adamax import ShiftAdaMax
    from .loop.bop import Bop, Together
    from .loop.evaluate import accuracy, class_scores
    from .loop.learning import latent_weights, layer_records
    from .loop.losses import cross_entropy, square_hinge
    from .loop.objective import distance_from_teacher
    from .loop.optim import build_optimizer, clip_latent_weights
    from .loop.runs import TrainedRun, load_run
    from .loop.seeds import SeedsResult, train_seeds
    from .loop.trainer import TrainResult, train_recipe
    from .recipe import OptimizerSpec, Recipe, list_recipes, load_recipe

__all__ = [
    "SURROGATES",
    "BatchNorm1d",
    "BatchNorm2d",
    "BinaryLinear",
    "BinaryWeights",
    "BipolarWeights",
    "Bop",
    "CellSpec",
    "ChannelsFirst",
    "Dropout",
    "FloatWeights",
    "GcnZca",
    "GradientQuantizer",
    "InputQuantizer",
    "LinearQuant",
    "LogQuant",
    "LogWeights",
    "OptimizerSpec",
    "QuantConv2d",
    "QuantHardtanh",
    "QuantLSTM",
    "QuantLinear",
    "QuantRNN",
    "QuantReLU",
    "Recipe",
    "Samples",
    "ScoreNorm",
    "SeedsResult",
    "ShiftAdaMax",
    "ShiftBatchNorm1d",
    "ShiftBatchNorm2d",
    "ShiftScoreNorm",
    "Sign",
    "SignedWeights",
    "SumPool2d",
    "Surrogate",
    "TernaryWeights",
    "Together",
    "TrainResult",
    "TrainedRun",
    "WeightQuantizer",
    "accuracy",
    "ap2",
    "build_optimizer",
    "class_scores",
    "clip_latent_weights",
    "cross_entropy",
    "distance_from_teacher",
    "keyed",
    "latent_weights",
    "layer_records",
    "list_recipes",
    "load_dataset",
    "load_recipe",
    "load_run",
    "square_hinge",
    "train_recipe",
    "train_seeds",
]

_HOMES = {
    "layers.activations": ("LinearQuant", "LogQuant"),
    "layers.dropout": ("Dropout",),
    "layers.randomness": ("keyed",),
    "data.datasets": ("Samples", "load_dataset"),
    "layers.ap2": ("ap2",),
    "layers.gradients": ("GradientQuantizer",),
    "layers.shift_norms": ("ShiftBatchNorm1d", "ShiftBatchNorm2d", "ShiftScoreNorm"),
    "layers.surrogates": ("SURROGATES", "Surrogate"),
    "layers.whitening": ("GcnZca",),
    "loop.adamax": ("ShiftAdaMax",),
    "loop.bop": ("Bop", "Together"),
    "layers.norms": ("BatchNorm1d", "BatchNorm2d", "ScoreNorm"),
    "layers.modules": (
        *("BinaryLinear", "ChannelsFirst", "InputQuantizer"),
        *("QuantConv2d", "QuantLinear", "QuantReLU", "Sign", "SumPool2d"),
    ),
    "loop.evaluate": ("accuracy", "class_scores"),
    "loop.learning": ("latent_weights", "layer_records"),
    "loop.objective": ("distance_from_teacher",),
    "loop.losses": ("cross_entropy", "square_hinge"),
    "loop.optim": ("build_optimizer", "clip_latent_weights"),
    "loop.seeds": ("SeedsResult", "train_seeds"),
    "layers.qnn": ("LogWeights", "SignedWeights", "TernaryWeights"),
    "layers.quantizers": ("BinaryWeights", "BipolarWeights", "FloatWeights", "WeightQuantizer"),
    "recipe": ("OptimizerSpec", "Recipe", "list_recipes", "load_recipe"),
    "layers.recurrent": ("CellSpec", "QuantHardtanh", "QuantLSTM", "QuantRNN"),
    "loop.runs": ("TrainedRun", "load_run"),
    "loop.trainer": ("TrainResult", "train_recipe"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
