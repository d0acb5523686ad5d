"""Standard-cell libraries: what a liberty file says of area, functions, capacitances and energies.

Only what a comparison needs is read: combinational cells and edge-triggered flip-flops without set and reset, pin
capacitances, and the tables of internal energy. Latches, tristate buffers and everything else are left out of `cells`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError

__all__ = ["Cell", "EnergyTable", "Library", "Pin", "load_liberty", "truth_table", "verilog_of"]

_FARADS = {"ff": 1e-15, "pf": 1e-12, "nf": 1e-9}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[A-Za-z0-9_.+\-\[\]*/!&|^\']+|[(){}:;,]', re.DOTALL)
_LOAD, _SLEW = "total_output_net_capacitance", ("input_transition_time", "input_net_transition")


@dataclass(frozen=True, eq=False)
class EnergyTable:
    """Energies by load and input transition, either of which may be missing; lines between the table's points.

    axes: for each dimension what it runs over (True: the load, False: the transition) and the points, ascending.
    """

    axes: tuple[tuple[bool, NDArray[np.float64]], ...]
    values: NDArray[np.float64]

    def at(self, load: float, slew: float) -> float:
        """The energy in the library's unit; beyond the table's ends the ends' values."""
        values = self.values
        for is_load, points in self.axes:
            position = float(np.clip(load if is_load else slew, points[0], points[-1]))
            low = (
                min(int(np.searchsorted(points, position, side="right")) - 1, len(points) - 2) if len(points) > 1 else 0
            )
            if len(points) == 1:
                values = values[0]
                continue
            share = (position - points[low]) / (points[low + 1] - points[low])
            values = values[low] * (1 - share) + values[low + 1] * share
        return float(values)


