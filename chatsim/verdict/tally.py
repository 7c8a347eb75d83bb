"""What a node did, counted from its inputs and effects, one step at a time.

Decides the counters of scenarios.md that the server knows, which messages were accepted, and what became of each for
each receiver. Rule: it sees only dated inputs and the effects that answered them, so that a simulated handler may feed
it as it goes, a live one through its journal, and both are counted alike.
What people saw, and the verdicts, are left to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

from chatsim.core.effects import Close, Conn, Effect, Ping, Record, Send
from chatsim.core.frames import Ack, Delivered, Error, Joined, Message, Presence, StatusIn, Typing, Undelivered
from chatsim.core.snapshot import Snapshot
from chatsim.journal.record import DELIVERED, FORGOTTEN, WAITING, RunRecord

COUNTERS = (
    "duplicates_suppressed",
    "rate_limited",
    "retries",
    "gave_up",
    "resumes",
    "recovered",
    "unrecovered",
    "pings",
    "stale_closed",
    "no_pong_closed",
    "slow_closed",
    "token_expired",
    "presence_events",
    "typing_events",
    "errors",
    "connections_peak",
)
_CLOSED = {4000: "slow_closed", 4001: "no_pong_closed", 4002: "token_expired", 4005: "stale_closed"}


class Tally:
    """Counts one handler; moments are those of its clock, in seconds.

    `accepted` maps (sender, client id) to the message id; `owed` maps a message id to {receiving user: DELIVERED,
    WAITING, FORGOTTEN or the reason it was given up}; `closed` maps a connection that the server closed to (moment,
    code).
    A receiver who was away when a message went out enters `owed` with her notice, or through `await_`.
    """

    def __init__(self) -> None:
        self.accepted: dict[tuple[str, str], str] = {}
        self.owed: dict[str, dict[str, str]] = {}
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.closed: dict[Conn, tuple[float, int]] = {}
        self._users: dict[Conn, str] = {}
        self._open: set[Conn] = set()
        self._frames: dict[type, Callable[[str, Send], None]] = {
            Message: self._message,
            Ack: self._ack,
            Delivered: self._delivered,
            Undelivered: self._undelivered,
            Presence: self._presence,
            Typing: self._typing,
            Error: self._error,
            Joined: self._joined,
        }
        self._resuming = False
        self.lives = 1
        self.drain_time_s: list[float] = []
        self._draining_since = inf

    def step(self, now: float, door: str, args: Sequence[Any], effects: Sequence[Effect]) -> None:
        """One input of the handler, by the name of its method and the arguments after `now`, and what it answered."""
        if door == "appended":
            record: Record = args[0]
            self.accepted[record.sender, record.id] = record.message_id
            self.owed[record.message_id] = {}
        elif door == "connect":
            self._connect(args[0], args[1].sub)
        elif door == "disconnect":
            self._open.discard(args[0])
        elif door == "drain" and self._open:
            self._draining_since = now
        self._take(now, door, args, effects)
        if not self._open and self._draining_since < inf:
            self.drain_time_s.append(now - self._draining_since)
            self._draining_since = inf

    def _take(self, now: float, door: str, args: Sequence[Any], effects: Sequence[Effect]) -> None:
        if not effects:
            return
        self._resuming = door == "receive" and isinstance(args[1], StatusIn) and isinstance(args[1].last_seq, int)
        frames = self._frames
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                count = frames.get(type(effect.message))  # type: ignore[union-attr]
                if count is not None:
                    count(door, effect)  # type: ignore[arg-type]
            elif isinstance(effect, Ping):
                self.counters["pings"] += len(effect.to)
            elif isinstance(effect, Close):
                self._close(now, effect)

    def await_(self, message_id: str, user: str) -> None:
        """The handler still waits for this user's ack, so far as nothing else is known."""
        self.owed.setdefault(message_id, {}).setdefault(user, WAITING)

    def begin(self, snapshot: Snapshot, waiting: Iterable[tuple[str, str]]) -> None:
        """The node began again with what its log knew, and waits for these (message id, user).

        What it stored just before its end may be news here: a killed process takes the end of its journal with it. What
        it waited for, and neither has noted as had nor waits for any more, it has forgotten.
        """
        self.lives += 1
        self._open.clear()
        # Who was killed while it drained was never drained.
        self._draining_since = inf
        known = set(waiting)
        had: set[tuple[str, str]] = set()
        for state in snapshot.sessions:
            for record in state.records:
                receivers = {user: seq for user, seq in state.positions if user != record.sender}
                had |= {(record.message_id, user) for user, seq in receivers.items() if seq >= record.seq}
                if self.accepted.setdefault((record.sender, record.id), record.message_id) == record.message_id:
                    self.owed.setdefault(record.message_id, dict.fromkeys(receivers, WAITING))
        for message_id, outcomes in self.owed.items():
            for user, outcome in outcomes.items():
                if outcome == WAITING and (message_id, user) not in known:
                    outcomes[user] = DELIVERED if (message_id, user) in had else FORGOTTEN

    @property
    def waiting(self) -> int:
        """How many (message, receiver) pairs are neither delivered nor given up (counted anew at each call)."""
        return sum(outcome == WAITING for receivers in self.owed.values() for outcome in receivers.values())

    def fill(self, record: RunRecord) -> None:
        """Write what was counted into the record of the run; counters that are there already and unknown here stay."""
        record.accepted = self.accepted
        record.owed = self.owed
        record.drain_time_s = self.drain_time_s
        record.counters.update(self.counters)

    def _connect(self, conn: Conn, user: str) -> None:
        self._users[conn] = user
        self._open.add(conn)
        if len(self._open) > self.counters["connections_peak"]:
            self.counters["connections_peak"] = len(self._open)

    def _close(self, now: float, effect: Close) -> None:
        self._open.discard(effect.to)
        self.closed[effect.to] = (now, effect.code)
        counter = _CLOSED.get(effect.code)
        if counter is not None:
            self.counters[counter] += 1

    def _message(self, door: str, effect: Send) -> None:
        message = effect.message
        assert isinstance(message, Message)
        users = self._users
        if door == "appended":
            receivers = self.owed[message.message_id]
            sender = message.sender
            for conn in effect.to:
                user = users[conn]
                if user != sender:
                    receivers[user] = WAITING
        elif door == "wake":
            # A retry is one user's, over however many of her connections.
            self.counters["retries"] += len({users[conn] for conn in effect.to})

    def _ack(self, door: str, effect: Send) -> None:
        if effect.message.duplicate:  # type: ignore[union-attr]
            self.counters["duplicates_suppressed"] += len(effect.to)

    def _delivered(self, door: str, effect: Send) -> None:
        notice = effect.message
        assert isinstance(notice, Delivered)
        for message_id in notice.message_ids:
            self.owed[message_id][notice.user] = DELIVERED

    def _undelivered(self, door: str, effect: Send) -> None:
        notice = effect.message
        assert isinstance(notice, Undelivered)
        receivers = self.owed[notice.message_id]
        # A node that began again may not know of an ack that came just before its end.
        if receivers.get(notice.user) != DELIVERED:
            receivers[notice.user] = notice.reason
        if notice.reason == "no_ack":
            self.counters["gave_up"] += 1

    def _presence(self, door: str, effect: Send) -> None:
        self.counters["presence_events"] += len(effect.to)

    def _typing(self, door: str, effect: Send) -> None:
        self.counters["typing_events"] += len(effect.to)

    def _error(self, door: str, effect: Send) -> None:
        self.counters["errors"] += 1
        if effect.message.code == "rate_limited":  # type: ignore[union-attr]
            self.counters["rate_limited"] += 1

    def _joined(self, door: str, effect: Send) -> None:
        if self._resuming:
            self.counters["resumes"] += 1
            self.counters["recovered" if effect.message.recovered else "unrecovered"] += 1  # type: ignore[union-attr]
