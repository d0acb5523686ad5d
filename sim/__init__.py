"""Simulation with cocotb and Verilator: component benches, whole accelerators, bare C++ loops."""
