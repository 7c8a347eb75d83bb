"""Where two lines begin to differ: the part of a long line that is worth showing.

Decides how much is shown, and what is cut. Rule: the first difference is always in sight, with a little of what stands
before it. Which lines are compared is left to whoever compares them.
"""

from __future__ import annotations

from typing import Final

SHOWN: Final = 160
"""So many letters of a line are shown around its first difference."""


def around(line: str, other: str) -> str:
    """The part of a line in which it begins to differ from the other; `…` stands for what is cut."""
    least = min(len(line), len(other))
    same = next((place for place in range(least) if line[place] != other[place]), least)
    begins = max(0, min(same, len(line)) - SHOWN // 3)
    shown = line[begins : begins + SHOWN]
    return f"{'…' if begins else ''}{shown}{'…' if begins + SHOWN < len(line) else ''}"
