"""A FuseSoC core file (CAPI2) of a design: its Verilog for other projects, and its board's bitstream as a target."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from ...boards.loader import Board, Family
from ...boards.tools import Flow, flow_of
from ...config import dump_yaml

__all__ = ["CORE_FILE", "core_file"]

CORE_FILE = "xnorflow.core"

_CONSTRAINTS = {".pcf": "PCF", ".lpf": "LPF", ".cst": "CST", ".xdc": "xdc"}


def core_file(
    board: Board, top: str, network_hash: str, version: str, rtl: Sequence[str], board_files: Sequence[str], name: str
) -> str:
    """The text of a core file beside the design's manifest.

    top: the accelerator's module, target `default`; rtl: its Verilog and memory files. board_files: what the board's
    folder holds, and name the module there: target `bitstream` where there is a top and a flow of FuseSoC's edalize
    that builds it: none for a block design.
    Paths are relative to the design folder. The core is called after the board and the network's hash.
    """
    core = f"accelerator_{re.sub(r'[^A-Za-z0-9]', '_', board.name)}_{network_hash[:8]}"
    filesets: dict[str, Any] = {"rtl": {"files": [_file(path) for path in rtl]}}
    targets: dict[str, Any] = {"default": {"filesets": ["rtl"], "toplevel": top}}
    there = [path for path in board_files if PurePosixPath(path).suffix in (".v", *_CONSTRAINTS)]
    if board.interface.kind == "uart" and any(path.endswith(f"/{name}.v") for path in there):
        flow, options = _flow(board)
        filesets["board"] = {"files": [_file(path) for path in there]}
        targets["bitstream"] = {
            "filesets": ["rtl", "board"],
            "toplevel": name,
            "flow": flow,
            "flow_options": options,
        }
    content = {
        "name": f"xnorflow:designs:{core}:{version}",
        "description": f"Streaming accelerator of the network {network_hash[:16]}, for {board.title}",
        "filesets": filesets,
        "targets": targets,
    }
    return f"CAPI=2:\n{dump_yaml(content)}"


def _file(path: str) -> object:
    """An entry of a file set. Memories are copied to where tools run: the Verilog names them without a folder."""
    suffix = PurePosixPath(path).suffix
    if suffix == ".v":
        return {path: {"file_type": "verilogSource"}}
    if suffix in _CONSTRAINTS:
        return {path: {"file_type": _CONSTRAINTS[suffix]}}
    return {path: {"file_type": "user", "copyto": PurePosixPath(path).name}}


def _flow(board: Board) -> tuple[str, dict[str, Any]]:
    """The flow of edalize and its options: those of `boards.tools`, less the files, which edalize names itself."""
    if board.family in (Family.XILINX7, Family.XILINX_US_PLUS):
        return "vivado", {"part": board.part}
    flow = flow_of(board)
    options: dict[str, Any] = {"yosys_synth_options": flow.synth.split()[1:]}
    match board.family:
        case Family.ICE40:
            return "icestorm", options | {"nextpnr_options": _placing(flow)}
        case Family.ECP5:
            return "trellis", options | {"nextpnr_options": _placing(flow)}
    device = {"device": board.part, "device_family": "C"}  # edalize's word for the families GW1N-9C and GW2A-18C
    return "apicula", options | device | {"nextpnr_options": ["--freq", *_value(flow, "--freq")]}


def _placing(flow: Flow) -> list[str]:
    """nextpnr's options that name no file; where timing fails, so does make."""
    words = flow.steps[0].arguments
    starts = [index for index, word in enumerate(words) if word.startswith("--")]
    options = [words[start:end] for start, end in zip(starts, [*starts[1:], len(words)], strict=True)]
    kept = (o for o in options if o != ("--timing-allow-fail",) and not any("{name}" in part for part in o))
    return [word for option in kept for word in option]


def _value(flow: Flow, option: str) -> tuple[str, ...]:
    words = flow.steps[0].arguments
    return words[words.index(option) + 1 : words.index(option) + 2]
