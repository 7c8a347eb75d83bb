"""Who owns what is due at one instant, and the order in which owners have their turns where a seed decides it.

Rule: what one owner asked for keeps its order; among owners any order is as good as another, and a server or a client
that needs one is wrong, since asyncio promises none.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any
from weakref import WeakKeyDictionary

from chatsim.live.calendar import Calendar
from chatsim.live.peer import Peer
from chatsim.people.people import Device
from chatsim.people.ties import turn

NOBODY = 0
"""The lane of what belongs to nobody in particular."""


def owner_of(callback: Any) -> Any:
    """Whose method is to be called; what is no method of a Python object (a function, a list's `append`) is its own."""
    return callback.__self__ if isinstance(callback, MethodType) else callback


class Lanes:
    """The lanes of one run: a device's is an even one of its number, everybody else has the next odd one when she first
    asks for something."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._numbered = 1

    def turn(self, owner: Any, count: int) -> int:
        """Where the `count`-th thing that was asked for, by `owner` or by nobody (None), stands among those of its
        moment."""
        return turn(self._seed, self._lane(owner), count)

    def _lane(self, owner: Any) -> int:
        if owner is None:
            return NOBODY
        if isinstance(owner, Device):
            return 2 * owner.number + 2
        lane = self._numbers.get(owner)
        if lane is None:
            lane = self._numbers[owner] = self._numbered
            self._numbered += 2
        return lane


class ShuffledCalendar(Calendar):
    """A calendar in which connections and devices have their turns in an order of the seed, and the rest in its own."""

    def __init__(self, *args: Any, ties: int, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._lanes = Lanes(ties)

    def _turn(self, action: Callable[[float, Any, Any], None], a: Any) -> int:
        owner = owner_of(action)
        if not isinstance(owner, Peer):
            owner = a if isinstance(a, Device) else None
        return self._lanes.turn(owner, self._count)
