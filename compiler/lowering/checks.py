"""Which operations of a traced module have no integer form, by themselves or where they stand."""

from collections.abc import Iterator, Sequence
from enum import Enum, auto

from torch import fx, nn

from ...train.layers.modules import QuantConv2d, QuantLinear
from ...train.layers.recurrent import QuantRecurrent
from ..types import Encoding
from .roles import Role, data_inputs, data_nodes, module_of, pair, reason_for, role_of

__all__ = ["Flow", "flows", "misplaced", "pool_problems", "unsupported"]


class Flow(Enum):
    """What a node of the graph yields."""

    RAW = auto()  # samples, in front of the input quantizer
    CODES = auto()  # the integers that codes stand for
    ACC = auto()  # accumulators: integers that a dot product or a sum yields
    REAL = auto()  # numbers that an operation on columns has made of either
    POOLED = auto()  # the largest of those


AFTER: dict[Role, Flow] = {
    Role.QUANTIZE: Flow.CODES,
    Role.CODES: Flow.CODES,
    Role.JOIN: Flow.CODES,
    Role.RECURRENT: Flow.CODES,
    Role.DOT: Flow.ACC,
    Role.SUM: Flow.ACC,
    Role.SUM_POOL: Flow.ACC,
    Role.COLUMN: Flow.REAL,
}
"""What a role yields, where that does not depend on what comes in."""


def flows(traced: fx.GraphModule) -> dict[fx.Node, Flow]:
    """What each node that carries samples yields. Without an input quantizer the samples are integers already."""
    nodes = data_nodes(traced)
    quantized = any(role_of(traced, node) is Role.QUANTIZE for node in nodes)
    found: dict[fx.Node, Flow] = {}
    for node in nodes:
        role = role_of(traced, node)
        if node.op == "placeholder" or role is None:
            found[node] = Flow.RAW if quantized else Flow.CODES
        elif role in AFTER:
            found[node] = AFTER[role]
        else:
            before = found[data_inputs(node)[0]]
            found[node] = Flow.POOLED if role is Role.POOL and before is Flow.REAL else before
    return found


def unsupported(traced: fx.GraphModule) -> Iterator[tuple[fx.Node, str]]:
    """Operations that have no integer form wherever they stand."""
    for node in data_nodes(traced):
        module = module_of(traced, node)
        if node.op == "placeholder":
            continue
        role = role_of(traced, node)
        if role is None:
            yield node, reason_for(node, module)
        elif role not in (Role.SUM, Role.JOIN) and len(data_inputs(node)) > 1:
            yield node, "takes several tensors; sums and concatenations of codes alone do"
        elif role is Role.SUM and (len(data_inputs(node)) != 2 or node.kwargs):
            yield node, "adds with a factor; only plain sums of two tensors have an integer form"
        elif role is Role.JOIN and (node.args[1:] or node.kwargs.get("dim"), node.kwargs.get("axis")) not in (
            ((1,), None),
            (1, None),
            (None, 1),
        ):
            yield node, "concatenates along another axis than the channels; use dim=1"
        elif role is Role.JOIN and len(joined(node)) != len(data_inputs(node)):
            yield node, "concatenates a tensor with itself or with a constant"
        elif isinstance(
            module, QuantConv2d | QuantLinear | QuantRecurrent
        ) and module.weight_quantizer.encoding not in list(Encoding):
            yield (
                node,
                f"has {type(module.weight_quantizer).__name__}, which are no integers; use BinaryWeights or --int8",
            )
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is None:
            yield node, "has no running statistics, so its outputs depend on the batch"
        elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            yield from ((node, reason) for reason in pool_problems(module))


def joined(node: fx.Node) -> Sequence[object]:
    """What a concatenation is given, in order."""
    tensors = node.args[0] if node.args else node.kwargs["tensors"]
    return tensors if isinstance(tensors, Sequence) else ()


