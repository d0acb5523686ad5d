"""What commands print: results on standard output (a table or one JSON object), everything else on standard error."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

__all__ = ["log", "plain", "print_json", "print_lines", "print_table"]


def log(text: str) -> None:
    """One line for people, on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def print_lines(*lines: str) -> None:
    """Lines on standard output."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def print_json(result: object) -> None:
    """Exactly one JSON object on standard output: a mapping or a dataclass, paths as text."""
    sys.stdout.write(json.dumps(plain(result), allow_nan=False) + "\n")


def plain(value: object) -> Any:
    """`value` in JSON's types: dataclasses as mappings, paths and enums as text, tuples and arrays as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    to_list = getattr(value, "tolist", None)  # NumPy scalars and arrays
    if to_list is None:
        raise TypeError(f"no JSON for {type(value).__name__}")
    return to_list()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> None:
    """A table on standard output; the first `left` columns are text, the others numbers, aligned right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    rule = ["-" * width for width in widths]
    for row in (list(columns), rule, *cells):
        aligned = [
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print_lines("  ".join(aligned).rstrip())
