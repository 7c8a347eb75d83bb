"""What a run raised, as the broken promise that it is: nothing raises, whatever peers, links and logs do.

Rule: it is told where it came from, and not where somebody passed it on.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

from chatsim.verdict.invariants.catalogue import Violation

FRAMES_TOLD: Final = 3
"""So many of the places where something was raised are told."""


def raised(problem: BaseException, at: float = 0.0) -> Violation:
    """The violation of `calm`; `at` is the moment (s), 0 where it is not known."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    frames = traceback.extract_tb(problem.__traceback__)[-FRAMES_TOLD:]
    where = ", ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return Violation("calm", at, f"{type(problem).__name__}: {problem} ({where})")
