"""Replication r of a master seed is one run, whoever plays it, beside however many, and as often as needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from chatsim.analysis.sequential import Precision
from chatsim.errors import BrokenPromiseError, HarnessError, UsageError
from chatsim.runner.replicate import compare, replicate
from chatsim.scenario.model import Scenario
from chatsim.verdict.invariants.catalogue import Violation
from tests.sim.worlds import scenario

BUSY = {
    "messages": {"arrivals": "poisson", "rate": "30/min"},
    "network": {"latency": {"exponential": {"mean": "10ms"}}},
}


def small(*expect: str) -> Scenario:
    """A few people whose latencies differ from run to run."""
    return scenario(group=BUSY, duration="20s", expect=list(expect or ("lost == 0",)))


def test_any_number_of_processes_finds_the_same() -> None:
    one, two = (replicate(small(), 5, jobs=jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one.frame, two.frame)
    assert [r.observed for r in one.replications] == [r.observed for r in two.replications]
    assert [r.number for r in one.replications] == [0, 1, 2, 3, 4]
    assert len({r.numbers["delivery_latency_mean_s"] for r in one.replications}) == 5


def test_more_replications_go_on_where_fewer_ended() -> None:
    few, more = replicate(small(), 3, jobs=1), replicate(small(), 6, jobs=1)
    pd.testing.assert_frame_equal(more.frame[:3], few.frame)


def test_sim_and_virtual_can_be_replicated() -> None:
    found = replicate(small(), 2, on="virtual", jobs=1)
    assert (found.wire, len(found), found.verdict) == ("virtual", 2, "pass")


@pytest.mark.slow
def test_until_precise_each_metric_is() -> None:
    precision = Precision(relative=0.1, n_max=60)
    found = replicate(small("mean(delivery_latency) <= 1s"), until=precision, jobs=1)
    row = found.summary().set_index("metric").loc["delivery_latency_mean_s"]
    assert (row.high - row.low) / 2 <= 0.1 * row["mean"]
    narrower = replicate(small("mean(delivery_latency) <= 1s"), until=Precision(relative=0.03, n_max=60), jobs=1)
    assert len(narrower) > len(found)


@pytest.mark.parametrize(
    ("n", "text"),
    [
        ("auto", r"^n=.auto.: give a whole number of pairs"),
        (2.0, r"^n=2\.0: give a whole number"),
        (None, "^n=None: give a whole number"),
        (True, "^n=True: give a whole number"),
        (1, "2 would do"),
    ],
)
def test_how_many_pairs_is_checked_before_anything_is_played(n: Any, text: str) -> None:
    heard: list[int] = []
    with pytest.raises(UsageError, match=text):
        compare(small(), small(), n, jobs=1, progress=heard.append)
    assert heard == []


def test_until_says_which_metric_it_means() -> None:
    found = replicate(small(), until=Precision(relative=0.2), metrics=["ack_latency_p50_s"], jobs=1)
    assert len(found) >= 3
    with pytest.raises(UsageError, match="no expectation of s has a metric"):
        replicate(small(), until=Precision(relative=0.2), jobs=1)
    with pytest.raises(UsageError, match="did you mean ack_latency_p50_s"):
        replicate(small(), until=Precision(relative=0.2), metrics=["ack_latency_p50"], jobs=1)


@pytest.mark.slow
def test_auto_ends_when_every_expectation_is_decided() -> None:
    mean_s = np.mean([r.numbers["delivery_latency_mean_s"] for r in replicate(small(), 20, jobs=1).replications])
    clear = replicate(small(f"mean(delivery_latency) <= {mean_s * 2:.6f}s", "lost == 0"), "auto", jobs=1)
    assert (clear.verdict, len(clear)) == ("pass", 10)
    broken = replicate(small(f"mean(delivery_latency) <= {mean_s / 2:.6f}s", "lost == 0"), "auto", jobs=1)
    assert (broken.verdict, len(broken)) == ("fail", 10)
    close = replicate(small(f"mean(delivery_latency) <= {mean_s:.6f}s"), "auto", jobs=1)
    assert len(close) > 10


def test_progress_is_told() -> None:
    heard: list[int] = []
    replicate(small(), 3, jobs=1, progress=heard.append)
    assert heard == [1, 2, 3]
    assert len(replicate(small(), 2, jobs=1, progress=True)) == 2
    assert len(compare(small(), small(), 2, jobs=1, progress=True).a) == 2
    for play in (
        lambda told: replicate(small(), 2, progress=told),
        lambda told: compare(small(), small(), progress=told),
    ):
        with pytest.raises(UsageError, match=r"progress='x': give True for a bar, or a function"):
            play("x")


@pytest.mark.parametrize(
    ("n", "until", "on", "text"),
    [
        (1, None, "sim", "2 would do"),
        ("x", None, "sim", "give a whole number of replications, or 'auto'"),
        (None, 5, "sim", r"such as Precision\(relative=0.05\)"),
        (5, Precision(relative=0.1), "sim", "give one of them"),
        (5, None, "live", "virtual time"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(n: Any, until: Any, on: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        replicate(small(), n, until=until, on=on)


def test_no_process_plays_nothing() -> None:
    with pytest.raises(UsageError, match="jobs=0: say how many processes play"):
        replicate(small(), 2, jobs=0)


def test_a_replication_that_is_not_valid_is_named_with_its_seed() -> None:
    vain = scenario({"at": "1s", "do": "drop", "group": "g"}, group={"arrive_over": "0s"}, duration="20s")
    nobody = vain.with_({"events.0.at": "0s"})
    with pytest.raises(HarnessError, match=r"Replication 0 of s \(seed 1\) is not valid"):
        replicate(nobody, 2, jobs=1)


def test_what_must_hold_and_does_not_fails_it_whatever_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Violation("seq", 3.0, "s has 4 after 2.")
    monkeypatch.setattr("chatsim.verdict.invariants.watch.Watch.finish", lambda *_, **__: [broken])
    found = replicate(small(), 3, jobs=1)
    assert (found.verdict, found.violations) == ("fail", [(found.replications[0].seed, broken)])
    assert "invariant seq at 3 s: " in repr(found)
    assert "invariant seq at 3 s: " in found._repr_html_()
    with pytest.raises(BrokenPromiseError, match=r"Replication 0 of s \(seed 1\) breaks what must hold: seq at 3 s"):
        compare(small(), small(), 2, jobs=1)


def test_a_comparison_shares_the_luck_of_both() -> None:
    slower = small().with_({"groups.g.network.latency": {"exponential": {"mean": "12ms"}}}).with_seed(99)
    heard: list[int] = []
    found = compare(small(), slower, 5, jobs=1, progress=heard.append)
    row = found.summary().set_index("metric").loc["delivery_latency_mean_s"]
    assert row.difference == pytest.approx(0.004, abs=0.001)
    assert row.low > 0
    assert row.variance_ratio > 10
    assert heard == list(range(1, 11))
    assert [r.seed for r in found.a.replications] == [r.seed for r in found.b.replications]


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        (["ack_latency_p50"], r"there is no metric ack_latency_p50 \(did you mean ack_latency_p50_s\?\)"),
        (["lsot", "p98(delivery_latency)"], r"(?s)did you mean lost\?.*p98"),
        (["p99(delivery_latency, group=x)"], r"did you mean delivery_latency_p99_s\{group=g\}\?"),
        ("sent", r"^metrics='sent': give a list of names, \['sent'\]$"),
        (None, r"^metrics=None: give a list of names, such as \['delivery_latency_p99_s'\], or leave it out$"),
    ],
)
@pytest.mark.parametrize("words", [{"n": 3}, {"n": "auto"}, {"until": Precision(relative=0.2)}])
def test_metrics_are_checked_before_anything_is_played(words: dict[str, Any], metrics: Any, text: str) -> None:
    heard: list[int] = []
    with pytest.raises(UsageError, match=text):
        replicate(small(), **words, metrics=metrics, jobs=1, progress=heard.append)
    assert heard == []


def test_without_a_metric_to_be_precise_about_nothing_is_played() -> None:
    heard: list[int] = []
    with pytest.raises(UsageError, match="no expectation of s has a metric"):
        replicate(small(), until=Precision(relative=0.2), jobs=1, progress=heard.append)
    assert heard == []


def test_a_quantile_of_too_few_messages_is_not_decided_and_nobody_plays_on_for_it() -> None:
    found = replicate(small("p99(delivery_latency) <= 10s", "p50(delivery_latency) <= 10s"), "auto", jobs=1)
    counts = found.values("delivery_latency_count")
    assert counts.max() < 299
    assert len(found) == 10
    short, enough = found.rulings
    assert (short.verdict, short.samples, short.needed) == ("inconclusive", int(counts.min()), 299)
    assert enough.verdict == "pass"
    assert found.verdict == "inconclusive"


def test_a_number_without_a_sample_is_not_made_precise() -> None:
    with pytest.raises(UsageError, match="reconnect_time_mean_s has no sample in 3 of 3 runs, and cannot be precise"):
        replicate(small(), until=Precision(relative=0.5), metrics=["reconnect_time_mean_s"], jobs=1)


def test_what_is_given_up_is_told() -> None:
    metrics = ["ack_latency_mean_s", "lost"]
    found = replicate(small(), until=Precision(relative=0.0001, n_max=8), metrics=metrics, jobs=1)
    (missed,) = found.missed
    row = found.summary().set_index("metric").loc["ack_latency_mean_s"]
    assert (missed.metric, missed.interval.n, missed.interval.low) == ("ack_latency_mean_s", 8, row.low)
    assert "imprecise    ack_latency_mean_s" in repr(found)
    assert replicate(small(), until=Precision(relative=0.9), metrics=metrics, jobs=1).missed == ()


def test_a_quantile_of_too_few_messages_is_not_made_precise() -> None:
    with pytest.raises(UsageError, match=r"samples in a run, too few for the quantile 0\.99: 299 would do"):
        replicate(small("p99(delivery_latency) <= 10s"), until=Precision(relative=0.5), jobs=1)
