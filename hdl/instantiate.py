"""The instantiation template of a design: Verilog to copy into one's own top module."""

from collections.abc import Sequence

from .manifest import PortEntry

__all__ = ["instantiation_template"]

PURPOSE = {
    "clk": "all registers work on the rising edge",
    "rst": "synchronous, active high; hold it for one cycle or more",
    "s_axis_tdata": "input codes, element 0 in the least significant bits",
    "s_axis_tvalid": "AXI4-Stream: a beat is offered",
    "s_axis_tready": "AXI4-Stream: the beat is taken",
    "s_axis_tlast": "with the last beat of each frame",
    "m_axis_tdata": "class in the low byte(s), then each class's score, signed, little endian",
    "m_axis_tvalid": "AXI4-Stream: a result is offered",
    "m_axis_tready": "AXI4-Stream: the result is taken",
    "m_axis_tlast": "always 1: a result is one beat",
    "short_frame": "a frame ended early and was filled up with zeros; stays set until reset",
    "long_frame": "a frame went on beyond its length and was cut; stays set until reset",
}


AXI_LITE = "AXI4-Lite: weights and thresholds by the manifest's regions, status at 0, results at 4"
WEIGHTS = "AXI4-Stream: the layer's weights, as hdl/streams/weight_stream.py tells"


def purpose(port: str) -> str:
    """What a port is for."""
    if port in PURPOSE:
        return PURPOSE[port]
    return AXI_LITE if port.startswith("s_axil_") else WEIGHTS


def instantiation_template(top: str, ports: Sequence[PortEntry]) -> str:
    """Wires for all ports of the module `top`, what each is for, and an instance of it."""
    lines = ["// Copy into your top module. Sources: rtl/*.v; memory contents: rtl/*.hex (see manifest.json).", ""]
    for port in ports:
        width = f"[{port.width - 1}:0] " if port.width > 1 else ""
        lines.append(f"wire {width}{port.name};  // {port.direction}: {purpose(port.name)}")
    connections = ",\n".join(f"    .{port.name}({port.name})" for port in ports)
    return "\n".join([*lines, "", f"{top} {top}_instance (", connections, ");", ""])
