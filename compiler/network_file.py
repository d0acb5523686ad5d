"""The network file: one `.safetensors` file that either loads as exactly what was saved, or is refused in one line.

Layout (the safetensors format, written canonically: sorted keys, no spaces, tensors by name without gaps):

    8 bytes   length of the header, little-endian
    header    JSON: each tensor's dtype, shape and place; the metadata has one key, "xnorflow", whose text is JSON
              again: format, version, nodes, class names, provenance, sha256; spaces up to a multiple of 8 bytes
    tensors   weights one bit a bit; thresholds and score constants in the least integer type that holds them

The SHA-256 covers the inner JSON (without itself) and every tensor byte. The loader parses strictly, verifies the
network and re-serialises it: other bytes than those read are refused. That is integrity, not authenticity.
"""

import hashlib
import json
import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NetworkFileError
from ..files import atomic_write
from .ir import (
    AccType,
    CodeType,
    Conv2d,
    Dense,
    Encoding,
    Input,
    InputTransform,
    IntegerNetwork,
    MaxPool,
    Node,
    Scores,
    Threshold,
    Weights,
)
from .packing import pack_codes, packed_size, unpack_codes
from .verify import verify

__all__ = ["FORMAT", "VERSION", "load_network", "network_bytes", "network_hash", "save_network", "stored_tensors"]

FORMAT = "xnorflow-network"
VERSION = 1
KEY = "xnorflow"
MAX_FILE = 1 << 32  # larger than any network this can describe; bounds what a foreign file makes us read
MAX_COUNT = 1 << 31  # of elements of a tensor, before anything is allocated for it

Array = NDArray[np.integer[Any]]
DTYPES: dict[str, np.dtype[np.integer[Any]]] = {
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
}


def save_network(network: IntegerNetwork, path: Path | str) -> str:
    """Write the network file atomically; returns the network's hash. UsageError if the network is not valid."""
    content, digest = serialise(verify(network))
    atomic_write(Path(path), content)
    return digest


def network_bytes(network: IntegerNetwork) -> bytes:
    """The bytes of the network file: equal networks give equal bytes."""
    return serialise(verify(network))[0]


def network_hash(network: IntegerNetwork) -> str:
    """The SHA-256 that the network file carries, 64 hexadecimal digits: it names this network and no other."""
    return serialise(verify(network))[1]


def load_network(path: Path | str) -> IntegerNetwork:
    """Read and verify a network file. NetworkFileError, in one line, for anything that `save_network` did not write."""
    path = Path(path)
    try:
        if not path.is_file():
            raise NetworkFileError(f"{path}: no such network file")
        if path.stat().st_size > MAX_FILE:
            raise NetworkFileError(f"{path}: {path.stat().st_size} bytes are too many for a network file")
        content = path.read_bytes()
    except OSError as error:
        raise NetworkFileError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return parse(content)
    except NetworkFileError as error:
        raise NetworkFileError(f"{path}: {error}") from error


# --- writing ---------------------------------------------------------------------------------------------------


def stored_tensors(network: IntegerNetwork) -> dict[str, Array]:
    """The tensors of the file by name, as they are stored; their bytes are the file's data section."""
    tensors: dict[str, Array] = {}
    for node in network.nodes:
        match node:
            case Dense() | Conv2d():
                tensors[f"{node.name}.weights"] = pack_codes(node.weights.codes, node.weights.bits)
            case Threshold():
                tensors[f"{node.name}.thresholds"] = narrowest(node.thresholds)
                tensors[f"{node.name}.descending"] = pack_codes(node.descending.astype(np.uint8), 1)
            case Scores():
                tensors[f"{node.name}.multiplier"] = narrowest(node.multiplier)
                tensors[f"{node.name}.offset"] = narrowest(node.offset)
    return dict(sorted(tensors.items()))


def narrowest(values: NDArray[np.int64]) -> Array:
    """The same integers in the least of int8, int16, int32, int64 that holds them."""
    lo, hi = int(values.min()), int(values.max())
    width = next(bits for bits in (8, 16, 32, 64) if -(1 << bits - 1) <= lo and hi < 1 << bits - 1)
    return values.astype(DTYPES[f"I{width}"])


