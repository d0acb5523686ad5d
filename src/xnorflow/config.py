"""YAML to frozen dataclasses and back: one place where recipes, foldings and boards are checked.

Every complaint is a UsageError of one line that names the file, the key's path and what would do. An unknown key
names the nearest known one, so that a slip of the pen is not silently a default.
"""

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Hashable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import yaml

from .errors import UsageError

__all__ = ["dump_yaml", "from_mapping", "load_yaml", "nearest", "to_mapping"]

T = TypeVar("T")

# YAML 1.1 reads 1e-3 (no dot) as a string; people who write learning rates mean a number.
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, where PyYAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} given twice", key_node.start_mark)
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> object:
    """The plain value (mappings, lists, scalars) in a YAML file; UsageError if it cannot be read or parsed."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text file in UTF-8 (byte {error.start})") from error
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{path}{line}: {error.problem or error.context or 'not YAML'}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2020-99-99 taken for a date
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error


def dump_yaml(value: object) -> str:
    """YAML text of plain values, keys in the order given; the same value gives the same text."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, for "did you mean"; `known` must not be empty."""
    words = list(known)
    return (difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.0) or words)[0]


def from_mapping(cls: type[T], mapping: object, where: str) -> T:
    """An instance of the dataclass `cls` from plain values, every key and type checked; UsageError else.

    where: what to call the source in messages, such as the file's name. Field types may be bool, int, float, str,
    Path, enums (by value), Literal, dataclasses, tuple[X, ...], tuple[X, Y], Mapping[str, X], and unions of these
    with None. An int does for a float, a bool never does for an int. A UsageError that the dataclass's
    __post_init__ raises is passed on with `where` in front.
    """
    return _build(cls, mapping, where, ": ")


def to_mapping(instance: object) -> dict[str, Any]:
    """The plain values of a dataclass, as `from_mapping` takes them back and `dump_yaml` writes them."""
    if not dataclasses.is_dataclass(instance) or isinstance(instance, type):
        raise TypeError(f"to_mapping takes a dataclass instance, not {instance!r}")
    return {f.name: _plain(getattr(instance, f.name)) for f in dataclasses.fields(instance) if f.init}


def _build(cls: type[T], mapping: object, where: str, joint: str) -> T:
    """`from_mapping` at any depth; `joint` stands between `where` and a key: file: clock.hz."""
    hints = _hints(cls)
    if not isinstance(mapping, Mapping):
        raise UsageError(f"{where}: expected a mapping of {_listing(hints)}, not {_show(mapping)}")
    for key in mapping:
        if key not in hints:
            near = nearest(str(key), hints)
            known = _listing(hints)
            raise UsageError(f"{where}: unknown key {_show(key)}; did you mean {near!r}? (known: {known})")
    missing = [name for name in _required(cls) if name not in mapping]
    if missing:
        raise UsageError(f"{where}: missing {_listing(missing)}")
    values = {key: _convert(hints[key], value, f"{where}{joint}{key}") for key, value in mapping.items()}
    try:
        return cls(**values)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return to_mapping(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _hints(cls: type) -> dict[str, Any]:
    """Type of each constructor field, annotations given as strings resolved."""
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"from_mapping makes dataclasses, not {cls!r}")
    resolved = typing.get_type_hints(cls)
    return {f.name: resolved[f.name] for f in dataclasses.fields(cls) if f.init}


def _required(cls: type) -> list[str]:
    none = dataclasses.MISSING
    return [f.name for f in dataclasses.fields(cls) if f.init and f.default is none and f.default_factory is none]


def _listing(words: Iterable[object]) -> str:
    return ", ".join(str(word) for word in words)


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _convert(kind: Any, value: object, where: str) -> Any:
    """`value` as the annotated type `kind`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or kind is object:
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is typing.Literal:
        if not any(value == choice and type(value) is type(choice) for choice in arguments):
            raise UsageError(f"{where} must be one of {_listing(arguments)}, not {_show(value)}")
        return value
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise UsageError(f"{where} must be a mapping, not {_show(value)}")
        key_kind, item_kind = arguments
        return {
            _convert(key_kind, k, f"{where}, key {_show(k)}"): _convert(item_kind, v, f"{where}.{k}")
            for k, v in value.items()
        }
    if isinstance(kind, type):
        if issubclass(kind, Enum):
            return _convert_enum(kind, value, where)
        if dataclasses.is_dataclass(kind):
            return _build(kind, value, where, ".")
        return _convert_scalar(kind, value, where)
    raise TypeError(f"{where}: from_mapping does not know fields of type {kind!r}")


def _convert_union(arguments: tuple[Any, ...], value: object, where: str) -> Any:
    others = [kind for kind in arguments if kind is not types.NoneType]
    if value is None and len(others) < len(arguments):
        return None
    problems = []
    for kind in others:
        try:
            return _convert(kind, value, where)
        except UsageError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in others)
    raise UsageError(f"{where} must be {names}, not {_show(value)}") from problems[-1]


def _convert_tuple(arguments: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"{where} must be a list, not {_show(value)}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        kinds = (arguments[0],) * len(value)
    elif len(arguments) == len(value):
        kinds = arguments
    else:
        raise UsageError(f"{where} must be a list of {len(arguments)}, not of {len(value)}")
    return tuple(_convert(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _convert_enum(kind: type[Enum], value: object, where: str) -> Enum:
    try:
        return kind(value)
    except ValueError:
        choices = [str(member.value) for member in kind]
        hint = f"; did you mean {nearest(value, choices)!r}?" if isinstance(value, str) else ""
        raise UsageError(f"{where} must be one of {_listing(choices)}, not {_show(value)}{hint}") from None


def _convert_scalar(kind: type, value: object, where: str) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise UsageError(f"{where} must be true or false, not {_show(value)}")
    if kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise UsageError(f"{where} must be a whole number, not {_show(value)}")
    if kind is float:
        return _convert_float(value, where)
    if kind is str:
        if isinstance(value, str):
            return value
        raise UsageError(f"{where} must be a text (quote it?), not {_show(value)}")
    if kind is Path:
        if isinstance(value, str | Path):
            return Path(value)
        raise UsageError(f"{where} must be a path, not {_show(value)}")
    raise TypeError(f"{where}: from_mapping does not know fields of type {kind!r}")


def _convert_float(value: object, where: str) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            number = math.inf
        if math.isfinite(number):
            return number
    raise UsageError(f"{where} must be a finite number, not {_show(value)}")
