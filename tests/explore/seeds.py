"""Seeds that come out as a test wants them, in any process: what is played is known to it by its name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from chatsim.explore.campaign import play_wires
from chatsim.explore.play import Played
from chatsim.explore.workers import Answer, Play, _answer
from chatsim.verdict.invariants.catalogue import Violation

FAILING = (13, 14, 17)


def played(seed: int, *violations: Violation) -> Played:
    return Played(seed, "sim", f"h{seed}", 10.0, 3, {"drop": 1}, ["retried"], list(violations))


def holds(seed: int, on: str) -> list[Played]:
    return [played(seed)]


def in_no_time(seed: int, on: str) -> list[Played]:
    """What is drawn, by a clock that stands: the same each time."""
    return play_wires(seed, on, lambda: 0.0)


def fails(seed: int, on: str) -> list[Played]:
    """Some fail, and the lower of them takes the longer: whoever tells the first that is done tells a higher one."""
    if seed == min(FAILING):
        time.sleep(0.3)
    return [played(seed, *([Violation("seq", 1.0, ".")] if seed in FAILING else []))]


def is_killed(seed: int, on: str) -> list[Played]:
    """The process of one seed comes to its end, as one does when memory runs out."""
    if seed == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return [played(seed)]


def raises(seed: int, on: str) -> list[Played]:
    if seed == 3:
        raise ValueError("not drawn")
    return [played(seed)]


def names_its_process(seed: int) -> list[Played]:
    made = played(seed)
    made.trace_hash = f"{os.getpid()}"
    return [made]


def killed_when_told(seed: int) -> list[Played]:
    return is_killed(seed, "sim")


def hangs_when_told(seed: int) -> list[Played]:
    """As `names_its_process`, but seed 2 has no end."""
    while seed == 2:
        pass
    return names_its_process(seed)


def answered_here(seeds: Iterator[int], play: Play, jobs: int) -> Iterator[tuple[int, Answer]]:
    """In place of `answers`, for what no other process would know of: each seed is played by whoever asks."""
    for seed in seeds:
        yield seed, _answer(play, seed)
