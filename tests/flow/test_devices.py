"""Images through a serial port: pyserial at one end of a terminal, the pins of a simulated board's top at the other."""

import importlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from random_networks import random_network

from xnorflow import flow
from xnorflow.boards.loader import load_board
from xnorflow.cli import main
from xnorflow.compiler import golden
from xnorflow.compiler.storage.network_file import load_network, save_network
from xnorflow.errors import DataError, ToolError, UsageError
from xnorflow.hdl.board.uart import bit_cycles
from xnorflow.sim.build import Optimization
from xnorflow.sim.runner import build_cocotb, run_cocotb
from xnorflow.sim.streams import PARAMETERS_VARIABLE
from xnorflow.sim.verilator import find_verilator

MODELS = Path(__file__).parent.parent / "hdl" / "pll_models.v"
LOCKED = 12_000  # clocks until a PLL of these models locks


def generated(folder: Path, board: str) -> Path:
    """A small network's design."""
    save_network(random_network([20, 6, 4]), folder / "network.safetensors")
    return flow.generate(folder / "network.safetensors", board=board, out=folder / "design").design.path


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the iCEBreaker, whose clock is its oscillator."""
    return generated(tmp_path_factory.mktemp("run"), "icebreaker")


@pytest.fixture(scope="module")
def simulator(design: Path) -> Path:
    """Its board's top as a simulation."""
    return simulation_of(design)


def simulation_of(design: Path) -> Path:
    """A board's top as a simulation, from the very files of the design folder."""
    folder = design.parent / "simulator"
    folder.mkdir()
    for path in design.glob("rtl/*.hex"):
        shutil.copy(path, folder)
    return build_cocotb(
        find_verilator(),
        top="board_top",
        ports=["clk", "rx", "tx"],
        sources=[*sorted(design.glob("rtl/*.v")), design / "board" / "board_top.v", MODELS],
        folder=folder / "build",
        optimization=Optimization(),
    )


@contextmanager
def board(simulator: Path, *, flip_every: int = 0, cycles: int = 12, locked: int = 0) -> Iterator[str]:
    """The terminal of a running simulation."""
    folder = simulator.parent.parent
    terminal, stop = folder / "terminal", folder / "stop"
    for path in (terminal, stop):
        path.unlink(missing_ok=True)
    given = {"cycles": cycles, "flip_every": flip_every, "locked": locked}
    files = {"terminal": str(terminal), "stop": str(stop)}
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            run_cocotb(
                simulator, "bench_terminal", folder=folder, environment={PARAMETERS_VARIABLE: json.dumps(given | files)}
            )
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        while not terminal.exists() and thread.is_alive():
            sleep(0.02)
        if not terminal.exists():
            raise failures[0]
        yield terminal.read_text()
    finally:
        stop.touch()
        thread.join()
    assert not failures


def test_images_through_the_pins_of_a_board(
    design: Path, simulator: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = np.random.default_rng(1).integers(0, 2, (12, 20), dtype=np.uint8)
    np.save(tmp_path / "images.npy", raw)
    with board(simulator) as port:
        arguments = ["run", "--port", port, "--design", str(design), str(tmp_path / "images.npy")]
        assert main([*arguments, "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert main(arguments) == 0
        lines = capsys.readouterr().out.splitlines()
    trace = golden.run(load_network(design / "network.safetensors"), raw)
    assert [p["class_index"] for p in result["predictions"]] == trace.classes.tolist()
    assert [p["scores"] for p in result["predictions"]] == trace.scores.tolist()
    assert (result["mismatches"], result["dropped"], result["baud"]) == (0, 0, 1_000_000)
    assert result["frames_per_s"] > 0
    assert len(lines) == 13
    assert lines[0].startswith("images.npy[0]: ")
    assert lines[-1].startswith("12 images on icebreaker: 0 mismatches; ")


def test_a_board_whose_clock_a_pll_makes(tmp_path: Path) -> None:
    """50 MHz of a PLL, 1 Mbaud; nothing answers before it has locked."""
    design = generated(tmp_path, "ulx3s-85f")
    assert bit_cycles(design_hz := load_board(design / "board.yaml").hz, 1_000_000) == 50
    assert design_hz == 50_000_000
    np.save(tmp_path / "images.npy", np.random.default_rng(1).integers(0, 2, (3, 20), dtype=np.uint8))
    with board(simulation_of(design), cycles=50, locked=LOCKED) as port:
        result = flow.run(design, port=port, images=[tmp_path / "images.npy"])
    assert (result.mismatches, len(result.predictions)) == (0, 3)


def test_flipped_bits_on_the_line_cost_packets_and_no_answer(design: Path, simulator: Path, tmp_path: Path) -> None:
    raw = np.random.default_rng(2).integers(0, 2, (20, 20), dtype=np.uint8)
    np.save(tmp_path / "images.npy", raw)
    seen: list[int] = []
    with board(simulator, flip_every=61) as port:
        result = flow.run(design, port=port, images=[tmp_path / "images.npy"], progress=seen.append)
    assert result.mismatches == 0
    assert result.resent > 0
    assert (seen[-1], len(result.predictions), result.accuracy) == (20, 20, None)


def test_a_board_that_holds_another_network_is_refused(design: Path, simulator: Path, tmp_path: Path) -> None:
    save_network(random_network([20, 6, 4], seed=5), tmp_path / "network.safetensors")
    other = flow.generate(tmp_path / "network.safetensors", board="icebreaker", out=tmp_path / "other").design.path
    np.save(tmp_path / "image.npy", np.zeros(20, np.uint8))
    with board(simulator) as port, pytest.raises(DataError, match=r"holds network [0-9a-f]{16}\.\.\., not "):
        flow.run(other, port=port, images=[tmp_path / "image.npy"])


def test_what_cannot_be_run_is_one_clear_line(
    design: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "image.npy"
    np.save(image, np.zeros(20, np.uint8))
    with pytest.raises(UsageError, match="give images or a data set, and not both"):
        flow.run(design, port="x", images=[image], data="digits")
    with pytest.raises(UsageError, match="a limit is for a data set"):
        flow.run(design, port="x", images=[image], limit=3)
    with pytest.raises(DataError, match="serial port /dev/no-such-port: "):
        flow.run(design, port="/dev/no-such-port", images=[image])
    ours, theirs = os.openpty()
    monkeypatch.setattr("xnorflow.link.serial_port._SLACK_S", 0.01)
    with pytest.raises(DataError, match="no answer to the question who is there after 20 tries"):
        flow.run(design, port=os.ttyname(theirs), images=[image])
    os.close(ours)
    os.close(theirs)
    assert main(["run", "--port", "x", "--design", str(design)]) == 2
    assert "give images, or --data with the name of a data set" in capsys.readouterr().err
    flow.generate(design / "network.safetensors", board="pynq-z1", out=tmp_path / "pynq")
    with pytest.raises(UsageError, match="has no top with a UART: board pynq-z1 has none"):
        flow.run(tmp_path / "pynq", port="x", images=[image])
    monkeypatch.setitem(sys.modules, "serial", None)
    importlib.invalidate_caches()
    with pytest.raises(ToolError, match=r"pyserial is missing: pip install 'xnorflow\[board\]'"):
        flow.run(design, port="x", images=[image])
