"""cocotb: a board's top through its pins; it has a clock and a serial line, and resets itself.

Parameters: as for bench_linked, and `reset`, cycles from configuration on that nothing is heard.
"""

from typing import Any

import cocotb
from bench_linked import Host, answer_bits, vectors
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from uart_line import PERIOD_NS

from xnorflow.sim.streams import bench_parameters


@cocotb.test()
async def images_come_back_as_classes(dut: Any) -> None:
    frames, results, identity = vectors()
    host = Host(dut, answer_bits(frames[0], identity))
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    await ClockCycles(dut.clk, bench_parameters()["reset"])
    assert await host.run(frames) == results
    assert (host.session.identity, host.session.resent, host.session.dropped) == (identity, 0, 0)
