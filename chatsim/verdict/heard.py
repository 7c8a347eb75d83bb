"""What a server did, as far as its clients can tell: from every frame that they read and wrote.

Decides which messages were accepted and who was to have each, what became of it, and between which bounds each counter
lies that the server keeps for itself. Rule: nothing is believed of a server because nothing was heard of it: a count
that clients may have missed a part of has a lower bound only, and what they cannot hear at all has none.
Whether that is good enough is left to the judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from chatsim.core.frames import (
    Ack,
    ClientFrame,
    Delivered,
    Error,
    Joined,
    Left,
    Message,
    Presence,
    Say,
    ServerFrame,
    StatusIn,
    Typing,
    Undelivered,
)
from chatsim.journal.record import DELIVERED, FORGOTTEN, RunRecord
from chatsim.verdict.outside import Bounds, Outside

UNTOLD: Final = "untold"
"""What became of a message whose receiver has not seen it, while its sender was not there to hear what the server says
of it."""

CUT: Final = frozenset({1006, 4000})
"""Ends of a connection after which nobody knows what else was on its way."""

REVOKED: Final = 4501
"""After this end nothing more is owed to the user: what was waiting is given up (protocol.md, section 2)."""

_CLOSED: Final = {4000: "slow_closed", 4001: "no_pong_closed", 4002: "token_expired", 4005: "stale_closed"}
_HEARD: Final = (
    "duplicates_suppressed",
    "rate_limited",
    "retries",
    "resumes",
    "recovered",
    "unrecovered",
    "pings",
    "presence_events",
    "typing_events",
    "errors",
    "connections_peak",
    *_CLOSED.values(),
)

UNSEEN: Final[Mapping[str, str]] = {
    "detection_time": "when the server gave a vanished peer up is known to the server alone",
    "drain_time": "somebody else's server is not told to drain",
    "loop_lag": "the event loop of somebody else's server is not seen from outside",
    "utilisation": "the processor of somebody else's server is not seen from outside",
}
"""Metrics that no client can measure."""


class Told(NamedTuple):
    """One message that the server has acked. `intended_at` is when it was meant to be sent, `acked_at` when the ack
    came (s)."""

    message_id: str
    user: str
    session: str
    epoch: int
    seq: int
    intended_at: float
    acked_at: float


class Span(msgspec.Struct):
    """A time (s) in which some device of a user was in a session; `left` says that she then took leave of it, and did
    not only lose a connection."""

    begin: float
    end: float = inf
    left: bool = False


class Stay:
    """One user in one session: `since` is the place of the stream (epoch, seq) at her first join."""

    __slots__ = ("devices", "since", "spans")

    def __init__(self, since: tuple[int, int]) -> None:
        self.since = since
        self.spans: list[Span] = []
        self.devices: set[int] = set()

    def begin(self, now: float, device: int) -> None:
        """A device of hers has joined."""
        if not self.devices:
            self.spans.append(Span(now))
        self.devices.add(device)

    def end(self, now: float, device: int, *, left: bool = False) -> None:
        """A device of hers is no longer there."""
        if device in self.devices:
            self.devices.discard(device)
            if not self.devices:
                self.spans[-1].end, self.spans[-1].left = now, left

    def owed(self, told: Told, retention_s: float) -> bool:
        """Whether she is a receiver of the message (protocol.md, section 2): there when the server took it, or gone
        against her will and not for longer than retention.

        What left while she was on her way is not asked of anybody.
        """
        spans = [span for span in self.spans if span.begin <= told.acked_at]
        # Whatever the server says of places: she was told that she was in before anybody wrote this.
        if spans and spans[-1].begin <= told.intended_at and told.acked_at <= spans[-1].end:
            return True
        if (told.epoch, told.seq) <= self.since:
            return False
        if spans and spans[-1].begin > told.intended_at:
            spans.pop()
        if not spans:
            # Her first join was answered while the message was on its way, and its place is behind hers.
            return True
        return not spans[-1].left and told.intended_at - spans[-1].end <= retention_s


class _Stream:
    """What one connection was sent of one session: message ids with the attempt and the place each was sent at."""

    __slots__ = ("newest", "replayed", "seen")

    def __init__(self) -> None:
        self.newest = (0, 0)
        self.replayed = 0
        self.seen: dict[str, tuple[int, int, int]] = {}


class Heard:
    """All that one crowd read and wrote. Devices go by their numbers; moments are seconds since the start.

    `intended_at` says of a client id when its message was meant to be sent (None: it is none of those that count).

    `acked` are the messages that the server took, in the order of its acks; `written` are the client ids of all that
    were ever put on a connection; `told` maps (message id, user) to DELIVERED
    or the reason why it was given up, as its sender heard.
    """

    def __init__(self, intended_at: Callable[[str], float | None]) -> None:
        self.acked: list[Told] = []
        self.told: dict[tuple[str, str], str] = {}
        self.written: set[str] = set()
        self.stays: dict[str, dict[str, Stay]] = {}
        self.counts: dict[str, int] = dict.fromkeys(_HEARD, 0)
        self.repeated = 0
        self.misplaced = 0
        self.gave_up = 0
        self.cut = 0
        self.open: set[int] = set()
        self._users: dict[int, str] = {}
        self._streams: dict[tuple[int, str], _Stream] = {}
        self._resuming: set[tuple[int, str]] = set()
        self._again: set[tuple[str, str, int]] = set()
        self._known: set[str] = set()
        self._intended_at = intended_at
        self._on: dict[type, Any] = {
            Ack: self._ack,
            Message: self._message,
            Joined: self._joined,
            Left: self._left,
            Delivered: self._delivered,
            Undelivered: self._undelivered,
            Error: self._error,
            Typing: self._typing,
            Presence: self._presence,
        }

    # What happens to connections.

    def opened(self, device: int, user: str) -> None:
        """The device has a new connection."""
        self._users[device] = user
        self.open.add(device)
        self.counts["connections_peak"] = max(self.counts["connections_peak"], len(self.open))

    def closed(self, now: float, device: int, code: int) -> None:
        """Its connection has ended; 1006 is an end without a word."""
        if device not in self.open:
            return
        self.open.discard(device)
        self.cut += code in CUT
        if code in _CLOSED:
            self.counts[_CLOSED[code]] += 1
        for key in [key for key in self._streams if key[0] == device]:
            del self._streams[key]
        self._resuming = {key for key in self._resuming if key[0] != device}
        for stays in self.stays.values():
            stay = stays.get(self._users[device])
            if stay is not None:
                stay.end(now, device, left=code == REVOKED)

    def muffled(self) -> None:
        """A connection is there, and nobody reads what comes on it."""
        self.cut += 1

    def pinged(self) -> None:
        """A ping came."""
        self.counts["pings"] += 1

    def wrote(self, now: float, device: int, frame: ClientFrame) -> None:
        """The device has written a frame."""
        if isinstance(frame, Say):
            self.written.add(frame.id)
            return
        if not isinstance(frame, StatusIn) or not isinstance(frame.session, str):
            return
        if frame.action == "join" and frame.last_seq is not UNSET:
            self._resuming.add((device, frame.session))
        elif frame.action == "leave":
            self._go(now, device, frame.session)

    def read(self, now: float, device: int, frame: ServerFrame) -> None:
        """The device has read a frame."""
        act = self._on.get(type(frame))
        if act is not None:
            act(now, device, frame)

    def _ack(self, now: float, device: int, frame: Ack) -> None:
        self.counts["duplicates_suppressed"] += frame.duplicate
        intended_at = self._intended_at(frame.id)
        if intended_at is not None and frame.message_id not in self._known:
            self._known.add(frame.message_id)
            user = self._users[device]
            self.acked.append(
                Told(frame.message_id, user, frame.session, frame.epoch, frame.seq, intended_at, now),
            )

    def _message(self, now: float, device: int, frame: Message) -> None:
        stream = self._streams.setdefault((device, frame.session), _Stream())
        place = (frame.epoch, frame.seq)
        before = stream.seen.get(frame.message_id)
        replay = stream.replayed > 0
        stream.replayed -= replay
        if before is None:
            # What was sent before, and is sent again, comes behind newer ones by right.
            self.misplaced += frame.attempt <= 1 and place < stream.newest
        elif before[:2] != place or frame.attempt <= before[2]:
            self.repeated += 1
        attempt = frame.attempt if before is None else max(frame.attempt, before[2])
        stream.seen[frame.message_id] = (*place, attempt)
        stream.newest = max(stream.newest, place)
        key = (frame.message_id, self._users[device], frame.attempt)
        if frame.attempt > 1 and not replay and key not in self._again:
            self._again.add(key)
            self.counts["retries"] += 1

    def _joined(self, now: float, device: int, frame: Joined) -> None:
        stays = self.stays.setdefault(frame.session, {})
        stay = stays.setdefault(self._users[device], Stay((frame.epoch, frame.seq)))
        stay.begin(now, device)
        stream = self._streams[device, frame.session] = _Stream()
        stream.replayed = max(0, frame.replayed)
        if (device, frame.session) in self._resuming:
            self._resuming.discard((device, frame.session))
            self.counts["resumes"] += 1
            self.counts["recovered" if frame.recovered else "unrecovered"] += 1

    def _left(self, now: float, device: int, frame: Left) -> None:
        self._go(now, device, frame.session)

    def _go(self, now: float, device: int, session: str) -> None:
        stay = self.stays.get(session, {}).get(self._users[device])
        if stay is not None:
            stay.end(now, device, left=True)

    def _delivered(self, now: float, device: int, frame: Delivered) -> None:
        for message_id in frame.message_ids:
            self.told[message_id, frame.user] = DELIVERED

    def _undelivered(self, now: float, device: int, frame: Undelivered) -> None:
        key = (frame.message_id, frame.user)
        # Every device of the sender hears of it, and an ack that came first stands.
        if key not in self.told:
            self.told[key] = frame.reason or "undelivered"
            self.gave_up += frame.reason == "no_ack"

    def _error(self, now: float, device: int, frame: Error) -> None:
        self.counts["errors"] += 1
        self.counts["rate_limited"] += frame.code == "rate_limited"

    def _typing(self, now: float, device: int, frame: Typing) -> None:
        self.counts["typing_events"] += 1

    def _presence(self, now: float, device: int, frame: Presence) -> None:
        self.counts["presence_events"] += 1

    # What it comes to.

    def receivers(self, told: Told, retention_s: float) -> list[str]:
        """The users who are to have the message, its sender excluded."""
        stays = self.stays.get(told.session, {})
        return [user for user, stay in stays.items() if user != told.user and stay.owed(told, retention_s)]

    def owed(
        self, receipts: Mapping[str, Mapping[str, float]], deaf: Mapping[str, float], retention_s: float
    ) -> dict[str, dict[str, str]]:
        """What became of each acked message for each of its receivers, as `RunRecord.owed` has it.

        `receipts` says who has seen what, `deaf` until when (s) a user was last away, and could not hear what became of
        what she wrote: UNTOLD may be lost, and may have been given up. Whoever has seen a message is a receiver.
        """
        found: dict[str, dict[str, str]] = {}
        for told in self.acked:
            seen = receipts.get(told.message_id, {})
            users = dict.fromkeys([*self.receivers(told, retention_s), *seen])
            unheard = UNTOLD if deaf.get(told.user, -inf) > told.acked_at else FORGOTTEN
            found[told.message_id] = {
                user: DELIVERED if user in seen else self.told.get((told.message_id, user), unheard) for user in users
            }
        return found

    def outside(self, record: RunRecord, open_: int) -> Outside:
        """What can be said of the metrics and counters of the run; `record.owed` is that of `owed`.

        `open_` is how many messages were written, and neither acked nor refused: they may have been accepted.
        """
        high = inf if self.cut else 0
        missed = "connections were cut, and what was on its way then was heard by nobody"
        bounds = {name: Bounds(count, max(count, high), missed) for name, count in self.counts.items()}
        acked = len(record.accepted)
        bounds["accepted"] = Bounds(acked, acked + open_, f"{open_} messages were never answered")
        pairs = [(message_id, user) for message_id, owed in record.owed.items() for user in owed]
        heard = [self.told[pair] for pair in pairs if pair in self.told]
        unheard = len(pairs) - len(heard)
        why = f"the server has not told what became of {unheard} of {len(pairs)} pairs of message and receiver"
        more: float = unheard
        if open_:
            # They may have been taken, for nobody knows whom.
            more, why = inf, bounds["accepted"].why
        delivered = sum(outcome == DELIVERED for outcome in heard)
        given_up = len(heard) - delivered
        bounds["delivered"] = Bounds(delivered, delivered + more, why)
        bounds["undelivered"] = Bounds(given_up, given_up + more, why)
        bounds["gave_up"] = Bounds(self.gave_up, self.gave_up + more, why)
        lost = doubtful = 0
        for message_id, owed in record.owed.items():
            seen = record.receipts.get(message_id, {})
            outcomes = {outcome for user, outcome in owed.items() if user not in seen}
            if outcomes & {DELIVERED, FORGOTTEN}:
                lost += 1
            elif UNTOLD in outcomes:
                doubtful += 1
        doubts = [f"nobody who could hear it was told what became of {doubtful} messages"] if doubtful else []
        doubts += [bounds["accepted"].why] if open_ else []
        bounds["lost"] = Bounds(lost, lost + doubtful + open_, " and ".join(doubts))
        return Outside(dict(UNSEEN), bounds)
