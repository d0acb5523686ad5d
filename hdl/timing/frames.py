"""When the parts of an accelerator take and give their beats, whatever is in them: cells of valid, ready and counters.

The handshakes of a stream part do not depend on data. So each component says in its property `timing` what it does
with them, as a chain of *cells*: state machines of a few integers, which equal the component cycle by cycle, under any
stalls. `timing_model` steps a circuit of cells; `tests/hdl/test_timing.py` holds every component against its cells.

A cell's `valid` never depends on a `ready`, as in the hardware: valids settle from front to back, then readies from
back to front. Cells are numbers for `timing_kernel`: `params` and `start` are the constants and the state after reset
that it indexes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..maps.window_model import WindowParams

__all__ = [
    "Cell",
    "Collect",
    "Cut",
    "Fifo",
    "Fork",
    "Join",
    "Lines",
    "Merge",
    "Pass",
    "Pipe",
    "Register",
    "Repeat",
    "Sink",
    "Source",
    "Work",
]

# Kinds for the kernel. Those up to PIPE offer a beat while their first state is not 0.
SOURCE, REGISTER, COLLECT, LINES, WORK, FIFO, PIPE, SINK, CUT, PASS, REPEAT, FORK, JOIN, MERGE = range(14)
PARAMS, STATES = 4, 8  # of a cell, at most

Table = NDArray[np.int64]
_EMPTY = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Cell:
    """A state machine on handshakes: `inputs` streams in, `outputs` streams out.

    params: constants. start: state after reset. table: constants for every position of a frame. queue: places in a
    ring that it needs. level: which state, if any, says how many beats the cell holds.
    """

    kind: ClassVar[int]
    level: ClassVar[int | None] = None

    @property
    def inputs(self) -> int:
        """Streams in."""
        return 1

    @property
    def outputs(self) -> int:
        """Streams out."""
        return 1

    @property
    def params(self) -> tuple[int, ...]:
        """Constants."""
        return ()

    @property
    def start(self) -> tuple[int, ...]:
        """The state after reset; what is not named is 0."""
        return ()

    @property
    def table(self) -> Table:
        """Constants by position, flattened."""
        return _EMPTY

    @property
    def queue(self) -> int:
        """Places of its ring."""
        return 0


@dataclass(frozen=True, eq=False)
class Source(Cell):
    """A bench's source of `beats` beats: a register that takes the next beat when it is free and there is no pause."""

    kind = SOURCE
    port: int
    beats: int

    @property
    def inputs(self) -> int:
        """None."""
        return 0

    @property
    def params(self) -> tuple[int, ...]:
        """Port and beats."""
        return self.port, self.beats


@dataclass(frozen=True, eq=False)
class Sink(Cell):
    """A bench's sink: ready in every cycle without a pause."""

    kind = SINK
    port: int

    @property
    def outputs(self) -> int:
        """None."""
        return 0

    @property
    def params(self) -> tuple[int, ...]:
        """Port."""
        return (self.port,)


@dataclass(frozen=True, eq=False)
class Register(Cell):
    """A register slice of two beats."""

    kind = REGISTER


@dataclass(frozen=True, eq=False)
class Collect(Cell):
    """One register: `slots` beats in, or what remains of `beats` beats a frame, become one beat out."""

    kind = COLLECT
    beats: int
    slots: int

    @property
    def params(self) -> tuple[int, ...]:
        """Beats of a frame, slots."""
        return self.beats, self.slots


@dataclass(frozen=True, eq=False)
class Cut(Cell):
    """Combinational: a beat in becomes `slices` beats out, or what remains of `beats` beats out a frame."""

    kind = CUT
    beats: int
    slices: int

    @property
    def params(self) -> tuple[int, ...]:
        """Beats of a frame, slices."""
        return self.beats, self.slices


@dataclass(frozen=True, eq=False)
class Pass(Cell):
    """Combinational: of a frame's beats in, those go out where `passes` is 1; the others are taken at once."""

    kind = PASS
    passes: Table

    @property
    def params(self) -> tuple[int, ...]:
        """Beats of a frame."""
        return (len(self.passes),)

    @property
    def table(self) -> Table:
        """Which of a frame's beats go out."""
        return self.passes