def pool_problems(module: nn.MaxPool2d | nn.AvgPool2d | nn.AdaptiveAvgPool2d) -> Iterator[str]:
    """What a pool of torch's own has that no pool here has."""
    if isinstance(module, nn.AdaptiveAvgPool2d):
        if module.output_size not in (1, (1, 1)):
            yield "yields more than one pixel; use SumPool2d with a kernel_size"
        return
    dilation = module.dilation if isinstance(module, nn.MaxPool2d) else 1
    if pair(module.padding) != (0, 0) or pair(dilation) != (1, 1) or module.ceil_mode:
        yield "has padding, dilation or ceil_mode; pools have kernel_size and stride alone"
    elif isinstance(module, nn.MaxPool2d) and module.return_indices:
        yield "returns indices"
    elif isinstance(module, nn.AvgPool2d) and module.divisor_override is not None:
        yield "has a divisor_override; use SumPool2d"


def misplaced(traced: fx.GraphModule) -> Iterator[tuple[fx.Node, str]]:
    """Supported operations in an order that makes no integer network."""
    data = data_nodes(traced)
    flow = flows(traced)
    for extra in [node for node in data if node.op == "placeholder"][1:]:
        yield extra, "is a second input"
    fresh: set[fx.Node] = set()  # nothing but the input's own layers so far
    turned: set[fx.Node] = set()  # channels first
    quantizers = 0
    for node in data:
        if node.op == "placeholder":
            fresh.add(node)
            continue
        role, sources = role_of(traced, node), data_inputs(node)
        before = [flow[source] for source in sources]
        is_fresh, is_turned = all(s in fresh for s in sources), any(s in turned for s in sources)
        quantizers += role is Role.QUANTIZE
        maps = role in (Role.POOL, Role.SUM_POOL) or isinstance(module_of(traced, node), QuantConv2d)
        if role is Role.QUANTIZE and (before != [Flow.RAW] or is_turned or not is_fresh or quantizers > 1):
            yield node, "stands behind other layers; it belongs in front of the first, once"
        elif role not in (Role.SHAPE, Role.CHANNELS, Role.QUANTIZE) and Flow.RAW in before and is_fresh:
            yield node, "stands in front of the InputQuantizer; it belongs behind"
        elif maps and not is_turned:
            yield node, "works on (B, C, H, W); put ChannelsFirst in front, raw images are (B, H, W, C)"
        elif role is Role.CHANNELS and (is_turned or not is_fresh):
            yield node, "does not stand in front of all layers; it turns the raw images, once"
        elif role is Role.COLUMN and Flow.POOLED in before:
            yield node, "follows a pool behind a normalisation; pool right behind the convolution or at the activation"
        elif role is Role.COLUMN and any(source not in sources for source in sizes_among(node)):
            yield node, "computes with the shape of a tensor"
        elif role in READ_CODES and any(kind not in (Flow.CODES, Flow.RAW) for kind in before):
            yield node, READ_CODES[role]
        fresh |= {node} if is_fresh and role in (Role.SHAPE, Role.CHANNELS, Role.QUANTIZE) else set()
        turned |= {node} if is_turned or role is Role.CHANNELS else set()
    (output,) = (node for node in traced.graph.nodes if node.op == "output")
    last = output.args[0]
    if not isinstance(last, fx.Node) or last not in flow:
        yield output, "is not the result of the last layer"
    elif flow[last] not in (Flow.ACC, Flow.REAL):
        yield last, "ends the module; the last layer must be a dot product or a sum, whose outputs are the scores"


READ_CODES: dict[Role | None, str] = {
    Role.DOT: "follows a dot product or a sum without an activation (Sign, QuantReLU, ...) between",
    Role.RECURRENT: "reads numbers that are no codes; put an activation on the grid of its state in front",
    Role.SUM: "adds numbers that are no codes; put an activation with codes behind both branches",
    Role.JOIN: "concatenates numbers that are no codes; put an activation with codes behind each branch",
    Role.SUM_POOL: "sums numbers that are no codes; put an activation in front",
}
"""The roles that read codes, and what to say where they get others."""


def sizes_among(node: fx.Node) -> list[fx.Node]:
    """The inputs of a node that are made of extents of samples, such as the 0th of x.shape."""
    seen: set[fx.Node] = set()

    def sized(source: fx.Node) -> bool:
        if source.meta["carries samples"] or source.op in ("get_attr", "placeholder") or source in seen:
            return False
        seen.add(source)
        return any(data_inputs(source)) or any(sized(inner) for inner in source.all_input_nodes)

    return [source for source in node.all_input_nodes if sized(source)]
