"""Rules of feature maps, in memory and in files; counts and the table of convolutional networks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from random_conv_networks import Conv, random_conv_network
from storage.test_network_file import assembled, parts

from xnorflow.compiler.cost.counts import count_layers, node_operations
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.inspect import inspect
from xnorflow.compiler.ir import AccType, CodeType, Encoding, IntegerNetwork
from xnorflow.compiler.storage.network_file import network_bytes, parse
from xnorflow.compiler.verify import verify
from xnorflow.errors import NetworkFileError, UsageError


def network() -> IntegerNetwork:
    """image (6, 5, 2), conv0 (6, 5, 4) padded, acc_pool0 (3, 2, 4), conv_act0, code_pool0 (2, 2, 4), dense0, scores."""
    layer = Conv(4, (3, 3), padding=(1, 1), pool_acc=((2, 2), (2, 2)), pool_codes=((2, 1), (1, 1)))
    return random_conv_network((6, 5, 2), [layer], source=(2, Encoding.UNSIGNED), hidden=(2, Encoding.BIPOLAR))


def changed(target: str, /, **fields: Any) -> IntegerNetwork:
    base = network()
    return replace(base, nodes=tuple(replace(node, **fields) if node.name == target else node for node in base.nodes))


ACC = network().node("conv0").type
BROKEN: list[tuple[Callable[[], IntegerNetwork], str]] = [
    (lambda: changed("conv0", kernel=(9, 3)), r"conv0: a window of \(9, 3\) pixels does not fit into \(8, 7\)"),
    (lambda: changed("conv0", kernel=(3, 2)), "conv0: 18 weight columns for 12 elements of a window"),
    (lambda: changed("conv0", stride=(0, 1)), "conv0: stride must be"),
    (lambda: changed("conv0", pad_code=4), "conv0: pad_code 4 is no code of 2 bits"),
    (lambda: changed("conv0", pad_code=None), r"conv0: padding \(1, 1\) and pad_code None: padding alone has a code"),
    (lambda: changed("conv0", padding=(0, 0)), r"conv0: padding \(0, 0\) and pad_code \d: padding alone has a code"),
    (lambda: changed("conv0", type=replace(ACC, shape=(6, 6, 4))), r"conv0: 4 weight rows, but shape \(6, 6, 4\)"),
    (lambda: changed("conv0", type=replace(ACC, lo=0)), "conv0: range 0..39 does not hold the reachable"),
    (lambda: changed("image", type=CodeType((60,), 2, Encoding.UNSIGNED)), r"conv0: reads feature maps \(H, W, C\)"),
    (lambda: changed("acc_pool0", kernel=(7, 1)), "acc_pool0: a window of .* does not fit"),
    (lambda: changed("acc_pool0", type=AccType((3, 2, 4), 0, 1)), "acc_pool0: type .* instead of"),
    (lambda: changed("acc_pool0", type=CodeType((3, 2, 4), 2, Encoding.UNSIGNED)), "acc_pool0: maxpool cannot follow"),
    (lambda: changed("code_pool0", type=AccType((2, 2, 4), 0, 3)), "code_pool0: maxpool cannot follow threshold"),
    (lambda: changed("conv_act0", type=CodeType((6, 4), 2, Encoding.BIPOLAR)), r"conv_act0: shape \(6, 4\) for acc"),
]


@pytest.mark.parametrize(("broken", "complaint"), BROKEN, ids=[complaint[:40] for _, complaint in BROKEN])
def test_every_broken_rule_is_named(broken: Callable[[], IntegerNetwork], complaint: str):
    with pytest.raises(UsageError, match=complaint) as caught:
        verify(broken())
    assert "\n" not in str(caught.value)


def test_scores_may_count_with_codes():
    base = random_conv_network((2, 2, 1), [], (4,), hidden=(2, Encoding.BIPOLAR), scores_of_codes=True)
    scores = base.scores
    reach = [m * code + b for m, b in zip(scores.multiplier, scores.offset, strict=True) for code in (0, 3)]
    assert (scores.type.lo, scores.type.hi) == (min(reach), max(reach))  # codes 0..3, not the -3..3 they stand for


@pytest.mark.parametrize(
    ("node", "key", "value", "complaint"),
    [
        ("conv0", "kernel", [3], "node conv0: kernel must be two integers, not 1"),
        ("conv0", "stride", "1", "stride must be a list of integers"),
        ("conv0", "pad_code", 1.5, "pad_code must be an integer"),
        ("conv0", "padding", [1 << 40, 1], "padding .* must be less than the window's extent"),
        ("acc_pool0", "bits", 3, "encoding must be text"),
        ("conv_act0", "shape", [3, 2, 5], "no tensor conv_act0"),
    ],
)
def test_files_with_wrong_maps_are_refused(node: str, key: str, value: object, complaint: str):
    header, described, data = parts(network_bytes(network()))
    next(entry for entry in described["nodes"] if entry["name"] == node)[key] = value
    with pytest.raises(NetworkFileError, match=complaint) as caught:
        parse(assembled(header, described, data))
    assert "\n" not in str(caught.value)


def test_counts_grow_with_the_positions_and_storage_does_not():
    base = network()
    first, last = count_layers(base, Folding({"conv0": LayerFold(4, 2), "dense0": LayerFold(3, 16)}))
    assert (first.positions, first.rows, first.columns) == (30, 4, 18)
    assert (first.macs, first.operations, first.binary_operations) == (30 * 72, 2 * 30 * 72, 2 * 30 * 72 * 2)
    assert (first.weight_bits, first.weight_reads) == (72, 30 * 72)
    assert first.thresholds == 6 * 4 * 3  # pooled before it is compared
    assert (first.activation_reads, first.activation_writes) == (30 * 18 * 2, 30 * 18 * 2)
    assert (last.positions, last.macs) == (1, 48)
    operations = {node.name: node_operations(node) for node in base.nodes}
    assert operations["conv0"] == first.operations
    assert (operations["acc_pool0"], operations["code_pool0"]) == (6 * 4 * 3, 4 * 4 * 1)
    assert operations["conv_act0"] == 6 * 4 * 3


def test_inspect_shows_maps(tmp_path: Path):
    table = {row.layer: row for row in inspect(network()).rows}
    assert table["conv0"].cells()[:5] == ("conv0", "conv2d", "6x5x2", "6x5x4", "W1A2")
    assert (table["conv0"].weights, table["conv0"].bytes) == (72, 9)
    assert table["acc_pool0"].output_shape == (3, 2, 4)
    assert table["conv_act0"].thresholds == 12
