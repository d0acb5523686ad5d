"""One network as XNOR-popcount, int8, fp16 and fp32 designs at one rate: work, memory, accesses and energy on paper."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...boards.loader import Family
from ...config import from_mapping, load_yaml
from ...errors import UsageError
from ..folds.folding import Folding
from ..ir import IntegerNetwork
from .energy import Assumption, DesignEnergy, EnergyModel, energy
from .work import Work, mac_work, total_work, xnor_work

__all__ = ["Assumptions", "Rival", "compare_rivals", "load_assumptions", "printed"]

# An 8 x 8-bit signed multiplier by Yosys 0.70 without DSP blocks: LUTs, and two for each CCU2C, one for each ALU.
_LUTS_PER_DSP = {
    Family.XILINX7: 138.0,
    Family.XILINX_US_PLUS: 138.0,
    Family.ECP5: 184.0,
    Family.ICE40: 179.0,
    Family.GOWIN: 179.0,
}


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a comparison rests on and a user may change, each field a key of a YAML file.

    energy: the table of operation and memory energies, at 45 nm. luts_per_dsp: what one DSP block counts for where LUT
    and DSP are put into one number, by family; families that a file leaves out keep their value.
    """

    energy: EnergyModel = EnergyModel()
    luts_per_dsp: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.luts_per_dsp.items():
            if name not in list(_LUTS_PER_DSP):
                raise UsageError(
                    f"luts_per_dsp: no family {name!r} with DSP blocks (known: {', '.join(_LUTS_PER_DSP)})"
                )
            if value < 0:
                raise UsageError(f"luts_per_dsp.{name} must not be negative, not {value:g}")

    def dsp_luts(self, family: Family) -> float:
        """What a DSP block of the family counts for; 0 where there is none."""
        return self.luts_per_dsp.get(family.value, _LUTS_PER_DSP.get(family, 0.0))


@dataclass(frozen=True, slots=True)
class Rival:
    """One design: its work in all and layer by layer, and its energy by the table, picojoules a frame."""

    name: str
    total: Work
    layers: tuple[Work, ...]
    energy: DesignEnergy


def load_assumptions(path: Path) -> Assumptions:
    """The assumptions in a YAML file; what it leaves out keeps its default. UsageError for unknown keys and values."""
    content = load_yaml(path)
    return from_mapping(Assumptions, {} if content is None else content, str(path))


def compare_rivals(
    network: IntegerNetwork, folding: Folding, assumptions: Assumptions | None = None
) -> tuple[tuple[Rival, ...], tuple[Assumption, ...]]:
    """XNOR, int8, fp16 and fp32 with one folding, hence one rate, and what the figures rest on.

    UsageError if the folding does not suit the network.
    """
    report = energy(network, folding, (assumptions or Assumptions()).energy)
    works = (xnor_work(network, folding), *(mac_work(network, folding, bits) for bits in (8, 16, 32)))
    rivals = tuple(
        Rival(design.name, total_work(design.name, work), work, design)
        for design, work in zip((report.xnor, *report.baselines), works, strict=True)
    )
    return rivals, report.assumptions


def printed(assumptions: Assumptions, family: Family) -> tuple[Assumption, ...]:
    """What synthesis results are put into one number by."""
    luts = assumptions.dsp_luts(family)
    own = family.value in assumptions.luts_per_dsp
    source = "the user's file" if own else "an 8 x 8-bit signed multiplier by Yosys 0.70 without DSP blocks"
    return (Assumption(f"a DSP block of {family.value}", f"{luts:g} LUTs", source),)
