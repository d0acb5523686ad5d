"""cocotb: frames of the right length, too short, too long, right again; parameters: frames, results."""

from typing import Any

import cocotb

from xnorflow.sim.streams import StreamSink, StreamSource, bench_parameters, start


@cocotb.test()
async def status(dut: Any) -> None:
    frames, results = bench_parameters()["frames"], bench_parameters()["results"]
    source, sink = StreamSource(dut, "s_axis"), StreamSink(dut, "m_axis")
    await start(dut)
    seen = []
    for frame in frames:
        source.send_frame(frame)
        await sink.receive(1)
        seen.append((bool(dut.short_frame.value), bool(dut.long_frame.value)))
    assert sink.beats == results
    assert seen == [(False, False), (True, False), (True, True), (True, True)]
