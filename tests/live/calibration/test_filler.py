"""A core is kept busy by who gives way to everybody, until nobody wants it any more."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from chatsim.live.calibration.filler import FILLS, main, never_idle


def test_without_a_core_nothing_is_filled() -> None:
    with never_idle(None) as filled:
        assert not filled


def test_it_gives_way_to_everybody_until_its_stdin_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, int]] = []
    turns = iter([False, False, True])
    monkeypatch.setattr(
        os, "sched_setscheduler", lambda pid, policy, param: asked.append((policy, param.sched_priority))
    )
    monkeypatch.setattr(signal, "signal", lambda number, action: None)
    monkeypatch.setattr(select, "select", lambda *want: ([sys.stdin] if next(turns) else [], [], []))
    before = os.sched_getaffinity(0)
    main(min(before))
    held = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before)
    assert held == {min(before)}
    assert asked == [(os.SCHED_IDLE, 0)]
    assert capsys.readouterr().out == FILLS
    assert list(turns) == [], "it turned until there was something to read"


def test_who_may_not_give_way_does_not_fill(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(pid: int, policy: int, param: os.sched_param) -> None:
        raise PermissionError(1, "Operation not permitted")

    before = os.sched_getaffinity(0)
    monkeypatch.setattr(os, "sched_setscheduler", refused)
    main(min(before))
    os.sched_setaffinity(0, before)
    assert capsys.readouterr().out == ""


def test_it_ends_with_who_had_it() -> None:
    core = min(os.sched_getaffinity(0))
    with never_idle(core) as filled:
        assert filled == hasattr(os, "SCHED_IDLE")
    # Whose starter is gone ends by itself.
    command = [sys.executable, "-m", "chatsim.live.calibration.filler", f"{core}"]
    subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60, check=True)
