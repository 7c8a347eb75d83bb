"""The invariants of who may write where, of orders that end something, of evictions, and of when to try again.

Decides whether an order was followed for all whom it concerns, whether nothing is given up but for the cause that is
told, and whether what a refusal promises is so. Rule: it is asked before the step is carried into the roster, so that
it sees who was there. Moments and durations in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import Any, Final

from msgspec import UNSET

from chatsim.core.effects import Close, Conn, Effects, Note, Record, Send
from chatsim.core.facts import Ended, Removed
from chatsim.core.frames import Error, Heartbeat, HeartbeatIn, Left, StatusIn, Undelivered
from chatsim.core.service import SERVER
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.peers import CLOCK_EPS_S
from chatsim.verdict.invariants.roster import Peer, Roster

CONNECTION_LIMIT = "connection limit"
"""The reason of a close that makes room for another connection of the same user."""

DUE_AT: Final[dict[str, tuple[str, ...]]] = {"no_ack": ("wake",), "expired": ("wake", "appended")}
"""Where that is told which comes of time alone, or of there being no room for more in a session: `DeliveryRules` knows
when that may be."""

ROUNDING_MS = 1
"""Sums of the same moments in another order may round to another millisecond."""


class OrderRules:
    """What is watched of authors, orders, evictions and refusals."""

    def __init__(self, roster: Roster, findings: Findings) -> None:
        self._roster = roster
        self._add = findings.add
        # The sessions that have ended in this step.
        self._over: set[str] = set()

    def over(self, session: str) -> None:
        """A session has ended in this step."""
        self._over.add(session)

    def end_of_step(self) -> None:
        """What ended in this step is no cause of anything later."""
        self._over.clear()

    def append(self, now: float, record: Record) -> None:
        """A message is asked to be stored: its author takes part in its session, and her token may name it."""
        own = record.session[:1] == "@"
        if record.sender == SERVER:
            if not own:
                self._add("author", now, f"the server writes to {record.session}.")
            return
        if own:
            if record.session != "@" + record.sender:
                self._add("author", now, f"{record.sender} writes to {record.session}.")
            return
        room, peer = self._roster.rooms.get(record.session), self._roster.peers.get(record.conn)
        named = peer is None or peer.allowed is None or record.session in peer.allowed
        if room is None or record.sender not in room.participants or not named:
            self._add("author", now, f"{record.sender} writes to {record.session}, and takes no part in it.")

    def ended(self, now: float, session: str, effects: Effects) -> None:
        """A session was ended by order."""
        room = self._roster.rooms.get(session)
        if room is None or session[:1] == "@":
            return
        if not any(isinstance(e, Note) and isinstance(e.fact, Ended) and e.fact.session == session for e in effects):
            self._add("ordered", now, f"{session} was to end, and goes on.")
        self._told(now, session, room.joined, effects)

    def removed(self, now: float, session: str, user: str, effects: Effects) -> None:
        """Somebody was taken out of a session by order."""
        room = self._roster.rooms.get(session)
        if room is None or session[:1] == "@" or user not in room.participants:
            return
        facts = [e.fact for e in effects if isinstance(e, Note)]
        if not any(isinstance(fact, Removed | Ended) and fact.session == session for fact in facts):
            self._add("ordered", now, f"{user} was to be taken out of {session}, and is in it.")
        hers = [peer.name for peer in self._roster.users.get(user, {}).values() if session in peer.rooms]
        self._told(now, session, hers, effects)

    def _told(self, now: float, session: str, whom: Iterable[Conn], effects: Effects) -> None:
        told = {
            conn
            for effect in effects
            if isinstance(effect, Send) and isinstance(effect.message, Left) and effect.message.session == session
            for conn in effect.to
        }
        missed = set(whom) - told
        if missed:
            self._add("ordered", now, f"{min(missed)} was in {session}, and is not told that it is no more.")

    def close(self, now: float, effect: Close) -> None:
        """The node closes a connection, which is still in the roster."""
        peer = self._roster.peers.get(effect.to)
        if peer is None or effect.reason != CONNECTION_LIMIT:
            return
        connections = self._roster.users[peer.user]
        oldest = next(iter(connections))
        if len(connections) <= self._roster.config.connections_per_user:
            self._add("eviction", now, f"{effect.to} of {peer.user} goes, and there was room.")
        elif oldest != effect.to:
            self._add("eviction", now, f"{effect.to} of {peer.user} goes, and {oldest} is older.")

    def beat(self, now: float, to: tuple[Conn, ...], args: Sequence[Any], frame: Heartbeat) -> None:
        """A heartbeat is answered; `args` are what came in."""
        asked = args[1] if len(args) > 1 else None
        if not isinstance(asked, HeartbeatIn):
            self._add("heartbeat", now, f"{to[0]} is sent one, and has not asked for it.")
            return
        peer, rooms = self._roster.peers[to[0]], self._roster.rooms
        own = "@" + peer.user
        seqs = {own: rooms[own].seq if own in rooms else 0, **{name: rooms[name].seq for name in peer.rooms}}
        if frame.t != asked.t or frame.seqs != seqs:
            self._add("heartbeat", now, f"{peer.name} is told {frame.seqs} and {frame.t}, not {seqs} and {asked.t}.")
        wall = self._roster.epoch + now
        if abs(frame.server_time - wall) > CLOCK_EPS_S:
            self._add("heartbeat", now, f"{peer.name} is told {frame.server_time:.3f}, and it is {wall:.3f}.")

    def undelivered(self, now: float, door: str, args: Sequence[Any], notice: Undelivered) -> None:
        """A message is given up for somebody, which is for the cause that its reason names; `args` are what came in.

        Who has left by herself is owed nothing any more, and so has nothing given up for her later.
        """
        if not self._is_caused(door, args, notice):
            self._add("given_up", now, f"{notice.message_id} is {notice.reason} for {notice.user} at {door}.")
        room = self._roster.rooms.get(notice.session)
        if room is None or notice.reason not in DUE_AT or self._roster.config.reliability == "baseline":
            return
        if notice.user not in room.here and notice.user not in room.absent:
            self._add("given_up", now, f"{notice.message_id} is {notice.reason} for {notice.user}, who had left.")

    def _is_caused(self, door: str, args: Sequence[Any], notice: Undelivered) -> bool:
        """Whether this very step is one in which such a thing is given up for this user in this session."""
        session, user, reason = notice.session, notice.user, notice.reason
        if reason == "left":
            return door == "receive" and self._has_left(args[0], args[1], session, user)
        if reason == "ended":
            return session in self._over
        if reason == "removed":
            return door == "remove_participant" and (args[0], args[1]) == (session, user)
        if reason == "revoked":
            return door == "revoke" and bool(args[1] == user)
        return door in DUE_AT.get(reason, ())

    def _has_left(self, conn: Conn, asked: object, session: str, user: str) -> bool:
        """Whether the user has just asked to leave the session with her last connection in it."""
        peer, room = self._roster.peers.get(conn), self._roster.rooms.get(session)
        if peer is None or peer.user != user or room is None or user in room.here:
            return False
        return isinstance(asked, StatusIn) and asked.action == "leave" and asked.session == session

    def refused(self, now: float, peer: Peer, frame: Error, counts_since: float | None) -> None:
        """A message, or a frame, was one too many; `counts_since` is the moment of the oldest message that counts
        against its author, where that is known."""
        config = self._roster.config
        if frame.code == "frame_rate":
            # What is no message may be refused without a word of when.
            if frame.retry_after_ms is UNSET:
                return
            self._wait(now, peer, frame, peer.frames[0] + config.frame_window_s - now)
        elif frame.code != "rate_limited":
            return
        elif config.rate_algorithm == "fixed":
            window_s = config.rate_window_s
            self._wait(now, peer, frame, (floor(now / window_s) + 1) * window_s - now)
        elif counts_since is not None:
            self._wait(now, peer, frame, counts_since + config.rate_window_s - now)
        else:
            most_s = config.rate_window_s / (config.rate_limit if config.rate_algorithm == "token_bucket" else 1)
            told = frame.retry_after_ms
            if not isinstance(told, int) or not 1 <= told <= ceil(most_s * 1000) + ROUNDING_MS:
                self._add("retry_after", now, f"{peer.user} is told {told} ms, of {most_s:g} s at most.")

    def _wait(self, now: float, peer: Peer, frame: Error, wait_s: float) -> None:
        told, right = frame.retry_after_ms, max(1, ceil(wait_s * 1000))
        if not isinstance(told, int) or abs(told - right) > ROUNDING_MS:
            self._add("retry_after", now, f"{peer.user} is told {told} ms, and it is {right}.")
