"""Compile the CUDA kernel for the architectures that machine code is shipped for: after every change of kernel.cu.

Needs NVRTC alone (nvidia-cuda-nvrtc-cu12 of the dev extra), no GPU.
"""

from rich import print as show

from xnorflow.gpu.build import nvrtc_version, write_prebuilt


def main() -> None:
    """Write src/xnorflow/gpu/cubins."""
    show(f"NVRTC {nvrtc_version()}, bytes:", write_prebuilt())


if __name__ == "__main__":
    main()
