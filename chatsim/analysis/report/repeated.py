"""What a report says of many runs of one scenario that were judged together.

Decides which of their numbers are shown. Rule: a mean stands with its interval or without a claim, and what is not
decided is never told as held; all numbers are in the CSV. Words about metrics and what a wire leaves out are
`sentences`'.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isnan, nan
from typing import Final

from chatsim.analysis.kept import KeptRepeated, Ruled, Summed
from chatsim.analysis.numbers import ONE_A_RUN, name_of, promised, unit_of
from chatsim.analysis.report.sentences import ADVICE, sentence
from chatsim.analysis.report.tables import SHOWN, Table, table
from chatsim.scenario.expectations import COUNTERS, METRICS, Expectation, parse_expectation
from chatsim.scenario.units import about, limited, spread

_TOLD: Final = {
    name_of(metric, aggregate)
    for metric in METRICS
    for aggregate in ("mean", *SHOWN)
    if not (metric in ONE_A_RUN and aggregate.startswith("p"))
} | set(COUNTERS)
"""The numbers that are shown where something happened, beside those that are promised."""


def promises(found: KeptRepeated) -> Table:
    """What was promised, the mean over the runs with its bounds, the verdict, and how many runs would decide."""
    return table(
        f"Promises, over {found.replications} runs",
        "promises.csv",
        ("verdict", "promise", "in words", "mean", "low", "high", "limit", "n", "would do"),
        [
            (
                each.verdict,
                each.text,
                sentence(each.text),
                *spread(each.mean, each.low, each.high, each.limit, each.unit),
                limited(each.limit, each.unit, each.mean),
                f"{each.n:,}",
                would_do(each),
            )
            for each in found.expectations
        ],
        ("verdict", "promise", "mean", "low", "high", "limit", "unit", "n", "infinite", "would_do", "why"),
        [
            (
                each.verdict,
                each.text,
                *(each.mean, each.low, each.high, each.limit),
                each.unit or "count",
                *(each.n, each.infinite, each.would_do, each.why),
            )
            for each in found.expectations
        ],
        right=(3, 4, 5, 6, 7, 8),
    )


def numbers(found: KeptRepeated) -> Table:
    """Each number that is promised, and the most telling of those that are not nothing: its mean and its interval."""
    about = promised(_readable(found))
    rows = [each for each in found.numbers if each.metric in about or (each.metric in _TOLD and each.mean != 0)]
    return table(
        "Numbers, each the mean over the runs with its 95 % interval",
        "numbers.csv",
        ("number", "mean", "low", "high", "n"),
        [(each.metric, *_cells(each), f"{each.n:,}") for each in rows],
        ("number", "mean", "low", "high", "n", "needed"),
        [(each.metric, each.mean, each.low, each.high, each.n, each.needed) for each in found.numbers],
        right=(1, 2, 3, 4),
    )


def meaning(found: KeptRepeated) -> list[str]:
    """What it means for somebody who must act, the gravest first."""
    broken = [each for each in found.expectations if each.verdict == "fail"]
    open_ = [each for each in found.expectations if each.verdict == "inconclusive"]
    told = [*_broken(broken), *map(_open, open_)]
    if found.expectations and not told:
        told.append(f"Every promise holds over these runs: {len(found.expectations)} of {len(found.expectations)}.")
    told.append(
        f"{found.replications} runs are as many draws of luck. Each verdict is on the mean over them, and the "
        "probability of a wrong one is at most 5 % over all promises together, where numbers are about normal from run "
        "to run. Its bounds are one-sided and allow for skewness: they are not the ends of the intervals below."
    )
    return told


def would_do(each: Ruled) -> str:
    """How many runs would probably decide it; nothing where it is decided."""
    if each.verdict != "inconclusive":
        return ""
    return "no number" if each.would_do == inf else about(each.would_do)


def shown(each: Ruled) -> str:
    """The mean and its bounds as people read them."""
    mean, low, high = spread(each.mean, each.low, each.high, each.limit, each.unit)
    return mean if low == mean == high else f"{mean} ({low} .. {high})"


def _broken(broken: list[Ruled]) -> Iterator[str]:
    told: set[str] = set()
    for each in broken:
        if isnan(each.mean):
            yield f"{each.text} fails: in some of the {each.n} runs there was no sample to judge it by."
            continue
        never = (
            f" It was infinite in {each.infinite} of {each.n}: what was never delivered counts as infinity."
            if each.infinite
            else ""
        )
        yield f"{each.text} fails: its mean over {each.n} runs is {shown(each)}.{never}"
        for said in _parsed(each):
            if said.metric in ADVICE and ADVICE[said.metric] not in told:
                told.add(ADVICE[said.metric])
                yield ADVICE[said.metric]


def _open(each: Ruled) -> str:
    head = f"{each.text} is not decided: its mean over {each.n} runs is {shown(each)}"
    if each.why:
        return f"{head}, but it is {each.why}."
    if each.would_do == inf:
        return f"{head}, which is the limit itself, so that no number of runs would decide it."
    return f"{head}; {about(each.would_do)} runs would probably decide it."


def _cells(each: Summed) -> tuple[str, str, str]:
    unit = unit_of(each.metric)
    mean, low, high = spread(each.mean, each.low, each.high, nan, unit)
    if each.needed:
        return mean, "", f"{each.needed:,} samples a run would do"
    return mean, low, high


def _readable(found: KeptRepeated) -> list[Expectation]:
    return [said for each in found.expectations for said in _parsed(each)]


def _parsed(each: Ruled) -> list[Expectation]:
    """The promise, unless it cannot be read."""
    try:
        return [parse_expectation(each.text)]
    except ValueError:
        return []
