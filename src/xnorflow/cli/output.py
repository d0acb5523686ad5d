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


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1, title: str = "") -> None:
    """A table on standard output; the first `left` columns are text, the others numbers, aligned right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < left else "right", overflow="fold", no_wrap=index >= left)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console = Console(file=sys.stdout, highlight=False, markup=False)
    # Nothing is cut off where the width is not a terminal's.
    console.print(table, width=None if console.is_terminal else 160)
