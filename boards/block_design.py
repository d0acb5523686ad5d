"""What Vivado is told about a board with a processor: a script that packages the accelerator, and one that builds a
block design around it. Vivado was not at hand: neither script has run in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import HardwareError
from .loader import Board, Family

__all__ = ["DMA", "block_design_script", "package_script"]

DMA = "dma"
"""The DMA's name in the block design, by which a driver asks for it."""

_CELL = "accelerator"


@dataclass(frozen=True, slots=True)
class _Processor:
    """A processing system: its IP, settings, and the names of its clock, reset, master and memory ports."""

    ip: str
    settings: tuple[tuple[str, str], ...]
    clock: str
    reset: str
    master: str
    master_clock: str
    memory: str
    memory_clock: str
    fixed: bool


def _processor(board: Board) -> _Processor:
    mhz = f"{board.hz / 1e6:.6g}"
    match board.family:
        case Family.XILINX7:
            return _Processor(
                ip="processing_system7",
                settings=(
                    ("PCW_USE_M_AXI_GP0", "1"),
                    ("PCW_USE_S_AXI_HP0", "1"),
                    ("PCW_EN_CLK0_PORT", "1"),
                    ("PCW_EN_RST0_PORT", "1"),
                    ("PCW_FPGA0_PERIPHERAL_FREQMHZ", mhz),
                ),
                clock="FCLK_CLK0",
                reset="FCLK_RESET0_N",
                master="M_AXI_GP0",
                master_clock="M_AXI_GP0_ACLK",
                memory="S_AXI_HP0",
                memory_clock="S_AXI_HP0_ACLK",
                fixed=True,
            )
        case Family.XILINX_US_PLUS:
            return _Processor(
                ip="zynq_ultra_ps_e",
                settings=(
                    ("PSU__USE__M_AXI_GP0", "1"),
                    ("PSU__USE__M_AXI_GP1", "0"),
                    ("PSU__USE__M_AXI_GP2", "0"),
                    ("PSU__USE__S_AXI_GP2", "1"),
                    ("PSU__FPGA_PL0_ENABLE", "1"),
                    ("PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ", mhz),
                ),
                clock="pl_clk0",
                reset="pl_resetn0",
                master="M_AXI_HPM0_FPD",
                master_clock="maxihpm0_fpd_aclk",
                memory="S_AXI_HP0_FPD",
                memory_clock="saxihp0_fpd_aclk",
                fixed=False,
            )
    raise HardwareError(f"board {board.name}: no processing system of {board.device} is known")


def _part(board: Board) -> str:
    """The device as Vivado names it."""
    joint = "" if board.family is Family.XILINX7 else "-"
    return board.part or f"{board.device}{joint}{board.package}"


def package_script(board: Board, name: str, sources: Sequence[str], memories: Sequence[str], *, control: bool) -> str:
    """`vivado -mode batch -source package_ip.tcl`: the module `name` as an IP in ./ip.

    sources, memories: Verilog and what it reads. control: whether it has an AXI4-Lite port, s_axil.
    """
    streams = ["s_axis", "m_axis", *(["s_axil"] if control else [])]
    lines = [
        "# vivado -mode batch -source package_ip.tcl, in this folder: the accelerator as an IP in ./ip",
        f"create_project -force -in_memory -part {_part(board)}",
        *(f"add_files -norecurse {path}" for path in (*sources, *memories)),
        *(f"set_property file_type {{Memory Initialization Files}} [get_files {path}]" for path in memories),
        f"set_property top {name} [current_fileset]",
        "ipx::package_project -root_dir ip -vendor xnorflow -library designs -taxonomy /UserIP -import_files -force",
        "set core [ipx::current_core]",
        f"set_property display_name {{xnorflow accelerator for {board.name}}} $core",
        *(f"ipx::associate_bus_interfaces -busif {bus} -clock aclk $core" for bus in streams),
        "ipx::associate_bus_interfaces -clock aclk -reset aresetn $core",
        "ipx::create_xgui_files $core",
        "ipx::update_checksums $core",
        "ipx::save_core $core",
    ]
    return "\n".join(lines) + "\n"


