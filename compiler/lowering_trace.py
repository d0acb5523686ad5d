"""A module read by torch.fx as a chain: input quantizer, then dot products, each with what follows up to its codes.

Everything unsupported is collected and reported at once, by its qualified name and with the reason.
"""

import copy
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import torch
from torch import fx, nn

from ..errors import UnsupportedLayerError, UsageError
from ..train.layers import ChannelsFirst, InputQuantizer, QuantConv2d, QuantLinear, QuantReLU, ScoreNorm, Sign
from .names import identifier

__all__ = ["Chain", "Layer", "trace"]


class Role(Enum):
    """What an operation of the graph is to the integer network."""

    SHAPE = auto()  # leaves every value as it is, in C order
    QUANTIZE = auto()  # raw samples to integers
    CHANNELS = auto()  # raw images' channels to the front
    DOT = auto()  # a dot product of integers
    POOL = auto()  # the largest of a window
    COLUMN = auto()  # acts on each neuron's accumulator for itself: belongs into thresholds or scores
    CODES = auto()  # accumulators to codes


ROLES: tuple[tuple[type[nn.Module], Role], ...] = (
    (InputQuantizer, Role.QUANTIZE),
    (ChannelsFirst, Role.CHANNELS),
    (QuantLinear, Role.DOT),
    (QuantConv2d, Role.DOT),
    (nn.MaxPool2d, Role.POOL),
    (Sign, Role.CODES),
    (QuantReLU, Role.CODES),
    (nn.BatchNorm1d, Role.COLUMN),  # with the subclasses BatchNorm1d and ScoreNorm of train.layers
    (nn.BatchNorm2d, Role.COLUMN),
    (nn.ReLU, Role.COLUMN),
    (nn.Hardtanh, Role.COLUMN),
    (nn.Flatten, Role.SHAPE),
    (nn.Dropout, Role.SHAPE),
    (nn.Dropout2d, Role.SHAPE),
    (nn.Identity, Role.SHAPE),
)
SHAPE_FUNCTIONS = {torch.flatten, torch.reshape}
SHAPE_METHODS = {"flatten", "view", "reshape", "contiguous", "float"}
COLUMN_FUNCTIONS = {operator.add, operator.sub, operator.mul, operator.truediv, operator.neg}
COLUMN_FUNCTIONS |= {torch.add, torch.sub, torch.mul, torch.div, torch.neg}
COLUMN_METHODS = {"add", "sub", "mul", "div", "neg"}
SIZE_METHODS = {"size", "dim"}

REASONS: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((nn.Linear,), "has float weights; use QuantLinear or BinaryLinear"),
    ((nn.Conv2d,), "has float weights; use QuantConv2d"),
    ((nn.Conv1d, nn.Conv3d), "convolutions of one or three dimensions have no integer form here"),
    ((nn.BatchNorm3d,), "works on volumes; use BatchNorm1d or BatchNorm2d"),
    ((nn.AvgPool2d, nn.AdaptiveAvgPool2d), "average pools have no integer form here yet; use nn.MaxPool2d"),
    ((nn.LayerNorm, nn.GroupNorm), "depends on the whole sample; use BatchNorm1d"),
    ((nn.Softmax, nn.LogSoftmax), "does not change the class; leave it out, or keep it in the loss"),
    ((nn.RNNBase, nn.RNNCellBase), "recurrent layers have no integer form here yet"),
)
FUNCTION_REASONS: dict[object, str] = {
    torch.sign: "is 0 at 0; use the Sign layer, which is +1 there",
    torch.relu: "use a QuantReLU layer, which yields codes",
    nn.functional.relu: "use a QuantReLU layer, which yields codes",
    nn.functional.softmax: "does not change the class; leave it out",
    nn.functional.log_softmax: "does not change the class; leave it out",
    nn.functional.dropout: "use an nn.Dropout layer, which evaluation switches off",
}


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


# --- classification ------------------------------------------------------------------------------------------------


