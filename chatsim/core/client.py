"""The chat client: one device's side of the protocol, with reconnection, resume and deduplication inside.

Rule: like the handler, no clock, no socket, no await; dated inputs in, effects out. What the person sees (`Show`)
comes once and in order.
Dialling, writing and fetching tokens is left to the shell.

An error about a join names no session. But a server answers in the order in which it was asked, so the client keeps a
list of what it has asked, and an error belongs to the first of it that can be refused so.

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
from chatsim.core.effects import NOTHING, ClientEffect, ClientEffects, Dial, HangUp, Renew, Show, Transmit
from chatsim.core.frames import (
    Ack,
    AckIn,
    Body,
    Delivered,
    Draining,
    Error,
    Joined,
    Left,
    Message,
    PresenceIn,
    Refreshed,
    Say,
    ServerFrame,
    StatusIn,
    TokenExpiring,
    TypingIn,
    Welcome,
)

TERMINAL = frozenset({1000, 1003, 1007, 1009})
"""Closes after which nobody comes back, beside 4500-4999 (protocol.md, section 3)."""
SILENCE, EXPIRED, FLOODED, OVERLOADED = 4001, 4002, 4003, 1013
TRIED_AGAIN = frozenset({"unavailable", "token_expired"})
"""Errors after which a message is sent again with the same id: later, or when the token has been renewed."""
_OF_JOINS = frozenset({"not_a_participant", "no_such_session", "bad_frame", *TRIED_AGAIN})
"""Errors without an id that may be the answer to a join (`bad_frame`: too many sessions on one connection)."""
OVERLOAD_STEPS = 4
"""An overloaded server is given a backoff as after so many more failed attempts: 16 times the spread."""
EARLY_MAX = 256
"""Messages of the own session that are held while its join is under way, the newest of them."""
TOLD_S_MAX = 3600.0
"""The longest time (s) that a server can make a client wait: what it tells may be any number."""

_NEVER = -inf
"""One float for all: written out, `-inf` is a new object each time, and there are many connections."""


def told_s(told_ms: int | float) -> float:
    """A time that the server told, in seconds: none that is over already, and none that never ends."""
    return min(max(told_ms, 0), TOLD_S_MAX * 1000) / 1000


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a client, in seconds: the backoff of protocol.md, how long an ack may wait for company, and the
    mirror rule's margin.

    `ack_each` has it ack each message by its `message_id`, and at once, instead of all up to the newest. `renews` says
    that the shell can fetch new tokens: then one with under `renew_before_s` left is renewed before it is shown.
    """

    backoff_base_s: float = 0.5
    backoff_s_max: float = 30.0
    stable_after_s: float = 60.0
    ack_delay_s: float = 0.2
    silence_margin_s: float = 5.0
    reconnect: bool = True
    acks: bool = True
    ack_each: bool = False
    renews: bool = False
    renew_before_s: float = 60.0

    def scaled(self, time_scale: float) -> ClientConfig:
        """The same rules played faster; the ack delay is latency and stays."""
        return msgspec.structs.replace(
            self,
            backoff_base_s=self.backoff_base_s * time_scale,
            backoff_s_max=self.backoff_s_max * time_scale,
            stable_after_s=self.stable_after_s * time_scale,
            silence_margin_s=self.silence_margin_s * time_scale,
            renew_before_s=self.renew_before_s * time_scale,
        )


