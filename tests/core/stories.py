"""Random stories of one handler with small limits: inputs at every door that it has, dated, and what it answers.

Rule: every door of the journal is drawn, with arguments that meet every limit and every refusal.
The log answers when the story says so, and may fail; `told` follows every `Tell` at once; claims are made for
whoever the connection is of, or for somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Effects, Record, Tell
from chatsim.core.facts import Revoked
from chatsim.core.frames import AckIn, ClientFrame, HeartbeatIn, PresenceIn, Say, StatusIn, TypingIn
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.snapshot import SessionState, Snapshot
from chatsim.core.tokens import Claims

EPOCH = 1_000_000.0
SMALL = HandlerConfig(
    rate_limit=5,
    frame_limit=20,
    violation_limit=3,
    retention_messages=4,
    retention_bytes=100,
    outbound_frames=4,
    connections_per_user=3,
    sessions_per_connection=2,
    participants_max=3,
    sessions_max=4,
    sessions_per_user=2,
    revocations_max=2,
)
BASELINE = msgspec.structs.replace(SMALL, reliability="baseline")
BODY = Raw(b'"twenty characters"')

PEOPLE = ("ann", "bob", "cid", "dan")
SESSIONS = st.sampled_from(["s", "t", "u", "@ann", "@bob"])
USERS = st.sampled_from(PEOPLE)
CONNS = (st.integers(1, 5) | st.integers(1, 12)).map("c{}".format)
JTIS = st.integers(1, 12).map("j{}".format)
ABSENT = st.just(UNSET)
FRAMES: st.SearchStrategy[ClientFrame] = st.one_of(
    st.builds(Say, st.sampled_from("vwxyz"), SESSIONS, st.just(BODY)),
    st.builds(Say, st.sampled_from("vwxyz"), st.just("s"), st.just(BODY)),
    st.builds(AckIn, st.just("s"), st.integers(1, 6)),
    st.builds(AckIn, ABSENT | SESSIONS, ABSENT | st.integers(0, 6)),
    st.builds(AckIn, message_id=st.integers(1, 6).map("m1-{}".format)),
    st.builds(TypingIn, SESSIONS, st.booleans()),
    st.builds(PresenceIn, st.sampled_from(["online", "away"])),
    st.builds(HeartbeatIn, ABSENT | st.integers(0, 3)),
    st.builds(StatusIn, st.sampled_from(["join", "leave", "refresh"]), ABSENT | SESSIONS),
    st.builds(
        StatusIn,
        st.just("join"),
        SESSIONS,
        ABSENT | st.integers(1, 2),
        ABSENT | st.integers(0, 5),
        ABSENT | CONNS,
    ),
)


class Life(NamedTuple):
    """What a handler begins with."""

    config: HandlerConfig
    snapshot: Snapshot | None


def _kept(seq: int, age_s: float) -> Record:
    return Record("s", "ann", "", f"old{seq}", BODY, EPOCH - age_s, 1, seq, f"m0-{seq}")


EARLIER = Snapshot(
    sessions=(
        SessionState(
            "s", 1, 3, ("ann", "bob"), None, (("ann", 3), ("bob", 1)), (_kept(2, 200.0), _kept(3, 20.0)), lasting=False
        ),
        SessionState("t", 2, 0, ("ann", "cid"), EPOCH + 40.0, (("cid", 0),), (), lasting=True),
    ),
    revoked=(Revoked("j5", None, EPOCH - 50.0),),
)
"""What a log that lasts knew of an earlier life: somebody is still owed something, and a session is about to end."""

LIVES = st.sampled_from([Life(SMALL, None), Life(SMALL, None), Life(BASELINE, None), Life(SMALL, EARLIER)])


class Draw(NamedTuple):
    """One random input: how long after the one before, what, its arguments, and how often."""

    gap_s: float
    what: str
    args: tuple[Any, ...] = ()
    times: int = 1


GAPS = st.sampled_from([0.0, 0.0, 0.0, 0.1, 1.0, 3.0, 16.0, 31.0, 100.0, 400.0])
TIMES = st.sampled_from([1, 1, 1, 1, 6, 22])
CODES = ["bad_json", "bad_frame", "unknown_type", "binary", "bad_utf8", "too_large"]
TTLS = st.sampled_from([-5.0, 20.0, 50.0, 1e6])


def _door(name: str, *args: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, tuple[Any, ...]]]:
    return st.tuples(st.just(name), st.tuples(*args))


DOORS: dict[str, st.SearchStrategy[tuple[str, tuple[Any, ...]]]] = {
    "connect": _door("connect", USERS, TTLS, st.booleans()),
    "disconnect": _door("disconnect", CONNS),
    "receive": _door("receive", CONNS, FRAMES),
    "malformed": _door("malformed", CONNS, st.sampled_from(CODES), st.just("no frame")),
    "pong": _door("pong", CONNS),
    "pressure": _door("pressure", CONNS, st.sampled_from([0, 2**19 + 1, 2**21]), st.sampled_from([0, 129, 257])),
    "refresh": _door("refresh", CONNS, st.sampled_from(["her own", "her own", "another's"]), TTLS, ABSENT | JTIS),
    "refuse_refresh": _door(
        "refuse_refresh",
        CONNS,
        st.sampled_from(["token_missing", "token_invalid", "token_expired", "token_revoked"]),
    ),
    # The shells revoke one thing at a time.
    "revoke": _door("revoke", JTIS, st.none()) | _door("revoke", st.none(), USERS),
    "open_session": _door(
        "open_session",
        SESSIONS,
        st.lists(USERS, max_size=4).map(tuple),
        st.none() | st.sampled_from([1.0, 60.0, 1e5]),
    ),
    "add_participant": _door("add_participant", SESSIONS, USERS),
    "remove_participant": _door("remove_participant", SESSIONS, USERS),
    "end_session": _door("end_session", SESSIONS),
    "post": _door("post", USERS, st.sampled_from("xyz"), st.just(BODY)),
    "drain": _door("drain"),
    "clock_jump": _door("clock_jump", st.sampled_from([-90.0, 5.0, 3600.0])),
    "appended": _door("appended"),
    "append_failed": _door("append_failed"),
    "wake": _door("wake"),
}
"""What is drawn for each door; `told` is given by the shell, for every `Tell`."""

FLOOD = _door("flood", CONNS, FRAMES)
"""No door, but many frames in two windows one after the other: too many for each."""

OFTEN = {"receive": 16, "connect": 3, "appended": 6, "append_failed": 2}
INPUTS = st.sampled_from([made for name, made in DOORS.items() for _ in range(OFTEN.get(name, 1))] + [FLOOD]).flatmap(
    lambda made: made
)
STORIES = st.lists(
    st.builds(lambda gap_s, drawn, times: Draw(gap_s, drawn[0], drawn[1], times), GAPS, INPUTS, TIMES),
    min_size=15,
    max_size=60,
)


class Step(NamedTuple):
    """One input as the handler was given it, and what it answered."""

    now: float
    door: str
    args: tuple[Any, ...]
    effects: Effects


def fresh(life: Life) -> ChatHandler:
    """A handler at the beginning of such a life."""
    return ChatHandler(life.config, epoch=EPOCH, seed=5, snapshot=life.snapshot)


def _renamed(args: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    """The arguments, and where one is a message another message: what is said often is not all the same."""
    return tuple(Say(f"{arg.id}{number}", arg.session, arg.body) if isinstance(arg, Say) else arg for arg in args)


class Shell:
    """Gives one story to one handler."""

    def __init__(self, handler: ChatHandler) -> None:
        self._handler = handler
        self.now = 0.0
        self._frame_limit = handler.config.frame_limit
        self._frame_window_s = handler.config.frame_window_s
        self._log = MemoryLog()
        self._jumped_s = 0.0
        self._owners: dict[str, str] = {}
        self._pending: list[Record] = []
        self._drained = False

    def play(self, story: list[Draw]) -> Iterator[Step]:
        """Every input that the story comes to, those that the effects lead to included."""
        # People who talk already, and one too many, so that a short story has somebody to tell of.
        opening = [Draw(0.0, "connect", (user, 1e6, True)) for user in (*PEOPLE, "ann")]
        opening += [Draw(0.0, "receive", (f"c{number}", StatusIn("join", "s"))) for number in range(1, 6)]
        opening += [Draw(0.0, "receive", ("c1", Say("first", "s", BODY))), Draw(0.0, "appended")]
        for draw in [*opening, *story]:
            self.now += draw.gap_s
            for again in range(draw.times):
                yield from self._one(draw.what, draw.args if again < 2 else _renamed(draw.args, again // 2))

    def _one(self, what: str, args: tuple[Any, ...]) -> Iterator[Step]:
        if what == "connect":
            conn = f"c{len(self._owners) + 1}"
            self._owners[conn] = args[0]
            yield from self._give("connect", conn, self._claims(*args, jti="j" + conn[1:]))
        elif what == "refresh":
            conn, whose, ttl_s, jti = args
            owner = self._owners.get(conn, "ann")
            user = owner if whose == "her own" else "eve"
            yield from self._give("refresh", conn, self._claims(user, ttl_s, True, jti=None if jti is UNSET else jti))
        elif what in ("appended", "append_failed"):
            if self._pending:
                record = self._pending.pop(0)
                yield from self._give(what, self._log.append(record) if what == "appended" else record)
        elif what == "flood":
            for _ in range(2):
                for _ in range(self._frame_limit + 1):
                    yield from self._give("receive", *args)
                self.now += self._frame_window_s
        elif what == "drain":
            # The shells do so once.
            if not self._drained:
                self._drained = True
                yield from self._give("drain")
        else:
            if what == "clock_jump":
                self._jumped_s += args[0]
            yield from self._give(what, *args)

    def _claims(self, user: str, ttl_s: float, named: bool, *, jti: str | None) -> Claims:
        wall = EPOCH + self._jumped_s + self.now
        return Claims(user, exp=wall + ttl_s, iat=wall, jti=jti, sessions=("s", "t", "u") if named else None)

    def _give(self, door: str, *args: Any) -> Iterator[Step]:
        step = Step(self.now, door, args, getattr(self._handler, door)(self.now, *args))
        yield step
        for effect in step.effects:
            if isinstance(effect, Append):
                self._pending.append(effect.record)
            elif isinstance(effect, Tell):
                yield from self._give("told", effect.session, effect.message)


def play(handler: ChatHandler, story: list[Draw]) -> Iterator[Step]:
    """Give the story to the handler."""
    return Shell(handler).play(story)
