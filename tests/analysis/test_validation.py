"""What is planted is judged rightly, and how often wrongly is counted."""

from __future__ import annotations

from math import isnan

import msgspec
import numpy as np
import pytest

from chatsim.analysis.validation import BAND, Sight, interval, judged, latency, reached, wasserstein

RUNS, DURATION_S, RATE = 3, 6.0, 300


def sight(
    generator: np.random.Generator, *, factor: float = 1.0, scale_s: float = 0.002, busy: float = 0.5, seed: int = 0
) -> Sight:
    """One run: lognormal latencies `factor` times too long. The same seed has the same arrivals."""
    n = int(DURATION_S * RATE)
    moments = np.sort(np.random.default_rng(seed).uniform(0, DURATION_S, n))
    values = scale_s * factor * generator.lognormal(0, 0.5, n)
    return Sight(
        moments={"delivery_latency": moments, "ack_latency": moments},
        latencies={"delivery_latency": values, "ack_latency": values * 0.7},
        utilisation=busy * factor,
        counts={"sent": n},
    )


def sides(seed: int, factor: float, *, between: float = 0.0, scale_s: float = 0.002) -> tuple[list[Sight], list[Sight]]:
    """Live runs that are so many times slower than their simulations, and differ among themselves by `between`."""
    generator = np.random.default_rng(seed)
    factors = factor * np.exp(between * generator.standard_normal(RUNS))
    live = [sight(generator, factor=float(one), scale_s=scale_s) for one in factors]
    return live, [sight(generator, scale_s=scale_s) for _ in range(RUNS)]


def test_the_same_is_equivalent_in_every_number() -> None:
    live, simulated = sides(1, 1.0, between=0.03)
    found = judged("same", 0.5, live, simulated)
    assert [test.metric for test in found.tests] == [
        *(f"{metric}_{name}" for metric in ("delivery_latency", "ack_latency") for name in ("p50", "p95", "p99")),
        "utilisation",
    ]
    assert found.equivalent
    assert found.counted
    assert all(test.low < 1.0 < test.high or 0.9 < test.ratio < 1.1 for test in found.tests)


def test_half_as_long_again_is_found_out() -> None:
    live, simulated = sides(2, 1.5, between=0.03)
    found = judged("slow", 0.5, live, simulated)
    assert not any(test.equivalent for test in found.tests)
    assert all(test.ratio == pytest.approx(1.5, rel=0.15) for test in found.tests)


@pytest.mark.parametrize("edge", BAND)
def test_at_the_edge_of_the_band_equivalence_is_rarely_found(edge: float) -> None:
    """Each of the two tests errs in 5 % of all cases at the edge, where runs differ as wholes: 200 tries, and with 7 %
    of false alarms more than 24 come in 1 of 1000 (binomial)."""
    wrong = 0
    for seed in range(200):
        live, simulated = sides(seed, edge, between=0.05)
        wrong += latency("delivery_latency", "p50", live, simulated).equivalent
    assert wrong <= 24


@pytest.mark.parametrize("edge", BAND)
def test_who_plays_on_while_it_is_not_sharp_errs_no_more(edge: float) -> None:
    """Twice as many runs where an interval of the first is too wide, wherever it lies: 200 tries of runs that differ by
    10 %, and with 7 % of false alarms more than 24 come in 1 of 1000 (binomial)."""
    wrong = longer = 0
    for seed in range(200):
        live, simulated = sides(3000 + seed, edge, between=0.1)
        found = latency("delivery_latency", "p50", live, simulated)
        if not found.sharp:
            longer += 1
            more, as_many = sides(6000 + seed, edge, between=0.1)
            found = latency("delivery_latency", "p50", live + more, simulated + as_many)
        wrong += found.equivalent
    assert wrong <= 24
    assert 50 < longer < 200, "or the rule shows nothing"


def test_what_is_the_same_is_mostly_found_to_be() -> None:
    """Three runs that differ by 5 % show it in nine of ten cases: 100 tries, and fewer than 80 come in 1 of 1000."""
    found = 0
    for seed in range(100):
        live, simulated = sides(1000 + seed, 1.0, between=0.05)
        found += latency("delivery_latency", "p50", live, simulated).equivalent
    assert found >= 80


def thinned(side: list[Sight], every: int) -> list[Sight]:
    """The same runs, of which only one message in so many is seen."""
    return [
        msgspec.structs.replace(
            one,
            moments={name: values[::every] for name, values in one.moments.items()},
            latencies={name: values[::every] for name, values in one.latencies.items()},
        )
        for one in side
    ]


