"""From accumulators to counts and back: the hardware's constants answer as the integer network does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network

from xnorflow.compiler import golden
from xnorflow.compiler.folding import LayerFold
from xnorflow.compiler.ir import Encoding, Stage, Threshold
from xnorflow.errors import HardwareError
from xnorflow.hdl.constants import engine_params, popcount_domain, score_params

CODES = st.tuples(st.integers(1, 8), st.sampled_from([Encoding.BIPOLAR, Encoding.UNSIGNED]))
HIDDEN = st.tuples(st.integers(1, 4), st.sampled_from([Encoding.BIPOLAR, Encoding.UNSIGNED]))
WIDTHS = st.lists(st.integers(1, 8), min_size=3, max_size=3)  # of the weights, layer by layer


def stages_and_codes(
    source: tuple[int, Encoding], hidden: tuple[int, Encoding], widths: list[int], seed: int, images: int = 20
) -> list[tuple[Stage, golden.Trace, np.ndarray]]:
    """Each stage of a random network, the golden trace, and the stage's input codes."""
    network = random_network([11, 7, 9, 4], source, hidden, [(bits, Encoding.BIPOLAR) for bits in widths], seed)
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, network.input.type.max_code + 1, (images, 11), dtype=np.uint8)
    codes[:2] = np.array([[0], [network.input.type.max_code]])
    trace = golden.run(network, codes)
    return [(stage, trace, trace[stage.dot.inputs[0]]) for stage in network.stages()]


@settings(deadline=None, max_examples=60)
@given(CODES, HIDDEN, WIDTHS, st.integers(0, 2**32 - 1))
def test_engine_yields_the_codes_of_the_golden_model(
    source: tuple[int, Encoding], hidden: tuple[int, Encoding], widths: list[int], seed: int
) -> None:
    """Ascending and descending neurons, never and always, repeated thresholds: random networks have all of them."""
    for stage, trace, codes in stages_and_codes(source, hidden, widths, seed):
        params = engine_params(stage, LayerFold(4, 3))
        expected = trace[stage.sink.name]
        if isinstance(stage.sink, Threshold):
            np.testing.assert_array_equal(params.reference(codes), expected)
        else:
            counts = params.counts(codes)
            np.testing.assert_array_equal(counts, popcount_domain(stage).counts(trace[stage.dot.name]))
            classes, scores = score_params(popcount_domain(stage), stage.sink, 3).reference(counts)
            np.testing.assert_array_equal(scores, expected)
            np.testing.assert_array_equal(classes, trace.classes)


@settings(deadline=None, max_examples=60)
@given(CODES, HIDDEN, WIDTHS, st.integers(0, 2**32 - 1))
def test_counts_are_popcounts(
    source: tuple[int, Encoding], hidden: tuple[int, Encoding], widths: list[int], seed: int
) -> None:
    """P as the architecture defines it, one pair of bit planes after the other, and dot product = alpha * P + beta."""
    for stage, _, codes in stages_and_codes(source, hidden, widths, seed, images=5):
        weights = stage.dot.weights
        counts = np.zeros((len(codes), len(weights.codes)), dtype=np.int64)
        for i in range(weights.bits):
            for j in range(stage.input_type.bits):
                agree = (codes >> j & 1)[:, None, :] == (weights.codes >> i & 1)[None]
                counts += agree.sum(axis=2) << i + j
        domain = popcount_domain(stage)
        product = stage.input_type.values(codes) @ weights.values().T
        np.testing.assert_array_equal(domain.alpha * counts + domain.beta, product)
        np.testing.assert_array_equal(domain.counts(product), counts)
        assert counts.min() >= 0 and counts.max() <= domain.p_max


def test_thresholds_lie_in_the_range_of_counts() -> None:
    for stage, _, _ in stages_and_codes((8, Encoding.UNSIGNED), (2, Encoding.UNSIGNED), [1, 2, 3], 5):
        params = engine_params(stage, LayerFold(4, 3))
        if params.thresholds is not None:
            assert params.thresholds.min() >= 0 and params.thresholds.max() <= params.p_max + 1
            assert np.all(np.diff(params.thresholds, axis=1) >= 0)


def test_unsigned_weights_are_refused_by_name() -> None:
    network = random_network([8, 6, 3], weights=(2, Encoding.UNSIGNED))
    with pytest.raises(HardwareError, match=r"^dense0: unsigned weights; the engine takes bipolar weights$"):
        engine_params(next(network.stages()), LayerFold(2, 2))


def test_scores_that_are_counts_need_no_multiplier() -> None:
    network = random_network([8, 6, 3])
    stage = list(network.stages())[-1]
    scores = network.scores
    ones = type(scores)(scores.name, scores.inputs, scores.type, np.ones(3, np.int64), scores.offset)
    params = score_params(popcount_domain(stage), ones, 1)
    assert not params.multiplies and params.shift == 1  # acc = 2 P - K