@dataclass(frozen=True, eq=False)
class Pin:
    """A pin. capacitance in the library's unit; function: of an output, in the liberty's words.

    rise, fall: tables of internal energy, one for each related pin or condition (empty: none is given).
    """

    name: str
    is_output: bool
    capacitance: float
    function: str
    rise: tuple[EnergyTable, ...]
    fall: tuple[EnergyTable, ...]

    def transition_energy(self, load: float, slew: float) -> float:
        """Internal energy of a transition: the mean over related pins, of rising and falling."""
        sides = [np.mean([t.at(load, slew) for t in tables]) for tables in (self.rise, self.fall) if tables]
        return float(np.mean(sides)) if sides else 0.0


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell. area in the library's unit, square micrometres as a rule. clock, data: pins of a flip-flop, else empty.

    A flip-flop takes `data` at the rising edge of `clock`; the function of its outputs is its state.
    """

    name: str
    area: float
    pins: Mapping[str, Pin]
    clock: str = ""
    data: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the input pins."""
        return tuple(name for name, pin in self.pins.items() if not pin.is_output)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the output pins."""
        return tuple(name for name, pin in self.pins.items() if pin.is_output)


@dataclass(frozen=True, eq=False)
class Library:
    """A library. path: its file; volts: nominal; farads: a unit of capacitance; joules: a unit of internal energy."""

    name: str
    path: Path
    volts: float
    farads: float
    cells: Mapping[str, Cell]

    @property
    def joules(self) -> float:
        """Internal energies are in units of capacitance times volts squared."""
        return self.farads

    def full_adder(self) -> tuple[Cell, str, str] | None:
        """The smallest cell with three inputs, a sum and a carry, and the names of these outputs."""
        found = []
        for cell in self.cells.values():
            if cell.clock or len(cell.inputs) != 3 or len(cell.outputs) != 2:
                continue
            tables = {truth_table(cell.pins[name].function, cell.inputs): name for name in cell.outputs}
            if _SUM in tables and _CARRY in tables:
                found.append((cell, tables[_SUM], tables[_CARRY]))
        return min(found, key=lambda entry: entry[0].area, default=None)


_SUM = tuple(bin(k).count("1") % 2 for k in range(8))
_CARRY = tuple(int(bin(k).count("1") > 1) for k in range(8))


def verilog_of(function: str, wires: Mapping[str, str]) -> str:
    """A liberty function as a Verilog expression, its pins replaced by `wires`; UsageError if it cannot be read.

    NOT is ! in front or ' behind, AND is *, & or nothing between, OR is + or |, XOR is ^, which binds tighter than AND.
    """
    tokens = re.findall(r"[A-Za-z_][\w\[\]]*|[01()!'*&+|^]|\S", function)
    position = 0

    def peek() -> str:
        return tokens[position] if position < len(tokens) else ""

    def take() -> str:
        nonlocal position
        position += 1
        return tokens[position - 1]

    def fail() -> UsageError:
        return UsageError(f"a liberty function that cannot be read: {function!r}")

    def factor() -> str:
        token = take() if peek() else ""
        if token == "!":
            value = f"(~{factor()})"
        elif token == "(":
            value = alternatives()
            if not peek() or take() != ")":
                raise fail()
        elif token in ("0", "1"):
            value = f"1'b{token}"
        elif token in wires:
            value = wires[token]
        else:
            raise fail()
        while peek() == "'":
            take()
            value = f"(~{value})"
        return value

    def joined(part: Callable[[], str], signs: str, operator: str, implicit: bool = False) -> str:
        values = [part()]
        while peek() and (peek() in signs or (implicit and peek() not in ")+|^")):
            if peek() in signs:
                take()
            values.append(part())
        return values[0] if len(values) == 1 else f"({f' {operator} '.join(values)})"

    def alternatives() -> str:
        return joined(lambda: joined(lambda: joined(factor, "^", "^"), "*&", "&", True), "+|", "|")

    result = alternatives()
    if position != len(tokens):
        raise fail()
    return result


def truth_table(function: str, inputs: tuple[str, ...]) -> tuple[int, ...]:
    """The values of a function for all inputs, the first input being the least significant bit of the index."""
    values = []
    for index in range(1 << len(inputs)):
        bits = {name: f"1'b{index >> k & 1}" for k, name in enumerate(inputs)}
        values.append(_evaluate(verilog_of(function, bits)))
    return tuple(values)


def _evaluate(expression: str) -> int:
    """The value of an expression of constants as `verilog_of` writes it."""
    text = expression.replace("1'b", "")
    while len(text) > 1:
        shorter = re.sub(
            r"\(~([01])\)|\(([01](?: [&|^] [01])+)\)",
            lambda match: str(1 - int(match[1])) if match[1] else _fold(match[2]),
            text,
        )
        if shorter == text:
            raise UsageError(f"not an expression of constants: {expression}")
        text = shorter
    return int(text)


def _fold(chain: str) -> str:
    """`1 & 0 & 1` and the like: one operator, left to right."""
    first, *rest = chain.split()
    operators = {"&": int.__and__, "|": int.__or__, "^": int.__xor__}
    return str(reduce(operators[rest[0]], map(int, rest[1::2]), int(first)))


@dataclass(frozen=True, eq=False)
class _Group:
    """A liberty group: keyword, arguments, simple and complex attributes, groups inside."""

    keyword: str
    arguments: tuple[str, ...]
    values: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
    groups: tuple["_Group", ...]

    def inside(self, keyword: str) -> Iterator["_Group"]:
        return (group for group in self.groups if group.keyword == keyword)


def load_liberty(path: Path) -> Library:
    """Read a liberty file; UsageError if it cannot be read, or has neither flip-flops nor combinational cells."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL).replace("\\\n", " ")
    try:
        library = _group(iter(_TOKEN.findall(text)))
        number, unit = library.lists["capacitive_load_unit"]
        templates = {
            template.arguments[0]: (template.values["variable_1"], template.values.get("variable_2", ""))
            for keyword in ("power_lut_template", "lu_table_template")
            for template in library.inside(keyword)
        }
        cells = {cell.name: cell for group in library.inside("cell") if (cell := _cell(group, templates)) is not None}
        made = Library(
            library.arguments[0],
            path,
            float(library.values["nom_voltage"]),
            float(number) * _FARADS[unit.lower()],
            cells,
        )
    except (KeyError, ValueError, StopIteration, IndexError) as error:
        raise UsageError(
            f"{path} is not a liberty file as this program reads them ({error or 'it ends early'})"
        ) from error
    if not any(cell.clock for cell in cells.values()) or all(cell.clock for cell in cells.values()):
        raise UsageError(f"{path} needs flip-flops on a rising edge and combinational cells; it has not both")
    return made


