"""The invariant of refusals: nobody is kept out of a session that she may be in and that has room for her.

Decides whether what a connection asked of a session was refused for a reason, and for which one. Rule: the reason is
in who takes part, in what her token names and in how many there are already, as the roster has it; that a node has no
room for one session more is not looked into. Moments in seconds.
"""

from __future__ import annotations

from typing import Final

from chatsim.core.frames import Error, Say, StatusIn, TypingIn
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.roster import Peer, Roster

_FOREIGN: Final = frozenset({"not_a_participant", "no_such_session"})

_OF_SESSIONS: Final = frozenset({"not_a_participant", "no_such_session", "bad_frame"})


class RefusalRules:
    """What is watched of those who are refused a session."""

    def __init__(self, roster: Roster, findings: Findings) -> None:
        self._roster = roster
        self._add = findings.add

    def refused(self, now: float, peer: Peer, asked: object, frame: Error) -> None:
        """A frame was answered with an error."""
        if frame.code not in _OF_SESSIONS or not isinstance(asked, Say | StatusIn | TypingIn):
            return
        session = asked.session
        if not isinstance(session, str) or (isinstance(asked, StatusIn) and asked.action == "refresh"):
            return
        if isinstance(asked, Say):
            due = self._writes(peer, session)
        elif isinstance(asked, StatusIn) and asked.action == "join":
            due = self._joins(peer, session)
        else:
            # Nobody leaves her own session.
            stays = isinstance(asked, StatusIn) and session == "@" + peer.user
            due = self._unknown(peer, session) if stays or session not in peer.rooms else ""
        if session.startswith("@") and {frame.code, due} <= _FOREIGN:
            # Whether somebody else's own session has begun by now is not looked into.
            return
        if frame.code != due:
            what = f"{type(asked).__name__} of {peer.user} for {session}"
            self._add("kept_out", now, f"{what} is answered with {frame.code}, not with {due or 'what was asked for'}.")

    def _joins(self, peer: Peer, session: str) -> str:
        """The code of the refusal that a join is due ("": none is)."""
        config, room = self._roster.config, self._roster.rooms.get(session)
        takes_part = room is not None and peer.user in room.participants
        own = "@" + peer.user
        if session != own and not (takes_part if peer.allowed is None else session in peer.allowed):
            return self._unknown(peer, session)
        # Her own session she is in unasked.
        if session not in peer.rooms and len(peer.rooms.keys() - {own}) >= config.sessions_per_connection:
            return "bad_frame"
        full = room is not None and len(room.participants) >= config.participants_max
        return "not_a_participant" if full and not takes_part else ""

    def _writes(self, peer: Peer, session: str) -> str:
        """The same of a message."""
        room = self._roster.rooms.get(session)
        takes_part = room is not None and peer.user in room.participants
        named = peer.allowed is None or session in peer.allowed
        return "" if session == "@" + peer.user or (takes_part and named) else self._unknown(peer, session)

    def _unknown(self, peer: Peer, session: str) -> str:
        """What somebody is told who has no business there."""
        there = session in self._roster.rooms or session == "@" + peer.user
        return "not_a_participant" if there else "no_such_session"
