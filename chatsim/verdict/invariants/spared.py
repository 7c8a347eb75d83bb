"""The invariant of slow readers: what they were spared of typing and presence is told once there is room.

Decides whether what is told then is the newest of what was spared, the oldest first, and whether anything is left out.
Rule: what was spared is gathered from what went to others, and not from what the handler keeps.
"""

from __future__ import annotations

from chatsim.core.effects import Conn, Effects, Send, Watch
from chatsim.core.frames import Presence, Typing
from chatsim.core.laggards import PARTS_MAX
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.roster import Peer, Roster


class SparedRules:
    """What is watched of those who lag. Moments in seconds."""

    def __init__(self, roster: Roster, findings: Findings) -> None:
        self._roster = roster
        self._add = findings.add
        self._most = PARTS_MAX * max(roster.config.outbound_frames // 4, 1)

    def relayed(self, now: float, session: str, message: Typing | Presence, effects: Effects) -> None:
        """A signal went out to those who do not lag: the others are to be told later, and are waited for."""
        room = self._roster.rooms.get(session)
        if room is None:
            return
        for conn, peer in self._roster.lagging.items():
            if conn not in room.joined or peer.user == message.user:
                continue
            if not (peer.spared or _asks(effects, conn)):
                self._add("spared", now, f"nobody asks when {conn} has room for what it is spared.")
            key = session, message.user, type(message)
            peer.spared.pop(key, None)
            peer.spared[key] = message
            if len(peer.spared) > self._most:
                self._add("bounded", now, f"{conn} is spared {len(peer.spared)} signals.")

    def told(self, now: float, to: tuple[Conn, ...], message: Typing | Presence) -> None:
        """A connection that lagged is told something."""
        peer = self._roster.peers[to[0]]
        key = next(iter(peer.spared), None)
        if len(to) > 1 or key is None or peer.spared[key] != message:
            self._add("spared", now, f"{to[0]} is told of {message.user}, and that is not what it was spared first.")
            return
        del peer.spared[key]

    def pressed(self, now: float, peer: Peer, effects: Effects) -> None:
        """So much waits for a connection, and it has been told what there was room for."""
        if peer.pressed or peer.spared:
            self._roster.lagging[peer.name] = peer
        else:
            self._roster.lagging.pop(peer.name, None)
        told = sum(isinstance(e, Send) and isinstance(e.message, Typing | Presence) for e in effects)
        if peer.pressed:
            if told:
                self._add("spared", now, f"{peer.name} lags, and is told {told} signals.")
        elif peer.spared:
            if not told:
                self._add("spared", now, f"{peer.name} has room for what it was spared, and is told nothing.")
            elif not _asks(effects, peer.name):
                self._add("spared", now, f"nobody asks when {peer.name} has room for the rest.")

    def rest(self, now: float) -> None:
        """All has come to rest: nothing is left to be told."""
        for peer in self._roster.lagging.values():
            if peer.spared:
                self._add("spared", now, f"{peer.name} of {peer.user} was not told {len(peer.spared)} signals.")
                return


def _asks(effects: Effects, conn: Conn) -> bool:
    """Whether the shell is asked to say when nothing waits for the connection any more."""
    return any(isinstance(effect, Watch) and effect.to == conn for effect in effects)
