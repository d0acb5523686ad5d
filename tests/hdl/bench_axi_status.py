"""cocotb: the status bits of an input adapter are set by bad frames alone, and stay."""

from typing import Any

import cocotb

from xnorflow.sim.streams import StreamSink, StreamSource, random_pauses, start


@cocotb.test()
@cocotb.parametrize(("kind", ["right", "short", "long"]))
async def status(dut: Any, kind: str) -> None:
    """adapter: frames of 3 beats."""
    source = StreamSource(dut, "s_axis", pause=random_pauses(1, 0.3))
    sink = StreamSink(dut, "o", pause=random_pauses(2, 0.3))
    await start(dut)

    async def frame(beats: int) -> tuple[int, int]:
        source.send_frame([1] * beats)
        await sink.receive(3)
        await source.drain()
        await sink.receive(0)
        return int(dut.short_frame.value), int(dut.long_frame.value)

    assert await frame(3) == (0, 0)
    bad = {"right": (3, (0, 0)), "short": (1, (1, 0)), "long": (7, (0, 1))}[kind]
    assert await frame(bad[0]) == bad[1]
    assert await frame(3) == bad[1]
