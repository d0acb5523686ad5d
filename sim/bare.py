"""How fast cocotb runs a design, against a bare Verilator C++ loop around the same bench."""

import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import HardwareError
from ..hdl.generate import load_design
from .session import BenchSession, Driver, Run
from .verdict import read_log
from .verilator import find_verilator

__all__ = ["SpeedRatio", "speed_ratio"]


@dataclass(frozen=True, slots=True)
class SpeedRatio:
    """Medians over the rounds, in thousands of cycles a second, and cocotb's share of the bare loop's speed."""

    images: int
    cycles: int
    cocotb_kcps: float
    bare_kcps: float

    @property
    def ratio(self) -> float:
        """cocotb's speed over the bare loop's."""
        return self.cocotb_kcps / self.bare_kcps


def speed_ratio(
    design_dir: Path, *, raw_images: NDArray[np.generic], layers: bool = True, rounds: int = 3
) -> SpeedRatio:
    """Run samples (B, *input shape) through the design under both drivers in turn, `rounds` times.

    Both run the same bench with the same checks, compiled with the same options; building is not counted. Raises
    HardwareError if a run finds a mismatch: a broken design has no speed.
    """
    speeds: dict[Driver, list[float]] = {driver: [] for driver in Driver}
    with BenchSession(load_design(design_dir), find_verilator(), raw_images) as session:
        for driver in Driver:
            session.build(driver)
        run = Run(layers=layers)
        cycles = 0
        for _ in range(rounds):
            for driver, go in ((Driver.COCOTB, session.run_cocotb), (Driver.BARE, session.run_bare)):
                speed = go(run)
                log = read_log(session.log, session.interface, images=session.images, layers=layers)
                if log.first is not None:
                    raise HardwareError(f"{design_dir}: {log.mismatches} mismatches, the first a {log.first}")
                speeds[driver].append(speed.kcycles_per_s)
                cycles = speed.cycles
    medians = {driver: statistics.median(values) for driver, values in speeds.items()}
    return SpeedRatio(len(raw_images), cycles, medians[Driver.COCOTB], medians[Driver.BARE])
