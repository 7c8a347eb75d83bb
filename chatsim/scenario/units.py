"""Quantities as people write them: `30s`, `60/min`, `10%`, `64KiB`, `5Mbit/s`.

Decides which spellings exist, what each is worth in the one unit that the code computes with, and how a value is
written for people. Rule: a number
without its unit is refused, because nobody can tell seconds from milliseconds later; only zero needs none (and bytes
are plain counts). Every refusal is a ValueError whose text says what to write instead. Where a quantity stands is the
reader's affair.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

SECONDS: Final = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
WINDOWS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
BYTES: Final = {
    "B": 1,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
}
BITS: Final = {"bit/s": 1.0, "kbit/s": 1e3, "Kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9}

SEED_MAX: Final = 2**63 - 1
"""The largest seed. A larger number is a whole one to few other programs, and too long for the name of a folder."""

NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_QUANTITY: Final = re.compile(rf"\s*([+-]?{NUMBER})\s*(\S*)\s*")

# Divided by the reciprocal where that is a whole number, so that 200ms is 0.2 and not 0.2 plus a rounding.
_PARTS_PER_SECOND: Final = {"us": 1e6, "µs": 1e6, "ms": 1e3}


def pattern(units: list[str] | tuple[str, ...], *, signed: bool = False) -> str:
    """A regular expression (ECMA dialect, anchored) for a number followed by one of the units."""
    sign = "[+-]?" if signed else r"\+?"
    return rf"^\s*{sign}{NUMBER}\s*({'|'.join(re.escape(unit) for unit in units)})\s*$"


def duration(value: object, *, signed: bool = False) -> float:
    """Seconds of `100ms`, `30s`, `5min`, `2h`, `30d`; a bare 0 is allowed, and `signed` allows what lies in the past.

    Raises ValueError with the cure in its text.
    """
    number, unit = _split(value, "a duration", "30s, 100ms, 5min or 2h")
    if not unit:
        if number == 0:
            return 0.0
        raise ValueError(f"{value!s} has no unit: write {value!s}s, {value!s}ms or {value!s}min")
    if unit not in SECONDS:
        raise ValueError(_unknown_unit(value, unit, "a duration", SECONDS))
    if number < 0 and not signed:
        raise ValueError(f"{value!s} is negative: a duration is 0 or more")
    if unit in _PARTS_PER_SECOND:
        return number / _PARTS_PER_SECOND[unit]
    return _finite(number * SECONDS[unit], value, "a duration", "30s, 100ms, 5min or 2h")


def rate(value: object) -> float:
    """Occurrences per second of `60/min`, `5/s`, `10/h`; a bare 0 is allowed."""
    count, window_s = count_per_window(value)
    return count / window_s


def count_per_window(value: object) -> tuple[float, float]:
    """Count and window in seconds of `60/min`: (60, 60). A bare 0 is zero per second."""
    number, unit = _split(value, "a rate", "60/min, 5/s or 10/h")
    if number < 0:
        raise ValueError(f"{value!s} is negative: a rate is 0 or more")
    if not unit and number == 0:
        return 0.0, 1.0
    if not unit:
        raise ValueError(f"{value!s} has no unit: write {value!s}/min, {value!s}/s or {value!s}/h")
    window = unit.removeprefix("/")
    if not unit.startswith("/") or window not in WINDOWS:
        raise ValueError(_unknown_unit(value, unit, "a rate", {f"/{name}": 1 for name in WINDOWS}))
    return number, WINDOWS[window]


def share(value: object) -> float:
    """A share between 0 and 1 of `10%`, or of a bare number that already lies there."""
    number, unit = _split(value, "a share", "10% or 0.1")
    if unit not in ("", "%"):
        raise ValueError(_unknown_unit(value, unit, "a share", {"%": 1}))
    found = number / 100.0 if unit else number
    if not 0.0 <= found <= 1.0:
        cure = (
            "a share lies between 0% and 100%" if unit else f"a share lies between 0 and 1 (did you mean {value!s}%?)"
        )
        raise ValueError(f"{value!s} is out of range: {cure}")
    return found


def size(value: object) -> float:
    """Bytes of `64KiB`, `1MiB`, `10kB`, or of a bare number, which counts bytes."""
    number, unit = _split(value, "a size", "64KiB, 1MiB or a number of bytes")
    if unit and unit not in BYTES:
        raise ValueError(_unknown_unit(value, unit, "a size", BYTES))
    if number < 0:
        raise ValueError(f"{value!s} is negative: a size is 0 or more")
    return _finite(number * BYTES[unit], value, "a size", "64KiB, 1MiB or a number of bytes") if unit else number


def whole_bytes(value: object) -> int:
    """A size that must come to whole bytes."""
    found = size(value)
    if found != int(found):
        raise ValueError(f"{value!s} is {found:g} bytes: a limit is a whole number of bytes")
    return int(found)


def bandwidth(value: object) -> float:
    """Bits per second of `5Mbit/s`, `64kbit/s`; more than zero."""
    number, unit = _split(value, "a bandwidth", "5Mbit/s or 64kbit/s")
    if not unit:
        raise ValueError(f"{value!s} has no unit: write {value!s}Mbit/s or {value!s}kbit/s")
    if unit not in BITS:
        raise ValueError(_unknown_unit(value, unit, "a bandwidth", BITS))
    if number <= 0:
        raise ValueError(f"{value!s} lets nothing pass: leave bandwidth out for no limit, or use the event `partition`")
    return _finite(number * BITS[unit], value, "a bandwidth", "5Mbit/s or 64kbit/s")


def number(value: object) -> float:
    """A plain number of 0 or more, without a unit."""
    found, unit = _split(value, "a number", "2 or 0.5")
    if unit:
        raise ValueError(f"{value!s} should be a plain number: leave {unit!r} out")
    if found < 0:
        raise ValueError(f"{value!s} is negative: a number of 0 or more is expected")
    return found


def whole(text: str, low: int, high: int) -> int | None:
    """The whole number that these digits say; None for anything else, and for what lies outside of `low` and `high`.

    However many they are: Python itself refuses to read thousands of them.
    """
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(f"{high}") or not low <= int(digits) <= high:
        return None
    return int(digits)


def shortened(text: str, length: int = 40) -> str:
    """The text as a sentence can quote it."""
    return text if len(text) <= length else f"{text[:length]}..."


def _split(value: object, what: str, examples: str) -> tuple[float, str]:
    """Number and unit of a quantity; a YAML number has no unit."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{_shown(value)} is not {what}: write {examples}")
    if not isinstance(value, str):
        found, unit = _to_float(value), ""
    else:
        match = _QUANTITY.fullmatch(value)
        if match is None:
            raise ValueError(f"{value!r} is not {what}: write {examples}")
        found, unit = float(match[1]), match[2]
    return _finite(found, value, what, examples), unit


