"""Commands on the whole house: demo, doctor."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import HardwareError, ToolError
from .options import Json
from .output import log, print_json, print_lines, print_table

if TYPE_CHECKING:
    from ..demo import DemoResult

__all__ = ["demo", "doctor"]


def demo(
    out: Annotated[Path, typer.Option(help="Where everything is written.", metavar="DIR")] = Path("build/demo"),
) -> None:
    """Walk the whole road on handwritten digits: train, compile, generate, simulate, report."""
    from ..demo import run_demo
    from .progress import training_progress

    result = run_demo(out, say=log, watch=lambda: training_progress(sys.stderr, every=10))
    print_lines(*_summary(result))
    if result.mismatches:
        raise HardwareError(f"{result.mismatches:,} mismatches between PyTorch, golden model and hardware")


def doctor(as_json: Json = False) -> None:
    """Say which tools are there, which are missing and how to get them."""
    from ..doctor import Health, examine

    tools = examine()
    if as_json:
        print_json({"tools": tools})
    else:
        print_table(
            ("tool", "for", "", "version", "where, or how to get it"),
            [
                (
                    tool.name,
                    tool.purpose if tool.required else f"{tool.purpose} (optional)",
                    tool.health.value,
                    tool.version,
                    tool.where if tool.health is Health.OK else tool.remedy,
                )
                for tool in tools
            ],
            left=5,
        )
    unwell = [tool.name for tool in tools if tool.required and tool.health is not Health.OK]
    if unwell:
        raise ToolError(f"missing or too old: {', '.join(unwell)}")
    if not as_json:
        print_lines("everything that the road needs is there")


def _summary(result: "DemoResult") -> list[str]:
    """The demo's last lines."""
    streaming, stalled, report = result.streaming, result.stalled, result.report
    rivals = ", ".join(f"{rival.ratio:.3g}x less than {rival.name}" for rival in report.baselines)
    same = "" if result.mismatches else ", the same in PyTorch, golden model and hardware"
    return [
        "",
        f"accuracy          {result.evaluated.accuracy:.2%} on {result.evaluated.images:,} test images{same}",
        f"PyTorch           {result.evaluated.compared:,} values compared, "
        f"{result.evaluated.disagreements:,} disagreements",
        f"hardware          {streaming.images:,} images without and {stalled.images:,} with random stalls, "
        f"{streaming.layers_checked} layers checked, {streaming.mismatches + stalled.mismatches:,} mismatches",
        f"cycles an image   {streaming.cycles_per_image:g} measured, bound {streaming.bound_cycles:,}",
        f"energy an image   {report.energy.total / 1000:.3g} nJ (45 nm model): {rivals}",
        f"report            {report.path}",
        f"Verilog           {result.generated.design.rtl}",
    ]
