"""One exception base; one subclass and one exit code per domain.

The command line turns each into one line on standard error and its exit code; nothing below the command line
prints or exits. A message says what is wrong, with which value, and what would do.
"""

__all__ = [
    "DataError",
    "HardwareError",
    "InterruptedRunError",
    "NetworkFileError",
    "ToolError",
    "UnsupportedLayerError",
    "UsageError",
    "XnorflowError",
]


class XnorflowError(Exception):
    """Base of every error that a user can cause or mend."""

    exit_code = 1


class UsageError(XnorflowError):
    """A wrong option, recipe, folding or board: something the caller wrote."""

    exit_code = 2


class DataError(XnorflowError):
    """A data set, an image or a run folder that is missing, damaged or of the wrong shape; a full disk."""

    exit_code = 3


class NetworkFileError(XnorflowError):
    """A network file that is damaged, foreign or inconsistent."""

    exit_code = 4


class HardwareError(XnorflowError):
    """A design that cannot be built as asked, or hardware that disagrees with the golden model."""

    exit_code = 5


class ToolError(XnorflowError):
    """An external tool (Verilator, g++, make, perl, Yosys) that is missing, too old or failed."""

    exit_code = 6


class UnsupportedLayerError(UsageError):
    """Layers that have no integer form; the message lists all of them by name."""


class InterruptedRunError(XnorflowError):
    """Ctrl-C or SIGTERM: what was written before is intact."""

    exit_code = 130
