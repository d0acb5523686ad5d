"""`xnorflow bench`: the figures. To be filled from the rooms' own measuring functions."""

import typer

__all__ = ["app"]

app = typer.Typer(help="Measure the figures of docs/results.md.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    pass
