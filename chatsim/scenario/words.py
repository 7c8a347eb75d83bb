"""The kinds of values that a scenario's words take, and the base of its models.

Decides how each kind is read (through `units` and `reading`) and how the JSON Schema shows it. Rule: a field of the
code carries its unit in its name (`warmup_s`), the word in YAML does not (`warmup`); the base derives one from the
other. Which words exist is decided by the models.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, ValidationInfo, WithJsonSchema

from chatsim.scenario import reading, units
from chatsim.scenario.distributions import Distribution
from chatsim.scenario.faults import FaultsError

ZERO: Final[dict[str, Any]] = {"const": 0}
SIGNED_DURATION_SCHEMA: Final = {
    "anyOf": [{"type": "string", "pattern": units.pattern([*units.SECONDS], signed=True)}, ZERO]
}
DURATION_SCHEMA: Final = {"anyOf": [{"type": "string", "pattern": units.pattern([*units.SECONDS])}, ZERO]}
RATE_SCHEMA: Final = {
    "anyOf": [{"type": "string", "pattern": units.pattern([f"/{name}" for name in units.WINDOWS])}, ZERO]
}
SHARE_SCHEMA: Final = {
    "anyOf": [{"type": "string", "pattern": units.pattern(["%"])}, {"type": "number", "minimum": 0, "maximum": 1}]
}
SIZE_SCHEMA: Final = {
    "anyOf": [{"type": "string", "pattern": units.pattern([*units.BYTES])}, {"type": "number", "minimum": 0}]
}
BANDWIDTH_SCHEMA: Final = {"type": "string", "pattern": units.pattern([*units.BITS])}


def word(field: str) -> str:
    """The YAML word of a field: its name without the unit."""
    for suffix in ("_bits_per_s", "_per_s", "_s"):
        if field.endswith(suffix):
            return field.removesuffix(suffix)
    return field


class Words(BaseModel):
    """Base of the models: frozen, no unknown keys, and words without units."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, alias_generator=word, defer_build=True
    )


def folder_of(info: ValidationInfo) -> Path | None:
    """The folder that relative paths start from, as the reader of the scenario gave it."""
    return info.context.get("folder") if isinstance(info.context, dict) else None


