"""Designs in standard cells: the library's file, the mapping by Yosys, and the energy of what was seen to toggle."""
