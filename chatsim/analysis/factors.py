"""What is changed to see how much the capacity of a node depends on it: one factor at a time, to both sides.

Decides which factors there are and how far each is turned. Rule: a factor changes one thing that a planner does not
know for certain, by words that a scenario file could say; what a scenario does not have, or would contradict, is left
out and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from chatsim.errors import UsageError
from chatsim.scenario import units
from chatsim.scenario.model import Group, Periodic, Poisson, Profile, Scenario

RATE: Final = (0.8, 1.25)
DOUBLE: Final = (0.5, 2.0)

BURST_S: Final = 0.25
"""Everybody's messages come in every other stretch of so long, twice as many in it: more is a flash crowd, and a
scenario of its own."""

BURSTS_MAX: Final = 2000
"""Stretches of a profile: a longer run is turned into fewer, longer ones."""


class Side(msgspec.Struct, frozen=True):
    """A factor turned to one side: what it says, and the scenario; None where it cannot be, and `why`."""

    says: str
    scenario: Scenario | None
    why: str = ""


class Factor(msgspec.Struct, frozen=True):
    """One thing that may be otherwise, turned down and up."""

    name: str
    sides: tuple[Side, ...]


def factors(scenario: Scenario) -> list[Factor]:
    """Every factor of this scenario, in the order in which they are told."""
    return [
        Factor("message rate", tuple(_side(scenario, f"x {by:g}", partial(_rates, scenario, by)) for by in RATE)),
        Factor(
            "room size",
            tuple(_side(scenario, _rooms_say(scenario, by), partial(_rooms, scenario, by)) for by in DOUBLE),
        ),
        Factor("burstiness", tuple(_bursts(scenario))),
        Factor(
            "network latency",
            tuple(_side(scenario, f"x {by:g}", partial(_network, scenario, by)) for by in DOUBLE),
        ),
        # First pings lie in the second half of an interval, so that before it is over there are too few or too many.
        _setting(scenario, "ping interval", "ping_interval", scenario.warmup_s - _arrived_s(scenario)),
        _setting(scenario, "retry interval", "retry_interval", _talked_s(scenario)),
    ]


def _side(scenario: Scenario, says: str, changes: Callable[[], Mapping[str, Any]]) -> Side:
    try:
        return Side(says, scenario.with_(changes()))
    except UsageError as problem:
        return Side(says, None, str(problem).splitlines()[0])


def _setting(scenario: Scenario, name: str, word: str, seen_s: float) -> Factor:
    """A setting of the handler that is a period; nothing is to be seen of it in less than `seen_s`."""
    now_s = float(getattr(scenario.handler, f"{word}_s"))
    sides = []
    for by in DOUBLE:
        says = f"{now_s * by:g} s"
        if now_s * by > seen_s:
            sides.append(Side(says, None, f"the run shows no more than {seen_s:g} s of it"))
        else:
            sides.append(_side(scenario, says, partial(dict, {f"handler.{word}": says.replace(" ", "")})))
    return Factor(name, tuple(sides))


def _arrived_s(scenario: Scenario) -> float:
    """When everybody has come in."""
    return max(group.arrive_over_s for group in scenario.groups)


def _talked_s(scenario: Scenario) -> float:
    """How long somebody has been talking when the sending ends: nothing is older then."""
    begins = [
        next((at for at, rate in group.messages.profile if rate), scenario.duration_s)
        if isinstance(group.messages, Profile)
        else 0.0
        for group in _talking(scenario)
    ]
    return scenario.duration_s - min(begins, default=scenario.duration_s)


def _talking(scenario: Scenario) -> Iterator[Group]:
    return (group for group in scenario.groups if group.messages is not None)


def _rates(scenario: Scenario, by: float) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for group in _talking(scenario):
        messages = group.messages
        if isinstance(messages, Poisson | Periodic):
            made[f"groups.{group.name}.messages"] = {
                "arrivals": messages.arrivals,
                "rate": f"{messages.rate_per_s * by:.9g}/s",
            }
        elif isinstance(messages, Profile):
            points = [(at, rate * by) for at, rate in messages.profile]
            made[f"groups.{group.name}.messages"] = _profile(points)
        else:
            raise UsageError("who sends when the last was acked, or by a recorded trace, has no rate to be changed")
    return _some(made, "nobody sends anything")


def _rooms_say(scenario: Scenario, by: float) -> str:
    sizes = [f"{_room(group, by)}" for group in scenario.groups if group.session_size > 1]
    return ", ".join(sizes) or f"x {by:g}"


def _room(group: Group, by: float) -> int:
    return max(2, round(group.session_size * by))


def _rooms(scenario: Scenario, by: float) -> dict[str, Any]:
    made = {
        f"groups.{group.name}.session_size": _room(group, by) for group in scenario.groups if group.session_size > 1
    }
    return _some(made, "nobody shares a room with anybody")


def _bursts(scenario: Scenario) -> Iterator[Side]:
    if all(isinstance(group.messages, Poisson) for group in _talking(scenario)):
        yield _side(scenario, "evenly spaced", lambda: _evenly(scenario))
    width = max(BURST_S, scenario.duration_s / BURSTS_MAX)
    yield _side(scenario, f"in bursts of {width * 1000:g} ms", lambda: _in_bursts(scenario, width))


def _evenly(scenario: Scenario) -> dict[str, Any]:
    made = {
        f"groups.{group.name}.messages": {"arrivals": "periodic", "rate": f"{group.messages.rate_per_s:.9g}/s"}
        for group in _talking(scenario)
        if isinstance(group.messages, Poisson)
    }
    return _some(made, "nobody sends anything")


def _in_bursts(scenario: Scenario, width: float) -> dict[str, Any]:
    """The same number of messages, everybody's in every other stretch."""
    made: dict[str, Any] = {}
    for group in _talking(scenario):
        messages = group.messages
        if isinstance(messages, Poisson | Periodic):
            parts = [(0.0, messages.rate_per_s)]
        elif isinstance(messages, Profile):
            parts = list(messages.profile)
        else:
            raise UsageError("who sends when the last was acked, or by a recorded trace, cannot be made to burst")
        points: list[tuple[float, float]] = []
        for (at, rate), end in zip(parts, [*(at for at, _ in parts[1:]), scenario.duration_s], strict=True):
            if rate == 0:
                points.append((at, 0.0))
                continue
            for number in range(max(1, round((min(end, scenario.duration_s) - at) / width))):
                points.append((at + number * width, 2 * rate if number % 2 == 0 else 0.0))
        made[f"groups.{group.name}.messages"] = _profile(points)
    return _some(made, "nobody sends anything")


def _profile(points: list[tuple[float, float]]) -> dict[str, Any]:
    return {"arrivals": "profile", "profile": [[f"{at:.9g}s", f"{rate:.9g}/s"] for at, rate in points]}


def _network(scenario: Scenario, by: float) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for words in scenario.words["groups"]:
        latency = (words.get("network") or {}).get("latency")
        if latency:
            made[f"groups.{words['name']}.network.latency"] = _longer(latency, by)
    return _some(made, "the network takes no time")


def _longer(words: Any, by: float) -> Any:
    """A distribution of durations as a file says it, each duration so many times as long; shapes stay."""
    if isinstance(words, Mapping):
        return {key: _longer(value, by) for key, value in words.items()}
    if isinstance(words, list):
        return [_longer(value, by) for value in words]
    if not isinstance(words, str):
        return words
    try:
        return f"{units.duration(words) * by:.9g}s"
    except ValueError:
        raise UsageError("a latency that is read from a file cannot be stretched") from None


def _some(made: dict[str, Any], otherwise: str) -> dict[str, Any]:
    if not made:
        raise UsageError(otherwise)
    return made
