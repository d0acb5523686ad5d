"""The cycles of a circuit of timing cells, one after the other: compiled by Numba where it is installed.

All cells' numbers lie in flat sequences, arrays for Numba and lists (quicker to index) without it: PARAMS constants and
STATES states a cell. `in_at[c]` and `out_at[c]` are where the numbers of the streams of cell c begin in `ins`, `outs`.
"""

import importlib.util
from collections.abc import Callable, MutableSequence, Sequence
from typing import Any, TypeVar

from .frames import (
    COLLECT,
    CUT,
    FIFO,
    FORK,
    JOIN,
    LINES,
    MERGE,
    PARAMS,
    PASS,
    PIPE,
    REGISTER,
    REPEAT,
    SINK,
    SOURCE,
    STATES,
    WORK,
)

__all__ = ["COMPILED", "advance"]

F = TypeVar("F", bound=Callable[..., Any])
Numbers = Sequence[int]
Changing = MutableSequence[int]

COMPILED = importlib.util.find_spec("numba") is not None
if COMPILED:
    from ...compiler.fast.kernels import compiled
else:

    def compiled(function: F) -> F:
        """Without Numba: as it stands."""
        return function


@compiled
def _offer(
    kinds: Numbers, params: Numbers, tables: Numbers, table_at: Numbers, in_at: Numbers, ins: Numbers,
    out_at: Numbers, outs: Numbers, state: Changing, valid: Changing,
) -> None:  # fmt: skip
    """Every stream's valid, from front to back."""
    for c in range(len(kinds)):
        kind, s = kinds[c], c * STATES
        if kind <= PIPE:
            valid[outs[out_at[c]]] = state[s] > 0
        elif kind == CUT:
            valid[outs[out_at[c]]] = valid[ins[in_at[c]]]
        elif kind == PASS:
            passes = tables[table_at[c] + state[s]]
            valid[outs[out_at[c]]] = valid[ins[in_at[c]]] & passes
        elif kind == REPEAT:  # states: full, full, bank written, bank read, place written, place read, pass
            full = state[s + state[s + 3]]
            valid[outs[out_at[c]]] = full | (state[s + 4] > state[s + 5])
        elif kind == FORK:
            for k in range(out_at[c], out_at[c + 1]):
                had = state[s] >> (k - out_at[c]) & 1
                valid[outs[k]] = valid[ins[in_at[c]]] & (1 - had)
        elif kind == JOIN:
            every = 1
            for k in range(in_at[c], in_at[c + 1]):
                every &= valid[ins[k]]
            valid[outs[out_at[c]]] = every
        elif kind == MERGE:
            valid[outs[out_at[c]]] = valid[ins[in_at[c] + state[s]]]


@compiled
def _answer(
    kinds: Numbers, params: Numbers, tables: Numbers, table_at: Numbers, in_at: Numbers, ins: Numbers,
    out_at: Numbers, outs: Numbers, state: Changing, valid: Changing, ready: Changing, pauses: Numbers,
) -> None:  # fmt: skip
    """Every stream's ready, from back to front. pauses: of each port, in this cycle."""
    for back in range(len(kinds)):
        c = len(kinds) - 1 - back
        kind, s, p = kinds[c], c * STATES, c * PARAMS
        if kind == SOURCE:
            continue
        i = ins[in_at[c]]
        if kind == SINK:
            ready[i] = 1 - pauses[params[p]]
            continue
        onward = ready[outs[out_at[c]]]
        if kind == REGISTER:
            ready[i] = 1 - state[s + 1]
        elif kind in (COLLECT, PIPE):
            ready[i] = (state[s] == 0) | onward
        elif kind == LINES:
            ready[i] = state[s + 1] < params[p]
        elif kind == WORK:
            last = state[s + 2] == params[p] - 1
            ready[i] = ((not last) | (state[s + 1] > 0)) & (state[s + 5] == 0)
        elif kind == FIFO:
            ready[i] = state[s + 1] < params[p] - params[p + 1]
        elif kind == CUT:
            final = (state[s] % params[p + 1] == params[p + 1] - 1) | (state[s] == params[p] - 1)
            ready[i] = onward & final
        elif kind == PASS:
            ready[i] = onward | (1 - tables[table_at[c] + state[s]])
        elif kind == REPEAT:
            ready[i] = 1 - state[s + state[s + 2]]
        elif kind == FORK:
            every = 1
            for k in range(out_at[c], out_at[c + 1]):
                every &= ready[outs[k]] | (state[s] >> (k - out_at[c]) & 1)
            ready[i] = every
        elif kind == JOIN:
            for k in range(in_at[c], in_at[c + 1]):
                ready[ins[k]] = onward & valid[outs[out_at[c]]]
        elif kind == MERGE:
            for k in range(in_at[c], in_at[c + 1]):
                ready[ins[k]] = onward & (k - in_at[c] == state[s])


