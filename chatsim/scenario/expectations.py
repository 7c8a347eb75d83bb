"""What a scenario promises: `p99(delivery_latency, group=mobile) <= 100ms`, `lost == 0`.

Decides which metrics, counters and aggregates exist, in which unit each is limited, and what an expectation's text
means. Rule: an unknown word or a wrong unit is refused here, before anything runs, never answered with an empty
metric. Judging is the runner's.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias, cast, get_args

import msgspec

from chatsim.scenario import units
from chatsim.scenario.faults import FaultsError, did_you_mean

Operator: TypeAlias = Literal["<=", "<", ">=", ">", "=="]
Aggregate: TypeAlias = Literal["p50", "p90", "p95", "p99", "p99.9", "mean", "max", "min", "count"]
Unit: TypeAlias = Literal["s", "share", "count"]

AGGREGATES: Final[tuple[str, ...]] = get_args(Aggregate)

METRICS: Final[Mapping[str, Unit]] = {
    "delivery_latency": "s",
    "ack_latency": "s",
    "stable_latency": "s",
    "reconnect_time": "s",
    "detection_time": "s",
    "drain_time": "s",
    "loop_lag": "s",
    "utilisation": "share",
}
"""Each metric and its unit."""

NODE_METRICS: Final = frozenset({"drain_time", "loop_lag", "utilisation"})
"""Metrics of nodes, which have no group of users."""

SCALED_METRICS: Final = frozenset({"detection_time", "reconnect_time", "drain_time"})
"""Metrics made of the handler's own durations, so that their limits follow `time_scale`."""

COUNTERS: Final = (
    "sent",
    "accepted",
    "duplicates_suppressed",
    "rate_limited",
    "delivered",
    "copies",
    "undelivered",
    "lost",
    "duplicates",
    "out_of_order",
    "retries",
    "gave_up",
    "resumes",
    "recovered",
    "unrecovered",
    "pings",
    "stale_closed",
    "no_pong_closed",
    "slow_closed",
    "auth_refused",
    "token_expired",
    "presence_events",
    "typing_events",
    "errors",
    "turned_away",
    "connections_peak",
)

_FORM: Final = re.compile(
    r"""\s*(?: (?P<aggregate>[\w.]+) \s*\(\s* (?P<metric>[\w.-]+)
                 \s*(?:,\s*(?P<key>\w+)\s*=\s*(?P<group>[^\s,()]+)\s*)?\)
           | (?P<counter>[A-Za-z][\w.-]*) )
        \s*(?P<op><=|>=|==|<|>)\s*(?P<limit>[^<>=\s][^<>=]*?)\s*""",
    re.VERBOSE,
)

PATTERN: Final = (
    rf"^\s*(({'|'.join(re.escape(name) for name in AGGREGATES)})"
    rf"\s*\(\s*({'|'.join(METRICS)})\s*(,\s*group\s*=\s*[^\s,()]+\s*)?\)"
    rf"|{'|'.join(COUNTERS)})\s*(<=|>=|==|<|>)\s*[^<>=\s][^<>=]*$"
)
"""The same for a JSON Schema (ECMA dialect)."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """One promise. `limit` is in seconds, a share or a count, as `unit` says; `aggregate` is None for a counter."""

    text: str
    aggregate: Aggregate | None
    metric: str
    group: str | None
    op: Operator
    limit: float
    line: int = 0

    @property
    def unit(self) -> Unit:
        """Unit of the limit and of what is observed."""
        return "count" if self.aggregate in (None, "count") else METRICS[self.metric]

    def holds(self, observed: float) -> bool:
        """Whether an observed value, in the unit of the limit, keeps the promise."""
        return bool(HOLDS[self.op](observed, self.limit))

    @property
    def of_every_run(self) -> bool:
        """Whether it is promised of each run, so that the mean of several says nothing about it: a count, the greatest
        or the least of a run, and whatever is to be equal. Else of the number that runs have in the mean."""
        return self.unit == "count" or self.aggregate in ("max", "min") or self.op == "=="

    @property
    def holds_of_nothing(self) -> bool:
        """Whether it holds though nothing has happened: then every count is 0, and a metric without a sample keeps no
        promise."""
        return self.unit == "count" and self.holds(0.0)

    def scaled(self, time_scale: float) -> Expectation:
        """The same promise played at `time_scale`: only limits on the handler's own durations change."""
        if self.metric not in SCALED_METRICS or self.unit != "s":
            return self
        return msgspec.structs.replace(self, limit=self.limit * time_scale)


