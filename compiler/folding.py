"""Folding: how many rows and columns of each matrix work in one cycle. A separate object, kept in a YAML file."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Folding", "LayerFold", "Memory", "Popcount"]


class Memory(StrEnum):
    """Where weights and thresholds lie."""

    AUTO = "auto"
    BLOCK = "block"
    LUT = "lut"


class Popcount(StrEnum):
    """How set bits are counted: portable adders, or compressors of explicit 6-input LUTs (Xilinx)."""

    ADDERS = "adders"
    LUT6 = "lut6"


@dataclass(frozen=True, slots=True)
class LayerFold:
    """The folding of one dot product: PE rows x SIMD columns a cycle.

    NF = ceil(N / PE) neuron folds, SF = ceil(K / SIMD) synapse folds; a vector takes NF * SF cycles. What does not
    divide is padded up, and the waste is shown.
    """

    pe: int
    simd: int
    memory: Memory = Memory.AUTO

    def neuron_folds(self, rows: int) -> int:
        """NF for a matrix of that many rows."""
        return -(-rows // self.pe)

    def synapse_folds(self, columns: int) -> int:
        """SF for a matrix of that many columns."""
        return -(-columns // self.simd)


@dataclass(frozen=True)
class Folding:
    """Foldings by the name of the Dense node; score lanes = classes scored in one cycle; how to count bits."""

    layers: Mapping[str, LayerFold]
    score_lanes: int = 1
    popcount: Popcount = Popcount.ADDERS
