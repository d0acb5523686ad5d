"""Valid/ready stream drivers for cocotb benches: a source, a sink that checks the protocol, random pauses.

A beat is an int, the payload's bits. Ports are named as Amaranth names a stream member (`i__payload`, `i__valid`,
`i__ready`) or as AXI4-Stream does (`s_axis_tdata`, `s_axis_tvalid`, `s_axis_tready`, `s_axis_tlast`).
"""

import json
import os
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.handle import LogicArrayObject, LogicObject
from cocotb.triggers import RisingEdge

__all__ = [
    "PARAMETERS_VARIABLE",
    "ProtocolError",
    "StreamSink",
    "StreamSource",
    "bench_parameters",
    "random_pauses",
    "start",
]

PARAMETERS_VARIABLE = "XNORFLOW_BENCH_PARAMETERS"
_TIMEOUT = 100_000  # cycles without a beat after which a wait gives up


class ProtocolError(AssertionError):
    """The component broke the stream protocol: valid or payload changed before the beat was taken; or it hangs."""


def bench_parameters() -> dict[str, Any]:
    """What `run_bench(parameters=...)` passed to the tests."""
    parameters = json.loads(os.environ[PARAMETERS_VARIABLE])
    assert isinstance(parameters, dict)  # run_bench wrote it
    return parameters


def random_pauses(seed: int, density: float = 0.5) -> Iterator[bool]:
    """Endless pause decisions, one a cycle: runs of pausing and of full speed, `density` of the cycles paused.

    Runs (short ones mostly, a long one now and then) find what independent coin flips do not: buffers that run
    full or empty.
    """
    if not 0 <= density < 1:
        raise ValueError(f"density must lie in [0, 1), not {density!r}")
    generator = random.Random(seed)
    while True:
        for _ in range(generator.choice((1, 1, 2, 3, 8, 40))):
            yield generator.random() < density
        run = generator.choice((1, 1, 2, 3, 8, 40))
        paused = generator.random() < density
        for _ in range(run):
            yield paused


@dataclass(frozen=True, slots=True)
class _Ports:
    """The signals of one stream; `last` for AXI4-Stream alone."""

    payload: LogicArrayObject | LogicObject
    valid: LogicObject
    ready: LogicObject
    last: LogicObject | None

    @classmethod
    def find(cls, dut: Any, prefix: str) -> "_Ports":
        axi = hasattr(dut, f"{prefix}_tvalid")
        payload, valid, ready = ("_tdata", "_tvalid", "_tready") if axi else ("__payload", "__valid", "__ready")
        last = getattr(dut, f"{prefix}_tlast", None) if axi else None
        return cls(getattr(dut, prefix + payload), getattr(dut, prefix + valid), getattr(dut, prefix + ready), last)


class StreamSource:
    """Sends beats; valid and payload stay until ready answers.

    dut, prefix: where the ports are; pause: an iterator of bools, asked once a cycle whenever a new beat could be
    offered (None: never pause). The driver runs from construction on.
    """

    def __init__(self, dut: Any, prefix: str, *, pause: Iterator[bool] | None = None) -> None:
        self._ports = _Ports.find(dut, prefix)
        self._edge = RisingEdge(dut.clk)
        self._reset: LogicObject | None = getattr(dut, "rst", None)
        self._pause = pause
        self._queue: deque[tuple[int, bool]] = deque()
        self._busy = False
        self.sent = 0
        self._ports.valid.value = 0
        cocotb.start_soon(self._drive())

    def send(self, beats: Iterable[int]) -> None:
        """Queue beats (AXI4-Stream: with TLAST = 0)."""
        self._queue.extend((beat, False) for beat in beats)

    def send_frame(self, beats: Sequence[int]) -> None:
        """Queue the beats of one frame; AXI4-Stream: TLAST comes with the last."""
        self._queue.extend((beat, index == len(beats) - 1) for index, beat in enumerate(beats))

    async def drain(self, timeout: int = _TIMEOUT) -> None:
        """Wait until every queued beat was taken; ProtocolError after `timeout` cycles in which none was."""
        idle, before = 0, self.sent
        while self._queue or self._busy:
            await self._edge
            idle = 0 if self.sent != before else idle + 1
            before = self.sent
            if idle > timeout:
                raise ProtocolError(f"source: not ready for {timeout} cycles after {self.sent} beats")

    async def _drive(self) -> None:
        ports = self._ports
        while True:
            await self._edge
            if self._reset is not None and self._reset.value:
                continue
            if self._busy and ports.ready.value:
                self._busy = False
                self.sent += 1
            if self._busy:
                continue
            if self._queue and not (self._pause is not None and next(self._pause)):
                payload, last = self._queue.popleft()
                ports.payload.value = payload
                ports.valid.value = 1
                if ports.last is not None:
                    ports.last.value = int(last)
                self._busy = True
            else:
                ports.valid.value = 0