def whole(minimum: int, maximum: int | None = None) -> Callable[[object], int]:
    """A reader of whole numbers from `minimum` up, and up to `maximum` where there is one."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ValueError(f"{value!s} is not a whole number of at least {minimum}")
        if maximum is not None and value > maximum:
            # Not with the number itself: it may have more digits than Python writes.
            raise ValueError(f"is more than {maximum}: write a smaller number")
        return value

    return read


def positive(read: Callable[[object], float]) -> Callable[[object], float]:
    """A reader that refuses 0 as well."""

    def checked(value: object) -> float:
        found = read(value)
        if found <= 0:
            raise ValueError(f"{value!s} must be more than 0: leave the key out if nothing should happen")
        return found

    return checked


def switch(value: object) -> bool:
    """`true`, `false`, `on` or `off`."""
    if value in ("on", "off"):
        return value == "on"
    if not isinstance(value, bool):
        raise ValueError(f"{value!s} is neither true nor false")
    return value


def text(value: object) -> str:
    """Text, which a bare number is not: 5.10 would become 5.1."""
    if not isinstance(value, str):
        raise ValueError(f"{value!s} is not text: put it in quotes")
    return value


def texts(value: object) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list):
        raise ValueError('should be a list of texts, like ["5.3"]')
    wrong = [
        ((index,), f"{item!s} is not text: put it in quotes")
        for index, item in enumerate(value)
        if not isinstance(item, str)
    ]
    if wrong:
        raise FaultsError(wrong)
    return tuple(value)


TAG_PATTERN: Final = r"^[^\x00-/:-@\[-`\{-\x7f]"
"""What a tag begins with: a letter or a digit, and no sign of ASCII (in the ECMA dialect too)."""


def tags(value: object) -> tuple[str, ...]:
    """A list of tags, which mark tests in pytest: texts that begin with a letter or a digit."""
    found = texts(value)
    wrong = [
        ((index,), f"{units.shortened(tag)!r} is no tag: begin it with a letter or a digit, as pytest wants it")
        for index, tag in enumerate(found)
        if not re.match(TAG_PATTERN, tag)
    ]
    if wrong:
        raise FaultsError(wrong)
    return found


def distribution_of(quantity: reading.Quantity) -> Callable[[object, ValidationInfo], Distribution]:
    """A reader of distributions of that quantity."""

    def read(value: object, info: ValidationInfo) -> Distribution:
        return reading.read_distribution(value, quantity, folder_of(info))

    return read


def distribution_schema(quantity: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a distribution whose parameters are of the given quantity."""
    plain = {"type": "number", "exclusiveMinimum": 0}
    kinds: dict[str, Any] = {"constant": quantity}
    for kind, forms in reading.FORMS.items():
        options = []
        for form in forms:
            properties = {name: plain if name in reading.PLAIN else quantity for name in form}
            if kind == "empirical":
                properties = {"file": {"type": "string", "minLength": 1}}
            properties["shift"] = quantity
            options.append(
                {"type": "object", "properties": properties, "required": list(form), "additionalProperties": False}
            )
        if options:
            kinds[kind] = options[0] if len(options) == 1 else {"anyOf": options}
    kinds["mixture"] = {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["weight"]}}
    named = {
        "type": "object",
        "properties": {**kinds, "shift": quantity},
        "oneOf": [{"required": [kind]} for kind in kinds],
        "additionalProperties": False,
    }
    return {"anyOf": [quantity, named]}


Duration: TypeAlias = Annotated[float, BeforeValidator(units.duration), WithJsonSchema(DURATION_SCHEMA)]
PositiveDuration: TypeAlias = Annotated[
    float, BeforeValidator(positive(units.duration)), WithJsonSchema(DURATION_SCHEMA["anyOf"][0])
]
Rate: TypeAlias = Annotated[float, BeforeValidator(positive(units.rate)), WithJsonSchema(RATE_SCHEMA["anyOf"][0])]
Share: TypeAlias = Annotated[float, BeforeValidator(units.share), WithJsonSchema(SHARE_SCHEMA)]
PositiveShare: TypeAlias = Annotated[float, BeforeValidator(positive(units.share)), WithJsonSchema(SHARE_SCHEMA)]
Bandwidth: TypeAlias = Annotated[float, BeforeValidator(units.bandwidth), WithJsonSchema(BANDWIDTH_SCHEMA)]
Count: TypeAlias = Annotated[int, BeforeValidator(whole(1)), WithJsonSchema({"type": "integer", "minimum": 1})]
Seed: TypeAlias = Annotated[
    int,
    BeforeValidator(whole(0, units.SEED_MAX)),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": units.SEED_MAX}),
]
Switch: TypeAlias = Annotated[
    bool, BeforeValidator(switch), WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": ["on", "off"]}]})
]
Text: TypeAlias = Annotated[str, BeforeValidator(text)]
Texts: TypeAlias = Annotated[
    tuple[str, ...], PlainValidator(texts), WithJsonSchema({"type": "array", "items": {"type": "string"}})
]
Tags: TypeAlias = Annotated[
    tuple[str, ...],
    PlainValidator(tags),
    WithJsonSchema({"type": "array", "items": {"type": "string", "pattern": TAG_PATTERN}}),
]
DurationDistribution: TypeAlias = Annotated[
    Distribution, PlainValidator(distribution_of(units.duration)), WithJsonSchema(distribution_schema(DURATION_SCHEMA))
]
SizeDistribution: TypeAlias = Annotated[
    Distribution, PlainValidator(distribution_of(units.size)), WithJsonSchema(distribution_schema(SIZE_SCHEMA))
]
