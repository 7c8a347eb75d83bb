"""What a server notes of itself while it serves, in a file: a few numbers a line.

Decides the form. Rule: each line is written at once, for the process may be killed, and of a file that was cut off the
whole lines count.
What is noted is left to others: when the machine did not run it (`stalls`), how fast it was (`speed`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TextIO, TypeVar

from chatsim.errors import HarnessError

Note = TypeVar("Note", bound=tuple[float, ...])


def written_to(file: TextIO) -> Callable[[tuple[float, ...]], None]:
    """Has each note written as a line, at once."""

    def write(note: tuple[float, ...]) -> None:
        file.write(f"{' '.join(map(repr, note))}\n")
        file.flush()

    return write


def read(path: Path, make: Callable[..., Note], what: str) -> list[Note]:
    """The notes of a file that `written_to` wrote; of one that was cut off, those that are whole.

    Raises HarnessError, which says `what` it should hold, where it holds something else.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines(keepends=True)
        return [make(*map(float, line.split())) for line in lines if line.endswith("\n")]
    except (OSError, ValueError, TypeError) as problem:
        raise HarnessError(f"{path.name} holds no {what} of a server: {problem}.") from problem
