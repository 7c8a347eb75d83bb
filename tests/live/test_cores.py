"""A core is taken for as long as it is needed, by who is started meanwhile too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatsim.live.cores import cores, held_to, stolen_s


def test_a_core_is_given_back() -> None:
    before = os.sched_getaffinity(0)
    with held_to(min(before)):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before
    with held_to(min(before)):
        assert cores() is None, "one core is not two"
    with held_to(None):
        assert os.sched_getaffinity(0) == before


def test_whoever_is_started_meanwhile_runs_there_too() -> None:
    core = min(os.sched_getaffinity(0))
    with held_to(core):
        said = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert said.stdout.strip() == f"{ {core} }"


def test_server_and_crowd_have_different_cores() -> None:
    pair = cores()
    free = os.sched_getaffinity(0)
    assert (pair is None) == (len(free) == 1)
    assert pair is None or (len(set(pair)) == 2 and set(pair) <= free)


def test_who_is_started_meanwhile_runs_ahead_where_that_is_allowed_and_as_before_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []

    def allowed(pid: int, policy: int, param: os.sched_param) -> None:
        asked.append((policy, param.sched_priority))

    def refused(pid: int, policy: int, param: os.sched_param) -> None:
        raise PermissionError(1, "Operation not permitted")

    core = min(os.sched_getaffinity(0))
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    monkeypatch.setattr(os, "sched_setscheduler", allowed)
    with held_to(core, ahead=True):
        assert asked == [(os.SCHED_FIFO, os.sched_get_priority_min(os.SCHED_FIFO))]
    assert asked[1:] == [before]
    monkeypatch.setattr(os, "sched_setscheduler", refused)
    with held_to(core, ahead=True):
        assert os.sched_getaffinity(0) == {core}
    del asked[:]
    monkeypatch.setattr(os, "sched_setscheduler", allowed)
    with held_to(None, ahead=True):
        assert not asked, "who shares a core with the crowd is not to keep it away"


def test_what_the_host_gave_to_others_is_told_by_core(tmp_path: Path) -> None:
    stat, tick_s = tmp_path / "stat", 1 / os.sysconf("SC_CLK_TCK")
    stat.write_text(
        "cpu  100 0 20 300 0 0 0 90 0 0\ncpu0 60 0 10 150 0 0 0 50 0 0\ncpu1 40 0 10 150 0 0 0 40 0 0\nintr 5 6\n"
    )
    assert stolen_s((0,), stat) == pytest.approx(50 * tick_s)
    assert stolen_s((0, 1), stat) == pytest.approx(90 * tick_s)
    assert stolen_s((), stat) == 0.0
    assert stolen_s((0,), tmp_path / "none") == 0.0
    stat.write_text("cpu0 60 0 10 150\n")
    assert stolen_s((0,), stat) == 0.0