def _finite(found: float, value: object, what: str, examples: str) -> float:
    """What was said as a number; its unit may have made too much of it."""
    if not math.isfinite(found):
        raise ValueError(f"{str(value)[:40]} is not {what}: it must be finite; write {examples}")
    return found


def _to_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _unknown_unit(value: object, unit: str, what: str, known: dict[str, float] | dict[str, int]) -> str:
    """The refusal of a unit, naming those that exist; wrong case gets its own hint."""
    guess = next((name for name in known if name.lower() == unit.lower()), None)
    hint = f" (did you mean {guess}?)" if guess else f": write one of {' '.join(known)}"
    return f"{value!s} has the unit {unit!r}, which {what} does not know{hint}"


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)


DIGITS: Final = 6
"""Of a number that people read."""

MEAN_DIGITS: Final = 4
"""Of a mean that people read beside its bounds: the width between them is seldom known to more."""

WRITTEN_DIGITS: Final = 9
"""A limit of so many digits was written by somebody, and is quoted as it is; one of more is computed."""

REPEATS_MAX: Final = 10_000
"""Beyond so many runs an estimate of how many would do says only that."""

_EXACT_DIGITS: Final = 15
"""So many come back from a float as they were written."""

_DIGITS_MAX: Final = 17
"""So many tell any two floats apart."""

