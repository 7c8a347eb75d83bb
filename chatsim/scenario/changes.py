"""A scenario with some of its words changed: `duration`, `handler.rate_limit`, `groups.mobile.users`, `events.0.at`.

Decides which place of a scenario a path means. Rule: a path is the words of a scenario file with dots between, where a
group goes by its name, dots in it and all, and an event or an expectation by its place from 0, as a group does whose
place is nobody's name; a word of groups alone (`users`) is meant for the only group. What is put there is read as a
file is, by the models; and it can be said again on a command line.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from chatsim.errors import UsageError
from chatsim.scenario.faults import did_you_mean
from chatsim.scenario.yaml import YamlError, parse_yaml, plain


def changed(
    source: Mapping[str, Any], changes: Mapping[str, Any], *, words: Collection[str], group_words: Collection[str]
) -> dict[str, Any]:
    """The mapping of a scenario file with the value of each path in its place; the mapping given stays as it is.

    `words` are those of a scenario, `group_words` those of a group. Raises UsageError where a path leads nowhere.
    """
    made = deepcopy(dict(source))
    for path, value in changes.items():
        place, key, _ = _found(made, path, words, group_words)
        place[key] = deepcopy(value)
    return made


class _Change(NamedTuple):
    place: tuple[Any, ...]
    path: str
    value: Any


def remembered(
    read: Mapping[str, Any],
    earlier: Mapping[str, Any],
    changes: Mapping[str, Any],
    *,
    words: Collection[str],
    group_words: Collection[str],
) -> dict[str, Any] | None:
    """What makes of the mapping that was `read`, by `changed`, what the `earlier` changes and then these made of it.

    In the order in which they were said, for a later one may lie within an earlier one; what a later one replaced is
    left out, for its path may lead nowhere any more. None where no path leads to a place: another group's name is in
    the way. Raises UsageError where a path leads nowhere.
    """
    made = deepcopy(dict(read))
    said: list[_Change] = []
    for path, value in (*earlier.items(), *changes.items()):
        into, key, above = _found(made, path, words, group_words)
        into[key] = deepcopy(value)
        place = (*above, key)
        said = [each for each in said if each.place[: len(place)] != place]
        said.append(_Change(place, path, deepcopy(value)))
    made = deepcopy(dict(read))
    told: dict[str, Any] = {}
    for each in said:
        # A group may have had another name when it was said, and one may be called what is another's place.
        paths = (each.path, ".".join(map(str, each.place)), _by_names(made, each.place))
        fits = (p for p in paths if p not in told and _leads_to(each.place, made, p, words, group_words))
        found = next(fits, None)
        if found is None:
            return None
        into, key, _ = _found(made, found, words, group_words)
        into[key] = deepcopy(each.value)
        told[found] = each.value
    return told


def _by_names(made: Mapping[str, Any], place: tuple[Any, ...]) -> str:
    """The path to a place by the names that stand there."""
    steps: list[str] = []
    at: Any = made
    for key in place:
        there = isinstance(at, dict) or (isinstance(at, list) and key < len(at))
        at = (at.get(key) if isinstance(at, dict) else at[key]) if there else None
        steps.append(str(at["name"] if isinstance(key, int) and isinstance(at, dict) and "name" in at else key))
    return ".".join(steps)


def _leads_to(
    place: tuple[Any, ...], made: Mapping[str, Any], path: str, words: Collection[str], group_words: Collection[str]
) -> bool:
    try:
        return place_of(made, path, words=words, group_words=group_words) == place
    except UsageError:
        return False


def place_of(
    source: Mapping[str, Any], path: str, *, words: Collection[str], group_words: Collection[str]
) -> tuple[Any, ...]:
    """Where a path leads, whatever it is called there: the keys and places from the top of a scenario file. Raises
    UsageError where it leads nowhere."""
    _, key, above = _found(deepcopy(dict(source)), path, words, group_words)
    return (*above, key)


def _found(
    made: dict[str, Any], path: str, words: Collection[str], group_words: Collection[str]
) -> tuple[Any, Any, list[Any]]:
    """What a path leads into, the key or place in it, and those above."""
    if not isinstance(path, str):
        raise UsageError(f"{path!r} is no path: write one like handler.rate_limit")
    steps = path.split(".")
    if steps[0] not in words and steps[0] in group_words:
        steps = ["groups", _only_group(made, path), *steps]
    elif steps[0] not in words:
        raise UsageError(f"{path}: a scenario has no {steps[0]}{did_you_mean(steps[0], [*words, *group_words])}")
    place: Any = made
    above: list[Any] = []
    while True:
        key, taken = _key(place, steps, path)
        if taken == len(steps):
            return place, key, above
        above.append(key)
        place = _inner(place, key, ".".join(steps[:taken]), path)
        steps = steps[taken:]


def set_options(changes: Mapping[str, Any]) -> list[str]:
    """The words of a command line that make the same changes, in their order: `--set`, `handler.rate_limit=30/min`."""
    return [word for path, value in changes.items() for word in ("--set", f"{path}={_said(value)}")]


def _said(value: Any) -> str:
    """A value in one line of YAML: as it is where it reads as itself, and otherwise as JSON, which is YAML too. It has
    no two blanks beside each other, of which pages and lines of a log make one."""
    value = plain(value)
    if isinstance(value, str) and value.isprintable() and value == " ".join(value.split()) != "":
        try:
            if parse_yaml(value).value == value:
                return value
        except YamlError:
            pass
    text = json.dumps(value, ensure_ascii=False)
    # What JSON leaves as it is and YAML refuses, or takes for the end of a line.
    text = "".join(each if each.isprintable() else _escaped(each) for each in text)
    return text.replace("  ", f" {_escaped(' ')}")


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


def _inner(place: Any, key: Any, step: str, path: str) -> Any:
    """What stands at a step of a path: a mapping or a list, made where there is nothing yet."""
    if isinstance(place, dict) and place.get(key) is None:
        place[key] = {}
    found = place[key]
    if not isinstance(found, dict | list):
        raise UsageError(f"{path}: {step} is {found!r}, and has no words of its own: change {step} itself")
    return found


def _key(place: Any, steps: list[str], path: str) -> tuple[Any, int]:
    """The key of a mapping, or the place in a list, and how many steps name it: as many as make a name, for a name may
    have dots."""
    step = steps[0]
    if isinstance(place, dict):
        return step, 1
    names = [entry["name"] for entry in place if isinstance(entry, dict) and "name" in entry]
    for taken in range(len(steps), 0, -1):
        name = ".".join(steps[:taken])
        if name in names:
            return next(at for at, entry in enumerate(place) if _is_called(entry, name)), taken
    if step.isdecimal() and int(step) < len(place):
        return int(step), 1
    known = names or [str(number) for number in range(len(place))]
    raise UsageError(f"{path}: there is no {step} among them{did_you_mean(step, known)}")


def _is_called(entry: Any, name: str) -> bool:
    return isinstance(entry, dict) and entry.get("name") == name


def _only_group(made: Mapping[str, Any], path: str) -> str:
    names = [group["name"] for group in made["groups"]]
    if len(names) == 1:
        return str(names[0])
    raise UsageError(f"{path} is a word of groups, and there are {', '.join(names)}: say groups.{names[0]}.{path}")