@pytest.mark.parametrize("every", [1, 20, 60])
def test_few_messages_are_compared_in_longer_stretches_and_at_last_as_wholes(every: int) -> None:
    """300 messages a second for 6 s, or 15, or 5: a second has enough, or two have, or none of the stretches."""
    live, simulated = sides(9, 1.0)
    found = latency("delivery_latency", "p50", thinned(live, every), thinned(simulated, every))
    assert found.low < found.ratio < found.high
    assert found.ratio == pytest.approx(1.0, abs=0.35)


def test_small_latencies_may_differ_by_a_fifth_of_a_millisecond() -> None:
    live, simulated = sides(3, 2.0, scale_s=0.00008)
    test = latency("delivery_latency", "p50", live, simulated)
    assert test.ratio == pytest.approx(2.0, rel=0.1)
    assert test.equivalent


def test_sharp_is_what_is_narrow_wherever_it_lies() -> None:
    for factor in (1.0, 3.0):
        assert latency("delivery_latency", "p50", *sides(4, factor, between=0.01)).sharp
        assert not latency("delivery_latency", "p50", *sides(4, factor, between=0.6)).sharp
    # Wide as a ratio, and less than a tenth of a millisecond.
    assert latency("delivery_latency", "p50", *sides(4, 1.0, between=0.6, scale_s=2e-5)).sharp
    assert not judged("unsteady", 0.5, *sides(4, 1.0, between=0.6)).sharp
    assert judged("steady", 0.5, *sides(4, 3.0, between=0.01)).sharp


def test_intervals_are_those_of_the_runs_where_runs_differ() -> None:
    alike = [np.array([1.0, 1.2, 0.8])] * 3
    apart = [np.array([1.0, 1.2, 0.8]) + by for by in (-1.0, 0.0, 1.0)]
    assert interval(alike)[1] < 0.2
    assert interval(apart)[1] == pytest.approx(2.92 * 1.0 / np.sqrt(3), rel=0.01)
    assert interval([np.array([1.0])])[1] == float("inf")
    assert isnan(interval([])[0])


def test_a_run_inside_the_prediction_interval_and_one_outside() -> None:
    generator = np.random.default_rng(4)
    live, simulated = sides(4, 1.0)
    others = [sight(generator, factor=factor, seed=9) for factor in (0.97, 0.99, 1.0, 1.01, 1.03)]
    inside = judged("x", 0.5, live, simulated, others).tests[-1].inside
    assert inside == (True,) * RUNS
    slow, _ = sides(5, 1.3)
    assert judged("x", 0.5, slow, simulated, others).tests[-1].inside == (False,) * RUNS


def test_the_distance_is_the_shift() -> None:
    live, simulated = sides(6, 1.0)
    assert wasserstein(live, live) == 0.0
    mean = float(np.mean([one.latencies["delivery_latency"].mean() for one in live]))
    doubled, _ = sides(6, 2.0)
    assert wasserstein(doubled, live) == pytest.approx(mean, rel=0.05)
    assert simulated


def test_the_reach_wants_counts_pairs_and_controls() -> None:
    live, simulated = sides(1, 1.0, between=0.03)
    good = judged("good", 0.5, live, simulated)
    slow = judged("slow", 0.5, sides(2, 1.5)[0], simulated)
    miscounted = judged("miscounted", 0.5, live, simulated, counts={"sent": (1, 2)})
    assert reached([good] * 18 + [slow] * 2, {"costs": True})
    assert not reached([good] * 17 + [slow] * 3, {"costs": True})
    assert not reached([good] * 19 + [miscounted], {"costs": True})
    assert not reached([good] * 20, {"costs": False})
    assert not reached([], {})
    assert reached([good] * 17 + [slow] * 2, {"costs": True}, unjudged=1), "as far as anybody knows"
    assert not reached([good] * 16 + [slow] * 3, {"costs": True}, unjudged=1)


def test_too_few_latencies_are_not_judged_and_utilisation_alone_is() -> None:
    live, simulated = sides(7, 1.0)
    few = [
        Sight(
            moments={name: at[:5] for name, at in one.moments.items()},
            latencies={name: at[:5] for name, at in one.latencies.items()},
            utilisation=one.utilisation,
            counts={},
        )
        for one in live
    ]
    assert [test.metric for test in judged("few", 0.5, few, simulated).tests] == ["utilisation"]
