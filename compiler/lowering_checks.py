"""Which operations of a traced module have no integer form, by themselves or where they stand."""

from collections.abc import Iterator

from torch import fx, nn

from ..train.layers import QuantConv2d, QuantLinear
from .lowering_roles import SIZE_METHODS, Role, module_of, pair, reason_for, role_of

__all__ = ["data_nodes", "misplaced", "unsupported"]


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
