"""From a trained module to an integer network, and everything that can be computed on the network itself.

Names are resolved on first use, so that importing the room loads neither NumPy code that is not needed nor torch;
`lowering` and `compare` are the only modules that need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .compare import Comparison, compare_with_module
    from .golden import Trace, run
    from .ir import IntegerNetwork
    from .lowering import compile_module
    from .network_file import load_network, network_bytes, network_hash, save_network

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
    "Comparison": "compare",
    "IntegerNetwork": "ir",
    "Trace": "golden",
    "compare_with_module": "compare",
    "compile_module": "lowering",
    "load_network": "network_file",
    "network_bytes": "network_file",
    "network_hash": "network_file",
    "run": "golden",
    "save_network": "network_file",
}


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{HOMES[name]}", __name__), name)
