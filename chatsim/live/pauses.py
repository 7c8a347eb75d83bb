"""No pause of the garbage collector while the crowd's punctuality counts.

Decides when the collector may look at what. Rule: of a crowd that may act for hours what was there before is left out
of its sight, and only young objects are looked at until the crowd is done; of one that is measured to the tenth of a
millisecond, for seconds, nothing is. What the process had set is put back.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEVER = 2**31 - 1
"""Largest threshold that the collector takes."""


@contextmanager
def no_full_collections() -> Iterator[None]:
    """The oldest generation is collected before and after, and not inside.

    A full collection visits every object of the process: after nine live runs in one process that took 70 to 290 ms, in
    which nobody of the crowd could write; the younger generations take a few. Cycles that they miss wait for the end.
    """
    before = gc.get_threshold()
    gc.collect()
    # Objects that somebody has frozen already stay so afterwards: it cannot be said any more which they were.
    thaw = gc.get_freeze_count() == 0
    gc.freeze()
    gc.set_threshold(before[0], before[1], NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if thaw:
            gc.unfreeze()


@contextmanager
def no_collections() -> Iterator[None]:
    """Nothing is collected inside, not even young objects, which take a millisecond now and then where thousands of
    messages a second come and go. Cycles wait for the end."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
