"""cocotb and the bare C++ loop run the same cycles of the same bench; how fast is for `xnorflow bench` to say."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from xnorflow.errors import HardwareError, UsageError
from xnorflow.hdl.generate import load_design
from xnorflow.sim.bare import speed_ratio
from xnorflow.sim.session import BenchSession, Run
from xnorflow.sim.simulate import simulate
from xnorflow.sim.verilator import find_verilator


def test_both_drivers_see_the_same(design: Path, samples: NDArray[np.uint8]) -> None:
    with BenchSession(load_design(design), find_verilator(), samples) as session:
        for run in (Run(), Run(stalls=5), Run(layers=False)):
            cocotb = session.run_cocotb(run)
            log = session.log.read_text()
            bare = session.run_bare(run)
            assert cocotb.cycles == bare.cycles > 800
            assert session.log.read_text() == log
        with pytest.raises(UsageError, match="another simulation is at work"):
            simulate(design, raw_images=samples)
    ratio = speed_ratio(design, raw_images=samples, rounds=1)
    assert (ratio.images, ratio.ratio) == (len(samples), ratio.cocotb_kcps / ratio.bare_kcps)

    weights = design / "rtl" / "dense2_weights.hex"
    weights.write_text(weights.read_text().translate(str.maketrans("01", "10")))
    with pytest.raises(HardwareError, match="mismatches, the first a wrong beat"):
        speed_ratio(design, raw_images=samples, rounds=1)
