"""What each operation of a traced module is to the integer network, and why others have no integer form."""

import operator
from enum import Enum, auto
from typing import TypeAlias, get_args

import torch
from torch import fx, nn

from ...train.layers.activations import LinearQuant, LogQuant
from ...train.layers.modules import ChannelsFirst, InputQuantizer, QuantConv2d, QuantLinear, QuantReLU, Sign, SumPool2d
from ...train.layers.recurrent import QuantHardtanh, QuantRecurrent
from ...train.layers.sequences import FloatRecurrent
from ...train.layers.whitening import GcnZca
from ..names import identifier

__all__ = [
    "REASONS",
    "ROLES",
    "Role",
    "data_inputs",
    "data_nodes",
    "flattens",
    "mark_data",
    "module_of",
    "node_name",
    "pair",
    "reason_for",
    "role_of",
    "title",
]


class Role(Enum):
    """What an operation of the graph is to the integer network."""

    SHAPE = auto()  # leaves every value as it is, in C order
    QUANTIZE = auto()  # raw samples to integers
    CHANNELS = auto()  # raw images' channels to the front
    DOT = auto()  # a dot product of integers
    POOL = auto()  # the largest of a window
    SUM_POOL = auto()  # the sum of a window, an average's divisor left to what follows
    SUM = auto()  # two tensors of codes added
    JOIN = auto()  # tensors of codes one behind the other
    COLUMN = auto()  # acts on each neuron's accumulator for itself: belongs into thresholds or scores
    CODES = auto()  # accumulators to codes
    RECURRENT = auto()  # codes, time step by time step, to the codes of a state


Activation: TypeAlias = Sign | QuantReLU | LinearQuant | LogQuant | QuantHardtanh
ACTIVATIONS = get_args(Activation)

ROLES: tuple[tuple[type[nn.Module], Role], ...] = (
    (InputQuantizer, Role.QUANTIZE),
    (ChannelsFirst, Role.CHANNELS),
    (QuantLinear, Role.DOT),
    (QuantConv2d, Role.DOT),
    (QuantRecurrent, Role.RECURRENT),
    (nn.MaxPool2d, Role.POOL),
    (SumPool2d, Role.SUM_POOL),
    (nn.AvgPool2d, Role.SUM_POOL),
    (nn.AdaptiveAvgPool2d, Role.SUM_POOL),
    *((kind, Role.CODES) for kind in ACTIVATIONS),
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
JOIN_FUNCTIONS = {torch.cat, torch.concat, torch.concatenate}
ADDITIONS = {operator.add, torch.add, "add"}  # of two tensors; of one and a constant they act on columns
SIZE_METHODS = {"size", "dim"}
DATA = "carries samples"  # a key of a node's meta

REASONS: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((nn.Linear,), "has float weights; use QuantLinear or BinaryLinear"),
    ((nn.Conv2d,), "has float weights; use QuantConv2d"),
    ((nn.Conv1d, nn.Conv3d), "convolutions of one or three dimensions have no integer form here"),
    ((nn.BatchNorm3d,), "works on volumes; use BatchNorm1d or BatchNorm2d"),
    ((nn.LayerNorm, nn.GroupNorm), "depends on the whole sample; use BatchNorm1d"),
    ((nn.Softmax, nn.LogSoftmax), "does not change the class; leave it out, or keep it in the loss"),
    ((GcnZca,), "whitens samples by a matrix, which no network file holds; train without preprocess"),
    ((nn.RNNBase, nn.RNNCellBase, FloatRecurrent), "is a recurrent layer in float; use QuantLSTM or QuantRNN"),
)
FUNCTION_REASONS: dict[object, str] = {
    torch.sign: "is 0 at 0; use the Sign layer, which is +1 there",
    torch.relu: "use a QuantReLU layer, which yields codes",
    nn.functional.relu: "use a QuantReLU layer, which yields codes",
    nn.functional.softmax: "does not change the class; leave it out",
    nn.functional.log_softmax: "does not change the class; leave it out",
    nn.functional.avg_pool2d: "use a SumPool2d layer",
    nn.functional.adaptive_avg_pool2d: "use a SumPool2d layer",
    nn.functional.max_pool2d: "use an nn.MaxPool2d layer",
    nn.functional.dropout: "use an nn.Dropout layer, which evaluation switches off",
}


def module_of(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The layer that a node calls, or None."""
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def role_of(traced: fx.GraphModule, node: fx.Node) -> Role | None:
    """The role of a node that works on data; None if it has none."""
    if node.target in ADDITIONS and len(data_inputs(node)) > 1:
        return Role.SUM
    match node.op:
        case "call_module":
            module = module_of(traced, node)
            return next((role for kind, role in ROLES if isinstance(module, kind)), None)
        case "call_function":
            functions = ((SHAPE_FUNCTIONS, Role.SHAPE), (COLUMN_FUNCTIONS, Role.COLUMN), (JOIN_FUNCTIONS, Role.JOIN))
            return next((role for known, role in functions if node.target in known), None)
        case "call_method":
            methods = ((SHAPE_METHODS, Role.SHAPE), (COLUMN_METHODS, Role.COLUMN))
            return next((role for known, role in methods if node.target in known), None)
    return None


def mark_data(traced: fx.GraphModule) -> None:
    """Note at each node whether it carries samples, from the placeholder on: neither parameters nor sizes do."""
    for node in traced.graph.nodes:
        is_size = node.op == "call_method" and node.target in SIZE_METHODS
        is_size |= node.op == "call_function" and node.target is getattr and node.args[1] in ("shape", "ndim")
        fed = any(source.meta.get(DATA) for source in node.all_input_nodes)
        node.meta[DATA] = node.op == "placeholder" or (node.op != "output" and fed and not is_size)


def data_nodes(traced: fx.GraphModule) -> list[fx.Node]:
    """The nodes that carry samples; `mark_data` has found them."""
    return [node for node in traced.graph.nodes if node.meta[DATA]]


def data_inputs(node: fx.Node) -> list[fx.Node]:
    """The inputs of a node that carry samples, each once."""
    return [source for source in node.all_input_nodes if source.meta[DATA]]


def flattens(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether an operation of role SHAPE makes vectors of maps."""
    return isinstance(module, nn.Flatten) or (node.op != "call_module" and node.target not in ("contiguous", "float"))


def reason_for(node: fx.Node, module: nn.Module | None) -> str:
    """Why an unknown operation has no integer form."""
    if module is not None:
        for kinds, reason in REASONS:
            if isinstance(module, kinds):
                return reason
        return "has no integer form; Sign, QuantReLU, LinearQuant and LogQuant are the activations"
    return FUNCTION_REASONS.get(node.target, "has no integer form")


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


def pair(extent: int | tuple[int, ...]) -> tuple[int, int]:
    """(vertical, horizontal) of an extent that may be given once for both."""
    vertical, horizontal = (extent, extent) if isinstance(extent, int) else extent
    return vertical, horizontal


def node_name(node: fx.Node, prefix: str, taken: set[str]) -> str:
    """A node name after the module's qualified name, or the function's; `taken` grows by it."""
    if node.op == "call_module":
        text = str(node.target)
    else:
        inside = [path for path, _ in node.meta.get("nn_module_stack", {}).values() if path]
        text = ".".join([*inside[-1:], prefix])
    name = identifier(text, prefix, taken)
    taken.add(name)
    return name