def _group(tokens: Iterator[str], keyword: str = "") -> _Group:
    """The group whose keyword (unless given) comes next."""
    keyword = keyword or next(tokens)
    if next(tokens) != "(":
        raise ValueError(f"no group: {keyword}")
    arguments = _arguments(tokens)
    if next(tokens) != "{":
        raise ValueError(f"no group: {keyword}")
    return _body(tokens, keyword, arguments)


def _body(tokens: Iterator[str], keyword: str, arguments: tuple[str, ...]) -> _Group:
    values: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    groups: list[_Group] = []
    name = next(tokens)
    while name != "}":
        mark = next(tokens) if name != ";" else ""
        if mark == ":":
            words = []
            while (word := next(tokens)) != ";":
                words.append(word.strip('"'))
            values[name] = " ".join(words)
        elif mark == "(":
            inner = _arguments(tokens)
            after = next(tokens)
            if after == "{":
                groups.append(_body(tokens, name, inner))
            else:
                lists[name] = inner
                if after != ";":  # its semicolon may be missing
                    name = after
                    continue
        elif mark:
            raise ValueError(f"neither attribute nor group: {name} {mark}")
        name = next(tokens)
    return _Group(keyword, arguments, values, lists, tuple(groups))


def _arguments(tokens: Iterator[str]) -> tuple[str, ...]:
    found = []
    while (token := next(tokens)) != ")":
        if token != ",":
            found.append(token.strip('"'))
    return tuple(found)


def _cell(group: _Group, templates: Mapping[str, tuple[str, str]]) -> Cell | None:
    """A cell that the mapping may use; None for latches, tristate buffers and flip-flops with set or reset."""
    pins = {pin.arguments[0]: _pin(pin, templates) for pin in group.inside("pin")}
    outputs = [pin for pin in group.inside("pin") if pin.values["direction"] == "output"]
    clock = data = ""
    states: tuple[str, ...] = ()
    for flip_flop in group.inside("ff"):
        if {"clear", "preset"} & flip_flop.values.keys():
            return None
        clock, data = flip_flop.values["clocked_on"], flip_flop.values["next_state"]
        states = flip_flop.arguments
        if clock not in pins or data not in pins:  # on the falling edge, or with logic in front
            return None
    plain = all(
        "three_state" not in pin.values
        and "function" in pin.values
        and (not states or pin.values["function"] == states[0])
        for pin in outputs
    )
    if not outputs or not plain or any(group.inside("latch")) or any(group.inside("statetable")):
        return None
    return Cell(group.arguments[0], float(group.values["area"]), pins, clock, data)


def _pin(group: _Group, templates: Mapping[str, tuple[str, str]]) -> Pin:
    powers = list(group.inside("internal_power"))
    return Pin(
        group.arguments[0],
        group.values["direction"] == "output",
        float(group.values.get("capacitance", 0)),
        group.values.get("function", ""),
        tuple(_table(entry, templates) for power in powers for entry in power.inside("rise_power")),
        tuple(_table(entry, templates) for power in powers for entry in power.inside("fall_power")),
    )


def _table(group: _Group, templates: Mapping[str, tuple[str, str]]) -> EnergyTable:
    values = np.array([[float(word) for word in row.replace(",", " ").split()] for row in group.lists["values"]])
    axes = []
    for index, variable in enumerate(templates.get(group.arguments[0], ()), start=1):
        if variable:
            if variable != _LOAD and variable not in _SLEW:
                raise ValueError(f"energies by {variable}")
            points = " ".join(group.lists[f"index_{index}"]).replace(",", " ").split()
            axes.append((variable == _LOAD, np.array(points, dtype=np.float64)))
    return EnergyTable(tuple(axes), values.reshape([len(points) for _, points in axes]))
