"""The step behind a bitstream: images through a board on a serial port, every answer compared with the golden model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..boards.loader import load_board
from ..compiler.storage.network_file import load_network, network_hash
from ..errors import UsageError
from .networks import Prediction, load_samples, read_raw

__all__ = ["DeviceRun", "run"]


@dataclass(frozen=True, slots=True)
class DeviceRun:
    """What a board answered.

    mismatches: images whose class or scores are not the golden model's. accuracy: of a data set, None for images
    without labels. seconds: from the first question to the last answer, frames_per_s over them: what the serial line
    allows, not what the accelerator could do. resent: packets that were sent again because no answer came in time;
    dropped: packets that came in damaged.
    """

    board: str
    port: str
    baud: int
    predictions: tuple[Prediction, ...]
    mismatches: int
    accuracy: float | None
    seconds: float
    frames_per_s: float
    resent: int
    dropped: int


def run(
    design_dir: Path | str,
    *,
    port: str,
    images: Sequence[Path | str] = (),
    data: str | None = None,
    limit: int | None = None,
    data_dir: Path | str | None = None,
    baud: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> DeviceRun:
    """Send images, or the first `limit` test images of a data set, to the board at a serial port.

    design_dir: the design whose bitstream the board holds; it says how images are packed, and the board must answer
    with the hash of its network. baud: where the line is not as fast as the design's board says. progress: hears how
    many answers there are. Raises UsageError (no images, a design without a UART), DataError (images that do not fit,
    no such port, no answer, another network), ToolError (pyserial missing).
    """
    from ..compiler import golden
    from ..hdl.board.files import BOARD_FILE
    from ..hdl.generate import load_design
    from ..link.serial_port import run_frames

    if bool(images) == (data is not None):
        raise UsageError("give images or a data set, and not both")
    if images and limit is not None:
        raise UsageError("a limit is for a data set: give fewer images instead")
    design = load_design(Path(design_dir))
    manifest, board = design.manifest, load_board(design.path / BOARD_FILE)
    if board.interface.baud is None or manifest.interleave:
        reason = "its frames are steps of sequences" if manifest.interleave else f"board {board.name} has none"
        raise UsageError(f"{design.path} has no top with a UART: {reason}")
    network = load_network(design.path / "network.safetensors")
    raw: NDArray[np.generic]
    labels = None
    if data is not None:
        samples = load_samples(network, data, limit=limit, data_dir=data_dir)
        raw, labels = samples.images, samples.labels
        sources = [f"{data}[{index}]" for index in range(len(raw))]
    else:
        sources, raw = read_raw(network, images)
    codes = network.input_codes(raw)
    cycles = manifest.initiation_interval + sum(stage.cycles for stage in manifest.stages)
    answers = run_frames(
        port,
        [frame.tobytes() for frame in manifest.frames.pack(codes)],
        baud=baud or board.interface.baud,
        network_hash=network_hash(network),
        accelerator_s=2 * cycles / board.hz,
        progress=progress,
    )
    table = np.frombuffer(b"".join(answers.results), np.uint8).reshape(len(codes), -1)
    classes, scores = manifest.frames.unpack(table)
    trace = golden.run(network, codes, keep=())
    wrong = classes != trace.classes
    if manifest.result.score_bytes:
        wrong |= (scores != trace.scores).any(axis=1)
    return DeviceRun(
        board=board.name,
        port=port,
        baud=baud or board.interface.baud,
        predictions=tuple(
            Prediction(source, int(index), network.class_names[index], tuple(map(int, row)))
            for source, index, row in zip(sources, classes, scores, strict=True)
        ),
        mismatches=int(np.count_nonzero(wrong)),
        accuracy=None if labels is None else float(np.mean(classes == labels)),
        seconds=answers.seconds,
        frames_per_s=len(codes) / answers.seconds,
        resent=answers.resent,
        dropped=answers.dropped,
    )
