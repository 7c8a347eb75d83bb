"""An alarm rings once for all that is due by then, and never too early."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chatsim.sim.alarm import Alarm
from chatsim.sim.engine import Engine


def played(moments: list[float], step_s: float) -> list[tuple[float, float]]:
    """When an alarm of a clock of such steps rang that was always set for the earliest of these, and what it was set
    for."""
    engine, rang, due = Engine(), list[tuple[float, float]](), sorted(moments)

    def ring(now: float, rings_at: float, _: Any) -> None:
        earliest = alarm.due_at
        if not alarm.rung(rings_at):
            return
        rang.append((now, earliest))
        while due and due[0] <= now:
            due.pop(0)
        if due:
            alarm.set(due[0])

    alarm = Alarm(engine, ring, step_s)
    for moment in moments:
        if moment < alarm.due_at:
            alarm.set(moment)
    engine.run(until=1000.0)
    assert not due
    assert alarm.due_at == alarm.rings_at == inf
    return rang


MOMENTS = st.lists(st.floats(0, 900), min_size=1, max_size=30)


@given(MOMENTS)
def test_without_steps_it_rings_when_something_is_due(moments: list[float]) -> None:
    assert played(moments, 0.0) == [(moment, moment) for moment in sorted(set(moments))]


@given(MOMENTS, st.sampled_from([0.001, 0.25, 7.0]))
def test_with_steps_it_rings_at_one_of_them_and_never_early(moments: list[float], step_s: float) -> None:
    rang = played(moments, step_s)
    for now, due_at in rang:
        assert due_at <= now < due_at + step_s * (1 + 1e-9)
        assert abs(now / step_s - round(now / step_s)) < 1e-6
    assert all(later - earlier > step_s / 2 for (earlier, _), (later, _) in pairwise(rang))


def test_what_is_due_within_a_step_is_done_together() -> None:
    assert played([0.0101, 0.0109, 0.0115], 0.001) == [(0.011, 0.0101), (0.012, 0.0115)]


def test_one_that_is_cleared_does_not_ring() -> None:
    engine, rang = Engine(), list[float]()

    def ring(now: float, rings_at: float, _: Any) -> None:
        if alarm.rung(rings_at):
            rang.append(now)

    alarm = Alarm(engine, ring)
    alarm.set(3.0)
    alarm.clear()
    alarm.set(5.0)
    engine.run(until=10.0)
    assert rang == [5.0]
