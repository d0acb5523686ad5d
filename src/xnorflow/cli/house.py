"""Commands on the whole house: demo, doctor."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ToolError
from .options import Json
from .output import print_json, print_lines, print_table

__all__ = ["demo", "doctor"]


def demo(
    out: Annotated[Path, typer.Option(help="Where everything is written.", metavar="DIR")] = Path("build/demo"),
) -> None:
    """Walk the whole road on handwritten digits: train, compile, generate, simulate, report."""
    from .demo import run_demo

    run_demo(out)


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
