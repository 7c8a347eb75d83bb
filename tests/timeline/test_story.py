"""What a journal tells: rows in order, connections with their ends, and what became of each message."""

from __future__ import annotations

from math import inf

import pytest

from chatsim.core.effects import NOTHING, Record
from chatsim.core.frames import HeartbeatIn, PresenceIn, TypingIn
from chatsim.core.snapshot import SessionState, Snapshot
from chatsim.core.tokens import Claims
from chatsim.journal.steps import Step
from chatsim.timeline.story import Mark, Story
from tests.timeline.talk import EPOCH, Talk, unheard


def texts(story: Story) -> list[str]:
    return [row.text for row in story.rows]


def test_a_message_is_followed_from_its_sender_into_the_log_and_out_of_it() -> None:
    talk = Talk()
    talk.enter(0.0, "c1", "ann")
    talk.enter(0.0, "c2", "bob")
    talk.say(1.0, "c1", "hi")
    talk.ack(1.25, "c2", 1)
    story = Story(talk.steps)
    rows = [(row.at, row.way, row.text, [line.user for line in row.lines]) for row in story.rows if row.at >= 1.0]
    assert rows == [
        (1.0, "in", "message hi, s", ["ann"]),
        (1.0, "kept", "append hi, stored as s #1", []),
        (1.0, "out", "ack hi = s #1", ["ann"]),
        (1.0, "out", "message s #1 of ann", ["bob"]),
        (1.25, "in", "ack s up to #1", ["bob"]),
        (1.25, "out", "delivered #1 to bob", ["ann"]),
    ]
    (delivery,) = story.deliveries
    assert (delivery.user, delivery.stored_at, delivery.settled_at, delivery.outcome) == ("bob", 1.0, 1.25, "delivered")
    assert story.users == {"ann", "bob"}


def test_a_log_that_takes_its_time_has_two_rows() -> None:
    talk = Talk(log_s=0.2)
    talk.enter(0.0, "c1", "ann")
    talk.say(1.0, "c1", "hi")
    story = Story(talk.steps)
    ways = [(row.at, row.way, row.about) for row in story.rows if row.way in ("append", "stored", "kept")]
    assert ways == [(1.0, "append", ("ann",)), (1.2, "stored", ("ann",))]
    assert [(each.asked_at, each.stored_at, each.kept) for each in story.storings] == [(1.0, 1.2, True)]


def test_a_log_that_fails_is_an_error() -> None:
    record = Record("s", "ann", "c1", "hi", b'"x"', EPOCH)  # type: ignore[arg-type]
    talk = Talk()
    talk.enter(0.0, "c1", "ann")
    story = Story([*talk.steps, Step(2.0, "append_failed", (record,), NOTHING)])
    assert (story.rows[-1].text, story.rows[-1].tone) == ("append hi FAILED", "error")


def test_retries_and_the_end_of_a_message_stand_out() -> None:
    story = Story(unheard().steps)
    retries = [(row.at, row.text) for row in story.rows if row.tone == "retry"]
    assert retries == [(at, f"attempt {n}: s #1 of ann") for at, n in ((31.0, 2), (61.0, 3), (91.0, 4))]
    (error,) = [row for row in story.rows if row.tone == "error"]
    assert (error.at, error.text, error.about) == (121.0, "UNDELIVERED #1 to bob: no_ack", ("bob", "ann"))
    (delivery,) = story.deliveries
    assert (delivery.attempts, delivery.outcome, delivery.settled_at) == (4, "no_ack", 121.0)


def test_a_ping_and_its_pong_are_one_row_and_a_ping_without_one_is_news() -> None:
    talk = Talk()
    talk.enter(0.0, "c1", "ann")
    talk.wait(35.0)
    assert [row.way for row in Story(talk.steps).rows if "ping" in row.text] == ["echo"]
    talk.wait(80.0, pong=False)
    story = Story(talk.steps)
    assert [row.text for row in story.rows if row.tone == "retry"] == ["ping, no pong"]
    (line,) = story.lines
    assert line.end == "close 4001 no pong"
    assert story.rows[-1].ends


def test_a_ping_at_the_very_end_may_be_answered_yet() -> None:
    talk = Talk()
    talk.enter(0.0, "c1", "ann")
    talk.wait(talk.handler.wake_at(), pong=False)
    row = Story(talk.steps).rows[-1]
    assert (row.text, row.tone) == ("ping", "quiet")


def test_connections_at_one_time_have_lanes_of_their_own_and_the_next_takes_a_free_one() -> None:
    talk = Talk()
    talk.enter(0.0, "c1", "ann")
    talk.enter(1.0, "c2", "ann")
    talk.do(2.0, "disconnect", "c1")
    talk.do(2.5, "disconnect", "c1")
    talk.enter(3.0, "c3", "ann")
    found = [(line.name, line.lane, line.opened_at, line.closed_at) for line in Story(talk.steps).lines]
    assert found == [("c1", 0, 0.0, 2.0), ("c2", 1, 1.0, inf), ("c3", 0, 3.0, inf)]
    assert texts(Story(talk.steps)).count("connection gone (c1)") == 1


