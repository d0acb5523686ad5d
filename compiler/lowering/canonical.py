"""The canonical path: the one evaluation of a module that the integer network is equal to.

CPU, float32, contiguous, eval mode, no gradients, operation by operation as traced. The last matters for dot products
and averages only: a bias is added to the finished, exact accumulator, where torch's fused kernel rounds in an order
that depends on the batch; a convolution is a matrix product of its windows, where torch may choose a transformed kernel
(Winograd) that is not exact; an average is the exact sum, divided. Other layouts, devices and kernels may differ from
this path at ties; `compare` counts that.
"""

import copy
import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from ...train.layers.modules import QuantConv2d, SumPool2d
from .roles import Role, flattens, module_of, pair, role_of
from .trace import Site, Traced

__all__ = ["Canonical", "pool_extents"]

UNFOLDED = 1 << 25  # elements of all windows at a time: bounds the memory, not the result


class Canonical(fx.Interpreter):
    """Evaluates a traced module on the canonical path, as a whole or what leads to one site's codes alone."""

    def __init__(self, traced: Traced, dtype: torch.dtype = torch.float32) -> None:
        module = traced.module if dtype == torch.float32 else copy.deepcopy(traced.module).to(dtype)
        super().__init__(module, garbage_collect_values=False, graph=traced.module.graph)
        self.traced = traced
        self.dtype = dtype
        self.env: dict[fx.Node, Any] = {}
        self.accumulators: dict[str, Tensor] = {}
        self.taps: dict[str, int] = {}  # of each sum pool; the global ones' are those of the last samples

    def doubled(self) -> "Canonical":
        """The same in float64, parameters included: the real function that float32 rounds."""
        double = Canonical(self.traced, torch.float64)
        double.taps = self.taps
        return double

    def outputs(self, site: Site, acc: Tensor) -> Tensor:
        """What a site of codes, or the scores, make of integers (B, N): values of codes (B, N), or the outputs.

        Channels of maps are given as maps of one pixel, of which a pool is the pixel itself.
        """
        (source,) = site.sources
        with torch.no_grad():
            if self.traced.reads_maps(site):
                acc = acc[:, :, None, None]
            value = self.valued(source, acc.to(self.dtype).contiguous())
            self.env = {source.value: value}
            for node in site.path:
                role = role_of(self.traced.module, node)
                if role is Role.SHAPE and flattens(node, module_of(self.traced.module, node)):
                    value = value.flatten(1)  # its sizes may come from elsewhere
                elif role not in (Role.POOL, Role.CHANNELS):
                    value = self.run_node(node)
                self.env[node] = value
            return value.flatten(1)

    def everything(self, raw: Tensor, wanted: Collection[fx.Node]) -> dict[fx.Node, Tensor]:
        """Run the whole module on raw samples; the tensors of `wanted`. Accumulators are left in `accumulators`."""
        if self.traced.quantizer is None:
            raw = raw.to(self.dtype)
        with torch.no_grad():
            self.env, self.accumulators = {}, {}
            for node in self.graph.nodes:
                if node.op != "output":
                    self.env[node] = raw.contiguous() if node.op == "placeholder" else self.run_node(node)
            return {node: self.env[node] for node in wanted}

    def run_node(self, n: fx.Node) -> Any:
        """The value of a node, contiguous. Constants that stand elsewhere in the graph are computed on the way."""
        for source in n.all_input_nodes:
            if source not in self.env:
                self.env[source] = self.run_node(source)
        site = self.traced.at.get(n)
        if site is not None and site.operation is n:
            source = n.all_input_nodes[0]
            match site.role:
                case Role.DOT:
                    return self.noted(site, self.product(site, self.env[source]))
                case Role.SUM_POOL:
                    kernel, stride = pool_extents(self.traced.layer(site), self.env[source].shape[2:])
                    self.taps[site.name] = math.prod(kernel)
                    return self.noted(site, F.avg_pool2d(self.env[source], kernel, stride, divisor_override=1))
                case Role.POOL if site.sources[0].name in self.accumulators:
                    return self.noted(site, self.call_module(n.target, (self.accumulators[site.sources[0].name],), {}))
        value = super().run_node(n)
        return value.contiguous() if isinstance(value, Tensor) else value

    def noted(self, site: Site, acc: Tensor) -> Tensor:
        """Note the exact integers of a site; what the module makes of them."""
        self.accumulators[site.name] = acc
        return self.valued(site, acc).contiguous()

    def valued(self, site: Site, acc: Tensor) -> Tensor:
        """What the module has where a site has accumulators: a bias added, a divisor applied."""
        while site.role is Role.POOL:
            (site,) = site.sources
        layer = self.traced.layer(site)
        if isinstance(layer, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            return torch.div(acc, self.taps[site.name])
        bias = self.traced.dot(site).bias if site.role is Role.DOT else None
        if bias is None:
            return acc
        bias = bias.to(self.dtype)
        return torch.add(acc, bias[:, None, None] if site.maps else bias)

    def product(self, site: Site, values: Tensor) -> Tensor:
        """The exact integer accumulator."""
        layer = self.traced.dot(site)
        weight = layer.weight_quantizer(layer.weight)
        if isinstance(layer, QuantConv2d):
            return convolution(layer, layer.padded(values), weight)
        return F.linear(values, weight)


def convolution(layer: QuantConv2d, padded: Tensor, weight: Tensor) -> Tensor:
    """The convolution (B, N, H', W') of padded maps (B, C, H, W) as matrix products, a few samples at a time."""
    kernel, stride, dilation, groups = layer.kernel_size, layer.stride, layer.dilation, layer.groups
    height, width = (
        (size - (k - 1) * d - 1) // s + 1
        for size, k, s, d in zip(padded.shape[2:], kernel, stride, dilation, strict=True)
    )
    matrices = weight.reshape(groups, len(weight) // groups, -1)
    step = max(1, UNFOLDED // (padded.shape[1] * math.prod(kernel) * height * width))
    parts = [
        matrices @ F.unfold(part, kernel, dilation, 0, stride).reshape(len(part), groups, matrices.shape[2], -1)
        for part in padded.split(step)
    ]
    return torch.cat(parts).reshape(len(padded), len(weight), height, width)


def pool_extents(layer: nn.Module | None, extents: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Kernel and stride of a pool on maps of `extents` (H, W)."""
    if isinstance(layer, nn.AdaptiveAvgPool2d) or (isinstance(layer, SumPool2d) and layer.kernel_size is None):
        return (extents[0], extents[1]), (extents[0], extents[1])
    assert isinstance(layer, nn.MaxPool2d | nn.AvgPool2d | SumPool2d)  # by its role
    kernel = layer.kernel_size if layer.kernel_size is not None else 1
    return pair(kernel), pair(kernel if layer.stride is None else layer.stride)
