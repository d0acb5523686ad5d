"""Many components in one build: the C++ compilation costs more than the simulation."""

from collections.abc import Mapping

from amaranth.hdl import Module
from amaranth.lib import wiring

__all__ = ["Farm"]


class Farm(wiring.Component):
    """Independent components side by side; the ports of component `name` are `name__<port>`."""

    def __init__(self, components: Mapping[str, wiring.Component]) -> None:
        self._components = dict(components)
        super().__init__({name: wiring.Out(part.signature) for name, part in self._components.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, part in self._components.items():
            m.submodules[name] = part
            wiring.connect(m, part, wiring.flipped(getattr(self, name)))
        return m
