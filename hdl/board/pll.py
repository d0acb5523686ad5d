"""A device's PLL as a component."""

from collections.abc import Mapping

from amaranth.hdl import Const, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...boards.pll import PllSetting

__all__ = ["Pll"]

# iCE40: the loop filter for what the phase detector compares, up to so many MHz (icepll's table)
_FILTERS = (17, 26, 44, 66, 101, 133)


class Pll(wiring.Component):
    """One clock in, another out.

    Parameters
    ----------
    setting: dividers, of the PLL of one device (`boards.pll.solve_pll`).
    device: as the family's tools name it; a Gowin PLL wants to be told (`boards.tools.GOWIN_DEVICES`).

    Members
    -------
    i: In(1), the oscillator; from a pin. o: Out(1), the clock. locked: Out(1), asynchronous: o runs as it should.
    """

    def __init__(self, setting: PllSetting, device: str = "") -> None:
        self._setting, self._device = setting, device
        super().__init__({"i": In(1), "o": Out(1), "locked": Out(1)})

    @property
    def setting(self) -> PllSetting:
        """Its dividers."""
        return self._setting

    def elaborate(self, platform: object) -> Module:
        """One cell of the device."""
        m = Module()
        primitive = self._setting.kind.primitive
        make = {"EHXPLLL": self._ecp5, "rPLL": self._gowin}.get(primitive, self._ice40)
        m.submodules.cell = Instance(primitive, **make())
        return m

    def _ice40(self) -> Mapping[str, object]:
        """SIMPLE feedback: from the oscillator inside, without delay."""
        s = self._setting
        compared = s.compared / 1_000_000
        source = "PACKAGEPIN" if s.kind.primitive == "SB_PLL40_PAD" else "REFERENCECLK"
        return {
            "p_FEEDBACK_PATH": "SIMPLE",
            "p_PLLOUT_SELECT": "GENCLK",
            "p_DIVR": Const(s.reference - 1, 4),
            "p_DIVF": Const(s.feedback - 1, 7),
            "p_DIVQ": Const(s.output.bit_length() - 1, 3),
            "p_FILTER_RANGE": Const(1 + sum(compared >= limit for limit in _FILTERS[:-1]), 3),
            f"i_{source}": self.i,
            "i_RESETB": Const(1),
            "i_BYPASS": Const(0),
            "o_PLLOUTGLOBAL": self.o,
            "o_LOCK": self.locked,
        }

    def _ecp5(self) -> Mapping[str, object]:
        """Feedback from the output itself; attributes and constant inputs as ecppll writes them."""
        s = self._setting
        half = s.output // 2
        return {
            "a_FREQUENCY_PIN_CLKI": _mhz(s.source),
            "a_FREQUENCY_PIN_CLKOP": _mhz(float(s.hz)),
            "a_ICP_CURRENT": "12",
            "a_LPF_RESISTOR": "8",
            "a_MFG_ENABLE_FILTEROPAMP": "1",
            "a_MFG_GMCREF_SEL": "2",
            "p_PLLRST_ENA": "DISABLED",
            "p_INTFB_WAKE": "DISABLED",
            "p_STDBY_ENABLE": "DISABLED",
            "p_DPHASE_SOURCE": "DISABLED",
            "p_OUTDIVIDER_MUXA": "DIVA",
            "p_CLKI_DIV": s.reference,
            "p_CLKOP_ENABLE": "ENABLED",
            "p_CLKOP_DIV": s.output,
            "p_CLKOP_CPHASE": max(half - 1, 0),
            "p_CLKOP_FPHASE": 0,
            "p_FEEDBK_PATH": "CLKOP",
            "p_CLKFB_DIV": s.feedback,
            "i_CLKI": self.i,
            "i_CLKFB": self.o,
            "o_CLKOP": self.o,
            "o_LOCK": self.locked,
            "i_PHASEDIR": Const(1),
            "i_PHASESTEP": Const(1),
            "i_PHASELOADREG": Const(1),
            **{f"i_{pin}": Const(0) for pin in ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PLLWAKESYNC", "ENCLKOP")},
        }

    def _gowin(self) -> Mapping[str, object]:
        """Static dividers, feedback inside."""
        s = self._setting
        return {
            "p_DEVICE": self._device,
            "p_FCLKIN": _mhz(s.source),
            "p_IDIV_SEL": s.reference - 1,
            "p_FBDIV_SEL": s.feedback - 1,
            "p_ODIV_SEL": s.output,
            "p_DYN_IDIV_SEL": "false",
            "p_DYN_FBDIV_SEL": "false",
            "p_DYN_ODIV_SEL": "false",
            "p_CLKFB_SEL": "internal",
            "p_CLKOUT_BYPASS": "false",
            "i_CLKIN": self.i,
            "o_CLKOUT": self.o,
            "o_LOCK": self.locked,
            **{f"i_{pin}": Const(0) for pin in ("CLKFB", "RESET", "RESET_P")},
            **{f"i_{pin}": Const(0, 6) for pin in ("FBDSEL", "IDSEL", "ODSEL")},
            **{f"i_{pin}": Const(0, 4) for pin in ("PSDA", "DUTYDA", "FDLY")},
        }


def _mhz(hz: float) -> str:
    return f"{hz / 1e6:.6g}"
