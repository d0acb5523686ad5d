"""From the integer network's numbers to the hardware's: accumulators, thresholds and scores in the popcount domain.

An engine counts set bits, P = #{equal bits}, weighted by bit plane. acc = alpha * P + beta[n] (docs/architecture.md),
so a threshold on the accumulator is a threshold on P, and a score is an affine function of P.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..compiler.folding import LayerFold, Popcount
from ..compiler.ir import Encoding, Scores, Stage, Threshold
from ..errors import HardwareError
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


def popcount_domain(stage: Stage) -> PopcountDomain:
    """How the stage's accumulators follow from counts. HardwareError for weights that the engine does not take."""
    weights = stage.dot.weights
    if weights.encoding is not Encoding.BIPOLAR:
        raise HardwareError(f"{stage.dot.name}: {weights.encoding} weights; the engine takes bipolar weights")
    rows, columns = weights.codes.shape
    weight_max, activation_max = weights.type.max_code, stage.input_type.max_code
    p_max = columns * weight_max * activation_max
    if stage.input_type.encoding is Encoding.BIPOLAR:
        return PopcountDomain(2, np.full(rows, -p_max, dtype=np.int64), p_max)
    missing: Integers = np.sum(weight_max - weights.codes, axis=1, dtype=np.int64)
    return PopcountDomain(1, missing * -activation_max, p_max)


def engine_params(
    stage: Stage, fold: LayerFold, popcount: Popcount = Popcount.ADDERS, popcount_stages: int = 1
) -> EngineParams:
    """The engine of one stage. HardwareError names the layer where the fold or the weights do not fit."""
    domain = popcount_domain(stage)
    weights, weight_max = stage.dot.weights.codes, stage.dot.weights.type.max_code
    thresholds = None
    if isinstance(stage.sink, Threshold):
        # acc >= t is P >= ceil((t - beta) / alpha). A descending neuron asks acc <= t, that is P <= u with
        # u = floor((t - beta) / alpha). With every bit of its row's weights inverted each xnor turns into its
        # complement, so that P' = p_max - P, and the question becomes P' >= p_max - u: the same comparison as
        # everyone else's, and rows that did not increase in t do not decrease in p_max - u. The hardware needs no
        # direction flag.
        descending = stage.sink.descending
        weights = np.where(descending[:, None], weight_max - weights, weights).astype(np.uint8)
        at_least = domain.floor(stage.sink.thresholds - 1) + 1
        at_most = domain.p_max - domain.floor(stage.sink.thresholds)
        thresholds = np.clip(np.where(descending[:, None], at_most, at_least), 0, domain.p_max + 1)
    return EngineParams(
        name=stage.dot.name,
        weights=weights,
        activation_bits=stage.input_type.bits,
        thresholds=thresholds,
        fold=fold,
        popcount=popcount,
        popcount_stages=popcount_stages,
        segments=stage.segments,
        weight_bits=stage.dot.weights.bits,
    )


def score_params(stage: Stage, scores: Scores, lanes: int) -> ScoreParams:
    """The score unit behind the last stage: of its counts, or, where it has thresholds, of its codes as they are."""
    if isinstance(stage.sink, Threshold):
        domain = PopcountDomain(1, np.zeros(scores.offset.shape, dtype=np.int64), stage.sink.type.max_code)
    else:
        domain = popcount_domain(stage)
    multiplier = scores.multiplier * domain.alpha
    offset = scores.multiplier * domain.beta + scores.offset
    common = int(np.bitwise_or.reduce(multiplier))
    shift = (common & -common).bit_length() - 1 if common else 0
    return ScoreParams(scores.name, multiplier >> shift, shift, offset, domain.p_max, lanes)
