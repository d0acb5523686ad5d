import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import kinds, random_network

from xnorflow.compiler import golden
from xnorflow.compiler.ir import AccType, Encoding, InputTransform, IntegerNetwork
from xnorflow.compiler.storage.network_file import (
    load_network,
    network_bytes,
    network_hash,
    parse,
    save_network,
    stored_tensors,
)
from xnorflow.errors import NetworkFileError, UsageError


def small() -> IntegerNetwork:
    network = random_network([3, 2, 2], seed=5)
    nodes = (replace(network.input, transform=InputTransform(0.0, 255.0)), *network.nodes[1:])
    return replace(network, nodes=nodes, class_names=("cat", "chien \N{DOG}"), provenance={"seed": "5"})


def parts(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, description and data of a file's content."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["xnorflow"]), content[8 + length :]


def assembled(header: dict[str, Any], described: dict[str, Any], data: bytes) -> bytes:
    """A file of these parts with a hash that fits: what a forger, or a newer program, would write."""
    described = {key: value for key, value in described.items() if key != "sha256"}
    text = json.dumps(described, sort_keys=True, separators=(",", ":"))
    described["sha256"] = hashlib.sha256(text.encode() + b"\n" + data).hexdigest()
    metadata = {"xnorflow": json.dumps(described, sort_keys=True, separators=(",", ":"))}
    text = json.dumps(header | {"__metadata__": metadata}, sort_keys=True, separators=(",", ":"))
    padded = text.encode() + b" " * (-len(text) % 8)
    return struct.pack("<Q", len(padded)) + padded + data


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(1, 20), min_size=2, max_size=4),
    st.sampled_from(kinds()),
    st.sampled_from(kinds(4)),
    st.sampled_from(kinds()),
    st.integers(0, 999),
)
def test_what_is_saved_is_what_is_loaded(widths, source, hidden, weights, seed: int):
    network = random_network(widths, source, hidden, weights, seed)
    content = network_bytes(network)
    loaded = parse(content)
    assert network_bytes(loaded) == content
    assert [node.kind for node in loaded.nodes] == [node.kind for node in network.nodes]
    assert [node.type for node in loaded.nodes] == [node.type for node in network.nodes]
    codes = np.random.default_rng(seed).integers(0, network.input.type.max_code + 1, (4, widths[0]), dtype=np.uint8)
    ours, theirs = golden.run(network, codes), golden.run(loaded, codes)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_everything_beside_the_numbers_comes_back(tmp_path: Path):
    path = tmp_path / "deep" / "network.safetensors"
    digest = save_network(small(), path)
    loaded = load_network(path)
    assert loaded.class_names == ("cat", "chien \N{DOG}")
    assert dict(loaded.provenance) == {"seed": "5"}
    assert loaded.input.transform == InputTransform(0.0, 255.0)
    assert digest == network_hash(loaded) == network_hash(small())
    assert [entry.name for entry in path.parent.iterdir()] == ["network.safetensors"]


def test_the_safetensors_library_reads_the_same_tensors():
    network = random_network([9, 5, 3], (8, Encoding.UNSIGNED), (2, Encoding.UNSIGNED), seed=2)
    read = safetensors.numpy.load(network_bytes(network))
    stored = stored_tensors(network)
    assert list(stored) == sorted(read)
    for name, tensor in stored.items():
        assert read[name].dtype == tensor.dtype and np.array_equal(read[name], tensor)


def test_the_data_section_is_the_stored_tensors():
    network = random_network([784, 32, 10])
    data = parts(network_bytes(network))[2]
    assert len(data) == sum(tensor.nbytes for tensor in stored_tensors(network).values())
    assert stored_tensors(network)["dense0.weights"].nbytes == 784 * 32 // 8


@pytest.mark.parametrize(
    ("value", "width"),
    [(127, 1), (128, 2), (-128, 1), (-129, 2), (32767, 2), (32768, 4), (-(1 << 31), 4), (1 << 31, 8), (-(1 << 60), 8)],
)
def test_constants_take_the_least_integer_that_holds_them(value: int, width: int):
    network = random_network([4, 2])
    scores = replace(network.scores, offset=np.array([0, value]), type=AccType((2,), -(1 << 61), 1 << 61))
    tensors = stored_tensors(replace(network, nodes=(*network.nodes[:-1], scores)))
    assert tensors["scores.offset"].itemsize == width
    assert tensors["scores.offset"].tolist() == [0, value]


def test_other_networks_have_other_hashes():
    network = small()
    others = [
        replace(network, class_names=("cat", "dog")),
        replace(network, provenance={}),
        replace(network, nodes=(replace(network.input, transform=None), *network.nodes[1:])),
        random_network([3, 2, 2], seed=6),
    ]
    assert len({network_hash(other) for other in [network, *others]}) == 5


