"""Verilog of a component, in which a part that stands there many times is a module written once."""

from typing import Any

from amaranth.back import verilog
from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring

__all__ = ["SharedModules", "instance_of", "to_verilog"]


class SharedModules:
    """What `to_verilog` hands to elaboration as the platform: it takes parts out of the design, as modules by name.

    A big accelerator has thousands of popcounts of a dozen kinds: written once each, it is generated several times as
    fast, and every tool behind has less to read.
    """

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}

    def place(self, name: str, component: wiring.Component) -> Module:
        """A module that instantiates `name`, which is `component`; parts of one name are equal."""
        if name not in self.modules:
            self.modules[name] = verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
        header = self.modules[name].partition(f"module {name}(")[2].partition(")")[0].split(", ")
        m = Module()
        m.submodules.unit = instance_of(name, component, clocked="clk" in header)
        return m


def instance_of(name: str, component: wiring.Component, *, clocked: bool = True) -> Instance:
    """An instance of the Verilog module `name`, which is there already, behind the component's ports."""
    ports: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()} if clocked else {}
    for path, member, value in component.signature.flatten(component):
        ports[f"{'i' if member.flow is wiring.In else 'o'}_{'__'.join(map(str, path))}"] = value
    return Instance(name, **ports)


def to_verilog(component: wiring.Component, name: str) -> tuple[str, tuple[str, ...]]:
    """The text of module `name` and all below it, and the names of the modules that stand there many times."""
    shared = SharedModules()
    text = verilog.convert(component, name=name, platform=shared, emit_src=False, strip_internal_attrs=True)
    return text + "".join(f"\n{module}" for module in shared.modules.values()), tuple(shared.modules)
