"""Exact comparisons miss nothing, and intervals are wrong no more often than they say."""

from __future__ import annotations

import re
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from chatsim.analysis import baseline as b
from chatsim.errors import UsageError
from chatsim.scenario.conditions import parse_condition
from chatsim.scenario.expectations import parse_expectation

P95 = "delivery_latency_p95_s"
SLOWER = parse_condition("p95(delivery_latency) > +10%")
WITHIN = parse_expectation("p95(delivery_latency) <= 100ms")


Runs = list[dict[str, float]]


# Virtual time.


def test_equal_is_equal_and_nothing_is_no_sample() -> None:
    saved = {"a": 0.1, "b": nan, "c": inf}
    assert b.differences(saved, dict(saved), "h", "h") == []
    found = b.equal(saved, dict(saved), "h", "h")
    assert (found.verdict, found.observed, found.limit) == ("pass", 4.0, 4.0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"a": np.nextafter(0.1, 1)}, "a: saved 0.1, observed 0.10000000000000002"),
        ({"a": nan}, "a: saved 0.1, observed no sample"),
        ({"a": 0.10123456789}, "a: saved 0.1, observed 0.101235"),
        ({P95: 0.05}, f"{P95}: saved not known, observed 50 ms"),
        ({"utilisation_max": 0.5}, "utilisation_max: saved not known, observed 50 %"),
        ({"b": 0.0}, "b: saved no sample, observed 0"),
        ({"a": 1234567.0}, "a: saved 0.1, observed 1234567"),
        ({"c": 5.0}, "c: saved inf, observed 5"),
        ({"d": 1.0}, "d: saved not known, observed 1"),
    ],
)
def test_the_last_digit_counts(change: dict[str, float], sentence: str) -> None:
    saved = {"a": 0.1, "b": nan, "c": inf}
    found = b.equal(saved, saved | change, "h", "h")
    assert (found.verdict, found.why) == ("fail", sentence)
    assert found.limit - found.observed == 1


def test_what_is_not_there_any_more_and_another_trace_differ_too() -> None:
    found = b.equal({"a": 1.0, "b": 2.0}, {"a": 1.0}, "h", "i")
    assert found.why == "b: saved 2, observed not known; trace_hash: saved h, observed i"


def test_the_first_differences_are_named_and_the_rest_counted() -> None:
    saved = {f"n{place}": 0.0 for place in range(9)}
    found = b.equal(saved, dict.fromkeys(saved, 1.0), "h", "h")
    assert found.why.count("observed") == b.SHOWN
    assert found.why.endswith("; and 4 more")


@pytest.mark.parametrize(
    ("saved", "observed", "verdict"),
    [(0.1, 0.109, "pass"), (0.1, 0.1101, "fail"), (0.1, nan, "fail"), (nan, 0.1, "fail"), (0.1, inf, "fail")],
)
def test_a_condition_is_held_against_exact_values(saved: float, observed: float, verdict: str) -> None:
    found = b.exactly(SLOWER, {P95: saved}, {P95: observed})
    assert (found.verdict, found.text) == (verdict, "fail if p95(delivery_latency) > +10%")


def test_what_was_saved_is_told_as_people_read_it() -> None:
    assert b.exactly(SLOWER, {P95: 0.05012345678912}, {P95: 0.06}).why == "saved 50.1235 ms"
    share = parse_condition("max(utilisation) > +5%")
    assert b.exactly(share, {"utilisation_max": 1 / 3}, {"utilisation_max": 0.5}).why == "saved 33.3333 %"
    assert b.exactly(parse_condition("lost > +0"), {"lost": 2.0}, {"lost": 3.0}).why == "saved 2"
    assert b.over_pairs(SLOWER, runs([0.05012345678912] * 5), runs([0.08] * 5), 1).why == "saved 50.1235 ms"


def test_what_is_told_of_the_saved_value_tells_it_from_the_limit_and_what_is_observed() -> None:
    slower = parse_condition("p95(delivery_latency) > +0ms")
    found = b.exactly(slower, {P95: 0.057929682}, {P95: 0.057929683})
    assert (found.why, found.shown) == ("saved 57.929682 ms", ("57.929682 ms", "57.929683 ms", "57.929682 ms"))