class StreamSink:
    """Receives beats and checks that an offered beat stays, unchanged, until it is taken.

    dut, prefix, pause: as for StreamSource; pause is asked once a cycle. `beats`, `lasts` and `cycles` hold every
    beat taken so far, its TLAST (False without one) and the number of the cycle it came in. The monitor runs from
    construction on; its ProtocolError fails the test.
    """

    def __init__(self, dut: Any, prefix: str, *, pause: Iterator[bool] | None = None) -> None:
        self._ports = _Ports.find(dut, prefix)
        self._edge = RisingEdge(dut.clk)
        self._reset: LogicObject | None = getattr(dut, "rst", None)
        self._pause = pause
        self._prefix = prefix
        self._taken = 0
        self.beats: list[int] = []
        self.lasts: list[bool] = []
        self.cycles: list[int] = []
        self._ports.ready.value = 0
        cocotb.start_soon(self._monitor())

    async def receive(self, count: int, timeout: int = _TIMEOUT) -> list[int]:
        """The next `count` beats; ProtocolError after `timeout` cycles in which none came."""
        await self._wait(lambda: len(self.beats) >= self._taken + count, timeout)
        first, self._taken = self._taken, self._taken + count
        return self.beats[first : self._taken]

    async def receive_frame(self, timeout: int = _TIMEOUT) -> list[int]:
        """The next beats up to and with TLAST; ProtocolError after `timeout` cycles in which none came."""
        await self._wait(lambda: True in self.lasts[self._taken :], timeout)
        first, self._taken = self._taken, self.lasts.index(True, self._taken) + 1
        return self.beats[first : self._taken]

    async def _wait(self, satisfied: Callable[[], bool], timeout: int) -> None:
        idle, before = 0, len(self.beats)
        while not satisfied():
            await self._edge
            idle = 0 if len(self.beats) != before else idle + 1
            before = len(self.beats)
            if idle > timeout:
                raise ProtocolError(f"{self._prefix}: no beat for {timeout} cycles after {before} beats")

    async def _monitor(self) -> None:
        ports, cycle = self._ports, 0
        ready = False
        waiting: tuple[int, bool] | None = None  # the beat that was offered and not taken in the cycle before
        while True:
            await self._edge
            cycle += 1
            in_reset = self._reset is not None and bool(self._reset.value)
            waiting = None if in_reset else self._observe(cycle, ready, waiting)
            ready = not (self._pause is not None and next(self._pause))
            ports.ready.value = int(ready)

    def _observe(self, cycle: int, ready: bool, waiting: tuple[int, bool] | None) -> tuple[int, bool] | None:
        ports = self._ports
        if not ports.valid.value:
            if waiting is not None:
                raise ProtocolError(f"{self._prefix}: valid fell before the beat was taken, cycle {cycle}")
            return None
        offered = (int(ports.payload.value), ports.last is not None and bool(ports.last.value))
        if waiting is not None and offered != waiting:
            raise ProtocolError(f"{self._prefix}: the beat changed before it was taken, cycle {cycle}")
        if not ready:
            return offered
        self.beats.append(offered[0])
        self.lasts.append(offered[1])
        self.cycles.append(cycle)
        return None


async def start(dut: Any, cycles: int = 2) -> None:
    """Start the clock `clk` (10 ns) and hold `rst` for that many cycles. Make sources and sinks before this."""
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    for _ in range(cycles):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
