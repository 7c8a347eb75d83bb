"""What is shown: the range that was asked for, failures first, and a sentence for all that is not."""

from __future__ import annotations

import pytest

from chatsim.errors import UsageError
from chatsim.timeline.choice import Range, fit
from chatsim.timeline.story import Mark, Story
from tests.timeline.talk import Talk, unheard


def crowd(count: int, sessions: int = 1) -> Talk:
    """So many people in rooms, who all say something, and hear it."""
    talk = Talk()
    for number in range(count):
        talk.enter(number / 100, f"c{number}", f"u{number:03}", f"s{number % sessions}")
    for number in range(count):
        talk.say(10.0 + number, f"c{number}", "1", f"s{number % sessions}")
    return talk


def test_users_and_sessions_and_moments_choose() -> None:
    story = Story(crowd(6, sessions=2).steps)
    rows = Range(start=10.0, users=("u001",)).rows(story)
    assert {line.user for row in rows for line in row.lines} == {"u001"}
    assert {row.session for row in Range(session="s1").rows(story)} == {"", "s1"}
    assert {line.user for row in Range(session="s1").rows(story) for line in row.lines} == {"u001", "u003", "u005"}
    assert {row.at for row in Range(11.0, 12.0).rows(story)} == {11.0, 12.0}


def test_who_was_given_up_sees_it_even_where_only_the_sender_was_told() -> None:
    story = Story(unheard().steps)
    assert [row.text for row in Range(users=("bob",)).rows(story) if row.tone == "error"]


@pytest.mark.parametrize(
    ("asked", "cure"),
    [
        (Range(2.0, 1.0), "from 2 s to 1 s is no range: give the earlier moment first"),
        (Range(500.0), "nothing happens from 500 s on: the last step is at"),
        (Range(users=("bop",)), "nobody is called bop here: say bob"),
        (Range(session="t"), "there is no session t here: say s"),
    ],
)
def test_a_wrong_range_is_one_sentence(asked: Range, cure: str) -> None:
    with pytest.raises(UsageError, match=cure):
        asked.check(Story(unheard().steps))


def test_the_last_rows_are_shown_or_the_first_from_a_start() -> None:
    story = Story(crowd(4).steps)
    last = fit(story, Range(), rows_max=5, columns_max=10)
    assert last.rows == story.rows[-5:]
    assert any("earlier rows are left out" in sentence for sentence in last.left_out)
    first = fit(story, Range(start=0.0), rows_max=5, columns_max=10)
    assert first.rows == story.rows[:5]
    assert any("later rows are left out" in sentence for sentence in first.left_out)
    assert fit(story, Range(), rows_max=1000, columns_max=10).left_out == []


def test_failures_choose_who_is_drawn_and_their_partners_come_with_them() -> None:
    talk = crowd(30, sessions=10)
    talk.do(50.0, "malformed", "c17", "bad_json", "not JSON")
    shown = fit(Story(talk.steps), Range(), rows_max=80, columns_max=6)
    assert {user for user, _ in shown.columns} >= {"u007", "u017", "u027"}
    assert len(shown.columns) <= 6
    assert any("people who appear in this range are not drawn" in sentence for sentence in shown.left_out)


def test_a_failure_that_is_not_drawn_is_named_and_a_mark_is_none() -> None:
    talk = crowd(4)
    talk.do(20.0, "malformed", "c1", "bad_json", "not JSON")
    for number in range(60):
        talk.ack(21.0, f"c{number % 4}", 4, "s0")
    shown = fit(Story(talk.steps, [Mark(5.0, "drop: 1 person")]), Range(), rows_max=5, columns_max=10)
    (sentence,) = [sentence for sentence in shown.left_out if sentence.startswith("Not drawn")]
    assert sentence == "Not drawn: 2 errors; the first at 20.000 s: malformed: bad_json."


def test_one_thing_said_of_many_is_one_row() -> None:
    talk = crowd(12)
    for number in range(12):
        talk.ack(30.0, f"c{number}", 12, "s0")
    asked = Range(start=30.0, users=("u000",))
    said = [row.text for row in fit(Story(talk.steps), asked, rows_max=80, columns_max=10).rows]
    assert "delivered #1 to u001, and 10 more" in said


def test_lifelines_stand_by_session_and_name() -> None:
    shown = fit(Story(crowd(6, sessions=2).steps), Range(), rows_max=100, columns_max=10)
    assert [user for user, _ in shown.columns] == ["u000", "u002", "u004", "u001", "u003", "u005"]
