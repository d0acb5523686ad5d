"""The accelerator in Amaranth: stream parts, engines, and their Verilog."""
