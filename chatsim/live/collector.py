"""The served process's cycle collector: only what is young is looked at, in short turns, and hardly ever everything.

Decides when the collector may look at what. Rule: nobody waits for it longer than for a few messages. What an ended
connection holds in cycles it takes apart itself (`protocol`), so that the collector is there for what nobody foresaw.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chatsim.live.pauses import NEVER

YOUNG = 700
"""So many objects more than before, and the young ones are looked at: some 0.2 ms, after a few hundred messages. It is
Python's own threshold.

Every message kept for replay is some tracked objects that live for minutes. Python's own rule would walk through them
again and again, for a seventh of a busy server's time; and to wait for 50,000 of them stops everybody for 10 ms."""

WHOLE = 1_000_000
"""So many objects more, and at least a quarter more than there were, before everything is looked at, which takes 0.3 to
0.5 s for each million; a connection is some forty. A quarter is Python's own measure: the work stays in proportion to
what is made."""


class Collector:
    """What is done after each look at young objects: those that are left are put out of its sight (`gc.freeze`).

    `soon` has something done by the loop, in its thread: inside a collection, which may be in any, there is no other.
    """

    def __init__(self, soon: Callable[[Callable[[], None]], object], *, whole: int = WHOLE) -> None:
        self._soon = soon
        self._whole = whole
        self._grown = 0
        self._until = whole

    def heard(self, phase: str, told: dict[str, int]) -> None:
        """For `gc.callbacks`."""
        if phase != "stop" or told["generation"]:
            return
        gc.freeze()
        self._grown += YOUNG
        if self._grown >= self._until:
            self._grown = 0
            self._soon(self._everything)

    def _everything(self) -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._until = max(self._whole, gc.get_freeze_count() // 4)


@contextmanager
def spared_collector(soon: Callable[[Callable[[], None]], object]) -> Iterator[None]:
    """Have this process's collector look at young objects only, as a `Collector` says; what it had set is put back."""
    before, heard = gc.get_threshold(), Collector(soon).heard
    gc.collect()
    gc.freeze()
    gc.callbacks.append(heard)
    gc.set_threshold(YOUNG, NEVER, NEVER)
    try:
        yield
    finally:
        gc.callbacks.remove(heard)
        gc.set_threshold(*before)
        gc.unfreeze()
