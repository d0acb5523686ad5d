"""cocotb: a reset in the middle of the traffic leaves nothing behind.

Parameters: `cases` names a JSON file, accelerator -> {"sources": {"s_axis": frames}, "sinks": {"m_axis": beats}}.
"""

import json
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from xnorflow.sim.streams import StreamSink, StreamSource, bench_parameters, start

RESETS = 25


async def send(dut: Any, name: str, frames: list[list[int]]) -> None:
    """Send frames for ever; unlike a StreamSource this can be cut off between two beats."""
    port = {part: getattr(dut, f"{name}__s_axis_{part}") for part in ("tdata", "tvalid", "tlast", "tready")}
    port["tvalid"].value = 1
    while True:
        for frame in frames:
            for index, beat in enumerate(frame):
                port["tdata"].value, port["tlast"].value = beat, int(index == len(frame) - 1)
                await RisingEdge(dut.clk)
                while not port["tready"].value:
                    await RisingEdge(dut.clk)


@cocotb.test()
async def reset_between_beats(dut: Any) -> None:
    cases = json.loads(Path(bench_parameters()["cases"]).read_text())
    generator = random.Random(1)
    await start(dut)
    for _ in range(RESETS):
        for name in cases:
            getattr(dut, f"{name}__m_axis_tready").value = generator.randrange(2)
        tasks = [cocotb.start_soon(send(dut, name, case["sources"]["s_axis"])) for name, case in cases.items()]
        await ClockCycles(dut.clk, generator.randrange(1, 80))
        dut.rst.value = 1
        for task in tasks:
            task.cancel()
        for name in cases:
            getattr(dut, f"{name}__s_axis_tvalid").value = 0
        await RisingEdge(dut.clk)
        dut.rst.value = 0
    for name, case in cases.items():
        source, sink = StreamSource(dut, f"{name}__s_axis"), StreamSink(dut, f"{name}__m_axis")
        for frame in case["sources"]["s_axis"]:
            source.send_frame(frame)
        beats = case["sinks"]["m_axis"]
        assert await sink.receive(len(beats)) == beats, name
        assert len(sink.beats) == len(beats), name