def test_an_invalid_network_is_not_written(tmp_path: Path):
    with pytest.raises(UsageError, match="2 scores"):
        save_network(replace(small(), class_names=("cat",)), tmp_path / "network.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_every_single_flipped_bit_is_refused():
    content = network_bytes(small())
    data_size = len(parts(content)[2])
    for position in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(NetworkFileError) as caught:
            parse(bytes(damaged))
        assert "\n" not in str(caught.value)
        if position // 8 >= len(content) - data_size:
            assert str(caught.value) == "damaged: content and SHA-256 do not agree"


def test_every_truncation_and_every_appended_byte_is_refused():
    content = network_bytes(small())
    for length in range(len(content)):
        with pytest.raises(NetworkFileError):
            parse(content[:length])
    for tail in (b"\0", b" ", b"\0" * 8):
        with pytest.raises(NetworkFileError):
            parse(content + tail)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(content: bytes):
    with pytest.raises(NetworkFileError):
        parse(content)
    with pytest.raises(NetworkFileError):
        parse(struct.pack("<Q", len(content)) + content)


FOREIGN = [
    (b"", "0 bytes are too few"),
    (b"PK\x03\x04 a torch.save file is a zip archive", "not a safetensors file"),
    (struct.pack("<Q", 1 << 62) + b"{}", "truncated, or not a safetensors file"),
    (struct.pack("<Q", 2) + b"[]", "must be a JSON object"),
    (struct.pack("<Q", 2) + b"{]", "is not valid JSON"),
    (struct.pack("<Q", 9) + b'{"a":NaN}', "is not valid JSON"),
    (struct.pack("<Q", 11) + b'{"a":1e999}', "is not valid JSON"),
    (struct.pack("<Q", 5006) + b'{"a":' + b"[" * 5000 + b"}", "is not valid JSON"),
    (struct.pack("<Q", 200000) + b"[" * 200000, "is not valid JSON"),
    (struct.pack("<Q", 6005) + b'{"a":' + b"9" * 5999 + b"}", "is not valid JSON"),
    (safetensors.numpy.save({"weight": np.zeros(3)}), "a safetensors file of something else"),
    (safetensors.numpy.save({"weight": np.zeros(3)}, {"format": "pt"}), "a safetensors file of something else"),
    (safetensors.numpy.save({"weight": np.zeros(3)}, {"xnorflow": "{}"}), "format None instead of"),
    (safetensors.numpy.save({"weight": np.zeros(3)}, {"xnorflow": "1"}), "must be a JSON object"),
]


@pytest.mark.parametrize(("content", "complaint"), FOREIGN, ids=[complaint for _, complaint in FOREIGN])
def test_foreign_files_are_refused_in_one_line(content: bytes, complaint: str, tmp_path: Path):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(NetworkFileError, match=complaint) as caught:
        load_network(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def node_of(described: dict[str, Any], name: str) -> dict[str, Any]:
    return next(node for node in described["nodes"] if node["name"] == name)


def set_in(name: str, key: str, value: object) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, described: node_of(described, name).update({key: value})


def set_top(key: str, value: object) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, described: described.update({key: value})


def set_tensor(name: str, key: str, value: object) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, described: header[name].update({key: value})


WEIGHTS = {"bits": 1, "columns": 3, "encoding": "bipolar", "rows": 2}

INCONSISTENT: list[tuple[Callable[[dict[str, Any], dict[str, Any]], Any], str]] = [
    (set_top("version", 2), "version 2 of the format; this program reads 1"),
    (set_top("version", True), "damaged, or not written by this program|version True"),
    (set_top("format", "onnx"), "format 'onnx' instead of 'xnorflow-network'"),
    (set_top("nodes", {}), "nodes must be a list"),
    (set_top("nodes", [1]), "a node must be a JSON object"),
    (set_top("nodes", []), "the nodes are none"),
    (set_top("class_names", "ab"), "class_names must be a list of texts"),
    (set_top("class_names", ["a", 1]), "class_names must be a list of texts"),
    (set_top("class_names", ["a"]), "1 class names for 2 scores"),
    (set_top("provenance", []), "provenance must be a JSON object"),
    (set_top("provenance", {"seed": 1}), "provenance must hold text"),
    (set_top("extra", 1), "saving it again gives other bytes"),
    (set_in("dense0", "kind", "conv3d"), "kind 'conv3d' is none of"),
    (set_in("dense0", "kind", None), "kind must be text"),
    (set_in("dense0", "name", 3), "name must be text"),
    (set_in("dense0", "name", "other"), "no tensor other.weights"),
    (set_in("dense0", "inputs", "image"), "inputs must be a list of texts"),
    (set_in("dense0", "extra", 1), "saving it again gives other bytes"),
    (set_in("dense0", "range", [0]), "a range has two ends, not 1"),
    (set_in("dense0", "range", [0, 0]), "does not hold the reachable"),
    (set_in("dense0", "range", [-(1 << 70), 3]), "range must be an integer"),
    (set_in("dense0", "shape", [2.0]), "shape must be an integer"),
    (set_in("dense0", "shape", [True]), "shape must be an integer"),
    (set_in("dense0", "shape", 2), "shape must be a list of integers"),
    (set_in("dense0", "weights", None), "must be a JSON object"),
    (set_in("dense0", "weights", WEIGHTS | {"bits": 9}), "9 bits are not possible"),
    (set_in("dense0", "weights", WEIGHTS | {"rows": 1 << 40}), "are not possible"),
    (set_in("dense0", "weights", WEIGHTS | {"rows": 30}), "no tensor dense0.weights of shape"),
    (set_in("dense0", "weights", WEIGHTS | {"encoding": "quinary"}), "encoding 'quinary' is not known"),
    (set_in("act0", "bits", 2), "no tensor act0.thresholds of shape"),
    (set_in("act0", "bits", "1"), "bits must be an integer"),
    (set_in("act0", "encoding", None), "encoding must be text"),
    (set_in("image", "shape", []), r"shape \[\] of 1-bit bipolar codes is not possible"),
    (set_in("image", "shape", [0]), "is not possible"),
    (set_in("image", "shape", [1 << 40]), "is not possible"),
    (set_in("image", "shape", [-3]), "is not possible"),
    (set_in("image", "transform", [0.0]), "transform must be two real numbers"),
    (set_in("image", "transform", [0, 255]), "transform must be two real numbers"),
    (set_in("image", "transform", [5.0, 5.0]), "the input range must be two finite numbers"),
    (set_in("scores", "shape", [3]), "no tensor scores.multiplier of shape"),
    (set_tensor("dense0.weights", "dtype", "F32"), "dtype 'F32' is none of"),
    (set_tensor("dense0.weights", "dtype", 8), "dtype must be text"),
    (set_tensor("dense0.weights", "shape", [0]), r"shape \[0\] is not possible"),
    (set_tensor("dense0.weights", "shape", [1 << 32, 1 << 32]), "is not possible"),
    (set_tensor("dense0.weights", "data_offsets", [0, 9]), "does not fit its shape or the file"),
    (set_tensor("dense0.weights", "data_offsets", [-1, 0]), "does not fit its shape or the file"),
    (set_tensor("dense0.weights", "data_offsets", [900, 901]), "does not fit its shape or the file"),
    (set_tensor("dense0.weights", "data_offsets", [0]), "does not fit its shape or the file"),
    (set_tensor("dense0.weights", "data_offsets", {}), "data_offsets must be a list of integers"),
    (lambda header, described: header.update({"dense0.weights": 1}), "tensor dense0.weights must be a JSON object"),
    (lambda header, described: header.pop("scores.offset"), "no tensor scores.offset"),
]


@pytest.mark.parametrize(("change", "complaint"), INCONSISTENT, ids=[complaint for _, complaint in INCONSISTENT])
def test_a_consistent_hash_does_not_help_a_wrong_content(change: Callable[..., Any], complaint: str):
    header, described, data = parts(network_bytes(small()))
    assert assembled(header, described, data) == network_bytes(small())
    change(header, described)
    with pytest.raises(NetworkFileError, match=complaint) as caught:
        parse(assembled(header, described, data))
    assert "\n" not in str(caught.value)


def test_pad_bits_of_packed_weights_must_be_zero():
    header, described, data = parts(network_bytes(small()))
    first = header["dense0.weights"]["data_offsets"][0]
    changed = data[:first] + bytes([data[first] | 0x80]) + data[first + 1 :]
    with pytest.raises(NetworkFileError, match="saving it again gives other bytes"):
        parse(assembled(header, described, changed))


def test_paths_that_are_no_files_are_refused(tmp_path: Path):
    for path in (tmp_path, tmp_path / "missing", Path("/dev/zero")):
        with pytest.raises(NetworkFileError, match="no such network file"):
            load_network(path)


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path):
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate((1 << 32) + 1)
    with pytest.raises(NetworkFileError, match="too many for a network file"):
        load_network(path)


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "network.safetensors"
    save_network(small(), path)
    earlier = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_network(random_network([4, 2]), path)
    assert path.read_bytes() == earlier
    assert list(tmp_path.iterdir()) == [path]


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of all values inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, inner in items for place in places(inner, (*path, key))]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=150)
@given(st.data(), JSON)
def test_no_json_value_anywhere_leads_to_another_error_or_is_read_as_something_else(data: st.DataObject, value: Any):
    header, described, content = parts(network_bytes(small()))
    del header["__metadata__"]
    both = {"header": header, "described": described}
    *way, last = data.draw(st.sampled_from([place for place in places(both) if len(place) > 1]))
    inner: Any = both
    for key in way:
        inner = inner[key]
    inner[last] = value
    content = assembled(header, described, content)
    try:
        loaded = parse(content)
    except NetworkFileError:
        return
    assert network_bytes(loaded) == content  # another class name, for instance, makes another network