@pytest.mark.parametrize(
    ("condition", "saved", "observed", "verdict", "why"),
    [
        ("> +10%", inf, inf, "inconclusive", "saved inf: what never came to an end is no measure, so save"),
        ("> +10%", inf, 0.06, "inconclusive", "saved inf: what never came to an end"),
        ("> +3ms", inf, inf, "inconclusive", "saved inf: what never came to an end"),
        ("< -5%", inf, 0.06, "fail", "saved inf: what never came to an end"),
        ("< -100%", inf, inf, "fail", "saved inf, observed inf: what never came to an end"),
        ("> +10%", nan, 0.06, "fail", "saved no sample, observed 60 ms: what never happened is no measure, so save"),
        ("> +10%", nan, nan, "fail", "saved no sample, observed no sample: what never happened"),
    ],
)
def test_from_what_is_no_measure_nothing_passes_and_the_cure_is_told(
    condition: str, saved: float, observed: float, verdict: str, why: str
) -> None:
    found = b.exactly(parse_condition(f"p95(delivery_latency) {condition}"), {P95: saved}, {P95: observed})
    assert found.verdict == verdict
    assert found.why.startswith(why)
    assert found.why.endswith("or leave this condition out")
    assert (found.shown[2] == "") == ("observed" in found.why)


# Real clocks.


@pytest.mark.parametrize(("comparisons", "enough"), [(1, 5), (2, 6), (4, 7), (12, 8), (13, 9)])
def test_too_few_are_refused_with_the_number_that_would_do(comparisons: int, enough: int) -> None:
    assert b.repetitions_min(comparisons) == enough
    # So many heads in a row are no more probable than an error may be.
    assert 0.5**enough <= 0.05 / comparisons < 0.5 ** (enough - 1)
    b.check_repetitions(enough, comparisons, "--repeat")
    with pytest.raises(UsageError, match=f"too few to tell anything .*; {enough} would do"):
        b.check_repetitions(enough - 1, comparisons, "--repeat")


def runs(values: Any) -> Runs:
    return [{P95: float(value), "lost": 0.0} for value in values]