class _Place:
    """Where the client is in one session: `last_seq` None until the first join is answered.

    `early` is what came of her own session before that: the server joins it unasked. `conn` is the connection by which
    it was joined last. Where a join was `drowned` in a flood, it may still be answered: which were refused is not told.
    """

    __slots__ = ("ack_due", "conn", "drowned", "early", "epoch", "joined", "last_seq", "seen")

    def __init__(self) -> None:
        self.epoch = 0
        self.last_seq: int | None = None
        self.joined = False
        self.drowned = False
        self.ack_due = False
        self.seen = False
        self.early: tuple[Message, ...] = ()
        self.conn = ""

    def begins_anew(self, answer: Joined) -> bool:
        """Whether nothing is replayed from where she was: she is where the answer says."""
        return self.last_seq is None or self.epoch != answer.epoch or not answer.recovered

    def begin_at(self, answer: Joined) -> None:
        """The join is answered: what is replayed moves the position only as it comes."""
        if self.begins_anew(answer):
            self.last_seq = answer.seq
        self.epoch = answer.epoch


class ChatClient:
    """One device of one user. `seed` decides its backoff's jitter; `user` is what the server's welcome says."""

    __slots__ = (
        "_acked_at",
        "_acks_at",
        "_again_at",
        "_asked",
        "_attempts",
        "_config",
        "_dial_at",
        "_dice",
        "_failures",
        "_flooded_until",
        "_former",
        "_fresh",
        "_heard_at",
        "_left",
        "_opened_at",
        "_places",
        "_reconnect_after_s",
        "_refused",
        "_renewing",
        "_silence_s",
        "_token_until",
        "_unacked",
        "acks",
        "connection",
        "due_at",
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
        # The nearest of the two below: what makes an alarm come earlier, and not later as being heard from does.
        self.due_at = inf
        self._acks_at = inf
        self._again_at = inf
        self._acked_at = _NEVER
        self._flooded_until = _NEVER
        # Questions in their order (session, and whether to join it); mostly there are none, so they share one ().
        self._asked: tuple[tuple[str, bool], ...] = ()
        self._refused: dict[str, None] | None = None
        # Where she was in each session that she has left, until the server has let her go; None for none.
        self._left: dict[str, _Place] | None = None
        self._failures = 0
        self._token_until = _NEVER
        self._fresh = False
        self._renewing = False
        self._dial_at = inf

    # What the person wants.

    def start(self, now: float) -> ClientEffects:
        """Be there from now on."""
        assert self.state == "idle", "a client is started once"
        return self._dial(now, 0.0)

    def hang_up(self, now: float) -> ClientEffects:
        """Go, and do not come back."""
        acks = self._send_acks(now) if self.state == "open" and self._acks_at < inf else NOTHING
        was, self.state = self.state, "idle"
        self.connection = ""
        return (*acks, HangUp(1000, "bye")) if was == "open" else NOTHING

    def join(self, now: float, session: str) -> ClientEffects:
        """Be in this session, now and after every reconnection."""
        if not self.leaving(session) and (left := self._left_in(session)) is not None:
            # The server would not have her leave: she is there still, and has passed over what came since.
            self._places[session] = left
        place = self._places.setdefault(session, _Place())
        if not self.connection or self._puts_off(now):
            return NOTHING
        return (self._join(session, place),)

    def leave(self, now: float, session: str) -> ClientEffects:
        """Be in this session no more; nobody leaves her own."""
        place = None if self._is_own(session) else self._places.pop(session, None)
        if place is None or not self.connection:
            return NOTHING
        held = NOTHING if place.joined else self._held(session)
        if not (place.joined or place.drowned or (session, True) in self._asked):
            return held
        place.joined = False
        self._left = {**(self._left or {}), session: place}
        return held if self._puts_off(now) else (*held, self._leave(session))

    def say(self, now: float, id_: str, session: str, body: Body) -> ClientEffects:
        """Write a message; it is sent again with the same id after a reconnection until the server has acked it."""
        frame = Say(id_, session, body)
        self._unacked[id_] = frame
        place = self._places.get(session)
        if not self.connection or (place is not None and not place.joined):
            return NOTHING
        return (Transmit(frame),)

    def withdraw(self, now: float, id_: str) -> ClientEffects:
        """Nobody waits for this message any more: it is not sent again. Whether the server has it is not known."""
        self._unacked.pop(id_, None)
        return NOTHING

    def typing(self, now: float, session: str, active: bool) -> ClientEffects:
        """Say that the person is typing; worth nothing later, so it is not kept."""
        return (Transmit(TypingIn(session, active)),) if self.connection and self.joined(session) else NOTHING

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
        """The server's name for the connection before this one: who shows it at a dial is let in before those who are
        new."""
        return self._former

    def pending(self, id_: str) -> bool:
        """Whether the message is still to be acked: it will be sent again where need be."""
        return id_ in self._unacked

    def wants(self, session: str) -> bool:
        """Whether the client is in this session, or will be."""
        return session in self._places

    def leaving(self, session: str) -> bool:
        """Whether a leave has still to be answered."""
        return (session, False) in self._asked

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
        self._fresh = False
        self._opened_at = self._heard_at = now
        return NOTHING

    def refused(self, now: float, status: int, retry_after_s: float | None = None) -> ClientEffects:
        """The dial failed: `status` is that of the HTTP answer, 0 where there was none. 4xx is final, but a
        token from before, which may have ended by the server's clock, is renewed once."""
        if self.state == "idle":
            return NOTHING
        if status == 401 and self._config.renews and self._config.reconnect and not self._fresh:
            self._token_until = _NEVER
            return self._dial(now, 0.0)
        if 400 <= status < 500 and status != 429:
            self.state = "idle"
            return NOTHING
        return self._dial_again(now, None if retry_after_s is None else min(retry_after_s, TOLD_S_MAX))

    def closed(self, now: float, code: int) -> ClientEffects:
        """The WebSocket is gone; `code` is 1006 where there was no closing handshake."""
        if self.state != "open":
            return NOTHING
        if now - self._opened_at >= self._config.stable_after_s:
            self._attempts = 0
        self._former = self.connection or self._former
        self.connection = ""
        self.due_at = self._acks_at = self._again_at = inf
        self._asked = ()
        self._refused = None
        self._left = None
        for place in self._places.values():
            place.joined = place.drowned = False
            place.ack_due = False
            place.early = ()
        if code in TERMINAL or 4500 <= code < 5000 or not self._config.reconnect:
            self.state = "idle"
            return NOTHING
        after_s, self._reconnect_after_s = self._reconnect_after_s, None
        if code == FLOODED and self._flooded_until > now:
            after_s = self._flooded_until - now
        elif code == OVERLOADED:
            self._attempts += OVERLOAD_STEPS
        elif code == EXPIRED:
            self._token_until = _NEVER
        return self._dial_again(now, after_s)

    def renewed(self, now: float, token: str, expires_in_s: float) -> ClientEffects:
        """A new token was fetched, good for so long: a dial has waited for it, or the open connection is told."""
        self._renewing = False
        self._failures = 0
        self._token_until = now + expires_in_s
        self._fresh = True
        if self.connection:
            return (Transmit(StatusIn("refresh", token=token)),)
        dial_at, self._dial_at = self._dial_at, inf
        if self.state != "waiting" or dial_at == inf:
            return NOTHING
        return (Dial(max(0.0, dial_at - now)),)

    def renewal_failed(self, now: float) -> ClientEffects:
        """No new token could be fetched: that is tried again, for as long as the client is there."""
        self._renewing = False
        if self.state == "idle":
            return NOTHING
        self._failures += 1
        return self._renew(self._backoff_s(self._failures))

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
            return self._welcome(now, frame)
        if isinstance(frame, Joined):
            return self._joined(now, frame)
        if isinstance(frame, Draining):
            self._reconnect_after_s = told_s(frame.reconnect_after_ms)
        elif isinstance(frame, Error):
            return (Show(frame), *self._refusal(now, frame))
        elif isinstance(frame, Left):
            self._let_go(frame)
        elif isinstance(frame, TokenExpiring):
            self._token_until = now + frame.expires_in_s
            return (Show(frame), *self._renew(0.0))
        elif isinstance(frame, Refreshed):
            self._token_until = now + frame.expires_in_s
            return (Show(frame), *self._again(now))
        return (Show(frame),)

    def wake_at(self) -> float:
        """When `wake` wants to be called: an ack has waited long enough, what was refused is to be tried again, or the
        server has been silent too long."""
        if self.state != "open":
            return inf
        return min(self.due_at, self._heard_at + self._silence_s)

    def wake(self, now: float) -> ClientEffects:
        """Do what is due."""
        if now >= self.due_at:
            acks = self._send_acks(now) if now >= self._acks_at else NOTHING
            if now < self._again_at:
                return acks
            return (*acks, *self._again(now))
        if self.state == "open" and now >= self._heard_at + self._silence_s:
            # The mirror of the server's rule: nothing heard for ping interval, pong timeout and a margin.
            return (HangUp(SILENCE, "nothing heard"), *self.closed(now, SILENCE))
        return NOTHING

    # Inside.

    def _is_own(self, session: str) -> bool:
        return session[:1] == "@" and session[1:] == self.user

    def _backoff_s(self, attempts: int) -> float:
        """The protocol's backoff (protocol.md, section 3): capped before the jitter."""
        config = self._config
        spread_s = min(config.backoff_s_max, config.backoff_base_s * 2.0 ** min(attempts, 60))
        return min(config.backoff_s_max, config.backoff_base_s + self._dice.uniform() * spread_s)

    def _dial_again(self, now: float, after_s: float | None) -> ClientEffects:
        if not self._config.reconnect:
            self.state = "idle"
            return NOTHING
        if after_s is None:
            after_s = self._backoff_s(self._attempts)
        self._attempts += 1
        return self._dial(now, after_s)

    def _dial(self, now: float, after_s: float) -> ClientEffects:
        """Dial so much later; a token that will have too little left by then is renewed first."""
        self.state = "waiting"
        config = self._config
        if config.renews and self._token_until < now + after_s + config.renew_before_s:
            self._dial_at = now + after_s
            return self._renew(0.0)
        return (Dial(after_s),)

    def _renew(self, after_s: float) -> ClientEffects:
        if self._renewing or not self._config.renews:
            return NOTHING
        self._renewing = True
        return (Renew(after_s),)

    def _held(self, session: str) -> ClientEffects:
        """What was said in the session and waits for its join: nobody waits longer than for the end of that."""
        return tuple(Transmit(say) for say in self._unacked.values() if say.session == session)

    def _refusal(self, now: float, frame: Error) -> ClientEffects:
        """What an error means for what was asked: given up, or to be tried again."""
        wait_s = told_s(frame.retry_after_ms) if isinstance(frame.retry_after_ms, int) else None
        if frame.code == "frame_rate":
            # Which of the joins were refused is not told: all that are open are asked again.
            self._flooded_until = now if wait_s is None else now + wait_s
            if self._asked:
                self._drown()
                self._later(now, wait_s)
        if isinstance(frame.id, str):
            if frame.code not in TRIED_AGAIN:
                self._unacked.pop(frame.id, None)
            elif frame.id in self._unacked:
                if self._refused is None:
                    self._refused = {}
                self._refused[frame.id] = None
                if frame.code == "unavailable":
                    self._later(now, wait_s)
        elif self._asked and frame.code in _OF_JOINS:
            (session, joins), self._asked = self._asked[0], self._asked[1:]
            if not joins:
                self._not_let_go(session, for_now=frame.code in TRIED_AGAIN)
            if joins and frame.code not in TRIED_AGAIN and not self.joined(session):
                self._places.pop(session, None)
                return self._held(session)
            if frame.code == "unavailable":
                self._later(now, wait_s)
        return NOTHING

    def _drown(self) -> None:
        """Nothing of what was asked waits for its answer any more, though it may come."""
        for session, joins in self._asked:
            if joins and session in self._places:
                self._places[session].drowned = True
        self._asked = ()
        for session in tuple(self._left or ()):
            self._not_let_go(session, for_now=True)

    def _later(self, now: float, wait_s: float | None) -> None:
        """Try again what was refused, after the time that was told, or after a backoff."""
        if wait_s is None:
            wait_s = self._backoff_s(self._failures)
        self._failures += 1
        self._try_at(now + wait_s)

    def _puts_off(self, now: float) -> bool:
        """Put off what is asked now until a flood is over, if there is one; whether it was put off. The server tells of
        a flood once, and a question in the middle of it would never be answered."""
        if now >= self._flooded_until:
            return False
        self._try_at(self._flooded_until)
        return True

    def _try_at(self, moment: float) -> None:
        """Ask again for what is open at that moment, or later where that was agreed."""
        self._again_at = max(moment, self._again_at) if self._again_at < inf else moment
        self.due_at = min(self._acks_at, self._again_at)

    def _again(self, now: float) -> ClientEffects:
        """Ask once more for what the server refused for now."""
        if self._puts_off(now):
            return NOTHING
        self._again_at = inf
        self.due_at = self._acks_at
        joins = [
            self._join(name, place)
            for name, place in self._places.items()
            if not place.joined and (name, True) not in self._asked
        ]
        leaves = [self._leave(name) for name in self._left or () if not self.leaving(name)]
        refused, self._refused = self._refused, None
        says = [Transmit(self._unacked[id_]) for id_ in refused or () if id_ in self._unacked]
        return (*leaves, *joins, *says)

    def _answers(self, question: tuple[str, bool]) -> bool:
        """Whether this was asked (a session, and whether to join or to leave it); it is answered now."""
        if question not in self._asked:
            return False
        place = self._asked.index(question)
        self._asked = self._asked[:place] + self._asked[place + 1 :]
        return True

    def _welcome(self, now: float, frame: Welcome) -> ClientEffects:
        self.connection = frame.connection
        self.user = frame.user
        self._token_until = now + frame.expires_in_s
        # Each connection has its own budget of frames.
        self._flooded_until = _NEVER
        self._silence_s = frame.ping_interval_s + frame.pong_timeout_s + self._config.silence_margin_s
        effects: list[ClientEffect] = [Show(frame)]
        effects += [self._join(name, place) for name, place in self._places.items()]
        effects += [Transmit(say) for say in self._unacked.values() if say.session not in self._places]
        return tuple(effects)

    def _join(self, session: str, place: _Place) -> Transmit:
        self._asked += ((session, True),)
        # Its position is that of the connection by which it was there, which need not be the last: that one may have
        # ended before it was answered. Nobody takes her own place.
        former = place.conn or self._former
        replaces = UNSET if former in ("", self.connection) else former
        if place.last_seq is None:
            return Transmit(StatusIn("join", session, replaces=replaces))
        return Transmit(StatusIn("join", session, place.epoch, place.last_seq, replaces))

    def _left_in(self, session: str) -> _Place | None:
        """Where she was in a session that she has left, and of which it is not known whether the server has let her
        go; it is forgotten now."""
        if self._left is None or session not in self._left:
            return None
        place = self._left.pop(session)
        self._left = self._left or None
        return place

    def _let_go(self, frame: Left) -> None:
        """She is not in the session any more, as the server has it."""
        session = frame.session
        self._answers((session, False))
        if not self.leaving(session):
            self._left_in(session)
        if frame.reason != "left":
            # Not the answer to a leave, be it one that drowned: the session has ended.
            self._places.pop(session, None)

    def _not_let_go(self, session: str, *, for_now: bool) -> None:
        """A leave was refused, or may have been. Where she wants to be there again, she goes on from where she was: of
        what came meanwhile, which she has passed over, nothing is lost so."""
        if for_now and session not in self._places:
            # To be tried again.
            return
        left = self._left_in(session)
        if left is not None and for_now:
            left.drowned = self._places[session].drowned
            self._places[session] = left

    def _leave(self, session: str) -> Transmit:
        self._asked += ((session, False),)
        return Transmit(StatusIn("leave", session))

    def _joined(self, now: float, frame: Joined) -> ClientEffects:
        self._answers((frame.session, True))
        place = self._places.get(frame.session)
        left = None if self._left is None else self._left.get(frame.session)
        if left is not None and (place is None or self.leaving(frame.session)):
            # The person has left before the answer came; if she is not let go, this is where she is. What is replayed
            # to her now she passes over, as all that comes behind it.
            left.begin_at(frame)
            left.conn = self.connection
            return NOTHING
        if place is None:
            # An error of something else, which names nothing, was taken for the answer.
            place = self._places[frame.session] = _Place()
        again = place.joined
        place.joined = True
        place.conn = self.connection
        effects: list[ClientEffect] = [Show(frame)]
        early, place.early = place.early, ()
        if place.begins_anew(frame):
            # Where it is replayed it comes again, behind what was missed.
            for message in early:
                effects += self._message(now, message)
        place.begin_at(frame)
        if not again:
            if frame.recovered and place.seen:
                # The last ack may have been lost with the former connection, and what it was for is not replayed.
                self._acked_at = now
                effects.append(Transmit(AckIn(frame.session, place.last_seq or 0)))
            effects += self._held(frame.session)
        return tuple(effects)

    def _message(self, now: float, frame: Message) -> ClientEffects:
        place = self._places.get(frame.session)
        if place is None:
            if not self._is_own(frame.session):
                # The person has left, and the server did not know it yet.
                return NOTHING
            place = self._places[frame.session] = _Place()
            place.joined = True
            place.conn = self.connection
        if not place.joined:
            # From before she left and came back; or live in her own session, where a replay is to come before it.
            if self._is_own(frame.session):
                place.early = (*place.early, frame)[-EARLY_MAX:]
            return NOTHING
        new = place.last_seq is None or frame.seq > place.last_seq or frame.epoch != place.epoch
        if new:
            place.last_seq = frame.seq
            place.epoch = frame.epoch
        else:
            self.duplicates += 1
        if frame.sender == self.user or not self.acks:
            return (Show(frame),) if new else NOTHING
        place.seen = True
        if self._config.ack_each:
            one = Transmit(AckIn(message_id=frame.message_id))
            return (Show(frame), one) if new else (one,)
        if now < self._acked_at + self._config.ack_delay_s:
            place.ack_due = True
            self._acks_at = acks_at = self._acked_at + self._config.ack_delay_s
            # Not only where it is nearer: what was due before may have been acked in the meantime.
            self.due_at = acks_at if acks_at < self._again_at else self._again_at
            return (Show(frame),) if new else NOTHING
        self._acked_at = now
        ack = Transmit(AckIn(frame.session, place.last_seq or frame.seq))
        return (Show(frame), ack) if new else (ack,)

    def _send_acks(self, now: float) -> ClientEffects:
        self._acks_at = inf
        self.due_at = self._again_at
        self._acked_at = now
        acks = []
        for session, place in self._places.items():
            if place.ack_due:
                place.ack_due = False
                acks.append(Transmit(AckIn(session, place.last_seq or 0)))
        return tuple(acks)

    def _acked(self, frame: Ack) -> ClientEffects:
        known = self._unacked.pop(frame.id, None)
        self._failures = 0
        place = self._places.get(frame.session)
        if (
            place is not None
            and place.last_seq is not None
            and frame.seq == place.last_seq + 1
            and frame.epoch == place.epoch
        ):
            # The position moves past one's own message; where something below is missing, a replay is still under way.
            place.last_seq = frame.seq
        return (Show(frame),) if known is not None else NOTHING
