"""A master of AXI4-Lite for cocotb benches: address and data in any order, pauses on every channel."""

import random
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import Combine, RisingEdge

from .streams import ProtocolError

__all__ = ["AxiLiteMaster", "Response"]

_TIMEOUT = 1000  # cycles without an answer


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: RRESP or BRESP (0 OKAY, 2 SLVERR), and RDATA of a read."""

    code: int
    data: int = 0


class AxiLiteMaster:
    """One transfer at a time; `seed` draws pauses before each channel's handshake and which channel comes first.

    dut, prefix: where the ports are. ProtocolError where an answer does not come, changes, or comes uncalled for.
    """

    def __init__(self, dut: Any, prefix: str, *, seed: int, longest: int = 4) -> None:
        self._dut, self._prefix, self._longest = dut, prefix, longest
        self._edge = RisingEdge(dut.clk)
        self._random = random.Random(seed)
        for name in ("awvalid", "wvalid", "bready", "arvalid", "rready", "awprot", "arprot"):
            self._port(name).value = 0

    async def write(self, address: int, data: int, strobe: int = 0xF) -> Response:
        """Write the bytes of `data` that `strobe` names."""
        sends = [
            cocotb.start_soon(self._send("aw", {"awaddr": address})),
            cocotb.start_soon(self._send("w", {"wdata": data, "wstrb": strobe})),
        ]
        await Combine(*sends)
        return await self._receive("b")

    async def read(self, address: int) -> Response:
        """Read a register."""
        await self._send("ar", {"araddr": address})
        return await self._receive("r")

    def _port(self, name: str) -> Any:
        return getattr(self._dut, f"{self._prefix}_{name}")

    async def _pause(self) -> None:
        for _ in range(self._random.randrange(self._longest)):
            await self._edge

    async def _send(self, channel: str, values: dict[str, int]) -> None:
        await self._pause()
        for name, value in values.items():
            self._port(name).value = value
        self._port(f"{channel}valid").value = 1
        for _ in range(_TIMEOUT):
            await self._edge
            if self._port(f"{channel}ready").value:
                break
        else:
            raise ProtocolError(f"{self._prefix}: {channel}ready did not come for {_TIMEOUT} cycles")
        self._port(f"{channel}valid").value = 0
        for name in values:  # what is not valid must not matter
            self._port(name).value = 0

    async def _receive(self, channel: str) -> Response:
        """The answer, offered until it is taken."""
        offered: Response | None = None
        wait = self._random.randrange(self._longest)
        for _ in range(_TIMEOUT):
            ready = wait <= 0
            self._port(f"{channel}ready").value = int(ready)
            await self._edge
            valid = bool(self._port(f"{channel}valid").value)
            if offered is not None and (not valid or offered != self._offered(channel)):
                raise ProtocolError(f"{self._prefix}: the answer on {channel} changed before it was taken")
            if valid:
                offered = self._offered(channel)
                if ready:
                    self._port(f"{channel}ready").value = 0
                    return offered
            wait -= 1
        raise ProtocolError(f"{self._prefix}: no answer on {channel} for {_TIMEOUT} cycles")

    def _offered(self, channel: str) -> Response:
        data = int(self._port("rdata").value) if channel == "r" else 0
        return Response(int(self._port(f"{channel}resp").value), data)
