"""cocotb: bytes through a receiver and a transmitter, at clocks that differ; breaks and glitches."""

import random
from typing import Any

import cocotb
from cocotb.triggers import Timer
from uart_line import PERIOD_NS, SerialLine

from xnorflow.sim.streams import bench_parameters, start


@cocotb.test()
@cocotb.parametrize(("skew", [0.98, 1.0, 1.02]))
async def echoes(dut: Any, skew: float) -> None:
    cycles = bench_parameters()["cycles"]
    line = SerialLine(dut, cycles, skew=skew)
    await start(dut)
    sent = random.Random(1).randbytes(40) + b"\x00\xff\x55\xaa"
    for byte in sent:
        await line.send(bytes((byte,)))
        await line.wait(1)  # room for an echo that is slower than the sender
    await line.wait(30)
    assert (bytes(line.received), line.broken) == (sent, 0)


@cocotb.test()
async def follows_without_a_gap(dut: Any) -> None:
    line = SerialLine(dut, bench_parameters()["cycles"])
    await start(dut)
    sent = random.Random(2).randbytes(60)
    await line.send(sent)
    await line.wait(30)
    assert bytes(line.received) == sent


@cocotb.test()
async def a_byte_without_stop_bit_is_dropped_and_the_next_one_comes_in(dut: Any) -> None:
    line = SerialLine(dut, bench_parameters()["cycles"])
    await start(dut)
    await line.send(b"\x12")
    await line.send(b"\x00", stop=0)
    await line.send(b"\x34")
    await line.wait(30)
    assert bytes(line.received) == b"\x12\x34"


@cocotb.test()
async def a_glitch_is_no_start_bit(dut: Any) -> None:
    cycles = bench_parameters()["cycles"]
    line = SerialLine(dut, cycles)
    await start(dut)
    await line.send(b"\x12")
    dut.rx.value = 0
    await Timer(PERIOD_NS, "ns")
    dut.rx.value = 1
    await line.wait(30)
    await line.send(b"\x34")
    await line.wait(30)
    assert bytes(line.received) == b"\x12\x34"
