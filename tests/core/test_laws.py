"""The eight laws of the handler, one property each: Time, Calm, Idle, Rest, Whole, Replay, Bounded, Gone.

The inputs are drawn at random, dated, and given to a handler with small limits, so that every limit is met.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Append, Close, Effects, Ping, Record, Send, Tell
from chatsim.core.frames import (
    AckIn,
    ClientFrame,
    Fault,
    Heartbeat,
    HeartbeatIn,
    Message,
    Presence,
    PresenceIn,
    Say,
    StatusIn,
    TypingIn,
    Welcome,
    decode_client,
)
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.tokens import Claims

EPOCH = 1_000_000.0
SMALL = HandlerConfig(
    rate_limit=5,
    frame_limit=20,
    violation_limit=3,
    retention_messages=4,
    retention_bytes=100,
    connections_per_user=3,
    sessions_per_connection=2,
    participants_max=3,
    sessions_max=4,
    sessions_per_user=2,
    revocations_max=2,
)
BASELINE = msgspec.structs.replace(SMALL, reliability="baseline")
CONFIGS = st.sampled_from([SMALL, BASELINE])

SESSIONS = st.sampled_from(["s", "t", "u", "@ann", "@bob"])
USERS = st.sampled_from(["ann", "bob", "cid", "dan"])
CONNS = st.integers(1, 8).map("c{}".format)
FRAMES: st.SearchStrategy[ClientFrame] = st.one_of(
    st.builds(Say, st.sampled_from("xyz"), SESSIONS, st.just(Raw(b'"twenty characters"'))),
    st.builds(AckIn, SESSIONS, st.integers(0, 6)),
    st.builds(AckIn, message_id=st.integers(1, 6).map("m1-{}".format)),
    st.builds(TypingIn, SESSIONS, st.booleans()),
    st.builds(PresenceIn, st.sampled_from(["online", "away"])),
    st.builds(HeartbeatIn, st.just(UNSET) | st.integers(0, 3)),
    st.builds(
        StatusIn,
        st.sampled_from(["join", "join", "join", "leave", "refresh"]),
        st.just(UNSET) | SESSIONS,
        st.just(UNSET) | st.integers(1, 2),
        st.just(UNSET) | st.integers(0, 5),
        st.just(UNSET) | CONNS,
    ),
)


class Draw(NamedTuple):
    """One random input: how long after the one before, what, its arguments, and how often."""

    gap_s: float
    what: str
    args: tuple[Any, ...] = ()
    times: int = 1


GAPS = st.sampled_from([0.0, 0.0, 0.1, 1.0, 3.0, 16.0, 31.0, 100.0, 400.0])
TIMES = st.sampled_from([1, 1, 1, 1, 6])
INPUTS = st.one_of(
    st.tuples(st.just("connect"), st.tuples(USERS, st.sampled_from([50.0, 1e6]), st.booleans())),
    st.tuples(st.just("receive"), st.tuples(CONNS, FRAMES)),
    st.tuples(st.just("receive"), st.tuples(CONNS, FRAMES)),
    st.tuples(st.just("receive"), st.tuples(CONNS, FRAMES)),
    st.tuples(st.just("pong"), st.tuples(CONNS)),
    st.tuples(
        st.just("malformed"),
        st.tuples(CONNS, st.sampled_from(["bad_json", "unknown_type", "binary"]), st.just("no frame")),
    ),
    st.tuples(st.just("disconnect"), st.tuples(CONNS)),
    st.tuples(st.just("pressure"), st.tuples(CONNS, st.sampled_from([0, 2**19 + 1, 2**21]))),
    st.tuples(st.just("log"), st.tuples(st.sampled_from(["appended", "appended", "appended", "append_failed"]))),
    st.tuples(st.just("clock_jump"), st.tuples(st.sampled_from([-90.0, 5.0, 3600.0]))),
    st.tuples(st.just("wake"), st.just(())),
    st.one_of(
        st.tuples(
            st.just("open_session"),
            st.tuples(
                SESSIONS,
                st.lists(USERS, max_size=4).map(tuple),
                st.none() | st.sampled_from([1.0, 60.0, 1e5]),
                st.none() | USERS,
            ),
        ),
        st.tuples(st.sampled_from(["add_participant", "remove_participant"]), st.tuples(SESSIONS, USERS)),
        st.tuples(st.just("end_session"), st.tuples(SESSIONS)),
        st.tuples(st.just("post"), st.tuples(USERS, st.sampled_from("xyz"), st.just(Raw(b'"twenty characters"')))),
        st.tuples(st.just("revoke"), st.tuples(st.none() | st.sampled_from(["j1", "j2", "j7"]), st.none() | USERS)),
    ),
)
STORIES = st.lists(
    st.builds(lambda gap_s, drawn, times: Draw(gap_s, drawn[0], drawn[1], times), GAPS, INPUTS, TIMES),
    min_size=15,
    max_size=60,
)
lawful = settings(max_examples=100, deadline=None)


class Step(NamedTuple):
    """One input as the handler was given it, and what it answered."""

    now: float
    door: str
    args: tuple[Any, ...]
    effects: Effects


def fresh(config: HandlerConfig) -> ChatHandler:
    return ChatHandler(config, epoch=EPOCH, seed=5)


def play(handler: ChatHandler, story: list[Draw]) -> Iterator[Step]:
    """Give the story to the handler; the log answers when the story says so, `told` follows every `Tell` at once."""
    log = MemoryLog()
    now = 0.0
    connected = 0
    pending: list[Record] = []

    def give(door: str, *args: Any) -> Iterator[Step]:
        step = Step(now, door, args, getattr(handler, door)(now, *args))
        yield step
        for effect in step.effects:
            if isinstance(effect, Append):
                pending.append(effect.record)
            elif isinstance(effect, Tell):
                yield from give("told", effect.session, effect.message)

    # People who talk already, and one too many, so that a short story has somebody to tell of.
    opening = [Draw(0.0, "connect", (user, 1e6, True)) for user in ("ann", "bob", "cid", "dan", "ann")]
    opening += [Draw(0.0, "receive", (f"c{number}", StatusIn("join", "s"))) for number in range(1, 6)]
    drawn = [
        draw._replace(gap_s=0.0 if again else draw.gap_s) for draw in [*opening, *story] for again in range(draw.times)
    ]
    for gap_s, what, args, _ in drawn:
        now += gap_s
        if what == "connect":
            user, ttl_s, named = args
            connected += 1
            wall = EPOCH + now
            sessions = ("s", "t", "u") if named else None
            claims = Claims(user, exp=wall + ttl_s, iat=wall, jti=f"j{connected}", sessions=sessions)
            yield from give("connect", f"c{connected}", claims)
        elif what == "log":
            if pending:
                record = pending.pop(0)
                yield from give(args[0], log.append(record) if args[0] == "appended" else record)
        else:
            yield from give(what, *args)


def lines(effects: Effects) -> bytes:
    return msgspec.json.encode(effects)


@lawful
@given(CONFIGS, STORIES)
def test_time(config: HandlerConfig, story: list[Draw]) -> None:
    """`now` never goes back: whatever the handler dates, it dates with the moment that it was given."""
    epoch = latest = EPOCH
    for step in play(fresh(config), story):
        if step.door == "clock_jump":
            # Only this input moves wall time against `now`.
            epoch += step.args[0]
            latest = max(latest, epoch)
        for effect in step.effects:
            frame = effect.message if isinstance(effect, Send | Tell) else None
            if isinstance(frame, Welcome | Heartbeat):
                assert frame.server_time == epoch + step.now
            elif isinstance(frame, Presence) and step.door != "told":
                assert frame.at == epoch + step.now
            elif isinstance(frame, Message):
                assert frame.sent_at <= latest + step.now
            elif isinstance(effect, Append):
                assert effect.record.sent_at == epoch + step.now


@lawful
@given(CONFIGS, STORIES, st.lists(st.tuples(CONNS, st.binary(max_size=30)), max_size=20))
def test_calm(config: HandlerConfig, story: list[Draw], noise: list[tuple[str, bytes]]) -> None:
    """Nothing a peer sends raises, in any state, and every answer is a tuple of effects."""
    handler = fresh(config)
    now = 0.0
    for step in play(handler, story):
        assert isinstance(step.effects, tuple)
        now = step.now
    for conn, data in noise:
        frame = decode_client(data)
        if isinstance(frame, Fault):
            effects = handler.malformed(now, conn, frame.code, frame.detail)
        else:
            effects = handler.receive(now, conn, frame)
        assert isinstance(effects, tuple)


@lawful
@given(CONFIGS, STORIES)
def test_idle(config: HandlerConfig, story: list[Draw]) -> None:
    """Waking early does nothing: no effect then, and none that would not have come without it."""
    handler = fresh(config)
    answers = []
    for step in play(handler, story):
        answers.append(lines(step.effects))
        wake_at = handler.wake_at()
        if step.now < wake_at:
            assert handler.wake(step.now) is NOTHING
            assert handler.wake_at() == wake_at
    assert answers == [lines(step.effects) for step in play(fresh(config), story)]


@lawful
@given(CONFIGS, STORIES)
def test_rest(config: HandlerConfig, story: list[Draw]) -> None:
    """After `wake(now)`, `wake_at() > now`: a shell that obeys never spins."""
    handler = fresh(config)
    for step in play(handler, story):
        if step.door == "wake":
            assert handler.wake_at() > step.now
    end_at = 10_000.0 + sum(draw.gap_s for draw in story)
    handler.wake(end_at)
    assert handler.wake_at() > end_at


@lawful
@given(CONFIGS, STORIES)
def test_whole(config: HandlerConfig, story: list[Draw]) -> None:
    """Effects share no mutable state with the handler: later inputs leave them alone, emptying them changes nothing."""
    steps = []
    for step in play(fresh(config), story):
        steps.append((step, lines(step.effects)))
    assert all(lines(step.effects) == line for step, line in steps)

    emptied = []
    for step in play(fresh(config), story):
        emptied.append(lines(step.effects))
        for effect in step.effects:
            assert not isinstance(effect, Send | Ping) or isinstance(effect.to, tuple)
            if isinstance(effect, Send) and isinstance(effect.message, Heartbeat):
                effect.message.seqs.clear()
    assert emptied == [line for _, line in steps]


@lawful
@given(CONFIGS, STORIES)
def test_replay(config: HandlerConfig, story: list[Draw]) -> None:
    """The same config, seed and inputs, given to a fresh handler, give equal effects."""
    steps = list(play(fresh(config), story))
    again = fresh(config)
    for step in steps:
        effects = getattr(again, step.door)(step.now, *step.args)
        assert effects == step.effects
        assert lines(effects) == lines(step.effects)


@lawful
@given(CONFIGS, STORIES)
def test_bounded(config: HandlerConfig, story: list[Draw]) -> None:
    """Every collection that a peer can fill keeps to its limit in the settings."""
    handler = fresh(config)
    for _ in play(handler, story):
        for user in handler._users.values():
            assert len(user.connections) <= config.connections_per_user
        for connection in handler._connections.values():
            # The own session comes unasked, beside those that the connection chose.
            assert len(connection.member_of) <= config.sessions_per_connection + 1
            assert len(connection.violations or ()) <= config.violation_limit
        for session in handler._sessions.by_name.values():
            assert len(session.participants) <= config.participants_max
        assert len(handler._sessions.by_name) <= config.sessions_max
        openers = Counter(session.opener for session in handler._sessions.by_name.values() if session.opener)
        assert openers == handler._sessions._opened
        assert all(count <= config.sessions_per_user for count in openers.values())
        assert len(handler._sessions._ends) <= 2 * config.sessions_max + 1
        assert set(handler._sessions._empty) <= set(handler._sessions.by_name)
        assert len(handler._credentials._jtis) + len(handler._credentials._users) <= config.revocations_max
        for session in handler._sessions.by_name.values():
            assert len(session.members) <= len(session.participants)
            assert len(session.retained) <= config.retention_messages
            assert session.retained_bytes <= config.retention_bytes
            assert session.retained_bytes == sum(len(outgoing.message.body) for outgoing in session.retained)
        for key, asked in handler._ids._asked.items():
            assert key in handler._ids._known
            assert len(asked) <= config.connections_per_user
        assert len(handler._ids) <= len(handler._ids._ends)


@lawful
@given(CONFIGS, STORIES)
def test_gone(config: HandlerConfig, story: list[Draw]) -> None:
    """After `disconnect`, and after a close of its own, no effect names the connection."""
    gone: set[str] = set()
    for step in play(fresh(config), story):
        if step.door == "connect":
            # A story may speak of a connection before it comes; names are never used again after that.
            gone.discard(step.args[0])
        for effect in step.effects:
            if isinstance(effect, Send | Ping):
                assert gone.isdisjoint(effect.to)
            elif isinstance(effect, Append):
                assert effect.record.conn not in gone
            elif isinstance(effect, Close):
                assert effect.to not in gone
                gone.add(effect.to)
        if step.door == "disconnect":
            gone.add(step.args[0])
