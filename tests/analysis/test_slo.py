"""Verdicts err as rarely as they say, see what is 20 % off, and say when they cannot tell.

Rates are of 1000 analyses with one fixed seed: the standard error of 6 % is 0.75 %.
"""

from __future__ import annotations

from collections import Counter
from math import inf, nan

import numpy as np
import pytest

from chatsim.analysis.slo import Looks, Operator, Verdict, bounded, rule, together
from chatsim.errors import UsageError
from tests.analysis.mm1 import MEAN_WAIT, replication_means


def rates(limit: float, op: Operator, looks: Looks) -> dict[Verdict, float]:
    found = Counter(rule(row, limit, op, looks).verdict for row in replication_means())
    return {verdict: count / 1000 for verdict, count in found.items()}


FIXED = [Looks(first=n, n_max=n) for n in (10, 20, 40, 80)]


@pytest.mark.slow
@pytest.mark.parametrize("looks", [Looks(), *FIXED], ids=["auto", "10", "20", "40", "80"])
def test_at_the_limit_false_passes_are_rare(looks: Looks) -> None:
    """At most 7 %, whether replications are added while inconclusive or not; and so are false fails."""
    found = rates(MEAN_WAIT, "<=", looks)
    assert found.get("pass", 0.0) <= 0.07
    assert found.get("fail", 0.0) <= 0.07
    assert found["inconclusive"] > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("looks", [Looks(), Looks(expectations=5), Looks(first=20, n_max=20)], ids=["1", "5", "20"])
def test_what_is_a_fifth_beyond_the_limit_is_seen(looks: Looks) -> None:
    """With a power of 0.95 at least: a mean 20 % above its limit fails, one a sixth below it passes."""
    assert rates(MEAN_WAIT / 1.2, "<=", looks).get("fail", 0.0) >= 0.95
    assert rates(MEAN_WAIT * 1.2, "<=", looks).get("pass", 0.0) >= 0.95


@pytest.mark.slow
def test_looking_again_without_spending_would_pass_too_often() -> None:
    """Why looks share their error: at 5 % each, a mean at its limit is passed in far more than 7 % of 500 analyses."""
    passes = 0
    for row in replication_means()[:500]:
        passes += any(rule(row[:n], MEAN_WAIT, "<=", Looks(first=n, n_max=n)).verdict == "pass" for n in Looks().at)
    assert passes > 0.10 * 500


@pytest.mark.slow
def test_five_expectations_together_err_no_more_than_one() -> None:
    """Five metrics at their limits, each of 20 normal values: some false pass in at most 7 % of 1000 scenarios."""
    rows = np.random.default_rng(1).standard_normal((1000, 5, 20))
    looks = Looks(first=20, n_max=20, expectations=5)
    passed = [any(rule(row, 0.0, "<=", looks).verdict == "pass" for row in scenario) for scenario in rows]
    assert 0.02 <= np.mean(passed) <= 0.07


def test_looks_double_and_spend_all_there_is() -> None:
    assert Looks().at == (10, 20, 40, 80)
    assert Looks(first=10, n_max=50).at == (10, 20, 40, 50)
    assert Looks(first=7, n_max=7).at == (7,)
    for looks in (Looks(), Looks(first=3, n_max=50, level=0.9, expectations=4), Looks(first=5, n_max=5)):
        spent = sum(looks.alpha(n) for n in looks.at)
        assert spent == pytest.approx((1 - looks.level) / looks.expectations)


def test_verdicts_by_hand() -> None:
    looks = Looks(first=5, n_max=5)
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    # Without skewness the bounds are 3 -+ 2.132 * 0.7071.
    cases: list[tuple[float, Operator, Verdict]] = [
        (4.51, "<=", "pass"),
        (4.50, "<=", "inconclusive"),
        (1.50, "<=", "inconclusive"),
        (1.49, "<=", "fail"),
        (1.49, ">=", "pass"),
        (1.50, ">=", "inconclusive"),
        (4.51, ">=", "fail"),
        (1.49, ">", "pass"),
        (4.51, "<", "pass"),
    ]
    for limit, op, expected in cases:
        assert rule(values, limit, op, looks).verdict == expected
    ruling = rule(values, 3.5, "<=", looks)
    assert (ruling.mean, ruling.n, ruling.more) == (3.0, 5, 0)
    assert ruling.alpha == pytest.approx(0.05)
    assert (ruling.low, ruling.high) == pytest.approx((1.4926, 4.5074), abs=1e-3)


def test_equal_values_are_judged_exactly() -> None:
    """104 ms is not within 100 ms, and a limit met exactly is kept by <= and not by <."""
    looks = Looks(first=3, n_max=3)
    operators: list[Operator] = ["<=", "<", ">=", ">", "=="]
    verdicts = {op: rule([0.1, 0.1, 0.1], 0.1, op, looks).verdict for op in operators}
    assert verdicts == {"<=": "pass", "<": "fail", ">=": "pass", ">": "fail", "==": "pass"}
    assert rule([0.104] * 3, 0.1, "<=", looks).verdict == "fail"


