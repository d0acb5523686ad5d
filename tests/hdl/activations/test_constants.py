"""Thresholds and requantizations in the popcount domain answer as the integer network's nodes do."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.compiler import golden
from xnorflow.compiler.ir import CodeType, Encoding, Requantize, Threshold
from xnorflow.hdl.activations.constants import activation_params, thresholds_of
from xnorflow.hdl.activations.params import RequantizeParams, ThresholdParams
from xnorflow.hdl.dot.constants import PopcountDomain

SEEDS = st.integers(0, 2**32 - 1)


def domain_and_counts(rng: np.random.Generator, rows: int) -> tuple[PopcountDomain, np.ndarray]:
    domain = PopcountDomain(int(rng.integers(1, 4)), rng.integers(-90, 60, rows), int(rng.integers(1, 70)))
    return domain, np.broadcast_to(np.arange(domain.p_max + 1)[:, None], (domain.p_max + 1, rows))


def random_requantize(rng: np.random.Generator, rows: int, bits: int = 4) -> Requantize:
    shift = int(rng.integers(0, 9))
    multiplier = rng.integers(-1 << shift, (1 << shift) + 1, rows) << int(rng.integers(0, 3))
    offset = rng.integers(-(16 << shift), 32 << shift, rows)
    return Requantize("act", ("dot",), CodeType((rows,), bits, Encoding.UNSIGNED), multiplier, offset, shift)


@settings(deadline=None, max_examples=150)
@given(SEEDS, st.sampled_from([(1, Encoding.BIPOLAR), (2, Encoding.TERNARY), (4, Encoding.UNSIGNED)]))
def test_thresholds_of_counts(seed: int, kind: tuple[int, Encoding]) -> None:
    rng = np.random.default_rng(seed)
    rows, codes = 5, CodeType((5,), *kind)
    domain, counts = domain_and_counts(rng, rows)
    thresholds = np.sort(rng.integers(-120, 150, (rows, codes.max_code)), axis=1)
    descending = rng.random(rows) < 0.5
    thresholds[descending] = thresholds[descending][:, ::-1]
    node = Threshold("act", ("dot",), codes, thresholds, descending)
    params = activation_params(node, domain, pe=2, folds=3)
    assert isinstance(params, ThresholdParams)
    assert (np.diff(params.values, axis=1) >= 0).all() and 0 <= params.values.min() <= params.values.max()
    assert params.values.max() <= domain.p_max + 1
    expected = golden.threshold(node, domain.alpha * counts + domain.beta)
    assert np.array_equal(params.reference(counts), expected)


@settings(deadline=None, max_examples=150)
@given(SEEDS)
def test_requantization_of_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    domain, counts = domain_and_counts(rng, 5)
    node = random_requantize(rng, 5)
    params = activation_params(node, domain, pe=2, folds=3)
    assert isinstance(params, RequantizeParams)
    assert params.shift == 0 or (params.multiplier % 2).any()  # nothing is left to take off
    expected = golden.requantize(node, domain.alpha * counts + domain.beta)
    assert np.array_equal(params.reference(counts), expected)


@settings(deadline=None, max_examples=150)
@given(SEEDS)
def test_a_requantization_as_thresholds(seed: int) -> None:
    node = random_requantize(np.random.default_rng(seed), 6)
    values = np.broadcast_to(np.arange(-200, 201)[:, None], (401, 6))
    assert np.array_equal(golden.threshold(thresholds_of(node), values), golden.requantize(node, values))


class Squares:
    """Codes that stand for 0, 1, 4, 9: no straight line."""

    p_max = 3

    def floor(self, accumulators: np.ndarray) -> np.ndarray:
        return np.searchsorted(np.arange(4) ** 2, accumulators, side="right") - 1


def test_what_is_no_straight_line_is_compared() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        node = replace(random_requantize(rng, 4), offset=rng.integers(0, 100, 4))
        params = activation_params(node, Squares(), pe=4, folds=1)
        assert isinstance(params, ThresholdParams)
        codes = np.broadcast_to(np.arange(4)[:, None], (4, 4))
        assert np.array_equal(params.reference(codes), golden.requantize(node, codes**2))