@compiled
def _clock(
    kinds: Numbers, params: Numbers, tables: Numbers, table_at: Numbers, in_at: Numbers, ins: Numbers,
    out_at: Numbers, outs: Numbers, state: Changing, valid: Numbers, ready: Numbers, pauses: Numbers,
    ring: Changing, ring_at: Numbers, log: Changing, log_at: Numbers, counts: Changing, now: int,
) -> None:  # fmt: skip
    """Every cell's next state; ports note their handshakes."""
    for c in range(len(kinds)):
        kind, s, p = kinds[c], c * STATES, c * PARAMS
        take, give, onward = 0, 0, 0
        if kind != SOURCE:
            take = valid[ins[in_at[c]]] & ready[ins[in_at[c]]]
        if kind != SINK:
            onward = ready[outs[out_at[c]]]
            give = valid[outs[out_at[c]]] & onward
        if kind in (SOURCE, SINK):
            port = params[p]
            if give | take:
                if log_at[port] + counts[port] < log_at[port + 1]:
                    log[log_at[port] + counts[port]] = now
                counts[port] += 1
            if kind == SOURCE and (give or not state[s]):
                state[s] = (state[s + 1] < params[p + 1]) & (1 - pauses[port])
                state[s + 1] += state[s]
        elif kind == REGISTER:
            incoming = valid[ins[in_at[c]]]
            if onward | (1 - state[s]):
                state[s] = incoming | state[s + 1]
                state[s + 1] = 0
            elif incoming:
                state[s + 1] = 1
        elif kind == COLLECT:  # states: full, beat of the frame, slot
            if take:
                ends = state[s + 1] == params[p] - 1
                state[s] = (state[s + 2] == params[p + 1] - 1) | ends
                state[s + 2] = 0 if state[s] else state[s + 2] + 1
                state[s + 1] = 0 if ends else state[s + 1] + 1
            elif onward:
                state[s] = 0
        elif kind == LINES:  # states: beat offered, beats kept, beats ahead of the next read, which read
            row = table_at[c] + 3 * state[s + 3]
            issue = ((state[s + 2] > 0) | tables[row + 1]) & (onward | (1 - state[s]))
            state[s + 1] += take
            state[s + 2] += take
            if issue:
                state[s] = 1
                state[s + 1] -= tables[row + 2]
                state[s + 2] -= tables[row]
                state[s + 3] = 0 if state[s + 3] == params[p + 1] - 1 else state[s + 3] + 1
            elif onward:
                state[s] = 0
        elif kind == WORK:  # states: beats in the FIFO, credits, step, head and beats of the ring, cycles to wait
            if state[s + 4] > 0 and ring[ring_at[c] + state[s + 3]] == now:
                state[s] += 1
                state[s + 3] = (state[s + 3] + 1) % params[p + 2]
                state[s + 4] -= 1
            state[s] -= give
            state[s + 1] += give
            state[s + 5] = params[p + 3] - 1 if take else max(0, state[s + 5] - 1)
            if take:
                if state[s + 2] == params[p] - 1:
                    state[s + 1] -= 1
                    state[s + 2] = 0
                    ring[ring_at[c] + (state[s + 3] + state[s + 4]) % params[p + 2]] = now + params[p + 1]
                    state[s + 4] += 1
                else:
                    state[s + 2] += 1
        elif kind == FIFO:  # states: beats that can go out, beats in the memory, beats in all
            if params[p + 1]:
                read = (state[s + 1] > 0) & (onward | (1 - state[s]))
                state[s + 1] += take - read
                state[s] = 1 if read else state[s] & (1 - onward)
                state[s + 2] = state[s] + state[s + 1]
            else:
                state[s] += take - give
                state[s + 1] = state[s]
                state[s + 2] = state[s]
        elif kind == PIPE:  # states: last stage, the others as bits, beat of the frame
            if onward | (1 - state[s]):
                ends = state[s + 2] == params[p] - 1
                stages = state[s + 1] << 1 | (take & ends)
                state[s] = stages >> (params[p + 1] - 1) & 1
                state[s + 1] = stages & ((1 << (params[p + 1] - 1)) - 1)
                if take:
                    state[s + 2] = 0 if ends else state[s + 2] + 1
        elif kind == CUT:  # state: beat of the frame
            if give:
                state[s] = 0 if state[s] == params[p] - 1 else state[s] + 1
        elif kind == PASS:  # state: beat of the frame
            if take:
                state[s] = 0 if state[s] == params[p] - 1 else state[s] + 1
        elif kind == REPEAT:
            if take:
                if state[s + 4] == params[p] - 1:
                    state[s + 4] = 0
                    state[s + state[s + 2]] = 1
                    state[s + 2] = 1 - state[s + 2]
                else:
                    state[s + 4] += 1
            if give:
                if state[s + 5] < params[p] - 1:
                    state[s + 5] += 1
                else:
                    state[s + 5] = 0
                    if state[s + 6] == params[p + 1] - 1:
                        state[s + 6] = 0
                        state[s + state[s + 3]] = 0
                        state[s + 3] = 1 - state[s + 3]
                    else:
                        state[s + 6] += 1
        elif kind == FORK and valid[ins[in_at[c]]]:  # state: bits of the consumers that have had the present beat
            for k in range(out_at[c], out_at[c + 1]):
                state[s] |= ready[outs[k]] << (k - out_at[c])
            if take:
                state[s] = 0
        elif kind == MERGE and give:  # states: whose turn, beat of the turn
            if state[s + 1] < tables[table_at[c] + state[s]] - 1:
                state[s + 1] += 1
            else:
                state[s + 1] = 0
                state[s] = (state[s] + 1) % (in_at[c + 1] - in_at[c])


