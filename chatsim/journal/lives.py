"""The journals of one run: a server that was started again writes one for each of its lives.

Decides their names, and how several become one row of steps: moments are those of the first life's clock, and a further
life begins with the door `begin`, as a simulated node's does. Rule: a journal that is not whole is refused, except for
the end of a life that another one followed, which a killed process takes with it.
What the steps mean is left to whoever reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from chatsim.core.effects import NOTHING
from chatsim.core.snapshot import Snapshot
from chatsim.errors import HarnessError, UsageError
from chatsim.journal.steps import Header, JournalReader, Step

NAME: Final = "journal.jsonl"
"""The journal of the first life, in the folder of its run."""


class _Document(msgspec.Struct):
    """What is needed of `run.json`."""

    wire: str


def is_elsewhere(wire: str) -> bool:
    """Whether a run was on a server that somebody else runs: its wire is then that server's address."""
    return "://" in wire


def _why_none(run: Path) -> str:
    """Why there is no journal in the folder of a run, and what to do; empty where there should be one."""
    try:
        wire = msgspec.json.decode((run / "run.json").read_bytes(), type=_Document).wire
    except (OSError, ValueError, RecursionError):
        return ""
    if not is_elsewhere(wire):
        return ""
    return (
        f"{run} has no {NAME}, because {wire} is somebody else's server, whose inside is not seen: `chatsim report` "
        f"shows what was seen from outside, and the same scenario on sim, virtual or live leaves a journal"
    )


def of_life(path: Path, life: int) -> Path:
    """The file of one life of a server, counted from 1: the first has the plain name."""
    return path if life == 1 else path.with_stem(f"{path.stem}-{life}")


def journals(run: Path) -> tuple[Path, ...]:
    """The journals of a run in the order of its lives; `run` is its folder, or one journal.

    Raises UsageError where there is none, HarnessError where one in their midst is missing.
    """
    if run.is_file():
        return (run,)
    if not run.is_dir():
        raise UsageError(
            f"there is no file or folder {run}: name the folder of a run, as `chatsim run` prints it, or a journal"
        )
    first = run / NAME
    if not first.is_file():
        why = _why_none(run)
        if why:
            raise UsageError(why)
        inner = sorted(path.parent for path in (*run.glob(f"*/{NAME}"), *run.glob(f"*/*/{NAME}")))
        cure = f"name one of the runs below it, such as {inner[-1]}" if inner else "name the folder of a run"
        raise UsageError(f"{run} holds no {NAME}: {cure}")
    lives = sorted(
        int(found[1]) for path in run.glob("journal-*.jsonl") if (found := re.fullmatch(r"journal-(\d+)", path.stem))
    )
    paths = (first, *(of_life(first, life) for life in lives))
    for life, path in enumerate(paths, 1):
        if path != of_life(first, life):
            raise HarnessError(f"{run} holds {path.name} and no {of_life(first, life).name}: copy the whole run again")
    return paths


def steps(paths: Sequence[Path]) -> Iterator[Step]:
    """The steps of all lives as one row, moments in seconds on the first one's clock.

    Raises HarnessError where a journal is none, or is damaged.
    """
    first: Header | None = None
    for life, path in enumerate(paths, 1):
        with JournalReader(path) as reader:
            header = reader.header
            if first is None:
                first, ahead_s = header, 0.0
            else:
                ahead_s = header.clock_at - first.clock_at
                begun = (header.snapshot or Snapshot(), header.epoch, header.seed, header.first_epoch)
                yield Step(ahead_s, "begin", begun, NOTHING)
            for step in reader.steps():
                step.now += ahead_s
                yield step
            if life == len(paths):
                reader.check_whole()
