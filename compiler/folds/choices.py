"""The folds that a search chooses from: every PE x SIMD x planes in time x kind of memory of a layer, priced."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import HardwareError
from ..cost.area import WORD_BITS_MOST, price_folds
from ..cost.device import Device
from ..cost.joints import Joint
from ..ir import Conv2d, Dense, IntegerNetwork, MaxPool, Node, Recurrent, Stage, SumPool
from ..schedule.recurrent_cycles import steps_cycles
from .folding import Arithmetic, LayerFold

__all__ = ["NEVER", "Folds", "all_folds", "undominated"]

Integers = NDArray[np.int64]

NEVER = 1 << 50
"""Tenths of a LUT: more than anything costs, and sums of it fit."""


@dataclass(frozen=True, eq=False)
class Folds:
    """Folds of one layer, sorted by PE, as arrays (F,); turns: planes in time; memory: the index of a kind.

    cycles: of the slowest of engine, window and pools behind the engine.
    """

    pe: Integers
    simd: Integers
    turns: Integers
    memory: Integers
    tenths: Integers
    blocks: Integers
    cycles: Integers

    def where(self, chosen: NDArray[np.bool_ | np.int64]) -> "Folds":
        """Those chosen, by a mask or by indices."""
        return Folds(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def least(self, values: Integers, senders: int) -> Integers:
        """The least of `values` (F, W) for each PE: (senders + 1, W)."""
        result = np.full((senders + 1, values.shape[1]), NEVER, dtype=np.int64)
        if len(self.pe):
            starts = np.flatnonzero(np.diff(self.pe, prepend=-1))
            result[self.pe[starts]] = np.minimum.reduceat(values, starts, axis=0)
        return result


def all_folds(
    network: IntegerNetwork,
    stage: Stage,
    device: Device,
    *,
    first: bool,
    arithmetic: Arithmetic = Arithmetic.PLANES,
) -> Folds:
    """Every fold of a layer that can be generated, PE up to its rows, SIMD up to its columns or channels."""
    rows, columns = stage.dot.weights.codes.shape
    segment = columns // stage.segments
    plain = LayerFold(1, 1, arithmetic=arithmetic)
    form = plain.form(stage.dot.weights, stage.input_type)
    problem = plain.planes_problem(form)
    if problem is not None:
        raise HardwareError(f"layer {stage.dot.name!r}: {problem}")
    widest = [min(segment, WORD_BITS_MOST // (pe * form.word_bits)) for pe in range(1, rows + 1)]
    pe = np.repeat(np.arange(1, rows + 1), widest)
    simd = np.concatenate([np.arange(1, most + 1) for most in widest])
    node = network.node(stage.dot.name)
    if isinstance(node, Recurrent):  # whole units or equal parts of one, and no beat of both x and h
        fits = ((pe % node.gates == 0) | (node.gates % pe == 0)) & (node.features % simd == 0)
        pe, simd = pe[fits], simd[fits]
    if stage.groups > 1:
        channels = segment * stage.groups
        pairs = zip(pe.tolist(), simd.tolist(), strict=True)
        fits = np.array([LayerFold(p, s).groups_problem(rows, channels, stage.groups) is None for p, s in pairs])
        pe, simd = pe[fits], simd[fits]
    in_time = np.array(
        [
            n
            for n in range(1, form.activation_planes + 1)
            if replace(plain, planes_in_time=n).planes_problem(form) is None
        ]
    )
    pe, simd, turns = (np.repeat(pe, len(in_time)), np.repeat(simd, len(in_time)), np.tile(in_time, len(pe)))
    if not len(pe):
        raise HardwareError(f"layer {stage.dot.name!r}: weights of {stage.dot.weights.bits} bits are too wide")
    cycles = _cycles(network, stage, pe, simd, turns, first=first)
    if isinstance(node, Recurrent):
        folds = [LayerFold(int(rows_at_once), int(lanes)) for rows_at_once, lanes in zip(pe, simd, strict=True)]
        steps = [
            max(steps_cycles(node, replace(fold, memory=kind, planes_in_time=int(turn)), 1) for kind in device.memories)
            for fold, turn in zip(folds, turns, strict=True)
        ]
        cycles = np.maximum(cycles, np.array(steps, dtype=np.int64))
    priced = [
        price_folds(stage, pe, simd, turns, memory, device, first=first, arithmetic=arithmetic)
        for memory in device.memories
    ]
    kinds = len(priced)
    tenths, blocks = (np.stack(amounts, axis=1).ravel() for amounts in zip(*priced, strict=True))
    pe, simd, turns, cycles = (np.repeat(values, kinds) for values in (pe, simd, turns, cycles))
    return Folds(pe, simd, turns, np.arange(len(pe)) % kinds, tenths, blocks, cycles)


def undominated(folds: Folds, before: Joint | None, behind: Joint | None) -> Folds:
    """Without folds that another, with the same PE or the same SIMD, can take the place of in every folding.

    It has no more block RAMs, and fewer LUTs by at least what the converter on the side that changes could cost more.
    """
    for memory in np.unique(folds.memory):
        folds = _undominated(folds, int(memory), folds.pe, folds.simd, before)
        folds = _undominated(folds, int(memory), folds.simd, folds.pe, behind)
    return folds


def _undominated(folds: Folds, memory: int, same: Integers, changed: Integers, joint: Joint | None) -> Folds:
    """Compared with the fold of that memory that has the least of `changed` among those with the `same`."""
    rivals = np.flatnonzero(folds.memory == memory)
    rivals = rivals[np.lexsort((changed[rivals], same[rivals]))]
    rivals = rivals[np.diff(same[rivals], prepend=0) > 0]
    table = np.full(int(same.max(initial=0)) + 1, -1, dtype=np.int64)
    table[same[rivals]] = rivals
    rival = table[same]
    dearer = np.zeros_like(changed) if joint is None else joint.most_dearer(changed[rival], changed)
    beaten = (folds.tenths[rival] + dearer <= folds.tenths) & (folds.blocks[rival] <= folds.blocks)
    return folds.where((rival < 0) | (rival == np.arange(len(rival))) | (changed[rival] > changed) | ~beaten)


def _cycles(
    network: IntegerNetwork,
    stage: Stage,
    pe: Integers,
    simd: Integers,
    turns: Integers,
    *,
    first: bool,
) -> Integers:
    """Cycles a frame of what a fold decides alone: engine, window, pools behind (and those in front of the first)."""
    rows, columns = stage.dot.weights.type.shape
    segment = columns // stage.segments
    cycles = stage.vectors * -(-rows // pe) * turns * stage.segments * -(-segment // simd)
    if isinstance(stage.dot, Conv2d):
        window = stage.dot.window(stage.input_type)
        height, width, channels = window.input
        lanes = simd * (np.maximum(1, pe * stage.groups // rows) if stage.groups > 1 else 1)
        taps = window.positions * stage.segments
        cycles = np.maximum(cycles, max(height * width, taps) * -(-channels // lanes))
    passed = [(pool, pe) for pool in _pools_behind(network, stage.end)]
    if first:
        channels = network.input.type.shape[2] if len(network.input.type.shape) == 3 else 1
        lanes = np.where(channels % simd == 0, simd, channels)
        passed += [(pool, lanes) for pool in _pools_behind(network, network.input)]
    for pool, lanes in passed:
        window = pool.window(network.node(pool.inputs[0]).type)
        height, width, channels = window.input
        taps = window.positions * int(np.prod(window.kernel)) if window.overlaps else 0
        cycles = np.maximum(cycles, max(height * width, taps) * -(-channels // lanes))
    return cycles


def _pools_behind(network: IntegerNetwork, start: Node) -> list[MaxPool | SumPool]:
    """The pools between a node and the engines that it leads to: they take as many lanes as come."""
    readers, found, seen = network.readers(), [], {start.name}
    ways = [start]
    while ways:
        for node in readers[ways.pop().name]:
            if node.name in seen or isinstance(node, Dense | Conv2d):
                continue
            seen.add(node.name)
            ways.append(node)
            if isinstance(node, MaxPool | SumPool):
                found.append(node)
    return found
