"""cocotb: frames through the AXI4-Stream ports of an accelerator, under stalls and at full speed."""

from typing import Any

import cocotb
from bench_frames import vectors

from xnorflow.sim.streams import StreamSink, StreamSource, random_pauses, start


@cocotb.test()
@cocotb.parametrize((("source_density", "sink_density"), [(0.5, 0.0), (0.0, 0.9), (0.3, 0.3)]))
async def stalled(dut: Any, source_density: float, sink_density: float) -> None:
    case = vectors()
    source = StreamSource(dut, "s_axis", pause=random_pauses(1, source_density))
    sink = StreamSink(dut, "m_axis", pause=random_pauses(2, sink_density))
    await start(dut)
    for frame in case["frames"]:
        source.send_frame(frame)
    assert await sink.receive(len(case["expected"])) == case["expected"]
    assert all(sink.lasts)


@cocotb.test()
async def full_speed(dut: Any) -> None:
    """Every distance between results equals the bound, once the first frames have filled the pipeline."""
    case = vectors()
    source, sink = StreamSource(dut, "s_axis"), StreamSink(dut, "m_axis")
    await start(dut)
    for frame in case["frames"]:
        source.send_frame(frame)
    assert await sink.receive(len(case["expected"])) == case["expected"]
    distances = [after - before for before, after in zip(sink.cycles, sink.cycles[1:], strict=False)]
    assert len(distances) >= 12
    assert set(distances[4:]) == {case["bound"]}, distances
