"""A play runs where no loop is in its way, and ends when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import linecache
import sys
import threading
from types import FrameType
from typing import Any

import pytest

import chatsim.live.beside as beside_module
from chatsim.live.beside import Progress, abeside, beside


def unheard(share: float) -> None:
    """Nobody wants to know."""


def name(progress: Progress) -> str:
    """The thread that plays; it has no loop, so that one can be run in it."""
    progress(0.5)
    assert asyncio.run(asyncio.sleep(0, "loop")) == "loop"
    return threading.current_thread().name


def fails(progress: Progress) -> str:
    raise ValueError("broken")


class Endless:
    """Plays until somebody says that it is enough."""

    def __init__(self) -> None:
        self.began, self.ended = threading.Event(), threading.Event()

    def __call__(self, progress: Progress) -> str:
        self.began.set()
        try:
            while True:
                progress(0.1)
        finally:
            self.ended.set()


def test_without_a_loop_it_is_played_here() -> None:
    heard: list[float] = []
    assert beside(name, heard.append) == threading.current_thread().name
    assert heard == [0.5]


def test_with_one_it_is_played_in_a_thread() -> None:
    async def scene() -> tuple[str, str]:
        return beside(name, unheard), await abeside(name, unheard)

    assert all(found.startswith("chatsim-beside") for found in asyncio.run(scene()))


def test_what_it_raises_is_raised() -> None:
    async def scene() -> None:
        with pytest.raises(ValueError, match="broken"):
            beside(fails, unheard)
        with pytest.raises(ValueError, match="broken"):
            await abeside(fails, unheard)

    asyncio.run(scene())
    with pytest.raises(ValueError, match="broken"):
        beside(fails, unheard)


def test_the_loop_goes_on_meanwhile() -> None:
    """The play waits for something that this loop does."""
    done = threading.Event()

    def waits(progress: Progress) -> bool:
        return done.wait(30.0)

    async def scene() -> bool:
        asyncio.get_running_loop().call_soon(done.set)
        return await abeside(waits, unheard)

    assert asyncio.run(scene())


def test_who_is_cancelled_leaves_nothing_running() -> None:
    endless = Endless()

    async def scene() -> None:
        task = asyncio.create_task(abeside(endless, unheard))
        await asyncio.to_thread(endless.began.wait)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert endless.ended.is_set()

    asyncio.run(scene())


def test_who_is_interrupted_leaves_nothing_running() -> None:
    """Interrupted before each line on the way to the result, also while the thread is being started."""
    after = 0
    while True:
        endless, strike = Endless(), Interrupt(after)

        async def scene(endless: Endless = endless, strike: Interrupt = strike) -> None:
            with pytest.raises(KeyboardInterrupt), strike:
                beside(endless, unheard)
            assert endless.ended.is_set() == endless.began.is_set()

        asyncio.run(scene())
        if strike.waiting:
            break
        after += 1
    assert after > 3


class Interrupt:
    """A Ctrl-C that is raised after so many lines of `beside`, or where it begins to wait for the result."""

    def __init__(self, after: int) -> None:
        self.waiting = False
        self._left = after

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, *raised: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename != beside_module.__file__:
            return None
        if event == "line":
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
            self.waiting = "future.result()" in line
            if self.waiting or not self._left:
                sys.settrace(self._before)
                raise KeyboardInterrupt
            self._left -= 1
        return self._trace
