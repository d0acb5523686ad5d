"""A module read by torch.fx as a chain: input quantizer, then dot products, each with what follows up to its codes.

Everything unsupported is collected and reported at once, by its qualified name and with the reason.
"""

import copy
from dataclasses import dataclass

import torch
from torch import fx, nn

from ..errors import UnsupportedLayerError, UsageError
from ..train.layers import InputQuantizer, QuantConv2d, QuantLinear, QuantReLU, ScoreNorm, Sign
from .lowering_checks import data_nodes, misplaced, unsupported
from .lowering_roles import ROLES, Role, module_of, node_name, pair, role_of, title

__all__ = ["Chain", "Layer", "trace"]


@dataclass(frozen=True, eq=False)
class Layer:
    """A dot product and what follows: `epilogue` leads from the accumulator to the codes or to the outputs.

    name, sink_name: node names. dot_node: the dot product's place in the graph; epilogue: the operations behind it in
    order, the activation (None: outputs) the last among them.
    pools_before: pools of the codes that the dot product reads. acc_pools: pools in the epilogue in front of every
    operation that acts on columns: of accumulators. code_pools: those behind, at the activation; as activations never
    fall, they yield the same on its codes.
    """

    name: str
    sink_name: str
    dot: QuantLinear | QuantConv2d
    dot_node: fx.Node
    epilogue: tuple[fx.Node, ...]
    activation: Sign | QuantReLU | None
    pools_before: tuple["Pool", ...]
    acc_pools: tuple["Pool", ...]
    code_pools: tuple["Pool", ...]

    @property
    def end(self) -> fx.Node:
        """The operation that yields the codes or the outputs."""
        return self.epilogue[-1] if self.epilogue else self.dot_node


@dataclass(frozen=True, eq=False)
class Pool:
    """A max-pool: the name of its node, its place in the graph, and its (vertical, horizontal) extents."""

    name: str
    node: fx.Node
    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Chain:
    """A traced module: a copy on the CPU in float32 and eval mode. The caller's module stays as it was."""

    module: fx.GraphModule
    quantizer: InputQuantizer | None
    quantize_node: fx.Node  # whose output are the input's integers; the placeholder if there is no quantizer
    layers: tuple[Layer, ...]
    channels_first: bool  # images come with channels last and a ChannelsFirst turns them

    @property
    def score_norm(self) -> ScoreNorm | None:
        """The ScoreNorm that alone makes the outputs from the last accumulators, if it is so."""
        last = self.layers[-1]
        acting = [
            node for node in last.epilogue if role_of(self.module, node) is not Role.SHAPE or node.target == "float"
        ]
        norm = module_of(self.module, acting[0]) if len(acting) == 1 else None
        return norm if isinstance(norm, ScoreNorm) and last.dot.bias is None else None


class Tracer(fx.Tracer):
    """Leaves are the layers that lowering knows and torch's own; a user's modules are looked into."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether `m` is one operation."""
        known = isinstance(m, tuple(kind for kind, _ in ROLES))
        return known or super().is_leaf_module(m, module_qualified_name)


def trace(module: nn.Module) -> Chain:
    """Trace a module that is made of supported layers in a chain.

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
    problems = [f"{title(traced, node)} {reason}" for node, reason in unsupported(traced)]
    if not problems:
        problems = [f"{title(traced, node)} {reason}" for node, reason in misplaced(traced)]
    if problems:
        raise UnsupportedLayerError(f"no integer form for {len(problems)} of the operations: {'; '.join(problems)}")
    return chain_of(traced)


# --- the chain -----------------------------------------------------------------------------------------------------


def chain_of(traced: fx.GraphModule) -> Chain:
    """Cut the graph of a well-formed module into layers."""
    data = set(data_nodes(traced))
    quantizer: InputQuantizer | None = None
    quantize_node = next(node for node in traced.graph.nodes if node.op == "placeholder")
    spans: list[list[fx.Node]] = []
    leads: list[list[fx.Node]] = [[]]  # pools in front of each dot product
    behind_codes = True
    channels_first = False
    for node in traced.graph.nodes:
        role = role_of(traced, node) if node in data else None
        module = module_of(traced, node)
        channels_first |= role is Role.CHANNELS
        if isinstance(module, InputQuantizer):
            quantizer, quantize_node = module, node
        if role is Role.DOT:
            spans.append([node])
            leads.append([])
            behind_codes = False
        elif node in data and not behind_codes:
            spans[-1].append(node)
            behind_codes = role is Role.CODES
        elif role is Role.POOL:
            leads[-1].append(node)
    taken = {"inputs", "scores"}
    layers = []
    for lead, span in zip(leads, spans, strict=False):
        before = pools_of(traced, lead, taken)
        dot, last = module_of(traced, span[0]), module_of(traced, span[-1])
        assert isinstance(dot, QuantConv2d | QuantLinear)  # by its role
        name = node_name(span[0], "fc" if isinstance(dot, QuantLinear) else "conv", taken)
        activation = last if isinstance(last, Sign | QuantReLU) else None
        roles = [role_of(traced, node) for node in span]
        first_column = roles.index(Role.COLUMN) if Role.COLUMN in roles else len(span)
        acc_pools = pools_of(traced, span[:first_column], taken)
        sink_name = "scores" if activation is None else node_name(span[-1], "act", taken)
        code_pools = pools_of(traced, span[first_column:], taken)
        layers.append(Layer(name, sink_name, dot, span[0], tuple(span[1:]), activation, before, acc_pools, code_pools))
    return Chain(traced, quantizer, quantize_node, tuple(layers), channels_first)


def pools_of(traced: fx.GraphModule, nodes: list[fx.Node], taken: set[str]) -> tuple[Pool, ...]:
    """The pools among the nodes; `taken` grows by their names."""
    pools = []
    for node in nodes:
        module = module_of(traced, node)
        if isinstance(module, nn.MaxPool2d):
            pools.append(Pool(node_name(node, "pool", taken), node, pair(module.kernel_size), pair(module.stride)))
    return tuple(pools)
