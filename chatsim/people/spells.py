"""Faults that set something for a while: what it is meanwhile, and what it is again afterwards.

Decides what holds where such faults overlap: the newest value, until the last of them ends. Rule: what comes back is
what was there before the first, whatever the order of their ends. When a spell is lifted is left to the wires.
"""

from __future__ import annotations

from typing import Any

import msgspec


class _Spell(msgspec.Struct):
    """One attribute that is not its own: what it was, and until when (s)."""

    before: Any
    until: float


class Spells:
    """The spells of one run, by the thing and its attribute; things are told apart by identity, and live as long."""

    def __init__(self) -> None:
        self._cast: dict[tuple[int, str], _Spell] = {}

    def cast(self, whom: object, name: str, value: Any, until: float) -> None:
        """The attribute has this value now; `lift` at `until` (s) ends it."""
        spell = self._cast.get((id(whom), name))
        if spell is None:
            self._cast[id(whom), name] = _Spell(getattr(whom, name), until)
        else:
            spell.until = max(spell.until, until)
        setattr(whom, name, value)

    def lift(self, now: float, whom: object, name: str) -> None:
        """A spell has ended: the attribute is what it was, unless another holds on."""
        spell = self._cast.get((id(whom), name))
        if spell is not None and now >= spell.until:
            setattr(whom, name, spell.before)
            del self._cast[id(whom), name]
