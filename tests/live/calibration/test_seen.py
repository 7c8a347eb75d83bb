"""Shares out of counters."""

from __future__ import annotations

import pytest

from chatsim.errors import HarnessError
from chatsim.live.calibration.seen import Measured, Seen
from chatsim.live.speed import Glance


def test_how_busy_a_load_kept_the_server() -> None:
    seen = Seen(ops=1, frames=1, heard=0, wall_s=2.0, cpu_s=0.5, loop_s=0.4, wakes=1)
    assert seen.busy == 0.25
    assert Seen(ops=0, frames=0, heard=0, wall_s=0.0, cpu_s=0.0, loop_s=0.0, wakes=0).busy == 0.0


def test_two_calibrations_share_nothing() -> None:
    one, other = Measured(), Measured()
    one.rounds.append({})
    one.reference_s.append(1.0)
    assert other.rounds == []
    assert other.reference_s == []


def load(*spans: tuple[float, float]) -> Seen:
    """Operations at these times, each of which took a millisecond more than the one before."""
    each_s = tuple(0.001 * (place + 1) for place in range(len(spans)))
    return Seen(ops=3, frames=3, heard=0, wall_s=1.0, cpu_s=0.5, loop_s=0.4, wakes=1, spans=spans, each_s=each_s)


def test_the_speed_of_a_load_is_that_of_the_glances_around_its_time() -> None:
    glances = [Glance(1.9, 9.0), Glance(1.98, 3.0), Glance(2.5, 1.0), Glance(4.02, 2.0), Glance(4.1, 9.0)]
    found = load((2.0, 3.0), (3.0, 4.0)).beside(glances)
    assert found.reference_s == 2.0
    assert found.halves_s == (2.5, 1.0), "every second one, and the others"
    alone = load((2.8, 3.0)).beside(glances)
    assert (alone.reference_s, alone.halves_s) == (1.0, None), "the nearest, where there was none"
    with pytest.raises(HarnessError, match="for longer"):
        load((2.0, 3.0)).beside([])


def test_what_an_operation_took_counts_where_no_glance_is_in_it() -> None:
    glances = [Glance(1.0, 1.0), Glance(3.5, 1.0)]
    assert load((2.0, 3.0), (3.0, 4.0), (4.0, 5.0)).beside(glances).each_s == (0.001, 0.003)
