from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated
from random_conv_networks import Conv, random_conv_network
from random_networks import random_network

from xnorflow.compiler.folds.folding import (
    Folding,
    LayerFold,
    Memory,
    Popcount,
    check_folding,
    load_folding,
    save_folding,
)
from xnorflow.compiler.ir import Encoding
from xnorflow.config import dump_yaml, to_mapping
from xnorflow.errors import HardwareError, UsageError
from xnorflow.hdl.dot.constants import engine_params

NETWORK = random_network([12, 8, 10])
GOOD = Folding({"dense0": LayerFold(4, 6), "dense1": LayerFold(16, 8, Memory.BLOCK)}, 2, Popcount.LUT6)


@given(st.integers(1, 3000), st.integers(1, 3000))
@settings(deadline=None)
def test_folds_cover_the_matrix_and_no_more(size: int, at_once: int) -> None:
    fold = LayerFold(at_once, at_once)
    assert (fold.neuron_folds(size) - 1) * at_once < size <= fold.neuron_folds(size) * at_once
    assert fold.synapse_folds(size) == fold.neuron_folds(size)


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_thing_changed_is_a_folding_or_one_line(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "folding.yaml"
    path.write_text(dump_yaml(data.draw(mutated(to_mapping(GOOD)))))
    try:
        folding = load_folding(path, NETWORK)
    except UsageError as error:
        assert "\n" not in str(error) and str(path) in str(error)
    else:
        check_folding(NETWORK, folding)


def test_saved_folding_comes_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "folding.yaml"
    save_folding(GOOD, path)
    assert load_folding(path, NETWORK) == GOOD
    first = path.read_bytes()
    save_folding(load_folding(path), path)
    assert path.read_bytes() == first


def test_planes_in_time() -> None:
    fold = LayerFold(4, 6, planes_in_time=4)
    assert (fold.neuron_folds(10), fold.passes(10)) == (3, 12)
    pixels = random_network([12, 10], (8, Encoding.UNSIGNED))
    check_folding(pixels, Folding({"dense0": fold}))
    shifting = random_network([12, 10], (8, Encoding.UNSIGNED), weights=(3, Encoding.LOG))
    with pytest.raises(UsageError, match=r"'dense0': planes_in_time 4: log weights shift all planes at once; use 1$"):
        check_folding(shifting, Folding({"dense0": fold}))
    with pytest.raises(HardwareError, match=r"^dense0: planes_in_time 4: log weights shift all planes at once; use 1$"):
        engine_params(next(shifting.stages()), fold)


def test_padding_rows_are_allowed_up_to_half() -> None:
    check_folding(NETWORK, GOOD)  # 10 rows on 16 PEs
    check_folding(NETWORK, Folding({"dense0": LayerFold(15, 23), "dense1": LayerFold(19, 15)}, 19))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers: {dense0: {pe: 1, simd: 1}}", r"no folding for layer 'dense1' \(10 x 8\): give it pe and simd"),
        (
            "layers: {dense0: {pe: 1, simd: 1}, dens0: {pe: 1, simd: 1}}",
            r"unknown layer 'dens0'; did you mean 'dense0'",
        ),
        ("layers: {dense0: {pe: 0, simd: 1}}", r"layers.dense0: pe must be a positive whole number, not 0"),
        ("layers: {dense0: {pe: 1, simd: -2}}", r"layers.dense0: simd must be a positive whole number, not -2"),
        ("layers: {dense0: {pe: 1, simd: 1, planes_in_time: 0}}", r"planes_in_time must be a positive .*, not 0"),
        (
            "layers: {dense0: {pe: 1, simd: 1, planes_in_time: 2}, dense1: {pe: 1, simd: 1}}",
            r"layer 'dense0': planes_in_time 2 does not divide 1 activation planes",
        ),
        ("layers: {dense0: {pe: 1, smid: 2}}", r"unknown key 'smid'; did you mean 'simd'\?"),
        ("layers: {dense0: {pe: 1, simd: 2, memory: blok}}", r"must be one of auto, block, lut, not 'blok'"),
        ("layers: {}\nscore_lanes: 0", r"score_lanes must be a positive whole number, not 0"),
        ("layers: {}\ninterleave: 0", r"interleave must be a positive whole number, not 0"),
        ("layers: {}\ninterleave: 1000000000", r"interleave 1000000000 is too large; use at most 1024"),
        (
            "layers: {dense0: {pe: 1, simd: 1}, dense1: {pe: 1, simd: 1}}\ninterleave: 2",
            r"interleave 2: no layer is recurrent; leave it out",
        ),
        (
            "layers: {dense0: {pe: 1, simd: 1, weights: axis}}",
            r"one of rom, axi, stream, not 'axis'; did you mean 'axi'",
        ),
        ("layer: {}", r"unknown key 'layer'; did you mean 'layers'\?"),
        ("layers: {dense0: {pe: 16, simd: 1}, dense1: {pe: 1, simd: 1}}", r"pe 16 is too large for 8; use at most 8"),
        ("layers: {dense0: {pe: 1, simd: 24}, dense1: {pe: 1, simd: 1}}", r"simd 24 is too large for 12"),
        (
            "layers: {dense0: {pe: 1, simd: 1}, dense1: {pe: 1, simd: 1}}\nscore_lanes: 20",
            r"score_lanes 20 is too large for 10 classes",
        ),
    ],
)
def test_a_wrong_folding_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "folding.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=rf"folding.yaml: .*{message}") as caught:
        load_folding(path, NETWORK)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("groups", "pe", "simd", "at_once", "blocks", "lanes"),
    [(1, 16, 8, 1, 1, 8), (4, 3, 2, 1, 4, 2), (4, 1, 1, 1, 4, 1), (4, 6, 2, 2, 2, 4), (4, 9, 2, 3, 2, 6)],
)
def test_groups_are_worked_on_one_by_one_or_several_at_once(
    groups: int, pe: int, simd: int, at_once: int, blocks: int, lanes: int
) -> None:
    """12 neurons and 8 channels: 3 and 2 of them in each of 4 groups."""
    fold = LayerFold(pe, simd)
    assert fold.groups_problem(12, 8, groups) is None
    found = fold.groups_at_once(12, groups), fold.blocks(12, groups), fold.lanes(12, groups)
    assert found == (at_once, blocks, lanes)


@pytest.mark.parametrize(("pe", "simd"), [(2, 2), (4, 2), (6, 1)])
def test_a_fold_that_cuts_groups_is_refused(pe: int, simd: int) -> None:
    network = random_conv_network((3, 3, 8), [Conv(12, (2, 2), groups=4)])
    folding = Folding({"conv0": LayerFold(pe, simd), "dense0": LayerFold(1, 1)})
    told = rf"'conv0': pe {pe} and simd {simd} cut groups of 3 neurons and 2 channels; use divisors of both, or pe a m"
    with pytest.raises(UsageError, match=told):
        check_folding(network, folding)
