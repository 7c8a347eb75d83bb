"""The eight laws of the handler, one property each: Time, Calm, Idle, Rest, Whole, Replay, Bounded, Gone.

The inputs are drawn at random, dated, and given to a handler with small limits, so that every limit is met; one more
test sees to it that every door is, and that everything is answered that a handler can answer.
"""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from chatsim.core.codes import FATAL
from chatsim.core.effects import NOTHING, Append, Close, Effect, Effects, Ping, Send, Tell
from chatsim.core.frames import Error, Fault, Heartbeat, Message, Presence, ServerFrame, Welcome, decode_client
from chatsim.journal.steps import DOORS as JOURNALED
from tests.core.census import Crowd, census
from tests.core.stories import CONNS, DOORS, EPOCH, LIVES, PEOPLE, STORIES, Draw, Life, fresh, play
from tests.thorough import examples

RECORDS = 2
"""Messages of an earlier life, where there was one."""

BATCHES_MAX = 20
"""So many hundreds of stories may it take to come to everything; some three do."""

lawful = examples(100)


def lines(effects: Effects) -> bytes:
    return msgspec.json.encode(effects)


@lawful
@given(LIVES, STORIES)
def test_time(life: Life, story: list[Draw]) -> None:
    """`now` never goes back: whatever the handler dates, it dates with the moment that it was given."""
    epoch = latest = EPOCH
    for step in play(fresh(life), story):
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
@given(LIVES, STORIES, st.lists(st.tuples(CONNS, st.binary(max_size=30)), max_size=20))
def test_calm(life: Life, story: list[Draw], noise: list[tuple[str, bytes]]) -> None:
    """Nothing a peer sends raises, in any state, and every answer is a tuple of effects."""
    handler = fresh(life)
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
@given(LIVES, STORIES)
def test_idle(life: Life, story: list[Draw]) -> None:
    """Waking early does nothing: no effect then, and none that would not have come without it."""
    handler = fresh(life)
    answers = []
    for step in play(handler, story):
        answers.append(lines(step.effects))
        wake_at = handler.wake_at()
        if step.now < wake_at:
            assert handler.wake(step.now) is NOTHING
            assert handler.wake_at() == wake_at
    assert answers == [lines(step.effects) for step in play(fresh(life), story)]


@lawful
@given(LIVES, STORIES)
def test_rest(life: Life, story: list[Draw]) -> None:
    """After `wake(now)`, `wake_at() > now`: a shell that obeys never spins."""
    handler = fresh(life)
    for step in play(handler, story):
        if step.door == "wake":
            assert handler.wake_at() > step.now
    end_at = 10_000.0 + sum(draw.gap_s for draw in story)
    handler.wake(end_at)
    assert handler.wake_at() > end_at


@lawful
@given(LIVES, STORIES)
def test_whole(life: Life, story: list[Draw]) -> None:
    """Effects share no mutable state with the handler: later inputs leave them alone, emptying them changes nothing."""
    steps = []
    for step in play(fresh(life), story):
        steps.append((step, lines(step.effects)))
    assert all(lines(step.effects) == line for step, line in steps)

    emptied = []
    for step in play(fresh(life), story):
        emptied.append(lines(step.effects))
        for effect in step.effects:
            assert not isinstance(effect, Send | Ping) or isinstance(effect.to, tuple)
            if isinstance(effect, Send) and isinstance(effect.message, Heartbeat):
                effect.message.seqs.clear()
    assert emptied == [line for _, line in steps]


@lawful
@given(LIVES, STORIES)
def test_replay(life: Life, story: list[Draw]) -> None:
    """The same config, seed and inputs, given to a fresh handler, give equal effects."""
    steps = list(play(fresh(life), story))
    again = fresh(life)
    for step in steps:
        effects = getattr(again, step.door)(step.now, *step.args)
        assert effects == step.effects
        assert lines(effects) == lines(step.effects)


@lawful
@given(LIVES, STORIES)
def test_bounded(life: Life, story: list[Draw]) -> None:
    """Every collection that can be reached from the handler keeps to a limit that follows from the settings."""
    handler = fresh(life)
    posts = 0
    for number, step in enumerate(play(handler, story)):
        posts += step.door == "post"
        if number % 32 == 0:
            assert census(handler).too_large(Crowd(life.config, len(PEOPLE), posts, RECORDS)) == {}
    assert census(handler).too_large(Crowd(life.config, len(PEOPLE), posts, RECORDS)) == {}
    for session in handler._sessions.by_name.values():
        assert len(session.members) <= len(session.participants)
        assert session.retained_bytes <= life.config.retention_bytes
        assert session.retained_bytes == sum(len(outgoing.message.body) for outgoing in session.retained)
    assert set(handler._sessions._empty) <= set(handler._sessions.by_name)
    assert len(handler._credentials._jtis) + len(handler._credentials._users) <= life.config.revocations_max
    assert len(handler._ids) <= len(handler._ids._ends)


@lawful
@given(LIVES, STORIES)
def test_gone(life: Life, story: list[Draw]) -> None:
    """After `disconnect`, and after a close of its own, no effect names the connection."""
    gone: set[str] = set()
    for step in play(fresh(life), story):
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


@pytest.mark.slow
def test_the_stories_come_to_every_door_and_every_answer() -> None:
    """The laws are about all inputs: every door that a journal knows is drawn and comes to pass, and what a handler can
    say is said: each kind of effect and of frame, each code."""
    effects = {kind.__name__ for kind in get_args(Effect)}
    frames = {kind.__name__ for kind in get_args(ServerFrame)}
    errors = "bad_json bad_frame unknown_type not_a_participant no_such_session rate_limited frame_rate token_expired"
    closes = {1012, 4000, 4001, 4002, 4003, 4005, 4500, 4501, 4502, 4503, *FATAL.values()}
    # A node that begins again has a new handler: no input of the old one.
    assert DOORS.keys() | {"told"} == JOURNALED - {"begin"}
    open_: set[str | int] = effects | frames | closes | {*errors.split(), "unavailable"} | DOORS.keys() | {"told"}

    def tell(life: Life, story: list[Draw]) -> None:
        for step in play(fresh(life), story):
            open_.discard(step.door)
            for effect in step.effects:
                open_.discard(type(effect).__name__)
                if isinstance(effect, Send):
                    open_.discard(type(effect.message).__name__)
                    if isinstance(effect.message, Error):
                        open_.discard(effect.message.code)
                elif isinstance(effect, Close):
                    open_.discard(effect.code)

    few = settings(max_examples=100, deadline=None, database=None, phases=[Phase.generate])
    for number in range(BATCHES_MAX):
        seed(number)(few(given(LIVES, STORIES)(tell)))()
        if not open_:
            break
    assert open_ == set()
