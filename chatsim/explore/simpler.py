"""Simpler values for what stands in a scenario: rounder, earlier, smaller.

Decides which of two values is the simpler one: that with fewer digits to read, and of as many the smaller. Rule:
whatever is offered is simpler than what was there, so that nobody can go on for ever. Whether it is legal, and still
does what it should, is left to whoever tries it.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from chatsim.scenario.units import NUMBER

_QUANTITY: Final = re.compile(rf"([+-]?)({NUMBER})([^\d]*)")

_TEXT_PLACES: Final = 3
"""Digits behind the point, where a number is divided."""

_FEW: Final = 10


def simpler(value: Any) -> list[Any]:
    """Simpler values, the simplest first: of a number, or of a text that is a number with a unit; else none."""
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        made = _numbers(Decimal(str(abs(value))))
        # Whole numbers are counts, and a count of nobody is none.
        return [int(number) for number in made if number == int(number) and number >= 1]
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return []
    sign, number, unit = found.groups()
    return [f"{sign if made else ''}{_text(made)}{unit}" for made in _numbers(Decimal(number))]


def shifted(text: str, by_s: float) -> str | None:
    """A duration that is so much (s) earlier, None where that would be before the start or it is not in seconds."""
    found = _QUANTITY.fullmatch(text)
    if found is None or found[1] or found[3] != "s" or Decimal(found[2]) < Decimal(str(by_s)):
        return None
    return f"{_text(Decimal(found[2]) - Decimal(str(by_s)))}s"


def _numbers(number: Decimal) -> list[Decimal]:
    """Simpler numbers of 0 or more."""
    half = round(number / 2, _TEXT_PLACES)
    found = {Decimal(0), Decimal(1)}
    # One by one only where that soon comes to an end.
    found |= {number - 1} if 1 < number <= _FEW else set()
    found |= {_rounded(one, digits) for one in (half, number) for digits in (1, 2)}
    found |= {Decimal(int(number)), round(number, 1)}
    return sorted((one for one in found if one >= 0 and _effort(one) < _effort(number)), key=_effort)


def _effort(number: Decimal) -> tuple[int, Decimal]:
    """How much there is to read, zeros behind the point included, and to wait for."""
    if not number:
        return (0, number)
    found = number.normalize()
    return (max(len(found.as_tuple().digits), -(found.adjusted() - len(found.as_tuple().digits) + 1)), number)


def _rounded(number: Decimal, digits: int) -> Decimal:
    """The nearest number with so many digits that count."""
    if not number:
        return number
    place = Decimal(1).scaleb(number.adjusted() - digits + 1)
    return number.quantize(place, ROUND_HALF_UP) if place < 1 else (number / place).quantize(1, ROUND_HALF_UP) * place


def _text(number: Decimal) -> str:
    return f"{number.normalize():f}"
