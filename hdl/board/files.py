"""What a design folder holds for its board: the top with its pins, constraints, and the scripts that build it."""

import inspect
import json
from dataclasses import asdict

from amaranth.hdl import Module
from amaranth.lib import wiring

from ...boards.block_design import block_design_script, package_script
from ...boards.loader import Board, Family
from ...boards.tools import build_script, constraints, flow_of, vivado_script
from ...compiler.ir import IntegerNetwork
from ...compiler.storage.network_file import network_hash
from ...config import dump_yaml, to_mapping
from ...link import frames as link_frames
from ...link import pynq_driver
from ...link.frames import FrameFormat
from ..accelerator import Accelerator
from ..verilog_text import instance_of, to_verilog
from .dma import DmaTop
from .top import BoardTop

__all__ = ["BOARD_FILE", "BOARD_FOLDER", "BOARD_TOP", "HOST_FOLDER", "board_files"]

BOARD_FILE = "board.yaml"
BOARD_FOLDER = "board"
BOARD_TOP = "board_top"
HOST_FOLDER = "host"


class _Generated(wiring.Component):
    """The accelerator as the module that stands in rtl/ already."""

    def __init__(self, accelerator: Accelerator, name: str) -> None:
        self._name = name
        super().__init__(dict(accelerator.signature.members.items()))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = instance_of(self._name, self)
        return m


def board_files(
    board: Board, accelerator: Accelerator, top: str, network: IntegerNetwork, sources: tuple[str, ...]
) -> dict[str, str]:
    """Path in the design folder -> text: the board as data for every board, and for one with a UART or a processor's
    bus what builds it.

    top: the accelerator's module; sources: the Verilog files that hold it. A network with recurrent layers gets no
    board top, since packets do not say where a sequence ends, and neither does one with weights that stream in.
    HardwareError where the clock does not make the baud rate.
    """
    files = {BOARD_FILE: dump_yaml(to_mapping(board))}
    if board.interface.kind == "none" or accelerator.has_sequences or accelerator.weight_streams:
        return files
    generated, beats = _Generated(accelerator, top), accelerator.input_part.cycles
    axi, digest = board.interface.kind == "axi", network_hash(network)
    module = DmaTop(generated, beats) if axi else BoardTop(board, generated, beats, digest)
    text, _ = to_verilog(module, BOARD_TOP)
    files[f"{BOARD_FOLDER}/{BOARD_TOP}.v"] = text
    read = (*(f"../{source}" for source in sources), f"{BOARD_TOP}.v")
    if axi:
        control = bool(accelerator.regions)
        memories = [f"../rtl/{name}" for name in sorted(accelerator.memories)]
        files[f"{BOARD_FOLDER}/package_ip.tcl"] = package_script(board, BOARD_TOP, read, memories, control=control)
        files[f"{BOARD_FOLDER}/build.tcl"] = block_design_script(board, BOARD_TOP, control=control)
        files |= _host_files(accelerator, network)
    elif board.family in (Family.XILINX7, Family.XILINX_US_PLUS):
        files[f"{BOARD_FOLDER}/{BOARD_TOP}.xdc"] = constraints(board)
        files[f"{BOARD_FOLDER}/build.tcl"] = vivado_script(board, BOARD_TOP, read)
    else:
        flow = flow_of(board)
        files[f"{BOARD_FOLDER}/{flow.constraints.format(name=BOARD_TOP)}"] = constraints(board)
        files[f"{BOARD_FOLDER}/build.sh"] = build_script(flow, BOARD_TOP, read)
    return files


def _host_files(accelerator: Accelerator, network: IntegerNetwork) -> dict[str, str]:
    """The driver for a PYNQ board, as a package that stands alone, and what it has to know."""
    source, transform = accelerator.input_part, network.input.transform
    frames = FrameFormat(
        elements=source.elements,
        lanes=source.lanes,
        bits=source.bits,
        beat_bytes=len(accelerator.s_axis_tdata) // 8,
        class_names=network.class_names,
        class_bytes=accelerator.class_bytes,
        score_bytes=accelerator.score_bytes,
    )
    design = {
        "network_hash": network_hash(network),
        "frames": asdict(frames),
        "low": None if transform is None else transform.lo,
        "high": None if transform is None else transform.hi,
    }
    modules = {"frames": link_frames, "pynq_driver": pynq_driver}
    return {
        f"{HOST_FOLDER}/__init__.py": '"""What a PYNQ board needs beside the bitstream; see pynq_driver.py."""\n',
        f"{HOST_FOLDER}/{pynq_driver.DESIGN_FILE}": json.dumps(design, indent=2) + "\n",
        **{f"{HOST_FOLDER}/{name}.py": inspect.getsource(module) for name, module in modules.items()},
    }
