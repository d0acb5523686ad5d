"""Lowering: a trained PyTorch module becomes an integer network.

The module is traced (`lowering_trace`), what has integers of its own becomes nodes (`lowering_nodes`), and each
normalisation with its activation is replaced by integers found by evaluating that very module on the canonical path
(`lowering_canonical`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from ...errors import UnsupportedLayerError, UsageError
from ...train.layers.modules import QuantConv2d
from ..ir import Add, Input, IntegerNetwork, Node, Scores, Threshold
from ..ranges import RowRanges
from ..scores import find_scores, reduced
from ..thresholds import find_thresholds
from ..types import AccType, CodeType, Encoding, InputTransform, code_values
from ..verify import verify
from ..verify_edges import score_range
from .canonical import Canonical
from .nodes import concat_node, dot_node, node_ranges, pool_node
from .recurrent import recurrent_node
from .roles import Role, data_inputs, role_of
from .trace import Site, Traced, trace

__all__ = ["compile_module"]

FLOAT32_EXACT = 1 << 24
TRIED = 16  # samples of the example that are run through the module


def compile_module(
    module: torch.nn.Module,
    example_input: Tensor | NDArray[np.generic],
    *,
    class_names: Sequence[str] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> IntegerNetwork:
    """The integer network that equals `module` in eval mode, on the canonical path, bit for bit.

    module: an nn.Module that torch.fx can trace, built from the layers of `xnorflow.train` (InputQuantizer,
    ChannelsFirst, QuantConv2d, QuantLinear, Sign, QuantReLU, LinearQuant, LogQuant, BatchNorm1d, ...), with torch's own
    BatchNorm1d, BatchNorm2d, MaxPool2d, AvgPool2d, Flatten, Dropout, Identity and multiplications or additions of
    constants between. Tensors of codes may be read several times, added (`a + b`) and concatenated (torch.cat along
    the channels); to QuantRNN and QuantLSTM samples are time steps. It is not changed: mode, device and parameters
    stay.
    example_input: raw samples (B, *shape), B >= 1. Without an InputQuantizer they also tell the input's type: uint8
    is an 8-bit unsigned input, real numbers that are all -1 or +1 a 1-bit one.
    class_names: one a score, "0", "1", ... if not given. provenance: text that the network file keeps.

    Raises UnsupportedLayerError that lists all layers without an integer form, UsageError for everything else.
    """
    example = example_input if isinstance(example_input, Tensor) else torch.tensor(np.asarray(example_input))
    if example.dim() < 2 or example.numel() == 0:
        raise UsageError(f"example_input must be samples (B, *shape), not of shape {tuple(example.shape)}")
    traced = trace(module)
    canonical = Canonical(traced)
    check_example(traced, canonical, example)
    builder = Builder(traced, canonical)
    nodes = tuple(builder.node(site, example) for site in traced.sites)
    names = tuple(class_names) if class_names is not None else tuple(map(str, range(nodes[-1].type.size)))
    return verify(IntegerNetwork(nodes, names, dict(provenance or {})))


def check_example(traced: Traced, canonical: Canonical, example: Tensor) -> None:
    """Run a few samples: shapes must fit, each dense layer works on whole samples (B, K), and what leads to codes or
    scores acts on each neuron or channel for itself."""
    try:
        canonical.everything(example[:TRIED].cpu(), ())
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"the module does not run on example_input {tuple(example.shape)}: {reason}") from error
    samples = min(TRIED, len(example))
    shapes = {node: tuple(value.shape) for node, value in canonical.env.items() if isinstance(value, Tensor)}
    for site in traced.sites[1:]:
        if site.role is Role.DOT:
            check_dot(traced, site, shapes[site.value], samples)
        elif site.role in (Role.CODES, None):
            check_path(traced, site, shapes, samples)
        elif site.role in (Role.SUM, Role.JOIN):
            check_join(traced, site, shapes)


def check_dot(traced: Traced, site: Site, shape: tuple[int, ...], samples: int) -> None:
    """Dot products take the whole sample, convolutions the whole map."""
    layer = traced.dot(site)
    if isinstance(layer, QuantConv2d):
        return  # torch takes no other shapes, but for (C, H, W), which the next operation refuses
    if shape != (samples, layer.out_features):
        raise UnsupportedLayerError(
            f"{site.operation.target} yields shape {shape} for {samples} samples; only (B, N) has an integer form"
        )


def check_join(traced: Traced, site: Site, shapes: Mapping[fx.Node, tuple[int, ...]]) -> None:
    """Sums and concatenations join vectors, or maps with their channels first: flattened ones have another order."""
    for source, node in zip(site.sources, data_inputs(site.operation), strict=True):
        first, shape, turned = shapes[source.value], shapes[node], source.maps
        while node is not source.value:
            turned |= role_of(traced.module, node) is Role.CHANNELS
            (node,) = data_inputs(node)
        pixel = first[2:] == (1, 1)
        if len(first) > 2 and not pixel and not (turned and len(shape) == 4):
            raise UnsupportedLayerError(
                f"{site.name} joins maps {first[1:]} as {shape[1:]}; join them as (B, C, H, W), not flattened"
            )


def check_path(traced: Traced, site: Site, shapes: Mapping[fx.Node, tuple[int, ...]], samples: int) -> None:
    """From accumulators to codes or scores every operation keeps neurons and channels apart."""
    (source,) = site.sources
    path = [node for node in (source.value, *site.path) if node not in raw_nodes(traced, site)]
    first = shapes[path[0]]
    for node in path:
        shape = shapes[node]
        if traced.reads_maps(site):
            pixel = first[2:] == (1, 1) and shape == (samples, first[1])
            if (len(shape) != 4 or shape[:2] != (samples, first[1])) and not pixel:
                raise UnsupportedLayerError(
                    f"{node.target} yields shape {shape} for {samples} samples; between a convolution and its "
                    "activation only (B, N, H, W) has an integer form"
                )
        elif len(shape) != 2 or shape != (samples, first[1]):
            raise UnsupportedLayerError(
                f"{node.target} yields shape {shape} for {samples} samples; only (B, N) has an integer form"
            )
    if site.role is None and len(first) == 4 and first[2:] != (1, 1):
        raise UnsupportedLayerError(
            f"{source.operation.target} ends the module; the scores are of a dense layer or a pixel, not of a map"
        )


def raw_nodes(traced: Traced, site: Site) -> set[fx.Node]:
    """What stands on a site's path in front of ChannelsFirst: its shapes are those of raw images."""
    (source,) = site.sources
    nodes = [source.value, *site.path]
    turns = [index for index, node in enumerate(nodes) if role_of(traced.module, node) is Role.CHANNELS]
    return set(nodes[: turns[-1]]) if turns else set()


