"""Serial bytes through the pins."""

from pathlib import Path

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from xnorflow.errors import HardwareError
from xnorflow.hdl.board.uart import UartReceiver, UartTransmitter, bit_cycles
from xnorflow.hdl.streams.buffer import StreamFifo
from xnorflow.sim.component import run_bench


class Echo(wiring.Component):
    """What comes in goes out."""

    def __init__(self, cycles: int) -> None:
        self._cycles = cycles
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self._cycles)
        m.submodules.fifo = fifo = StreamFifo(8, depth=16)
        m.submodules.transmitter = transmitter = UartTransmitter(self._cycles)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            fifo.i.payload.eq(receiver.o.payload),
            fifo.i.valid.eq(receiver.o.valid),
            self.tx.eq(transmitter.tx),
        ]
        wiring.connect(m, fifo.o, transmitter.i)
        return m


@pytest.mark.parametrize("cycles", [4, 5, 16])
def test_bytes_come_through(tmp_path: Path, cycles: int) -> None:
    run_bench(Echo(cycles), "bench_uart", build_dir=tmp_path, name="echo", parameters={"cycles": cycles})


def test_bit_times() -> None:
    assert bit_cycles(12_000_000, 115_200) == 104
    assert bit_cycles(12_000_000, 3_000_000) == 4
    assert bit_cycles(27_000_000, 115_200) == 234
    with pytest.raises(HardwareError, match=r"12,000,000 Hz makes no 5,000,000 baud.*3,000,000 baud would do"):
        bit_cycles(12_000_000, 5_000_000)
    with pytest.raises(HardwareError, match=r"25,000,000 Hz makes no 3,000,000 baud.*3,125,000 baud would do"):
        bit_cycles(25_000_000, 3_000_000)


def test_refuses() -> None:
    for kind in (UartReceiver, UartTransmitter):
        with pytest.raises(ValueError, match="cycles must be at least 4, not 3"):
            kind(3)
