"""What keeps a server's cycle collector busy: chat in small sessions, message after message.

Decides who speaks when. Rule: everybody speaks by turns and acks what she hears, so that as many objects of a message
come and stay as where people talk. When the collector ran is left to who asks.
"""

from __future__ import annotations

import time
from typing import Final

from chatsim.errors import HarnessError
from chatsim.live.calibration.crowd import ANSWER_S_MAX, Crowd

SESSIONS: Final = 20
LISTENERS: Final = 4
"""Of each message, in its session."""


def churn(crowd: Crowd, count: int) -> int:
    """Have at least so many messages stored, and acked by those who hear them; returns how many were.

    Raises HarnessError where they do not all come.
    """
    sessions = [f"churn{number}" for number in range(SESSIONS)]
    rooms = [
        [crowd.line(f"peer {place} of {session}", session) for place in range(1 + LISTENERS)] for session in sessions
    ]
    for session, peers in zip(sessions, rooms, strict=True):
        for peer in peers:
            peer.acks = session.encode()
    crowd.settle()
    done = 0
    told = [max(peer.seq for peer in peers) for peers in rooms]
    while done < count:
        # The next one who speaks hears of it as late as anybody.
        turn = done // SESSIONS % (1 + LISTENERS)
        for session, peers in zip(sessions, rooms, strict=True):
            peers[turn].send(crowd.message(session.encode()))
        done += SESSIONS
        told = [seq + 1 for seq in told]
        until = time.perf_counter() + ANSWER_S_MAX
        while any(peers[turn - 1].seq < seq for peers, seq in zip(rooms, told, strict=True)):
            if not crowd.read(0.01) and time.perf_counter() > until:
                raise HarnessError(f"Of {done} messages not all came: calibrate again, on a quieter machine.")
    return done
