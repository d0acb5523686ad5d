"""The `xnorflow` command: sub-commands in the order of the road. Imports nothing heavy: `--help` is instant."""

from typing import Annotated

import typer

from .. import __version__
from . import bench, compare, designs, devices, duo, folds, house, networks, training

__all__ = ["app"]

app = typer.Typer(
    name="xnorflow",
    help="From a PyTorch network with 1- to 8-bit weights to a streaming accelerator in Verilog, proved bit for bit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"xnorflow {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


app.command("train")(training.train)
app.command("train-duo")(duo.train_duo)
app.command("duo-results")(duo.duo_results)
app.command("gradient-mismatch")(duo.gradient_mismatch)
app.command("recipes")(training.recipes)
app.command("curves")(training.curves)
app.command("compile")(networks.compile_command)
app.command("import-bnn-pynq")(networks.import_bnn_pynq)
app.command("inspect")(networks.inspect)
app.command("eval")(networks.evaluate)
app.command("predict")(networks.predict)
app.command("boards")(designs.boards)
app.command("fold")(folds.fold)
app.command("generate")(designs.generate)
app.command("build")(designs.build)
app.command("run")(devices.run)
app.command("simulate")(designs.simulate)
app.command("compare")(compare.compare)
app.command("fetch")(compare.fetch)
app.command("report")(designs.report)
app.command("demo")(house.demo)
app.command("doctor")(house.doctor)
app.add_typer(bench.app, name="bench")
