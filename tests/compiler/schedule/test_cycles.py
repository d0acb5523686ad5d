import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network

from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.schedule.cycles import StageKind, fold_table, initiation_interval, stage_bounds, waste_warnings
from xnorflow.errors import UsageError

LFC = random_network([784, 1024, 1024, 1024, 10])
PUBLISHED = Folding(
    {"dense0": LayerFold(32, 64), "dense1": LayerFold(64, 32), "dense2": LayerFold(32, 64), "dense3": LayerFold(16, 8)}
)


def test_published_lfc_folding_takes_512_cycles() -> None:
    bounds = [(b.name, b.kind, b.cycles) for b in stage_bounds(LFC, PUBLISHED)]
    assert bounds == [
        ("image", StageKind.INPUT, 13),
        ("dense0", StageKind.ENGINE, 32 * 13),
        ("dense1", StageKind.ENGINE, 16 * 32),
        ("dense2", StageKind.ENGINE, 32 * 16),
        ("dense2 to dense3", StageKind.CONVERTER, 128),
        ("dense3", StageKind.ENGINE, 128),
        ("dense3 to scores", StageKind.CONVERTER, 10),
        ("scores", StageKind.SCORES, 10),
        ("result", StageKind.OUTPUT, 1),
    ]
    assert initiation_interval(LFC, PUBLISHED) == 512


def test_table_of_the_published_folding() -> None:
    table = fold_table(LFC, PUBLISHED)
    assert [(row.neuron_folds, row.synapse_folds, row.cycles) for row in table] == [
        (32, 13, 416),
        (16, 32, 512),
        (32, 16, 512),
        (1, 128, 128),
    ]
    assert [row.bottleneck for row in table] == [False, True, True, False]
    assert [row.share for row in table] == [416 / 512, 1, 1, 0.25]
    assert [row.waste for row in table] == [1 - 784 / 832, 0, 0, 1 - 10 / 16]
    assert waste_warnings(table) == ("layer 'dense3': 38% of 16 x 8 works on padding (10 x 1024 does not divide)",)


@pytest.mark.parametrize(
    ("lanes", "interval"),
    [(1, 40), (2, 20), (40, 4)],
)
def test_scores_may_be_the_bottleneck(lanes: int, interval: int) -> None:
    network = random_network([8, 8, 40])
    folding = Folding({"dense0": LayerFold(8, 4), "dense1": LayerFold(20, 4)}, lanes)
    assert initiation_interval(network, folding) == interval
    assert all(row.bottleneck == (row.cycles == interval) for row in fold_table(network, folding))


def test_the_input_port_is_a_stage_of_its_own() -> None:
    network = random_network([30, 1])
    bounds = stage_bounds(network, Folding({"dense0": LayerFold(1, 4)}))
    assert [(b.kind, b.cycles) for b in bounds] == [
        (StageKind.INPUT, 8),
        (StageKind.ENGINE, 8),
        (StageKind.SCORES, 1),
        (StageKind.OUTPUT, 1),
    ]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_interval_is_the_largest_bound_and_no_engine_beats_the_multiplications(data: st.DataObject) -> None:
    widths = data.draw(st.lists(st.integers(1, 20), min_size=3, max_size=4))
    network = random_network(widths)
    layers = {}
    for stage in network.stages():
        rows, columns = stage.dot.weights.codes.shape
        layers[stage.dot.name] = LayerFold(
            data.draw(st.integers(1, 2 * rows - 1)), data.draw(st.integers(1, 2 * columns - 1))
        )
    folding = Folding(layers, data.draw(st.integers(1, widths[-1])))
    bounds = stage_bounds(network, folding)
    assert initiation_interval(network, folding) == max(b.cycles for b in bounds)
    for row in fold_table(network, folding):
        assert row.cycles * row.pe * row.simd >= row.rows * row.columns
        assert (row.cycles * row.pe * row.simd == row.rows * row.columns) == (row.waste == 0)
    for before, converter, after in zip(bounds, bounds[1:], bounds[2:], strict=False):
        if converter.kind is StageKind.CONVERTER:  # a converter never is the slowest
            assert converter.cycles <= max(before.cycles, after.cycles)


def test_foreign_folding_is_refused() -> None:
    with pytest.raises(UsageError, match="no folding for layer 'dense1'"):
        stage_bounds(LFC, Folding({"dense0": LayerFold(1, 1)}))
