import pytest
from random_graphs import GraphBuilder
from random_networks import random_network

from xnorflow.compiler.cost.training import Method, Pass, PassWork, Product, count_training, products_of
from xnorflow.compiler.ir import Encoding


def test_products_of_a_network() -> None:
    graph = GraphBuilder((4, 4, 3), (2, Encoding.UNSIGNED))
    codes = graph.threshold(graph.conv("image", 5, 3, padding=1))
    network = graph.finish(graph.dense(codes, 7))
    assert products_of(network) == (
        Product("conv2d0", 5 * 27, 16, True, False),
        Product("dense0", 7 * 80, 1, False, True),
    )


def test_three_passes_by_hand() -> None:
    a, b = 20 * 7, 7 * 10  # the first layer's inputs are 8-bit, and it has no gradient of them
    plain, connect, binary = count_training(products_of(random_network([20, 7, 10], source=(8, Encoding.UNSIGNED))))
    assert [c.method for c in (plain, connect, binary)] == list(Method)
    assert plain.passes == {
        Pass.FORWARD: PassWork(a + b, a + b),
        Pass.INPUT_GRADIENT: PassWork(b, b),
        Pass.WEIGHT_GRADIENT: PassWork(a + b, a + b),
    }
    assert connect.passes == {
        Pass.FORWARD: PassWork(0, a + b, a + b),
        Pass.INPUT_GRADIENT: PassWork(0, b, b),
        Pass.WEIGHT_GRADIENT: PassWork(a + b, a + b),
    }
    assert binary.passes == {
        Pass.FORWARD: PassWork(0, a, a, b),
        Pass.INPUT_GRADIENT: PassWork(0, b, b),
        Pass.WEIGHT_GRADIENT: PassWork(a, a + b, b),
    }
    assert connect.removed == pytest.approx(1 - (a + b) / (2 * (a + b) + b))


def test_binary_connect_removes_two_thirds_of_the_multiplications_of_deep_networks() -> None:
    _, connect, binary = count_training(products_of(random_network([16, *[512] * 9, 10])))
    assert connect.removed == pytest.approx(2 / 3, abs=0.002)
    assert binary.removed == 1  # 1-bit inputs: nothing is multiplied


def test_totals_are_sums() -> None:
    for counts in count_training(products_of(random_network([20, 7, 10]))):
        assert counts.total == sum(counts.passes.values(), PassWork())
