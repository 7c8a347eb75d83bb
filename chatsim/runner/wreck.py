"""What is left of a run that broke on the way: its journal up to there, why it broke, and its last moments as pictures.

Decides what is kept. Rule: as soon as one step was journaled the folder stays, since the cause is looked for in it;
where nothing had happened yet nothing is left behind. Whether what was played to its end may be judged is `run`'s.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from chatsim.errors import ChatsimError, HarnessError, UnbalancedError
from chatsim.journal.lives import journals, steps
from chatsim.journal.steps import Step
from chatsim.store.folder import RunFolder
from chatsim.timeline.moments import last_moments
from chatsim.verdict.raised import raised


def kept(folder: RunFolder, head: Mapping[str, Any], problem: Exception) -> HarnessError | None:
    """Put the folder of a run that ended in `problem` in its place, and say so in the error to be raised; None where
    there is nothing to keep. `head` is what its document says of the run whatever came of it."""
    told = _steps(folder)
    if not told:
        return None
    at = told[-1].now
    why = _why(problem, at)
    trace = "".join(traceback.format_exception(problem))
    folder.write_document(
        {**head, "verdict": "invalid", "valid": False, "why_invalid": why, "ended_at_s": at, "traceback": trace}
    )
    pictures = last_moments(told, at, f"{head['scenario']} on {head['wire']}: broke at {at:g} s", "the run broke")
    if pictures is not None:
        chart, trace_events = pictures
        folder.write_pictures(chart, trace_events)
    kind = UnbalancedError if isinstance(problem, UnbalancedError) else HarnessError
    return kind(f"{why} (the run is kept in {folder.commit()})")


def _why(problem: Exception, at: float) -> str:
    """The sentence: the error's own where it is meant for people, else the promise that broke at that moment (s)."""
    origin: BaseException = problem
    while origin.__cause__ is not None:
        origin = origin.__cause__
    if isinstance(problem, ChatsimError) and isinstance(origin, ChatsimError | OSError):
        return f"{problem}"
    return f"{raised(problem, at)}"


def _steps(folder: RunFolder) -> list[Step]:
    """The steps of its journals as far as they can be read."""
    found: list[Step] = []
    # Damaged, cut short, or none: what was read before that is there.
    with suppress(ChatsimError):
        found.extend(steps(journals(folder.path)))
    return found
