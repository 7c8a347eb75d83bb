"""Shares out of counters."""

from __future__ import annotations

from chatsim.live.calibration.seen import Measured, Seen


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
