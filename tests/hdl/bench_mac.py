"""cocotb: multiply-accumulate units of several sizes and latencies, inputs every cycle."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from xnorflow.hdl.dot.mac import MacUnit
from xnorflow.sim.streams import bench_parameters, start

CYCLES = 600


def operand(generator: random.Random, width: int, least: int, cycle: int) -> int:
    """Random fields, or the one that makes the largest and the least products everywhere."""
    match cycle % 6:
        case 0:
            return least
        case 1:
            return ~least & ((1 << width) - 1)
    return generator.getrandbits(width)


@cocotb.test()
async def totals(dut: Any) -> None:
    units: dict[str, list[int]] = bench_parameters()["units"]
    references = {
        name: MacUnit(columns, word_bits=word, level_bits=level, stages=stages)
        for name, (columns, word, level, stages) in units.items()
    }
    generator = random.Random(1)
    expected: dict[str, list[int]] = {name: [] for name in units}
    seen: dict[str, set[int]] = {name: set() for name in units}
    await start(dut)
    for cycle in range(CYCLES):
        await RisingEdge(dut.clk)
        for name, (columns, word, level, _) in units.items():
            unit = references[name]
            if cycle > unit.latency:
                want = expected[name][cycle - 1 - unit.latency]
                got = getattr(dut, f"{name}__total").value.to_signed()
                assert got == want, f"{name}: {got}, not {want}, cycle {cycle}"
                seen[name].add(got)
            lowest = sum(1 << word * k + word - 1 for k in range(columns))  # the most negative weight in every column
            w = operand(generator, columns * word, lowest, cycle)
            x = operand(generator, columns * level, (1 << columns * level) - 1, cycle // 2)
            expected[name].append(unit.reference(x, w))
            getattr(dut, f"{name}__x").value = x
            getattr(dut, f"{name}__w").value = w
    for name, (columns, word, level, _) in units.items():
        most = columns * ((1 << level) - 1)
        assert {-most << word - 1, most * ((1 << word - 1) - 1)} <= seen[name]
