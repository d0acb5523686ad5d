"""Verilog of a component, in which a part that stands there many times is a module written once."""

from amaranth.back import verilog
from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring

__all__ = ["SharedModules", "to_verilog"]


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
        arguments = {}
        for path, member, value in component.signature.flatten(component):
            arguments[f"{'i' if member.flow is wiring.In else 'o'}_{'__'.join(map(str, path))}"] = value
        if "clk" in header:
            arguments |= {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        m = Module()
        m.submodules.unit = Instance(name, **arguments)
        return m


def to_verilog(component: wiring.Component, name: str) -> tuple[str, tuple[str, ...]]:
    """The text of module `name` and all below it, and the names of the modules that stand there many times."""
    shared = SharedModules()
    text = verilog.convert(component, name=name, platform=shared, emit_src=False, strip_internal_attrs=True)
    return text + "".join(f"\n{module}" for module in shared.modules.values()), tuple(shared.modules)
