"""The canonical path: the one evaluation of a module that the integer network is equal to.

CPU, float32, contiguous, eval mode, no gradients, operation by operation as traced. The last matters for dot products
only: a bias is added to the finished, exact accumulator, where torch's fused kernel rounds in an order that depends
on the batch, and a convolution is a matrix product of its windows, where torch may choose a transformed kernel
(Winograd) that is not exact. Other layouts, devices and kernels may differ from this path at ties; `compare` counts
that.
"""

import copy
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional as F

from ..train.layers import QuantConv2d
from .lowering_roles import Role, role_of
from .lowering_trace import Chain, Layer

__all__ = ["Canonical"]

UNFOLDED = 1 << 25  # elements of all windows at a time: bounds the memory, not the result


class Canonical(fx.Interpreter):
    """Evaluates a chain on the canonical path, as a whole or one layer's epilogue alone.

    double: in float64 instead, parameters included: the real function that float32 rounds.
    """

    def __init__(self, chain: Chain, double: bool = False) -> None:
        module = copy.deepcopy(chain.module).double() if double else chain.module
        super().__init__(module, garbage_collect_values=False, graph=chain.module.graph)
        self.chain = chain
        self.dtype = torch.float64 if double else torch.float32
        self.dots = {layer.dot_node: layer for layer in chain.layers}
        self.env: dict[fx.Node, Any] = {}
        self.accumulators: dict[str, Tensor] = {}

    def outputs(self, layer: Layer, acc: Tensor) -> Tensor:
        """What `layer` makes of accumulators (B, N): values of its codes (B, N), or the module's outputs.

        Channels of a convolution are given as maps of one pixel, of which a pool is the pixel itself.
        """
        with torch.no_grad():
            if isinstance(layer.dot, QuantConv2d):
                acc = acc[:, :, None, None]
            self.env = {layer.dot_node: self.biased(layer, acc.to(self.dtype).contiguous())}
            before = layer.dot_node
            for node in layer.epilogue:  # a view of (B, N) is that itself, and its sizes may come from elsewhere
                role = role_of(self.chain.module, node)
                same = role is Role.POOL or (role is Role.SHAPE and node.op != "call_module" and node.target != "float")
                self.env[node] = self.env[before] if same else self.run_node(node)
                before = node
            result: Tensor = self.env[layer.end]
            return result.flatten(1) if isinstance(layer.dot, QuantConv2d) else result

    def everything(self, raw: Tensor, wanted: Collection[fx.Node]) -> dict[fx.Node, Tensor]:
        """Run the whole module on raw samples; the tensors of `wanted`. Accumulators are left in `accumulators`."""
        if self.chain.quantizer is None:
            raw = raw.to(self.dtype)
        with torch.no_grad():
            self.env = {}
            for node in self.graph.nodes:
                if node.op != "output":
                    self.env[node] = raw.contiguous() if node.op == "placeholder" else self.run_node(node)
            return {node: self.env[node] for node in wanted}

    def run_node(self, n: fx.Node) -> Any:
        """The value of a node, contiguous. Constants that stand elsewhere in the graph are computed on the way."""
        for source in n.all_input_nodes:
            if source not in self.env:
                self.env[source] = self.run_node(source)
        if n in self.dots:
            return self.multiply(self.dots[n], self.env[n.all_input_nodes[0]])
        value = super().run_node(n)
        return value.contiguous() if isinstance(value, Tensor) else value

    def multiply(self, layer: Layer, values: Tensor) -> Tensor:
        """The exact integer accumulator, which is noted, and then the bias."""
        weight = layer.dot.weight_quantizer(layer.dot.weight)
        if isinstance(layer.dot, QuantConv2d):
            acc = convolution(layer.dot, layer.dot.padded(values), weight)
        else:
            acc = F.linear(values, weight)
        self.accumulators[layer.name] = acc
        return self.biased(layer, acc)

    def biased(self, layer: Layer, acc: Tensor) -> Tensor:
        """The accumulator plus the bias, if there is one."""
        if layer.dot.bias is None:
            return acc
        bias = layer.dot.bias.to(self.dtype)
        return torch.add(acc, bias[:, None, None] if isinstance(layer.dot, QuantConv2d) else bias)


def convolution(layer: QuantConv2d, padded: Tensor, weight: Tensor) -> Tensor:
    """The convolution (B, N, H', W') of padded maps (B, C, H, W) as one matrix product for a few samples at a time."""
    kernel, stride, dilation = layer.kernel_size, layer.stride, layer.dilation
    height, width = (
        (size - (k - 1) * d - 1) // s + 1
        for size, k, s, d in zip(padded.shape[2:], kernel, stride, dilation, strict=True)
    )
    matrix = weight.flatten(1)
    step = max(1, UNFOLDED // (matrix.shape[1] * height * width))
    parts = [matrix @ F.unfold(part, kernel, dilation, 0, stride) for part in padded.split(step)]
    return torch.cat(parts).reshape(len(padded), len(matrix), height, width)
