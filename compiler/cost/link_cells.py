"""What the top of a board with a UART puts around the accelerator (`hdl/board/linked.py`): a few hundred cells."""

from .cells import Cells, Resources, counter_bits

__all__ = ["link_cells"]

# Synthesized part by part for ECP5 around accelerators of 8 to 112 bytes a frame and 11 to 37 a result; Gowin and iCE40
# take the same within 2 %.
_LINES = Resources(102, 47)  # UART both ways, SLIP both ways, and the pointers of the sequence numbers
_TOP = Resources(30, 13)  # reset after configuration
_HEADER, _ANSWER, _CRC = 2, 16, 4  # bytes of a packet's head, of the answer to HELLO, of a CRC
_BUFFERS = 2  # frames that can wait


def link_cells(cells: Cells, beat_bytes: int, beats: int, result_bytes: int) -> Resources:
    """Of the link of an accelerator whose frame is so many beats, and a result so many bytes."""
    frame = beat_bytes * beats
    address, place, left = counter_bits(frame * _BUFFERS), counter_bits(_HEADER + frame + _CRC + 2), counter_bits(frame)
    # The sender shifts a whole packet out; a result shorter than an answer shares registers with it.
    body = 8 * (_HEADER + max(result_bytes, _ANSWER))
    sender = Resources(229 + body, 82 + body)
    receiver = Resources(123 + 16 * address, 32 + 16 + 6 + place + left + 3 * address)
    memories = cells.ram(8, frame * _BUFFERS) + cells.ram(8, _BUFFERS, registered=False)
    gathered = Resources(4 + beat_bytes, 8 * beat_bytes + counter_bits(beat_bytes) + 1)
    widened = gathered if beat_bytes > 1 else Resources()
    counted = Resources(2 * counter_bits(beats), counter_bits(beats))
    return _TOP + _LINES + cells.ram(8, _BUFFERS, registered=False) + sender + receiver + memories + widened + counted