def test_a_count_that_must_be_equal_must_be_so_in_every_replication() -> None:
    looks = Looks(first=4, n_max=8)
    assert rule([0.0, 0.0, 1.0, 0.0], 0.0, "==", looks).verdict == "fail"
    ruling = rule([0.0] * 8, 0.0, "==", looks)
    assert (ruling.verdict, ruling.n, ruling.low, ruling.high) == ("pass", 4, 0.0, 0.0)


def test_what_is_promised_of_every_run_is_broken_by_one_of_them() -> None:
    """Four of twenty above the limit leave the mean far below it: no run is a mean."""
    row = [0.4] * 8 + [1.2, 1.1] + [0.4] * 8 + [1.0, 1.3]
    looks = Looks(first=20, n_max=20)
    assert rule(row, 0.95, "<=", looks).verdict == "pass"
    ruling = rule(row, 0.95, "<=", looks, every=True)
    assert (ruling.verdict, ruling.broken, ruling.low, ruling.high) == ("fail", 4, 0.4, 1.3)
    assert ruling.why == "broken by 4 of 20 runs"
    assert rule(row, 1.3, "<=", looks, every=True).verdict == "pass"
    assert rule(row, 1.3, "<", looks, every=True).broken == 1
    assert rule(row, 0.4, ">", looks, every=True).broken == 16
    assert rule([*row[:19], inf], 1.3, "<=", looks, every=True).broken == 1
    assert rule([*row[:19], nan], 1.3, "<=", looks, every=True).empty == 1


@pytest.mark.parametrize(("limit", "verdict"), [(0.0, "fail"), (1.0, "pass")])
def test_counts_are_judged_alike_however_their_limit_is_written(limit: float, verdict: str) -> None:
    row, looks = [0.0] * 7 + [1.0] + [0.0] * 2, Looks(first=10, n_max=10)
    assert rule(row, limit, "<=", looks, every=True).verdict == verdict
    assert rule(row, limit + 1, "<", looks, every=True).verdict == verdict
    assert rule(row, -limit, ">=", looks, every=True).verdict == "pass"


def test_how_many_runs_may_break_what_none_broke_is_the_rule_of_three() -> None:
    """1 - 0.05 ** (1 / n), about 3 / n; of a share that is broken as often as it may be, 5 % of 4,000 samples of twenty
    say less than there is (false alarm: 4 standard errors, 1 in 16,000)."""
    looks = Looks(first=20, n_max=20)
    ruling = rule([0.0] * 20, 0.0, "==", looks)
    assert ruling.share_max == pytest.approx(1 - 0.05 ** (1 / 20))
    assert rule([1.0] * 20, 0.0, "==", looks).share_max == 1.0
    assert np.isnan(rule([1.0] * 20, 2.0, "<=", looks).share_max)
    rows = np.random.default_rng(5).random((4000, 20)) < 0.2
    too_low = np.mean([rule(row, 0.0, "<=", looks, every=True).share_max < 0.2 for row in rows])
    assert too_low <= 0.05 + 4 * (0.05 * 0.95 / 4000) ** 0.5


def test_undelivered_is_infinite_and_is_shown() -> None:
    looks = Looks(first=4, n_max=4)
    ruling = rule([0.1, inf, 0.1, 0.1], 1.0, "<=", looks)
    assert (ruling.verdict, ruling.mean, ruling.high, ruling.infinite) == ("fail", inf, inf, 1)


def test_one_infinite_value_does_not_carry_the_others_over_a_lower_limit() -> None:
    looks = Looks(first=4, n_max=4)
    assert rule([0.1, inf, 0.1, 0.1], 1.0, ">=", looks).verdict == "inconclusive"
    assert rule([2.0, inf, 2.1, 2.2], 1.0, ">=", looks).verdict == "pass"
    assert rule([inf] * 4, 1.0, ">=", looks).verdict == "pass"


def test_a_metric_without_a_sample_fails() -> None:
    operators: list[Operator] = ["<=", ">=", "=="]
    for op in operators:
        ruling = rule([0.1, nan, 0.1], 1.0, op, Looks(first=3, n_max=3))
        assert (ruling.verdict, ruling.empty) == ("fail", 1)
        assert np.isnan(ruling.mean)


def test_inconclusive_says_how_many_to_add_and_how_many_would_do() -> None:
    row = np.random.default_rng(2).normal(1.0, 0.2, 80)
    looks = Looks(first=10, n_max=80)
    ruling = rule(row[:10], 1.02, "<=", looks)
    assert (ruling.verdict, ruling.n, ruling.more) == ("inconclusive", 10, 10)
    assert ruling.would_do > 10
    assert rule(row[:25], 1.02, "<=", looks).more == 15
    last = rule(row, 1.02, "<=", looks)
    assert (last.verdict, last.n, last.more) == ("inconclusive", 80, 0)
    assert rule([1.0, 1.0, 2.0, 2.0], 1.5, "<=", Looks(first=4, n_max=4)).would_do == inf


