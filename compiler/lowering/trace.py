"""A module read by torch.fx: the places in its graph that become nodes of the integer network.

Everything unsupported is collected and reported at once, by its qualified name and with the reason.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from ...errors import UnsupportedLayerError, UsageError
from ...train.layers.modules import InputQuantizer, QuantConv2d, QuantLinear
from ...train.layers.norms import ScoreNorm
from ...train.layers.recurrent import QuantRecurrent
from ..types import Encoding
from .checks import Flow, flows, misplaced, unsupported
from .roles import (
    REASONS,
    ROLES,
    Role,
    data_inputs,
    data_nodes,
    flattens,
    mark_data,
    module_of,
    node_name,
    role_of,
    title,
)

__all__ = ["Site", "Traced", "trace"]


@dataclass(frozen=True, eq=False)
class Site:
    """A place in the graph that becomes one node of the integer network.

    name: the node's. role: None for the scores. operation: what it does. value: which operation yields its tensor;
    another than `operation` where a pool between normalisation and activation goes behind the thresholds, which
    yields the same, as activations never fall. sources: what it reads. path: the operations from the (first) source's
    tensor to `operation`; for codes and scores that is what their constants stand for. maps: the tensor is
    (B, C, H, W).
    """

    name: str
    role: Role | None
    operation: fx.Node
    value: fx.Node
    sources: tuple["Site", ...]
    path: tuple[fx.Node, ...]
    maps: bool


@dataclass(frozen=True, eq=False)
class Traced:
    """A traced module: a copy on the CPU in float32 and eval mode. The caller's module stays as it was.

    sites: in topological order, the input first, the scores last. at: the site whose tensor an operation yields.
    """

    module: fx.GraphModule
    quantizer: InputQuantizer | None
    sites: tuple[Site, ...]
    at: dict[fx.Node, Site]

    def layer(self, site: Site) -> nn.Module | None:
        """The module that a site's operation calls, if it is one."""
        return module_of(self.module, site.operation)

    def dot(self, site: Site) -> QuantConv2d | QuantLinear:
        """The layer of a dot product."""
        layer = self.layer(site)
        assert isinstance(layer, QuantConv2d | QuantLinear)  # by its role
        return layer

    def code_kind(self, site: Site) -> tuple[int, Encoding]:
        """Bits and encoding of an activation, which every activation has as attributes."""
        layer: Any = self.layer(site)
        return layer.bits, Encoding(layer.encoding)

    def reads_maps(self, site: Site) -> bool:
        """Whether what a site reads are maps (B, C, H, W), flattened on the way or not."""
        return site.sources[0].maps or any(role_of(self.module, node) is Role.CHANNELS for node in site.path)

    @property
    def matrices(self) -> tuple[tuple[Site, torch.Tensor], ...]:
        """The dot products and recurrent layers in topological order, with their latent weights as (N, K)."""
        layers = ((site, self.layer(site)) for site in self.sites if site.role in (Role.DOT, Role.RECURRENT))
        return tuple(
            (site, layer.weight.flatten(1))
            for site, layer in layers
            if isinstance(layer, QuantConv2d | QuantLinear | QuantRecurrent)
        )

    @property
    def score_norm(self) -> ScoreNorm | None:
        """The ScoreNorm that alone makes the outputs from the last accumulators, if it is so."""
        scores = self.sites[-1]
        source = scores.sources[0]
        layer = self.layer(source)
        if isinstance(layer, nn.AvgPool2d | nn.AdaptiveAvgPool2d) or getattr(layer, "bias", None) is not None:
            return None
        acting = [
            node for node in scores.path if role_of(self.module, node) is not Role.SHAPE or node.target == "float"
        ]
        norm = module_of(self.module, acting[0]) if len(acting) == 1 else None
        return norm if isinstance(norm, ScoreNorm) else None


class Tracer(fx.Tracer):
    """Leaves are the layers that lowering knows and torch's own; a user's modules are looked into."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether `m` is one operation."""
        known = isinstance(m, tuple(kind for kind, _ in ROLES))
        refused = any(isinstance(m, kinds) for kinds, _ in REASONS)  # as a whole, by its own name
        return known or refused or super().is_leaf_module(m, module_qualified_name)


