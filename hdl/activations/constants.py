"""Thresholds and requantizations of the integer network in the numbers that a hardware stream carries."""

from typing import Protocol

import numpy as np

from ...compiler.ir import Requantize, Threshold
from ...compiler.types import Integers
from ..dot.constants import PopcountDomain
from .params import ActivationParams, RequantizeParams, ThresholdParams

__all__ = ["RisingDomain", "activation_params", "requantize_params", "threshold_params", "thresholds_of"]

_BEYOND = 1 << 60  # any accumulator


class RisingDomain(Protocol):
    """Numbers P on a stream, 0 <= P <= p_max, that stand for integers; a larger P for a larger integer."""

    @property
    def p_max(self) -> int:
        """The largest P."""

    def floor(self, accumulators: Integers) -> Integers:
        """The largest P (N, ...) whose integer is at most the given one (N, ...); may lie outside 0..p_max."""


def threshold_params(
    node: Threshold, domain: RisingDomain, *, name: str, pe: int, folds: int, interval: int = 1, writable: bool = False
) -> ThresholdParams:
    """A Threshold on the numbers of `domain`; a writable one has directions even where no row descends.

    A row that descends asks acc <= t, which is not acc >= t + 1: its code is T less the number of those that are
    reached. They fall along the row; in the opposite order they rise.
    """
    descending, limits = node.descending, node.thresholds
    at_least = np.where(descending[:, None], limits[:, ::-1] + 1, limits)
    values = np.clip(domain.floor(at_least - 1) + 1, 0, domain.p_max + 1)
    flags = descending if descending.any() or writable else None
    return ThresholdParams(name, values, domain.p_max, pe, folds, interval, flags)


def requantize_params(node: Requantize, domain: PopcountDomain, *, name: str, pe: int, folds: int) -> RequantizeParams:
    """A Requantize on counts: m * (alpha * P + beta) + b = (m * alpha) * P + (m * beta + b).

    A power of two that all multipliers have is taken off the shift: the bits of the offset below it never count.
    """
    multiplier = node.multiplier * domain.alpha
    offset = node.multiplier * domain.beta + node.offset
    common = int(np.bitwise_or.reduce(multiplier))
    spare = min(node.shift, (common & -common).bit_length() - 1) if common else node.shift
    return RequantizeParams(
        name, multiplier >> spare, offset >> spare, node.shift - spare, node.type.bits, domain.p_max, pe, folds
    )


def thresholds_of(node: Requantize) -> Threshold:
    """The same function as comparisons: (m * acc + b) >> s is i or more where m * acc >= i * 2^s - b."""
    level = (np.arange(1, node.type.max_code + 1, dtype=np.int64) << node.shift) - node.offset[:, None]
    m = node.multiplier[:, None]
    some = np.where(m == 0, 1, m)
    # acc >= level / m, rounded up; with a negative m acc <= level / m, rounded down; a constant always or never.
    limits = np.where(m > 0, -(-level // some), level // some)
    limits = np.where(m == 0, np.where(level <= 0, -_BEYOND, _BEYOND), limits)
    return Threshold(node.name, node.inputs, node.type, limits, node.multiplier < 0)


def activation_params(
    node: Threshold | Requantize,
    domain: RisingDomain,
    *,
    pe: int,
    folds: int,
    interval: int = 1,
    writable: bool = False,
) -> ActivationParams:
    """What turns numbers of `domain` into the node's codes, PE a beat in `folds` beats, `interval` cycles apart.

    A Requantize multiplies counts. What other numbers stand for may be no straight line: they are compared.
    """
    if isinstance(node, Requantize):
        if isinstance(domain, PopcountDomain):
            return requantize_params(node, domain, name=node.name, pe=pe, folds=folds)
        node = thresholds_of(node)
    return threshold_params(node, domain, name=node.name, pe=pe, folds=folds, interval=interval, writable=writable)
