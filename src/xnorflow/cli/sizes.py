"""What `inspect` prints of a recipe: the network before it is trained, so that it can be of float weights too."""

from dataclasses import replace
from pathlib import Path

from .options import one_of
from .output import print_json, print_lines, print_table

__all__ = ["print_size"]


def print_size(recipe: Path | str, stage: str | None, as_json: bool) -> None:
    """Layers, memory and operations of a recipe's network, or of a stage of one with `duo`."""
    from ..train.duo.stages import STAGES, stage_recipe
    from ..train.models.sizes import model_size
    from ..train.recipe import load_recipe

    chosen = load_recipe(recipe)
    if stage is not None:
        chosen = replace(stage_recipe(chosen, one_of("--stage", stage, STAGES), ""), init=None)
    size = model_size(chosen)
    if as_json:
        print_json(
            {
                "layers": size.layers,
                "other_parameters": size.other_parameters,
                "memory_bits": size.memory_bits,
                "operations": size.operations,
            }
        )
        return
    rows = [
        (
            layer.name,
            "x".join(map(str, layer.output)),
            f"W{layer.weight_bits} A{layer.input_bits}",
            f"{layer.weights:,}",
            f"{layer.memory_bits / 1e6:,.3f}",
            f"{layer.macs / 1e6:,.3f}",
            f"{layer.operations / 1e6:,.3f}",
        )
        for layer in size.layers
    ]
    rows.append(
        ("other parameters", "", "", f"{size.other_parameters:,}", f"{size.other_parameters * 32e-6:,.3f}", "", "")
    )
    macs = sum(layer.macs for layer in size.layers)
    weights = sum(layer.weights for layer in size.layers) + size.other_parameters
    total = (f"{size.memory_bits / 1e6:,.2f}", f"{macs / 1e6:,.2f}", f"{size.operations / 1e6:,.2f}")
    rows.append(("total", "", "", f"{weights:,}", *total))
    columns = ("layer", "output", "bits", "weights", "Mbit", "multiply-adds, M", "operations, M")
    print_table(columns, rows, left=3)
    print_lines(
        "Mbit: 10^6 bits, float weights and other parameters of 32. operations: a multiply-add is one; of w-bit",
        "weights and a-bit codes it is w a / 64 of one (64 XNORs and their popcount at once).",
    )
