"""Invariant: whatever comes in, and in whatever order, each connection hears exactly what a naive model says it must.

The handler is played against `model.Model`: after every input what each connection was sent is compared frame by frame;
between inputs time goes from one moment at which either has something to do to the next. Typing, whose
moments the protocol only bounds, is held against its bounds here, and pings are by the model.
"""

from __future__ import annotations

from math import inf
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import UNSET, Raw, UnsetType

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Close, Effects, Ping, Record, Send, Tell, Watch
from chatsim.core.facts import Ended
from chatsim.core.frames import (
    AckIn,
    Error,
    HeartbeatIn,
    Message,
    Presence,
    PresenceIn,
    Say,
    StatusIn,
    Typing,
    TypingIn,
)
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Claims
from tests.core.model import Heard, Model
from tests.core.stories import EPOCH
from tests.thorough import examples

CONFIG = HandlerConfig(
    rate_limit=4,
    violation_limit=2,
    connections_per_user=2,
    retention_messages=4,
    retention_bytes=60,
    outbound_frames=4,
)
PEOPLE = ("ann", "bob", "cid")
USERS = st.sampled_from(PEOPLE)
SESSIONS = st.sampled_from(["s", "s", "s", "t", "o"])
ALL_SESSIONS = SESSIONS | st.sampled_from(["@ann", "@bob"])
NUMBERS = st.integers(0, 5)
JTIS = st.sampled_from(["j1", "j2", None])
TTLS = st.sampled_from([1e6, 1e6, 1e6, 90.0, 20.0])
IDS = st.integers(0, 6).map(str)
ORDERS = st.sampled_from(["add", "remove", "end", "revoke", "j1", "j2"])
# All of them are sums of powers of two, so that moments are exact.
GAPS = st.sampled_from([0.25, 1.0, 3.0, 10.0, 15.0, 30.0, 30.0, 61.0, 150.0, 310.0])


def by_user(frames: list[Heard]) -> list[Heard]:
    """What is no signal, in order, and then the signals of each kind and user, in order."""
    signals = [frame for frame in frames if isinstance(frame, Presence | Typing)]
    signals.sort(key=lambda frame: (type(frame).__name__, frame.user))
    return [*(frame for frame in frames if not isinstance(frame, Presence | Typing)), *signals]