def serialise(network: IntegerNetwork) -> tuple[bytes, str]:
    """File content and hash of a verified network."""
    tensors = stored_tensors(network)
    data = b"".join(tensor.tobytes() for tensor in tensors.values())
    names = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, Any] = {}
    start = 0
    for name, tensor in tensors.items():
        end = start + tensor.nbytes
        header[name] = {"data_offsets": [start, end], "dtype": names[tensor.dtype], "shape": list(tensor.shape)}
        start = end
    described = {
        "class_names": list(network.class_names),
        "format": FORMAT,
        "nodes": [describe(node) for node in network.nodes],
        "provenance": dict(network.provenance),
        "tensors": {name: {"dtype": entry["dtype"], "shape": entry["shape"]} for name, entry in header.items()},
        "version": VERSION,
    }
    digest = digest_of(described, data)
    header["__metadata__"] = {KEY: canonical(described | {"sha256": digest})}
    text = canonical(header).encode("ascii")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data, digest


def describe(node: Node) -> dict[str, Any]:
    """A node without its arrays, as JSON."""
    entry: dict[str, Any] = {"kind": node.kind, "name": node.name, "inputs": list(node.inputs)}
    entry["shape"] = list(node.type.shape)
    if isinstance(node.type, CodeType):
        entry |= {"bits": node.type.bits, "encoding": str(node.type.encoding)}
    else:
        entry["range"] = [node.type.lo, node.type.hi]
    match node:
        case Input():
            entry["transform"] = (
                None if node.transform is None else [float(node.transform.lo), float(node.transform.hi)]
            )
        case Conv2d():
            entry |= {name: list(getattr(node, name)) for name in ("kernel", "stride", "padding", "dilation")}
            entry["pad_code"] = node.pad_code
        case MaxPool():
            entry |= {"kernel": list(node.kernel), "stride": list(node.stride)}
    match node:
        case Dense() | Conv2d():
            rows, columns = node.weights.codes.shape
            entry["weights"] = {"bits": node.weights.bits, "columns": columns, "encoding": str(node.weights.encoding)}
            entry["weights"]["rows"] = rows
    return entry


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_of(described: Mapping[str, Any], data: bytes) -> str:
    """SHA-256 over the canonical description (without its own hash) and the tensor bytes."""
    return hashlib.sha256(canonical(described).encode("ascii") + b"\n" + data).hexdigest()


# --- reading ---------------------------------------------------------------------------------------------------


def parse(content: bytes) -> IntegerNetwork:
    """The network of a file's content; NetworkFileError without the path."""
    if len(content) < 8:
        raise NetworkFileError(f"{len(content)} bytes are too few for a network file")
    (length,) = struct.unpack("<Q", content[:8])
    if length > len(content) - 8:
        raise NetworkFileError("truncated, or not a safetensors file: the header does not fit into the file")
    header = parse_json(content[8 : 8 + length], "not a safetensors file: the header")
    data = content[8 + length :]
    text = mapping(header.get("__metadata__", {}), "metadata").get(KEY)
    if not isinstance(text, str):
        raise NetworkFileError(f"a safetensors file of something else: it has no {KEY!r} entry")
    described = parse_json(text.encode(errors="replace"), "damaged: the description")
    if described.get("format") != FORMAT:
        raise NetworkFileError(f"format {described.get('format')!r} instead of {FORMAT!r}")
    if described.get("version") != VERSION:
        raise NetworkFileError(f"version {described.get('version')!r} of the format; this program reads {VERSION}")
    stated = described.pop("sha256", None)
    if stated != digest_of(described, data):
        raise NetworkFileError("damaged: content and SHA-256 do not agree")
    network = build(described, tensors_of(header, data))
    if serialise(network)[0] != content:
        raise NetworkFileError("damaged, or not written by this program: saving it again gives other bytes")
    return network


