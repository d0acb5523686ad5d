"""The driver of a PYNQ board as it lies in a design folder, against the simulated accelerator: the very bytes."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_networks import random_network

from xnorflow import flow
from xnorflow.compiler import golden
from xnorflow.compiler.ir import InputTransform
from xnorflow.compiler.storage.network_file import load_network, save_network
from xnorflow.link.pynq_driver import HostDesign
from xnorflow.sim.build import Optimization
from xnorflow.sim.runner import build_cocotb, run_cocotb
from xnorflow.sim.streams import PARAMETERS_VARIABLE
from xnorflow.sim.verilator import find_verilator

PORTS = [
    "aclk",
    "aresetn",
    *(f"{s}_axis_t{n}" for s in "sm" for n in ("data", "valid", "ready", "last")),
    "m_axis_tkeep",
]


class Buffer(np.ndarray[Any, Any]):
    """What pynq.allocate gives: an array that can be freed."""

    def freebuffer(self) -> None:
        self.freed = True


def allocate(*, shape: tuple[int, ...], dtype: type) -> Buffer:
    return np.zeros(shape, dtype).view(Buffer)


class Dma:
    """Moves the bytes of its transfers through the simulated top: as pynq's DMA, with a channel in each direction."""

    def __init__(self, simulator: Path, seed: int | None) -> None:
        self._simulator, self._seed = simulator, seed
        self.sendchannel = SimpleNamespace(transfer=self._send, wait=lambda: None)
        self.recvchannel = SimpleNamespace(transfer=self._receive, wait=self._run)
        self.transfers = 0

    def _send(self, sent: Buffer) -> None:
        self._sent = sent

    def _receive(self, received: Buffer) -> None:
        self._received = received

    def _run(self) -> None:
        folder = self._simulator.parent.parent
        words, answers = folder / "words.bin", folder / "answers.bin"
        words.write_bytes(self._sent.tobytes())
        parameters = {
            "words": str(words),
            "answers": str(answers),
            "transfers": [len(self._sent)],
            "sent_words": self._sent.shape[1] // 8,
            "received_words": self._received.shape[1] // 8,
            "seed": self._seed,
        }
        run_cocotb(
            self._simulator, "bench_dma", folder=folder, environment={PARAMETERS_VARIABLE: json.dumps(parameters)}
        )
        self._received[:] = np.frombuffer(answers.read_bytes(), np.uint8).reshape(self._received.shape)
        self.transfers += 1


@pytest.fixture(
    scope="module",
    params=[((45, 12, 5), 2), ((64, 9, 300), 64)],
    ids=["6 words in, waits for its queue of flags", "more than 256 classes"],
)
def design(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A design whose top keeps so many flags: of 2, fewer than the frames inside, each frame has to wait for room."""
    sizes, flags = request.param
    folder = tmp_path_factory.mktemp("pynq")
    save_network(random_network(list(sizes)), folder / "network.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xnorflow.hdl.board.dma._FLAGS", flags)
        return flow.generate(
            folder / "network.safetensors", board="pynq-z1", popcount="adders", fps=2_000_000, out=folder / "design"
        ).design.path


@pytest.fixture(scope="module")
def simulator(design: Path) -> Path:
    folder = design.parent / "simulator"
    folder.mkdir()
    for path in design.glob("rtl/*.hex"):
        shutil.copy(path, folder)
    return build_cocotb(
        find_verilator(),
        top="board_top",
        ports=PORTS,
        sources=[*sorted(design.glob("rtl/*.v")), design / "board" / "board_top.v"],
        folder=folder / "build",
        optimization=Optimization(),
    )


@pytest.fixture(scope="module")
def driver(design: Path) -> Iterator[ModuleType]:
    """host/ of the design as a package of its own, as a board imports it."""
    spec = importlib.util.spec_from_file_location(
        "host", design / "host" / "__init__.py", submodule_search_locations=[str(design / "host")]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["host"] = package
    spec.loader.exec_module(package)
    yield importlib.import_module("host.pynq_driver")
    for name in [name for name in sys.modules if name == "host" or name.startswith("host.")]:
        del sys.modules[name]


@pytest.mark.parametrize("seed", [None, 7], ids=["full speed", "pauses"])
def test_the_simulated_accelerator_answers_as_the_golden_model(
    design: Path, simulator: Path, driver: ModuleType, seed: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "_BATCH", 16)
    network = load_network(design / "network.safetensors")
    dma = Dma(simulator, seed)
    accelerator = driver.PynqAccelerator(driver.load_design(design / "host" / "design.json"), dma, allocate)
    raw: NDArray[np.uint8] = np.random.default_rng(3).integers(0, 2, (24, network.input.type.size), dtype=np.uint8)
    classes, scores = accelerator.run(raw)
    trace = golden.run(network, raw)
    assert np.array_equal(classes, trace.classes)
    assert np.array_equal(scores, trace.scores)
    assert dma.transfers == 2


def test_load_takes_the_overlay_s_dma(design: Path, driver: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    dma = object()
    pynq = ModuleType("pynq")
    pynq.Overlay = lambda path: SimpleNamespace(dma=dma, path=path)  # type: ignore[attr-defined]
    pynq.allocate = allocate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynq", pynq)
    accelerator = driver.PynqAccelerator.load("xnorflow.bit")
    assert accelerator._dma is dma
    assert accelerator._design.frames.elements == load_network(design / "network.safetensors").input.type.size


def test_the_folder_host_needs_numpy_alone(design: Path) -> None:
    code = "import sys; import host.pynq_driver; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=design, capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout.split()
    assert not {"xnorflow", "amaranth", "yaml", "torch"} & set(done.stdout.split())


@given(st.integers(1, 8), st.floats(-300, 300), st.floats(0.001, 600), st.integers(0, 2**32 - 1))
def test_codes_are_those_of_the_network(bits: int, low: float, width: float, seed: int) -> None:
    frames = SimpleNamespace(bits=bits)
    raw = np.random.default_rng(seed).uniform(low - width, low + 2 * width, (4, 5))
    design = HostDesign("", frames, low, low + width)  # type: ignore[arg-type]
    assert np.array_equal(design.codes(raw), InputTransform(low, low + width).codes(raw, bits))
