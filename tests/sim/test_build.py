"""Building models: errors in one line, settings that reach the tools, a run time that is compiled once."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from xnorflow.errors import ToolError
from xnorflow.sim.build import Optimization, build_model, first_error, public_ports
from xnorflow.sim.process import run_logged, tool_environment
from xnorflow.sim.verilator import find_verilator

MAIN = """
#include <cstdio>
#include "Vtop.h"
#include "verilated.h"
int main() {
    Vtop top;
    top.eval();
    std::printf("%d\\n", top.o);
}
"""


def build(folder: Path, verilog: str, main: str = MAIN, arguments: Sequence[str] = (), **parameters: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "top.v").write_text(verilog)
    (folder / "main.cpp").write_text(main)
    return build_model(
        find_verilator(),
        top="top",
        sources=[folder / "top.v"],
        main=folder / "main.cpp",
        folder=folder / "build",
        arguments=arguments,
        parameters=parameters,
        optimization=Optimization(),
    )


def test_a_model_with_a_parameter_runs(tmp_path: Path) -> None:
    executable = build(tmp_path, "module top #(parameter N = 1) (output [7:0] o); assign o = N + 1; endmodule", N=41)
    log = tmp_path / "log"
    assert run_logged([str(executable)], cwd=tmp_path, environment=tool_environment({}), log=log) == 0
    assert log.read_text() == "42\n"


def test_the_run_time_is_shared(tmp_path: Path) -> None:
    """Each build finds all the objects it links: one with VPI has more of them than one without."""
    for name, arguments in (("bare", ()), ("vpi", ("--vpi",)), ("bare_again", ()), ("vpi_again", ("--vpi",))):
        build(tmp_path / name, f"module top (output [7:0] o); assign o = {len(name)}; endmodule", arguments=arguments)
    for name in ("bare_again", "vpi_again"):
        compiled = "-o verilated" in (tmp_path / name / "build" / "build.log").read_text()
        assert compiled == (sys.prefix == sys.base_prefix)


@pytest.mark.parametrize(
    ("verilog", "main", "message"),
    [
        ("module top (output o); assign o = ; endmodule", MAIN, r"^Verilator failed: Error: .*top\.v:1:.*log: "),
        ("module top (output o); assign o = 1; endmodule", "int main( {}", r"^the C\+\+ build failed: .*main\.cpp:1"),
    ],
)
def test_what_fails_is_one_line(verilog: str, main: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=message) as caught:
        build(tmp_path, verilog, main)
    assert "\n" not in str(caught.value)


def test_a_space_in_the_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"space in its path: .*/a b/build; choose another"):
        build(tmp_path / "a b", "module top (output o); assign o = 1; endmodule")


def test_the_first_error_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for text, expected in [
        ("%Warning: a\n%Error: b.v:1: no\n%Error: c\n", "Error: b.v:1: no"),
        ("x\nfoo.cpp:3:1: error: bad\nmake: *** stop\n", "foo.cpp:3:1: error: bad"),
        ("make: *** No rule to make target\nmake: Leaving\n", "make: *** No rule to make target"),
        ("x\ncannot go on\n\n", "cannot go on"),
        ("", "no output"),
    ]:
        log.write_text(text)
        assert first_error(log) == expected


def test_control_file() -> None:
    assert public_ports("top", ["clk", "i__valid"]).splitlines() == [
        "`verilator_config",
        'public_flat_rw -module "top" -var "clk"',
        'public_flat_rw -module "top" -var "i__valid"',
    ]
