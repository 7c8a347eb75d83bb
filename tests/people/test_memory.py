"""Invariant: a person's memory agrees with a plain dictionary, whatever comes in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatsim.people.memory import AGAIN, LATE, NEW, Memory
from tests.frames import message

PLACES = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 2), st.sampled_from("st")), max_size=40)


@given(PLACES, st.sets(st.integers(1, 6)))
def test_it_agrees_with_a_plain_dictionary(places: list[tuple[int, int, str]], hers: set[int]) -> None:
    """`hers` are the seqs of what she wrote herself."""
    memory = Memory()
    seen: dict[str, float] = {}
    own: set[str] = set()
    newest: dict[str, tuple[int, int]] = {}
    for now, (seq, epoch, session) in enumerate(places):
        frame = message(seq, epoch=epoch, session=session)
        if frame.message_id in seen:
            expected = AGAIN
        elif (epoch, seq) > newest.get(session, (0, 0)):
            expected = NEW
        else:
            expected = LATE
        assert memory.see(float(now), frame, seq in hers) == expected
        seen.setdefault(frame.message_id, float(now))
        own |= {frame.message_id} if seq in hers else set()
        newest[session] = max(newest.get(session, (0, 0)), (epoch, seq))
    assert list(memory) == [(name, at) for name, at in seen.items() if name not in own]
    assert len(memory) == len(seen)
