"""The judge: exact values against exact limits, and nothing passes for want of samples."""

from __future__ import annotations

import math
from math import inf, nan

import pytest

from chatsim.journal.record import Outage, RunRecord, Sent
from chatsim.scenario.expectations import AGGREGATES, METRICS, parse_expectation
from chatsim.verdict.judge import Judged, Verdict, judge, unproven, verdict_of


def run(*latencies: float) -> RunRecord:
    """A run in which `a` of group `g` sends to `b` with these latencies (inf: given up)."""
    rows = RunRecord([], {}, {}, {}, {}, [], [], [], [], [], [], {"pings": 3}, 100.0, 0.0)
    for number, latency_s in enumerate(latencies):
        name = f"m{number}"
        rows.sent.append(Sent("a", "g", "s", str(number), 0.0, nan, ""))
        rows.accepted["a", str(number)] = name
        rows.receipts[name] = {} if latency_s == inf else {"b": latency_s}
        rows.owed[name] = {"b": "no_ack" if latency_s == inf else "delivered"}
    return rows


def only(text: str, rows: RunRecord) -> Judged:
    (judged,) = judge([parse_expectation(text)], rows)
    assert judged.text == text
    return judged


@pytest.mark.parametrize(
    ("latency_s", "verdict"), [(0.1, "pass"), (0.104, "fail"), (math.nextafter(0.1, 1.0), "fail"), (0.0999, "pass")]
)
def test_nothing_is_rounded(latency_s: float, verdict: Verdict) -> None:
    assert only("p99(delivery_latency) <= 100ms", run(latency_s)) == Judged(
        "p99(delivery_latency) <= 100ms", latency_s, 0.1, verdict, 1, "s"
    )


@pytest.mark.parametrize("aggregate", [name for name in AGGREGATES if name != "count"])
@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_without_a_sample_fails(aggregate: str, metric: str) -> None:
    for op in ("<=", "<", ">=", ">", "=="):
        found = only(f"{aggregate}({metric}) {op} 0", run())
        assert (found.verdict, found.n) == ("fail", 0)
        assert math.isnan(found.observed)


def test_a_count_of_none_is_observed() -> None:
    assert only("count(reconnect_time) == 0", run()).verdict == "pass"
    found = only("count(reconnect_time) >= 1", run())
    assert (found.observed, found.verdict, found.n, found.unit) == (0.0, "fail", 0, "")


def test_counters_have_one_value() -> None:
    assert only("pings == 3", run()) == Judged("pings == 3", 3.0, 3.0, "pass", 1, "")
    assert only("sent > 2", run(0.1, 0.1)).verdict == "fail"
    assert only("errors == 0", run()).verdict == "pass"
    assert only("undelivered == 1", run(0.1, inf)).verdict == "pass"


def test_infinity_fails_an_upper_limit() -> None:
    found = only("max(delivery_latency) <= 1h", run(0.1, inf))
    assert (found.observed, found.verdict, found.n) == (inf, "fail", 2)


def test_groups_are_judged_apart() -> None:
    rows = run(0.5)
    rows.outages = [Outage("a", "g", 0.0, 1.0), Outage("b", "h", 0.0, 9.0)]
    assert only("max(reconnect_time, group=g) <= 1s", rows).verdict == "pass"
    assert only("max(reconnect_time, group=h) <= 1s", rows).verdict == "fail"
    assert only("count(delivery_latency, group=h) == 0", rows).verdict == "pass"


def test_shares_keep_their_unit() -> None:
    rows = run()
    rows.utilisation = [0.7]
    assert only("max(utilisation) <= 70%", rows) == Judged("max(utilisation) <= 70%", 0.7, 0.7, "pass", 1, "share")


def test_order_is_that_of_the_scenario() -> None:
    texts = ["sent == 1", "lost == 0", "p50(delivery_latency) < 1s"]
    assert [found.text for found in judge([parse_expectation(text) for text in texts], run(0.1))] == texts


def test_what_was_skipped_is_no_failure_and_all_skipped_is_no_pass() -> None:
    def of(*verdicts: Verdict) -> str:
        return verdict_of([Judged("x", 0.0, 0.0, verdict, 1, "") for verdict in verdicts])

    assert of("pass", "skipped") == "pass"
    assert of("fail", "skipped") == "fail"
    assert of("skipped", "skipped") == "skipped"


def test_a_run_that_proves_nothing_has_a_verdict_on_nothing() -> None:
    judged = [
        Judged("a", 1.0, 2.0, "pass", 3, "s"),
        Judged("b", 2.0, 1.0, "fail", 1, ""),
        Judged("c", 2.0, 1.0, "skipped", 0, "", "its inside is not seen"),
    ]
    assert unproven(judged) == [
        Judged("a", 1.0, 2.0, "invalid", 3, "s"),
        Judged("b", 2.0, 1.0, "invalid", 1, ""),
        Judged("c", 2.0, 1.0, "invalid", 0, "", "its inside is not seen"),
    ]
