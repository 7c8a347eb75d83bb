"""The JSON Schema of scenario files, for editors and for other programs.

Decides nothing by itself: it is generated from the models. Rule: what the schema refuses, loading refuses too;
loading refuses more (contradictions, missing files), because a schema cannot say everything.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from chatsim.core.config import ALGORITHMS, HandlerConfig
from chatsim.scenario import handler
from chatsim.scenario.costs import (
    COLLECT,
    COMMIT_BUSY,
    FINER,
    FIRST,
    GO_WITH,
    OF_COMMITS,
    PACE,
    PAUSES,
    SPANS,
    WORDS,
)
from chatsim.scenario.model import MESSAGES, Scenario
from chatsim.scenario.words import (
    DURATION_SCHEMA,
    RATE_SCHEMA,
    SHARE_SCHEMA,
    SIZE_SCHEMA,
    distribution_schema,
)

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_BY_KIND: Final[dict[str, dict[str, Any]]] = {
    "duration": DURATION_SCHEMA,
    "rate": RATE_SCHEMA,
    "limit": RATE_SCHEMA["anyOf"][0],
    "size": SIZE_SCHEMA,
    "count": {"type": "integer", "minimum": 0},
    "switch": {"anyOf": [{"type": "boolean"}, {"enum": ["on", "off"]}]},
    "text": {"type": ["string", "null"]},
    "list": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "algorithms": {
        "anyOf": [
            {"enum": list(ALGORITHMS)},
            {"type": "array", "minItems": 1, "items": {"enum": list(ALGORITHMS)}},
        ]
    },
    "reliability": {"enum": ["hardened", "baseline"]},
    "rate_algorithm": {"enum": ["sliding", "fixed", "token_bucket"]},
}


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one scenario file; a new dictionary at each call."""
    made = Scenario.model_json_schema(by_alias=True, schema_generator=_Quiet)
    definitions = made.setdefault("$defs", {})
    definitions["Handler"] = _handler()
    definitions["Costs"] = _costs()
    made["properties"]["handler"] = {"$ref": "#/$defs/Handler"}
    made["properties"]["costs"] = {"$ref": "#/$defs/Costs"}
    group = definitions["Group"]["properties"]
    group["messages"] = {"anyOf": [group["messages"], _folded()]}
    made["properties"]["live"] = {
        "type": "object",
        "description": "Overrides of any key for wall-clock runs, and the time scale.",
        "properties": {"time_scale": {"type": "number", "exclusiveMinimum": 0}, "name": False, "live": False},
    }
    shared = _shared()
    body = {key: _referring(value, shared) for key, value in made.items() if key != "$defs"}
    inner = {name: _referring(value, shared) for name, value in definitions.items()}
    whole = {name: _referring(value, shared, but=name) for name, value in shared.items()}
    return {"$schema": DIALECT, **body, "$defs": {**whole, **inner}}


def _shared() -> dict[str, Any]:
    """Schemas that stand in many places, by the name they are referred to."""
    return {
        "Duration": DURATION_SCHEMA,
        "PositiveDuration": DURATION_SCHEMA["anyOf"][0],
        "Rate": RATE_SCHEMA,
        "PositiveRate": RATE_SCHEMA["anyOf"][0],
        "Share": SHARE_SCHEMA,
        "Size": SIZE_SCHEMA,
        "DurationDistribution": distribution_schema(DURATION_SCHEMA),
        "SizeDistribution": distribution_schema(SIZE_SCHEMA),
    }


def _referring(part: Any, shared: dict[str, Any], but: str = "") -> Any:
    """A part of the schema with references in place of what is shared, and without the generated titles."""
    if isinstance(part, list):
        return [_referring(item, shared) for item in part]
    if not isinstance(part, dict):
        return part
    plain = {key: value for key, value in part.items() if key != "title" or not isinstance(value, str)}
    for name, value in shared.items():
        if name != but and plain == value:
            return {"$ref": f"#/$defs/{name}"}
    return {key: _referring(value, shared) for key, value in plain.items()}


class _Quiet(GenerateJsonSchema):
    """Leaves defaults out that JSON cannot say (they are objects of the code); the documentation names them."""

    def default_schema(self, schema: Any) -> dict[str, Any]:
        inner: dict[str, Any] = self.generate_inner(schema["schema"])
        return inner


def _handler() -> dict[str, Any]:
    """Schema of the handler's words."""
    words = handler.words()
    described = HandlerConfig.__doc__ or ""
    properties = {word: _BY_KIND[handler.kind(field)] for word, field in words.items()}
    return {
        "type": "object",
        "description": described.partition(".")[0],
        "properties": properties,
        "additionalProperties": False,
    }


def _costs() -> dict[str, Any]:
    """Schema of the costs: `default`, 0, a file, or each by name."""
    words = dict.fromkeys((*WORDS, *FINER, *OF_COMMITS, *PACE), distribution_schema(DURATION_SCHEMA))
    words |= {
        "pace": distribution_schema({"type": "number", "minimum": 0}),
        **dict.fromkeys(SPANS, DURATION_SCHEMA),
    }
    words[COMMIT_BUSY] = {"type": "number", "minimum": 0, "maximum": 1}
    pauses = {"type": "array", "items": DURATION_SCHEMA, "minItems": 1}
    whole = {"type": "integer", "minimum": 1}
    by_pauses = {
        "type": "object",
        "properties": {FIRST: whole, "every": whole, "pauses": pauses},
        "required": list(PAUSES),
        "additionalProperties": False,
    }
    words[COLLECT] = {"anyOf": [words[COLLECT], by_pauses]}
    together = {word: list(others) for word, others in GO_WITH.items()}
    named = {"type": "object", "properties": words, "dependentRequired": together, "additionalProperties": False}
    return {"anyOf": [{"const": 0}, {"type": "string", "minLength": 1}, named]}


def _folded() -> dict[str, Any]:
    """Schema of `{arrivals: {closed: {...}}}`, whose inside the loader checks."""
    arrivals = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "propertyNames": {"enum": list(MESSAGES)},
    }
    return {"type": "object", "properties": {"arrivals": arrivals}, "required": ["arrivals"]}
