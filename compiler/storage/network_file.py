"""The network file: one `.safetensors` file that either loads as exactly what was saved, or is refused in one line.

Layout (the safetensors format, written canonically: sorted keys, no spaces, tensors by name without gaps):

    8 bytes   length of the header, little-endian
    header    JSON: each tensor's dtype, shape and place; the metadata has one key, "xnorflow", whose text is JSON
              again: format, version, nodes, class names, provenance, sha256; spaces up to a multiple of 8 bytes
    tensors   weights one bit a bit; thresholds and other constants in the least integer type that holds them

The SHA-256 covers the inner JSON (without itself) and every tensor byte. The loader parses strictly, verifies the
network and re-serialises it: other bytes than those read are refused. That is integrity, not authenticity.
"""

import hashlib
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import NetworkFileError
from ...files import atomic_write
from ..ir import IntegerNetwork
from ..verify import verify
from .fields import MAX_COUNT, Array, canonical, integers, mapping, parse_json, text_of, texts
from .nodes import build_node, describe, node_tensors

__all__ = ["FORMAT", "VERSION", "load_network", "network_bytes", "network_hash", "save_network", "stored_tensors"]

FORMAT = "xnorflow-network"
VERSION = 1
KEY = "xnorflow"
MAX_FILE = 1 << 32  # larger than any network this can describe; bounds what a foreign file makes us read
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
        tensors |= node_tensors(node)
    return dict(sorted(tensors.items()))


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