SOMETHING: Final = "promise that something happens, such as sent >= 1 or auth_refused == 3"
"""The cure where every promise holds of nothing."""

HOLDS: Final = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}
"""Whether what was observed keeps a limit."""


def parse_expectation(text: object, line: int = 0) -> Expectation:
    """An expectation out of its text. Raises FaultsError with all that is wrong with it, and the cures."""
    example = "p99(delivery_latency) <= 100ms or lost == 0"
    if not isinstance(text, str):
        raise ValueError(f"{text!s} is no expectation: write {example}")
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no expectation: write {example}")
    metric, aggregate = match["metric"] or match["counter"], match["aggregate"]
    found = list(_of_counter(metric) if match["counter"] else _of_metric(aggregate, metric, match["key"]))
    limit = 0.0
    unit: Unit = "count" if aggregate in (None, "count") else METRICS.get(metric, "count")
    # In what an unknown word is limited, nobody can tell.
    known = metric in COUNTERS if aggregate is None else (aggregate in AGGREGATES and metric in METRICS)
    if known:
        try:
            limit = _limit(match["limit"], metric if unit != "count" else (aggregate or metric), unit)
        except ValueError as error:
            found.append(str(error))
    if found:
        raise FaultsError(((), sentence) for sentence in found)
    return Expectation(
        text=" ".join(text.split()),
        aggregate=cast("Aggregate | None", aggregate),
        metric=metric,
        group=match["group"],
        op=cast("Operator", match["op"]),
        limit=limit,
        line=line,
    )


def named_group(text: object) -> str | None:
    """The group that an expectation names, whatever else is wrong with it."""
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    return None if match is None or match["key"] != "group" else match["group"]


def _of_counter(name: str) -> Iterator[str]:
    """What is wrong with the name of a counter."""
    if name in METRICS:
        yield f"{name} is a metric, which needs an aggregate: write p99({name})"
    elif name not in COUNTERS:
        yield f"unknown counter {name!r}{did_you_mean(name, [*COUNTERS, *METRICS])}"


def _of_metric(aggregate: str, metric: str, key: str | None) -> Iterator[str]:
    """What is wrong with an aggregate and its metric, and with a group where there is none."""
    if aggregate not in AGGREGATES:
        yield f"unknown aggregate {aggregate!r}{did_you_mean(aggregate, AGGREGATES)}"
    if metric in COUNTERS:
        yield f"{metric} is a counter, which has one value: leave {aggregate}() out"
    elif metric not in METRICS:
        yield f"unknown metric {metric!r}{did_you_mean(metric, METRICS)}"
    if key is not None and key != "group":
        yield f"unknown argument {key!r}: only group=NAME is known"
    elif key is not None and metric in NODE_METRICS:
        yield f"{metric} has a value for each node, not for users: leave the group out"


def _limit(text: str, name: str, unit: Unit) -> float:
    """The limit in the metric's unit."""
    try:
        if unit == "s":
            return units.duration(text)
        if unit == "share":
            return units.share(text)
    except ValueError as error:
        what = "a duration" if unit == "s" else "a share"
        raise ValueError(f"{name} is limited by {what}: {error}") from None
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError(f"{name} counts: its limit is a plain whole number of 0 or more, not {text}")
    return float(text)
