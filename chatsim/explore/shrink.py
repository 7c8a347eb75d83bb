"""From a failing scenario to a small one that fails in the same way.

Decides what is left out: first faults, then people, then time, then settings. Rule: a step is kept if, and only if, the
same invariant still does not hold, so what is left fails by itself; nothing is made up that was not there before.
Delta debugging after Zeller and Hildebrandt (2002), "Simplifying and isolating failure-inducing input".
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from ruamel.yaml import YAML

from chatsim.explore.lots import Words
from chatsim.explore.play import Wire, play
from chatsim.scenario import units
from chatsim.scenario.faults import FaultsError
from chatsim.scenario.model import Scenario

T = TypeVar("T")

TRIES_MAX: Final = 250
"""So many runs are spent on making a scenario smaller."""

_SHARED: Final = ("name", "users")
"""What a group cannot do without."""


class Shrinker:
    """Makes one scenario smaller; `fails(words)` says whether it still fails in the same way."""

    def __init__(self, words: Words, fails: Callable[[Words], bool], tries_max: int = TRIES_MAX) -> None:
        self.words = copy.deepcopy(words)
        self.tries = 0
        self._fails = fails
        self._tries_max = tries_max

    def shrink(self) -> Words:
        """The smallest that was found."""
        while self.tries < self._tries_max:
            before = copy.deepcopy(self.words)
            self._events()
            self._groups()
            self._numbers()
            self._settings()
            if self.words == before:
                break
        return self.words

    def _try(self, words: Words) -> bool:
        """Take this one if it fails too."""
        if words == self.words or self.tries >= self._tries_max:
            return False
        self.tries += 1
        if not self._fails(words):
            return False
        self.words = words
        return True

    def _events(self) -> None:
        def tried(events: Sequence[Any]) -> bool:
            return self._try({**self.words, "events": list(events)})

        _fewer(self.words.get("events", []), tried)

    def _groups(self) -> None:
        for place in reversed(range(len(self.words["groups"]))):
            if len(self.words["groups"]) > 1:
                groups = [group for number, group in enumerate(self.words["groups"]) if number != place]
                self._try({**self.words, "groups": groups})
        for place in range(len(self.words["groups"])):
            for key in [key for key in self.words["groups"][place] if key not in _SHARED]:
                self._try(_without(self.words, ("groups", place, key)))

    def _numbers(self) -> None:
        """Fewer people, less time, fewer messages."""
        for place in range(len(self.words["groups"])):
            for key in ("users", "session_size", "connections_per_user"):
                while self._lower(("groups", place, key)):
                    pass
            while self._slower(place):
                pass
        while self._sooner():
            pass

    def _lower(self, path: tuple[Any, ...]) -> bool:
        value = _at(self.words, path)
        if not isinstance(value, int) or value <= 1:
            return False
        return any(self._try(_with(self.words, path, lower)) for lower in sorted({value // 2, value - 1}) if lower >= 1)

    def _slower(self, place: int) -> bool:
        """Half as many messages, where they come at a rate."""
        rate = _at(self.words, ("groups", place, "messages", "rate"))
        if not isinstance(rate, str) or units.rate(rate) * 60 < 1:
            return False
        return self._try(_with(self.words, ("groups", place, "messages", "rate"), f"{units.rate(rate) * 30:g}/min"))

    def _sooner(self) -> bool:
        duration_s = units.duration(self.words["duration"])
        return duration_s > 5 and self._try({**self.words, "duration": f"{round(duration_s * 0.7)}s"})

    def _settings(self) -> None:
        for key in [*self.words.get("handler", ())]:
            self._try(_without(self.words, ("handler", key)))
        for key in ("log", "costs", "ties", "handler", "events"):
            if key in self.words:
                self._try(_without(self.words, (key,)))


def shrunk(words: Words, wire: Wire, invariant: str, tries_max: int = TRIES_MAX) -> Words:
    """A small scenario in which the same invariant does not hold on the same wire."""

    def fails(candidate: Words) -> bool:
        try:
            scenario = Scenario.of(candidate)
        except FaultsError:
            return False
        return any(violation.name == invariant for violation in play(scenario, wire).violations)

    return Shrinker(words, fails, tries_max).shrink()


def write(words: Words, path: Path, invariant: str, sentence: str) -> None:
    """Write a scenario file that says what it shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    described = {**words, "name": path.stem, "description": f"{invariant}: {sentence}"}
    yaml = YAML()
    yaml.width = 120
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(described, file)


def _fewer(items: Sequence[T], tried: Callable[[Sequence[T]], bool]) -> None:
    """Leave out ever smaller parts of the list, as long as `tried` takes what is left."""
    kept = list(items)
    size = len(kept)
    while size >= 1:
        for rest in list(_rests(kept, size)):
            if tried(rest):
                kept = rest
                break
        else:
            size //= 2
        size = min(size, len(kept))


def _rests(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """The list without each stretch of that size."""
    for start in range(0, len(items), size):
        yield [*items[:start], *items[start + size :]]


def _at(words: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        if isinstance(words, dict):
            words = words.get(key)
        elif isinstance(words, list) and isinstance(key, int):
            words = words[key]
        else:
            return None
    return words


def _with(words: Words, path: tuple[Any, ...], value: Any) -> Words:
    made = copy.deepcopy(words)
    _at(made, path[:-1])[path[-1]] = value
    return made


def _without(words: Words, path: tuple[Any, ...]) -> Words:
    made = copy.deepcopy(words)
    del _at(made, path[:-1])[path[-1]]
    return made
