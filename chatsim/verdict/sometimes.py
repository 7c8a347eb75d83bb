"""What many runs together must have come through: states that a bug likes to hide in.

Decides which of them a run has reached. Rule: like the invariants it sees the steps of a node, and at the end the
record of the run; that a property is reached proves nothing good or bad, that none of many runs reaches it means that
they do not look there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Final

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Close, Effects, Note, Send, Tell
from chatsim.core.facts import Added, Ended, Made, Removed
from chatsim.core.frames import (
    Ack,
    Error,
    Joined,
    Left,
    Message,
    Presence,
    Refreshed,
    Say,
    StatusIn,
    TokenExpiring,
    Typing,
    Undelivered,
)
from chatsim.core.service import SERVER
from chatsim.journal.record import RunRecord

SOMETIMES: Final[dict[str, str]] = {
    "limiter_refuses": "A message is refused for the rate of its author.",
    "limiter_relents": "An author who was refused is let through again.",
    "frame_rate_refuses": "A frame is refused because its connection sends too many.",
    "flood_closed": "A connection that goes on flooding is closed.",
    "violations_closed": "A connection that sends what is no frame is closed.",
    "retried": "A message is sent again.",
    "last_retry": "A message is sent again for the third time.",
    "given_up": "A message is given up after its retries.",
    "expired": "A message ends because it left retention, or its receiver stayed away.",
    "resumed_before_death": "A client resumes before its former connection was known to be dead.",
    "replayed": "A resume is answered with missed messages.",
    "replayed_in_parts": "A replay goes out in parts, the rest of it when the first has been read.",
    "held_back": "A message waits behind a replay that has not gone out yet.",
    "recovered_nothing": "A resume finds that nothing was missed.",
    "unrecovered": "A resume is refused because retention has ended for what it asks.",
    "no_pong": "A peer that does not answer a ping is closed.",
    "stale": "A silent peer is found by the sweep.",
    "slow_reader_closed": "A reader who is too slow is closed.",
    "shedding": "A reader lags enough to be spared typing and presence.",
    "token_warned": "A client hears that its token is about to end.",
    "token_refreshed": "A client hands in a new token.",
    "refresh_refused": "A connection is closed because the new token that it hands in is no good.",
    "token_expired": "A frame is refused because the token has ended in mid-session.",
    "token_closed": "A connection is closed because its token has ended.",
    "clock_jumped_past_end": "The clock jumps past the end of a token.",
    "revoked": "A connection is closed because its token was revoked.",
    "evicted": "The oldest connection of a user makes room for another.",
    "duplicate": "A repeated id is acked again and not stored.",
    "duplicate_under_way": "An id is repeated while its message is on its way through the log.",
    "append_failed": "The log does not take a message.",
    "append_retried": "A message that the log did not take is stored later.",
    "append_lost": "A node ends while a message is on its way through the log.",
    "one_instant": "Two inputs of different connections come at one instant.",
    "offline": "The others hear that somebody is gone.",
    "back_in_grace": "Somebody is back before the others heard that she was gone.",
    "away": "The others hear that somebody is away.",
    "typing_lapsed": "Typing ends because it was not renewed.",
    "drained": "A draining node is empty before its patience ends.",
    "drain_cut_off": "A crash strikes a node that drains.",
    "began_again": "A node begins again with what its log knows.",
    "absent_receiver": "A message is stored while a receiver is away.",
    "ended_owing": "A session ends while somebody still waits for a message of it.",
    "session_over": "A session that was opened for a time ends by itself.",
    "began_anew": "A session that has ended is there again.",
    "removed": "Somebody who is in a session is taken out of it by order.",
    "added_again": "Somebody who was taken out takes part again.",
    "left_owing": "Somebody leaves while a message waits for her.",
    "left_and_back": "Somebody leaves a session and comes back on the same connection.",
    "posted": "A message of the server reaches somebody.",
    "posted_absent": "A message of the server is stored while its user has no connection.",
    "post_had_waited": "Somebody who connects is sent what waits for her in her own session.",
    "trespass_refused": "Somebody asks for a session that is not hers, and is not let in.",
    "written_elsewhere": "Somebody writes to a session that is not hers, and is refused.",
    "too_large": "A connection that sends more than a message may have is closed.",
    "binary_closed": "A connection that sends what is no text is closed.",
    "bad_utf8_closed": "A connection that sends a text that is no UTF-8 is closed.",
    "turned_away": "Somebody who knocks is told that there is no room, or that the node drains.",
    "baseline": "A run goes by the rules as first specified.",
}
"""Every property by name."""

_CLOSES: Final = {
    1003: "binary_closed",
    1007: "bad_utf8_closed",
    1009: "too_large",
    4000: "slow_reader_closed",
    4001: "no_pong",
    4002: "token_closed",
    4003: "flood_closed",
    4005: "stale",
    4500: "refresh_refused",
    4501: "revoked",
    4503: "violations_closed",
}

_REASONS: Final = {"expired": "expired", "ended": "ended_owing", "left": "left_owing"}
"""What ends a message for a receiver, beside its retries."""


class Reached:
    """The properties that one run has reached; told of every step of its node."""

    def __init__(self, config: HandlerConfig, epoch: float) -> None:
        """`epoch` is the wall time of 0."""
        self.names: set[str] = set()
        self._config = config
        self._ends: dict[str, float] = {}
        self._users: dict[str, str] = {}
        self._epoch = epoch
        self._gone_at: dict[str, float] = {}
        # The newest message of a session when a connection joined it.
        self._top: dict[tuple[str, str], int] = {}
        self._limited: set[str] = set()
        self._failed: set[tuple[str, str, str]] = set()
        self._under_way: set[tuple[str, str, str]] = set()
        self._draining_since = inf
        # From when on a node drained, and when the next began.
        self._drains: list[tuple[float, float]] = []
        # Sessions that have ended in this life, who left which of them on which connection, and who was taken out.
        self._ended: set[str] = set()
        self._left: set[tuple[str, str]] = set()
        self._removed: set[tuple[str, str]] = set()
        self._last = (-1.0, "")
        self._on: dict[type, Callable[[str, Sequence[Any], Any], None]] = {
            Error: self._error,
            Message: self._message,
            Undelivered: self._undelivered,
            Joined: self._joined,
            Ack: self._ack,
            TokenExpiring: lambda door, args, frame: self.names.add("token_warned"),
            Refreshed: self._refreshed,
            Left: self._leave,
        }
        if config.reliability == "baseline":
            self.names.add("baseline")

    def step(self, now: float, door: str, args: Sequence[Any], effects: Effects) -> None:
        """One input of the handler, and what it answered."""
        if door == "receive" or door == "connect":
            if self._last[0] == now and self._last[1] != args[0]:
                self.names.add("one_instant")
            self._last = now, args[0]
        self._input(now, door, args)
        for effect in effects:
            kind = effect.__class__
            if kind is Send:
                rule = self._on.get(effect.message.__class__)  # type: ignore[union-attr]
                if rule is not None:
                    rule(door, args, effect.message)  # type: ignore[union-attr]
            elif isinstance(effect, Close):
                self._close(now, effect)
            elif isinstance(effect, Append):
                record = effect.record
                self._under_way.add((record.sender, record.session, record.id))
                if record.sender in self._limited:
                    self.names.add("limiter_relents")
            elif isinstance(effect, Tell):
                self._tell(door, effect.session, effect.message)
            elif isinstance(effect, Note):
                self._note(door, effect.fact)

    def finish(self, record: RunRecord) -> None:
        """The run is over: what no step of a node can show stands in its record."""
        if record.counters.get("turned_away"):
            self.names.add("turned_away")
        # Whether a node that drained was killed or came to the end of its patience, its steps do not tell.
        kills = [fault.at for fault in record.fired if fault.do == "crash_node" and not fault.vain]
        if any(since <= at < until for at in kills for since, until in self._drains):
            self.names.add("drain_cut_off")

    def _input(self, now: float, door: str, args: Sequence[Any]) -> None:
        names = self.names
        if door == "connect":
            user = self._users[args[0]] = args[1].sub
            if now < self._gone_at.pop(user, -inf) + self._config.presence_grace_s:
                names.add("back_in_grace")
            self._ends[args[0]] = args[1].exp
        elif door == "disconnect":
            self._gone(now, args[0])
        elif door == "pressure":
            frames = args[2] if len(args) > 2 else 0
            if 2 * args[1] > self._config.outbound_bytes or 2 * frames > self._config.outbound_frames:
                names.add("shedding")
        elif door == "drain":
            self._draining_since = now
        elif door == "clock_jump":
            wall = self._epoch + now
            if any(wall < end <= wall + args[0] for end in self._ends.values()):
                names.add("clock_jumped_past_end")
            self._epoch += args[0]
        elif door in ("appended", "append_failed"):
            self._logged(door, args[0])
            if door == "appended" and args[0].sender == SERVER and args[0].session[1:] not in self._users.values():
                names.add("posted_absent")
        elif door == "begin":
            self._begin(now, args[1])

    def _begin(self, now: float, epoch: float) -> None:
        self.names.add("began_again")
        if self._draining_since < inf:
            self._drains.append((self._draining_since, now))
            if not self._users:
                self.names.add("drained")
        if self._under_way:
            self.names.add("append_lost")
        self._draining_since = inf
        self._users.clear()
        self._under_way.clear()
        self._ended.clear()
        self._left.clear()
        self._removed.clear()
        self._gone_at.clear()
        self._epoch = epoch

    def _logged(self, door: str, record: Any) -> None:
        key = record.sender, record.session, record.id
        self._under_way.discard(key)
        if door == "append_failed":
            self._failed.add(key)
            self.names.add("append_failed")
        elif key in self._failed:
            self.names.add("append_retried")

    def _gone(self, now: float, conn: str) -> None:
        user = self._users.pop(conn, None)
        self._ends.pop(conn, None)
        if user is not None and user not in self._users.values():
            self._gone_at[user] = now

    def _close(self, now: float, effect: Close) -> None:
        name = _CLOSES.get(effect.code)
        if name is not None:
            self.names.add(name)
        elif effect.code == 4502:
            self.names.add("evicted" if effect.reason == "connection limit" else "resumed_before_death")
        self._gone(now, effect.to)

    def _error(self, door: str, args: Sequence[Any], frame: Error) -> None:
        if frame.code == "rate_limited":
            self.names.add("limiter_refuses")
            self._limited.add(self._users.get(args[0], ""))
        elif frame.code == "frame_rate":
            self.names.add("frame_rate_refuses")
        elif frame.code == "token_expired" and door == "receive":
            self.names.add("token_expired")
        elif frame.code in ("not_a_participant", "no_such_session") and door == "receive":
            asked = args[1]
            if isinstance(asked, Say):
                self.names.add("written_elsewhere")
            elif isinstance(asked, StatusIn) and asked.action == "join":
                self.names.add("trespass_refused")

    def _message(self, door: str, args: Sequence[Any], frame: Message) -> None:
        if frame.sender == SERVER:
            self.names.add("posted")
        if door == "wake":
            self.names.add("retried")
            if frame.attempt == 4:
                self.names.add("last_retry")
        elif door == "connect":
            self.names.add("post_had_waited")
        elif door == "receive":
            self.names.add("replayed")
            if frame.attempt > 1:
                self.names.add("absent_receiver")
        elif door == "pressure":
            self.names.add("replayed_in_parts")
            if frame.seq > self._top.get((args[0], frame.session), frame.seq):
                self.names.add("held_back")

    def _undelivered(self, door: str, args: Sequence[Any], frame: Undelivered) -> None:
        if frame.reason == "no_ack":
            self.names.add("given_up")
        elif frame.reason in _REASONS:
            self.names.add(_REASONS[frame.reason])

    def _leave(self, door: str, args: Sequence[Any], frame: Left) -> None:
        if frame.reason == "left":
            self._left.add((args[0], frame.session))
        elif frame.reason == "removed":
            self.names.add("removed")

    def _note(self, door: str, fact: Any) -> None:
        if isinstance(fact, Ended):
            self._ended.add(fact.session)
            if door == "wake":
                self.names.add("session_over")
        elif isinstance(fact, Made) and fact.session in self._ended:
            self.names.add("began_anew")
        elif isinstance(fact, Removed):
            self._removed.add((fact.session, fact.user))
        elif isinstance(fact, Added) and (fact.session, fact.user) in self._removed:
            self.names.add("added_again")

    def _joined(self, door: str, args: Sequence[Any], frame: Joined) -> None:
        if door == "receive":
            self._top[args[0], frame.session] = frame.seq
            if (args[0], frame.session) in self._left:
                self.names.add("left_and_back")
        asked = args[1] if door == "receive" else None
        if not isinstance(asked, StatusIn) or not isinstance(asked.last_seq, int):
            return
        if frame.recovered:
            if not frame.replayed:
                self.names.add("recovered_nothing")
        elif self._config.reliability == "hardened" and asked.epoch == frame.epoch and asked.last_seq <= frame.seq:
            # Under `baseline` nothing is retained, and what a session never had is not lost.
            self.names.add("unrecovered")

    def _ack(self, door: str, args: Sequence[Any], frame: Ack) -> None:
        if frame.duplicate:
            self.names.add("duplicate_under_way" if door == "appended" else "duplicate")

    def _refreshed(self, door: str, args: Sequence[Any], frame: Refreshed) -> None:
        self.names.add("token_refreshed")

    def _tell(self, door: str, session: str, frame: Any) -> None:
        if isinstance(frame, Typing):
            if door == "wake" and not frame.active:
                self.names.add("typing_lapsed")
        elif isinstance(frame, Presence) and frame.state != "online":
            self.names.add(frame.state)
