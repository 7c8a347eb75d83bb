"""One run for all expectations of a scenario, in every process of a session.

Decides who plays. Rule: a scenario is played once on each wire and in each session, however many expectations it has
and over however many workers of pytest-xdist they are dealt: the first worker that needs the run plays it, the others
wait for it and read what it found. No two live runs go on at the same time, because each would disturb the other. Who
is told to end while she plays ends as by Ctrl-C, and leaves no server and no folder behind.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import msgspec
import pytest

from chatsim.errors import ChatsimError, UsageError
from chatsim.findings.finding import Finding, Play
from chatsim.runner.interrupts import ends_as_interrupted


class Plays:
    """What was played in this session. `shared` is the folder of all its processes, None where there is only this one;
    `jobs` is how many processes play replications, -1 for one a processor."""

    KEY: ClassVar[pytest.StashKey[Plays]]

    def __init__(self, shared: Path | None, jobs: int) -> None:
        # Workers on another machine do not have it.
        self._shared = shared if shared is not None and shared.is_dir() else None
        self._jobs = jobs
        self._found: dict[str, list[Finding]] = {}

    def found(self, play: Play, path: Path) -> list[Finding]:
        """What came of it: a finding for each expectation in their order, one for each invariant that did not hold.

        It is played now unless it was before; `path` is the scenario's file.
        """
        said = f"{path}\n{play.wire}\n{play.scenario.seed}\n{play.replications}"
        key = sha256(said.encode("utf-8", "surrogateescape")).hexdigest()
        if key not in self._found:
            with ends_as_interrupted():
                self._found[key] = self._of_anybody(play, key)
        return self._found[key]

    def _of_anybody(self, play: Play, key: str) -> list[Finding]:
        if self._shared is None:
            return played(play, self._jobs)
        place = self._shared / key
        with _alone(place.with_suffix(".lock")):
            if place.exists():
                return msgspec.msgpack.decode(place.read_bytes(), type=list[Finding])
            if play.wire == "live":
                with _alone(self._shared / "live.lock"):
                    found = played(play, self._jobs)
            else:
                found = played(play, self._jobs)
            place.write_bytes(msgspec.msgpack.encode(found))
        return found


Plays.KEY = pytest.StashKey[Plays]()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No other process is in a block of the same file; the lock of one that died is free."""
    with path.open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def played(play: Play, jobs: int) -> list[Finding]:
    """Play it, whatever comes of it: a wire that refuses it is a reason to skip, all else that raises an error."""
    started_at = time.monotonic()
    try:
        return _played(play, jobs, started_at)
    except UsageError as error:
        return play.unjudged(f"{error}", time.monotonic() - started_at, "skipped")
    except ChatsimError as error:
        return play.unjudged(f"{error}", time.monotonic() - started_at)
    except Exception as error:
        if os.environ.get("CHATSIM_DEBUG") == "1":
            raise
        why = f"something broke that should not: {type(error).__name__}: {error} (CHATSIM_DEBUG=1 shows where)"
        return play.unjudged(why, time.monotonic() - started_at)


def _played(play: Play, jobs: int, started_at: float) -> list[Finding]:
    scenario, wire = play.scenario, play.wire
    if play.replications is not None:
        from chatsim.runner.replicate import replicate

        found = replicate(scenario, play.replications, on=wire, jobs=jobs)
        took_s = time.monotonic() - started_at
        return [*play.ruled(found.shown, took_s), *play.broken(found.violations, took_s)]
    from chatsim.runner import run

    if wire != "live":
        return play.judged(run.play(scenario, on=wire), time.monotonic() - started_at)
    with TemporaryDirectory(prefix="chatsim-live-") as folder:
        return play.judged(run.run(scenario, on=wire, out=Path(folder)), time.monotonic() - started_at)
