"""CUDA's driver API through ctypes: machine code loaded once a device, kernels launched on torch's streams.

The driver is part of what a GPU needs anyway; nothing else is: no toolkit, no compiler, no package beside torch.
Nothing here runs before the first launch.
"""

import ctypes
import sys
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache

from ..errors import ToolError, UsageError

__all__ = ["Module", "Value", "check_gpu", "driver"]

Value = ctypes.Structure | ctypes.c_void_p | ctypes.c_longlong | ctypes.c_int | ctypes.c_float
"""What a kernel takes."""

_MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
_SHARED_CARVEOUT = 9  # CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT
_ALL = 100  # per cent
_FREE_SHARED = 48 << 10  # bytes that a block may have without asking
MOST_BLOCKS = (1 << 31) - 1


def check_gpu() -> None:
    """UsageError, with what would do, unless this torch sees a GPU."""
    import torch

    if torch.version.cuda is None:
        raise UsageError(
            f"device cuda: torch {torch.__version__} is built without CUDA; install a CUDA build (README, 'On a GPU') "
            "or use --device cpu"
        )
    if not torch.cuda.is_available():
        raise UsageError("device cuda: no NVIDIA GPU is visible (nvidia-smi lists them); use --device cpu")


@lru_cache(maxsize=1)
def driver() -> ctypes.CDLL:
    """The driver's library; ToolError where there is none."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        raise ToolError(f"NVIDIA's driver library {name} cannot be loaded: {error}") from error
    pointer = ctypes.c_void_p
    library.cuModuleLoadData.argtypes = [ctypes.POINTER(pointer), ctypes.c_char_p]
    library.cuModuleGetFunction.argtypes = [ctypes.POINTER(pointer), pointer, ctypes.c_char_p]
    library.cuFuncSetAttribute.argtypes = [pointer, ctypes.c_int, ctypes.c_int]
    library.cuDeviceGet.argtypes = [ctypes.POINTER(ctypes.c_int), ctypes.c_int]
    library.cuDevicePrimaryCtxRetain.argtypes = [ctypes.POINTER(pointer), ctypes.c_int]
    library.cuCtxPushCurrent_v2.argtypes = [pointer]
    library.cuCtxPopCurrent_v2.argtypes = [ctypes.POINTER(pointer)]
    library.cuGetErrorName.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    library.cuLaunchKernel.argtypes = [pointer, *[ctypes.c_uint] * 7, pointer, ctypes.POINTER(pointer), pointer]
    _call(library, "cuInit", 0)
    return library


def _call(library: ctypes.CDLL, name: str, *arguments: object) -> None:
    """A call of the driver; ToolError with its name and the driver's where it fails."""
    code = getattr(library, name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        library.cuGetErrorName(code, ctypes.byref(text))
        raise ToolError(f"CUDA's driver: {name} failed with {(text.value or b'an unknown error').decode()} ({code})")


class Module:
    """Machine code, loaded on each device when it is first used there.

    code: of an architecture such as "sm_90", the cubin.
    """

    def __init__(self, code: Callable[[str], bytes]) -> None:
        self._code = code
        self._loaded: dict[int, tuple[ctypes.c_void_p, ctypes.c_void_p]] = {}  # context and module by device
        self._kernels: dict[tuple[int, str], ctypes.c_void_p] = {}
        self._lock = threading.Lock()

    def _kernel(self, device: int, name: str, shared: int) -> ctypes.c_void_p:
        """The function on the device, whose context is current; it may have `shared` bytes a block from now on."""
        library = driver()
        with self._lock:
            if (device, name) not in self._kernels:
                function = ctypes.c_void_p()
                module = self._loaded[device][1]
                _call(library, "cuModuleGetFunction", ctypes.byref(function), module, name.encode())
                if shared > _FREE_SHARED:
                    _call(library, "cuFuncSetAttribute", function, _MAX_DYNAMIC_SHARED, shared)
                if shared:
                    _call(library, "cuFuncSetAttribute", function, _SHARED_CARVEOUT, _ALL)
                self._kernels[device, name] = function
            return self._kernels[device, name]

    def _context(self, device: int) -> ctypes.c_void_p:
        """torch's context on the device."""
        import torch

        with self._lock:
            if device in self._loaded:
                return self._loaded[device][0]
        major, minor = torch.cuda.get_device_capability(device)
        image = self._code(f"sm_{major}{minor}")
        library, context, module = driver(), ctypes.c_void_p(), ctypes.c_void_p()
        handle = ctypes.c_int()
        _call(library, "cuDeviceGet", ctypes.byref(handle), device)
        _call(library, "cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
        _call(library, "cuCtxPushCurrent_v2", context)
        try:
            _call(library, "cuModuleLoadData", ctypes.byref(module), image)
        finally:
            _call(library, "cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
        with self._lock:
            self._loaded.setdefault(device, (context, module))
            return self._loaded[device][0]

    def launch(
        self,
        device: int,
        name: str,
        blocks: int,
        threads: int,
        shared: int,
        arguments: Sequence[Value],
    ) -> None:
        """Launch a kernel on torch's current stream of that device. shared: dynamic bytes a block, the same for every
        launch of a kernel. UsageError for more blocks than a launch has."""
        import torch

        if blocks < 1:
            return
        if blocks > MOST_BLOCKS:
            raise UsageError(f"{name}: {blocks:,} blocks are more than a launch has ({MOST_BLOCKS:,}): split the batch")
        library, context = driver(), self._context(device)
        stream = ctypes.c_void_p(torch.cuda.current_stream(device).cuda_stream)
        pointers = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(argument) for argument in arguments))
        _call(library, "cuCtxPushCurrent_v2", context)
        try:
            function = self._kernel(device, name, shared)
            _call(library, "cuLaunchKernel", function, blocks, 1, 1, threads, 1, 1, shared, stream, pointers, None)
        finally:
            _call(library, "cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