def test_as_many_as_would_do_decide() -> None:
    """Normal values 5 % below their limit: 200 analyses of the number that would do, of which 95 % must pass."""
    generator = np.random.default_rng(3)
    first = generator.normal(0.95, 0.2, 40)
    first += 0.95 - first.mean()
    n = int(rule(first, 1.0, "<=", Looks(first=40, n_max=40)).would_do)
    rows = generator.normal(0.95, first.std(ddof=1), (200, n))
    looks = Looks(first=n, n_max=n)
    # 4 standard errors of 1.5 % below 0.95.
    assert np.mean([rule(row, 1.0, "<=", looks).verdict == "pass" for row in rows]) > 0.89


def test_a_verdict_does_not_depend_on_how_many_were_run_at_once() -> None:
    for row in replication_means(50):
        whole = rule(row, 2.6, "<=", Looks())
        assert rule(row[: whole.n], 2.6, "<=", Looks()) == whole


def test_adding_as_many_as_it_says_ends_with_a_verdict_or_at_the_most() -> None:
    for row in replication_means(50):
        n = Looks().first
        while more := rule(row[:n], MEAN_WAIT * 1.05, "<=", Looks()).more:
            n += more
        assert n in Looks().at
        assert rule(row[:n], MEAN_WAIT * 1.05, "<=", Looks()).verdict != "inconclusive" or n == Looks().n_max


def test_too_few_are_refused_with_the_number_that_would_do() -> None:
    with pytest.raises(UsageError, match="9 replications are too few for a verdict: 10 would do"):
        rule([1.0] * 9, 1.0, "<=", Looks())
    with pytest.raises(UsageError, match="The limit is no number"):
        rule([1.0] * 10, nan, "<=", Looks())
    with pytest.raises(UsageError, match="is -inf"):
        rule([-inf] * 10, 1.0, "<=", Looks())
    with pytest.raises(UsageError, match="not independent of each other"):
        rule(np.arange(40.0), 1.0, "<=", Looks(first=40, n_max=40))
    assert rule(np.arange(40.0), 1.0, "<=", Looks(first=40, n_max=40), independent=True).verdict == "fail"


@pytest.mark.parametrize("wrong", [{"first": 1}, {"n_max": 9}, {"level": 0.5}, {"level": 95.0}, {"expectations": 0}])
def test_what_are_no_looks_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="give"):
        Looks(**wrong)  # type: ignore[arg-type]


def test_the_worst_verdict_is_the_scenarios() -> None:
    assert together(["pass", "pass"]) == "pass"
    assert together(["pass", "inconclusive"]) == "inconclusive"
    assert together(["inconclusive", "fail", "pass"]) == "fail"
    with pytest.raises(UsageError, match="Without an expectation"):
        together([])


@pytest.mark.parametrize(
    ("op", "limit", "samples", "verdict", "needed"),
    [
        ("<=", 0.2, 298, "inconclusive", 299),
        ("<=", 0.2, 299, "pass", 0),
        # The greatest of few is above the limit, and so is that of many.
        ("<=", 0.05, 3, "fail", 0),
        (">=", 0.05, 3, "pass", 0),
        (">=", 0.2, 298, "inconclusive", 299),
        (">=", 0.2, 299, "fail", 0),
        ("==", 0.1, 367, "inconclusive", 368),
        ("==", 0.1, 368, "pass", 0),
        ("==", 0.2, 3, "fail", 0),
    ],
)
def test_a_quantile_is_judged_by_as_many_samples_as_can_bound_it(
    op: Operator, limit: float, samples: int, verdict: str, needed: int
) -> None:
    looks = Looks(first=3, n_max=3)
    found = bounded(rule([0.1] * 3, limit, op, looks), 0.99, op, [5000, samples, 5000])
    assert (found.verdict, found.needed) == (verdict, needed)
    assert found.samples == (samples if needed else 0)
    assert (found.would_do == inf) == found.why.startswith("a quantile of ") == bool(needed)


def test_what_was_never_delivered_fails_however_few_there_are() -> None:
    looks = Looks(first=3, n_max=3)
    for row in ([0.1, inf, 0.1], [0.1, nan, 0.1]):
        assert bounded(rule(row, 1.0, "<=", looks), 0.99, "<=", [3, 3, 3]).verdict == "fail"


def test_replications_beyond_the_look_that_decided_do_not_count() -> None:
    ruling = rule([0.1] * 6, 0.2, "<=", Looks(first=3, n_max=6))
    assert bounded(ruling, 0.99, "<=", [400, 400, 400, 3, 3, 3]).verdict == "pass"
    assert bounded(ruling, 0.99, "<=", [3, 400, 400, 400, 400, 400]).more == 0
