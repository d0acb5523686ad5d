"""Vivado's scripts for boards with a processor, run by Tcl with Vivado's commands replaced by ones that write down."""

from typing import Any

import pytest

from xnorflow.boards.block_design import block_design_script, package_script
from xnorflow.boards.loader import load_board
from xnorflow.errors import HardwareError

BOARDS = ["pynq-z1", "pynq-z2", "zc706", "ultra96", "kv260"]
ANSWERS = {"get_property": "100%", "glob": "found"}
COMMANDS = (
    *("add_files", "apply_bd_automation", "assign_bd_address", "connect_bd_intf_net", "connect_bd_net"),
    *(
        "create_bd_cell",
        "create_bd_design",
        "create_project",
        "current_fileset",
        "current_project",
        "file",
        "get_bd_cells",
    ),
    *("get_bd_intf_pins", "get_bd_pins", "get_files", "get_ipdefs", "get_property", "get_runs", "glob", "launch_runs"),
    *("make_wrapper", "open_run", "report_timing_summary", "report_utilization", "save_bd_design", "set_property"),
    *("update_ip_catalog", "validate_bd_design", "wait_on_run", "ipx::package_project", "ipx::current_core"),
    *("ipx::associate_bus_interfaces", "ipx::create_xgui_files", "ipx::update_checksums", "ipx::save_core"),
)


def run(script: str) -> list[tuple[str, ...]]:
    """Every call of a command of Vivado, in order; a command that Vivado does not have would be an error of Tcl."""
    tkinter = pytest.importorskip("tkinter")
    tcl: Any = tkinter.Tcl()
    calls: list[tuple[str, ...]] = []

    def command(name: str) -> None:
        def call(*words: str) -> str:
            calls.append((name, *words))
            last = words[-1] if words else ""
            return ANSWERS.get(name, last if name.startswith("get_") else f"<{name}>")

        tcl.eval(f"namespace eval {name.rpartition('::')[0] or '::'} {{}}")
        tcl.createcommand(name, call)

    for name in COMMANDS:
        command(name)
    tcl.eval(script)
    return calls


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("name", BOARDS)
def test_every_wire_and_bus_joins_cells_that_are_there(name: str, control: bool) -> None:
    calls = run(block_design_script(load_board(name), "board_top", control=control))
    cells = {call[-1] for call in calls if call[0] == "create_bd_cell"}
    assert cells == {"ps", "reset", "dma", "control", "memory", "accelerator"}
    pins = [call[1] for call in calls if call[0] in ("get_bd_pins", "get_bd_intf_pins")]
    assert {pin.partition("/")[0] for pin in pins} == cells
    buses = [call[1] for call in calls if call[0] == "get_bd_intf_pins"]
    assert len(buses) == len(set(buses))  # a bus has two ends
    assert ("accelerator/s_axil" in buses) == control
    wires = [(pins[at], pins[at + 1]) for at in range(0, 2 * sum(c[0] == "connect_bd_net" for c in calls), 2)]
    assert len({to for _, to in wires}) == len(wires)  # nothing is driven twice
    settings = {call[1]: call[2] for call in calls if call[0] == "set_property" and call[1].startswith("CONFIG.")}
    board = load_board(name)
    clocks = [v for key, v in settings.items() if key.endswith(("PERIPHERAL_FREQMHZ", "REF_CTRL__FREQMHZ"))]
    assert clocks == [f"{board.hz / 1e6:g}"]
    assert settings["CONFIG.c_m_axis_mm2s_tdata_width"] == "64"
    assert ("launch_runs", "impl_1", "-to_step", "write_bitstream") in calls


@pytest.mark.parametrize(
    ("name", "part"),
    list(
        zip(
            BOARDS,
            ["xc7z020clg400-1", "xc7z020clg400-1", "xc7z045ffg900-2", "xczu3eg-sbva484-1-e", "xck26-sfvc784-2LV-c"],
            strict=True,
        )
    ),
)
def test_the_part_is_named_as_vivado_does(name: str, part: str) -> None:
    board = load_board(name)
    scripts = (
        block_design_script(board, "board_top", control=False),
        package_script(board, "board_top", ["../rtl/a.v"], [], control=False),
    )
    for script in scripts:
        (call,) = [call for call in run(script) if call[0] == "create_project"]
        assert call[call.index("-part") + 1] == part


def test_the_package_has_all_files_and_its_buses_a_clock() -> None:
    script = package_script(load_board("pynq-z1"), "board_top", ["../rtl/a.v", "b.v"], ["../rtl/a.hex"], control=True)
    calls = run(script)
    assert [call[-1] for call in calls if call[0] == "add_files"] == ["../rtl/a.v", "b.v", "../rtl/a.hex"]
    buses = [call[2] for call in calls if call[0] == "ipx::associate_bus_interfaces" and call[1] == "-busif"]
    assert buses == ["s_axis", "m_axis", "s_axil"]
    assert ("set_property", "top", "board_top", "<current_fileset>") in calls


def test_other_devices_are_refused() -> None:
    with pytest.raises(HardwareError, match="board icebreaker: no processing system of iCE40UP5K is known"):
        block_design_script(load_board("icebreaker"), "board_top", control=False)