_PLAIN: Final = (1e-6, 1e15)
"""From where to where a number is shown without an exponent."""

_NO_SAMPLE: Final = "no sample"


def beside(value: float, limit: float, unit: str) -> str:
    """A value as people read it beside its limit: as `quantity`, with as many more digits as tell the two apart; what
    is equal to it looks like it."""
    return limited(value, unit) if value == limit else apart([value, limit], unit)[0]


def apart(values: Sequence[float], unit: str, digits: int = DIGITS) -> list[str]:
    """Values as people read them beside each other: as `quantity`, all with as many more digits as tell those apart
    that are not equal."""
    known = {value for value in values if not math.isnan(value)}
    for more in range(digits, _DIGITS_MAX + 1):
        shown = {value: quantity(value, unit, more) for value in known}
        if len(set(shown.values())) == len(known):
            break
    else:
        # They differ by less than the change of the unit.
        shown = {value: f"{value!r} {'s' if unit == 's' else ''}".rstrip() for value in known}
    return [shown.get(value, _NO_SAMPLE) for value in values]


def limited(limit: float, unit: str, observed: float = math.nan) -> str:
    """A limit as people read it beside what was observed: with the digits with which it was written; one that is
    computed, as `beside`."""
    exact = quantity(limit, unit, _EXACT_DIGITS)
    is_written = exact == quantity(limit, unit, WRITTEN_DIGITS)
    return apart([limit, observed], unit, _EXACT_DIGITS if is_written else DIGITS)[0]


def spread(mean: float, low: float, high: float, limit: float, unit: str) -> tuple[str, str, str]:
    """A mean and its bounds as people read them: four digits, and as many more as tell them from each other and from
    the limit; what did not vary, as `beside`."""
    shown = apart([mean, low, high, limit], unit, MEAN_DIGITS if low < high else DIGITS)
    return shown[0], shown[1], shown[2]


def about(runs: float) -> str:
    """An estimate of how many runs would do, as people read it: two figures, upwards, `1,300`; `more than 10,000` is
    all there is to say of more."""
    if runs > REPEATS_MAX:
        return f"more than {REPEATS_MAX:,}"
    step = 10 ** max(0, len(f"{math.ceil(runs)}") - 2)
    return f"{math.ceil(runs / step) * step:,}"


def quantity(value: float, unit: str, digits: int = DIGITS) -> str:
    """A value as people read it: `12.3456 ms`, `7 s`, `25 %`, `3`; six digits, so that 104 never looks like 100, and
    more where the whole part has more."""
    if math.isnan(value):
        return _NO_SAMPLE
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if unit == "s":
        # What is a second when it is rounded is no thousand milliseconds.
        is_below = 0 < abs(value) < 1 and abs(float(f"{value * 1000:.{digits}g}")) < 1000
        return f"{_plain(value * 1000, digits)} ms" if is_below else f"{_plain(value, digits)} s"
    if unit == "share":
        return f"{_plain(value * 100, digits)} %"
    if unit == "count":
        unit = ""
    return f"{_plain(value, digits)} {unit}".rstrip()


def _plain(value: float, digits: int) -> str:
    """So many digits, and all of the whole part, without an exponent: few people read those."""
    # Of the most digits the last says nothing where the value is known without it.
    needless = digits == _DIGITS_MAX and float(f"{value:.{digits - 1}g}") == value
    text = f"{value:.{digits - needless}g}"
    if "e" not in text or not _PLAIN[0] <= abs(float(text)) < _PLAIN[1]:
        return text
    return f"{value:.0f}" if abs(value) >= 1 else f"{Decimal(text):f}"
