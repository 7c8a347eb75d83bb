"""Invariant: the columns give back the rows that were noted, in order, each with its own ack."""

from __future__ import annotations

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.journal.record import Sent
from chatsim.people.people import Person
from chatsim.people.sent import SentRows

ANN = Person(0, "ann", "g", "s", typing=False)
BOB = Person(1, "bob", "h", "t", typing=False)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1e6), st.none() | st.floats(0, 1e6)), max_size=20))
def test_rows_come_back_as_they_were_noted(notes: list[tuple[bool, float, float | None]]) -> None:
    rows = SentRows()
    ids = [rows.add(ANN if by_ann else BOB, intended_at) for by_ann, intended_at, _ in notes]
    assert ids == [str(number) for number in range(len(notes))]
    for id_, (_, _, acked_at) in zip(ids, notes, strict=True):
        if acked_at is not None:
            rows.acked(id_, acked_at, f"m{id_}")
    assert len(rows) == len(notes)
    for row, id_, (by_ann, intended_at, acked_at) in zip(rows, ids, notes, strict=True):
        assert (row.user, row.group, row.session) == (("ann", "g", "s") if by_ann else ("bob", "h", "t"))
        assert (row.id, row.intended_at) == (id_, intended_at)
        if acked_at is None:
            assert isnan(row.acked_at)
            assert row.message_id == ""
        else:
            assert (row.acked_at, row.message_id) == (acked_at, f"m{id_}")


def test_it_is_a_sequence() -> None:
    rows = SentRows()
    for moment in (1.0, 2.0, 3.0):
        rows.add(ANN, moment)
    assert rows[-1].intended_at == 3.0
    assert [row.intended_at for row in rows[1:]] == [2.0, 3.0]
    assert isinstance(rows[0], Sent)
    with pytest.raises(IndexError):
        rows[3]
