"""Merging `live:` into the scenario that it stands in.

Decides what "overrides of any key" means. Rule: mappings merge, groups merge by name, everything else is replaced;
and so is a mapping that names another kind of thing (another distribution, other arrivals), because two kinds do not
mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatsim.scenario.reading import FORMS


def merged(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The scenario's mapping with its overrides in place, and neither `live` nor `time_scale` left."""
    base = {key: value for key, value in mapping.items() if key != "live"}
    over = {key: value for key, value in (mapping.get("live") or {}).items() if key != "time_scale"}
    return _merge(base, over)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(base)
    for key, value in over.items():
        old = made.get(key)
        if key == "groups" and isinstance(old, list) and isinstance(value, list):
            made[key] = _merge_groups(old, value)
        elif isinstance(old, Mapping) and isinstance(value, Mapping) and not _another_kind(old, value):
            made[key] = _merge(old, value)
        else:
            made[key] = value
    return made


def _merge_groups(base: list[Any], over: list[Any]) -> list[Any]:
    """Groups with the overrides of the same name merged in; their order stays."""
    changes = {
        group["name"]: group for group in over if isinstance(group, Mapping) and isinstance(group.get("name"), str)
    }
    return [
        _merge(group, changes[group["name"]])
        if isinstance(group, Mapping) and isinstance(group.get("name"), str) and group["name"] in changes
        else group
        for group in base
    ]


def _another_kind(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the override names another distribution, or the same one anew, or other arrivals."""
    if any(key in FORMS for key in new) and any(key in FORMS for key in old):
        return True
    return "arrivals" in new and new["arrivals"] != old.get("arrivals")
