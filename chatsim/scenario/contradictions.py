"""Combinations of a scenario's words that cannot be meant.

Decides what contradicts what. Rule: it looks at the words themselves and passes over those that cannot be read, so
that one wrong quantity never hides a contradiction elsewhere. Each word by itself is the models' affair, the
handler's settings HandlerConfig's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from chatsim.scenario import units
from chatsim.scenario.expectations import named_group
from chatsim.scenario.faults import Fault, did_you_mean

_NO_VICTIMS: Final = frozenset({"restart_node", "drain_node", "crash_node", "log_outage", "clock_jump"})


_LOG_EVENTS: Final = ("restart_node", "drain_node", "crash_node", "log_outage")
"""What asks for a log that outlives its server."""


def contradictions(mapping: Mapping[str, Any]) -> list[Fault]:
    """The contradictions of a scenario's mapping, whatever else is wrong with it."""
    groups = [group for group in _list(mapping.get("groups")) if isinstance(group, Mapping)]
    users = {group["name"]: _count(group.get("users")) for group in groups if isinstance(group.get("name"), str)}
    duration_s = _quietly(units.duration, mapping.get("duration"))
    found: list[Fault] = []
    warmup_s = _quietly(units.duration, mapping.get("warmup", 0))
    if duration_s is not None and warmup_s is not None and 0 < duration_s <= warmup_s:
        found.append((("warmup",), "lasts as long as the whole run, so nothing would be measured: shorten it"))
    for index, group in enumerate(_list(mapping.get("groups"))):
        if isinstance(group, Mapping):
            found += [(("groups", index, *path), text) for path, text in _of_group(group, groups, duration_s)]
    log = mapping.get("log")
    if isinstance(log, Mapping) and log.get("store") == "memory":
        found += _forgotten(mapping)
    for index, event in enumerate(_list(mapping.get("events"))):
        if isinstance(event, Mapping):
            found += [(("events", index, *path), text) for path, text in _of_event(event, users, duration_s)]
    for index, text in enumerate(_list(mapping.get("expect"))):
        named = named_group(text)
        if named is not None and named not in users:
            found.append((("expect", index), f"names the unknown group {named!r}{did_you_mean(named, users)}"))
    return found


def _forgotten(mapping: Mapping[str, Any]) -> list[Fault]:
    """Events that want a log which lasts, where the scenario says that it does not."""
    lasting = [e["do"] for e in _list(mapping.get("events")) if isinstance(e, Mapping) and e.get("do") in _LOG_EVENTS]
    if not lasting:
        return []
    return [(("log", "store"), f"memory forgets everything, and {lasting[0]} wants a log that lasts: write sqlite")]


def _of_group(group: Mapping[str, Any], groups: list[Mapping[str, Any]], duration_s: float | None) -> list[Fault]:
    found: list[Fault] = []
    name, users, size = group.get("name"), _count(group.get("users")), _count(group.get("session_size"))
    first = next(other for other in groups if other.get("name") == name)
    if name is not None and first is not group:
        found.append((("name",), f"{name!s} is the name of an earlier group: give each its own"))
    if users is not None and size is not None and size > users:
        found.append((("session_size",), f"{size} is more than the group's {users} users: lower it, or add users"))
    arrive_s = _quietly(units.duration, group.get("arrive_over", 0))
    if duration_s is not None and arrive_s is not None and arrive_s > duration_s:
        found.append((("arrive_over",), "is longer than the run, so some would never arrive: shorten it"))
    return found


def _of_event(event: Mapping[str, Any], users: Mapping[str, int | None], duration_s: float | None) -> list[Fault]:
    found: list[Fault] = []
    at_s = _quietly(units.duration, event.get("at"))
    if duration_s is not None and at_s is not None and at_s >= duration_s:
        found.append((("at",), "is not before the end of the run: move it, or lengthen the duration"))
    if any(event.get("do") == word for word in _NO_VICTIMS):
        return found
    name = event.get("group")
    if isinstance(name, str) and name not in users:
        found.append((("group",), f"unknown group {name!r}{did_you_mean(name, users)}"))
    if event.get("do") == "arrive" and name is None and len(users) > 1:
        found.append((("group",), f"is required, because there is more than one: {', '.join(users)}"))
    if event.get("do") == "end_session" and "ttl" in event and "for" not in event:
        found.append((("ttl",), "is how long those who are back have their session: say with for when they are back"))
    if "share" in event and "count" in event:
        found.append((("count",), "share and count exclude each other: keep one"))
    count = _count(event.get("count"))
    known = [users.get(name)] if isinstance(name, str) else list(users.values())
    there = sum(number for number in known if number is not None) if known and None not in known else None
    if count is not None and there is not None and count > there:
        found.append((("count",), f"{count} is more than the {there} users there are: lower it"))
    return found


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _quietly(read: Callable[[object], Any], value: object) -> Any:
    """What can be read, or None: what cannot is refused by its own model."""
    try:
        return read(value)
    except ValueError:
        return None
