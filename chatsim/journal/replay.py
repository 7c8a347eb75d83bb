"""Replaying a journal: the inputs of a node that lived, fed to a handler that has not.

Decides whether the Replay law holds for it: the same config, seed and inputs give equal effects, whichever wire they
came from. Rule: the comparison is of the very lines, so that nothing in a journal is compared by less than its bytes;
and a line that is answered alike has to be the one that was written there.
Which journals a run has is left to `lives`, why it went as it did to whoever reads the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from chatsim.core.handler import ChatHandler
from chatsim.journal.steps import Footer, Header, JournalReader, Step, encode_step

MISFIT: Final = (
    "not the line that was written here: it was altered or moved, or one before it is missing or twice there"
)
END: Final = "end"


class Difference(msgspec.Struct, frozen=True):
    """The first step (counted from 1) that went otherwise: its line as journaled, and as the fresh handler answered.

    `at` is the moment on the journal's own clock (s), `door` the method that was called. Where the handler took the
    step badly, `got` says what it raised, and MISFIT where it is answered alike and is not what was written there. The
    end of a journal counts as a step then, with the door END.
    """

    step: int
    at: float
    door: str
    expected: str
    got: str


class Replayed(msgspec.Struct, frozen=True):
    """One journal replayed: how many steps were, and whether it was closed in order, which it was not where its writer
    was killed or is still writing (None where a difference came before its end)."""

    steps: int
    closed: bool | None
    difference: Difference | None


def handler_of(header: Header) -> ChatHandler:
    """A fresh handler, made of what the journal's header says."""
    return ChatHandler(
        header.config, epoch=header.epoch, seed=header.seed, snapshot=header.snapshot, first_epoch=header.first_epoch
    )


def replay(path: Path) -> Difference | None:
    """The first difference between a journal and a fresh handler given its inputs, or None where there is none.

    Raises HarnessError where the file is no journal.
    """
    return replay_whole(path, followed=True).difference


def replay_whole(path: Path, *, followed: bool = False) -> Replayed:
    """Replay a journal of which nothing may be missing; `followed` says that another life came after this one, so that
    its end may be: a killed process takes that with it.

    Raises HarnessError where the file is no journal, or is damaged.
    """
    with JournalReader(path) as reader:
        count = 0
        last: Step | None = None

        def fitting() -> Iterator[Step]:
            nonlocal count, last
            for last in reader.steps():
                count += 1
                yield last
                if reader.misfit is not None:
                    return

        found = replay_steps(handler_of(reader.header), fitting())
        if found is None and reader.misfit is not None:
            found = _misfit(reader.misfit, count, last, reader.footer)
        if found is None and not followed:
            reader.check_whole()
        return Replayed(count, reader.footer is not None if found is None else None, found)


def _misfit(line: int, count: int, last: Step | None, footer: Footer | None) -> Difference:
    """The difference of a line (counted from 1, the header too) that is not the one that was written there; `last` is
    the last of `count` steps that were read."""
    at = 0.0 if last is None else last.now
    if last is not None and line == count + 1:
        expected = encode_step(last.now, last.door, last.args, last.effects)
        return Difference(line - 1, at, last.door, expected.decode(errors="replace"), MISFIT)
    return Difference(line - 1, at, END, msgspec.json.encode(footer).decode(), MISFIT)


def replay_steps(handler: ChatHandler, steps: Iterable[Step]) -> Difference | None:
    """Feed the steps to the handler until one is answered otherwise than the journal says."""
    for number, step in enumerate(steps, 1):
        if step.door == "begin":
            # The node was started again, with a handler that knows what the log knew.
            snapshot, epoch, seed, first = step.args
            handler = ChatHandler(
                handler.config, epoch=epoch, seed=seed, snapshot=snapshot, first_epoch=first, start=step.now
            )
            continue
        found = difference(handler, number, step)
        if found is not None:
            return found
    return None


def difference(handler: ChatHandler, number: int, step: Step) -> Difference | None:
    """Feed one step to the handler; None where it answers as the journal says."""
    try:
        effects = getattr(handler, step.door)(step.now, *step.args)
    except Exception as problem:  # the law of Calm: a handler that raises went otherwise than any that was journaled
        got = f"{type(problem).__name__}: {problem}".encode()
    else:
        if effects == step.effects:
            return None
        got = encode_step(step.now, step.door, step.args, effects)
    expected = encode_step(step.now, step.door, step.args, step.effects)
    if got == expected:
        return None
    # A body is kept as it came, and is not looked into.
    return Difference(number, step.now, step.door, expected.decode(errors="replace"), got.decode(errors="replace"))
