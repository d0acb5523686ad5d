"""cocotb: units of several widths, kinds and latencies, a pair a cycle; exhaustive where the width allows it."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from xnorflow.compiler.planes import Gate
from xnorflow.hdl.dot.popcount import XnorPopcount
from xnorflow.sim.streams import bench_parameters, start

EXHAUSTIVE = 5  # widths up to this see every pair of bit vectors
CYCLES = 1 << 2 * EXHAUSTIVE


def pair(generator: random.Random, width: int, cycle: int) -> tuple[int, int]:
    ones = (1 << width) - 1
    if width <= EXHAUSTIVE:
        return cycle & ones, cycle >> width & ones
    x = generator.getrandbits(width)
    match cycle % 8:
        case 0:
            return x, x
        case 1:
            return x, ~x & ones
        case 2:
            return x, x ^ (1 << generator.randrange(width))  # all but one agree
        case 3:
            return x, ~x & ones ^ (1 << generator.randrange(width))
    return x, generator.getrandbits(width)


@cocotb.test()
async def counts(dut: Any) -> None:
    units: dict[str, dict[str, Any]] = bench_parameters()["units"]
    references = {
        name: XnorPopcount(unit["width"], gates=unit["gates"] and [Gate(gate) for gate in unit["gates"]])
        for name, unit in units.items()
    }
    generator = random.Random(1)
    expected: dict[str, list[int]] = {name: [] for name in units}
    await start(dut)
    for cycle in range(CYCLES):
        await RisingEdge(dut.clk)
        for name, unit in units.items():
            # Inputs written at an edge are counted by the next one; each register stage adds an edge.
            if cycle > unit["stages"]:
                want, got = expected[name][cycle - 1 - unit["stages"]], int(getattr(dut, f"{name}__count").value)
                assert got == want, f"{name}: {got}, not {want}, cycle {cycle}"
            x, w = pair(generator, unit["width"], cycle)
            expected[name].append(references[name].reference(x, w))
            getattr(dut, f"{name}__x").value = x
            getattr(dut, f"{name}__w").value = w
