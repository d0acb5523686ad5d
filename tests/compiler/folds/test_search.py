"""The search against trying everything, and on a network that nobody can try everything of."""

from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_conv_networks import Conv, random_conv_network
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.cost.area import Area, layer_areas
from xnorflow.compiler.cost.device import Device
from xnorflow.compiler.cost.joints import Joint
from xnorflow.compiler.folds.choices import NEVER, undominated
from xnorflow.compiler.folds.folding import Folding, LayerFold, check_folding
from xnorflow.compiler.folds.search import Budget, FoldSearch, _Step
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.compiler.planes import DotForm
from xnorflow.compiler.schedule.cycles import initiation_interval

HIDDEN = st.sampled_from([(1, Encoding.BIPOLAR), (2, Encoding.UNSIGNED)])


@st.composite
def small_networks(draw: st.DrawFn) -> IntegerNetwork:
    """Two or three layers; or a convolution, perhaps a pool with windows that overlap or not, and a dense layer."""
    if draw(st.booleans()):
        return random_network(draw(st.lists(st.integers(1, 5), min_size=3, max_size=4)), hidden=draw(HIDDEN))
    pool = draw(st.sampled_from([None, ((2, 2), (1, 1)), ((2, 2), (2, 2))]))
    conv = Conv(draw(st.integers(1, 4)), (2, 2), pool_codes=pool)
    source = draw(st.sampled_from([(1, Encoding.BIPOLAR), (8, Encoding.UNSIGNED)]))
    return random_conv_network(
        (4, 3, draw(st.integers(1, 4))), [conv], (draw(st.integers(2, 4)),), source=source, hidden=draw(HIDDEN)
    )


devices = st.builds(
    Device,
    lut_inputs=st.sampled_from([4, 6]),
    luts=st.sampled_from([100, 200, 500, 2000]),
    blocks=st.integers(0, 30),
    block_kbit=st.sampled_from([4, 18]),
)


def folding_of(network: IntegerNetwork, folds: tuple[LayerFold, ...]) -> Folding:
    names = [stage.dot.name for stage in network.stages()]
    return Folding(dict(zip(names, folds, strict=True)), len(network.class_names))


def cost(network: IntegerNetwork, folds: tuple[LayerFold, ...], device: Device) -> Area:
    return sum(layer_areas(network, folding_of(network, folds), device).values(), Area())


