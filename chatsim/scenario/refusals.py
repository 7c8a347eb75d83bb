"""What pydantic finds wrong, said to a person.

Decides the sentences and the paths of validation errors. Rule: a path leads through the words of the file, so
pydantic's own steps (the tags of unions) are left out; and every unknown word gets a hint. Where a path stands in a
file is `load`'s affair.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from chatsim.scenario.faults import Fault, FaultsError, Path, did_you_mean, near

_SENTENCES: Final = {
    "missing": "is required and missing",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
    "model_attributes_type": "should be a mapping",
    "too_short": "is empty: at least one is needed",
}

_PATTERN_SENTENCE: Final = (
    "should consist of letters, digits, dots, dashes and underscores, because files are named after it"
)


def refusals(
    error: ValidationError,
    mapping: Any,
    model: type[BaseModel],
    tagged: Mapping[str, Mapping[str, type[BaseModel]]],
    context: Any = None,
) -> list[Fault]:
    """The faults behind a validation error of `model`; `tagged` holds, for keys with a union, the classes by tag.

    `context` is that of the validation.
    """
    found: list[Fault] = []
    for item in error.errors(include_url=False):
        path, owner = _walk(item["loc"], mapping, model, tagged)
        if item["type"] == "too_short" and item["input"]:
            # Items that were refused are missing afterwards; each has its own sentence.
            continue
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, FaultsError):
            found.extend(((*path, *inner), text) for inner, text in cause.found)
        elif isinstance(cause, ValueError):
            found.append((path, str(cause)))
        else:
            found.append((_at_tag(path, item["type"], item.get("ctx", {})), _sentence(item, path, owner)))
        if item["type"] in ("union_tag_invalid", "union_tag_not_found") and isinstance(item["input"], Mapping):
            key = next(step for step in reversed(path) if isinstance(step, str))
            tag = str(item["ctx"]["discriminator"]).strip("'")
            found.extend(
                ((*path, *inner), text) for inner, text in _of_no_kind(item["input"], tag, tagged[key], context)
            )
    return found


def _of_no_kind(value: Mapping[str, Any], tag: str, kinds: Mapping[str, type[BaseModel]], context: Any) -> list[Fault]:
    """The faults of a mapping of an unknown kind that every kind would find in it, so that the tag hides none of them.

    Where the kinds differ in what they say, it is said as the kind would that was probably meant.
    """
    meant = near(value.get(tag), kinds)
    refused = [_refused_keys({**value, tag: name}, kinds[name], context) for name in dict.fromkeys([*meant, *kinds])]
    found: list[Fault] = []
    for key in refused[0]:
        if all(key in keys for keys in refused):
            said = [keys[key] for keys in refused if keys[key]]
            words = dict.fromkeys(
                field.alias or name for kind in kinds.values() for name, field in kind.model_fields.items()
            )
            unknown: list[Fault] = [((key,), f"unknown key {key!r}{did_you_mean(key, words)}")]
            found += said[0] if said else unknown
    return found


def _refused_keys(value: Mapping[str, Any], kind: type[BaseModel], context: Any) -> dict[str | int, list[Fault]]:
    """The keys that this kind refuses, with their faults; a key that it does not know has none."""
    try:
        kind.model_validate(value, context=context)
    except ValidationError as error:
        keys: dict[str | int, list[Fault]] = {}
        unknown = {item["loc"][0] for item in error.errors() if item["type"] == "extra_forbidden"}
        for fault in refusals(error, value, kind, {}, context):
            keys.setdefault(fault[0][0], []).extend([] if fault[0][0] in unknown else [fault])
        return keys
    return {}


def _at_tag(path: Path, kind: str, context: Mapping[str, Any]) -> Path:
    """The path of a wrong tag: its own key, where it stands."""
    return (*path, str(context["discriminator"]).strip("'")) if kind == "union_tag_invalid" else path


def _sentence(item: Any, path: Path, owner: type[BaseModel] | None) -> str:
    """What one pydantic error means."""
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden" and owner is not None:
        known = [field.alias or name for name, field in owner.model_fields.items()]
        return f"unknown key {path[-1]!r}{did_you_mean(path[-1], known)}"
    if kind == "union_tag_invalid":
        known = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        return f"unknown word {context['tag']!r}{did_you_mean(context['tag'], known)}"
    if kind == "union_tag_not_found":
        discriminator = str(context["discriminator"]).strip("'")
        if not isinstance(item["input"], Mapping):
            return "should be a mapping"
        return f"{discriminator} is required and missing"
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        return f"{item['input']!s} is none of {', '.join(known)}{did_you_mean(item['input'], known)}"
    if kind == "string_pattern_mismatch":
        return f"{item['input']!r} {_PATTERN_SENTENCE}"
    return _SENTENCES.get(kind, str(item["msg"]))


def _walk(
    loc: tuple[str | int, ...],
    mapping: Any,
    model: type[BaseModel] | None,
    tagged: Mapping[str, Mapping[str, type[BaseModel]]],
) -> tuple[Path, type[BaseModel] | None]:
    """The path in the file that pydantic's location means, and the model that its last step belongs to."""
    path: list[str | int] = []
    value, key = mapping, ""
    inner = model
    owner = model
    for step in loc:
        tags = tagged.get(key)
        if tags is not None and isinstance(step, str) and step in tags and _names(value, step):
            # Forgotten at once, because a tag may be followed by a key of the same name.
            inner, key = tags[step], ""
            continue
        owner = inner
        path.append(step)
        if isinstance(step, str):
            key, inner = step, _model_of(owner, step)
            value = value.get(step) if isinstance(value, Mapping) else None
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else None
    return tuple(path), owner


def _names(value: Any, tag: str) -> bool:
    """Whether a mapping names that kind, so that the step is a tag and no key."""
    kinds = [value.get("do"), value.get("arrivals")] if isinstance(value, Mapping) else []
    return any(kind == tag or (isinstance(kind, Mapping) and tag in kind) for kind in kinds)


def _model_of(owner: type[BaseModel] | None, word: str) -> type[BaseModel] | None:
    """The model that stands under a word of another: itself, in a list, or beside None."""
    if owner is None:
        return None
    for name, field in owner.model_fields.items():
        if (field.alias or name) == word:
            kinds = [field.annotation, *get_args(field.annotation)]
            return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return None
