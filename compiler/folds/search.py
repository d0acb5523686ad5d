"""The exact search for the cheapest folding: every PE x SIMD x planes in time x kind of memory, within two budgets.

Layers form a chain: a fold costs LUTs and block RAMs for itself, and a converter where its SIMD is not the PE of the
layer before. (Those of a branching network are taken in its order; what does not follow directly is joined at no cost,
see `area.joints`.) With a price on block RAMs that is a shortest path, found by dynamic programming over the beats
between layers. If the shortest path keeps both budgets it is the answer. If not, other prices bound what any path
through a fold must cost (the Lagrangian bound), which rules most folds out or proves that nothing fits; what is left
goes through a dynamic programme with the block RAMs used so far as a second axis. Nothing is left to chance or to a
time limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..cost.device import Device
from ..cost.joints import CONVERTER_TENTHS, Joint, joints
from ..ir import IntegerNetwork
from .choices import NEVER, Folds, all_folds, undominated
from .folding import Arithmetic, LayerFold

__all__ = ["Budget", "FoldSearch"]

Integers = NDArray[np.int64]

_PRICES = 8  # prices of block RAMs tried before the second axis is taken; each about halves what is left to doubt


@dataclass(frozen=True, slots=True)
class Budget:
    """Tenths of a LUT and block RAMs to keep within."""

    tenths: int
    blocks: int

    @classmethod
    def of(cls, device: Device, luts: int | None = None) -> "Budget":
        """All of a device, or at most `luts` of its LUTs."""
        limits = [limit for limit in (device.luts, luts) if limit is not None]
        return cls(10 * min(limits) if limits else NEVER, device.blocks if device.luts is not None else NEVER)


class _Step:
    """Least costs through the converters of a joint, for every beat on one side from those on the other.

    A converter costs one amount where neither beat divides the other, so that the best of these is found at once for
    all; pairs that divide are looked at one by one.
    """

    def __init__(self, joint: Joint) -> None:
        self._joint = joint
        self._ahead = _Pairs(joint.senders, joint.takers, joint.bits)
        self._back = _Pairs(joint.takers, joint.senders, joint.bits)
        sent = np.arange(1, joint.senders + 1)
        self._relayed = np.zeros(joint.senders + 1, dtype=np.bool_)
        self._to_relay = np.zeros((joint.senders + 1, 1), dtype=np.int64)
        if joint.relay is not None:
            self._relayed[1:] = joint.relay % sent != 0
            self._to_relay[1:, 0] = Joint(joint.bits, joint.senders, joint.relay).tenths(sent, joint.relay)

    def ahead(self, costs: Integers) -> Integers:
        """From costs (senders + 1, W) up to an engine to costs (takers + 1, W) up to the beats of the next."""
        if self._relayed.any():
            costs, whole = costs.copy(), self._joint.relay
            relayed = np.min((costs + self._to_relay)[self._relayed], axis=0)
            costs[self._relayed] = NEVER
            costs[whole] = np.minimum(costs[whole], relayed)
        return self._ahead.least(costs)

    def back(self, costs: Integers) -> Integers:
        """The same against the stream."""
        result = self._back.least(costs)
        if self._relayed.any():
            result[self._relayed] = (result[self._joint.relay] + self._to_relay)[self._relayed]
        return result

    def tenths(self, taken: int) -> Integers:
        """Of the converters from every beat to one of `taken`: (senders + 1,)."""
        sent = np.arange(self._joint.senders + 1)
        return np.append(NEVER, self._joint.tenths(sent[1:], taken))


class _Pairs:
    """Beats of 1 to `sources` elements that divide, or are divided by, beats of 1 to `targets`."""

    def __init__(self, sources: int, targets: int, bits: int) -> None:
        self._bits = bits
        pairs = [(s, t) for s in range(1, sources + 1) for t in range(s, targets + 1, s)]
        pairs += [(s, t) for t in range(1, targets + 1) for s in range(2 * t, sources + 1, t)]
        table = np.array(sorted(pairs, key=lambda pair: pair[1]), dtype=np.int64)
        self._sources, wanted = table[:, 0], table[:, 1]
        self._starts = np.flatnonzero(np.diff(wanted, prepend=0))  # every target is in it: 1 divides it
        self._tenths = np.where(
            self._sources == wanted, 0, CONVERTER_TENTHS * bits * np.maximum(self._sources, wanted)
        )[:, None]
        self._beats = 2 * CONVERTER_TENTHS * bits * np.arange(max(sources, targets) + 1)[:, None]

    def least(self, costs: Integers) -> Integers:
        """From costs (sources + 1, W) to costs (targets + 1, W)."""
        divided = np.minimum.reduceat(costs[self._sources] + self._tenths, self._starts, axis=0)
        targets = len(divided)
        other = np.min(costs + self._beats[: len(costs)], axis=0) + self._beats[1 : targets + 1]
        return np.vstack([np.full((1, costs.shape[1]), NEVER, dtype=np.int64), np.minimum(divided, other)])


class FoldSearch:
    """All foldings of a network on a device: each layer's `folds`, and the `joints` between them.

    HardwareError if a layer is too large to be generated at all.
    """

    def __init__(self, network: IntegerNetwork, device: Device, arithmetic: Arithmetic = Arithmetic.PLANES) -> None:
        self._network, self._device, self._arithmetic = network, device, arithmetic
        self._stages = list(network.stages())
        self.joints = joints(network)
        self.folds = [
            all_folds(network, stage, device, first=index == 0, arithmetic=arithmetic)
            for index, stage in enumerate(self._stages)
        ]

    @cached_property
    def _steps(self) -> list[_Step]:
        made: dict[Joint, _Step] = {}
        return [made.setdefault(joint, made.get(joint) or _Step(joint)) for joint in self.joints]

    @property
    def fastest(self) -> tuple[int, str]:
        """The least cycles a frame that any folding takes, and the layer to blame."""
        least = [(int(f.cycles.min()), stage.dot.name) for f, stage in zip(self.folds, self._stages, strict=True)]
        return max(least, key=lambda entry: entry[0])

    @cached_property
    def rates(self) -> Integers:
        """All numbers of cycles a frame that foldings come to, rising."""
        every = np.unique(np.concatenate([np.unique(folds.cycles) for folds in self.folds]))
        return every[every >= self.fastest[0]]

    @property
    def slowest(self) -> int:
        """Cycles a frame that every folding meets."""
        return max(int(folds.cycles.max()) for folds in self.folds)

    def cheapest(self, cycles: int, budget: Budget, *, any_will_do: bool = False) -> tuple[LayerFold, ...] | None:
        """The folds, in stream order, that take the least area within `budget` at `cycles` cycles a frame; None if
        nothing fits. Area is LUTs, a block RAM counting as the LUTs that the device has for each.

        any_will_do: the first that is found to fit, not the cheapest.
        """
        folds = [
            f.where((f.cycles <= cycles) & (f.tenths <= budget.tenths) & (f.blocks <= budget.blocks))
            for f in self.folds
        ]
        if any(not len(f.pe) for f in folds):
            return None
        ahead, behind = [None, *self.joints], [*self.joints, None]
        folds = [undominated(f, before, after) for f, before, after in zip(folds, ahead, behind, strict=True)]
        fair = price = self._device.block_price
        low, high, found, known = 0, None, None, NEVER
        for _ in range(_PRICES):
            through, path = self._priced(folds, price)
            tenths, blocks = self._spent(folds, path)
            if int(through[0].min()) > budget.tenths + price * budget.blocks:
                return None
            fits = tenths <= budget.tenths and blocks <= budget.blocks
            if fits:
                if price == fair or any_will_do:
                    return self._named(folds, path)
                if tenths + fair * blocks < known:
                    found, known = self._named(folds, path), tenths + fair * blocks
            folds = _prune(folds, through, budget.tenths + price * budget.blocks)
            if blocks > budget.blocks or (fits and price < fair):
                low, price = price, (2 * price + 1 if high is None else (price + high) // 2)
            else:
                high, price = price, (low + price) // 2
            if price == low:
                break
        folds = _prune(folds, self._priced(folds, fair)[0], known - 1)
        best = self._within(folds, budget) if all(len(f.pe) for f in folds) else None
        return found if best is None else self._named(folds, best)

    def _priced(self, folds: Sequence[Folds], price: int) -> tuple[list[Integers], list[int]]:
        """At a price of block RAMs: the cost of the cheapest folding with each fold, (F,) a layer, and the cheapest
        folding of all, an index into each layer's folds."""
        own = [(f.tenths + price * f.blocks)[:, None] for f in folds]
        arriving, sent = self._arriving(folds, own)
        through = []
        leaving = np.zeros((self._senders(-1) + 1, 1), dtype=np.int64)
        for index in range(len(folds) - 1, -1, -1):
            f = folds[index]
            rest = own[index] + leaving[f.pe]
            through.append((arriving[index][f.simd] + rest)[:, 0])
            if index:
                order = np.argsort(f.simd, kind="stable")
                takers = self.joints[index - 1].takers
                needed = np.full((takers + 1, 1), NEVER, dtype=np.int64)
                starts = np.flatnonzero(np.diff(f.simd[order], prepend=-1))
                needed[f.simd[order][starts]] = np.minimum.reduceat(rest[order], starts, axis=0)
                leaving = self._steps[index - 1].back(needed)
        return through[::-1], self._traced(folds, own, arriving, sent, 0, shift=False)

    def _arriving(
        self, folds: Sequence[Folds], own: Sequence[Integers], blocks: int = 0
    ) -> tuple[list[Integers], list[Integers]]:
        """Least costs up to each layer's beats in (takers + 1, W) and out (senders + 1, W).

        W = blocks + 1: column b is what is reached with b block RAMs; 0 where `own` holds their price.
        """
        at = np.zeros((int(folds[0].simd.max()) + 1, blocks + 1), dtype=np.int64)
        arriving, sent = [], []
        for index, (f, costs) in enumerate(zip(folds, own, strict=True)):
            arriving.append(at)
            if blocks == 0:
                best = f.least(at[f.simd] + costs, self._senders(index))
            else:
                best = np.full((self._senders(index) + 1, blocks + 1), NEVER, dtype=np.int64)
                for used in np.unique(f.blocks):
                    some = f.where(f.blocks == used)
                    reached = at[some.simd, : blocks + 1 - used] + some.tenths[:, None]
                    best[:, used:] = np.minimum(best[:, used:], some.least(reached, self._senders(index)))
            best = np.minimum(best, NEVER)
            sent.append(best)
            if index + 1 < len(folds):
                at = self._steps[index].ahead(best) if blocks == 0 else self._few(index, folds, best)
        return arriving, sent

    def _few(self, index: int, folds: Sequence[Folds], costs: Integers) -> Integers:
        """What a step ahead gives, for the beats alone that are left in use: few, but with many columns."""
        joint, used = self.joints[index], np.unique(folds[index].pe)
        result = np.full((joint.takers + 1, costs.shape[1]), NEVER, dtype=np.int64)
        for taken in np.unique(folds[index + 1].simd):
            result[taken] = np.min(costs[used] + joint.tenths(used, int(taken))[:, None], axis=0)
        return result

    def _within(self, folds: Sequence[Folds], budget: Budget) -> list[int] | None:
        """The cheapest path within both budgets, by block RAMs used; None if there is none."""
        own = [f.tenths[:, None] for f in folds]
        most = sum(int(f.blocks.max()) for f in folds)
        arriving, sent = self._arriving(folds, own, min(budget.blocks, most))
        spent = sent[-1].min(axis=0)
        if int(spent.min()) > budget.tenths:
            return None
        worth = np.where(spent <= budget.tenths, spent + self._device.block_price * np.arange(len(spent)), NEVER)
        return self._traced(folds, own, arriving, sent, int(np.argmin(worth)), shift=True)

    def _traced(
        self,
        folds: Sequence[Folds],
        own: Sequence[Integers],
        arriving: Sequence[Integers],
        sent: Sequence[Integers],
        column: int,
        *,
        shift: bool,
    ) -> list[int]:
        """The path that ends with the least cost in a column, from its costs."""
        path, pe = [], int(np.argmin(sent[-1][:, column]))
        for index in range(len(folds) - 1, -1, -1):
            f = folds[index]
            of_pe = np.flatnonzero(f.pe == pe)
            used = f.blocks[of_pe] if shift else np.zeros_like(of_pe)
            of_pe, used = of_pe[used <= column], used[used <= column]
            total = arriving[index][f.simd[of_pe], column - used] + own[index][of_pe, 0]
            best = int(np.argmin(total))
            path.append(int(of_pe[best]))
            column -= int(used[best])
            if index:
                converted = sent[index - 1][:, column] + self._steps[index - 1].tenths(int(f.simd[path[-1]]))
                pe = int(np.argmin(converted))
        return path[::-1]

    def _spent(self, folds: Sequence[Folds], path: Sequence[int]) -> tuple[int, int]:
        """Tenths of a LUT, converters included, and block RAMs of a path."""
        tenths = sum(int(f.tenths[i]) for f, i in zip(folds, path, strict=True))
        for joint, before, after, i, j in zip(self.joints, folds, folds[1:], path, path[1:], strict=False):
            tenths += int(joint.tenths(before.pe[i], int(after.simd[j])))
        return tenths, sum(int(f.blocks[i]) for f, i in zip(folds, path, strict=True))

    def _named(self, folds: Sequence[Folds], path: Sequence[int]) -> tuple[LayerFold, ...]:
        kinds = self._device.memories
        return tuple(
            LayerFold(
                *(int(f.pe[i]), int(f.simd[i]), kinds[int(f.memory[i])], int(f.turns[i])), arithmetic=self._arithmetic
            )
            for f, i in zip(folds, path, strict=True)
        )

    def _senders(self, index: int) -> int:
        return int(self._stages[index].dot.weights.codes.shape[0])


def _prune(folds: Sequence[Folds], through: Sequence[Integers], most: int) -> list[Folds]:
    return [f.where(cost <= most) for f, cost in zip(folds, through, strict=True)]
