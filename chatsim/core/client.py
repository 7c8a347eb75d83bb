"""The chat client: one device's side of the protocol, with reconnection, resume and deduplication inside.

Rule: like the handler, no clock, no socket, no await; dated inputs in, effects out. What the person sees (`Show`)
comes once and in order.
Dialling, writing and fetching tokens is left to the shell.

| state   | means                                   | leaves by                                            |
|---------|-----------------------------------------|------------------------------------------------------|
| idle    | not started, or stopped for good        | start                                                |
| waiting | a dial is due or under way              | opened, refused (waits again or stops)               |
| open    | the WebSocket is there                  | closed (waits again or stops), silence, hang_up      |
"""

from __future__ import annotations

from math import inf

import msgspec
from msgspec import UNSET

from chatsim.core.chance import Dice
from chatsim.core.effects import NOTHING, ClientEffect, ClientEffects, Dial, HangUp, Show, Transmit
from chatsim.core.frames import (
    Ack,
    AckIn,
    Body,
    Delivered,
    Draining,
    Error,
    Joined,
    Message,
    PresenceIn,
    Say,
    ServerFrame,
    StatusIn,
    TypingIn,
    Welcome,
)

TERMINAL = frozenset({1000, 1003, 1007, 1009})
"""Closes after which nobody comes back, beside 4500-4999 (protocol.md, section 3)."""
SILENCE, FLOODED, OVERLOADED = 4001, 4003, 1013
OVERLOAD_STEPS = 4
"""An overloaded server is given a backoff as after so many more failed attempts: 16 times the spread."""

_NEVER = -inf
"""One float for all: written out, `-inf` is a new object each time, and there are many connections."""


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a client, in seconds: the backoff of protocol.md, how long an ack may wait for company, and the
    mirror rule's margin."""

    backoff_base_s: float = 0.5
    backoff_s_max: float = 30.0
    stable_after_s: float = 60.0
    ack_delay_s: float = 0.2
    silence_margin_s: float = 5.0
    reconnect: bool = True
    acks: bool = True

    def scaled(self, time_scale: float) -> ClientConfig:
        """The same rules played faster; the ack delay is latency and stays."""
        return msgspec.structs.replace(
            self,
            backoff_base_s=self.backoff_base_s * time_scale,
            backoff_s_max=self.backoff_s_max * time_scale,
            stable_after_s=self.stable_after_s * time_scale,
            silence_margin_s=self.silence_margin_s * time_scale,
        )


class _Place:
    """Where the client is in one session: `last_seq` None until the first join is answered."""

    __slots__ = ("ack_due", "epoch", "joined", "last_seq", "seen")

    def __init__(self) -> None:
        self.epoch = 0
        self.last_seq: int | None = None
        self.joined = False
        self.ack_due = False
        self.seen = False


