"""Many faults in the fast model: every result is its frame's, none is lost."""

import pytest

from xnorflow.link.faults import FAULTS, count_faults
from xnorflow.link.packets import Decoder, Packet


def test_no_fault_makes_a_wrong_result() -> None:
    counted = count_faults(3000, seed=1)
    assert (counted.wrong, counted.lost) == (0, 0)
    assert counted.faults >= 3000
    assert counted.by_kind.keys() == set(FAULTS)
    assert counted.resent > 1000


def test_the_count_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a decoder that never looks at the CRC wrong results are found."""
    close = Decoder._close

    def trusting(self: Decoder) -> Packet | None:
        body = bytes(self._body)
        close(self)
        return Packet(body[0], body[1], body[2:-4]) if len(body) >= 6 else None

    monkeypatch.setattr(Decoder, "_close", trusting)
    assert count_faults(3000, seed=1).wrong > 10