@dataclass(frozen=True, eq=False)
class Lines(Cell):
    """A sliding-window unit with a line buffer of `depth` beats."""

    kind = LINES
    level = 1
    window: WindowParams
    depth: int

    @property
    def params(self) -> tuple[int, ...]:
        """Depth, reads of a frame."""
        return self.depth, self.window.beats_out

    @property
    def start(self) -> tuple[int, ...]:
        """No beat out; beats kept; beats ahead of the next read."""
        return 0, -int(self.window.tails[0]), -self.window.start

    @cached_property
    def table(self) -> Table:
        """For each read: positions to the next one, whether it lies in the padding, beats let go behind it."""
        p = self.window
        places = np.array([p.start])
        for count, distance in p.loops:
            places = (np.arange(count)[:, None] * distance + places).ravel()
        rows = np.zeros((p.beats_out, 3), dtype=np.int64)
        rows[:, 0] = np.diff(np.append(places, places[0] + p.beats_in))
        rows[:, 1] = p.reads.ravel() < 0
        rows[p.window_beats - 1 :: p.window_beats, 2] = np.diff(p.tails)
        return rows.ravel()


@dataclass(frozen=True, eq=False)
class Repeat(Cell):
    """Two banks of `beats` beats, each gone through `times` times: the buffer in front of an engine."""

    kind = REPEAT
    beats: int
    times: int

    @property
    def params(self) -> tuple[int, ...]:
        """Beats of a bank, passes."""
        return self.beats, self.times


@dataclass(frozen=True, eq=False)
class Work(Cell):
    """`steps` beats in become a beat in a FIFO of `depth` beats, `delay` cycles after the last one of them.

    That one waits for a credit: there are as many as the FIFO has places. Beats are taken `interval` cycles apart.
    """

    kind = WORK
    steps: int
    delay: int
    depth: int
    interval: int = 1

    @property
    def params(self) -> tuple[int, ...]:
        """Steps, delay, depth, interval."""
        return self.steps, self.delay, self.depth, self.interval

    @property
    def start(self) -> tuple[int, ...]:
        """An empty FIFO, all credits."""
        return 0, self.depth

    @property
    def queue(self) -> int:
        """A place for each beat under way."""
        return self.depth


@dataclass(frozen=True, eq=False)
class Fifo(Cell):
    """A FIFO of `depth` beats; with `late`, its last place is a register behind a memory with registered reads."""

    kind = FIFO
    level = 2
    depth: int
    late: bool = False

    @property
    def params(self) -> tuple[int, ...]:
        """Depth, late."""
        return self.depth, int(self.late)


@dataclass(frozen=True, eq=False)
class Pipe(Cell):
    """A pipeline of `length` stages that moves while its last stage is free: of `beats` beats in the last comes out."""

    kind = PIPE
    beats: int
    length: int

    def __post_init__(self) -> None:
        if not 1 <= self.length <= 60:  # the stages are bits of one number
            raise ValueError(f"a pipeline has 1 to 60 stages, not {self.length}")

    @property
    def params(self) -> tuple[int, ...]:
        """Beats of a frame, stages."""
        return self.beats, self.length


@dataclass(frozen=True, eq=False)
class Fork(Cell):
    """Combinational: every beat to each of `consumers` streams, once; taken when the last of them has taken it."""

    kind = FORK
    consumers: int

    @property
    def outputs(self) -> int:
        """Consumers."""
        return self.consumers


@dataclass(frozen=True, eq=False)
class Join(Cell):
    """Combinational: a beat of each of `producers` streams becomes one beat; all of them are taken together."""

    kind = JOIN
    producers: int

    @property
    def inputs(self) -> int:
        """Producers."""
        return self.producers


@dataclass(frozen=True, eq=False)
class Merge(Cell):
    """Combinational: counts[0] beats of the first stream, counts[1] of the second one, ..., and again."""

    kind = MERGE
    counts: tuple[int, ...]

    @property
    def inputs(self) -> int:
        """Streams that take turns."""
        return len(self.counts)

    @property
    def table(self) -> Table:
        """Beats of each turn."""
        return np.array(self.counts, dtype=np.int64)
