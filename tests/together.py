"""Several real processes that train one run, as torchrun would start them."""

import multiprocessing
import os
import socket


def train_together(recipe, out, processes=2, **options):
    """Train with so many processes; their exit codes."""
    context = multiprocessing.get_context("forkserver")  # torch is imported once, not by each child
    context.set_forkserver_preload(["xnorflow.train.loop.trainer", "sklearn.datasets"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [
        context.Process(target=_train, args=(rank, processes, port, recipe, out, options)) for rank in range(processes)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [child.exitcode for child in children]


def _train(rank, processes, port, recipe, out, options):
    from xnorflow.errors import XnorflowError
    from xnorflow.train.loop.trainer import train_recipe

    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in names.items()}
    try:
        train_recipe(recipe, out, **options)
    except XnorflowError as error:
        raise SystemExit(error.exit_code) from error
