"""What must not have changed since a baseline: `p95(delivery_latency) > +10%`, `lost > +0`, `sent < -5%`.

Decides what such a condition means. Rule: its left side is that of an expectation, read by the same parser, so that an
unknown metric is refused before anything runs; its right side is a change with its sign, relative to the saved value
(`+10%`) or absolute in the metric's own unit (`+3ms`, `+5`). Where it holds, the comparison fails.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Final, Literal, TypeAlias

import msgspec

from chatsim.errors import UsageError
from chatsim.scenario import units
from chatsim.scenario.expectations import HOLDS, Aggregate, Expectation, Unit, parse_expectation
from chatsim.scenario.faults import FaultsError

Operator: TypeAlias = Literal["<=", "<", ">=", ">"]

_FORM: Final = re.compile(r"(?P<left>[^<>]*?[^<>\s])\s*(?P<op><=|>=|<|>)\s*(?P<change>[^<>=]+)")
_CHANGE: Final = re.compile(rf"(?P<sign>[+-])\s*(?P<size>{units.NUMBER})\s*(?P<unit>\S*)")
_EXAMPLE: Final = "'p95(delivery_latency) > +10%', 'sent < -5%' or 'lost > +0'"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One condition. `change` is a share of the saved value where it is `relative`, else in the metric's unit (s, a
    share, a count)."""

    text: str
    aggregate: Aggregate | None
    metric: str
    group: str | None
    op: Operator
    change: float
    relative: bool
    unit: Unit

    def limit(self, saved: float) -> float:
        """Where it begins to hold, beside this saved value."""
        return saved * (1 + self.change) if self.relative else saved + self.change

    def holds(self, saved: float, observed: float) -> bool:
        """Whether the exact values have changed so far; infinity is compared as it is."""
        return bool(HOLDS[self.op](observed, self.limit(saved)))


def parse_condition(text: str) -> Condition:
    """A condition out of its text. Raises UsageError with the cure."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--fail-if {text!r} is no condition: write a metric and its change, such as {_EXAMPLE}")
    said = _subject(text, match["left"])
    change, relative = _change(text, match["change"].strip(), said.unit)
    if not isfinite(change):
        raise UsageError(f"--fail-if {text!r}: nothing changes by as much, so that it would never fail; give a limit")
    op: Operator = match["op"]  # type: ignore[assignment]
    return Condition(
        text=" ".join(text.split()),
        aggregate=said.aggregate,
        metric=said.metric,
        group=said.group,
        op=op,
        change=change,
        relative=relative,
        unit=said.unit,
    )


def _subject(text: str, left: str) -> Expectation:
    """The metric or counter, as an expectation would be about it."""
    try:
        # A limit of 0 is one in every unit.
        return parse_expectation(f"{left} >= 0")
    except FaultsError as faults:
        raise UsageError(f"--fail-if {text!r}: {'; '.join(sentence for _, sentence in faults.found)}") from None
    except ValueError:
        raise UsageError(
            f"--fail-if {text!r}: {left} is no metric; write p95(delivery_latency), or a counter such as lost"
        ) from None


def _change(text: str, change: str, unit: Unit) -> tuple[float, bool]:
    """The change, and whether it is relative."""
    match = _CHANGE.fullmatch(change)
    if match is None:
        raise UsageError(
            f"--fail-if {text!r}: {change} is no change; write it with its sign and unit, such as {_EXAMPLE}"
        )
    sign = -1.0 if match["sign"] == "-" else 1.0
    if match["unit"] == "%":
        size = float(match["size"]) / 100
        if sign < 0 and size > 1:
            raise UsageError(f"--fail-if {text!r}: nothing falls by more than 100 %")
        return sign * size, True
    try:
        return sign * _absolute(match["size"] + match["unit"], unit), False
    except ValueError as problem:
        raise UsageError(f"--fail-if {text!r}: {problem}, or a share of what was saved, such as +10%") from None


def _absolute(size: str, unit: Unit) -> float:
    if unit == "s":
        return units.duration(size)
    return units.share(size) if unit == "share" else units.number(size)