def trace(module: nn.Module) -> Traced:
    """Trace a module that is made of supported layers.

    Raises UnsupportedLayerError that lists everything unsupported, UsageError if the module cannot be traced at all.
    """
    if not isinstance(module, nn.Module):
        raise UsageError(f"a torch.nn.Module can be compiled, not {type(module).__name__}")
    tracer = Tracer()
    try:
        graph = tracer.trace(copy.deepcopy(module).to("cpu", torch.float32).eval())
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:  # whatever forward() does with proxies
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"{type(module).__name__} cannot be copied and traced by torch.fx: {reason}") from error
    traced = fx.GraphModule(tracer.root, graph)
    traced.graph.eliminate_dead_code()
    mark_data(traced)
    problems = [f"{title(traced, node)} {reason}" for node, reason in unsupported(traced)]
    if not problems:
        problems = [f"{title(traced, node)} {reason}" for node, reason in misplaced(traced)]
    if problems:
        raise UnsupportedLayerError(f"no integer form for {len(problems)} of the operations: {'; '.join(problems)}")
    return Surveyor(traced).survey()


PREFIXES = {
    Role.POOL: "pool",
    Role.SUM_POOL: "sum_pool",
    Role.SUM: "add",
    Role.JOIN: "concat",
    Role.CODES: "act",
    Role.RECURRENT: "recurrent",
}
"""What names begin with where the module's own name is none; dot products have "fc" and "conv"."""


class Surveyor:
    """Finds the sites of a well-formed graph."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.flow = flows(traced)
        self.sites: list[Site] = []
        self.at: dict[fx.Node, Site] = {}
        self.taken = {"inputs", "scores"}

    def survey(self) -> Traced:
        """The sites in the order of the graph."""
        nodes = data_nodes(self.traced)
        quantize = next((node for node in nodes if role_of(self.traced, node) is Role.QUANTIZE), nodes[0])
        self.place(Site("inputs", Role.QUANTIZE, quantize, quantize, (), (), False))
        for node in nodes:
            role = role_of(self.traced, node)
            if role in (Role.DOT, Role.RECURRENT, Role.SUM, Role.SUM_POOL, Role.JOIN, Role.CODES) or (
                role is Role.POOL and self.flow[node] is not Flow.POOLED
            ):
                self.add(node, role)
        (output,) = (node for node in self.traced.graph.nodes if node.op == "output")
        (last,) = output.all_input_nodes
        source, path = self.origin(last)
        self.sites.append(Site("scores", None, last, last, (source,), path, False))
        quantizer = module_of(self.traced, quantize)
        return Traced(
            self.traced, quantizer if isinstance(quantizer, InputQuantizer) else None, tuple(self.sites), self.at
        )

    def place(self, site: Site) -> None:
        """Note a site."""
        self.sites.append(site)
        self.at[site.value] = site

    def origin(self, node: fx.Node) -> tuple[Site, tuple[fx.Node, ...]]:
        """The site that `node` comes from, along its only input that carries samples, and the way up to `node`."""
        path: list[fx.Node] = []
        while node not in self.at:
            path.insert(0, node)
            (node,) = data_inputs(node)
        return self.at[node], tuple(path)

    def add(self, node: fx.Node, role: Role) -> None:
        """A site of the operation `node`, and the pools that move behind its codes."""
        origins = [self.origin(source) for source in data_inputs(node)]
        path = (*origins[0][1], node) if role is Role.CODES else origins[0][1]
        module = module_of(self.traced, node)
        prefix = ("fc" if isinstance(module, QuantLinear) else "conv") if role is Role.DOT else PREFIXES[role]
        name = node_name(node, prefix, self.taken)
        maps = isinstance(module, QuantConv2d) or (role is not Role.DOT and self.keeps_maps(origins[0][0], path))
        sources = tuple(site for site, _ in origins)
        self.place(Site(name, role, node, node, sources, path, maps))
        for pool in path if role is Role.CODES else ():
            if role_of(self.traced, pool) is Role.POOL:
                name = node_name(pool, PREFIXES[Role.POOL], self.taken)
                self.place(Site(name, Role.POOL, pool, node, (self.sites[-1],), (), True))

    def keeps_maps(self, source: Site, path: tuple[fx.Node, ...]) -> bool:
        """Whether the end of a path that begins at `source` is still (B, C, H, W)."""
        maps = source.maps
        for node in path:
            role = role_of(self.traced, node)
            if role is Role.CHANNELS:
                maps = True
            elif role is Role.SHAPE and flattens(node, module_of(self.traced, node)):
                maps = False
        return maps
