"""cocotb: how much a buffer takes before it stalls, and what a FIFO's level says meanwhile."""

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from xnorflow.sim.streams import StreamSink, StreamSource, bench_parameters, random_pauses, start


@cocotb.test()
async def takes_its_depth(dut: Any) -> None:
    depths: dict[str, int] = bench_parameters()["depths"]
    sources = {name: StreamSource(dut, f"{name}__i") for name in depths}
    for source in sources.values():
        source.send(range(60))
    await start(dut)  # without a sink `ready` stays 0
    await ClockCycles(dut.clk, 80)
    assert {name: source.sent for name, source in sources.items()} == depths


async def check_level(dut: Any, name: str) -> None:
    held = 0
    while True:
        await RisingEdge(dut.clk)
        if dut.rst.value:
            continue
        assert int(getattr(dut, f"{name}__level").value) == held, name
        held += bool(getattr(dut, f"{name}__i__valid").value and getattr(dut, f"{name}__i__ready").value)
        held -= bool(getattr(dut, f"{name}__o__valid").value and getattr(dut, f"{name}__o__ready").value)


@cocotb.test()
async def level_counts_beats(dut: Any) -> None:
    names: list[str] = bench_parameters()["fifos"]
    sinks = []
    for seed, name in enumerate(names):
        source = StreamSource(dut, f"{name}__i", pause=random_pauses(seed, 0.4))
        sinks.append(StreamSink(dut, f"{name}__o", pause=random_pauses(seed + 100, 0.5)))
        source.send(k & 7 for k in range(200))
        cocotb.start_soon(check_level(dut, name))
    await start(dut)
    for sink in sinks:
        assert await sink.receive(200) == [k & 7 for k in range(200)]
