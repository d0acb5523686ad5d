"""cocotb: a board's top with its pins joined to a terminal, as a USB bridge joins them, until somebody says stop.

Parameters: cycles (a bit), terminal: a file that gets the terminal's name, stop: a file whose appearance ends it.
flip_every: every so many bytes in either direction one has a bit flipped; 0 none. locked: clocks
until the top's PLL locks, 0 where there is none; nothing may answer before.
"""

import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from uart_line import PERIOD_NS, SerialLine

from xnorflow.link.packets import Kind, Packet, encode
from xnorflow.sim.streams import bench_parameters


@cocotb.test()
async def serves_a_terminal(dut: Any) -> None:
    given = bench_parameters()
    stop, flip_every = Path(given["stop"]), given["flip_every"]
    Clock(dut.clk, PERIOD_NS, "ns").start()
    line = SerialLine(dut, given["cycles"])
    await line.wait(1200 // given["cycles"])  # the top's own reset
    if given["locked"]:
        await line.send(encode(Packet(Kind.HELLO, 0)))
        await line.wait((given["locked"] - 1200) // given["cycles"])
        assert not line.received, "an answer before the PLL has locked"
        await line.wait(1200 // given["cycles"])
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    ready = Path(given["terminal"])
    ready.with_suffix(".draft").write_text(os.ttyname(theirs))
    ready.with_suffix(".draft").rename(ready)
    moved = 0

    def damaged(data: bytes) -> bytes:
        nonlocal moved
        changed = bytearray(data)
        for index in range(len(data)):
            moved += 1
            if flip_every and moved % flip_every == 0:
                changed[index] ^= 1 << moved // flip_every % 8
        return bytes(changed)

    while not stop.exists():
        try:
            await line.send(damaged(os.read(ours, 4096)))
        except BlockingIOError:
            await line.wait(20)
        if line.received:
            os.write(ours, damaged(bytes(line.received)))
            line.received.clear()
    assert line.broken == 0
