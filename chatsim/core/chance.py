"""The core's own dice: a counter-based generator, so that the same seed gives the same draws in any process.

The generator is SplitMix64 (Steele, Lea and Flood, 2014), read at a counter. It decides jitter, never secrets.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1


class Dice:
    """Uniform numbers in [0, 1), one after another."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def uniform(self) -> float:
        """The next number, with 53 random bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)
