"""From accumulators to counts and back: the hardware's constants answer as the integer network does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import LOGARITHMIC, kinds, random_network

from xnorflow.compiler import golden
from xnorflow.compiler.cost.counts import popcount_bits
from xnorflow.compiler.folds.folding import Arithmetic, LayerFold, WeightStore
from xnorflow.compiler.ir import Encoding, Stage, Threshold
from xnorflow.compiler.macs import mac_problem
from xnorflow.compiler.planes import DotForm
from xnorflow.errors import HardwareError
from xnorflow.hdl.dot.constants import engine_params, popcount_domain, score_params
from xnorflow.hdl.dot.params import MAX_COUNT_BITS

Kind = tuple[int, Encoding]
CODES = st.sampled_from(kinds())
AFFINE = st.sampled_from([(bits, kind) for bits, kind in kinds(4) if kind not in LOGARITHMIC])
HIDDEN = st.sampled_from(kinds(4))
WEIGHTS = st.lists(CODES, min_size=3, max_size=3)  # layer by layer


def stages_and_codes(
    source: Kind, hidden: Kind, weights: list[Kind], seed: int, images: int = 20
) -> list[tuple[Stage, golden.Trace, np.ndarray]]:
    """Each stage of a random network, the golden trace, and the stage's input codes."""
    network = random_network([11, 7, 9, 4], source, hidden, weights, seed)
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, network.input.type.max_code + 1, (images, 11), dtype=np.uint8)
    codes[:2] = np.array([[0], [network.input.type.max_code]])
    trace = golden.run(network, codes)
    return [(stage, trace, trace[stage.dot.inputs[0]]) for stage in network.stages()]


def fits(stage: Stage) -> bool:
    """Whether the counts of a stage are as narrow as an engine's have to be."""
    return popcount_bits(stage.dot.weights, stage.input_type) <= MAX_COUNT_BITS


@settings(deadline=None, max_examples=100)
@given(CODES, HIDDEN, WEIGHTS, st.integers(0, 2**32 - 1))
def test_engine_yields_the_codes_of_the_golden_model(
    source: Kind, hidden: Kind, weights: list[Kind], seed: int
) -> None:
    """Ascending and descending neurons, never and always, repeated thresholds: random networks have all of them."""
    for stage, trace, codes in stages_and_codes(source, hidden, weights, seed):
        if not fits(stage):
            with pytest.raises(HardwareError, match=rf"^{stage.dot.name}: 7|9|11 inputs .* at most 32 fit$"):
                engine_params(stage, LayerFold(4, 3))
            continue
        params = engine_params(stage, LayerFold(4, 3))
        expected = trace[stage.sink.name]
        if isinstance(stage.sink, Threshold):
            np.testing.assert_array_equal(params.reference(codes), expected)
        else:
            counts = params.counts(codes)
            np.testing.assert_array_equal(counts, popcount_domain(stage, params.fold).counts(trace[stage.dot.name]))
            classes, scores = score_params(popcount_domain(stage, params.fold), stage.sink, 3).reference(counts)
            np.testing.assert_array_equal(scores, expected)
            np.testing.assert_array_equal(classes, trace.classes)


@settings(deadline=None, max_examples=60)
@given(CODES, HIDDEN, WEIGHTS, st.sampled_from(WeightStore), st.integers(0, 2**32 - 1))
def test_multipliers_yield_the_codes_of_the_golden_model(
    source: Kind, hidden: Kind, weights: list[Kind], store: WeightStore, seed: int
) -> None:
    """For every encoding that has multipliers, with accumulators for these weights or for all."""
    fold = LayerFold(4, 3, arithmetic=Arithmetic.MAC, weights=store)
    for stage, trace, codes in stages_and_codes(source, hidden, weights, seed):
        matrix = stage.dot.weights
        if mac_problem(matrix.bits, matrix.encoding) is not None:
            assert fold.planes_problem(DotForm.of(matrix, stage.input_type)) is not None
            continue
        if fold.form(matrix, stage.input_type).p_max(matrix.codes.shape[1]).bit_length() > MAX_COUNT_BITS:
            continue
        params = engine_params(stage, fold)
        counts = params.counts(codes)
        assert counts.min() >= 0 and counts.max() <= params.p_max
        if isinstance(stage.sink, Threshold):
            np.testing.assert_array_equal(params.reference(codes), trace[stage.sink.name])
            continue
        domain = popcount_domain(stage, fold)
        np.testing.assert_array_equal(counts, domain.counts(trace[stage.dot.name]))
        np.testing.assert_array_equal(score_params(domain, stage.sink, 3).reference(counts)[1], trace[stage.sink.name])


@settings(deadline=None, max_examples=60)
@given(AFFINE, AFFINE, st.lists(st.integers(1, 8), min_size=3, max_size=3), st.integers(0, 2**32 - 1))
def test_counts_are_popcounts(source: Kind, hidden: Kind, widths: list[int], seed: int) -> None:
    """P as the architecture defines it for bipolar weights, one pair of bit planes after the other, and dot product =
    alpha * P + beta. `test_planes` has the other encodings."""
    weights = [(bits, Encoding.BIPOLAR) for bits in widths]
    for stage, _, codes in stages_and_codes(source, hidden, weights, seed, images=5):
        weights = stage.dot.weights
        counts = np.zeros((len(codes), len(weights.codes)), dtype=np.int64)
        for i in range(weights.bits):
            for j in range(stage.input_type.bits):
                agree = (codes >> j & 1)[:, None, :] == (weights.codes >> i & 1)[None]
                counts += agree.sum(axis=2) << i + j
        domain = popcount_domain(stage, LayerFold(1, 1))
        product = stage.input_type.values(codes) @ weights.values().T
        np.testing.assert_array_equal(domain.alpha * counts + domain.beta, product)
        np.testing.assert_array_equal(domain.counts(product), counts)
        assert counts.min() >= 0 and counts.max() <= domain.p_max


def test_thresholds_lie_in_the_range_of_counts() -> None:
    for stage, _, _ in stages_and_codes((8, Encoding.UNSIGNED), (2, Encoding.UNSIGNED), [(3, Encoding.SIGNED)] * 3, 5):
        params = engine_params(stage, LayerFold(4, 3))
        if params.thresholds is not None:
            assert params.thresholds.min() >= 0 and params.thresholds.max() <= params.p_max + 1
            assert np.all(np.diff(params.thresholds, axis=1) >= 0)


@pytest.mark.parametrize("weights", [(2, Encoding.TERNARY), (3, Encoding.SIGNED), (2, Encoding.UNSIGNED)])
def test_descending_rows_have_a_flag_where_weights_have_no_negatives(weights: Kind) -> None:
    stage = next(random_network([8, 6, 3], hidden=(2, Encoding.UNSIGNED), weights=weights, seed=1).stages())
    assert isinstance(stage.sink, Threshold) and stage.sink.descending.any()
    flags = engine_params(stage, LayerFold(2, 2)).descending
    if weights[1] is Encoding.TERNARY:
        assert flags is None
    else:
        assert flags is not None and flags.tolist() == stage.sink.descending.tolist()


def test_scores_that_are_counts_need_no_multiplier() -> None:
    network = random_network([8, 6, 3])
    stage = list(network.stages())[-1]
    scores = network.scores
    ones = type(scores)(scores.name, scores.inputs, scores.type, np.ones(3, np.int64), scores.offset)
    params = score_params(popcount_domain(stage, LayerFold(1, 1)), ones, 1)
    assert not params.multiplies and params.shift == 1  # acc = 2 P - K
