"""The cycle model of a whole accelerator: in which cycle every beat passes its ports, under any stalls.

A circuit is the components' timing cells and the streams between them. It is stepped cycle by cycle, without data;
simulation gives exactly the same cycles (`xnorflow bench cycles`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import HardwareError
from ..accelerator import Accelerator
from .frames import PARAMS, STATES, Cell, Sink, Source

__all__ = ["Circuit", "Pauses", "Trace", "accelerator_circuit"]

Cycles = NDArray[np.int64]
Pauses = Callable[[int], NDArray[np.bool_]]
"""Called with a number of cycles: whether a port pauses in each of the next ones."""

_CHUNK = 1 << 14  # cycles at a time


@dataclass(frozen=True, eq=False)
class Trace:
    """A run. taken, delivered: cycles of the handshakes of each source and of each sink; most: by name, the most beats
    that a buffer held; cycles: how many were run."""

    taken: tuple[Cycles, ...]
    delivered: tuple[Cycles, ...]
    most: Mapping[str, int]
    cycles: int


class Circuit:
    """Cells and the streams between them, placed from front to back. A stream is a number."""

    def __init__(self) -> None:
        self._cells: list[tuple[Cell, tuple[int, ...], tuple[int, ...]]] = []
        self._levels: dict[str, int] = {}  # name -> index of the state
        self._sources: list[int] = []  # beats
        self._sinks: list[int] = []
        self._streams = 0

    def place(self, cells: Sequence[Cell], *inputs: int, name: str = "") -> tuple[int, ...]:
        """Put a component's chain of cells behind the streams `inputs`; return the streams that come out.

        name: of the component, under which the most beats its buffer held are told.
        """
        streams = inputs
        for cell in cells:
            if cell.inputs != len(streams):
                raise ValueError(f"{type(cell).__name__} takes {cell.inputs} streams, not {len(streams)}")
            out = tuple(range(self._streams, self._streams + cell.outputs))
            self._streams += cell.outputs
            if cell.level is not None:
                self._levels[name] = len(self._cells) * STATES + cell.level
            self._cells.append((cell, streams, out))
            streams = out
        return streams

    def source(self, beats: int) -> int:
        """A port where `beats` beats come in; the stream behind it. Sources are placed before sinks."""
        if self._sinks:
            raise ValueError("place all sources before the first sink")
        self._sources.append(beats)
        return self.place([Source(len(self._sources) - 1, beats)])[0]

    def sink(self, stream: int, beats: int) -> None:
        """A port where `stream` goes out; a run ends when `beats` beats have gone out of every one."""
        self.place([Sink(len(self._sources) + len(self._sinks))], stream)
        self._sinks.append(beats)

    def run(self, pauses: Sequence[Pauses], *, patience: int) -> Trace:
        """Step until every sink has had its beats.

        pauses: of every source, then of every sink, from the first cycle after reset on. HardwareError if `patience`
        cycles pass without a handshake at any port: the circuit hangs.
        """
        from .kernel import COMPILED, advance  # Numba takes half a second to import

        ports = len(self._sources) + len(self._sinks)
        if len(pauses) != ports:
            raise ValueError(f"{ports} ports take as many kinds of pauses, not {len(pauses)}")

        def numbers(values: NDArray[np.int64]) -> Any:
            return values if COMPILED else values.tolist()

        cells = [cell for cell, _, _ in self._cells]
        kinds, params, tables, table_at, in_at, ins, out_at, outs = (numbers(array) for array in self._constants())
        state = numbers(_flat([_padded(cell.start, STATES) for cell in cells]))
        ring = numbers(np.zeros(sum(cell.queue for cell in cells), dtype=np.int64))
        ring_at = numbers(_offsets([cell.queue for cell in cells]))
        valid, ready = (numbers(np.zeros(self._streams, dtype=np.int64)) for _ in range(2))
        log_at = _offsets([*self._sources, *self._sinks])
        log, counts = numbers(np.zeros(log_at[-1], dtype=np.int64)), numbers(np.zeros(ports, dtype=np.int64))
        levels = np.array(list(self._levels.values()), dtype=np.int64)
        most = numbers(np.array([state[level] for level in levels], dtype=np.int64))
        now, quiet, before = 0, 0, 0
        while any(counts[port] < log_at[port + 1] - log_at[port] for port in range(len(self._sources), ports)):
            paused = np.stack([pause(_CHUNK) for pause in pauses], axis=1).astype(np.int64).ravel()
            cycles = advance(
                kinds, params, tables, table_at, in_at, ins, out_at, outs, state, valid, ready, numbers(paused),
                ring, ring_at, log, numbers(log_at), counts, numbers(levels), most, ports, len(self._sources),
                now, _CHUNK,
            )  # fmt: skip
            now += cycles
            quiet, before = (quiet + cycles if sum(counts) == before else 0), sum(counts)
            if quiet > patience:
                raise HardwareError(f"no beat at any port for {quiet} cycles, after cycle {now - quiet}: it hangs")
        cycles_of = [np.array(log[log_at[p] : log_at[p] + counts[p]], dtype=np.int64) for p in range(ports)]
        return Trace(
            taken=tuple(cycles_of[: len(self._sources)]),
            delivered=tuple(cycles_of[len(self._sources) :]),
            most={name: max(0, int(value)) for name, value in zip(self._levels, most, strict=True)},
            cycles=now,
        )

    def _constants(self) -> Iterator[NDArray[np.int64]]:
        """What the kernel takes first: kinds, params, tables and streams of the cells."""
        cells = [cell for cell, _, _ in self._cells]
        yield np.array([cell.kind for cell in cells], dtype=np.int64)
        yield _flat([_padded(cell.params, PARAMS) for cell in cells])
        yield _flat([cell.table for cell in cells])
        yield _offsets([len(cell.table) for cell in cells])
        for streams in ([into for _, into, _ in self._cells], [out for _, _, out in self._cells]):
            yield _offsets([len(some) for some in streams])
            yield _flat(streams)


def _padded(values: Sequence[int], size: int) -> list[int]:
    return [*values, *[0] * (size - len(values))]


def _flat(parts: Sequence[Sequence[int] | NDArray[np.int64]]) -> NDArray[np.int64]:
    """All parts behind each other."""
    return np.concatenate([np.zeros(0, dtype=np.int64), *(np.asarray(part, dtype=np.int64) for part in parts)])


def _offsets(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Where each of parts of these sizes begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def accelerator_circuit(accelerator: Accelerator, frames: int) -> Circuit:
    """The circuit of an accelerator between a source of so many frames and a sink of their results.

    HardwareError naming every part that has no cells, as those have not whose handshakes depend on data.
    """
    untimed = [name for name, part in accelerator.parts.items() if not hasattr(part, "timing")]
    if untimed:
        raise HardwareError(f"the cycle model does not cover {', '.join(untimed)}")
    circuit = Circuit()
    streams: dict[str, Iterator[int]] = {}
    for name, part in accelerator.parts.items():
        inputs = [next(streams[source]) for source in accelerator.reads[name]]
        if not inputs:
            inputs = [circuit.source(frames * accelerator.input_part.cycles)]
        outputs = circuit.place(part.timing, *inputs, name=name)
        streams[name] = iter(outputs)
    circuit.sink(outputs[0], frames)
    return circuit
