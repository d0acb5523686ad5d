"""Machine code of the CUDA sources: prebuilt for the common architectures, compiled by NVRTC where that does not do.

`cubins/` has kernel.cu compiled for ARCHITECTURES, each file compressed, and manifest.json with the hash of the source
and the compiler's version; `python scripts/cubins.py` writes them. A GPU of another architecture, or a changed source,
needs NVRTC at run time: NVIDIA's compiler as a library, which CUDA builds of torch bring along. What it makes is kept
in a folder of the user's: $XNORFLOW_CACHE, else $XDG_CACHE_HOME/xnorflow, else ~/.cache/xnorflow. Machine code, not
PTX: PTX of a newer compiler is refused by an older driver.
"""

import ctypes
import hashlib
import json
import lzma
import os
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from ..errors import ToolError
from ..files import atomic_write

__all__ = ["ARCHITECTURES", "OPTIONS", "compiled", "cubin", "nvrtc_version", "prebuilt", "source", "write_prebuilt"]

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")
"""What machine code is shipped for: Turing, Ampere, Hopper, Blackwell, desktop Blackwell."""

RUNS_ON = {"sm_86": "sm_80", "sm_89": "sm_80", "sm_103": "sm_100"}
"""GPUs that run the machine code of an earlier one of their generation: RTX 30, RTX 40 and L4, B300."""

OPTIONS = ("--std=c++17",)
"""What NVRTC is told beside the architecture."""

_FOLDER = Path(__file__).parent
_CUBINS = _FOLDER / "cubins"
_MANIFEST = "manifest.json"
_ELF = b"\x7fELF"


def cubin(architecture: str, name: str = "kernel.cu") -> bytes:
    """Machine code of one of the sources for an architecture such as "sm_90": prebuilt, cached, or compiled and cached.

    ToolError where NVRTC is needed and missing, or cannot compile for that architecture.
    """
    image = prebuilt(architecture) if name == "kernel.cu" else None
    if image is not None:
        return image
    told = "\n".join((nvrtc_version(), architecture, *OPTIONS, source(name)))
    cached = _cache() / f"{hashlib.sha256(told.encode()).hexdigest()}.cubin"
    try:
        image = cached.read_bytes()
    except OSError:
        image = b""
    if not image.startswith(_ELF):
        image = compiled(architecture, name)[0]
        with suppress(OSError):  # a full disk or a read-only home costs the time to compile again
            atomic_write(cached, image)
    return image


def prebuilt(architecture: str) -> bytes | None:
    """The shipped machine code of kernel.cu that runs on that architecture; None where there is none of this source."""
    architecture = RUNS_ON.get(architecture, architecture)
    path = _CUBINS / f"{architecture}.xz"
    if architecture not in ARCHITECTURES or not path.is_file():
        return None
    if json.loads((_CUBINS / _MANIFEST).read_text())["source"] != _hash("kernel.cu"):
        return None
    return lzma.decompress(path.read_bytes())


def write_prebuilt() -> dict[str, int]:
    """Compile kernel.cu for ARCHITECTURES into the package; the sizes of the files in bytes."""
    sizes = {}
    for architecture in ARCHITECTURES:
        packed = lzma.compress(compiled(architecture)[0], preset=9 | lzma.PRESET_EXTREME)
        atomic_write(_CUBINS / f"{architecture}.xz", packed)
        sizes[architecture] = len(packed)
    manifest = {"source": _hash("kernel.cu"), "nvrtc": nvrtc_version(), "options": OPTIONS}
    atomic_write(_CUBINS / _MANIFEST, json.dumps(manifest, indent=2) + "\n")
    return sizes


def source(name: str) -> str:
    """The text of one of the CUDA sources."""
    return (_FOLDER / name).read_text()


def _hash(name: str) -> str:
    return hashlib.sha256(source(name).encode()).hexdigest()


def _cache() -> Path:
    if chosen := os.environ.get("XNORFLOW_CACHE"):
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "xnorflow"


# ---- NVRTC through ctypes: five functions of it are no reason for a dependency -------------------------------------


def nvrtc_version() -> str:
    """The compiler's version, such as "12.9"; ToolError where it is missing."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check("nvrtcVersion", _nvrtc().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return f"{major.value}.{minor.value}"


def compiled(architecture: str, name: str = "kernel.cu", *options: str) -> tuple[bytes, str]:
    """Machine code of a source by NVRTC, and what the compiler said. options: beside OPTIONS.

    ToolError with the compiler's first error where the source or the architecture is refused.
    """
    library = _nvrtc()
    program = ctypes.c_void_p()
    text = source(name).encode()
    code = library.nvrtcCreateProgram(ctypes.byref(program), text, name.encode(), 0, None, None)
    _check("nvrtcCreateProgram", code)
    try:
        told = [f"--gpu-architecture={architecture}".encode(), *(option.encode() for option in (*OPTIONS, *options))]
        code = library.nvrtcCompileProgram(program, len(told), (ctypes.c_char_p * len(told))(*told))
        log = _read(library, program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
        if code:
            first = next((line for line in log.splitlines() if "error" in line), log.strip())
            raise ToolError(f"NVRTC {nvrtc_version()} cannot compile {name} for {architecture}: {first}")
        return _read(library, program, "CUBIN"), log
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _read(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(f"nvrtcGet{what}Size", getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(f"nvrtcGet{what}", getattr(library, f"nvrtcGet{what}")(program, buffer))
    return buffer.raw


def _check(name: str, code: int) -> None:
    if code:
        raise ToolError(f"NVRTC: {name} failed with {code}")


@lru_cache(maxsize=1)
def _nvrtc() -> ctypes.CDLL:
    """The library: of the packages that CUDA builds of torch depend on, else the system's; ToolError without one."""
    for candidate in (*_from_packages(), *_system_names()):
        try:
            library = ctypes.CDLL(candidate)
        except OSError:
            continue
        pointer, size = ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)
        text, texts = ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p)
        library.nvrtcCreateProgram.argtypes = [ctypes.POINTER(pointer), text, text, ctypes.c_int, texts, texts]
        library.nvrtcCompileProgram.argtypes = [pointer, ctypes.c_int, texts]
        library.nvrtcDestroyProgram.argtypes = [ctypes.POINTER(pointer)]
        for what in ("ProgramLog", "CUBIN"):
            getattr(library, f"nvrtcGet{what}Size").argtypes = [pointer, size]
            getattr(library, f"nvrtcGet{what}").argtypes = [pointer, text]
        return library
    raise ToolError(
        "this GPU has no prebuilt machine code and NVRTC, NVIDIA's run-time compiler, was not found: "
        "pip install nvidia-cuda-nvrtc-cu12"
    )


def _from_packages() -> list[str]:
    """NVRTC in nvidia-cuda-nvrtc wheels: nvidia/cuda_nvrtc of CUDA 12, nvidia/cu13 of CUDA 13."""
    spec = find_spec("nvidia")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    library = "bin/nvrtc64*_0.dll" if sys.platform == "win32" else "lib/libnvrtc.so.1*"
    patterns = (f"cuda_nvrtc/{library}", f"cu1*/{library}")
    return [str(path) for folder in folders for pattern in patterns for path in sorted(folder.glob(pattern))]


def _system_names() -> tuple[str, ...]:
    if sys.platform == "win32":
        return ("nvrtc64_130_0.dll", "nvrtc64_120_0.dll")
    return ("libnvrtc.so.13", "libnvrtc.so.12")
