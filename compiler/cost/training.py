"""Multiplications and additions of a training step, pass by pass: floats, BinaryConnect and BNN.

A layer of N neurons and K inputs at P positions has three products of one size, M = N K P, a sample: the forward
product of weights and activations, the gradient of the inputs (weights times output gradients) and the gradient of the
weights (activations times output gradients). BinaryConnect (1511.00363, section 2.5) has weights of -1 and +1 in the
first two, whose multiplications are sign changes, which leaves one of three; BNN (1602.02830, section 1.2) also has
activations of -1 and +1, so that the third loses its multiplications as well, and the forward product becomes XNOR and
popcount. Normalisation, activations, losses and the update of the weights are not counted: they grow with N or N K,
not with their product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..ir import Input, IntegerNetwork, MaxPool

__all__ = ["Method", "Pass", "PassWork", "Product", "TrainingCounts", "count_training", "products_of"]


class Method(StrEnum):
    """How a network is trained."""

    FLOAT = "float"
    BINARY_CONNECT = "BinaryConnect"
    BNN = "BNN"


class Pass(StrEnum):
    """The three products of a layer in a training step."""

    FORWARD = "forward"
    INPUT_GRADIENT = "input gradient"
    WEIGHT_GRADIENT = "weight gradient"


@dataclass(frozen=True, slots=True)
class PassWork:
    """Operations a sample. sign_changes: products with -1 or +1 that are added; bit_pairs: XNORs that are counted."""

    multiplications: int = 0
    additions: int = 0
    sign_changes: int = 0
    bit_pairs: int = 0

    def __add__(self, other: "PassWork") -> "PassWork":
        return PassWork(
            self.multiplications + other.multiplications,
            self.additions + other.additions,
            self.sign_changes + other.sign_changes,
            self.bit_pairs + other.bit_pairs,
        )


@dataclass(frozen=True, slots=True)
class TrainingCounts:
    """All layers of one method; removed: the share of float's multiplications that are gone."""

    method: Method
    passes: dict[Pass, PassWork]
    total: PassWork
    removed: float


@dataclass(frozen=True, slots=True)
class Product:
    """The dot products of a layer: how many weights, at how many positions, and whether they read the input.

    binary_inputs: whether what it reads is -1 or +1 (under BNN; a first layer's inputs often are not).
    """

    name: str
    weights: int
    positions: int
    first: bool
    binary_inputs: bool


def products_of(network: IntegerNetwork) -> tuple[Product, ...]:
    """The layers of an integer network; recurrent ones with one time step.

    A first layer is one that reads the network's input, through pools or not.
    """

    def first(name: str) -> bool:
        source = network.node(network.node(name).inputs[0])
        return isinstance(source, Input) or (isinstance(source, MaxPool) and first(source.name))

    return tuple(
        Product(
            stage.dot.name,
            stage.dot.weights.codes.size,
            stage.vectors,
            is_first := first(stage.dot.name),
            not is_first or stage.input_type.bits == 1,
        )
        for stage in network.stages()
    )


def count_training(products: Sequence[Product]) -> tuple[TrainingCounts, ...]:
    """Counts of one sample for each method; windows that reach into the padding count in full.

    A first layer has no gradient of its inputs, which are data. Where its inputs are not binary, its products under BNN
    are those of BinaryConnect.
    """
    counts = []
    reference = _passes(Method.FLOAT, products)
    multiplications = sum(work.multiplications for work in reference.values())
    for method in Method:
        passes = _passes(method, products)
        total = sum(passes.values(), PassWork())
        counts.append(TrainingCounts(method, passes, total, 1 - total.multiplications / multiplications))
    return tuple(counts)


def _passes(method: Method, products: Sequence[Product]) -> dict[Pass, PassWork]:
    sums = dict.fromkeys(Pass, PassWork())
    for product in products:
        for step in Pass:
            if not (product.first and step is Pass.INPUT_GRADIENT):
                sums[step] += _work(method, step, product)
    return sums


def _work(method: Method, step: Pass, product: Product) -> PassWork:
    """One of the three products of a layer: by what its factors are."""
    size = product.weights * product.positions
    weights = method is not Method.FLOAT and step is not Pass.WEIGHT_GRADIENT
    activations = method is Method.BNN and product.binary_inputs and step is not Pass.INPUT_GRADIENT
    if weights and activations:
        return PassWork(bit_pairs=size)
    if weights or activations:
        return PassWork(additions=size, sign_changes=size)
    return PassWork(multiplications=size, additions=size)
