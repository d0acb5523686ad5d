"""Products of bit planes as torch operators: a CUDA kernel on a GPU, exact kernels of the same operators on a CPU."""
