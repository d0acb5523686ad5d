"""The stalls of the bench in Python: exactly those of `bench_stalls` in bench/bench.sv.j2, from the same seed."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stalls"]

_MASK = (1 << 64) - 1


class Stalls:
    """Called with a number of cycles: whether each of the next ones is a stall, from the first cycle after reset on.

    In that one the bench is still being cleared, which is as good as a stall.

    seed: 64 bits; 0 never stalls. long: cycles of the longest stall, a power of two up to 2^16.
    """

    def __init__(self, seed: int, long: int) -> None:
        self._state = _xorshift(_xorshift(seed))
        self._most = long - 1
        self._count = self._stall = 0
        self._clearing = 1

    def __call__(self, cycles: int) -> NDArray[np.bool_]:
        """Whether each of the next `cycles` cycles is a stall."""
        stalls = np.zeros(cycles, dtype=np.bool_)
        begin, self._clearing = self._clearing, 0
        stalls[:begin] = True
        if self._state:
            for cycle in range(begin, cycles):
                stalls[cycle] = self._stall
                self._step()
        return stalls

    def _step(self) -> None:
        state, self._state = self._state, _xorshift(self._state)
        if self._count:
            self._count -= 1
        elif state >> 48 & self._most == 0:
            self._stall, self._count = 1, state >> 16 & self._most
        else:
            self._stall = state & 1
            self._count = state >> 2 & (3 if state & 2 else 31)


def _xorshift(state: int) -> int:
    """The next state of Marsaglia's 64-bit generator."""
    state ^= state << 13 & _MASK
    state ^= state >> 7
    return state ^ (state << 17 & _MASK)
