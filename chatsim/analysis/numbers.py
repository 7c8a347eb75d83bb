"""The numbers of a run, each with one name: `delivery_latency_p99_s`, `utilisation_max`, `lost`; those of one group of
users `delivery_latency_p99_s{group=mobile}`.

Rule: every run has the same names in the same order, nan where it had no sample, so that runs stand under each other;
those of groups come last. An expectation's way to say it, `p99(delivery_latency, group=mobile)`, means the same number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from math import inf, nan
from typing import Final, Literal

import msgspec

from chatsim.errors import UsageError
from chatsim.scenario.expectations import AGGREGATES, COUNTERS, METRICS, NODE_METRICS, Expectation, parse_expectation
from chatsim.scenario.faults import FaultsError, did_you_mean
from chatsim.verdict.invariants.catalogue import Violation


class Replication(msgspec.Struct):
    """One run of many: its place from 0, its seed, every number by name (nan where there was no sample), what was
    observed for each expectation, and the invariants that did not hold."""

    number: int
    seed: int
    numbers: dict[str, float]
    observed: list[float]
    violations: list[Violation] = []


def name_of(metric: str, aggregate: str | None, group: str | None = None) -> str:
    """The name of an aggregate of a metric, in seconds where it ends in `_s`; of a counter its own."""
    if aggregate is None:
        return metric
    in_s = aggregate != "count" and METRICS[metric] == "s"
    name = f"{metric}_{aggregate}_s" if in_s else f"{metric}_{aggregate}"
    return name if group is None else f"{name}{{group={group}}}"


def unit_of(name: str) -> Literal["s", "share", "count"]:
    """The unit of a column or a number, which its name says."""
    name = name.partition("{")[0]
    if name.endswith("_s"):
        return "s"
    return "share" if name.startswith("utilisation") and not name.endswith("_count") else "count"


def range_of(name: str) -> tuple[float, float]:
    """The least and the most that a number can be: no time and no count is less than nothing, and no share more than
    all. What is no number of a run may be anything."""
    if name.partition("{")[0] not in _KNOWN:
        return -inf, inf
    return 0.0, 1.0 if unit_of(name) == "share" else inf


def possible(name: str, low: float, mean: float, high: float) -> tuple[float, float]:
    """The ends of an interval about a mean as far as the number can be there (`range_of`).

    Student's interval reaches as far below a mean as above, wherever numbers end. What is cut off is nothing that the
    true mean can be, so that the interval covers it no less often than before; the mean itself stays within.
    """
    least, most = range_of(name)
    return max(low, min(least, mean)), min(high, max(most, mean))


def names(groups: Iterable[str] = ()) -> list[str]:
    """The names of all numbers of a run whose people are in these groups, in their order."""
    return [
        *(name_of(metric, aggregate) for metric in METRICS for aggregate in AGGREGATES),
        *COUNTERS,
        *(name_of(metric, aggregate, group) for group in groups for metric, aggregate in _OF_GROUPS),
    ]


ONE_A_RUN: Final = frozenset({"utilisation"})
"""Metrics of which a run has one value, however long it is: there is one node, and its quantiles are that value."""

_KNOWN = frozenset(names())

_OF_GROUPS = [(metric, aggregate) for metric in METRICS if metric not in NODE_METRICS for aggregate in AGGREGATES]


def named(text: str, known: Collection[str]) -> str:
    """The name among the `known` ones that is meant: it itself, or what an expectation would write.

    Raises UsageError with the nearest name.
    """
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is no metric: give its name, like delivery_latency_p99_s")
    if text in known:
        return text
    if "(" not in text:
        raise UsageError(f"there is no metric {text}{did_you_mean(text, known)}")
    try:
        # A limit of 0 is one in every unit.
        said = parse_expectation(f"{text} >= 0")
    except FaultsError as faults:
        raise UsageError(f"there is no metric {text}: {faults}") from None
    except ValueError:
        raise UsageError(f"there is no metric {text}: write p99(delivery_latency) or delivery_latency_p99_s") from None
    name = name_of(said.metric, said.aggregate, said.group)
    if name not in known:
        raise UsageError(f"there is no metric {text}{did_you_mean(name, known)}")
    return name


def wanted(metrics: Iterable[str], known: Collection[str]) -> list[str]:
    """The names of the numbers that are asked for, each once. Raises UsageError with all that are unknown, and for what
    is no list."""
    if isinstance(metrics, str):
        raise UsageError(f"metrics={metrics!r}: give a list of names, [{metrics!r}]")
    given: object = metrics
    if not isinstance(given, Iterable):
        raise UsageError(
            f"metrics={metrics!r}: give a list of names, such as ['delivery_latency_p99_s'], or leave it out"
        )
    found, problems = [], []
    for metric in metrics:
        try:
            found.append(named(metric, known))
        except UsageError as problem:
            problems.append(str(problem))
    if problems:
        raise UsageError("\n".join(problems))
    return list(dict.fromkeys(found))


@lru_cache(maxsize=4096)
def quantile_of(name: str) -> tuple[float, str] | None:
    """Which quantile a number is, and the name of the count of its samples; None for what is no quantile, as that of
    the one value is which a run has of its node's utilisation."""
    head, brace, group = name.partition("{")
    for metric in METRICS:
        if metric in ONE_A_RUN:
            continue
        for aggregate in AGGREGATES:
            if head == name_of(metric, aggregate) and aggregate.startswith("p"):
                return float(f"0.{aggregate[1:].replace('.', '')}"), f"{name_of(metric, 'count')}{brace}{group}"
    return None


def promised(expect: Iterable[Expectation]) -> list[str]:
    """The names of the numbers that expectations are about, each once."""
    return list(dict.fromkeys(name_of(each.metric, each.aggregate, each.group) for each in expect))


def numbers_of(
    metrics: Mapping[str, Mapping[str, float]],
    counters: Mapping[str, int],
    groups: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
) -> dict[str, float]:
    """Every number of a run by its name; `metrics` maps each metric to its aggregates, as far as there are samples, and
    `groups` maps each group to its metrics."""
    found = {
        name_of(metric, aggregate): float(metrics.get(metric, {}).get(aggregate, nan))
        for metric in METRICS
        for aggregate in AGGREGATES
    }
    found |= {name: float(value) for name, value in counters.items()}
    for group, inside in (groups or {}).items():
        for metric, aggregate in _OF_GROUPS:
            found[name_of(metric, aggregate, group)] = float(inside.get(metric, {}).get(aggregate, nan))
    return found
