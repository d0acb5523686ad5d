"""From the integer network's numbers to the hardware's: accumulators, thresholds and scores in the popcount domain.

An engine counts bits, weighted by bit plane (`compiler/planes.py`). acc = alpha * P + beta[n] (docs/architecture.md),
so a threshold on the accumulator is a threshold on P, and a score is an affine function of P.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...compiler.folds.folding import LayerFold, Popcount, WeightStore
from ...compiler.ir import Scores, Stage, Threshold
from ...compiler.types import CodeType, Weights
from .params import EngineParams, ScoreParams

__all__ = ["PopcountDomain", "engine_params", "popcount_domain", "score_params"]

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PopcountDomain:
    """acc[n] = alpha * P[n] + beta[n], 0 <= P[n] <= p_max, for weights as the network holds them."""

    alpha: int
    beta: Integers
    p_max: int

    def counts(self, accumulators: Integers) -> Integers:
        """P (..., N) of accumulators (..., N); exact."""
        return (accumulators - self.beta) // self.alpha

    def floor(self, accumulators: Integers) -> Integers:
        """The largest P (N, ...) whose accumulator is at most the given one (N, ...); may lie outside 0..p_max."""
        return (accumulators - self.beta[:, None]) // self.alpha


def popcount_domain(stage: Stage, fold: LayerFold) -> PopcountDomain:
    """How the stage's accumulators follow from counts on that fold."""
    return _domain(stage.dot.weights, stage.input_type, fold)


def _domain(weights: Weights, source: CodeType, fold: LayerFold) -> PopcountDomain:
    """acc = sum of w (scale * x + offset) = scale * (P - idle) + offset * sum of w, over levels x
    (`compiler/planes.py`)."""
    form = fold.form(weights, source)
    beta = form.offset * weights.values().sum(axis=1) - form.scale * form.idle(weights.codes)
    return PopcountDomain(form.scale, beta, form.p_max(weights.codes.shape[1]))


def engine_params(
    stage: Stage, fold: LayerFold, popcount: Popcount = Popcount.ADDERS, popcount_stages: int = 1
) -> EngineParams:
    """The engine of one stage. HardwareError names the layer where the fold or the weights do not fit."""
    form, source = fold.form(stage.dot.weights, stage.input_type), stage.input_type
    codes, thresholds, flags = stage.dot.weights.codes, None, None
    if isinstance(stage.sink, Threshold):
        descending, limits = stage.sink.descending, stage.sink.thresholds
        if form.negates:
            # A descending neuron asks acc <= t, which is -acc >= -t: with the negatives of its weights it is like all
            # others, and the hardware needs no direction flag.
            codes = np.where(descending[:, None], form.negated(codes), codes).astype(np.uint8)
            at_least = np.where(descending[:, None], -limits, limits)
        else:
            # acc <= t is not acc >= t + 1, so that T less the number of those reached is the code. They fall along a
            # row; in the opposite order they rise.
            at_least = np.where(descending[:, None], limits[:, ::-1] + 1, limits)
            flags = descending if descending.any() or fold.weights is WeightStore.AXI else None
        # acc >= t is P >= ceil((t - beta) / alpha).
        domain = _domain(replace(stage.dot.weights, codes=codes), source, fold)
        thresholds = np.clip(domain.floor(at_least - 1) + 1, 0, domain.p_max + 1)
    return EngineParams(
        name=stage.dot.name,
        weights=codes,
        activation_bits=source.bits,
        thresholds=thresholds,
        fold=fold,
        popcount=popcount,
        popcount_stages=popcount_stages,
        segments=stage.segments,
        groups=stage.groups,
        weight_bits=form.weight_bits,
        weight_encoding=form.weights,
        activation_encoding=form.activations,
        descending=flags,
    )


def score_params(domain: PopcountDomain, scores: Scores, lanes: int, *, writable: bool = False) -> ScoreParams:
    """The score unit behind a stream of that domain; a writable one has room for other numbers."""
    multiplier = scores.multiplier * domain.alpha
    offset = scores.multiplier * domain.beta + scores.offset
    common = 0 if writable else int(np.bitwise_or.reduce(multiplier))
    shift = (common & -common).bit_length() - 1 if common else 0
    return ScoreParams(scores.name, multiplier >> shift, shift, offset, domain.p_max, lanes, writable)
