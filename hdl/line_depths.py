"""How deep the line buffers of an accelerator have to be for all its parts together to keep the initiation interval.

Every part alone may sustain the interval and the chain still not: a pool sends its pixels in bursts, an engine takes
them at its own pace, and where the buffer between them is full the burst holds up everything in front. So here is a
schedule with the wished period: the input evenly spaced, every part at work as soon as its data are there, and line
buffers of any size. What they hold in it at most is deep enough: the real accelerator does everything at the same time
or earlier. Constant latencies shift a stream as a whole and change nothing, so they are left out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..compiler.geometry import PAD
from ..compiler.plan import ConverterPart, EnginePart, InputPart, Part, PoolPart, WindowPart
from ..errors import HardwareError
from .pool import PoolParams
from .window_model import WindowParams

__all__ = ["line_depths", "pool_params", "window_params"]

Times = NDArray[np.int64]

_FRAMES = 4  # until the schedule repeats, in most networks; doubled until it does
_FRAMES_MOST = 64


def window_params(part: WindowPart) -> WindowParams:
    """Parameters of the sliding-window unit of a convolution."""
    return WindowParams(part.window, part.bits, part.simd, part.pad_code)


def pool_params(part: PoolPart) -> PoolParams:
    """Parameters of a pool."""
    return PoolParams(part.window, (1 << part.bits) - 1, part.lanes)


def line_depths(parts: Sequence[Part], interval: int) -> Mapping[str, int]:
    """Beats of the line buffer of each window and of each pool whose windows overlap, by the part's name, so that a
    frame passes every `interval` cycles."""
    frames = _FRAMES
    while frames <= _FRAMES_MOST:
        schedule = _Schedule(interval, frames)
        for part in parts:
            schedule.pass_on(part)
        if schedule.repeats:
            return schedule.depths
        frames *= 2
    raise HardwareError(f"the parts do not keep {interval} cycles a frame, whatever their line buffers")


class _Schedule:
    """When each beat of the stream behind the part that was passed last is handed over: int64 (frames, beats)."""

    def __init__(self, interval: int, frames: int) -> None:
        self._interval = interval
        self._frames = frames
        self._times = np.zeros((frames, 0), dtype=np.int64)
        self._reads = np.zeros((0, 0), dtype=np.int64)  # of a window, for the engine behind it
        self.depths: dict[str, int] = {}
        self.repeats = True

    def pass_on(self, part: Part) -> None:
        """From a part's input stream to its output stream."""
        match part:
            case InputPart():
                starts = np.arange(self._frames)[:, None] * self._interval
                self._times = starts + np.arange(part.cycles) * self._interval // part.cycles
            case ConverterPart():
                self._times = self._converted(part)
            case WindowPart():
                self._window(part.name, window_params(part), part.folds)
            case EnginePart():
                self._engine(part)
            case PoolPart():
                self._pool(part)
            case _:
                return
        self.repeats &= bool((np.diff(self._times[-2:], axis=0) == self._interval).all())

    def _converted(self, part: ConverterPart) -> Times:
        """A beat goes out when its last element has come in."""
        beats_in, beats_out = (-(-part.elements // lanes) for lanes in (part.lanes_in, part.lanes_out))
        last = np.minimum((np.arange(beats_out) + 1) * part.lanes_out, part.elements) - 1
        beats = np.arange(part.times)[:, None] * beats_in + last // part.lanes_in
        return _one_a_cycle(self._times[:, beats.ravel()])

    def _pool(self, part: PoolPart) -> None:
        """A beat goes out when the last pixel of its window has come in."""
        if part.window.overlaps:
            taps = part.window.kernel[0] * part.window.kernel[1]
            self._window(part.name, pool_params(part).sliding, 1)
            self._times = self._times[:, taps - 1 :: taps]
            return
        beats = -(-part.window.input[2] // part.lanes)
        last = part.window.pixels().max(axis=1)[:, None] * beats + np.arange(beats)
        self._times = _one_a_cycle(self._times[:, last.ravel()])

    def _window(self, name: str, params: WindowParams, folds: int) -> None:
        """The vectors' beats as their pixels come in; an engine behind of so many folds sets the pace."""
        reads = params.reads
        vectors, beats = reads.shape
        written = _one_a_cycle(self._times)
        ready = np.where(reads == PAD, 0, written[:, reads] + 1).reshape(-1, beats)
        issues = _vectors(ready, folds)[0]
        ends = issues[:, -1]
        tails = (np.arange(self._frames)[:, None] * params.beats_in + params.tails[:-1]).ravel()
        # A beat finds its place free if the windows that were over by then let go what lay there.
        writes = written.ravel()
        over = np.searchsorted(ends, writes, side="left")
        kept = np.arange(1, len(writes) + 1) - np.append(tails, tails[-1])[over]
        self.depths[name] = max(int(kept.max()), params.least_working_depth)
        self._times = issues.reshape(self._frames, vectors * beats)

    def _engine(self, part: EnginePart) -> None:
        """A beat goes out at the end of each fold."""
        rows, columns = part.stage.dot.weights.codes.shape
        folds, beats = part.fold.neuron_folds(rows), part.fold.synapse_folds(columns, part.stage.segments)
        _, steps = _vectors(self._times.reshape(-1, beats), folds)
        ends = steps[:, -1:] + np.arange(folds) * beats
        self._times = ends.reshape(self._frames, -1)


def _one_a_cycle(times: Times) -> Times:
    """The same events in order, each as early as its time says, but no two in a cycle."""
    index = np.arange(times.size)
    chain: Times = np.maximum.accumulate(times.ravel() - index) + index
    return chain.reshape(times.shape)


def _vectors(ready: Times, folds: int) -> tuple[Times, Times]:
    """Vectors (V, SF) whose beats are there from `ready` on, into an engine with two banks of input buffer.

    When each beat goes into a bank, and when each step of the first fold is issued.
    """
    if folds == 1:
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
        before, last = last, int(steps[vector, -1]) + (folds - 1) * len(index)
    return taken, steps
