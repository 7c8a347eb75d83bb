"""Everything that a handler holds, counted: each container that can be reached from it, and each kind of object.

Rule: a container for which `BOUNDS` states nothing is a fault, so that a new one comes with its limit; what is stated
is a number made of the settings, of how many people there are, and of what the log and the server's own word brought.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator
from math import floor
from typing import Any, NamedTuple

import msgspec

from chatsim.core.config import HandlerConfig
from chatsim.core.credentials import DEAD_MAX
from chatsim.core.delivery import GONE_STARTS_MAX
from chatsim.core.timers import SIFTED_MIN

ENTRY_MAX = 4
"""A tuple of so many is one entry of something, and no collection."""

_PLAIN = (str, bytes, int, float, type(None), type, msgspec.Raw, HandlerConfig)
_CONTAINERS = (dict, list, deque, tuple, set, frozenset, array)


class Census(NamedTuple):
    """The largest container at each place, and how many objects there are of each class."""

    sizes: dict[str, int]
    objects: Counter[str]

    def too_large(self, crowd: Crowd) -> dict[str, str]:
        """What is larger than it may be, or what nothing is stated of, each with the numbers."""
        found = {}
        for place, size in self.sizes.items():
            bound = BOUNDS.get(place)
            if bound is None:
                found[place] = f"{size}, and no bound is stated"
            elif size > bound(crowd):
                found[place] = f"{size} > {bound(crowd)}"
        for name, count in self.objects.items():
            stated = OBJECTS.get(name)
            if stated is not None and count > stated(crowd):
                found[name] = f"{count} objects > {stated(crowd)}"
        return found


class Crowd(NamedTuple):
    """How many people there are at most, and what came that no setting limits: posts of the server, and records of an
    earlier life."""

    config: HandlerConfig
    users: int
    posts: int = 0
    records: int = 0

    @property
    def connections(self) -> int:
        return self.users * self.config.connections_per_user

    @property
    def members(self) -> int:
        return self.config.sessions_max * self.config.participants_max

    def said_in(self, time_s: float) -> int:
        """How many messages can be accepted in any such time."""
        config = self.config
        each = config.rate_limit * (floor(time_s / config.rate_window_s) + 1)
        return self.users * each + self.posts + self.records

    def frames_in(self, time_s: float) -> int:
        """How many frames can have an effect in any such time, over connections that stay."""
        config = self.config
        return self.connections * (config.frame_limit + 1) * (floor(time_s / config.frame_window_s) + 2)

    @property
    def lapses(self) -> int:
        """How many moments may be noted at which somebody has stopped typing."""
        config = self.config
        # One that another has overtaken stays until it was due; who joins, types and leaves has one more each time.
        overtaken = 2 * (floor(config.typing_lapse_s / config.typing_interval_s) + 2)
        return self.members * overtaken + self.frames_in(config.typing_lapse_s) // 3

    @property
    def retried(self) -> int:
        """How many messages may wait for somebody who is there, and does not ack."""
        config = self.config
        return self.said_in(config.retry_interval_s * (config.retries + 1))

    @property
    def kept(self) -> int:
        """How many messages may be retained, in all sessions."""
        return self.config.sessions_max * self.config.retention_messages

    @property
    def held(self) -> int:
        return self.kept + self.retried


def _sifted(most: int) -> int:
    """What a line has at most of which so many entries mean something at a time."""
    return max(SIFTED_MIN, 2 * most) + 1


BOUNDS: dict[str, Callable[[Crowd], int]] = {
    "ChatHandler._doors": lambda _: 6,
    "ChatHandler._connections": lambda crowd: crowd.connections,
    "ChatHandler._users": lambda crowd: crowd.users,
    "ChatHandler._closings": lambda crowd: crowd.connections,
    "Counters.closed": lambda _: 20,
    "Counters.dropped": lambda _: 2,
    "Counters.refused_refreshes": lambda _: 4,
    "Histogram.edges_s": lambda _: 20,
    "Histogram.counts": lambda _: 20,
    # The last one is that which closed the connection.
    "Connection.violations": lambda crowd: crowd.config.violation_limit + 1,
    # The own session comes unasked, beside those that the connection chose.
    "Connection.member_of": lambda crowd: crowd.config.sessions_per_connection + 1,
    # As many as the limit and one, or those of a last few since the old ones were looked through.
    "Connection.frames": lambda crowd: crowd.config.frame_limit + 1,
    "Connection.allowed": lambda _: 8192,
    "User.connections": lambda crowd: crowd.config.connections_per_user,
    "User.names": lambda crowd: crowd.config.connections_per_user,
    "SlidingWindow._moments": lambda crowd: crowd.config.rate_limit,
    "Member.connections": lambda crowd: crowd.config.connections_per_user,
    "Member.names": lambda crowd: crowd.config.connections_per_user,
    "Member.starts": lambda crowd: crowd.config.connections_per_user + GONE_STARTS_MAX + 1,
    "Member.behind": lambda crowd: crowd.config.connections_per_user,
    "ChatHandler._behind": lambda crowd: crowd.connections,
    "Replays.behind": lambda crowd: crowd.connections,
    "Replays._sent": lambda crowd: crowd.connections,
    "_Backlog.entries": lambda crowd: (
        (crowd.config.sessions_per_connection + 1) * crowd.config.retention_messages + crowd.config.outbound_frames + 1
    ),
    "Member.owed": lambda crowd: crowd.config.retention_messages + crowd.retried,
    "Session.participants": lambda crowd: crowd.config.participants_max,
    "Session.members": lambda crowd: crowd.config.participants_max,
    "Session._receivers": lambda crowd: crowd.config.participants_max,
    "Session.told": lambda crowd: crowd.config.participants_max,
    "Session._names": lambda crowd: crowd.config.participants_max * crowd.config.connections_per_user,
    "Session._places": lambda crowd: crowd.config.participants_max * crowd.config.connections_per_user,
    "Session.retained": lambda crowd: crowd.config.retention_messages,
    "Sessions.by_name": lambda crowd: crowd.config.sessions_max,
    "Sessions._empty": lambda crowd: crowd.config.sessions_max,
    "Sessions._opened": lambda crowd: crowd.config.sessions_max,
    "Sessions._ends": lambda crowd: 2 * crowd.config.sessions_max + 1,
    "Sessions._absences": lambda crowd: _sifted(crowd.members),
    "Credentials._ends": lambda crowd: 2 * crowd.connections + 2 * DEAD_MAX,
    "Credentials._jtis": lambda crowd: crowd.config.revocations_max,
    "Credentials._users": lambda crowd: crowd.config.revocations_max,
    "Signals._graces": lambda crowd: _sifted(crowd.members),
    "Signals._parted": lambda crowd: crowd.frames_in(crowd.config.typing_lapse_s),
    "Signals._partings": lambda crowd: crowd.frames_in(crowd.config.typing_lapse_s),
    "Signals._lapses": lambda crowd: crowd.lapses,
    "Positions._moved": lambda crowd: crowd.frames_in(1.0),
    "Dedupe._known": lambda crowd: crowd.said_in(crowd.config.dedupe_for_s),
    "Dedupe._ends": lambda crowd: crowd.said_in(crowd.config.dedupe_for_s),
    "Dedupe._asked": lambda crowd: crowd.said_in(crowd.config.dedupe_for_s),
    "Dedupe._asked[]": lambda crowd: crowd.config.connections_per_user,
    "Ledger._by_id": lambda crowd: crowd.held,
    "Ledger._kept": lambda crowd: _sifted(crowd.kept),
    "Ledger._settled": lambda crowd: _sifted(crowd.kept),
    "Ledger._rounds": lambda crowd: _sifted(crowd.held * crowd.config.participants_max),
    # Until the first wake: what an earlier life has left and there is no room for, each by everybody it was for.
    "Ledger._late": lambda crowd: crowd.records * crowd.config.participants_max,
    "Ledger.undelivered_by": lambda _: 6,
    "Outgoing.waiting": lambda crowd: crowd.config.participants_max,
    "_Round.members": lambda crowd: crowd.config.participants_max,
    "Pulse._wheel": lambda _: 512,
    "Pulse._wheel[]": lambda crowd: crowd.connections,
    "Pulse._slot_of": lambda crowd: crowd.connections,
    "Pulse._deadlines": lambda _: 512 + 1,
    "Pulse._deadlines[]": lambda crowd: crowd.connections,
}
"""How large each container may be. Lines and heaps are counted by their entries, under the name of their owner."""

OBJECTS: dict[str, Callable[[Crowd], int]] = {
    # Those that are gone are held until their pong would have been due, and for as long as some stay among the ends.
    "Connection": lambda crowd: 4 * crowd.connections + DEAD_MAX,
    "Outgoing": lambda crowd: _sifted(crowd.held),
    "Accepted": lambda crowd: crowd.said_in(crowd.config.dedupe_for_s),
}
"""How many objects of a class there may be, wherever they are held."""


def census(root: object) -> Census:
    """Count all that can be reached from `root` through objects of the core and plain containers."""
    sizes: dict[str, int] = {}
    objects: Counter[str] = Counter()
    todo: deque[tuple[str, object]] = deque([("", root)])
    seen = {id(root)}
    while todo:
        place, thing = todo.popleft()
        inner = list(_inside(place, thing, sizes, objects))
        for entry in inner:
            if isinstance(entry[1], _PLAIN) or callable(entry[1]) or id(entry[1]) in seen:
                continue
            seen.add(id(entry[1]))
            todo.append(entry)
    return Census(sizes, objects)


def _inside(place: str, thing: Any, sizes: dict[str, int], objects: Counter[str]) -> Iterator[tuple[str, object]]:
    kind = type(thing)
    if kind.__module__.startswith("chatsim.core"):
        objects[kind.__name__] += 1
        timer = kind.__module__ == "chatsim.core.timers"
        for name in _attributes(thing):
            # What a line or a heap is made of goes by the name of its owner.
            yield place if timer else f"{kind.__name__}.{name}", getattr(thing, name)
        return
    assert isinstance(thing, _CONTAINERS), f"{place} is a {kind.__name__}"
    if not (isinstance(thing, tuple) and len(thing) <= ENTRY_MAX):
        sizes[place] = max(sizes.get(place, 0), len(thing))
    entries = [*thing.keys(), *thing.values()] if isinstance(thing, dict) else thing
    for entry in entries:
        # A pair in a line is one entry of it; what is in the pair belongs to nobody else.
        yield f"{place}[]", entry


def _attributes(thing: Any) -> list[str]:
    fields = getattr(thing, "__struct_fields__", None) or getattr(thing, "_fields", None)
    if fields is not None:
        return list(fields)
    # A class that mypyc has compiled names its attributes in a way of its own.
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    compiled = [name for name in getattr(type(thing), "__mypyc_attrs__", ()) if hasattr(thing, name)]
    return [*slots, *compiled, *getattr(thing, "__dict__", {})]
