"""Reading along in the journal of a server that lives: what it has counted, and what it still owes.

Decides both by giving a handler of its own the same inputs (the Replay law): its ledger is the server's ledger, and the
first difference between the two is kept. Rule: never longer at it than told, because the crowd shares the loop.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from chatsim.journal.replay import Difference, difference, handler_of
from chatsim.journal.steps import JournalReader, Step
from chatsim.verdict.tally import Tally

STEPS_AT_ONCE = 32


class Follower:
    """A journal, its tally, and a handler that does the same; `difference` is the first step that went otherwise."""

    def __init__(self, path: Path) -> None:
        """Raises HarnessError where the journal is none."""
        self._reader = JournalReader(path)
        self._steps: Iterator[Step] = iter(())
        self.header = self._reader.header
        self.handler = handler_of(self.header)
        self.tally = Tally()
        self.difference: Difference | None = None
        self.steps = 0

    def follow(self, for_s: float) -> bool:
        """Read on for so long at most; returns whether all that is written was read."""
        until = time.monotonic() + for_s
        while True:
            for _ in range(STEPS_AT_ONCE):
                step = next(self._steps, None)
                if step is None:
                    self._steps = self._reader.steps()
                    step = next(self._steps, None)
                    if step is None:
                        return True
                self._take(step)
            if time.monotonic() >= until:
                return False

    def _take(self, step: Step) -> None:
        self.steps += 1
        self.tally.step(step.now, step.door, step.args, step.effects)
        found = difference(self.handler, self.steps, step)
        if found is not None and self.difference is None:
            self.difference = found

    @property
    def trace_hash(self) -> str:
        """The hash of the steps read so far."""
        return self._reader.trace_hash

    @property
    def loop_lag_s(self) -> list[float]:
        """The server's own samples, once it has ended in order."""
        footer = self._reader.footer
        return [] if footer is None else list(footer.loop_lag_s)

    def close(self) -> None:
        """Close the file; what was counted stays."""
        self._reader.close()
