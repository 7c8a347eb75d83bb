"""The largest load that is carried, out of verdicts on single loads: coarse steps first, then bisection on a grid.

Decides which load is tried next, and what is known at the end. Rule: what is said rests on verdicts alone, and a
load that nobody could decide is never counted on either side; so that the truth lies between the two ends with the
probability that all verdicts together are right. How a load is judged is left to others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from chatsim.analysis.slo import Verdict
from chatsim.errors import UsageError

LOADS_MAX: Final = 16
"""Loads that are tried at most: the error of a search is spent evenly over so many."""

COARSE: Final = 4
"""Places of the grid that the first coarse step takes; each further one takes twice as many."""

Outcome: TypeAlias = Literal["found", "none", "more", "undecided"]


class Tried(msgspec.Struct, frozen=True):
    """A load and the verdict on it."""

    load: int
    verdict: Verdict


class Found(msgspec.Struct, frozen=True):
    """What is known of the largest load that is carried.

    `found`: it lies in [`low`, `high`), `low` passed and `high` failed. `none`: the smallest load failed (`high`).
    `more`: the largest passed (`low`). `undecided`: one end was not decided; 0 stands for an end that is not known.
    `tried` is in the order of trying.
    """

    outcome: Outcome
    low: int
    high: int
    tried: tuple[Tried, ...]


def grid(smallest: int, largest: int, step: float) -> tuple[int, ...]:
    """Loads from the smallest to the largest, each by the share `step` above the one before, or by 1.

    Raises UsageError where there is none.
    """
    if not 1 <= smallest <= largest or step <= 0:
        raise UsageError(f"Loads from {smallest} to {largest} in steps of {step} are none: give the larger one last.")
    loads = [smallest]
    while loads[-1] < largest:
        loads.append(min(max(loads[-1] + 1, round(loads[-1] * (1 + step))), largest))
    return tuple(loads)


def search(
    loads: Sequence[int], start: int, judge: Callable[[int], Verdict], most: int = LOADS_MAX, coarse: int = COARSE
) -> Found:
    """Look for the largest of these ascending loads that passes, from the place `start` of one of them.

    Each load is judged once, at most `most` of them; the first step takes `coarse` places. Raises UsageError for no
    load.
    """
    if not loads or list(loads) != sorted(set(loads)):
        raise UsageError("A search wants loads that rise.")
    if not 0 <= start < len(loads):
        raise UsageError(f"A search among {len(loads)} loads cannot begin at place {start}.")
    return _Search(loads, judge, most, coarse).run(start)


class _Search:
    """`passed` is the highest place that passes (-1: none does), `failed` the lowest that fails (n: none does)."""

    def __init__(self, loads: Sequence[int], judge: Callable[[int], Verdict], most: int, coarse: int) -> None:
        self.loads = loads
        self.judge = judge
        self.most = most
        self.coarse = coarse
        self.passed = -1
        self.failed = len(loads)
        self.unsure: list[int] = []
        self.tried: list[Tried] = []

    def run(self, start: int) -> Found:
        """First to both sides until the truth is between two verdicts, then into the middle of what is open."""
        self._try(start)
        step = self.coarse
        while self._open and self.passed < 0:
            self._try(max(min([self.failed, *self.unsure]) - step, 0))
            step *= 2
            if 0 in (self.failed, *self.unsure):
                break
        step = self.coarse
        while self._open and self.failed == len(self.loads) and len(self.loads) - 1 > max([self.passed, *self.unsure]):
            self._try(min(max([self.passed, *self.unsure]) + step, len(self.loads) - 1))
            step *= 2
        while self._open and (place := self._between()) is not None:
            self._try(place)
        return self._found()

    @property
    def _open(self) -> bool:
        return len(self.tried) < self.most

    def _try(self, place: int) -> None:
        verdict = self.judge(self.loads[place])
        self.tried.append(Tried(self.loads[place], verdict))
        if verdict == "pass":
            self.passed = place
        elif verdict == "fail":
            self.failed = place
        else:
            self.unsure.append(place)
        # What lies beyond a verdict is no longer open.
        self.unsure = [place for place in self.unsure if self.passed < place < self.failed]

    def _between(self) -> int | None:
        """The middle of the wider of the two gaps that are open; None where both are closed."""
        below = (self.passed, min([self.failed, *self.unsure]))
        above = (max([self.passed, *self.unsure]), self.failed)
        low, high = max((below, above), key=lambda gap: gap[1] - gap[0])
        return (low + high) // 2 if high - low > 1 else None

    def _found(self) -> Found:
        low = self.loads[self.passed] if self.passed >= 0 else 0
        high = self.loads[self.failed] if self.failed < len(self.loads) else 0
        outcome: Outcome
        if self.failed == 0:
            outcome = "none"
        elif self.passed == len(self.loads) - 1:
            outcome = "more"
        else:
            outcome = "found" if low and high else "undecided"
        return Found(outcome, low, high, tuple(self.tried))
