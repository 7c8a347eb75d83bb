"""How a result is written as text: one JSON document, and one CSV cell.

Decides what infinity looks like ("inf") and that a number which is no number becomes null. Rule: the same result
gives the same bytes, so nothing here looks at a clock, at the locale or at the order of a set. What belongs into a
result is the runner's affair.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """The value in JSON's own types: infinity as "inf" and "-inf", NaN as None, paths as text, sets sorted."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    item = getattr(value, "item", None)
    assert callable(item), f"a result holds {type(value).__name__}, which no JSON document can hold"
    return plain(item())


def encode(document: Mapping[str, Any]) -> str:
    """One JSON document as text, keys in the order given, two spaces deep, without the final newline."""
    return json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False)


def cell(value: Any) -> str:
    """One CSV cell: numbers with every digit, infinity as `inf`, None and NaN empty, booleans as `true` and `false`."""
    found = plain(value)
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _number(value: float) -> float | str | None:
    """A float as JSON can say it."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(value)