def module_of(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The layer that a node calls, or None."""
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def role_of(traced: fx.GraphModule, node: fx.Node) -> Role | None:
    """The role of a node that works on data; None if it has none."""
    match node.op:
        case "call_module":
            module = module_of(traced, node)
            return next((role for kind, role in ROLES if isinstance(module, kind)), None)
        case "call_function":
            functions = ((SHAPE_FUNCTIONS, Role.SHAPE), (COLUMN_FUNCTIONS, Role.COLUMN))
            return next((role for known, role in functions if node.target in known), None)
        case "call_method":
            methods = ((SHAPE_METHODS, Role.SHAPE), (COLUMN_METHODS, Role.COLUMN))
            return next((role for known, role in methods if node.target in known), None)
    return None


def data_nodes(traced: fx.GraphModule) -> list[fx.Node]:
    """The nodes that carry samples, from the placeholder on: neither parameters nor sizes."""
    data: dict[fx.Node, None] = {}
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            data[node] = None
        elif node.op != "output" and any(source in data for source in node.all_input_nodes):
            is_size = node.op == "call_method" and node.target in SIZE_METHODS
            is_size |= node.op == "call_function" and node.target is getattr and node.args[1] in ("shape", "ndim")
            if not is_size:
                data[node] = None
    return list(data)


def sizes_of(traced: fx.GraphModule) -> set[fx.Node]:
    """The nodes that carry extents of samples, such as the 0th of x.shape."""
    data = set(data_nodes(traced))
    sizes: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if node not in data and any(source in data or source in sizes for source in node.all_input_nodes):
            sizes.add(node)
    return sizes


def unsupported(traced: fx.GraphModule) -> Iterator[tuple[fx.Node, str]]:
    """Operations that have no integer form wherever they stand."""
    for node in data_nodes(traced):
        module = module_of(traced, node)
        if node.op == "placeholder":
            continue
        if role_of(traced, node) is None:
            yield node, reason_for(node, module)
        elif isinstance(module, QuantConv2d | QuantLinear) and module.weight_quantizer.encoding not in (
            "bipolar",
            "unsigned",
        ):
            yield node, f"has {type(module.weight_quantizer).__name__}, which are no integers; use BinaryWeights"
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_var is None:
            yield node, "has no running statistics, so its outputs depend on the batch"
        elif isinstance(module, nn.MaxPool2d) and (
            pair(module.padding) != (0, 0) or pair(module.dilation) != (1, 1) or module.ceil_mode
        ):
            yield node, "has padding, dilation or ceil_mode; pools have kernel_size and stride alone"
        elif isinstance(module, nn.MaxPool2d) and module.return_indices:
            yield node, "returns indices"


def reason_for(node: fx.Node, module: nn.Module | None) -> str:
    """Why an unknown operation has no integer form."""
    if module is not None:
        for kinds, reason in REASONS:
            if isinstance(module, kinds):
                return reason
        return "has no integer form; Sign and QuantReLU are the activations"
    return FUNCTION_REASONS.get(node.target, "has no integer form")


def misplaced(traced: fx.GraphModule) -> Iterator[tuple[fx.Node, str]]:
    """Supported operations in an order that makes no integer network."""
    data = data_nodes(traced)
    sizes = sizes_of(traced)
    placeholders = [node for node in data if node.op == "placeholder"]
    for extra in placeholders[1:]:
        yield extra, "is a second input"
    tail = placeholders[0]
    before: Role | None = None  # the last role but SHAPE and POOL; None: raw samples
    channels_first = pooled = False  # pooled: behind normalisation, with no activation yet
    for node in data:
        if node.op == "placeholder":
            continue
        sources = [source for source in node.all_input_nodes if source in data]
        if sources != [tail]:
            yield node, "joins or splits the chain; branches have no integer form here yet"
        tail = node
        role = role_of(traced, node)
        maps = isinstance(module_of(traced, node), QuantConv2d | nn.MaxPool2d)
        if maps and not channels_first:
            yield node, "works on (B, C, H, W); put ChannelsFirst in front, raw images are (B, H, W, C)"
        elif role is Role.CHANNELS and (channels_first or before not in (None, Role.QUANTIZE)):
            yield node, "does not stand in front of all layers; it turns the raw images, once"
        elif role is Role.COLUMN and pooled:
            yield node, "follows a pool behind a normalisation; pool right behind the convolution or at the activation"
        elif role is Role.QUANTIZE and (before is not None or channels_first):
            yield node, "stands behind other layers; it belongs in front of the first"
        elif role is Role.DOT and before in (Role.DOT, Role.COLUMN):
            yield node, "follows a dot product without an activation (Sign, QuantReLU) between"
        elif role is Role.COLUMN and before not in (Role.DOT, Role.COLUMN):
            yield node, "stands in front of a dot product; it belongs behind"
        elif role is Role.COLUMN and any(source in sizes for source in node.all_input_nodes):
            yield node, "computes with the shape of a tensor"
        elif role is Role.CODES and before not in (Role.DOT, Role.COLUMN):
            yield node, "has no dot product in front of it"
        channels_first |= role is Role.CHANNELS
        pooled = role is not Role.CODES and (pooled or (role is Role.POOL and before is Role.COLUMN))
        if role not in (Role.SHAPE, Role.POOL, Role.CHANNELS):
            before = role
    (output,) = (node for node in traced.graph.nodes if node.op == "output")
    if output.args[0] is not tail:
        yield output, "is not the result of the last layer"
    elif before not in (Role.DOT, Role.COLUMN):
        yield tail, "ends the module; the last layer must be a dot product, whose outputs are the scores"


def title(traced: fx.GraphModule, node: fx.Node) -> str:
    """How messages call a node: the module's qualified name and class, or the function and the module it is in."""
    module = module_of(traced, node)
    if module is not None:
        return f"{node.target} ({type(module).__name__})"
    if node.op in ("placeholder", "output"):
        return f"{node.op} {node.name}"
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    inside = [path for path, _ in node.meta.get("nn_module_stack", {}).values() if path]
    return f"{name} in {inside[-1] if inside else 'forward'}"


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


def pair(extent: int | tuple[int, ...]) -> tuple[int, int]:
    """(vertical, horizontal) of an extent that may be given once for both."""
    vertical, horizontal = (extent, extent) if isinstance(extent, int) else extent
    return vertical, horizontal


def node_name(node: fx.Node, prefix: str, taken: set[str]) -> str:
    """A node name after the module's qualified name; `taken` grows by it."""
    name = identifier(str(node.target), prefix, taken)
    taken.add(name)
    return name
