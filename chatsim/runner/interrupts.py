"""What ends a run from outside: Ctrl-C, and the signals of whoever stops processes.

Decides that SIGTERM and SIGHUP end a run as Ctrl-C does: with everything cleaned up, and exit code 130. Rule: a signal
that whoever started us had ignored stays ignored. `serve` is none of this once it listens: a signal drains it, which is
its good end.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGTERM, signal.SIGHUP)

_waiting: Final[set[signal.Signals]] = set()
"""What this process has wait."""


def hold_back() -> None:
    """Have these signals wait until `let_through`: while much is imported nobody could answer them yet, and importing
    itself may swallow what is raised in its midst."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    _waiting.update(set(ENDING) - blocked)


def let_through() -> None:
    """Hear what was held back: where one of them came, it is heard now."""
    numbers = set(_waiting)
    _waiting.clear()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


@contextmanager
def ends_as_interrupted() -> Iterator[None]:
    """Within it, the first of these signals does what Ctrl-C does (KeyboardInterrupt), and further ones nothing.

    Signals belong to the main thread: elsewhere this changes nothing.
    """
    told = False

    def interrupt(_number: int, frame: FrameType | None) -> None:
        nonlocal told
        if told:
            return
        told = True
        # Not another signal: a process in the background may ignore SIGINT. An event loop has set a handler of its own.
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in ENDING}
    ours = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
