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
            # Port by port: wiring.connect cannot flip an interface that holds an array of ports.
            leaves = zip(part.signature.flatten(part), part.signature.flatten(getattr(self, name)), strict=True)
            for (_, member, inner), (_, _, outer) in leaves:
                m.d.comb += outer.eq(inner) if member.flow is wiring.Out else inner.eq(outer)
        return m
