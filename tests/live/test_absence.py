"""When a server that lets nobody in counts as gone."""

from __future__ import annotations

from math import inf

from chatsim.live.absence import GONE_S, Absence


def test_nobody_has_failed_at_first() -> None:
    absence = Absence()
    assert absence.since == inf
    assert not absence.gone


def test_it_is_gone_when_tries_have_failed_for_long_enough() -> None:
    absence = Absence()
    absence.failed(5.0)
    assert absence.since == 5.0
    absence.failed(5.0 + GONE_S - 0.001)
    assert not absence.gone
    absence.failed(5.0 + GONE_S)
    assert absence.since == 5.0
    assert absence.gone


def test_one_try_is_none_however_long_ago_it_was() -> None:
    absence = Absence()
    absence.failed(5.0)
    assert not absence.gone


def test_one_person_who_is_in_is_proof_of_the_contrary() -> None:
    absence = Absence()
    absence.failed(5.0)
    absence.disproved()
    assert absence.since == inf
    absence.failed(5.0 + GONE_S)
    assert not absence.gone
    assert absence.since == 5.0 + GONE_S
