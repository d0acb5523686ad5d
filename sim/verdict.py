"""Reading what the bench wrote: results, cycle stamps, and the beats that differed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .interface import Interface

__all__ = ["BenchLog", "BufferMark", "FirstMismatch", "Timing", "read_log", "timing"]

Integers = NDArray[np.int64]

_SUCCESSIVE = 8  # frame distances that must agree before a rate is called steady


@dataclass(frozen=True, slots=True)
class FirstMismatch:
    """The earliest beat that was not as the golden model says.

    layer: the name of the stream it was on, or "result"; kind: "wrong", "extra"
    (beyond the last frame), "moved" (changed before it was taken) or "missing" (the stream stopped); image, beat:
    where in the stream; cycle: when (for a missing beat: of the last transfer anywhere); got, expected: payloads in
    hexadecimal, empty where there is none.
    """

    layer: str
    kind: str
    image: int
    beat: int
    cycle: int
    got: str
    expected: str

    def __str__(self) -> str:
        payloads = f": {self.got or 'nothing'}" + (f" instead of {self.expected}" if self.expected else "")
        return f"{self.kind} beat {self.beat} of image {self.image} at {self.layer}, cycle {self.cycle}{payloads}"


@dataclass(frozen=True, slots=True)
class BufferMark:
    """A line buffer or a FIFO of `depth` beats, and the most it held up to the last result."""

    name: str
    depth: int
    most: int


@dataclass(frozen=True, eq=False)
class BenchLog:
    """A run: cycles in which each frame's first beat was taken and its result came, results (TDATA), verdict.

    mismatches: differing, surplus, moved and missing beats. buffers: in topological order.
    """

    taken: Integers
    delivered: Integers
    results: tuple[str, ...]
    mismatches: int
    first: FirstMismatch | None
    buffers: tuple[BufferMark, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """cycles_per_image: mean frame distance after warm-up; latency: first beat in to result, first frame; steady:
    all of at least 8 successive frame distances equal the bound. None: too few frames to say."""

    cycles_per_image: float | None
    latency: int | None
    steady: bool | None


def read_log(path: Path, interface: Interface, *, images: int, layers: bool) -> BenchLog:
    """Parse `bench.log` of a run over that many images. The run must have come to its end (`stop` line)."""
    taken: list[int] = []
    delivered: list[int] = []
    results: list[str] = []
    bad: list[FirstMismatch] = []
    totals: dict[str, tuple[int, int]] = {}
    marks: dict[str, int] = {}
    progress = 0
    with path.open(encoding="ascii") as file:
        for line in file:
            kind, *words = line.split()
            if kind == "in":
                taken.append(int(words[1]))
            elif kind == "out":
                delivered.append(int(words[1]))
                results.append(words[2])
            elif kind == "end":
                totals[words[0]] = (int(words[1]), int(words[2]))
            elif kind == "mark":
                marks[words[0]] = int(words[1])
            elif kind == "stop":
                progress = int(words[1])
            else:
                image, beat, cycle = (int(word) for word in words[1:4])
                layer = words[0].removeprefix("tap_")
                bad.append(FirstMismatch(layer, kind, image, beat, cycle, words[4], "".join(words[5:])))
    beats = {"result": 1} | ({tap.name: tap.beats for tap in interface.taps} if layers else {})
    missing = {name: max(0, images * count - totals[name][0]) for name, count in beats.items()}
    mismatches = sum(totals[name][1] + missing[name] for name in beats)
    # Upstream first: what is wrong in front makes everything behind it late or wrong.
    order = [tap.name.removeprefix("tap_") for tap in interface.taps] + ["result"]
    first = min(bad, key=lambda m: (m.image, order.index(m.layer), m.beat), default=None)
    if first is None and mismatches:
        stopped = next(name for name in [tap.name for tap in interface.taps if layers] + ["result"] if missing[name])
        image, beat = divmod(totals[stopped][0], beats[stopped])
        first = FirstMismatch(stopped.removeprefix("tap_"), "missing", image, beat, progress, "", "")
    return BenchLog(
        taken=np.array(taken, dtype=np.int64),
        delivered=np.array(delivered, dtype=np.int64),
        results=tuple(results),
        mismatches=mismatches,
        first=first,
        buffers=tuple(BufferMark(buffer.name, buffer.depth, marks[buffer.name]) for buffer in interface.buffers),
    )


def timing(log: BenchLog, interface: Interface) -> Timing:
    """Rates of a run. The first frames, as many as there are engines and two more, fill the pipeline: warm-up."""
    latency = int(log.delivered[0] - log.taken[0]) if len(log.delivered) else None
    distances = np.diff(log.delivered)[interface.engines + 2 :]
    if len(distances) < _SUCCESSIVE:
        whole = np.diff(log.delivered)
        return Timing(float(whole.mean()) if len(whole) else None, latency, None)
    return Timing(float(distances.mean()), latency, bool((distances == interface.bound).all()))
