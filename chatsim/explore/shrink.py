"""From a failing scenario to a small one that fails in the same way.

Decides what is left out and what is made simpler: first faults, then people, then settings, then what is said about
each of them, and last every moment, duration, rate and number. Rule: a step is kept if, and only if, the same invariant
still does not hold, so what is left fails by itself; every step makes it shorter or simpler, and runs and time have an
end. Delta debugging after Zeller and Hildebrandt (2002), "Simplifying and isolating failure-inducing input", level by
level as Misherghi and Su (2006), "HDD: hierarchical delta debugging". Which value is the simpler one is `simpler`'s.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec

from chatsim.explore.lots import Words
from chatsim.explore.play import Wire, fitted, play
from chatsim.explore.simpler import shifted, simpler
from chatsim.scenario import units
from chatsim.scenario.faults import FaultsError
from chatsim.scenario.model import Scenario
from chatsim.scenario.yaml import yaml_text
from chatsim.verdict.invariants.catalogue import Violation

T = TypeVar("T")
Place: TypeAlias = tuple[Any, ...]

TRIES_MAX: Final = 500
"""So many runs are spent on making a scenario smaller."""

FOR_S: Final = 90.0
"""And so much time (s of the wall clock)."""

Ended: TypeAlias = Literal["done", "runs", "time", "interrupted"]

_NEEDED: Final = frozenset(
    {"name", "description", "seed", "duration", "groups", "expect", "users", "at", "do", "arrivals"}
)
"""Keys that are there in every scenario, group, event or load; no other has to be."""

_NAMES: Final = frozenset({"name", "description", "expect", "requirements", "tags", "do", "group", "arrivals"})
"""Keys with words behind them, not numbers."""


class Shrunk(msgspec.Struct):
    """What is left: the scenario, how many runs and how much time (s) it took, and why it ended there: nothing smaller
    fails, the runs or the time are spent, or somebody interrupted it."""

    words: Words
    tries: int
    took_s: float
    ended: Ended


class Shrinker:
    """Makes one scenario smaller; `fails(words)` says whether it still fails in the same way, and raises FaultsError
    where that is no scenario at all, which costs no run."""

    def __init__(
        self,
        words: Words,
        fails: Callable[[Words], bool],
        *,
        clock: Callable[[], float] = lambda: 0.0,
        tries_max: int = TRIES_MAX,
        for_s: float = FOR_S,
    ) -> None:
        self.words = copy.deepcopy(words)
        self.tries = 0
        self.ended: Ended = "done"
        self._fails = fails
        self._clock = clock
        self._tries_max = tries_max
        self._began_at = clock()
        self._for_s = for_s
        self._tried: set[bytes] = set()

    def shrink(self) -> Shrunk:
        """The smallest that was found; an interrupt (KeyboardInterrupt) ends the search and no more."""
        try:
            before = None
            while before != self.words and self.ended == "done":
                before = self.words
                self._round()
        except KeyboardInterrupt:
            self.ended = "interrupted"
        return Shrunk(self.words, self.tries, self._clock() - self._began_at, self.ended)

    def _round(self) -> None:
        """From what is most to what is least."""
        self._drop([("events", place) for place in range(len(self.words.get("events", ())))])
        self._drop([("groups", place) for place in range(len(self.words["groups"]))])
        self._drop([("handler", key) for key in self.words.get("handler", ())])
        self._drop(list(_optional(self.words)))
        self._plain()
        self._earlier()
        # Another seed is another story altogether, so it is the last to be touched.
        for path in sorted(_leaves(self.words), key=lambda path: path[0] in ("seed", "ties")):
            self._simpler(path)

    def _try(self, words: Words) -> bool:
        """Take this one if it fails too."""
        said = msgspec.json.encode(words)
        if words == self.words or said in self._tried or self.ended != "done":
            return False
        if self.tries >= self._tries_max:
            self.ended = "runs"
            return False
        if self._clock() - self._began_at >= self._for_s:
            self.ended = "time"
            return False
        self._tried.add(said)
        try:
            failed = self._fails(words)
        except FaultsError:
            return False
        self.tries += 1
        if failed:
            self.words = words
        return failed

    def _drop(self, paths: Sequence[Place]) -> None:
        """Leave out as many of these as possible."""
        whole = self.words
        _fewer(paths, lambda kept: self._try(_without(whole, [path for path in paths if path not in kept])))

    def _plain(self) -> None:
        """The same every time instead of at random, and fewer steps of a profile."""
        # What is inside first: the mapping around it may go.
        for path in reversed(list(_mappings(self.words))):
            inner = _at(self.words, path)
            if inner.get("arrivals") == "profile":
                steps = [(*path, "profile", place) for place in range(len(inner["profile"]))]
                self._drop(steps)
                fastest = max((step[1] for step in _at(self.words, path)["profile"]), key=units.rate)
                self._try(_with(self.words, path, {"arrivals": "periodic", "rate": fastest}))
            elif inner.get("arrivals") == "poisson":
                self._try(_with(self.words, path, {**inner, "arrivals": "periodic"}))
            elif inner.keys() == {"exponential"}:
                self._try(_with(self.words, path, {"constant": inner["exponential"]["mean"]}))

    def _earlier(self) -> None:
        """All events earlier by as much, and the run shorter by it: what lies between them stays as it is."""
        events = self.words.get("events", ())
        try:
            first_s = min((units.duration(event["at"]) for event in events), default=0.0)
        except ValueError:
            return
        for by_s in (first_s, round(first_s / 2, 3), round(first_s / 4, 3)):
            made = copy.deepcopy(self.words)
            places = [*made.get("events", ())]
            ats = [shifted(event["at"], by_s) for event in places]
            length = shifted(made["duration"], by_s)
            if length is None or None in ats:
                return
            for event, at in zip(places, ats, strict=True):
                event["at"] = at
            if by_s and self._try({**made, "duration": length}):
                return

    def _simpler(self, path: Place) -> None:
        """The simplest value there with which it still fails."""
        value = _at(self.words, path)
        for simple in simpler(value):
            if self._try(_with(self.words, path, simple)):
                return


def shrunk(
    words: Words,
    wire: Wire,
    broken: Violation,
    *,
    clock: Callable[[], float],
    tries_max: int = TRIES_MAX,
    for_s: float = FOR_S,
) -> Shrunk:
    """A small scenario in which the same invariant does not hold on the same wire."""

    def fails(candidate: Words) -> bool:
        # A simpler scenario is not to fail for what the wires may differ in.
        found = play(Scenario.of(fitted(candidate, wire)), wire, twice=broken.name == "same_again").violations
        return any(_alike(violation, broken) for violation in found)

    small = Shrinker(words, fails, clock=clock, tries_max=tries_max, for_s=for_s).shrink()
    return msgspec.structs.replace(small, words=fitted(small.words, wire))


def _alike(one: Violation, other: Violation) -> bool:
    """Whether it is the same invariant; of what was raised, the same kind: anything may raise in many places."""
    if one.name != other.name:
        return False
    return one.name != "calm" or one.detail.partition(":")[0] == other.detail.partition(":")[0]


def text(words: Words, name: str, broken: Violation) -> str:
    """A scenario file that says what it shows; the files that it names (`named`) are to stand beside it."""
    made = copy.deepcopy(words)
    for messages in _recorded(made):
        messages["file"] = Path(messages["file"]).name
    return yaml_text({**made, "name": name, "description": f"{broken.name}: {broken.sentence}"})


def named(words: Words) -> list[Path]:
    """The files that a scenario names."""
    return sorted({Path(messages["file"]) for messages in _recorded(words)})


def _recorded(words: Words) -> list[Words]:
    """The `messages:` that are at recorded moments."""
    return [group["messages"] for group in words["groups"] if "file" in group.get("messages", ())]


def _fewer(items: Sequence[T], tried: Callable[[Sequence[T]], bool]) -> None:
    """Leave out ever smaller stretches of the list, as long as `tried` takes what is left."""
    kept = list(items)
    size = len(kept)
    while size >= 1:
        start = 0
        while start < len(kept):
            rest = [*kept[:start], *kept[start + size :]]
            if tried(rest):
                kept = rest
            else:
                start += size
        size = min(size // 2, len(kept))


def _optional(words: Words) -> Iterator[Place]:
    """Everything that a scenario can do without, but for events, groups and settings; what is inside of something else
    comes behind it."""
    for path, inner in _inner(words, ()):
        for key in inner:
            if key not in _NEEDED and key != "handler" and path[:1] != ("handler",):
                yield (*path, key)
    if "handler" in words:
        yield ("handler",)


def _mappings(words: Words) -> Iterator[Place]:
    """The mappings within groups, events and the log."""
    return (path for path, _ in _inner(words, ()) if path and path[0] != "handler")


def _inner(value: Any, path: Place) -> Iterator[tuple[Place, Words]]:
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from _inner(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _inner(item, (*path, place))


def _leaves(value: Any, path: Place = ()) -> Iterator[Place]:
    """Where numbers stand, and texts that may be quantities."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in _NAMES:
                yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _leaves(item, (*path, place))
    else:
        yield path


def _at(words: Any, path: Place) -> Any:
    for key in path:
        words = words[key]
    return words


def _with(words: Words, path: Place, value: Any) -> Words:
    made = copy.deepcopy(words)
    _at(made, path[:-1])[path[-1]] = value
    return made


def _without(words: Words, paths: Sequence[Place]) -> Words:
    """The words without what stands there; an event that was about a group that is gone is about everybody."""
    made = copy.deepcopy(words)
    # From behind and from inside, so that the places of the others stay what they are.
    for path in sorted(paths, key=lambda path: [f"{key:06}" if isinstance(key, int) else key for key in path])[::-1]:
        del _at(made, path[:-1])[path[-1]]
    names = [group["name"] for group in made["groups"]]
    for event in made.get("events", ()):
        if event.get("group", names[:1]) not in (*names, names[:1]):
            del event["group"]
    return made
