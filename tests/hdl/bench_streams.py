"""cocotb: the components of a farm, each with the beats it gets and the beats it has to give.

Parameters: `cases` names a JSON file, component -> {"sources": {port: frames}, "sinks": {port: beats},
"frame_beats", "bound", "latency", "warm_up"}: the latter where speed is checked, latency optional; warm_up: distances
between frames that may differ from the bound (default 1). Frames go out with TLAST where the port
has one; a beat that comes in has to bring it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from xnorflow.sim.streams import StreamSink, StreamSource, bench_parameters, random_pauses, start


@dataclass
class Part:
    name: str
    case: dict[str, Any]
    sources: list[StreamSource]
    sinks: dict[str, StreamSink]
    first_offer: int = 0


def parts(dut: Any, source_density: float, sink_density: float) -> list[Part]:
    """Drivers for every component of the farm, each with pauses of its own."""
    cases = json.loads(Path(bench_parameters()["cases"]).read_text())
    made, seed = [], 0
    for name, case in cases.items():
        sources, sinks = [], {}
        for port, frames in case["sources"].items():
            seed += 1
            pause = random_pauses(seed, source_density) if source_density else None
            source = StreamSource(dut, f"{name}__{port}", pause=pause)
            for frame in frames:
                source.send_frame(frame)
            sources.append(source)
        for port in case["sinks"]:
            seed += 1
            pause = random_pauses(seed, sink_density) if sink_density else None
            sinks[port] = StreamSink(dut, f"{name}__{port}", pause=pause)
        made.append(Part(name, case, sources, sinks))
    return made


async def check(made: list[Part]) -> None:
    for part in made:
        for port, beats in part.case["sinks"].items():
            received = await part.sinks[port].receive(len(beats))
            assert received == beats, f"{part.name} {port}: {received} instead of {beats}"
            assert not port.endswith("axis") or all(part.sinks[port].lasts), f"{part.name} {port}: TLAST"
        for source in part.sources:
            await source.drain()


async def note_first_offer(dut: Any, part: Part) -> None:
    """The cycle, as the sinks count them, in which the first beat is offered to the component."""
    port = next(iter(part.case["sources"]))
    valid = getattr(dut, f"{part.name}__{port}" + ("_tvalid" if port.endswith("axis") else "__valid"))
    cycle = 0
    while True:
        await RisingEdge(dut.clk)
        cycle += 1
        if valid.value and not dut.rst.value:
            part.first_offer = cycle
            return


@cocotb.test()
@cocotb.parametrize((("source_density", "sink_density"), [(0.5, 0.0), (0.0, 0.5), (0.4, 0.4), (0.1, 0.8)]))
async def stalled(dut: Any, source_density: float, sink_density: float) -> None:
    made = parts(dut, source_density, sink_density)
    await start(dut)
    await check(made)


@cocotb.test()
async def full_speed(dut: Any) -> None:
    """Nothing stalls: the first beat comes after the latency, frames at exactly their bound."""
    made = parts(dut, 0, 0)
    for part in made:
        cocotb.start_soon(note_first_offer(dut, part))
    await start(dut)
    await check(made)
    for part in (part for part in made if "bound" in part.case):
        for sink in part.sinks.values():
            latency = sink.cycles[0] - part.first_offer
            assert latency == part.case.get("latency", latency), f"{part.name}: latency {latency}"
            ends = sink.cycles[part.case["frame_beats"] - 1 :: part.case["frame_beats"]]
            distances = [after - before for before, after in zip(ends, ends[1:], strict=False)]
            assert len(distances) >= 8 + part.case.get("warm_up", 1), f"{part.name}: {len(distances)} distances"
            assert set(distances[part.case.get("warm_up", 1) :]) == {part.case["bound"]}, f"{part.name}: {distances}"
