"""The operators on a CPU against NumPy on levels, and the contract that torch asks of operators."""

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest
import torch
from host_kernel import packed, unpacked
from hypothesis import given, settings
from hypothesis import strategies as st
from plane_cases import WINDOWS, Operands, convolved, plain, tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from xnorflow.errors import UsageError
from xnorflow.gpu import host, operators
from xnorflow.gpu.forms import Affine, Windows, aligned_words, words_of

PLANES = st.tuples(st.integers(1, 8), st.integers(1, 8))


def check(case: Operands, bits: int, extra_words: int = 0) -> None:
    """All three products."""
    product = operators.plane_product(*case.arguments)
    assert product.dtype == torch.int32
    np.testing.assert_array_equal(product.numpy(), case.acc)
    neurons = case.acc.shape[1]
    words = words_of(neurons) + extra_words
    thresholds, flip, codes = case.thresholds(bits)
    made = operators.plane_thresholds(*case.arguments, thresholds, flip, bits, words)
    np.testing.assert_array_equal(levels_of(made), np.pad(codes, ((0, 0), (0, 32 * words - neurons))))
    multiplier, offset, codes = case.multipliers(bits, 5)
    made = operators.plane_requantized(*case.arguments, multiplier, offset, 5, bits, words)
    np.testing.assert_array_equal(levels_of(made), np.pad(codes, ((0, 0), (0, 32 * words - neurons))))


def levels_of(planes: torch.Tensor) -> np.ndarray:
    return unpacked(planes.numpy().view(np.uint32), 32 * planes.shape[2])


@given(st.integers(0, 40), st.integers(1, 70), st.integers(1, 300), PLANES, st.integers(1, 8), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_products_of_planes(rows: int, neurons: int, size: int, planes: tuple[int, int], bits: int, seed: int) -> None:
    check(plain(rows, neurons, size, planes, seed), bits, seed % 3)


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
@pytest.mark.parametrize(("planes", "spare"), [((1, 1), 0), ((2, 3), 1), ((8, 1), 3)])
def test_windows_on_maps(windows: Windows, planes: tuple[int, int], spare: int) -> None:
    check(convolved(2, 37, windows, planes, spare), 1)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 200), PLANES, st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_both_ways_are_one(rows: int, neurons: int, size: int, planes: tuple[int, int], seed: int) -> None:
    case = plain(rows, neurons, size, planes, seed)
    a, b, gamma, alpha, beta, _ = case.arguments
    arrays = a.numpy().view(np.uint32), b.numpy().view(np.uint32), gamma.numpy()
    for way in host.Way:
        np.testing.assert_array_equal(host.accumulators(*arrays, Affine(alpha, beta), None, way), case.acc)


def test_without_numba_bytes_are_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba" else find_spec(name))
    monkeypatch.setitem(sys.modules, "numba", None)
    check(plain(9, 40, 100, (2, 3)), 2)


def test_a_large_product_on_several_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        check(plain(1100, 700, 1500), 1)
    finally:
        torch.set_num_threads(before)


def test_accumulators_wrap_and_no_more() -> None:
    a = torch.full((8, 1, 4), -1, dtype=torch.int32)  # levels of 255 everywhere, 128 of them
    made = operators.plane_product(a, a, torch.tensor([7], dtype=torch.int32), 1 << 20, 0, [])
    assert int(made) == (128 * 255 * 255 * (1 << 20) + 7 + (1 << 31)) % (1 << 32) - (1 << 31)


