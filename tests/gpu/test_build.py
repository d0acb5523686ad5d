"""Machine code of the CUDA sources: that what is shipped is of today's source, and has the instructions it is about."""

import json
import re
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from xnorflow.errors import ToolError
from xnorflow.gpu import build
from xnorflow.gpu.build import ARCHITECTURES, compiled, cubin, nvrtc_version, prebuilt, source
from xnorflow.gpu.kernels import KERNELS

TILES = [name for name in KERNELS if name.startswith("tile")]
PRODUCTS = {"tile_64": 16, "tile_64_windows": 16, "tile_128": 64, "tile_128_windows": 32, "tile_256": 128}
"""MMA instructions of a slice of K in each kernel."""


@pytest.fixture
def nvrtc() -> str:
    try:
        return nvrtc_version()
    except ToolError as error:
        pytest.skip(str(error))


def instructions(image: bytes, folder: Path) -> dict[str, Counter[str]]:
    """How often each instruction stands in each kernel of machine code."""
    spec = find_spec("nvidia")
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    tools = [path for place in folders for path in place.glob("cu*/bin/nvdisasm")]
    if not tools:
        pytest.skip("nvidia-cuda-nvdisasm is not installed: machine code cannot be read")
    file = folder / "kernel.cubin"
    file.write_bytes(image)
    text = subprocess.run([tools[0], "-c", file], check=True, capture_output=True, text=True).stdout
    found: dict[str, Counter[str]] = {}
    for line in text.splitlines():
        if section := re.match(r"\s*\.section\s+\.text\.(\w+)", line):
            found[section[1]] = Counter()
        elif instruction := re.search(r"/\*[0-9a-f]{4,6}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Za-z0-9_.]*)", line):
            found[list(found)[-1]][instruction[1]] += 1
    return found


def test_what_is_shipped_is_of_this_source() -> None:
    for architecture in ARCHITECTURES:
        assert prebuilt(architecture), "kernel.cu has changed: python scripts/cubins.py"


def test_relatives_run_the_machine_code_of_their_generation() -> None:
    assert prebuilt("sm_86") == prebuilt("sm_89") == prebuilt("sm_80")
    assert prebuilt("sm_87") is None
    assert prebuilt("sm_70") is None


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_machine_code(architecture: str, tmp_path: Path) -> None:
    """MMA of bits where it is native and of bytes where it is not, once for each product; nothing in local memory."""
    image = prebuilt(architecture)
    assert image is not None
    kernels = instructions(image, tmp_path)
    number = int(architecture.removeprefix("sm_"))
    assert {name for name in kernels if name in KERNELS} == {name for name in KERNELS if KERNELS[name].on(number)}
    for name, counts in kernels.items():
        local = [one for one in counts if one.startswith(("LDL", "STL"))]
        assert not local, f"{name}: {local}"
        products = {one: n for one, n in counts.items() if one.startswith(("BMMA", "IMMA"))}
        if name not in TILES:
            assert not products
            continue
        instruction = "BMMA.168256.AND.POPC" if number <= 90 else "IMMA.16832.S8.S8"
        assert products == {instruction: PRODUCTS[name]}, name
        assert any(one.startswith("LDSM.16.M88.4") for one in counts)
        assert any(one.startswith("LDGSTS") and one.endswith(".128") for one in counts)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_shipped_can_be_made_again(nvrtc: str, architecture: str) -> None:
    manifest = json.loads((Path(build.__file__).parent / "cubins" / "manifest.json").read_text())
    image, log = compiled(architecture)
    assert "warning" not in log
    if nvrtc == manifest["nvrtc"]:
        assert image == prebuilt(architecture)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["sm_86", "sm_89", "sm_103"])
def test_other_architectures_compile(nvrtc: str, architecture: str) -> None:
    assert compiled(architecture)[0].startswith(b"\x7fELF")


def test_rates_and_rivals(nvrtc: str, tmp_path: Path) -> None:
    rates = instructions(compiled("sm_90a", "rates.cu")[0], tmp_path)
    assert rates["mma_rate"]["BMMA.168256.AND.POPC"] == 16
    assert rates["wgmma_rate"]["BGMMA.64x256x256.AND.POPC"] == 4
    assert set(instructions(compiled("sm_80", "rates.cu")[0], tmp_path)) == {"mma_rate"}
    rivals = instructions(compiled("sm_75", "rivals.cu")[0], tmp_path)
    assert rivals["plain_float"]["FFMA"] >= 16
    assert rivals["plain_xnor"]["POPC"] >= 16


def test_what_nvrtc_makes_is_kept(nvrtc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XNORFLOW_CACHE", str(tmp_path / "cache"))
    image = cubin("sm_75", "rivals.cu")
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.read_bytes() == image
    monkeypatch.setattr(build, "compiled", None)
    assert cubin("sm_75", "rivals.cu") == image
    monkeypatch.undo()
    monkeypatch.setenv("XNORFLOW_CACHE", str(tmp_path / "cache"))
    kept.write_bytes(b"half a file")
    assert cubin("sm_75", "rivals.cu") == image == kept.read_bytes()


def test_a_cache_that_cannot_be_written_costs_time_alone(
    nvrtc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XNORFLOW_CACHE", str(tmp_path / "file"))
    assert cubin("sm_80", "rivals.cu").startswith(b"\x7fELF")


def test_a_changed_source_is_not_what_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "source", lambda name: source(name) + "\n")
    assert prebuilt("sm_90") is None


def test_an_unknown_architecture_is_one_line(nvrtc: str) -> None:
    with pytest.raises(ToolError, match=r"rivals\.cu for sm_1:"):
        compiled("sm_1", "rivals.cu")


def test_errors_of_the_compiler_are_one_line(nvrtc: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "source", lambda name: "__device__ int x = y;")
    with pytest.raises(ToolError, match=r'cannot compile kernel\.cu for sm_90: .*identifier "y" is undefined'):
        compiled("sm_90")


def test_without_nvrtc_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_from_packages", list)
    monkeypatch.setattr(build, "_system_names", lambda: ("libnot-there.so",))
    build._nvrtc.cache_clear()
    try:
        with pytest.raises(ToolError, match="pip install nvidia-cuda-nvrtc-cu12"):
            cubin("sm_61")
    finally:
        build._nvrtc.cache_clear()


def test_shipped_code_needs_no_compiler() -> None:
    program = "import sys; from xnorflow.gpu.build import cubin; cubin('sm_90'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
