"""A stall is what a timer was late by and the process was not busy with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from chatsim.errors import HarnessError
from chatsim.live import stalls
from chatsim.live.stalls import EVERY_S, STALL_S_MIN, StallWatch, read, written_to
from chatsim.verdict.stalls import Stall


class Machine:
    """A loop, a clock and a processor, which do what they are told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.used_s = 7.0
        self.ring: Callable[[], None] = lambda: None
        self.found: list[Stall] = []
        self.cancelled = 0
        loop = cast(asyncio.AbstractEventLoop, self)
        self.watch = StallWatch(loop, self.found.append, clock=lambda: self.now, cpu=lambda: self.used_s)

    def call_later(self, delay_s: float, callback: Callable[[], None], *args: Any) -> Machine:
        assert delay_s == EVERY_S
        self.ring = callback
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def wakes(self, late_s: float, busy_s: float = 0.0) -> None:
        """The timer rings so late, and the process was busy for so long since it was set."""
        self.now += EVERY_S + late_s
        self.used_s += busy_s
        self.ring()


def test_a_late_timer_of_an_idle_process_is_a_stall() -> None:
    machine = Machine()
    machine.wakes(0.0)
    machine.wakes(0.050)
    [stall] = machine.found
    assert stall == pytest.approx((100.0 + 2 * EVERY_S, 100.0 + 2 * EVERY_S + 0.050))


def test_what_the_process_was_busy_with_is_none() -> None:
    machine = Machine()
    machine.wakes(0.050, busy_s=0.055)
    assert machine.found == []
    machine.wakes(0.050, busy_s=0.020)
    [stall] = machine.found
    assert stall.ended_at - stall.began_at == pytest.approx(0.030)


def test_a_timer_may_be_a_little_late() -> None:
    machine = Machine()
    machine.wakes(0.9 * STALL_S_MIN)
    assert machine.found == []


def test_no_more_are_kept_than_the_limit_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "STALLS_MAX", 3)
    machine = Machine()
    for _ in range(5):
        machine.wakes(0.1)
    assert len(machine.found) == 3


def test_it_ends() -> None:
    machine = Machine()
    machine.watch.end()
    assert machine.cancelled == 1


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "stalls"
    found = [Stall(0.1 + 0.2, 1 / 3), Stall(12345.6789, 12346.0)]
    with path.open("w", encoding="ascii") as file:
        write = written_to(file)
        for stall in found:
            write(stall)
            assert path.read_text(encoding="ascii").endswith("\n")
        file.write("12350.0 123")
    assert read(path) == found


@pytest.mark.parametrize("text", ["1.0\n", "1.0 2.0 3.0\n", "soon later\n"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "stalls"
    path.write_text(text, encoding="ascii")
    with pytest.raises(HarnessError, match="holds no stalls"):
        read(path)
