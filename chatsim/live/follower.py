"""Reading along in the journal of a server that lives: what it has counted, and what it still owes.

Decides both by giving a handler of its own the same inputs (the Replay law): its ledger is the server's ledger, and the
first difference between the two is kept. As long as there is none, what is inside this handler is inside the server's,
and is watched as such. Rule: never longer at it than told, because the crowd shares the loop.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

from chatsim.core.effects import NOTHING
from chatsim.journal.record import RunRecord
from chatsim.journal.replay import Difference, difference, handler_of
from chatsim.journal.steps import JournalReader, Step
from chatsim.verdict.invariants.catalogue import Violation
from chatsim.verdict.invariants.watch import Watch
from chatsim.verdict.tally import Tally

STEPS_AT_ONCE = 32

SLACK_S = 5.0
"""How late a server may be (s): it shares its machine with the crowd, and with whatever else runs there."""


class Follower:
    """A journal, its tally, and a handler that does the same; `difference` is the first step that went otherwise."""

    def __init__(self, path: Path, forged: Container[str] = frozenset()) -> None:
        """`forged` are the names (`jti`) of the tokens that nobody has signed who may, as they are made.

        Raises HarnessError where the journal is none.
        """
        self._reader = JournalReader(path)
        self._steps: Iterator[Step] = iter(())
        self.header = self._reader.header
        self.handler = handler_of(self.header)
        self.tally = Tally()
        header = self.header
        self.watch = Watch(
            header.config,
            header.epoch,
            header.snapshot,
            slack_s=SLACK_S,
            handler=lambda: None if self.difference is not None else self.handler,
            clock=lambda now: self._now,
            forged=forged,
        )
        self.difference: Difference | None = None
        self.steps = 0
        self._lag_s: list[float] = []
        self._hashes: list[str] = []
        self._ahead_s = 0.0
        self._now = 0.0

    def begin(self, path: Path) -> None:
        """The server began again: read what is left of its last journal, and follow the new one.

        Raises HarnessError where the journal is none.
        """
        while not self.follow(1.0):
            pass
        self._lag_s = self.loop_lag_s
        self._hashes.append(self._reader.trace_hash)
        if self._open is not None:
            self.watch.ended(self._open)
        self.close()
        self._reader = JournalReader(path)
        self._steps = iter(())
        header = self._reader.header
        # Moments stay those of the first life's clock.
        self._ahead_s = header.clock_at - self.header.clock_at
        self.handler = handler_of(header)
        self._now = 0.0
        assert header.snapshot is not None, "a server that begins again has a log that lasts"
        self.tally.begin(header.snapshot, self.handler.ledger.pairs())
        # The wall time of this line's 0, by the clock of the life that begins.
        epoch = header.epoch - self._ahead_s
        self.watch.step(self._ahead_s, "begin", (header.snapshot, epoch, header.seed, header.first_epoch), NOTHING)

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
        self._now = step.now
        found = difference(self.handler, self.steps, step)
        if found is not None and self.difference is None:
            self.difference = found
        self.tally.step(step.now + self._ahead_s, step.door, step.args, step.effects)
        self.watch.step(step.now + self._ahead_s, step.door, step.args, step.effects)

    def violations(
        self, record: RunRecord, *, settled: bool | None = None, shown: Mapping[str, str] | None = None
    ) -> list[Violation]:
        """The invariants that did not hold, once all is read; `record` is that of the whole run, which `settled` within
        its bound or not (None: that was not looked at), and `shown` which former connection was named for each."""
        return self.watch.finish(
            self._now + self._ahead_s,
            record,
            handler=None if self.difference is not None else self.handler,
            open_=self._open,
            settled=settled,
            shown=shown,
        )

    @property
    def _open(self) -> tuple[str, ...] | None:
        """The connections that the server had at the end of its last life, if that ended in order."""
        footer = self._reader.footer
        return None if footer is None else footer.open

    @property
    def trace_hash(self) -> str:
        """The hash of the steps read so far; of several lives, one over theirs."""
        hashes = [*self._hashes, self._reader.trace_hash]
        return hashes[0] if len(hashes) == 1 else blake2b("".join(hashes).encode(), digest_size=16).hexdigest()

    @property
    def loop_lag_s(self) -> list[float]:
        """The server's own samples, of those lives that ended in order."""
        footer = self._reader.footer
        return [*self._lag_s, *(() if footer is None else footer.loop_lag_s)]

    def close(self) -> None:
        """Close the file; what was counted stays."""
        self._reader.close()
