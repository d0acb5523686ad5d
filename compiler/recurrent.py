"""Recurrent nodes: a vanilla RNN and an LSTM cell in integers, their state and their step.

A sample is a time step. The node reads codes x (D,) and yields codes h (H,) of the same width and encoding; between
samples it keeps h and, in an LSTM, the cell c. Samples stand in `interleave` slots in turn, each with a state of its
own: sample b belongs to slot b mod S and continues what the slot's sample before it left, unless that was the last of
its sequence. This module imports NumPy alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .ir import Recurrent
from .types import Codes, CodeType, Encoding, Integers

__all__ = ["Cell", "Lstm", "RecurrentRun", "Rnn", "initial_code"]


def initial_code(kind: CodeType) -> int:
    """The code of a state before the first sample: that of the least value from 0 up."""
    return int(np.searchsorted(kind.values(np.arange(kind.max_code + 1)), 0))


@dataclass(frozen=True, eq=False)
class Cell:
    """The arithmetic of an LSTM's cell, behind its gates.

    shift: s; the gates and tanh(c) have the codes 0..2^s. point: c stands for c / 2^point, which training and the table
    decide; bits: of c, two's complement. tanh: int64 (2^s,), nondecreasing: the code of tanh(c) is #{k : c >= tanh[k]}.
    """

    shift: int
    bits: int
    point: int
    tanh: Integers

    @property
    def lift(self) -> int:
        """Bits that i * g is shifted up by to stand on the grid of f * c."""
        return self.point - self.shift + 1

    @property
    def limit(self) -> int:
        """c lies in -limit..limit - 1."""
        return 1 << self.bits - 1

    def problems(self, state: CodeType) -> Iterator[str]:
        """What is wrong with the cell of a layer with states of that type."""
        if state.encoding is not Encoding.BIPOLAR or state.bits > 2 * self.shift:
            most = 2 * self.shift
            yield f"a state of {state.bits} {state.encoding} bits; gates of shift {self.shift} make up to {most}"
        if not 1 <= self.shift <= 7 or not 2 <= self.bits <= 16 or self.lift < 0 or self.point >= self.bits:
            yield f"a cell of shift {self.shift}, {self.bits} bits and point {self.point} is not possible"
        elif self.tanh.shape != (1 << self.shift,) or (np.diff(self.tanh) < 0).any():
            yield f"the table of tanh must be {1 << self.shift} thresholds in order"
        elif self.tanh[0] < -self.limit or self.tanh[-1] > self.limit:
            yield f"the table of tanh, {self.tanh[0]}..{self.tanh[-1]}, leaves {-self.limit}..{self.limit}"

    def update(self, gates: NDArray[np.integer], cell: Integers, state_bits: int) -> tuple[Codes, Integers]:
        """State codes and cells (B, H) behind gate codes (B, H, 4), in the order i, f, o, g, and cells (B, H).

        c' = clip((f c + (i g << lift) + 2^(s-1)) >> s) and h' = clip((o t >> (2s - n)) + 2^(n-1), 0, 2^n - 1), >>
        rounding down, with g and t = tanh(c') less 2^(s-1).
        """
        i, f, o, g = np.moveaxis(gates.astype(np.int64), -1, 0)
        half = 1 << self.shift - 1
        raw = (f * cell + (i * (g - half) << self.lift) + half) >> self.shift
        after = np.clip(raw, -self.limit, self.limit - 1)
        tanh = np.searchsorted(self.tanh, after, side="right") - half
        codes = (o * tanh >> 2 * self.shift - state_bits) + (1 << state_bits - 1)
        return np.minimum(codes, (1 << state_bits) - 1).astype(np.uint8), after


@dataclass(frozen=True, eq=False)
class Rnn(Recurrent):
    """h' = the row's code."""

    kind: ClassVar[str] = "rnn"
    gates: ClassVar[int] = 1


@dataclass(frozen=True, eq=False)
class Lstm(Recurrent):
    """Rows 4 j + (i, f, o, g) are the gates of unit j; `cell` says what becomes of them. Bipolar codes."""

    kind: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4
    cell: Cell


class RecurrentRun:
    """The states of a recurrent node's slots, and the samples that go on from them.

    Sequences that do not depend on each other are worked on together, a step of all of them at a time.
    """

    def __init__(self, node: Recurrent, interleave: int = 1) -> None:
        self._node = node
        self._interleave = interleave
        self._position = 0  # of the next sample
        values = node.weights.values().astype(np.float64).T  # exact: the verifier keeps sums below 2^53
        self._of_inputs, self._of_state = values[: node.features], values[node.features :]
        self._codes = np.full((interleave, node.hidden), initial_code(node.type), np.uint8)
        self._cells = np.zeros((interleave, node.hidden), np.int64)

    def __call__(self, codes: NDArray[np.integer[Any]], last: NDArray[np.bool_] | None = None) -> Codes:
        """The states (B, H) after the samples (B, D); last (B,): which of them end their sequences, None: none."""
        node = self._node
        ends = np.zeros(len(codes), np.bool_) if last is None else last
        of_inputs = node.type.values(codes.reshape(len(codes), -1)).astype(np.float64) @ self._of_inputs
        yielded = np.zeros((len(codes), node.hidden), np.uint8)
        runs = sorted(self._runs(ends), key=lambda run: -len(run[1]))
        slots = [slot for slot, _, _ in runs]
        cells, states = self._cells[slots], self._codes[slots]
        fresh = np.array([begins for _, _, begins in runs], np.bool_)
        states[fresh], cells[fresh] = initial_code(node.type), 0
        for step in range(len(runs[0][1]) if runs else 0):
            samples = np.array([run[step] for _, run, _ in runs if step < len(run)])
            active = slice(len(samples))
            acc = of_inputs[samples] + node.type.values(states[active]).astype(np.float64) @ self._of_state
            rows = self._row_codes(acc.astype(np.int64))
            if isinstance(node, Lstm):
                gates = rows.reshape(len(rows), -1, node.gates)
                states[active], cells[active] = node.cell.update(gates, cells[active], node.type.bits)
            else:
                states[active] = rows
            yielded[samples] = states[active]
        # The last run of a slot leaves its state behind.
        for index in sorted(range(len(runs)), key=lambda k: int(runs[k][1][0])):
            slot, run, _ = runs[index]
            ended = bool(ends[run[-1]])
            self._codes[slot] = initial_code(node.type) if ended else states[index]
            self._cells[slot] = 0 if ended else cells[index]
        self._position += len(codes)
        return yielded

    def _row_codes(self, acc: Integers) -> Codes:
        """Codes (B, rows) of accumulators (B, rows)."""
        codes = np.zeros(acc.shape, np.uint8)
        for level in self._node.thresholds.T:
            codes += np.where(self._node.descending, acc <= level, acc >= level)
        return codes

    def _runs(self, ends: NDArray[np.bool_]) -> Iterator[tuple[int, Integers, bool]]:
        """Slot, samples, and whether they begin a sequence within the batch, of each piece of a sequence."""
        for first in range(min(self._interleave, len(ends))):
            samples = np.arange(first, len(ends), self._interleave)
            pieces = np.split(samples, np.flatnonzero(ends[samples]) + 1)
            for number, piece in enumerate(pieces):
                if piece.size:
                    yield (self._position + first) % self._interleave, piece, number > 0