def input_node(traced: Traced, example: Tensor) -> Input:
    """The input's type and transform: the InputQuantizer's, or else what the example shows."""
    shape = tuple(example.shape[1:])
    quantizer = traced.quantizer
    if quantizer is not None:
        kind = CodeType(shape, quantizer.bits, Encoding(quantizer.encoding))
        return Input("inputs", (), kind, InputTransform(quantizer.lo, quantizer.hi))
    if example.dtype == torch.uint8:
        return Input("inputs", (), CodeType(shape, 8, Encoding.UNSIGNED), InputTransform(0.0, 255.0))
    if bool((example.abs() == 1).all()):
        return Input("inputs", (), CodeType(shape, 1, Encoding.BIPOLAR), InputTransform(-1.0, 1.0))
    raise UsageError(
        f"the input's integers are not known: the module has no InputQuantizer and example_input ({example.dtype}) is "
        "neither uint8 nor all -1 and +1; put an InputQuantizer in front"
    )


class Builder:
    """Makes the nodes of a traced module's sites, one after the other."""

    def __init__(self, traced: Traced, canonical: Canonical) -> None:
        self.traced = traced
        self.canonical = canonical
        self.nodes: dict[str, Node] = {}
        self.ranges: dict[str, RowRanges] = {}  # what each node's numbers can be, channel by channel

    def node(self, site: Site, example: Tensor) -> Node:
        """The node of a site whose sources are there."""
        names = tuple(source.name for source in site.sources)
        before = [self.nodes[name] for name in names]
        match site.role:
            case Role.QUANTIZE:
                node: Node = input_node(self.traced, example)
            case Role.DOT:
                node = dot_node(self.traced, site, before[0])
            case Role.RECURRENT:
                node = recurrent_node(self.traced, site, before[0])
            case Role.POOL | Role.SUM_POOL:
                node = pool_node(self.traced, site, before[0])
            case Role.SUM:
                kinds = [source.type for source in before]
                reach = AccType(kinds[0].shape, sum(kind.lo for kind in kinds), sum(kind.hi for kind in kinds))
                node = Add(site.name, names, reach)
            case Role.JOIN:
                node = concat_node(site, before)
            case Role.CODES:
                node = self.threshold(site, before[0])
            case _:
                return self.scores(site, before[0])
        self.nodes[site.name] = node
        self.ranges[site.name] = node_ranges(node, before, [self.ranges[name] for name in names])
        if isinstance(node.type, AccType) and max(-node.type.lo, node.type.hi) >= FLOAT32_EXACT:
            raise UsageError(
                f"{site.operation.target}: accumulators {node.type.lo}..{node.type.hi} are not exact in float32 (2^24)"
            )
        return node

    def threshold(self, site: Site, before: Node) -> Threshold:
        """Everything between the numbers that `before` yields and the activation's codes."""
        kind = CodeType(before.type.shape, *self.traced.code_kind(site))
        name = str(site.operation.target)

        def evaluate(acc: NDArray[np.int64]) -> NDArray[np.uint8]:
            return codes_of(self.canonical.outputs(site, torch.from_numpy(acc)), kind, name)

        reach = AccType(before.type.shape, before.type.lo, before.type.hi)
        self.check_finite(site, reach)
        thresholds, descending = find_thresholds(evaluate, self.ranges[before.name], kind.max_code, reach, name)
        return Threshold(site.name, (before.name,), kind, thresholds, descending)

    def check_finite(self, site: Site, acc: AccType) -> None:
        """Refuse parameters that are infinite or NaN: an activation would turn them into codes without a word."""
        self.canonical.outputs(site, torch.tensor([[acc.lo], [acc.hi]]).expand(2, acc.shape[-1]))
        for node in (site.sources[0].value, *site.path):
            value = self.canonical.env[node]
            if isinstance(value, Tensor) and not bool(torch.isfinite(value).all()):
                raise UsageError(f"{node.target} yields numbers that are not finite; the training went wrong")

    def scores(self, site: Site, before: Node) -> Scores:
        """The outputs as integers: ScoreNorm's own, or the fewest bits that keep the order of the module's outputs."""
        assert isinstance(before.type, AccType)  # `misplaced` lets nothing else pass
        self.check_finite(site, before.type)
        norm = self.traced.score_norm
        if norm is not None:
            multiplier, offset, _ = norm.integer_affine()
            slopes, offsets, _ = reduced(multiplier.numpy(), offset.numpy())
        else:
            ranges = self.ranges[before.name]
            ends = np.stack([ranges.lo, np.maximum(ranges.hi, ranges.lo + 1)])
            first, last = self.canonical.doubled().outputs(site, torch.from_numpy(ends)).numpy()
            slope = (last - first) / (ends[1] - ends[0])

            def evaluate(acc: NDArray[np.int64]) -> NDArray[np.float64]:
                return self.canonical.outputs(site, torch.from_numpy(acc)).double().numpy()

            slopes, offsets = find_scores(evaluate, slope, first - slope * ends[0], ranges, str(site.value.target))
        draft = Scores(site.name, (before.name,), AccType((before.type.size,), 0, 0), slopes, offsets)
        return replace(draft, type=AccType((before.type.size,), *score_range(draft, before.type)))


def codes_of(values: Tensor, kind: CodeType, name: str) -> NDArray[np.uint8]:
    """Codes of an activation's values; UsageError if one is not on the grid."""
    real, table = values.double().numpy(), code_values(kind.bits, kind.encoding)
    codes = np.clip(np.searchsorted(table, real), 0, kind.max_code)
    wrong = table[codes] != real
    if wrong.any():
        raise UsageError(f"{name} yields {real[wrong][0]}, which is no {kind.bits}-bit {kind.encoding} value")
    return codes.astype(np.uint8)