@given(st.integers(0, 20), st.integers(1, 150), st.integers(1, 8), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_packing_and_back(rows: int, columns: int, planes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
    table = rng.integers(0, 1 << planes, 256, dtype=np.uint8)
    words = words_of(columns) + seed % 2
    made = operators.pack_planes(torch.from_numpy(codes), torch.from_numpy(table), planes, words)
    np.testing.assert_array_equal(made.numpy().view(np.uint32), packed(table[codes], planes, words))
    np.testing.assert_array_equal(operators.unpack_planes(made, columns).numpy(), table[codes])
    values = torch.from_numpy(2.0 * table[codes].astype(np.float32) - 7)
    assert torch.equal(operators.pack_floats(values, -7.0, 0.5, planes, words), made)


@given(st.integers(1, 8), st.integers(0, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_pools(planes: int, images: int, kernel: tuple[int, int], channels: int) -> None:
    levels = np.random.default_rng(planes).integers(0, 1 << planes, (images, 5, 6, channels))
    maps = tensor(packed(levels, planes, words_of(channels)))
    made = operators.pool_planes(maps, kernel, (2, 1))
    outputs = (5 - kernel[0]) // 2 + 1, 6 - kernel[1] + 1
    assert made.shape == (planes, images, *outputs, words_of(channels))
    for y in range(outputs[0]):
        for x in range(outputs[1]):
            window = levels[:, 2 * y : 2 * y + kernel[0], x : x + kernel[1]]
            pixel = np.ascontiguousarray(made[:, :, y, x].numpy()).view(np.uint32)
            np.testing.assert_array_equal(unpacked(pixel, channels), window.max(axis=(1, 2)))


def test_scores_and_the_first_largest() -> None:
    acc = torch.tensor([[3, 5, 5], [1, 0, 0], [-9, -9, -9]], dtype=torch.int32)
    multiplier, offset = torch.tensor([1, 1, 1]), torch.tensor([2, 0, 0])
    scores, best = operators.class_scores(acc, multiplier, offset)
    assert scores.tolist() == [[5, 5, 5], [3, 0, 0], [-7, -9, -9]]
    assert best.tolist() == [0, 0, 0]
    wide = torch.full((1, 1), 1 << 30, dtype=torch.int32)
    assert operators.class_scores(wide, torch.tensor([1 << 30]), torch.tensor([1]))[0].item() == (1 << 60) + 1


def samples() -> dict[str, tuple[Any, ...]]:
    case, conv = plain(5, 40, 70, (2, 1)), convolved(2, 7, WINDOWS[1])
    codes = torch.randint(0, 256, (5, 70), dtype=torch.uint8)
    thresholds, flip, _ = case.thresholds(2)
    multiplier, offset, _ = conv.multipliers(3, 4)
    return {
        "plane_product": case.arguments,
        "plane_thresholds": (*case.arguments, thresholds, flip, 2, 2),
        "plane_requantized": (*conv.arguments, multiplier, offset, 4, 3, 1),
        "pack_planes": (codes, torch.arange(256, dtype=torch.uint8), 8, 3),
        "pack_floats": (torch.rand(5, 70), 0.0, 1.0, 1, 3),
        "unpack_planes": (case.arguments[0], 70),
        "pool_planes": (conv.arguments[0], [2, 2], [2, 2]),
        "class_scores": (torch.zeros(3, 4, dtype=torch.int32), torch.ones(4).long(), torch.ones(4).long()),
    }


@pytest.mark.parametrize("name", operators.__all__)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torch_finds_nothing_wrong(name: str) -> None:
    torch.library.opcheck(getattr(torch.ops.xnorflow, name).default, samples()[name])


def test_tensors_that_are_not_contiguous() -> None:
    case = plain(6, 40, 130, (2, 2))
    a, b, gamma, *rest = case.arguments
    scattered = [torch.stack([one, ~one], dim=-1)[..., 0] for one in (a, b, gamma)]
    assert not any(one.is_contiguous() for one in scattered)
    np.testing.assert_array_equal(operators.plane_product(*scattered, *rest).numpy(), case.acc)
    swapped = a.transpose(0, 1).contiguous().transpose(0, 1)
    np.testing.assert_array_equal(operators.plane_product(swapped, b, gamma, *rest).numpy(), case.acc)


@pytest.mark.parametrize(("rows", "neurons"), [(0, 5), (3, 0), (0, 0)])
def test_nothing_to_do(rows: int, neurons: int) -> None:
    check(plain(rows, neurons, 40), 1)


def test_no_columns_leave_the_constants() -> None:
    a, b = torch.zeros(1, 2, 0, dtype=torch.int32), torch.zeros(1, 3, 0, dtype=torch.int32)
    gamma = torch.tensor([1, 2, 3], dtype=torch.int32)
    assert operators.plane_product(a, b, gamma, 4, -2, []).tolist() == [[1, 2, 3]] * 2


def test_more_elements_than_31_bits_count_have_a_shape() -> None:
    with FakeTensorMode():
        a, b = (torch.empty(1, 70_000, 8, dtype=torch.int32) for _ in range(2))
        gamma = torch.empty(70_000, dtype=torch.int32)
        assert operators.plane_product(a, b, gamma, 4, -2, []).shape == (70_000, 70_000)


def altered(**changes: Any) -> tuple[Any, ...]:
    names = ("a", "b", "gamma", "alpha", "beta", "windows")
    return tuple((dict(zip(names, plain(3, 5, 40).arguments, strict=True)) | changes).values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a": torch.zeros(1, 3, 4)}, "a must be int32 planes of 3 axes, not torch.float32"),
        ({"a": torch.zeros(3, 4, dtype=torch.int32)}, r"a must be int32 planes of 3 axes, not torch.int32 \(3, 4\)"),
        ({"a": torch.zeros(1, 3, 8, dtype=torch.int32)}, "rows of a have 8 words, those of b 4"),
        ({"gamma": torch.zeros(4, dtype=torch.int32)}, "gamma must be torch.int32 for each of 5 neurons"),
        ({"gamma": torch.zeros(5, dtype=torch.int64)}, "gamma must be torch.int32 for each of 5 neurons"),
        ({"windows": WINDOWS[0].numbers}, "a must be int32 planes of 5 axes"),
    ],
)
def test_operands_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        operators.plane_product(*altered(**changes))


def test_more_that_does_not_fit() -> None:
    maps, b, gamma, *_ = convolved(2, 5, WINDOWS[0]).arguments
    with pytest.raises(UsageError, match="are not 6 x 7 pixels of 40 channels"):
        operators.plane_product(maps, b, gamma, 1, 0, WINDOWS[1].numbers)
    with pytest.raises(UsageError, match="windows of 9 x 1 words do not go with rows of 16 words"):
        operators.plane_product(maps, torch.zeros(1, 5, 16, dtype=torch.int32), gamma, 1, 0, WINDOWS[0].numbers)
    arguments = plain(3, 40, 40).arguments
    constants = torch.zeros(1, 40, dtype=torch.int32), torch.zeros(40, dtype=torch.int32)
    with pytest.raises(UsageError, match="40 neurons do not fit into 1 words"):
        operators.plane_thresholds(*arguments, *constants, 1, 1)
    with pytest.raises(UsageError, match="codes have 1 to 8 bits, not 9"):
        operators.plane_thresholds(*arguments, *constants, 9, 2)
    with pytest.raises(
        UsageError, match=r"thresholds must be torch.int32 for each of 40 neurons, not torch.int32 \(1, 39\)"
    ):
        operators.plane_thresholds(*arguments, constants[0][:, 1:], constants[1], 1, 2)
    with pytest.raises(UsageError, match="33 columns do not fit into 1 planes of 1 words"):
        operators.pack_planes(torch.zeros(1, 33, dtype=torch.uint8), torch.zeros(256, dtype=torch.uint8), 1, 1)
    with pytest.raises(UsageError, match="1 words do not hold 33 columns"):
        operators.unpack_planes(torch.zeros(1, 1, 1, dtype=torch.int32), 33)
    with pytest.raises(UsageError, match=r"a window of \[3, 1\] pixels does not fit into \[2, 2\]"):
        operators.pool_planes(torch.zeros(1, 1, 2, 2, 1, dtype=torch.int32), [3, 1], [1, 1])


def test_torchs_int8_product_is_asked_for_what_it_can() -> None:
    rng = np.random.default_rng(0)
    for rows, inner, columns in [(1, 1, 5), (217, 1, 180), (1, 64, 3), (5, 64, 1), (17, 33, 9)]:
        a, b = (rng.integers(-64, 64, shape).astype(np.int8) for shape in ((rows, inner), (inner, columns)))
        made = host.int8_product(torch.from_numpy(a), torch.from_numpy(b))
        np.testing.assert_array_equal(made.numpy(), a.astype(np.int64) @ b)


def test_rows_begin_where_sixteen_bytes_do() -> None:
    assert [aligned_words(n) for n in (0, 1, 128, 129)] == [0, 4, 4, 8]
    assert [words_of(n) for n in (0, 1, 32, 33)] == [0, 1, 1, 2]
