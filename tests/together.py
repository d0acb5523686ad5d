"""What real processes of the tests do: train one run together, as torchrun would start them, or die in it.

It is here because a child imports what it runs by name, and the test modules have none that it knows.
"""

import multiprocessing
import os
import signal
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


def train_and_die(recipe, run, saves):
    """Train with a checkpoint after each step; die in the middle of the save of that number, if there is one."""
    from xnorflow.train.loop.trainer import train_recipe

    if saves is not None:
        left, flush = [saves], os.fsync

        def die(handle):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            flush(handle)

        os.fsync = die
    train_recipe(recipe, run, resume=True, checkpoint_seconds=0)
