"""Energy of a mapped design from the toggles of its nets.

A toggle of a net costs C V^2 / 2, C being the pins that the net drives, and the internal energy that the library gives
for the cell that drives it; an input pin with an internal energy of its own, such as a flip-flop's, costs that as well.
The clock toggles twice a cycle at every flip-flop. Not in it: wires, the clock tree, glitches (toggles are those of a
simulation without delays) and leakage.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .liberty import Library
from .mapping import MappedDesign

__all__ = ["SLEW_NS", "NetEnergy", "toggle_energy"]

SLEW_NS = 0.1
"""Input transition at which internal energies are read, in nanoseconds: that of a gate with few loads."""


@dataclass(frozen=True, slots=True)
class NetEnergy:
    """Picojoules of a run. loads: of charging pins; internal: of the cells that drive nets, and of data inputs; clock:
    pins and internal energy of the flip-flops' clock inputs."""

    loads: float
    internal: float
    clock: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.loads + self.internal + self.clock


def toggle_energy(mapped: MappedDesign, library: Library, toggles: Mapping[str, int], cycles: int) -> NetEnergy:
    """Energy of a run of so many cycles in which the nets toggled so often. ValueError if a net's count is missing."""
    missing = [net for net in mapped.drivers if net not in toggles]
    if missing:
        raise ValueError(f"no toggles of {len(missing)} nets, {missing[0]} among them")
    loads = internal = clock = 0.0
    half_square = library.volts**2 / 2
    clocks = {(kind, cell.clock) for kind, cell in library.cells.items() if cell.clock}
    for net in {*mapped.drivers, *mapped.loads}:
        load, readers = mapped.loads.get(net, 0.0), mapped.readers.get(net, ())
        of_clocks = [pin for pin in readers if pin in clocks]
        inside = sum(library.cells[kind].pins[pin].transition_energy(0.0, SLEW_NS) for kind, pin in readers)
        if of_clocks:
            clock += 2 * cycles * (load * half_square + inside)
            continue
        count = toggles.get(net, 0)
        if net in mapped.drivers:
            kind, pin = mapped.drivers[net]
            inside += library.cells[kind].pins[pin].transition_energy(load, SLEW_NS)
        loads += count * load * half_square
        internal += count * inside
    picojoules = library.joules * 1e12
    return NetEnergy(loads * picojoules, internal * picojoules, clock * picojoules)
