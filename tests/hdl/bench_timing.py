"""cocotb: the cycles in which beats pass the ports of a farm's components, the pauses given cycle by cycle.

Parameters: `cases` names a JSON file, a list of rounds, each with a reset before it: component -> {"frame_beats",
"ports": {port: [pauses, beats]}}; pauses are strings of 0 and 1, beats is null where beats come out. What came
of it goes to the file `found`: for each round component -> port -> cycles, counted from the first one after reset, and
in place of a port `level`, where the component has one, what it said in each cycle.
"""

import json
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from xnorflow.sim.streams import bench_parameters, start


class Port:
    """One stream port: offers or takes beats as its pauses say, and notes the cycles of the handshakes."""

    def __init__(self, dut: Any, prefix: str, pauses: str, beats: int | None, frame_beats: int) -> None:
        axi = hasattr(dut, f"{prefix}_tvalid")
        self.valid, self.ready = (getattr(dut, prefix + (f"_t{n}" if axi else f"__{n}")) for n in ("valid", "ready"))
        self.last = getattr(dut, f"{prefix}_tlast") if axi and beats else None
        self.pauses, self.beats, self.frame_beats = pauses, beats, frame_beats
        self.driven = self.offered = 0
        self.cycles: list[int] = []
        self.drive(beats is None and pauses[0] == "0")

    def drive(self, value: bool) -> None:
        self.driven = value
        (self.ready if self.beats is None else self.valid).value = value

    def step(self, cycle: int) -> None:
        """The clock edge that ends `cycle`."""
        taken = self.driven and (self.valid if self.beats is None else self.ready).value == 1
        if taken:
            self.cycles.append(cycle)
        if self.beats is None:
            self.drive(self.pauses[cycle + 1] == "0")
        elif taken or not self.driven:
            self.drive(self.offered < self.beats and self.pauses[cycle] == "0")
            self.offered += self.driven
            if self.last is not None:
                self.last.value = self.offered % self.frame_beats == 0


@cocotb.test()
async def handshakes(dut: Any) -> None:
    parameters = bench_parameters()
    edge = RisingEdge(dut.clk)
    found = []
    for number, cases in enumerate(json.loads(Path(parameters["cases"]).read_text())):
        if number == 0:
            await start(dut)
        else:
            dut.rst.value = 1
            await edge
            await edge
            dut.rst.value = 0
        ports = {
            name: {
                port: Port(dut, f"{name}__{port}", *values, case["frame_beats"])
                for port, values in case["ports"].items()
            }
            for name, case in cases.items()
        }
        levels = {name: getattr(dut, f"{name}__level") for name in cases if hasattr(dut, f"{name}__level")}
        held: dict[str, list[int]] = {name: [] for name in levels}
        every = [port for of in ports.values() for port in of.values()]
        for cycle in range(len(every[0].pauses) - 1):
            await edge
            for port in every:
                port.step(cycle)
            for name, signal in levels.items():
                held[name].append(int(signal.value))
        found.append({name: {port: value.cycles for port, value in of.items()} for name, of in ports.items()})
        for name, values in held.items():
            found[-1][name]["level"] = values
    Path(parameters["found"]).write_text(json.dumps(found))
