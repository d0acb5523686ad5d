"""cocotb: start the bench inside the simulated design, wait until it is done, hand over its verdict.

Nothing here runs every cycle: the clock is made by cocotb_main.cpp, stimulus and checks are in bench.sv.
"""

import json
import time
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from .streams import bench_parameters

__all__ = ["whole_data_set"]


@cocotb.test()
async def whole_data_set(dut: Any) -> None:
    """Send `images` frames and write what came of it to the file `verdict`."""
    parameters = bench_parameters()
    for port in ("images", "layers", "source_seed", "sink_seed", "waves_from", "waves_to"):
        getattr(dut, port).value = parameters[port]
    dut.rst.value = 1
    dut.start.value = 0
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    dut.start.value = 1
    begin = time.perf_counter()
    await RisingEdge(dut.done)
    seconds = time.perf_counter() - begin
    verdict = {
        "hang": bool(dut.hang.value),
        "mismatches": dut.mismatches.value.to_unsigned(),
        "cycles": dut.cycle.value.to_unsigned(),
        "seconds": seconds,
    }
    Path(parameters["verdict"]).write_text(json.dumps(verdict))
