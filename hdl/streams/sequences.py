"""Which frames end their sequences: a flag a frame, for everybody who keeps a state."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .broadcast import Broadcast
from .buffer import StreamFifo
from .stream import require_positive

__all__ = ["SequenceFlags"]


class SequenceFlags(wiring.Component):
    """Every flag goes to each of `readers` streams; each has a FIFO of `depth` flags, for the frames under way to it.

    Latency: 1 clock cycle; one flag a cycle while no FIFO is full.

    Parameters
    ----------
    readers: number of output streams.
    depth: flags that each FIFO holds, at least 2.

    Members
    -------
    i: In(stream of 1 bit); o: Out(stream of 1 bit).array(readers).
    """

    def __init__(self, readers: int, *, depth: int) -> None:
        self._readers = require_positive("readers", readers)
        self._depth = depth
        flag = stream.Signature(1)
        super().__init__({"i": In(flag), "o": Out(flag).array(readers)})

    def elaborate(self, platform: object) -> Module:
        """A broadcast and FIFOs."""
        m = Module()
        m.submodules.fork = fork = Broadcast(1, consumers=self._readers)
        wiring.connect(m, wiring.flipped(self.i), fork.i)
        for index, (flags, out) in enumerate(zip(fork.o, self.o, strict=True)):
            m.submodules[f"flags_{index}"] = fifo = StreamFifo(1, depth=self._depth)
            wiring.connect(m, flags, fifo.i)
            wiring.connect(m, fifo.o, wiring.flipped(out))
        return m
