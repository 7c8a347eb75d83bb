"""As many messages are stored as are wanted, and everybody hears of those of her session."""

from __future__ import annotations

from pathlib import Path

from chatsim.live.calibration.churn import LISTENERS, SESSIONS, churn
from chatsim.live.calibration.measure import Home


def test_messages_are_stored_for_the_collector(tmp_path: Path) -> None:
    with Home(tmp_path, None, journal=False).crowd("plain") as crowd:
        assert churn(crowd, 2 * SESSIONS + 1) == 3 * SESSIONS
        assert churn(crowd, 1) == SESSIONS
        crowd.settle()
        for number in range(SESSIONS):
            peers = [crowd.line(f"peer {place} of churn{number}", f"churn{number}") for place in range(1 + LISTENERS)]
            heard = [peer.seq for peer in peers]
            assert max(heard) == 4
            assert min(heard) >= 3, "who spoke last has heard of that by its ack alone"
