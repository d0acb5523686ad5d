"""Quantizers and layers that yield integer-valued tensors; all of them can stand in anybody's own module."""
