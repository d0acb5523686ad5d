"""Foldings of networks that branch: every part keeps the cycles asked for, converters count along the trunk."""

import pytest
from random_graphs import GraphBuilder, random_graph

from xnorflow.boards.loader import load_board
from xnorflow.compiler.cost.joints import joints
from xnorflow.compiler.folds.folding import check_folding
from xnorflow.compiler.folds.solver import estimate_area, fastest_folding, fold_for_cycles
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.compiler.schedule.cycles import initiation_interval, stage_bounds
from xnorflow.errors import HardwareError

SIGNED = (3, Encoding.SIGNED)


def residual() -> IntegerNetwork:
    """conv0, then a block of conv1 and conv2, then dense0."""
    graph = GraphBuilder((6, 6, 2), (2, Encoding.UNSIGNED))
    value = graph.threshold(graph.conv("image", 4), SIGNED)
    inner = graph.threshold(graph.conv(graph.threshold(value), 6, padding=1))
    total = graph.add(value, graph.threshold(graph.conv(inner, 4, padding=1), SIGNED))
    return graph.finish(graph.dense(graph.threshold(total), 3))


@pytest.mark.parametrize("seed", range(12))
def test_every_part_keeps_the_cycles(seed: int) -> None:
    network = random_graph(seed)
    with pytest.raises(HardwareError, match="takes at least") as error:
        fold_for_cycles(network, 1)
    least = int(str(error.value).split("at least ")[1].split()[0])
    for cycles in (least, 2 * least + 1, 20 * least):
        folding = fold_for_cycles(network, cycles)
        check_folding(network, folding)
        late = [bound for bound in stage_bounds(network, folding) if bound.cycles > cycles]
        assert not late


def test_converters_count_where_one_engine_feeds_another() -> None:
    found = joints(residual())
    assert [(joint.bits, joint.senders, joint.takers, joint.relay) for joint in found] == [
        (0, 4, 4, None),  # behind a fork
        (1, 6, 6, None),
        (0, 4, 64, None),  # behind a sum
    ]
    assert found[0].most_dearer(3, 4) == found[0].tenths(3, 4) == 0


def test_a_residual_network_fits_a_board() -> None:
    network, board = residual(), load_board("pynq-z1")
    folding = fastest_folding(network, board)
    assert initiation_interval(network, folding) == 16 * 9  # a pixel of a window a cycle
    assert sum(area.luts for area in estimate_area(network, folding, board).values()) < board.budget.lut
