"""Whatever a sentinel is late by was somebody else's, and it says when that was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chatsim.live import sentinel
from chatsim.live.sentinel import EVERY_S, KEEPS_WATCH, LATE_S_MIN, NAME, main, sentinels, stolen, watch
from chatsim.verdict.stalls import Stall


class Core:
    """A core that wakes who sleeps on it so much later than wanted (s, one after the other), and then ends it."""

    def __init__(self, *late_s: float) -> None:
        self.now = 100.0
        self.late_s = list(late_s)
        self.found: list[Stall] = []

    def asleep(self, for_s: float) -> bool:
        if not self.late_s:
            return False
        self.now += for_s + self.late_s.pop(0)
        return True


def seen(core: Core) -> list[Stall]:
    watch(core.asleep, core.found.append, lambda: core.now)
    return core.found


def test_who_is_woken_in_time_finds_nothing() -> None:
    core = Core(*[0.9 * LATE_S_MIN] * 1000)
    assert seen(core) == []
    # The moments are set once and for all: being a little late does not add up.
    assert core.now == pytest.approx(100.0 + 1000 * EVERY_S + 0.9 * LATE_S_MIN)


def test_who_is_woken_late_tells_between_which_moments_and_looks_on_from_there() -> None:
    core = Core(0.0, 0.03, 0.0, 0.001)
    assert seen(core) == [
        pytest.approx(Stall(100.0 + 2 * EVERY_S, 100.03 + 2 * EVERY_S)),
        pytest.approx(Stall(100.03 + 4 * EVERY_S, 100.031 + 4 * EVERY_S)),
    ]


def test_who_may_not_run_ahead_keeps_no_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(pid: int, policy: int, param: os.sched_param) -> None:
        raise PermissionError(1, "Operation not permitted")

    before = os.sched_getaffinity(0)
    monkeypatch.setattr(os, "sched_setscheduler", refused)
    main(min(before), tmp_path / f"{NAME}.0")
    os.sched_setaffinity(0, before)
    assert capsys.readouterr().out == ""
    assert stolen(tmp_path) == []


def test_a_core_is_watched_by_who_runs_ahead_of_a_server_until_nobody_wants_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(
        os, "sched_setscheduler", lambda pid, policy, param: asked.append((policy, param.sched_priority))
    )
    monkeypatch.setattr(signal, "signal", lambda number, action: None)
    monkeypatch.setattr(sentinel, "watch", lambda asleep, found: found(Stall(1.0, 2.5)))
    before = os.sched_getaffinity(0)
    main(min(before), tmp_path / f"{NAME}.0")
    assert os.sched_getaffinity(0) == {min(before)}
    os.sched_setaffinity(0, before)
    assert asked == [(os.SCHED_FIFO, os.sched_get_priority_min(os.SCHED_FIFO) + 1)]
    assert capsys.readouterr().out == KEEPS_WATCH
    assert stolen(tmp_path) == [Stall(1.0, 2.5)]


def test_sentinels_end_with_who_had_them(tmp_path: Path) -> None:
    with sentinels(sorted(os.sched_getaffinity(0)), tmp_path) as watched:
        began_at = time.monotonic()
        assert len(list(tmp_path.glob(f"{NAME}.*"))) == (len(os.sched_getaffinity(0)) if watched else 0)
    assert all(stall.ended_at > began_at - 60.0 for stall in stolen(tmp_path))
    with sentinels((), tmp_path):
        pass
    # Whose starter is gone ends by itself.
    program = "import sys; from pathlib import Path; from chatsim.live.sentinel import main; main(0, Path(sys.argv[1]))"
    command = [sys.executable, "-c", program, f"{tmp_path / 'x'}"]
    subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60, check=True)
