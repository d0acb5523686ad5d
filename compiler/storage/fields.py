"""Strict reading of the network file's JSON: every value is what it must be, or NetworkFileError names the place."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import NetworkFileError
from ..geometry import Padding
from ..packing import packed_size, unpack_codes
from ..types import AccType, CodeType, Encoding, InputTransform, Weights, bits_problem

__all__ = [
    "MAX_COUNT",
    "Array",
    "Fields",
    "canonical",
    "integer",
    "integers",
    "mapping",
    "parse_json",
    "text_of",
    "texts",
]

MAX_COUNT = 1 << 31  # of elements of a tensor, before anything is allocated for it

Array = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Fields:
    """A node's record and the file's tensors; each method reads one field, `where` names the node in messages."""

    entry: Mapping[str, Any]
    tensors: Mapping[str, Array]
    name: str

    @property
    def where(self) -> str:
        """The node, for messages."""
        return f"node {self.name}"

    def inputs(self) -> tuple[str, ...]:
        """The names of the nodes that it reads."""
        return texts(self.entry, "inputs", self.where)

    def integer(self, key: str) -> int:
        """The integer under `key`."""
        return integer(self.entry.get(key), f"{self.where}: {key}")

    def pair(self, key: str) -> tuple[int, int]:
        """A vertical and a horizontal extent."""
        found = integers(self.entry, key, self.where)
        if len(found) != 2:
            raise NetworkFileError(f"{self.where}: {key} must be two integers, not {len(found)}")
        return found[0], found[1]

    def padding(self) -> Padding:
        """A padding: of both axes, or of all four sides."""
        match integers(self.entry, "padding", self.where):
            case (vertical, horizontal):
                return vertical, horizontal
            case (top, left, bottom, right):
                return top, left, bottom, right
            case other:
                raise NetworkFileError(f"{self.where}: padding must be two or four integers, not {len(other)}")

    def code_type(self) -> CodeType:
        """The type of codes."""
        bits, encoding = self.integer("bits"), encoding_of(self.entry, self.where)
        shape = integers(self.entry, "shape", self.where)
        if bits_problem(bits, encoding) or not 0 < math.prod(shape) <= MAX_COUNT or min(shape, default=0) < 1:
            raise NetworkFileError(f"{self.where}: shape {list(shape)} of {bits}-bit {encoding} codes is not possible")
        return CodeType(shape, bits, encoding)

    def acc_type(self) -> AccType:
        """The type of accumulators or scores."""
        bounds = integers(self.entry, "range", self.where)
        if len(bounds) != 2:
            raise NetworkFileError(f"{self.where}: a range has two ends, not {len(bounds)}")
        return AccType(integers(self.entry, "shape", self.where), *bounds)

    def transform(self) -> InputTransform | None:
        """The input transform."""
        value = self.entry.get("transform")
        if value is None:
            return None
        if not (isinstance(value, list) and len(value) == 2 and all(isinstance(end, float) for end in value)):
            raise NetworkFileError(f"{self.where}: transform must be two real numbers, not {value!r}")
        return InputTransform(*value)

    def tensor(self, part: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """The tensor `<name>.<part>`."""
        found = self.tensors.get(f"{self.name}.{part}")
        if found is None or found.shape != shape:
            raise NetworkFileError(f"{self.where}: no tensor {self.name}.{part} of shape {list(shape)}")
        return found.astype(np.int64)

    def packed(self, part: str, count: int, bits: int) -> NDArray[np.uint8]:
        """`count` codes that the tensor `<name>.<part>` holds packed."""
        return unpack_codes(self.tensor(part, (packed_size(count, bits),)).astype(np.uint8), count, bits)

    def weights(self, key: str = "weights") -> Weights:
        """A weight matrix: its record under `key`, its codes in the tensor `<name>.<key>`."""
        where = f"{self.where}: {key}"
        entry = mapping(self.entry.get(key), where)
        rows, columns, bits = (integer(entry.get(name), f"{where}: {name}") for name in ("rows", "columns", "bits"))
        encoding = encoding_of(entry, where)
        if bits_problem(bits, encoding) or rows < 1 or columns < 1 or rows * columns > MAX_COUNT:
            raise NetworkFileError(f"{where}: {rows} rows, {columns} columns of {bits} bits are not possible")
        return Weights(self.packed(key, rows * columns, bits).reshape(rows, columns), bits, encoding)


def encoding_of(entry: Mapping[str, Any], where: str) -> Encoding:
    """The encoding of codes."""
    try:
        return Encoding(text_of(entry, "encoding", where))
    except ValueError as error:
        raise NetworkFileError(f"{where}: encoding {entry['encoding']!r} is not known") from error


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


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


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
