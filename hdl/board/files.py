"""What a design folder holds for its board: the top with its pins, constraints, and the scripts that build it."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from ...boards.loader import Board, Family
from ...boards.tools import build_script, constraints, flow_of, vivado_script
from ...config import dump_yaml, to_mapping
from ..accelerator import Accelerator
from ..verilog_text import instance_of, to_verilog
from .top import BoardTop

__all__ = ["BOARD_FILE", "BOARD_FOLDER", "BOARD_TOP", "board_files"]

BOARD_FILE = "board.yaml"
BOARD_FOLDER = "board"
BOARD_TOP = "board_top"


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
    board: Board, accelerator: Accelerator, top: str, network_hash: str, sources: tuple[str, ...]
) -> dict[str, str]:
    """Path in the design folder -> text: the board as data for every board, and for one with a UART what builds it.

    top: the accelerator's module; sources: the Verilog files that hold it. A network with recurrent layers gets no
    board top: packets do not say where a sequence ends. HardwareError where the clock does not make the baud rate.
    """
    files = {BOARD_FILE: dump_yaml(to_mapping(board))}
    if board.interface.kind != "uart" or accelerator.has_sequences:
        return files
    module = BoardTop(board, _Generated(accelerator, top), accelerator.input_part.cycles, network_hash)
    text, _ = to_verilog(module, BOARD_TOP)
    files[f"{BOARD_FOLDER}/{BOARD_TOP}.v"] = text
    read = (*(f"../{source}" for source in sources), f"{BOARD_TOP}.v")
    if board.family in (Family.XILINX7, Family.XILINX_US_PLUS):
        files[f"{BOARD_FOLDER}/{BOARD_TOP}.xdc"] = constraints(board)
        files[f"{BOARD_FOLDER}/build.tcl"] = vivado_script(board, BOARD_TOP, read)
    else:
        flow = flow_of(board)
        files[f"{BOARD_FOLDER}/{flow.constraints.format(name=BOARD_TOP)}"] = constraints(board)
        files[f"{BOARD_FOLDER}/build.sh"] = build_script(flow, BOARD_TOP, read)
    return files