class Node(RuleBasedStateMachine):
    """One handler and its model, given the same."""

    def __init__(self) -> None:
        super().__init__()
        self.handler = ChatHandler(CONFIG, epoch=EPOCH, seed=3)
        self.model = Model(CONFIG, EPOCH)
        self.log = MemoryLog()
        self.now = 0.0
        self.numbered = self.posted = 0
        self.pending: list[tuple[str, Record]] = []
        self.mute: set[str] = set()
        self.relieved = False
        self.heard: dict[str, list[Heard]] = {}
        self.pinged: list[str] = []
        # Of each session's epoch and user: when and what was told last, and until when she may be said to be typing.
        self.typing: dict[tuple[str, int, str], tuple[float, bool]] = {}
        self.types_until: dict[tuple[str, int, str], float] = {}

    # The shell.

    def give(self, door: str, *args: Any) -> None:
        """One input of the handler, and all that it leads to at once."""
        for effect in self.answers(door, *args):
            if isinstance(effect, Send):
                self.sent(door, effect)
            elif isinstance(effect, Close):
                self.heard.setdefault(effect.to, []).append(effect.code)
            elif isinstance(effect, Append):
                self.pending.append((effect.record.conn, effect.record))
            elif isinstance(effect, Tell):
                if isinstance(effect.message, Typing):
                    self.told_typing(effect.session, effect.message)
                self.give("told", effect.session, effect.message)
            elif isinstance(effect, Ping):
                self.pinged += effect.to
            elif isinstance(effect, Watch) and door != "told":
                # All that was written has left: the next part of a replay follows, and it lags no more.
                self.relieved = True
                self.model.pressure(self.now, effect.to, 0)
                self.give("pressure", effect.to, 0, 0)
            elif isinstance(effect, Watch):
                # It is spared a signal: that all has left will be said some time.
                assert self.model.devices[effect.to].lags
            elif isinstance(effect.fact, Ended):
                self.log.note(effect.fact)

    def answers(self, door: str, *args: Any) -> Effects:
        effects: Effects = getattr(self.handler, door)(self.now, *args)
        return effects

    def others(self, frame: Typing) -> list[str]:
        model = self.model
        return [c for c in model.joined(frame.session) if model.devices[c].user != frame.user]

    def sent(self, door: str, send: Send) -> None:
        frame = send.message
        if isinstance(frame, Typing) and door == "told":
            devices = self.model.devices
            assert sorted(send.to) == sorted(c for c in self.others(frame) if not devices[c].lags)
            return
        if isinstance(frame, Error):
            frame = msgspec.structs.replace(frame, message="")
        for conn in send.to:
            self.heard.setdefault(conn, []).append(frame)

    def told_typing(self, session: str, frame: Typing) -> None:
        place = (session, self.model.rooms[session].epoch, frame.user)
        at, was = self.typing.get(place, (-inf, False))
        assert self.now >= at + CONFIG.typing_interval_s
        assert frame.active or was
        # It is told at once or not at all, but for its end.
        assert not frame.active or self.types_until[place] == self.now + CONFIG.typing_lapse_s
        self.typing[place] = (self.now, frame.active)
        for conn in self.others(frame):
            if self.model.devices[conn].lags:
                self.model.devices[conn].spare(session, frame)

    def agree(self, *, in_order: bool = True) -> None:
        """What was heard of the last input is what had to be."""
        heard, must = ({c: f for c, f in frames.items() if f} for frames in (self.heard, self.model.out))
        if not in_order:
            # What is due at one moment has no order among itself, but messages of a session have.
            heard, must = ({c: sorted(f, key=repr) for c, f in frames.items()} for frames in (heard, must))
        elif self.relieved:
            # What one was spared of two kinds has no order among itself, but that about one user has.
            heard, must = ({c: by_user(f) for c, f in frames.items()} for frames in (heard, must))
        assert heard == must
        self.heard, self.model.out, self.relieved = {}, {}, False

    def both(self, door: str, *args: Any) -> None:
        """The same input for both, where it is one and its name is the same."""
        self.give(door, *args)
        getattr(self.model, door)(self.now, *args)
        self.agree()

    def frame(self, conn: str, frame: Any) -> None:
        self.give("receive", conn, frame)

    def conn(self, number: int) -> str:
        devices = list(self.model.devices)
        return devices[number % len(devices)]

    def wake(self) -> None:
        self.pinged = []
        self.give("wake")
        assert self.handler.wake_at() > self.now
        self.model.wake(self.now, self.pinged)
        self.agree(in_order=False)
        for conn in self.pinged:
            if conn in self.model.devices and conn not in self.mute:
                self.give("pong", conn)
                self.model.devices[conn].heard_at = self.now

    # What happens.

    @initialize(named=st.booleans())
    def some_are_there(self, named: bool) -> None:
        for number, user in enumerate(PEOPLE):
            self.connect(user, 1e6, None, named or number == 0)
            self.join(number, "s")

    @rule(user=USERS, ttl_s=TTLS, jti=JTIS, named=st.booleans())
    def connect(self, user: str, ttl_s: float, jti: str | None, named: bool) -> None:
        self.numbered += 1
        conn, allowed = f"c{self.numbered}", ("s", "t") if named else None
        wall = EPOCH + self.now
        # The model first: the rest of what is replayed is asked for at once, and that is told to both.
        self.model.connect(self.now, conn, user, ttl_s, jti, allowed)
        self.give("connect", conn, Claims(user, wall + ttl_s, iat=wall, jti=jti, sessions=allowed))
        self.agree()

    def some(self) -> bool:
        return bool(self.model.devices)

    @precondition(some)
    @rule(number=NUMBERS)
    def disconnect(self, number: int) -> None:
        self.both("disconnect", self.conn(number))

    @precondition(some)
    @rule(number=NUMBERS, session=ALL_SESSIONS)
    def join(self, number: int, session: str) -> None:
        conn = self.conn(number)
        self.frame(conn, StatusIn("join", session))
        self.model.join(self.now, conn, session)
        self.agree()

    @precondition(some)
    @rule(
        number=NUMBERS,
        session=ALL_SESSIONS,
        epoch=st.just(UNSET) | st.integers(1, 2),
        behind=st.integers(-1, 5),
        former=st.none() | NUMBERS,
    )
    def resume(self, number: int, session: str, epoch: int | UnsetType, behind: int, former: int | None) -> None:
        conn = self.conn(number)
        seq = self.model.rooms[session].seq if session in self.model.rooms else 0
        last_seq = max(seq - behind, 0)
        replaces = UNSET if former is None else self.conn(former)
        self.frame(conn, StatusIn("join", session, epoch, last_seq, replaces))
        self.model.join(self.now, conn, session, epoch, last_seq, replaces)
        self.agree()

    @precondition(some)
    @rule(user=USERS, session=SESSIONS, behind=st.integers(0, 4))
    def come_back(self, user: str, session: str, behind: int) -> None:
        """As a client does that has lost its connection."""
        if self.model.of(user):
            self.both("disconnect", self.model.of(user)[0])
        self.connect(user, 1e6, None, True)
        self.resume(len(self.model.devices) - 1, session, UNSET, behind, None)

    @rule(user=USERS)
    def another_device(self, user: str) -> None:
        """One is lost, and the next begins without asking for anything."""
        if self.model.of(user):
            self.both("disconnect", self.model.of(user)[0])
        self.connect(user, 1e6, None, True)
        self.join(len(self.model.devices) - 1, "s")

    @precondition(some)
    @rule(number=NUMBERS, session=ALL_SESSIONS)
    def leave(self, number: int, session: str) -> None:
        conn = self.conn(number)
        self.frame(conn, StatusIn("leave", session))
        self.model.leave(self.now, conn, session)
        self.agree()

    @precondition(some)
    @rule(number=NUMBERS, id_=IDS, session=ALL_SESSIONS, body=st.sampled_from([b'"x"', b'"' + b"y" * 28 + b'"']))
    def say(self, number: int, id_: str, session: str, body: bytes) -> None:
        conn, before = self.conn(number), len(self.pending)
        self.frame(conn, Say(id_, session, Raw(body)))
        assert self.model.say(self.now, conn, id_, session) == (len(self.pending) > before)
        self.agree()

    @precondition(some)
    @rule(number=NUMBERS, id_=IDS, session=SESSIONS)
    def say_and_store(self, number: int, id_: str, session: str) -> None:
        self.say(number, id_, session, b'"x"')
        self.log_answers(True)

    @rule(user=USERS)
    def post(self, user: str) -> None:
        self.posted += 1
        self.give("post", user, f"p{self.posted}", Raw(b"1"))
        self.model.post(self.now, user)
        self.agree()

    @precondition(lambda self: bool(self.pending))
    @rule(takes=st.sampled_from([True, True, False]))
    def log_answers(self, takes: bool) -> None:
        if not self.pending:
            return
        conn, record = self.pending.pop(0)
        if takes:
            placed = self.log.append(record)
            self.give("appended", placed)
            p = placed
            frame = Message(p.message_id, p.session, p.epoch, p.seq, p.sender, p.body, p.sent_at, 1)
            self.model.appended(self.now, conn, p.id, frame)
        else:
            self.give("append_failed", record)
            self.model.append_failed(self.now, conn, record.sender, record.id, record.session, record.epoch)
        self.agree()

    @precondition(some)
    @rule(number=NUMBERS, session=ALL_SESSIONS, short=st.integers(-2, 2))
    def ack(self, number: int, session: str, short: int) -> None:
        conn = self.conn(number)
        seq = self.model.rooms[session].seq if session in self.model.rooms else 0
        self.frame(conn, AckIn(session, max(seq - short, 0)))
        self.model.ack(self.now, conn, session, max(seq - short, 0))
        self.agree()

    @precondition(some)
    @rule(number=NUMBERS, which=st.integers(0, 3), hers=st.booleans(), single=st.booleans())
    def ack_what_is_owed(self, number: int, which: int, hers: bool, single: bool) -> None:
        owing = self.model.owing()
        stored, user, _ = owing[which % len(owing)] if owing else (None, "", None)
        conns = self.model.of(user)
        conn = conns[number % len(conns)] if hers and conns else self.conn(number)
        if single or stored is None:
            message_id = "m0" if stored is None else stored.frame.message_id
            self.frame(conn, AckIn(message_id=message_id))
            self.model.ack_one(self.now, conn, message_id)
        else:
            self.frame(conn, AckIn(stored.frame.session, stored.frame.seq))
            self.model.ack(self.now, conn, stored.frame.session, stored.frame.seq)
        self.agree()

    @precondition(some)
    @rule(number=NUMBERS)
    def say_much(self, number: int) -> None:
        for id_ in "123456":
            self.say(number, id_, "s", b"1")
            while self.pending:
                self.log_answers(True)

    @precondition(some)
    @rule(number=NUMBERS, session=st.sampled_from(["s", "t"]), active=st.booleans())
    def type(self, number: int, session: str, active: bool) -> None:
        conn = self.conn(number)
        device = self.model.is_there(self.now, conn)
        if device is not None and session not in device.joined:
            self.model.no_entry(conn, session)
        elif device is not None:
            place = (session, self.model.rooms[session].epoch, device.user)
            told_at, was = self.typing.get(place, (-inf, False))
            if active:
                self.types_until[place] = self.now + CONFIG.typing_lapse_s
            elif was:
                self.types_until[place] = max(self.now, told_at + CONFIG.typing_interval_s)
        self.frame(conn, TypingIn(session, active))
        self.agree()

    @rule(user=USERS, how=st.sampled_from(["leave", "remove", "revoke"]), ends=st.booleans())
    def type_and_go(self, user: str, how: str, ends: bool) -> None:
        """To be back at once, perhaps in the next session of that name."""
        self.another_device(user)
        self.type(len(self.model.devices) - 1, "s", True)
        if how == "leave":
            self.leave(len(self.model.devices) - 1, "s")
        else:
            self.order(how, "s", user)
        if ends:
            self.order("end", "s", user)
        self.another_device(user)
        self.type(len(self.model.devices) - 1, "s", True)

    @precondition(some)
    @rule(number=NUMBERS, state=st.sampled_from(["online", "away"]))
    def presence(self, number: int, state: Literal["online", "away"]) -> None:
        conn = self.conn(number)
        self.frame(conn, PresenceIn(state))
        self.model.says_presence(self.now, conn, state)
        self.agree()

    @precondition(some)
    @rule(number=NUMBERS)
    def heartbeat(self, number: int) -> None:
        conn = self.conn(number)
        self.frame(conn, HeartbeatIn(7))
        self.model.heartbeat(self.now, conn, 7)
        self.agree()

    @precondition(some)
    @rule(number=NUMBERS)
    def bad_frame(self, number: int) -> None:
        conn = self.conn(number)
        self.give("malformed", conn, "bad_json", "no JSON")
        self.model.malformed(self.now, conn, "bad_json")
        self.agree()

    @precondition(some)
    @rule(number=NUMBERS, frames=st.sampled_from([0, 3, 3, 5]))
    def pressure(self, number: int, frames: int) -> None:
        conn = self.conn(number)
        self.relieved = self.model.devices[conn].lags
        self.give("pressure", conn, 100 * frames, frames)
        self.model.pressure(self.now, conn, frames)
        self.agree()

    @precondition(some)
    @rule(number=NUMBERS)
    def falls_silent(self, number: int) -> None:
        """It is half open from now on."""
        self.mute.add(self.conn(number))

    @precondition(some)
    @rule(number=NUMBERS, ttl_s=TTLS, jti=JTIS, named=st.booleans(), another=st.sampled_from([False, False, True]))
    def refresh(self, number: int, ttl_s: float, jti: str | None, named: bool, another: bool) -> None:
        conn, allowed = self.conn(number), ("s", "t") if named else None
        user = "eve" if another else self.model.devices[conn].user
        wall = EPOCH + self.now
        self.give("refresh", conn, Claims(user, wall + ttl_s, iat=wall, jti=jti, sessions=allowed))
        self.model.refresh(self.now, conn, user, ttl_s, jti, allowed)
        self.agree()

    @rule(order=ORDERS, session=SESSIONS, user=USERS)
    def order(self, order: str, session: str, user: str) -> None:
        """What comes over HTTP."""
        match order:
            case "revoke":
                self.both("revoke", None, user)
            case "j1" | "j2":
                self.both("revoke", order, None)
            case "end":
                self.give("end_session", session)
                self.model.end(session)
            case "add":
                self.give("add_participant", session, user)
                self.model.add(self.now, session, user)
            case "remove":
                self.give("remove_participant", session, user)
                self.model.remove(self.now, session, user)
        self.agree()

    @rule(participants=st.lists(USERS, min_size=1, max_size=3), ttl_s=st.none() | st.just(100.0))
    def open_session(self, participants: list[str], ttl_s: float | None) -> None:
        self.give("open_session", "o", tuple(participants), ttl_s)
        self.model.open(self.now, "o", participants, ttl_s)
        self.agree()

    @rule(gap_s=GAPS)
    def time_passes(self, gap_s: float) -> None:
        while gap_s > 30.0 and self.pending:
            self.log_answers(True)
        until = self.now + gap_s
        while self.handler.wake_at() <= until:
            self.now = max(self.handler.wake_at(), self.now)
            self.wake()
        self.now = until

    # What holds at every moment.

    @invariant()
    def nothing_is_late(self) -> None:
        while self.handler.wake_at() <= self.now:
            self.wake()
        assert self.handler.wake_at() <= self.model.due_at()
        for place, (_, active) in self.typing.items():
            room = self.model.rooms.get(place[0])
            if active and room is not None and room.epoch == place[1]:
                assert self.now < self.types_until[place]

    @invariant()
    def nothing_is_lost(self) -> None:
        ledger = self.handler.ledger
        waiting = sorted((stored.frame.message_id, user) for stored, user, _ in self.model.owing())
        assert sorted(ledger.pairs()) == waiting
        assert ledger.waiting == len(waiting)
        assert (ledger.delivered, ledger.undelivered) == (self.model.delivered, self.model.undelivered)

    @invariant()
    def the_same_are_there(self) -> None:
        assert self.handler.present() == (
            len(self.model.devices),
            len({device.user for device in self.model.devices.values()}),
        )
        for session, room in self.model.rooms.items():
            standing = self.handler.standing(session)
            assert standing is not None
            assert (list(standing.participants), standing.epoch, standing.seq) == (
                room.participants,
                room.epoch,
                room.seq,
            )
            assert [frame.frame.seq for frame in room.stored] == list(range(1, room.seq + 1))


Node.TestCase.settings = examples(200, stateful_step_count=50)
TestNode = Node.TestCase
