"""Nodes that a module's layers hold in themselves: dot products, pools, concatenations; and what they can reach."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ...errors import UsageError
from ...train.layers.modules import QuantConv2d
from ..ir import Add, Concat, Conv2d, Dense, MaxPool, Node, SumPool
from ..ranges import RowRanges, acc_type, row_ranges
from ..types import AccType, CodeType, Encoding, Weights, code_values
from .canonical import pool_extents
from .roles import pair
from .trace import Site, Traced

__all__ = ["concat_node", "conv_node", "dot_node", "node_ranges", "pool_node"]


def dot_node(traced: Traced, site: Site, before: Node) -> Dense | Conv2d:
    """The dot product; UsageError if its weights are not what the canonical path computes with.

    Weight columns follow the integer network's order, channels last.
    """
    layer, source = traced.dot(site), before.type
    assert isinstance(source, CodeType)  # `misplaced` lets nothing else pass
    quantizer, latent = layer.weight_quantizer, layer.weight
    codes = quantizer.codes(latent).numpy().astype(np.uint8)
    with torch.no_grad():
        used = quantizer(latent).numpy()
    if not np.array_equal(used, CodeType(codes.shape, quantizer.bits, Encoding(quantizer.encoding)).values(codes)):
        raise UsageError(
            f"{site.operation.target}: the values of {type(quantizer).__name__} are not those of its codes"
        )
    if isinstance(layer, QuantConv2d):
        codes = codes.transpose(0, 2, 3, 1)
    elif traced.reads_maps(site) and len(source.shape) == 3:  # flattened as (C, H, W)
        height, width, channels = source.shape
        codes = codes.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    matrix = np.ascontiguousarray(codes.reshape(len(codes), -1))
    weights = Weights(matrix, quantizer.bits, Encoding(quantizer.encoding))
    if isinstance(layer, QuantConv2d):
        return conv_node(site.name, layer, before.name, weights, source)
    return Dense(site.name, (before.name,), acc_type(weights, source), weights)


def conv_node(name: str, layer: QuantConv2d, before: str, weights: Weights, source: CodeType) -> Conv2d:
    """A convolution; UsageError if it pads with what is no value of its input."""
    kernel, stride, dilation = pair(layer.kernel_size), pair(layer.stride), pair(layer.dilation)
    padding, pad_code = layer.border, None
    if any(padding):
        values = code_values(source.bits, source.encoding).tolist()
        if layer.pad_value not in values:
            raise UsageError(
                f"{name}: pads with {layer.pad_value}, which is no value of its {source.bits}-bit {source.encoding} "
                f"input; train with a pad_value such as {values[0]} or {values[-1]}"
            )
        pad_code = values.index(layer.pad_value)
    draft = Conv2d(name, (before,), AccType((1,), 0, 0), weights, kernel, stride, padding, dilation, pad_code)
    draft = replace(draft, groups=layer.groups)
    return replace(draft, type=acc_type(weights, source, draft.window(source).output))


def pool_node(traced: Traced, site: Site, before: Node) -> MaxPool | SumPool:
    """A pool of what `before` yields."""
    layer, source = traced.layer(site), before.type
    kernel, stride = pool_extents(layer, source.shape)
    draft = MaxPool(site.name, (before.name,), source, kernel, stride)
    window = draft.window(source)
    shape, taps = (*window.output, window.input[2]), kernel[0] * kernel[1]
    if isinstance(layer, nn.MaxPool2d):
        return replace(draft, type=replace(source, shape=shape))
    return SumPool(site.name, (before.name,), AccType(shape, taps * source.lo, taps * source.hi), kernel, stride)


def concat_node(site: Site, before: Sequence[Node]) -> Concat:
    """A concatenation; UsageError if the codes are not of one kind."""
    kinds = [node.type for node in before]
    first = kinds[0]
    for node, kind in zip(before, kinds, strict=True):
        assert isinstance(kind, CodeType) and isinstance(first, CodeType)  # `misplaced` lets nothing else pass
        if (kind.bits, kind.encoding) != (first.bits, first.encoding):
            raise UsageError(
                f"{site.name}: {node.name} has {kind.bits}-bit {kind.encoding} codes, {before[0].name} has "
                f"{first.bits}-bit {first.encoding} ones; give every branch the same activation"
            )
    assert isinstance(first, CodeType)
    shape = (*first.shape[:-1], sum(kind.shape[-1] for kind in kinds))
    return Concat(site.name, tuple(node.name for node in before), replace(first, shape=shape))


def node_ranges(node: Node, before: Sequence[Node], reach: Sequence[RowRanges]) -> RowRanges:
    """What each channel of a node's numbers can be: of codes the integers that they stand for.

    before, reach: the nodes that it reads, and the same of them.
    """
    match node:
        case Dense() | Conv2d():
            assert isinstance(before[0].type, CodeType)  # verified
            return row_ranges(node.weights, before[0].type)
        case SumPool():
            taps = node.kernel[0] * node.kernel[1]
            return RowRanges(taps * reach[0].lo, taps * reach[0].hi, reach[0].step)
        case Add():
            step = np.gcd.reduce([part.step for part in reach])
            return RowRanges(np.sum([p.lo for p in reach], axis=0), np.sum([p.hi for p in reach], axis=0), step)
        case MaxPool() if isinstance(node.type, AccType):
            return reach[0]
    assert isinstance(node.type, CodeType)  # everything else yields codes
    values = code_values(node.type.bits, node.type.encoding)
    ends = [np.full(node.type.shape[-1], end) for end in (values[0], values[-1], np.gcd.reduce(np.diff(values)))]
    return RowRanges(*ends)
