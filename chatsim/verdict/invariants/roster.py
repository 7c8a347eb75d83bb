"""Who is connected, who is in which session and what was said there, by the inputs and effects of a node alone.

Decides nothing: it is a small and plain account beside the handler's own, for the rules to compare with. Rule: nothing
here is asked of the handler, so that a mistake of the one is not a mistake of the other.
Moments are seconds of the run, on the handler's clock; `epoch` is the wall time of 0.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import NamedTuple
from zlib import crc32

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Conn, Record
from chatsim.core.frames import ServerFrame
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims


class Peer:
    """One open connection; `rooms` maps the sessions it has joined to the seq after which it was sent everything, and
    `behind` those in which it has not caught up to the seqs that it is to have next; `frames` are the moments of its
    newest frames, as many as the limit; `over_since` is when more than the settings allow was first seen to wait;
    `flooding_from` is since when frames are too many without a break, `violations` are the moments of its newest frames
    that were none;
    `warn_at` is from when on she is to hear that her token ends (inf: she has heard it);
    `pressed` is whether more than half of it did when that was last told, and `spared` the newest signal of each
    session, user and kind that was not told for it."""

    __slots__ = (
        "allowed",
        "behind",
        "ends_at",
        "exp_at",
        "flooding_from",
        "frames",
        "heard_at",
        "iat",
        "jti",
        "name",
        "over_since",
        "pressed",
        "rooms",
        "spared",
        "told",
        "user",
        "violations",
        "warn_at",
    )

    def __init__(self, name: Conn, user: str, now: float, frame_limit: int) -> None:
        self.name = name
        self.user = user
        self.heard_at = now
        self.rooms: dict[str, int] = {}
        self.behind: dict[str, deque[int]] = {}
        self.frames: deque[float] = deque(maxlen=frame_limit)
        self.flooding_from = inf
        self.violations: deque[float] = deque()
        self.allowed: frozenset[str] | None = None
        self.jti: str | None = None
        self.iat: float | None = None
        self.exp_at = inf
        self.ends_at = inf
        self.warn_at = inf
        self.pressed = False
        self.spared: dict[tuple[str, str, type], ServerFrame] = {}
        self.over_since = inf
        self.told = 0

    def hold(self, now: float, claims: Claims, epoch: float, config: HandlerConfig, *, renewed: bool = False) -> None:
        """Show this token: the first, or one that is newer."""
        self.exp_at = claims.exp - epoch
        self.ends_at = self.exp_at + config.token_grace_s
        self.warn_at = max(self.exp_at - config.token_warning_s, now)
        if renewed:
            # Or one that lives no longer than the warning would be warned of for ever.
            self.warn_at = max(self.warn_at, (now + self.exp_at) / 2)
        self.jti = claims.jti
        self.iat = claims.iat
        self.allowed = None if claims.sessions is None else frozenset(claims.sessions)

    def forget(self, session: str) -> None:
        """It is in the session no more."""
        del self.rooms[session]
        self.behind.pop(session, None)
        if self.spared:
            self.spared = {key: signal for key, signal in self.spared.items() if key[0] != session}


class Kept(NamedTuple):
    """One of the newest messages of a session: when it was stored, and its size (bytes)."""

    seq: int
    at: float
    size_bytes: int


class Said(NamedTuple):
    """One stored message. `present` were joined then, `absent` are others who may come back for it; `written` tells
    its body from others (CRC-32), `sent_at` is wall time (s). `late` are those who were gone for so long that a node
    which is a little late may still count them in."""

    session: str
    epoch: int
    seq: int
    sender: str
    id: str
    at: float
    present: frozenset[str]
    absent: tuple[str, ...]
    late: tuple[str, ...]
    written: int
    sent_at: float


def _said(
    record: Record,
    at: float,
    present: frozenset[str] = frozenset(),
    absent: tuple[str, ...] = (),
    late: tuple[str, ...] = (),
) -> Said:
    """A message that was stored at that moment (s)."""
    return Said(
        record.session,
        record.epoch,
        record.seq,
        record.sender,
        record.id,
        at,
        present,
        absent,
        late,
        crc32(record.body),
        record.sent_at,
    )


class Room:
    """One session. `joined` are its connections, `behind` those of them that have not caught up; `here` maps users to
    how many joined connections they have, `absent` those who were members to when the last of theirs went; `acks` maps
    users to the stretches of seqs (after, up to) that they have acked."""

    __slots__ = (
        "absent",
        "acks",
        "behind",
        "epoch",
        "here",
        "joined",
        "kept",
        "name",
        "participants",
        "presence",
        "present",
        "seq",
    )

    def __init__(self, name: str, epoch: int, kept_max: int) -> None:
        self.name = name
        self.epoch = epoch
        self.seq = 0
        self.participants: set[str] = {name[1:]} if name[:1] == "@" else set()
        self.joined: set[Conn] = set()
        self.behind: set[Conn] = set()
        self.here: dict[str, int] = {}
        self.absent: dict[str, float] = {}
        self.present: frozenset[str] | None = None
        self.presence: dict[str, str] = {}
        self.acks: dict[str, list[list[int]]] = {}
        self.kept: deque[Kept] = deque(maxlen=kept_max)

    def receivers(self) -> frozenset[str]:
        """The users who are joined; the same object until that changes."""
        if self.present is None:
            self.present = frozenset(self.here)
        return self.present

    def enter(self, peer: Peer, after: int) -> None:
        """The connection is joined, and has everything up to `after`."""
        known = peer.rooms.get(self.name)
        peer.rooms[self.name] = after if known is None else min(known, after)
        if known is None:
            self.joined.add(peer.name)
            self.here[peer.user] = self.here.get(peer.user, 0) + 1
            self.absent.pop(peer.user, None)
            self.present = None

    def leave(self, peer: Peer, now: float) -> None:
        """The connection is joined no more; her user is absent when it was the last."""
        if self.name not in peer.rooms:
            return
        peer.forget(self.name)
        self.joined.discard(peer.name)
        self.behind.discard(peer.name)
        left = self.here[peer.user] - 1
        if left:
            self.here[peer.user] = left
        else:
            del self.here[peer.user]
            self.absent[peer.user] = now
            self.present = None

    def caught_up(self, peer: Peer) -> None:
        """Nothing of this session waits for the connection any more."""
        self.behind.discard(peer.name)
        peer.behind.pop(self.name, None)

    def has_acked(self, user: str, seq: int) -> bool:
        """Whether the user has acked this message, on whichever connection."""
        return any(after < seq <= up_to for after, up_to in self.acks.get(user, ()))


class Roster:
    """All of one node, over its lives."""

    def __init__(self, config: HandlerConfig, epoch: float) -> None:
        self.config = config
        self.epoch = self._first_epoch = epoch
        self.peers: dict[Conn, Peer] = {}
        self.users: dict[str, dict[Conn, Peer]] = {}
        self.rooms: dict[str, Room] = {}
        # Who is spared typing and presence.
        self.lagging: dict[Conn, Peer] = {}
        # When the last connection of each user went who has none, and whose tokens were not revoked since.
        self.gone: dict[str, float] = {}
        self.said: dict[str, Said] = {}
        # The epochs in which sessions have ended: what was on its way then comes too late.
        self.ended: dict[str, int] = {}
        self.lives = 1
        self.began_at = -inf
        # How late its node may be.
        self.slack_s = 0.0
        # What ended while no node was there to say so: its retention, or retries that outlast it.
        self.expired_while_down: set[str] = set()

    def open(self, now: float, conn: Conn, claims: Claims) -> Peer:
        """A connection opened, and is silently in her user's own session."""
        user = claims.sub
        peer = self.peers[conn] = Peer(conn, user, now, self.config.frame_limit)
        peer.hold(now, claims, self.epoch, self.config)
        self.users.setdefault(user, {})[conn] = peer
        self.gone.pop(user, None)
        own = self.rooms.get("@" + user)
        if own is not None:
            own.enter(peer, own.seq)
        return peer

    def drop(self, now: float, peer: Peer) -> None:
        """A connection is gone."""
        del self.peers[peer.name]
        self.lagging.pop(peer.name, None)
        connections = self.users[peer.user]
        del connections[peer.name]
        if not connections:
            del self.users[peer.user]
            self.gone[peer.user] = now
        for name in tuple(peer.rooms):
            self.rooms[name].leave(peer, now)

    def room(self, name: str, epoch: int) -> Room:
        """The session, which is there from now on."""
        room = self.rooms.get(name)
        if room is None:
            room = self.rooms[name] = Room(name, epoch, max(self.config.retention_messages, 1))
            if name[:1] == "@":
                for peer in self.users.get(name[1:], {}).values():
                    room.enter(peer, 0)
                if name[1:] in self.gone:
                    room.absent[name[1:]] = self.gone[name[1:]]
        return room

    def end(self, name: str) -> None:
        """The session is over."""
        room = self.rooms.pop(name, None)
        if room is not None:
            self.ended[name] = room.epoch
            for conn in room.joined:
                self.peers[conn].forget(name)

    def part(self, now: float, room: Room, user: str) -> None:
        """The user is a member no more."""
        for peer in self.users.get(user, {}).values():
            room.leave(peer, now)
        room.absent.pop(user, None)

    def store(self, now: float, record: Record) -> Room | None:
        """A message was stored; returns its session, which knows nothing of it yet (None: that has ended)."""
        if record.epoch <= self.ended.get(record.session, 0):
            self.said[record.message_id] = _said(record, now)
            return None
        room = self.room(record.session, record.epoch)
        retention_s, slack_s = self.config.retention_s, self.slack_s
        absent = tuple(user for user, gone_at in room.absent.items() if now < gone_at + retention_s)
        late = tuple(user for user, at in room.absent.items() if at + retention_s <= now < at + retention_s + slack_s)
        self.said[record.message_id] = _said(record, now, room.receivers(), absent, late)
        room.kept.append(Kept(record.seq, now, len(record.body)))
        return room

    def begin(self, now: float, snapshot: Snapshot, epoch: float, ended_at: float) -> None:
        """The node begins again, with what its log knows: nobody is there, and everybody may come back.

        `ended_at` is when the life before had its last input (s).
        """
        self.lives += 1
        self.began_at = now
        self.epoch = epoch
        self.peers.clear()
        self.lagging.clear()
        self.users.clear()
        self.rooms.clear()
        self.gone = {user: now for state in snapshot.sessions for user, _ in state.positions}
        self.ended.clear()
        kept: set[str] = set()
        for state in snapshot.sessions:
            room = self.room(state.name, state.epoch)
            room.seq = state.seq
            room.participants |= set(state.participants)
            since = -inf
            for record in state.records:
                since = max(since, min(record.sent_at - epoch, now))
                room.kept.append(Kept(record.seq, since, len(record.body)))
                if since + self.config.retention_s > now:
                    kept.add(record.message_id)
                self.said.setdefault(record.message_id, _said(record, since))
            for user, seq in state.positions:
                room.absent[user] = now
                # Nobody has heard of her going: she has the grace to be back.
                room.presence[user] = "online"
                room.acks[user] = [[0, seq]]
        config = self.config
        # The log goes by the wall clock, which may have jumped since the message was stored.
        ahead_s = max(0.0, epoch - self._first_epoch)
        retried_s = (config.retries + 1) * config.retry_interval_s
        self.expired_while_down |= {
            message_id
            for message_id, said in self.said.items()
            if ended_at < said.at + config.retention_s + retried_s
            # From when it was said, and not from when it was stored, counts who has it from the log.
            and min(said.at, said.sent_at - self._first_epoch) + config.retention_s <= now + ahead_s
        } - kept
