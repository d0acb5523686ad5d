"""Several real processes that train one run, as torchrun would start them."""

import multiprocessing
import os
import socket


def train_together(recipe, out, processes=2, before=None, **options):
    """Train with so many processes; their exit codes. before: what each of them calls first."""
    context = multiprocessing.get_context("forkserver")  # torch is imported once, not by each child
    context.set_forkserver_preload(["xnorflow.train.loop.trainer", "sklearn.datasets"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [
        context.Process(target=_train, args=(rank, processes, port, recipe, out, before, options))
        for rank in range(processes)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [child.exitcode for child in children]


def _train(rank, processes, port, recipe, out, before, options):
    from xnorflow.errors import XnorflowError
    from xnorflow.train.loop.trainer import train_recipe

    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in names.items()}
    if before is not None:
        before()
    try:
        train_recipe(recipe, out, **options)
    except XnorflowError as error:
        raise SystemExit(error.exit_code) from error


def shakespeare_from(address, md5, folder):
    """Tiny-shakespeare is published there, and what is downloaded lies below this folder."""
    from xnorflow.train.data import download

    os.chdir(folder)
    os.environ.pop("XNORFLOW_DATA", None)
    download.PUBLIC["tiny-shakespeare"] = (download.PublicFile("input.txt", md5, (address,)),)