@compiled
def advance(
    kinds: Numbers, params: Numbers, tables: Numbers, table_at: Numbers, in_at: Numbers, ins: Numbers,
    out_at: Numbers, outs: Numbers, state: Changing, valid: Changing, ready: Changing, pauses: Numbers,
    ring: Changing, ring_at: Numbers, log: Changing, log_at: Numbers, counts: Changing, levels: Numbers,
    most: Changing, ports: int, first_sink: int, now: int, cycles: int,
) -> int:  # fmt: skip
    """Up to `cycles` cycles from cycle `now` on, fewer if all sinks' logs are full by then; returns how many.

    pauses: of each port in each cycle, cycle by cycle. log, log_at, counts: cycles of each port's handshakes, where
    they begin, how many there were. levels, most: states that say how full a cell is, and the most each has been.
    """
    for cycle in range(cycles):
        paused = pauses[cycle * ports : (cycle + 1) * ports]
        _offer(kinds, params, tables, table_at, in_at, ins, out_at, outs, state, valid)
        _answer(kinds, params, tables, table_at, in_at, ins, out_at, outs, state, valid, ready, paused)
        for k in range(len(levels)):
            most[k] = max(most[k], state[levels[k]])
        _clock(
            kinds, params, tables, table_at, in_at, ins, out_at, outs, state, valid, ready, paused,
            ring, ring_at, log, log_at, counts, now + cycle,
        )  # fmt: skip
        done = True
        for port in range(first_sink, ports):
            done &= log_at[port] + counts[port] >= log_at[port + 1]
        if done:
            return cycle + 1
    return cycles
