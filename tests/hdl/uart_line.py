"""A serial line in a cocotb bench: bytes to the pin `rx`, bytes from the pin `tx`."""

from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, Timer

__all__ = ["SerialLine"]

PERIOD_NS = 10


class SerialLine:
    """The other end of a component's pins; bit times are the sender's own, so that clocks may differ a little.

    cycles: clock cycles of the component's bits. received: bytes that came out; broken: how many had no stop bit.
    """

    def __init__(self, dut: Any, cycles: int, *, skew: float = 1.0) -> None:
        self._dut = dut
        self._bit = round(cycles * PERIOD_NS * skew * 1000)
        self.received = bytearray()
        self.broken = 0
        dut.rx.value = 1
        cocotb.start_soon(self._listen())

    async def send(self, line: bytes, *, stop: int = 1) -> None:
        """Bytes one behind the other; with stop = 0 none of them has a stop bit."""
        for byte in line:
            for bit in (0, *(byte >> k & 1 for k in range(8)), stop):
                self._dut.rx.value = bit
                await Timer(self._bit, "ps")
            self._dut.rx.value = 1
            if not stop:
                await Timer(2 * self._bit, "ps")

    async def wait(self, bits: int) -> None:
        """Let that many bit times pass."""
        await Timer(bits * self._bit, "ps")

    async def _listen(self) -> None:
        while True:
            await FallingEdge(self._dut.tx)
            await Timer(self._bit * 3 // 2, "ps")
            byte = 0
            for k in range(8):
                byte |= int(self._dut.tx.value) << k
                await Timer(self._bit, "ps")
            if self._dut.tx.value:
                self.received.append(byte)
            else:
                self.broken += 1