def block_design_script(board: Board, name: str, *, control: bool) -> str:
    """`vivado -mode batch -source build.tcl`, behind `package_script`: project, block design, xnorflow.bit and .hwh.

    The accelerator's streams are joined to an AXI DMA without scatter-gather, whose transfers go through the
    processor's memory port; its registers, and with `control` the accelerator's s_axil, hang on the master port.
    """
    ps = _processor(board)
    masters = 2 if control else 1
    dma = {
        "c_include_sg": 0,
        "c_sg_include_stscntrl_strm": 0,
        "c_sg_length_width": 26,
        "c_m_axi_mm2s_data_width": 64,
        "c_m_axis_mm2s_tdata_width": 64,
        "c_m_axi_s2mm_data_width": 64,
    }
    clocked = [
        f"ps/{ps.master_clock}",
        f"ps/{ps.memory_clock}",
        "reset/slowest_sync_clk",
        *(f"{DMA}/{pin}" for pin in ("s_axi_lite_aclk", "m_axi_mm2s_aclk", "m_axi_s2mm_aclk")),
        "control/aclk",
        "memory/aclk",
        f"{_CELL}/aclk",
    ]
    joined = [
        (f"{DMA}/M_AXIS_MM2S", f"{_CELL}/s_axis"),
        (f"{_CELL}/m_axis", f"{DMA}/S_AXIS_S2MM"),
        (f"ps/{ps.master}", "control/S00_AXI"),
        ("control/M00_AXI", f"{DMA}/S_AXI_LITE"),
        *([("control/M01_AXI", f"{_CELL}/s_axil")] if control else []),
        (f"{DMA}/M_AXI_MM2S", "memory/S00_AXI"),
        (f"{DMA}/M_AXI_S2MM", "memory/S01_AXI"),
        ("memory/M00_AXI", f"ps/{ps.memory}"),
    ]
    reset = [f"{DMA}/axi_resetn", "control/aresetn", "memory/aresetn", f"{_CELL}/aresetn"]
    lines = [
        "# vivado -mode batch -source build.tcl, in this folder, behind package_ip.tcl",
        f"create_project -force xnorflow project -part {_part(board)}",
        "set_property ip_repo_paths [file normalize ip] [current_project]",
        "update_ip_catalog",
        "create_bd_design system",
        "",
        "proc cell {name ip {settings {}}} {",
        '    create_bd_cell -type ip -vlnv [lindex [get_ipdefs -all -filter "NAME == $ip"] end] $name',
        "    foreach {key value} $settings { set_property CONFIG.$key $value [get_bd_cells $name] }",
        "}",
        "proc wire {from to} { connect_bd_net [get_bd_pins $from] [get_bd_pins $to] }",
        "proc join_bus {from to} { connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to] }",
        "",
        f"cell ps {ps.ip} {{{' '.join(f'{key} {value}' for key, value in ps.settings)}}}",
        "cell reset proc_sys_reset",
        f"cell {DMA} axi_dma {{{' '.join(f'{key} {value}' for key, value in dma.items())}}}",
        f"cell control smartconnect {{NUM_SI 1 NUM_MI {masters}}}",
        "cell memory smartconnect {NUM_SI 2 NUM_MI 1}",
        f"cell {_CELL} {name}",
        *(
            (
                "apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 "
                '-config {make_external "FIXED_IO, DDR"} [get_bd_cells ps]',
            )
            if ps.fixed
            else ()
        ),
        "",
        *(f"wire ps/{ps.clock} {pin}" for pin in clocked),
        f"wire ps/{ps.reset} reset/ext_reset_in",
        *(f"wire reset/peripheral_aresetn {pin}" for pin in reset),
        *(f"join_bus {left} {right}" for left, right in joined),
        "assign_bd_address",
        "validate_bd_design",
        "save_bd_design",
        "",
        "set design [get_files system.bd]",
        "add_files -norecurse [make_wrapper -files $design -top]",
        "set_property top system_wrapper [current_fileset]",
        "launch_runs impl_1 -to_step write_bitstream",
        "wait_on_run impl_1",
        'if {[get_property PROGRESS [get_runs impl_1]] != "100%"} { error "no bitstream: see project/" }',
        "file copy -force [glob project/xnorflow.runs/impl_1/*.bit] xnorflow.bit",
        "file copy -force [glob project/*.gen/sources_1/bd/system/hw_handoff/*.hwh] xnorflow.hwh",
        "open_run impl_1",
        "report_timing_summary -file xnorflow.timing.rpt",
        "report_utilization -file xnorflow.utilization.rpt",
    ]
    return "\n".join(lines) + "\n"
