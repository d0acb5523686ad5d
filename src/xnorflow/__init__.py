"""xnorflow: from a PyTorch network with 1-bit to 8-bit weights to a streaming accelerator that equals it bit for bit.

The names below are loaded when they are first used: `import xnorflow` costs nothing, and only what needs torch
imports it. The steps with all their options are in `xnorflow.flow`.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .compiler.lowering.module import compile_module as compile
    from .compiler.storage.network_file import load_network, save_network
    from .flow import compile_run, evaluate, generate, predict, simulate
    from .train import train_recipe

__all__ = [
    "__version__",
    "compile",
    "compile_run",
    "evaluate",
    "generate",
    "load_network",
    "predict",
    "save_network",
    "simulate",
    "train_recipe",
]

__version__ = "0.1.0"

_HOMES = {
    "compile": ("compiler.lowering.module", "compile_module"),
    "compile_run": ("flow", "compile_run"),
    "evaluate": ("flow", "evaluate"),
    "generate": ("flow", "generate"),
    "load_network": ("compiler.storage.network_file", "load_network"),
    "predict": ("flow", "predict"),
    "save_network": ("compiler.storage.network_file", "save_network"),
    "simulate": ("flow", "simulate"),
    "train_recipe": ("train", "train_recipe"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value: object = getattr(importlib.import_module(f".{module}", __name__), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
