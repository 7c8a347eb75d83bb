"""What a run raised, as the broken promise that it is: nothing raises, whatever peers, links and logs do.

Rule: it is told where it came from, and not where somebody passed it on.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

from chatsim.errors import UnbalancedError
from chatsim.verdict.invariants.catalogue import Violation

FRAMES_TOLD: Final = 3
"""So many of the places where something was raised are told."""

PACKAGE: Final = Path(__file__).parents[1]


def raised(problem: BaseException, at: float = 0.0) -> Violation:
    """The violation of `calm`, or of `ledger` where messages are not conserved; `at` is the moment (s), 0 where it is
    not known."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    frames = traceback.extract_tb(problem.__traceback__)[-FRAMES_TOLD:]
    where = ", ".join(f"{_place(Path(frame.filename))}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    # What does not add up is told by raising, and is a broken promise of its own.
    name = "ledger" if isinstance(problem, UnbalancedError) else "calm"
    return Violation(name, at, f"{type(problem).__name__}: {problem} ({where})")


def _place(file: Path) -> str:
    """Which file: one of the package from its top on, the name alone of any other."""
    return file.relative_to(PACKAGE).as_posix() if file.is_relative_to(PACKAGE) else file.name