def parse_json(text: bytes, what: str) -> dict[str, Any]:
    """A JSON object without NaN and infinities (which would not be canonical)."""

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(text, parse_constant=refuse)
        canonical(value)  # a number like 1e999 is JSON and becomes infinite all the same
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise NetworkFileError(f"{what} is not valid JSON") from error
    return mapping(value, what)


def tensors_of(header: Mapping[str, Any], data: bytes) -> dict[str, Array]:
    """The tensors that the safetensors header places in the data section."""
    tensors: dict[str, Array] = {}
    for name, raw in header.items():
        if name == "__metadata__":
            continue
        where = f"tensor {name}"
        entry = mapping(raw, where)
        dtype = DTYPES.get(text_of(entry, "dtype", where))
        if dtype is None:
            raise NetworkFileError(f"{where}: dtype {entry['dtype']!r} is none of {', '.join(DTYPES)}")
        shape = integers(entry, "shape", where)
        place = integers(entry, "data_offsets", where)
        count = math.prod(shape)
        if min(shape, default=1) < 1 or count > MAX_COUNT:
            raise NetworkFileError(f"{where}: shape {list(shape)} is not possible")
        if (
            len(place) != 2
            or not 0 <= place[0] <= place[1] <= len(data)
            or place[1] - place[0] != count * dtype.itemsize
        ):
            raise NetworkFileError(f"{where}: place {list(place)} does not fit its shape or the file")
        tensors[name] = np.frombuffer(data, dtype, count, place[0]).reshape(shape)
    return tensors


def build(described: Mapping[str, Any], tensors: Mapping[str, Array]) -> IntegerNetwork:
    """The verified network of a description and its tensors."""
    entries = described.get("nodes")
    if not isinstance(entries, list):
        raise NetworkFileError("nodes must be a list")
    nodes = tuple(build_node(mapping(entry, "a node"), tensors) for entry in entries)
    names = texts(described, "class_names", "the network")
    provenance = mapping(described.get("provenance"), "provenance")
    if not all(isinstance(value, str) for value in provenance.values()):
        raise NetworkFileError("provenance must hold text")
    return verify(IntegerNetwork(nodes, names, provenance), NetworkFileError)


