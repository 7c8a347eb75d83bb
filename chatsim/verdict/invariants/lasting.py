"""The invariant of sessions that are opened for a time: they end when that is over, and no session ends by itself
otherwise.

Decides whether each end of a session was due, and whether none that was due is missing. Rule: an end is wall time, by
the clock of the node, right or wrong; one that has passed when the clock was set, or when the node began again, is due
at once. Moments and durations in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, Final

from chatsim.core.effects import Conn
from chatsim.core.facts import Made
from chatsim.core.snapshot import Snapshot
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.peers import CLOCK_EPS_S
from chatsim.verdict.invariants.roster import Roster

_ORDERS: Final = frozenset({"end_session", "remove_participant"})
"""What ends a session before its time: an order that says so, or one that takes out the last who takes part."""

_MAKES_ROOM: Final = frozenset({"receive", "open_session", "post"})
"""Where a session comes to be, for which one that nobody opened, and that is empty, may be forgotten."""

_TOO_LATE: Final = "appended"
"""Where a log is told that what it has just taken is of a session that was over before."""


class LastingRules:
    """What is watched of sessions that end by themselves."""

    def __init__(self, roster: Roster, findings: Findings) -> None:
        self._roster = roster
        self._add = findings.add
        # The epoch of each session that was opened for a time, and its end (wall time).
        self._ends: dict[str, tuple[int, float]] = {}
        # Since when the clock is what it is.
        self._since = -inf
        # Who was in a session that has ended in this step, and has not been told.
        self._untold: dict[str, set[Conn]] = {}

    def begin(self, now: float, snapshot: Snapshot) -> None:
        """The node begins again, with what its log knows."""
        self._since = now
        states = {state.name: state for state in snapshot.sessions}
        for session, (epoch, end) in self._ends.items():
            state = states.get(session)
            if state is not None and state.epoch == epoch and state.expires_at != end:
                self._add("session_ends", now, f"{session} is to end at {end}, and is kept until {state.expires_at}.")
        self._ends = {s.name: (s.epoch, s.expires_at) for s in snapshot.sessions if s.expires_at is not None}

    def jump(self, now: float) -> None:
        """The wall clock was set."""
        self._since = now

    def made(self, now: float, door: str, args: Sequence[Any], fact: Made) -> None:
        """A session came to be: one that was ordered for a time ends then, and any other does not end by itself."""
        ttl_s = args[2] if door == "open_session" else None
        end = None if ttl_s is None else self._roster.epoch + now + ttl_s
        told = fact.expires_at
        if (told is None) != (end is None) or (told is not None and end is not None and abs(told - end) > CLOCK_EPS_S):
            self._add("session_ends", now, f"{fact.session} is to end at {told}, and was opened until {end}.")
        if told is not None:
            self._ends[fact.session] = fact.epoch, told

    def over(self, now: float, door: str, args: Sequence[Any], session: str, slack_s: float) -> None:
        """A session has ended; it is in the roster still."""
        end = self._ends.pop(session, (0, inf))[1]
        due_at = end - self._roster.epoch
        ordered = door in _ORDERS and bool(args[0] == session)
        if door == "wake":
            room = self._roster.rooms.get(session)
            if room is not None and room.joined:
                self._untold[session] = set(room.joined)
            if now < due_at - CLOCK_EPS_S:
                self._add("session_ends", now, f"{session} ends by itself, and was to be there until {due_at:g} s.")
            self._check(now, session, due_at, slack_s)
        elif end < inf:
            if not ordered:
                self._add("session_ends", now, f"{session} ends at {door}, and was to be there until {due_at:g} s.")
        elif not ordered and door != _TOO_LATE:
            self._check_room(now, door, session)

    def _check_room(self, now: float, door: str, session: str) -> None:
        """No order ends the session: it is forgotten to make room for another, and nobody is in it."""
        room = self._roster.rooms.get(session)
        if door not in _MAKES_ROOM or (room is not None and room.joined):
            self._add("session_ends", now, f"{session} ends at {door}, and nobody has ended it.")

    def left(self, to: Sequence[Conn], session: str) -> None:
        """Connections are told that they are in the session no more."""
        if session in self._untold:
            self._untold[session] -= set(to)

    def woken(self, now: float) -> None:
        """The node has done what was due."""
        for session, conns in self._untold.items():
            if conns:
                self._add("session_ends", now, f"{min(conns)} was in {session}, and is not told that its time is over.")
        self._untold.clear()

    def sweep(self, now: float, slack_s: float) -> None:
        """Look for sessions that should be over."""
        for session, (_, end) in self._ends.items():
            self._check(now, session, end - self._roster.epoch, slack_s)

    def _check(self, now: float, session: str, due_at: float, slack_s: float) -> None:
        if now > max(due_at, self._since) + slack_s:
            self._add("session_ends", now, f"{session} was to end at {due_at:g} s.")
