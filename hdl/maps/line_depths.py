"""How deep the buffers of an accelerator have to be for all its parts together to keep the initiation interval.

Every part alone may sustain the interval and the whole still not: a pool sends its pixels in bursts, an engine takes
them at its own pace, and where the buffer between them is full the burst holds up everything in front. And where two
branches meet again, the beats of one wait for those of the other: without room the fork in front of both stands
still, and nothing comes any more. So here is a schedule with the wished period: the input evenly spaced, every part at
work as soon as its data are there, and line buffers and FIFOs of any size. What they hold in it at most is deep enough:
the real accelerator does everything at the same time or earlier.

Constant latencies shift a stream as a whole; they matter where streams meet, so that each stream carries the sum of
them along as its lag.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...compiler.geometry import PAD
from ...compiler.schedule.parts import (
    ActivationPart,
    AddPart,
    ConcatPart,
    ConverterPart,
    EnginePart,
    FifoPart,
    ForkPart,
    InputPart,
    Part,
    PoolPart,
    RecurrentPart,
    ResultPart,
    WindowPart,
    beats,
)
from ...compiler.schedule.plan import Plan
from ...errors import HardwareError
from .pool import PoolParams
from .window_model import WindowParams

__all__ = ["line_depths", "pool_params", "window_params"]

Times = NDArray[np.int64]

_FRAMES = 4  # until the schedule repeats, in most networks; doubled until it does
_FRAMES_MOST = 64
_FIFO_LEAST = 2  # beats, so that one passes every cycle
_FIFO_SPARE = 1  # the place in its output register that a FIFO in block RAM fills late

# Cycles from a beat that comes in to one that waits for it alone, where they are the same for all parts of a kind and
# not in the schedule itself.
_LATENCY_WINDOW, _LATENCY_POOL, _LATENCY_FIFO, _LATENCY_JOIN = 1, 2, 2, 1


def window_params(part: WindowPart) -> WindowParams:
    """Parameters of the sliding-window unit of a convolution."""
    return WindowParams(part.window, part.bits, part.lanes, part.pad_code, part.blocks)


def pool_params(part: PoolPart) -> PoolParams:
    """Parameters of a pool."""
    return PoolParams(part.window, part.largest, part.lanes, part.operation, part.least)


def line_depths(plan: Plan, interval: int, latencies: Mapping[str, int] | None = None) -> Mapping[str, int]:
    """Beats of each window's line buffer, of that of each pool whose windows overlap and of each FIFO, by the part's
    name, so that a frame passes every `interval` cycles.

    latencies: of engines (from the issue of a fold's last step) and activations, by the part's name; they matter where
    branches meet again.
    """
    frames = _FRAMES
    while frames <= _FRAMES_MOST:
        schedule = _Schedule(interval, frames, latencies or {})
        for part in plan.parts:
            schedule.pass_on(part, plan.reads[part.name])
        if schedule.repeats:
            return schedule.depths
        frames *= 2
    raise HardwareError(f"the parts do not keep {interval} cycles a frame, whatever their buffers")


@dataclass(frozen=True, eq=False)
class _Queue:
    """A FIFO in front: when its beats come in (frames * beats,), and with which beat of the stream each has gone."""

    name: str
    arrivals: Times
    last: Times


@dataclass(frozen=True, eq=False)
class _Flow:
    """When each beat of a stream is handed over, less the lag: int64 (frames, beats)."""

    times: Times
    lag: int = 0
    queue: _Queue | None = None

    @property
    def absolute(self) -> Times:
        """With the lag."""
        return self.times + self.lag


class _Schedule:
    """The streams behind the parts that have been passed."""

    def __init__(self, interval: int, frames: int, latencies: Mapping[str, int]) -> None:
        self._interval = interval
        self._frames = frames
        self._latencies = latencies
        self._flows: dict[str, _Flow] = {}
        self.depths: dict[str, int] = {}
        self.repeats = True

    def pass_on(self, part: Part, reads: Sequence[str]) -> None:
        """From a part's input streams to its output stream."""
        if isinstance(part, ResultPart):
            return
        flow = self._flow(part, [self._flows[name] for name in reads])
        if flow is None:
            return
        self._flows[part.name] = flow
        self.repeats &= bool((np.diff(flow.times[-2:], axis=0) == self._interval).all())

    def _flow(self, part: Part, sources: Sequence[_Flow]) -> _Flow | None:
        match part:
            case InputPart():
                starts = np.arange(self._frames)[:, None] * self._interval
                return _Flow(starts + np.arange(part.cycles) * self._interval // part.cycles)
            case AddPart():
                ready = np.max([source.absolute for source in sources], axis=0)
                return self._joined(_one_a_cycle(ready), sources, [slice(None)] * len(sources))
            case ConcatPart():
                return self._concatenated(part, sources)
        if not sources:
            return None
        (source,) = sources
        match part:
            case ConverterPart():
                return self._converted(part, source)
            case FifoPart():
                arrivals = source.absolute
                queue = _Queue(part.name, arrivals.ravel(), np.arange(arrivals.size))
                return replace(source, lag=source.lag + _LATENCY_FIFO, queue=queue)
        if source.queue is not None:  # its beats are taken as they come
            self._fits(source.queue, source.absolute.ravel())
        match part:
            case ForkPart():
                return replace(source, queue=None)
            case ActivationPart():
                return _Flow(source.times, source.lag + self._latencies.get(part.name, 0))
            case WindowPart():
                times = self._window(part.name, window_params(part), part.passes, source.times)
                return _Flow(times, source.lag + _LATENCY_WINDOW)
            case EnginePart():
                taken, ends = self._engine(part, source.times)
                if source.queue is not None:
                    self._fits(source.queue, taken.ravel() + source.lag)
                return _Flow(ends, source.lag + self._latencies.get(part.name, 0))
            case PoolPart():
                return self._pool(part, source)
            case RecurrentPart():
                # Every step's state comes when the step is over, a fold after the other before.
                count = beats(part.node.hidden, max(1, part.fold.pe // part.node.gates))
                size = part.fold.synapse_folds(int(part.node.weights.codes.shape[1]))
                ends = source.times[:, -1:] + part.latency - (count - 1 - np.arange(count)) * size
                return _Flow(_one_a_cycle(ends), source.lag)
        return None

    def _fits(self, queue: _Queue, taken: Times) -> None:
        """A FIFO holds what has come and has not gone, when the beats of the stream behind it go out as `taken`."""
        left = taken[queue.last]
        held = np.arange(1, left.size + 1) - np.searchsorted(left, queue.arrivals, side="left")
        self.depths[queue.name] = max(int(held.max()) + _FIFO_SPARE, _FIFO_LEAST)

    def _joined(self, taken: Times, sources: Sequence[_Flow], places: Sequence[slice | Times]) -> _Flow:
        """Streams that meet: beats go on as `taken` (frames, beats), of each operand those at its places."""
        for source, place in zip(sources, places, strict=True):
            if source.queue is not None:
                self._fits(source.queue, taken[:, place].ravel())
        return _Flow(taken, _LATENCY_JOIN)

    def _concatenated(self, part: ConcatPart, sources: Sequence[_Flow]) -> _Flow:
        """Pixel by pixel the beats of each operand."""
        counts = [beats(size, part.lanes) for size in part.sizes]
        owner = np.tile(np.repeat(np.arange(len(counts)), counts), part.pixels)
        places = [np.flatnonzero(owner == k) for k in range(len(counts))]
        ready = np.empty((self._frames, len(owner)), dtype=np.int64)
        for source, place in zip(sources, places, strict=True):
            ready[:, place] = source.absolute
        return self._joined(_one_a_cycle(ready), sources, places)

    def _converted(self, part: ConverterPart, source: _Flow) -> _Flow:
        """A beat goes out when all elements that are gathered with its own have come in."""
        beats_in, beats_out = (beats(part.elements, lanes) for lanes in (part.lanes_in, part.lanes_out))
        group = min(math.lcm(part.lanes_in, part.lanes_out), part.elements)
        out = np.arange(beats_out)
        last = np.minimum((out + 1) * part.lanes_out, part.elements) - 1
        gathered = np.minimum((last // group + 1) * group, part.elements) - 1
        frame = np.arange(part.times)[:, None]
        times = _one_a_cycle(source.times[:, (frame * beats_in + gathered // part.lanes_in).ravel()])
        queue = source.queue
        if queue is not None:
            ends = np.minimum((np.arange(beats_in) + 1) * part.lanes_in, part.elements) - 1
            gone = (np.arange(self._frames * part.times)[:, None] * beats_out + ends // part.lanes_out).ravel()
            queue = replace(queue, last=gone[queue.last])
        cuts = part.lanes_in % part.lanes_out == 0 or part.lanes_in >= part.elements
        gathers = part.lanes_out % part.lanes_in == 0 or part.lanes_out >= part.elements
        return _Flow(times, source.lag + (0 if cuts else 1 if gathers else 2), queue)

    def _pool(self, part: PoolPart, source: _Flow) -> _Flow:
        """A beat goes out when the last pixel of its window has come in."""
        if part.window.overlaps:
            taps = part.window.kernel[0] * part.window.kernel[1]
            times = self._window(part.name, pool_params(part).sliding, 1, source.times)
            return _Flow(times[:, taps - 1 :: taps], source.lag + _LATENCY_POOL)
        width = beats(part.window.input[2], part.lanes)
        last = part.window.pixels().max(axis=1)[:, None] * width + np.arange(width)
        return _Flow(_one_a_cycle(source.times[:, last.ravel()]), source.lag)

    def _window(self, name: str, params: WindowParams, passes: int, times: Times) -> Times:
        """The vectors' beats as their pixels come in; an engine behind of so many passes a block sets the pace."""
        reads = params.reads
        vectors, size = reads.shape
        written = _one_a_cycle(times)
        ready = np.where(reads == PAD, 0, written[:, reads] + 1).reshape(-1, params.block_beats)
        issues = _vectors(ready, passes)[0].reshape(-1, size)
        ends = issues[:, -1]
        tails = (np.arange(self._frames)[:, None] * params.beats_in + params.tails[:-1]).ravel()
        # A beat finds its place free if the windows that were over by then let go what lay there.
        writes = written.ravel()
        over = np.searchsorted(ends, writes, side="left")
        kept = np.arange(1, len(writes) + 1) - np.append(tails, tails[-1])[over]
        self.depths[name] = max(int(kept.max()), params.least_working_depth)
        return issues.reshape(self._frames, vectors * size)

    def _engine(self, part: EnginePart, times: Times) -> tuple[Times, Times]:
        """When each beat goes into the input buffer, and one out: at the end of each fold, the last of its passes."""
        rows, columns = part.stage.dot.weights.codes.shape
        size = part.fold.synapse_folds(columns, part.stage.segments)
        passes = part.fold.passes(rows) // part.fold.blocks(rows, part.stage.groups)
        taken, steps = _vectors(times.reshape(-1, size), passes)
        turns = part.fold.planes_in_time
        ends = steps[:, -1:] + np.arange(turns - 1, passes, turns) * size
        return taken.reshape(self._frames, -1), ends.reshape(self._frames, -1)


def _one_a_cycle(times: Times) -> Times:
    """The same events in order, each as early as its time says, but no two in a cycle."""
    index = np.arange(times.size)
    chain: Times = np.maximum.accumulate(times.ravel() - index) + index
    return chain.reshape(times.shape)


def _vectors(ready: Times, passes: int) -> tuple[Times, Times]:
    """Vectors (V, SF) whose beats are there from `ready` on, into an engine with two banks of input buffer.

    When each beat goes into a bank, and when each step of the first of its passes is issued.
    """
    if passes == 1:
        beats = _one_a_cycle(ready)
        return beats, beats
    index = np.arange(ready.shape[1])
    taken, steps = np.empty_like(ready), np.empty_like(ready)
    before = last = -1  # the last step of the vector before the previous one, and of the previous one
    previous = -1
    for vector, times in enumerate(ready):
        first = np.maximum(times - index, max(previous, before) + 1)
        taken[vector] = np.maximum.accumulate(first) + index
        steps[vector] = np.maximum.accumulate(np.maximum(taken[vector] + 1 - index, last + 1)) + index
        previous = int(taken[vector, -1])
        before, last = last, int(steps[vector, -1]) + (passes - 1) * len(index)
    return taken, steps
