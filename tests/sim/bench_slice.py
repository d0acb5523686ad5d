"""cocotb: beats through a stream component come out as they went in."""

import random
from typing import Any

import cocotb

from xnorflow.sim.streams import StreamSink, StreamSource, bench_parameters, random_pauses, start


@cocotb.test()
async def passes_beats(dut: Any) -> None:
    parameters = bench_parameters()
    generator = random.Random(parameters["seed"])
    beats = [generator.getrandbits(parameters["width"]) for _ in range(parameters["beats"])]
    stalls = parameters["stalls"]
    source = StreamSource(dut, "i", pause=random_pauses(1) if stalls else None)
    sink = StreamSink(dut, "o", pause=random_pauses(2) if stalls else None)
    await start(dut)
    source.send(beats)
    received = await sink.receive(len(beats), timeout=200)
    assert received == beats
    await source.drain(timeout=200)
    if not stalls:
        assert sink.cycles == list(range(sink.cycles[0], sink.cycles[0] + len(beats)))
