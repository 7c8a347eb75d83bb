"""Playing a model faster or slower.

Decides which fields of a model follow a time scale. Rule: the unit in the field's name says it: seconds are
multiplied, rates per second divided, bits per second left alone, because the network does not play along. Which
models are scaled is `model`'s affair.
"""

from __future__ import annotations

from typing import Any

from chatsim.scenario.words import Words


def scaled_words(model: Words, scale: float) -> dict[str, Any]:
    """The fields that change, with their values at that scale."""
    changes: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if value is None or name.endswith("_bits_per_s"):
            continue
        if name.endswith("_per_s"):
            changes[name] = value / scale
        elif name == "moments_s":
            changes[name] = tuple(moment * scale for moment in value)
        elif name.endswith("_s"):
            changes[name] = value * scale
        elif name == "think":
            changes[name] = value.scaled(scale)
        elif name == "profile":
            changes[name] = tuple((moment * scale, rate / scale) for moment, rate in value)
    return changes