def every_folding(network: IntegerNetwork, device: Device) -> list[tuple[LayerFold, ...]]:
    choices = []
    for stage in network.stages():
        rows, columns = stage.dot.weights.codes.shape
        planes = DotForm.of(stage.dot.weights, stage.input_type).activation_planes
        turns = [n for n in range(1, planes + 1) if planes % n == 0]
        sizes = product(range(1, rows + 1), range(1, columns // stage.segments + 1), device.memories, turns)
        choices.append([LayerFold(*size) for size in sizes])
    return list(product(*choices))


MOST_FOLDINGS = 2500  # priced one by one


@given(network=small_networks(), device=devices, data=st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_nothing_that_fits_is_cheaper(network: IntegerNetwork, device: Device, data: st.DataObject) -> None:
    everything = every_folding(network, device)
    assume(len(everything) <= MOST_FOLDINGS)
    search = FoldSearch(network, device)
    cycles = data.draw(st.integers(search.fastest[0], search.slowest))
    assert device.luts is not None
    budget = Budget(data.draw(st.integers(1, 10 * device.luts)), device.blocks)

    def worth(area: Area) -> int:
        return area.tenths + device.block_price * area.blocks

    within = [
        worth(area)
        for folds in everything
        if (area := cost(network, folds, device)).tenths <= budget.tenths
        and area.blocks <= budget.blocks
        and initiation_interval(network, folding_of(network, folds)) <= cycles
    ]
    folds = search.cheapest(cycles, budget)
    some = search.cheapest(cycles, budget, any_will_do=True)
    assert (folds is None, some is None) == (not within, not within)
    for found in (folds, some):
        if found is not None:
            area = cost(network, found, device)
            assert (area.tenths <= budget.tenths, area.blocks <= budget.blocks) == (True, True)
            assert initiation_interval(network, folding_of(network, found)) <= cycles
    if folds is not None:
        assert worth(cost(network, folds, device)) == min(within)


@given(network=small_networks())
@settings(max_examples=15, deadline=None)
def test_the_fastest_and_the_slowest(network: IntegerNetwork) -> None:
    search, device = FoldSearch(network, Device()), Device()
    intervals = [initiation_interval(network, folding_of(network, folds)) for folds in every_folding(network, device)]
    assert (search.fastest[0], search.slowest) == (min(intervals), max(intervals))


DEEP = random_conv_network(
    (32, 32, 3),
    [
        *(Conv(64, (3, 3), padding=(1, 1)) for _ in range(5)),
        Conv(64, (3, 3), padding=(1, 1), pool_codes=((2, 2), (2, 2))),
        *(Conv(128, (3, 3), padding=(1, 1)) for _ in range(5)),
        Conv(128, (3, 3), padding=(1, 1), pool_codes=((2, 2), (2, 2))),
        *(Conv(256, (3, 3)) for _ in range(3)),
        *(Conv(256, (1, 1)) for _ in range(3)),
    ],
    (512, 10),
    source=(8, Encoding.UNSIGNED),
)


@pytest.mark.parametrize(("board", "cycles"), [("zc706", 40_000), ("pynq-z1", 400_000)])
def test_twenty_layers(board: str, cycles: int) -> None:
    device = Device.of(load_board(board))
    search, budget = FoldSearch(DEEP, device), Budget.of(device)
    assert len(list(DEEP.stages())) == 20
    folds = search.cheapest(cycles, budget)
    assert folds is not None
    folding = folding_of(DEEP, folds)
    check_folding(DEEP, folding)
    assert initiation_interval(DEEP, folding) <= cycles
    area = cost(DEEP, folds, device)
    assert (area.tenths <= budget.tenths, area.blocks <= budget.blocks) == (True, True)
    # No single layer can be folded better where it stands.
    worth = area.tenths + device.block_price * area.blocks
    for index, stage in enumerate(DEEP.stages()):
        rows, fold = stage.dot.weights.codes.shape[0], folds[index]
        for pe in range(max(1, fold.pe - 3), min(rows, fold.pe + 3) + 1):
            other = (*folds[:index], LayerFold(pe, fold.simd, fold.memory), *folds[index + 1 :])
            if initiation_interval(DEEP, folding_of(DEEP, other)) <= cycles:
                changed = cost(DEEP, other, device)
                assert changed.blocks > budget.blocks or changed.tenths + device.block_price * changed.blocks >= worth


def test_few_folds_of_a_layer_are_looked_at() -> None:
    """What makes it quick: of 131,000 folds of a 256 x 256 layer at a given rate a few thousand are left."""
    device = Device.of(load_board("pynq-z1"))
    search = FoldSearch(random_network([256, 256, 256, 10]), device)
    middle = search.folds[1]
    assert len(middle.pe) == 2 * 256 * 256
    slow = middle.where(middle.cycles <= 1024)
    assert 0 < len(undominated(slow, search.joints[0], search.joints[1]).pe) < len(slow.pe) // 10


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([None, 6, 12]), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_step_is_the_least_over_all_pairs(senders: int, takers: int, relay: int | None, seed: int) -> None:
    joint = Joint(2, relay or senders, takers, relay)
    rng, step = np.random.default_rng(seed), _Step(joint)
    beats = np.arange(1, joint.senders + 1)
    table = np.stack([joint.tenths(beats, taken) for taken in range(1, takers + 1)], axis=1)
    ahead, back = (rng.integers(0, 500, (count + 1, 2)) for count in (joint.senders, takers))
    ahead[0] = back[0] = NEVER  # no beat has 0 elements
    assert step.ahead(ahead)[1:].tolist() == (ahead[1:, None] + table[:, :, None]).min(axis=0).tolist()
    assert step.back(back)[1:].tolist() == (back[None, 1:] + table[:, :, None]).min(axis=1).tolist()


def test_where_a_budget_binds_a_block_ram_is_still_worth_its_luts() -> None:
    network, device = random_network([30, 20, 12, 4]), Device(6, 2000, 8)
    folds = FoldSearch(network, device).cheapest(100, Budget(1900, 8))
    assert folds is not None
    area = cost(network, folds, device)
    assert (area.tenths, area.blocks) == (1861, 1)  # a second block RAM would spare 18 LUTs


def test_a_pool_whose_windows_overlap_wants_more_rows() -> None:
    network = random_conv_network((6, 6, 2), [Conv(4, (1, 1), pool_codes=((3, 3), (1, 1)))], (3,))
    folds = FoldSearch(network, Device()).cheapest(150, Budget.of(Device()))
    assert folds is not None
    assert folds[0].pe == 4  # one row would do for the engine, in 144 cycles; the pool passes 144 pixels
    assert initiation_interval(network, folding_of(network, folds)) <= 150