class ChatClient:
    """One device of one user. `seed` decides its backoff's jitter."""

    __slots__ = (
        "_acked_at",
        "_attempts",
        "_config",
        "_dice",
        "_flooded_until",
        "_former",
        "_heard_at",
        "_opened_at",
        "_places",
        "_reconnect_after_s",
        "_silence_s",
        "_unacked",
        "ack_at",
        "acks",
        "connection",
        "duplicates",
        "state",
        "user",
    )

    def __init__(self, config: ClientConfig, *, user: str, seed: int) -> None:
        self.user = user
        self.state = "idle"
        self.connection = ""
        self.duplicates = 0
        self.acks = config.acks
        self._config = config
        self._dice = Dice(seed)
        self._places: dict[str, _Place] = {}
        self._unacked: dict[str, Say] = {}
        self._former = ""
        self._attempts = 0
        self._opened_at = 0.0
        self._heard_at = 0.0
        self._silence_s = inf
        self._reconnect_after_s: float | None = None
        self.ack_at = inf
        self._acked_at = _NEVER
        self._flooded_until = _NEVER

    # What the person wants.

    def start(self, now: float) -> ClientEffects:
        """Be there from now on."""
        assert self.state == "idle", "a client is started once"
        self.state = "waiting"
        return (Dial(0.0),)

    def hang_up(self, now: float) -> ClientEffects:
        """Go, and do not come back."""
        was, self.state = self.state, "idle"
        self.connection = ""
        return (HangUp(1000, "bye"),) if was == "open" else NOTHING

    def join(self, now: float, session: str) -> ClientEffects:
        """Be in this session, now and after every reconnection."""
        place = self._places.setdefault(session, _Place())
        return (self._join(session, place),) if self.connection else NOTHING

    def say(self, now: float, id_: str, session: str, body: Body) -> ClientEffects:
        """Write a message; it is sent again with the same id after a reconnection until the server has acked it."""
        frame = Say(id_, session, body)
        self._unacked[id_] = frame
        place = self._places.get(session)
        if not self.connection or (place is not None and not place.joined):
            return NOTHING
        return (Transmit(frame),)

    def typing(self, now: float, session: str, active: bool) -> ClientEffects:
        """Say that the person is typing; worth nothing later, so it is not kept."""
        return (Transmit(TypingIn(session, active)),) if self.connection else NOTHING

    def presence(self, now: float, state: str) -> ClientEffects:
        """Say `online` or `away`."""
        assert state in ("online", "away")
        return (Transmit(PresenceIn(state)),) if self.connection else NOTHING  # type: ignore[arg-type]

    @property
    def unacked(self) -> int:
        """How many messages the server has not acked."""
        return len(self._unacked)

    @property
    def former(self) -> str:
        """The name of the connection before this one, "" where there was none: what a dial shows to be let in among
        those who come back."""
        return self.connection or self._former

    def joined(self, session: str) -> bool:
        """Whether the server has answered the join on this connection."""
        place = self._places.get(session)
        return place is not None and place.joined

    # What the wire says.

    def opened(self, now: float) -> ClientEffects:
        """The WebSocket is open; the server speaks first."""
        if self.state == "idle":
            # The person went while the dial was under way.
            return (HangUp(1000, "bye"),)
        self.state = "open"
        self._opened_at = self._heard_at = now
        return NOTHING

    def refused(self, now: float, status: int, retry_after_s: float | None = None) -> ClientEffects:
        """The dial failed: `status` is that of the HTTP answer, 0 where there was none. 4xx is final."""
        if self.state == "idle":
            return NOTHING
        if 400 <= status < 500 and status != 429:
            self.state = "idle"
            return NOTHING
        return self._dial_again(retry_after_s)

    def closed(self, now: float, code: int) -> ClientEffects:
        """The WebSocket is gone; `code` is 1006 where there was no closing handshake."""
        if self.state != "open":
            return NOTHING
        if now - self._opened_at >= self._config.stable_after_s:
            self._attempts = 0
        self._former = self.connection or self._former
        self.connection = ""
        self.ack_at = inf
        for place in self._places.values():
            place.joined = False
            place.ack_due = False
        if code in TERMINAL or 4500 <= code < 5000 or not self._config.reconnect:
            self.state = "idle"
            return NOTHING
        after_s, self._reconnect_after_s = self._reconnect_after_s, None
        if code == FLOODED and self._flooded_until > now:
            after_s = self._flooded_until - now
        elif code == OVERLOADED:
            self._attempts += OVERLOAD_STEPS
        self.state = "waiting"
        return self._dial_again(after_s)

    def heard(self, now: float) -> None:
        """A ping came: the server lives."""
        self._heard_at = now

    def receive(self, now: float, frame: ServerFrame) -> ClientEffects:
        """One frame from the server."""
        self._heard_at = now
        kind = type(frame)
        if kind is Message:
            return self._message(now, frame)  # type: ignore[arg-type]
        if kind is Delivered:
            return (Show(frame),)
        if kind is Ack:
            return self._acked(frame)  # type: ignore[arg-type]
        if isinstance(frame, Welcome):
            return self._welcome(frame)
        if isinstance(frame, Joined):
            return self._joined(now, frame)
        if isinstance(frame, Draining):
            self._reconnect_after_s = frame.reconnect_after_ms / 1000
        elif isinstance(frame, Error) and frame.code == "frame_rate" and isinstance(frame.retry_after_ms, int):
            self._flooded_until = now + frame.retry_after_ms / 1000
        if isinstance(frame, Error) and isinstance(frame.id, str) and frame.code != "unavailable":
            self._unacked.pop(frame.id, None)
        return (Show(frame),)

    def wake_at(self) -> float:
        """When `wake` wants to be called: an ack has waited long enough, or the server has been silent too long."""
        if self.state != "open":
            return inf
        return min(self.ack_at, self._heard_at + self._silence_s)

    def wake(self, now: float) -> ClientEffects:
        """Do what is due."""
        if now >= self.ack_at:
            return self._send_acks(now)
        if self.state == "open" and now >= self._heard_at + self._silence_s:
            # The mirror of the server's rule: nothing heard for ping interval, pong timeout and a margin.
            return (HangUp(SILENCE, "nothing heard"), *self.closed(now, SILENCE))
        return NOTHING

    # Inside.

    def _dial_again(self, after_s: float | None) -> ClientEffects:
        if not self._config.reconnect:
            self.state = "idle"
            return NOTHING
        self.state = "waiting"
        config = self._config
        if after_s is None:
            spread_s = min(config.backoff_s_max, config.backoff_base_s * 2.0 ** min(self._attempts, 60))
            after_s = min(config.backoff_s_max, config.backoff_base_s + self._dice.uniform() * spread_s)
        self._attempts += 1
        return (Dial(after_s),)

    def _welcome(self, frame: Welcome) -> ClientEffects:
        self.connection = frame.connection
        self._silence_s = frame.ping_interval_s + frame.pong_timeout_s + self._config.silence_margin_s
        effects: list[ClientEffect] = [Show(frame)]
        effects += [self._join(name, place) for name, place in self._places.items()]
        effects += [Transmit(say) for say in self._unacked.values() if say.session not in self._places]
        return tuple(effects)

    def _join(self, session: str, place: _Place) -> Transmit:
        if place.last_seq is None:
            return Transmit(StatusIn("join", session, replaces=self._former or UNSET))
        return Transmit(StatusIn("join", session, place.epoch, place.last_seq, self._former or UNSET))

    def _joined(self, now: float, frame: Joined) -> ClientEffects:
        place = self._places.setdefault(frame.session, _Place())
        again = place.joined
        place.joined = True
        if place.last_seq is None or place.epoch != frame.epoch or not frame.recovered:
            place.last_seq = frame.seq
        place.epoch = frame.epoch
        effects: list[ClientEffect] = [Show(frame)]
        if not again:
            if frame.recovered and place.seen:
                # The last ack may have been lost with the former connection, and what it was for is not replayed.
                self._acked_at = now
                effects.append(Transmit(AckIn(frame.session, place.last_seq or 0)))
            effects += [Transmit(say) for say in self._unacked.values() if say.session == frame.session]
        return tuple(effects)

    def _message(self, now: float, frame: Message) -> ClientEffects:
        place = self._places.get(frame.session)
        if place is None:
            place = self._places[frame.session] = _Place()
            place.joined = True
        new = place.last_seq is None or frame.seq > place.last_seq or frame.epoch != place.epoch
        if new:
            place.last_seq = frame.seq
            place.epoch = frame.epoch
        else:
            self.duplicates += 1
        if frame.sender == self.user or not self.acks:
            return (Show(frame),) if new else NOTHING
        place.seen = True
        if now < self._acked_at + self._config.ack_delay_s:
            place.ack_due = True
            self.ack_at = self._acked_at + self._config.ack_delay_s
            return (Show(frame),) if new else NOTHING
        self._acked_at = now
        ack = Transmit(AckIn(frame.session, place.last_seq or frame.seq))
        return (Show(frame), ack) if new else (ack,)

    def _send_acks(self, now: float) -> ClientEffects:
        self.ack_at = inf
        self._acked_at = now
        acks = []
        for session, place in self._places.items():
            if place.ack_due:
                place.ack_due = False
                acks.append(Transmit(AckIn(session, place.last_seq or 0)))
        return tuple(acks)

    def _acked(self, frame: Ack) -> ClientEffects:
        known = self._unacked.pop(frame.id, None)
        place = self._places.get(frame.session)
        if (
            place is not None
            and place.last_seq is not None
            and frame.seq > place.last_seq
            and frame.epoch == place.epoch
        ):
            # Everything below came before the ack on this connection, so the position moves past one's own message.
            place.last_seq = frame.seq
        return (Show(frame),) if known is not None else NOTHING
