"""Several faults of one input in one exception, each with the path that leads to it.

Decides how faults found at different depths are brought together, and what "did you mean" says. Rule: a reader never
stops at its first fault. Lines and columns are added by whoever read the text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeAlias

from chatsim.errors import UsageError

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions that lead from the top of a file to one value."""

Fault: TypeAlias = tuple[Path, str]


class FaultsError(UsageError, ValueError):
    """What is wrong with an input: pairs of a path and a sentence. A ValueError too, as validators raise them."""

    def __init__(self, found: Iterable[Fault]) -> None:
        self.found: tuple[Fault, ...] = tuple(found)
        super().__init__("\n".join(f"{dotted(path)}: {text}" if path else text for path, text in self.found))


def dotted(path: Path) -> str:
    """A path as people read it: `groups[0].messages.rate`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def near(word: object, known: Iterable[str]) -> list[str]:
    """The known words that may be meant by a misspelt one, the nearest first."""
    names = list(known)
    found = difflib.get_close_matches(str(word), names, cutoff=0.6)
    if not found:
        folded = str(word).lower().replace("-", "_")
        found = [name for name in names if name.lower().replace("-", "_") == folded]
    return found


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A hint in brackets that names the nearest known word, or else all of them; none where none is known."""
    names = list(known)
    meant = near(word, names)
    if meant:
        return f" (did you mean {meant[0]}?)"
    return f" (known: {', '.join(names)})" if names else ""
