"""Replaying a journal: the inputs of a node that lived, fed to a handler that has not.

Decides whether the Replay law holds for it: the same config, seed and inputs give equal effects, whichever wire they
came from. Rule: the comparison is of the very lines, so that nothing in a journal is compared by less than its bytes.
Why a run went as it did is left to whoever reads the difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from chatsim.core.handler import ChatHandler
from chatsim.journal.steps import Header, Step, encode_step, read, read_header


class Difference(msgspec.Struct, frozen=True):
    """The first step (counted from 1) that went otherwise: its line as journaled, and as the fresh handler answered."""

    step: int
    expected: str
    got: str


def handler_of(header: Header) -> ChatHandler:
    """A fresh handler, made of what the journal's header says."""
    return ChatHandler(
        header.config, epoch=header.epoch, seed=header.seed, snapshot=header.snapshot, first_epoch=header.first_epoch
    )


def replay(path: Path) -> Difference | None:
    """The first difference between a journal and a fresh handler given its inputs, or None where there is none.

    Raises HarnessError where the file is no journal.
    """
    return replay_steps(handler_of(read_header(path)), read(path))


def replay_steps(handler: ChatHandler, steps: Iterable[Step]) -> Difference | None:
    """Feed the steps to the handler until one is answered otherwise than the journal says."""
    for number, step in enumerate(steps, 1):
        if step.door == "begin":
            # The node was started again, with a handler that knows what the log knew.
            snapshot, epoch, seed = step.args
            handler = ChatHandler(handler.config, epoch=epoch, seed=seed, snapshot=snapshot, start=step.now)
            continue
        found = difference(handler, number, step)
        if found is not None:
            return found
    return None


def difference(handler: ChatHandler, number: int, step: Step) -> Difference | None:
    """Feed one step to the handler; None where it answers as the journal says."""
    effects = getattr(handler, step.door)(step.now, *step.args)
    if effects == step.effects:
        return None
    expected = encode_step(step.now, step.door, step.args, step.effects)
    got = encode_step(step.now, step.door, step.args, effects)
    return None if got == expected else Difference(number, expected.decode(), got.decode())
