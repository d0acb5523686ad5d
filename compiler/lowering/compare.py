"""Golden model against PyTorch module: every code, accumulator and score, counted, on the canonical path."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import UsageError
from ..golden import Trace, run
from ..ir import CodeType, IntegerNetwork, Node
from ..scores import reduced
from .canonical import Canonical
from .module import codes_of
from .recurrent import sequence_ends, whole_batch
from .trace import Site, Traced, trace

__all__ = ["Comparison", "LayerComparison", "compare_with_module"]


@dataclass(frozen=True, slots=True)
class LayerComparison:
    """Numbers compared at one node, and how many of them differed."""

    compared: int
    disagreements: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Integer network against module over `images` samples.

    by_layer: for each node the input codes, accumulators, activation codes or scores; "classes" for the classes.
    compared and disagreements are the sums over all of them. plain_differences: outputs of the plain call
    `module(samples)`, one large batch in torch's own fused kernels, that differ from the canonical path's. It is no
    property of the integer network.
    """

    images: int
    by_layer: Mapping[str, LayerComparison]
    plain_differences: int

    @property
    def compared(self) -> int:
        """How many numbers were compared."""
        return sum(layer.compared for layer in self.by_layer.values())

    @property
    def disagreements(self) -> int:
        """How many of them differed."""
        return sum(layer.disagreements for layer in self.by_layer.values())


@dataclass
class Tally:
    """Counts that grow batch by batch."""

    compared: dict[str, int] = field(default_factory=dict)
    disagreements: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, equal: NDArray[np.bool_]) -> None:
        """Count the entries of `equal`."""
        self.compared[name] = self.compared.get(name, 0) + equal.size
        self.disagreements[name] = self.disagreements.get(name, 0) + int(np.count_nonzero(~equal))

    def layers(self) -> dict[str, LayerComparison]:
        """The counts by name."""
        return {name: LayerComparison(count, self.disagreements[name]) for name, count in self.compared.items()}


def compare_with_module(
    network: IntegerNetwork, module: torch.nn.Module, raw_inputs: NDArray[np.generic], *, batch: int = 1000
) -> Comparison:
    """Run both on raw samples (B, *input shape) and compare number by number.

    Scores: where a ScoreNorm makes the outputs, each output equals the integer score up to the module's scale,
    exactly; otherwise (floats that are rounded differently) each pair of classes must be in the same order. Classes:
    the first largest. Raises UsageError if the network does not have the module's layers or the samples do not fit.
    """
    if raw_inputs.shape[1:] != network.input.type.shape or not len(raw_inputs):
        raise UsageError(f"samples must have shape (B, *{network.input.type.shape}), not {raw_inputs.shape}")
    traced = trace(module)
    check_same_layers(network, traced)
    canonical = Canonical(traced)
    tally = Tally()
    outputs = []
    batch = whole_batch(module, batch)
    for start in range(0, len(raw_inputs), batch):
        raw = np.array(raw_inputs[start : start + batch])  # torch warns of arrays that are not writable, as of files
        scores = traced.sites[-1]
        tensors = canonical.everything(torch.from_numpy(raw), [*traced.at, scores.value])
        golden = run(network, network.input_codes(raw), last=sequence_ends(module, len(raw)))
        for node, site in traced.at.items():
            exact = canonical.accumulators.get(site.name, tensors[node])
            compare_tensors(network.node(site.name), turned(site, exact), golden, tally)
        outputs.append(tensors[scores.value].flatten(1).double().numpy())
        tally.add(network.scores.name, scores_agree(traced, outputs[-1], golden.scores))
        tally.add("classes", outputs[-1].argmax(axis=1) == golden.classes)
    return Comparison(len(raw_inputs), tally.layers(), plain_differences(traced, raw_inputs, outputs))


def check_same_layers(network: IntegerNetwork, traced: Traced) -> None:
    """UsageError unless the network has the names and the weight shapes of the module."""
    found = [(stage.dot.name, *stage.dot.weights.codes.shape) for stage in network.stages()]
    wanted = [(site.name, *weight.shape) for site, weight in traced.matrices]
    for ours, theirs in zip_longest(found, wanted):
        if ours != theirs:
            raise UsageError(f"the network was not compiled from this module: it has layer {ours}, the module {theirs}")


def turned(site: Site, values: torch.Tensor) -> torch.Tensor:
    """Maps (B, C, H, W) as the integer network has them, (B, H, W, C); vectors, and images as they come, stay."""
    return values.permute(0, 2, 3, 1) if site.maps else values


def compare_tensors(node: Node, values: torch.Tensor, golden: Trace, tally: Tally) -> None:
    """Compare codes, or accumulators, of a node; a flattened pixel is that pixel."""
    values = values.reshape(-1, *node.type.shape)
    found = codes_of(values, node.type, node.name) if isinstance(node.type, CodeType) else values.double().numpy()
    tally.add(node.name, found == golden[node.name])


def scores_agree(traced: Traced, outputs: NDArray[np.float64], scores: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which scores (B, C), or which ordered pairs of classes (B, pairs), agree with the module's outputs (B, C)."""
    norm = traced.score_norm
    if norm is not None:
        multiplier, offset, exponent = norm.integer_affine()
        divisor = reduced(multiplier.numpy(), offset.numpy())[2]
        exact: NDArray[np.bool_] = np.ldexp(outputs, exponent) == scores * float(divisor)
        return exact
    low, high = np.triu_indices(scores.shape[1], 1)
    agree: NDArray[np.bool_] = (outputs[:, low] >= outputs[:, high]) == (scores[:, low] >= scores[:, high])
    return agree


def plain_differences(traced: Traced, raw_inputs: NDArray[np.generic], outputs: list[NDArray[np.float64]]) -> int:
    """How many outputs of one plain call on the whole batch differ from the canonical ones."""
    raw = torch.from_numpy(np.array(raw_inputs))
    with torch.no_grad():
        plain = traced.module(raw if traced.quantizer is not None else raw.float()).flatten(1).double().numpy()
    return int(np.count_nonzero(plain != np.concatenate(outputs)))
