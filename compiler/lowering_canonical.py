"""The canonical path: the one evaluation of a module that the integer network is equal to.

CPU, float32, contiguous (B, C), eval mode, no gradients, operation by operation as traced. The last matters for one
layer only: a bias is added to the finished, exact accumulator, where torch's fused kernel rounds in an order that
depends on the batch. Other layouts, devices and kernels may differ from this path at ties; `compare` counts that.
"""

import copy
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional as F

from .lowering_trace import Chain, Layer, Role, role_of

__all__ = ["Canonical"]


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
        """What `layer` makes of accumulators (B, N): values of its codes, or the module's outputs."""
        with torch.no_grad():
            self.env = {layer.dot_node: self.biased(layer, acc.to(self.dtype).contiguous())}
            before = layer.dot_node
            for node in layer.epilogue:  # a view of (B, N) is that itself, and its sizes may come from elsewhere
                is_view = node.op != "call_module" and role_of(self.chain.module, node) is Role.SHAPE
                self.env[node] = self.env[before] if is_view and node.target != "float" else self.run_node(node)
                before = node
            result: Tensor = self.env[layer.end]
            return result

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
        acc = F.linear(values, layer.dot.weight_quantizer(layer.dot.weight))
        self.accumulators[layer.name] = acc
        return self.biased(layer, acc)

    def biased(self, layer: Layer, acc: Tensor) -> Tensor:
        """The accumulator plus the bias, if there is one."""
        return acc if layer.dot.bias is None else torch.add(acc, layer.dot.bias.to(self.dtype))