def test_a_resume_that_recovers_nothing_is_an_error() -> None:
    talk = Talk()
    talk.enter(0.0, "c1", "ann", last_seq=7)
    assert "joined s at #0, NOT RECOVERED" in texts(Story(talk.steps))


def test_a_server_that_begins_again_ends_every_connection() -> None:
    talk = unheard()
    talk.steps = talk.steps[:-20]
    record = Record("s", "ann", "c1", "hi", b'"x"', EPOCH, 1, 1, "m1")  # type: ignore[arg-type]
    snapshot = Snapshot((SessionState("s", 1, 1, ("ann", "bob"), None, (("bob", 1),), (record,)),))
    talk.restart(200.0, snapshot)
    story = Story(talk.steps)
    assert {(line.end, line.closed_at) for line in story.lines} == {("the server ended", 200.0)}
    assert (story.rows[-1].way, story.rows[-1].ends, len(story.rows[-1].lines)) == ("mark", True, 2)


@pytest.mark.parametrize(("positions", "outcome"), [((("bob", 1),), "delivered"), ((), "waiting"), (None, "forgotten")])
def test_what_a_server_that_begins_again_still_knows(
    positions: tuple[tuple[str, int], ...] | None, outcome: str
) -> None:
    talk = Talk()
    talk.enter(0.0, "c1", "ann")
    talk.enter(0.0, "c2", "bob")
    talk.say(1.0, "c1", "hi")
    known = () if positions is None else (SessionState("s", 1, 1, ("ann", "bob"), None, positions, ()),)
    talk.restart(2.0, Snapshot(known))
    assert [each.outcome for each in Story(talk.steps).deliveries] == [outcome]


def test_who_was_away_is_still_owed_a_message() -> None:
    talk = Talk()
    talk.enter(0.0, "c1", "ann")
    talk.enter(0.0, "c2", "bob")
    talk.do(0.5, "disconnect", "c2")
    talk.say(1.0, "c1", "hi")
    talk.do(2.0, "end_session", "s")
    (delivery,) = Story(talk.steps).deliveries
    assert (delivery.user, delivery.attempts, delivery.outcome) == ("bob", 0, "ended")


def test_marks_stand_between_the_steps_and_after_them() -> None:
    talk = Talk()
    talk.enter(1.0, "c1", "ann")
    story = Story(talk.steps, [Mark(9.0, "late"), Mark(0.5, "early")])
    assert [row.text for row in story.rows][:1] + [row.text for row in story.rows][-1:] == ["early", "late"]
    assert story.ends_at == 9.0


def test_every_door_has_its_words() -> None:
    talk = Talk()
    talk.enter(0.0, "c1", "ann")
    talk.do(1.0, "open_session", "t", ("ann", "bob"), None)
    # On real sockets it is noted too who has opened it.
    talk.do(1.0, "open_session", "u", ("ann",), 60.0, "ann")
    talk.do(1.0, "add_participant", "t", "cem")
    talk.do(1.0, "remove_participant", "t", "cem")
    talk.do(1.0, "post", "ann", "p1", b'"hello"')
    talk.do(1.0, "malformed", "c1", "bad_json", "not JSON")
    talk.do(1.0, "pressure", "c1", 2048, 3)
    talk.do(1.0, "pong", "c1")
    talk.do(1.0, "refresh", "c1", Claims("ann", EPOCH + 3600.0, sessions=("s",)))
    for frame in (TypingIn("s", True), PresenceIn("away"), HeartbeatIn(1)):
        talk.do(1.0, "receive", "c1", frame)
    talk.do(1.0, "refuse_refresh", "c1", "token_invalid")
    talk.do(1.0, "end_session", "t")
    talk.do(2.0, "clock_jump", 5.0)
    talk.do(3.0, "revoke", "jti-1", None)
    talk.do(3.0, "revoke", None, "cem")
    talk.do(4.0, "drain")
    said = texts(Story(talk.steps))
    for text in (
        "open t for ann, bob",
        "open u for ann",
        "add cem to t",
        "remove cem from t",
        "post p1 to ann",
        "malformed: bad_json",
        "3 frames, 2.0 KiB wait for c1",
        "pong",
        "refresh, a good token",
        "refresh refused: token_invalid",
        "typing, s",
        "presence away",
        "heartbeat",
        "end t",
        "the wall clock jumps by 5 s",
        "revoke token jti-1",
        "revoke all tokens of cem",
        "drain",
    ):
        assert text in said
