"""How long work takes on a GPU: CUDA graphs between events, operands that rotate through the cache, medians."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import torch

__all__ = ["Clock", "GpuClock", "HostClock", "medians", "sets_of_operands"]

Work = Callable[[int], object]
"""Does it once with the operands of that number."""

SPAN = 2e-3  # seconds that a sample should take at least, so that the clock's grain does not matter


class Clock(Protocol):
    """Makes work ready and times it."""

    def ready(self, work: Work, sets: int) -> Callable[[], float]:
        """A function that does the work with each of `sets` sets of operands in turn and says the seconds of one."""
        ...


class GpuClock:
    """CUDA events around a CUDA graph of the work with every set of operands: no launch of the host's is timed."""

    def ready(self, work: Work, sets: int) -> Callable[[], float]:
        """As `Clock` says; the work is done twice before anything is captured."""
        aside, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(2):
                work(0)
        torch.cuda.current_stream().wait_stream(aside)
        with torch.cuda.graph(graph):
            for number in range(sets):
                work(number)

        def replay(times: int) -> float:
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            before.record()
            for _ in range(times):
                graph.replay()
            after.record()
            after.synchronize()
            return float(before.elapsed_time(after)) * 1e-3

        replay(1)
        times = max(1, round(SPAN / max(replay(1), 1e-7)))
        return lambda: replay(times) / (times * sets)


class HostClock:
    """The same on a CPU, without graphs."""

    def ready(self, work: Work, sets: int) -> Callable[[], float]:
        """As `Clock` says."""

        def once() -> float:
            begin = time.perf_counter()
            for number in range(sets):
                work(number)
            return (time.perf_counter() - begin) / sets

        return once


def medians(works: Mapping[str, Work], sets: int, clock: Clock, rounds: int) -> dict[str, float]:
    """Median seconds of each work, over rounds in which all take their turn: the GPU's clock drifts for all alike."""
    ready = {name: clock.ready(work, sets) for name, work in works.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, sample in ready.items():
            times[name].append(sample())
    return {name: statistics.median(values) for name, values in times.items()}


def sets_of_operands(bytes_each: int, cache: int, most: int = 512) -> int:
    """How many sets of operands together are twice as large as the cache, from 1 to `most`."""
    return min(most, max(1, -(-2 * cache // max(1, bytes_each))))