def build_node(entry: Mapping[str, Any], tensors: Mapping[str, Array]) -> Node:
    """One node; its arrays come from `tensors`."""
    kind = text_of(entry, "kind", "a node")
    name = text_of(entry, "name", "a node")
    where = f"node {name}"
    inputs = texts(entry, "inputs", where)

    def tensor(part: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
        found = tensors.get(f"{name}.{part}")
        if found is None or found.shape != shape:
            raise NetworkFileError(f"{where}: no tensor {name}.{part} of shape {list(shape)}")
        return found.astype(np.int64)

    def packed(part: str, count: int, bits: int) -> NDArray[np.uint8]:
        return unpack_codes(tensor(part, (packed_size(count, bits),)).astype(np.uint8), count, bits)

    match kind:
        case "input":
            return Input(name, inputs, code_type(entry, where), transform_of(entry, where))
        case "dense":
            return Dense(name, inputs, acc_type(entry, where), weights_of(mapping(entry.get("weights"), where), packed))
        case "conv2d":
            weights = weights_of(mapping(entry.get("weights"), where), packed)
            kernel, stride, padding, dilation = (
                pair(entry, key, where) for key in ("kernel", "stride", "padding", "dilation")
            )
            pad_code = None if entry.get("pad_code") is None else integer(entry["pad_code"], f"{where}: pad_code")
            return Conv2d(name, inputs, acc_type(entry, where), weights, kernel, stride, padding, dilation, pad_code)
        case "maxpool":
            pooled = code_type(entry, where) if "bits" in entry else acc_type(entry, where)
            return MaxPool(name, inputs, pooled, pair(entry, "kernel", where), pair(entry, "stride", where))
        case "threshold":
            codes = code_type(entry, where)
            rows = codes.shape[-1]
            descending = packed("descending", rows, 1).astype(np.bool_)
            return Threshold(name, inputs, codes, tensor("thresholds", (rows, codes.max_code)), descending)
        case "scores":
            scores = acc_type(entry, where)
            return Scores(name, inputs, scores, tensor("multiplier", scores.shape), tensor("offset", scores.shape))
    known = "input, dense, conv2d, maxpool, threshold, scores"
    raise NetworkFileError(f"{where}: kind {kind!r} is none of {known}")


def weights_of(entry: Mapping[str, Any], packed: Callable[[str, int, int], NDArray[np.uint8]]) -> Weights:
    """The weight matrix of a dot product."""
    where = "weights"
    rows, columns, bits = (integer(entry.get(key), f"{where}: {key}") for key in ("rows", "columns", "bits"))
    if not (1 <= bits <= 8 and rows >= 1 and columns >= 1 and rows * columns <= MAX_COUNT):
        raise NetworkFileError(f"{where}: {rows} rows, {columns} columns of {bits} bits are not possible")
    return Weights(packed("weights", rows * columns, bits).reshape(rows, columns), bits, encoding_of(entry, where))


def code_type(entry: Mapping[str, Any], where: str) -> CodeType:
    """A type of codes."""
    bits = integer(entry.get("bits"), f"{where}: bits")
    shape = integers(entry, "shape", where)
    if not 1 <= bits <= 8 or not 0 < math.prod(shape) <= MAX_COUNT or min(shape, default=0) < 1:
        raise NetworkFileError(f"{where}: shape {list(shape)} of {bits} bits is not possible")
    return CodeType(shape, bits, encoding_of(entry, where))


def acc_type(entry: Mapping[str, Any], where: str) -> AccType:
    """A type of accumulators or scores."""
    bounds = integers(entry, "range", where)
    if len(bounds) != 2:
        raise NetworkFileError(f"{where}: a range has two ends, not {len(bounds)}")
    return AccType(integers(entry, "shape", where), *bounds)


def pair(entry: Mapping[str, Any], key: str, where: str) -> tuple[int, int]:
    """A vertical and a horizontal extent."""
    found = integers(entry, key, where)
    if len(found) != 2:
        raise NetworkFileError(f"{where}: {key} must be two integers, not {len(found)}")
    return found[0], found[1]


def transform_of(entry: Mapping[str, Any], where: str) -> InputTransform | None:
    """The input transform of an input node."""
    value = entry.get("transform")
    if value is None:
        return None
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(end, float) for end in value)):
        raise NetworkFileError(f"{where}: transform must be two real numbers, not {value!r}")
    return InputTransform(*value)


def encoding_of(entry: Mapping[str, Any], where: str) -> Encoding:
    """The encoding of codes."""
    try:
        return Encoding(text_of(entry, "encoding", where))
    except ValueError as error:
        raise NetworkFileError(f"{where}: encoding {entry['encoding']!r} is not known") from error


def mapping(value: object, where: str) -> dict[str, Any]:
    """`value`, which must be a JSON object."""
    if not isinstance(value, dict):
        raise NetworkFileError(f"{where} must be a JSON object")
    return value


def text_of(entry: Mapping[str, Any], key: str, where: str) -> str:
    """The text under `key`."""
    value = entry.get(key)
    if not isinstance(value, str):
        raise NetworkFileError(f"{where}: {key} must be text")
    return value


def texts(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """The list of texts under `key`."""
    value = entry.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise NetworkFileError(f"{where}: {key} must be a list of texts")
    return tuple(value)


def integers(entry: Mapping[str, Any], key: str, where: str) -> tuple[int, ...]:
    """The list of integers under `key`."""
    value = entry.get(key)
    if not isinstance(value, list):
        raise NetworkFileError(f"{where}: {key} must be a list of integers")
    return tuple(integer(item, f"{where}: {key}") for item in value)


def integer(value: object, where: str) -> int:
    """`value`, which must be an integer of at most 64 bits (true is none)."""
    if not isinstance(value, int) or isinstance(value, bool) or value.bit_length() > 63:
        raise NetworkFileError(f"{where} must be an integer")
    return value