def noisy(
    rng: np.random.Generator, n: int, factor: float = 1.0
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Two days of n repetitions whose luck is shared, each measured with 5 % of noise."""
    luck = rng.lognormal(np.log(0.05), 0.2, n)
    return runs(luck * rng.lognormal(0, 0.05, n)), runs(luck * factor * rng.lognormal(0, 0.05, n))


def share(verdict: str, factor: float, n: int = 8, times: int = 600) -> float:
    rng = np.random.default_rng(7)
    found = [b.over_pairs(SLOWER, *noisy(rng, n, factor), 1).verdict for _ in range(times)]
    return found.count(verdict) / times  # type: ignore[arg-type]


def test_at_the_limit_it_fails_and_passes_no_more_often_than_it_says() -> None:
    # Each may be wrong in 5 %; of 600 that many have a standard error of 0.9 %, so one run of this test in a thousand
    # would see 8 % by luck, were the seed not fixed.
    assert share("fail", 1.1) <= 0.08
    assert share("pass", 1.1) <= 0.08


def test_far_from_the_limit_it_is_decided() -> None:
    assert share("fail", 1.3) >= 0.95
    assert share("pass", 0.98) >= 0.85
    assert share("fail", 1.0) <= 0.01


def test_what_is_decided_is_told_in_the_metrics_unit() -> None:
    before, now = runs([0.05, 0.06, 0.07, 0.06, 0.05]), runs([0.10, 0.121, 0.139, 0.12, 0.1005])
    found = b.over_pairs(SLOWER, before, now, 1)
    assert found.verdict == "fail"
    assert found.saved == pytest.approx(0.0575, rel=0.01)
    assert found.observed == pytest.approx(2 * found.saved, rel=0.01)
    assert found.saved * 1.1 == pytest.approx(found.limit)
    assert found.limit < found.low < found.observed < found.high


def test_doubt_says_how_many_would_do() -> None:
    before, now = runs([0.05, 0.05, 0.05, 0.05, 0.05]), runs([0.05, 0.064, 0.049, 0.066, 0.052])
    found = b.over_pairs(SLOWER, before, now, 1)
    assert found.verdict == "inconclusive"
    assert "repetitions would probably decide" in found.why


def test_nobody_is_asked_for_more_repetitions_than_anybody_plays() -> None:
    before, now = runs([0.05, 0.05, 0.05, 0.05, 0.05]), runs([0.05, 0.0601, 0.0499, 0.0601, 0.0552])
    assert b.over_pairs(SLOWER, before, now, 1).why.endswith("more than 10,000 repetitions would probably decide")


def test_an_absolute_change_and_one_from_nothing_are_differences() -> None:
    later = b.over_pairs(parse_condition("p95(delivery_latency) > +3ms"), runs([0.05] * 5), runs([0.054] * 5), 1)
    assert (later.verdict, later.saved) == ("fail", 0.05)
    assert later.limit == pytest.approx(0.053)
    before = [{"lost": 0.0}] * 5
    some = b.over_pairs(parse_condition("lost > +10%"), before, [{"lost": 3.0}] * 5, 1)
    assert (some.verdict, some.observed, some.limit) == ("fail", 3.0, 0.0)
    assert b.over_pairs(parse_condition("lost > +10%"), before, before, 1).verdict == "pass"


def test_what_has_become_infinite_fails_and_what_was_so_decides_nothing() -> None:
    finite, infinite = runs([0.05] * 5), runs([0.05, inf, 0.05, 0.05, 0.05])
    assert b.over_pairs(SLOWER, finite, infinite, 1).verdict == "fail"
    spoilt = b.over_pairs(SLOWER, infinite, finite, 1)
    assert (spoilt.verdict, spoilt.why) == ("inconclusive", f"{P95}: infinite in 1 of 5 saved repetitions")


def test_a_metric_without_a_sample_fails() -> None:
    found = b.over_pairs(SLOWER, runs([0.05] * 5), runs([0.05, nan, 0.05, 0.05, 0.05]), 1)
    assert (found.verdict, found.why) == ("fail", f"{P95}: no sample in 1 of 5 observed repetitions")


@pytest.mark.parametrize(
    ("promise", "factor", "verdict", "word"),
    [
        ("<= 100ms", 2.0, "fail", "worse"),
        ("<= 100ms", 0.5, "pass", "better"),
        (">= 1ms", 2.0, "pass", "better"),
        (">= 1ms", 0.5, "fail", "worse"),
        ("== 50ms", 0.5, "fail", "worse"),
        ("<= 100ms", 1.01, "pass", "no difference that can be seen"),
    ],
)
def test_what_is_worse_is_what_comes_nearer_to_breaking_the_promise(
    promise: str, factor: float, verdict: str, word: str
) -> None:
    before, now = noisy(np.random.default_rng(3), 12, factor)
    found = b.promised(parse_expectation(f"p95(delivery_latency) {promise}"), before, now, 1)
    assert (found.verdict, found.why) == (verdict, word)
    assert found.text == "p95(delivery_latency) as saved"


def test_where_neither_is_seen_it_is_inconclusive() -> None:
    rng = np.random.default_rng(3)
    before, now = runs(rng.lognormal(-3, 1, 6)), runs(rng.lognormal(-3, 1, 6))
    found = b.promised(WITHIN, before, now, 1)
    assert found.verdict == "inconclusive"
    told = re.fullmatch(r"neither .* can be seen; (\d+) repetitions would probably decide", found.why)
    assert told is not None
    assert int(told[1]) > 6


def test_less_than_a_fifth_of_a_millisecond_matters_to_nobody() -> None:
    before, now = runs([0.0001, 0.00011, 0.0001, 0.00012, 0.0001]), runs([0.0002, 0.0002, 0.00021, 0.0002, 0.0002])
    assert b.promised(WITHIN, before, now, 1).why == "no difference that can be seen"


def test_counts_that_are_equal_are_so_and_new_ones_are_worse() -> None:
    lost = parse_expectation("lost == 0")
    before = runs([0.05] * 5)
    same = b.promised(lost, before, before, 1)
    assert (same.why, same.low, same.observed, same.high) == ("no difference", 0.0, 0.0, 0.0)
    assert b.promised(lost, before, [each | {"lost": 2.0} for each in before], 1).verdict == "fail"


def test_without_a_difference_it_is_worse_no_more_often_than_it_says() -> None:
    # Either way wrong in 5 %: worse in 5 % alone. As above, 8 % is beyond luck.
    rng = np.random.default_rng(11)
    wide = [b.promised(WITHIN, runs(rng.lognormal(-3, 0.6, 8)), runs(rng.lognormal(-3, 0.6, 8)), 1) for _ in range(600)]
    assert sum(each.verdict == "fail" for each in wide) <= 0.08 * 600
