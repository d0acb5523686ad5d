"""cocotb: frames of beats in, expected beats out, under stalls and at full speed."""

import json
from pathlib import Path
from typing import Any

import cocotb

from xnorflow.sim.streams import StreamSink, StreamSource, bench_parameters, random_pauses, start


def vectors() -> dict[str, Any]:
    loaded = json.loads(Path(bench_parameters()["vectors"]).read_text())
    assert isinstance(loaded, dict)
    return loaded


@cocotb.test()
@cocotb.parametrize((("source_density", "sink_density"), [(0.5, 0.0), (0.0, 0.5), (0.4, 0.4), (0.1, 0.8)]))
async def stalled(dut: Any, source_density: float, sink_density: float) -> None:
    case = vectors()
    source = StreamSource(dut, "i", pause=random_pauses(1, source_density))
    sink = StreamSink(dut, "o", pause=random_pauses(2, sink_density))
    await start(dut)
    source.send(case["beats"])
    assert await sink.receive(len(case["expected"])) == case["expected"]


@cocotb.test()
async def full_speed(dut: Any) -> None:
    """Every distance between frame ends equals the bound, once the first frames have filled the pipeline."""
    case = vectors()
    source, sink = StreamSource(dut, "i"), StreamSink(dut, "o")
    await start(dut)
    source.send(case["beats"])
    assert await sink.receive(len(case["expected"])) == case["expected"]
    ends = sink.cycles[case["frame_beats"] - 1 :: case["frame_beats"]]
    distances = [after - before for before, after in zip(ends, ends[1:], strict=False)]
    assert len(distances) >= 10
    assert set(distances[2:]) == {case["bound"]}, distances
