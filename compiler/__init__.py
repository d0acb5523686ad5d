"""From a trained module to an integer network, and everything that can be computed on the network itself.

Names are resolved on first use, so that importing the room loads neither NumPy code that is not needed nor torch;
`lowering` and `compare` are the only modules that need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .golden import Trace, run
    from .ir import IntegerNetwork
    from .lowering.compare import Comparison, compare_with_module
    from .lowering.module import compile_module
    from .storage.network_file import load_network, network_bytes, network_hash, save_network

__all__ = [
    "Comparison",
    "IntegerNetwork",
    "Trace",
    "compare_with_module",
    "compile_module",
    "load_network",
    "network_bytes",
    "network_hash",
    "run",
    "save_network",
]

HOMES = {
    "Comparison": "lowering.compare",
    "IntegerNetwork": "ir",
    "Trace": "golden",
    "compare_with_module": "lowering.compare",
    "compile_module": "lowering.module",
    "load_network": "storage.network_file",
    "network_bytes": "storage.network_file",
    "network_hash": "storage.network_file",
    "run": "golden",
    "save_network": "storage.network_file",
}


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{HOMES[name]}", __name__), name)
