"""The instantiation template is Verilog, and connects every port."""

import os
import subprocess
from pathlib import Path

from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.hdl.generate import Design, write_design
from xnorflow.sim.verilator import find_verilator


def test_template_lints_with_the_design(tmp_path: Path) -> None:
    """Verilator complains about every missing, unknown and ill-sized pin; what Yosys writes is not judged here."""
    network = random_network([20, 8, 5], seed=1)
    folding = Folding({"dense0": LayerFold(4, 8), "dense1": LayerFold(3, 2)}, 2)
    design = write_design(network, folding, tmp_path / "design", board=load_board("pynq-z1"))
    template = (design.path / "instantiate.v").read_text()
    judged = {"user_top.v": f"module user_top;\n{template}endmodule\n"}
    judged["broken_top.v"] = judged["user_top.v"].replace("user_top", "broken_top").replace("[7:0]", "[6:0]")
    for name, text in judged.items():
        (design.rtl / name).write_text(text)
    assert complaints(design, "user_top.v") == []
    assert complaints(design, "broken_top.v") != []


def complaints(design: Design, top: str) -> list[str]:
    """What Verilator has to say about the file `top`."""
    verilator = find_verilator()
    run = subprocess.run(
        [str(verilator.path), "--lint-only", "-Wall", "-Wno-UNUSEDSIGNAL", "-Wno-UNDRIVEN", "-Wno-DECLFILENAME"]
        + ["--top-module", top.removesuffix(".v"), top, "accelerator.v", "xnorflow_popcount.v", "xnorflow_rom.v"],
        cwd=design.rtl,
        env={**os.environ, **verilator.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return [line for line in run.stderr.splitlines() if line.startswith("%") and f": {top}:" in line]
