"""Invariant: an id stands for its first message for the dedupe time, whatever else is added meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.dedupe import Dedupe

KEY = ("ann", "s", "1")


def test_an_id_is_known_for_its_time_and_not_longer() -> None:
    ids = Dedupe(300.0)
    ids.add(10.0, KEY)
    assert ids.find(309.9, KEY) is not None
    assert ids.find(310.0, KEY) is None
    assert len(ids) == 0


def test_ids_belong_to_a_user_and_a_session() -> None:
    ids = Dedupe(300.0)
    ids.add(0.0, KEY)
    assert ids.find(1.0, ("bob", "s", "1")) is None
    assert ids.find(1.0, ("ann", "t", "1")) is None


def test_an_id_that_failed_may_begin_anew_and_has_its_whole_time() -> None:
    ids = Dedupe(300.0)
    ids.add(0.0, KEY)
    assert ids.drop(KEY) is not None
    assert ids.find(1.0, KEY) is None
    ids.add(200.0, KEY)
    assert ids.find(310.0, KEY) is not None
    assert ids.find(500.0, KEY) is None


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.integers(0, 5)), max_size=60))
def test_it_agrees_with_a_plain_dictionary(steps: list[tuple[float, int]]) -> None:
    ids, plain, now = Dedupe(100.0), dict[int, float](), 0.0
    for gap_s, number in steps:
        now += gap_s
        key = ("ann", "s", str(number))
        known = number in plain and now < plain[number] + 100.0
        assert (ids.find(now, key) is not None) == known
        if not known:
            ids.add(now, key)
            plain[number] = now
    assert len(ids) <= 6


def test_who_asks_while_a_message_is_under_way_is_told_once() -> None:
    ids = Dedupe(300.0)
    ids.add(0.0, KEY)
    for conn in ("c1", "c2", "c1", "c3"):
        ids.ask(KEY, conn, {"c1", "c2", "c3"})
    ids.ask(KEY, "c4", {"c1", "c3", "c4"})
    assert ids.asked(KEY) == ("c1", "c3", "c4")
    assert ids.asked(KEY) == ()
    ids.ask(KEY, "c1", {"c1"})
    ids.tidy(300.0)
    assert ids.asked(KEY) == (), "with the id goes who asked"
