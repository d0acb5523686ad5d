"""The command line: thin, on top of `xnorflow.flow`. It alone prints and decides exit codes."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType

import typer

from ..errors import DataError, InterruptedRunError, UsageError, XnorflowError

__all__ = ["main"]

# typer >= 0.2x carries its own click, earlier ones use the real one: the base of every complaint about the command
# line is found from the one class that both export.
_COMMAND_LINE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. An error that a user can mend is one line on standard error.

    With XNORFLOW_TRACEBACK=1 in the environment such errors keep their traceback. Unforeseen exceptions always do.
    """
    from .app import app  # here, so that an interrupt while importing is one line as well

    _say_what_is_logged()
    earlier = signal.signal(signal.SIGTERM, _terminate)
    command = typer.main.get_command(app)
    try:
        code = command.main(None if arguments is None else list(arguments), prog_name="xnorflow", standalone_mode=False)
        sys.stdout.flush()
    except (XnorflowError, _COMMAND_LINE_ERROR, OSError, KeyboardInterrupt, typer.Abort) as error:
        if os.environ.get("XNORFLOW_TRACEBACK") == "1":
            raise
        return _complain(error)
    finally:
        signal.signal(signal.SIGTERM, earlier)
    if code == InterruptedRunError.exit_code:  # typer has swallowed the KeyboardInterrupt
        return _complain(KeyboardInterrupt())
    return code if isinstance(code, int) else 0


class _Notes(logging.Handler):
    """A line on standard error, wherever that is by then."""

    def emit(self, record: logging.LogRecord) -> None:
        """The message, behind what kind it is."""
        kind = "warning" if record.levelno >= logging.WARNING else "note"
        sys.stderr.write(f"xnorflow: {kind}: {record.getMessage()}\n")
        sys.stderr.flush()


def _say_what_is_logged() -> None:
    """What the rooms log, such as how far a download is, is for people here."""
    logger = logging.getLogger("xnorflow")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, _Notes) for handler in logger.handlers):
        logger.addHandler(_Notes())


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _complain(error: BaseException) -> int:
    """Say what went wrong in one line and give the exit code."""
    # Amaranth warns of every component that was made and not elaborated: here it is because of the error.
    warnings.filterwarnings("ignore", message=r".* created but never used", category=Warning)
    if isinstance(error, BrokenPipeError):  # the reader of our output has left, as `head` does: nothing to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DataError.exit_code
    if isinstance(error, XnorflowError):
        message, code = str(error), error.exit_code
    elif isinstance(error, KeyboardInterrupt | typer.Abort):
        message, code = "interrupted; what was written before is intact", InterruptedRunError.exit_code
    elif isinstance(error, OSError):
        place = error.filename2 or error.filename  # of a rename its target: the source is a temporary file
        where = f": {place}" if place else ""
        message, code = f"{error.strerror or error}{where}", DataError.exit_code
    else:
        message, code = _command_line_message(error), UsageError.exit_code
    if message:
        sys.stderr.write(f"xnorflow: error: {' '.join(message.split())}\n")
    return code


def _command_line_message(error: BaseException) -> str:
    """What typer has to say about the arguments; nothing where it has printed the help in its place."""
    format_message = getattr(error, "format_message", None)
    message = format_message() if callable(format_message) else str(error)
    context = getattr(error, "ctx", None)
    if not message or context is None:
        return message
    return f"{message.rstrip('.')} (see {context.command_path} --help)"
