"""One number per replication: what is said of a metric is said of those, infinities and empty runs included."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chatsim.analysis.intervals import t_interval
from chatsim.analysis.missed import Missed
from chatsim.analysis.numbers import Replication
from chatsim.analysis.replicated import SUMMARY, VERDICTS, Replicated
from chatsim.analysis.sequential import Precision
from chatsim.analysis.slo import Looks
from chatsim.errors import UsageError
from chatsim.scenario.expectations import parse_expectation
from chatsim.verdict.again import Source

LIMIT = "p99(delivery_latency) <= 100ms"
VALUES = [0.080, 0.085, 0.078, 0.083, 0.081, 0.079, 0.084, 0.082, 0.080, 0.081]


def replicated(values: list[float], *expect: str, scenario: str = "s", **more: Any) -> Replicated:
    expect = expect or (LIMIT,)
    numbers = {"lost": 0.0} | more.pop("numbers", {})
    found = [
        Replication(number, 7 + number, {"delivery_latency_p99_s": value} | numbers, [value] * len(expect))
        for number, value in enumerate(values)
    ]
    looks = more.pop("looks", Looks(first=len(values), n_max=len(values), expectations=len(expect)))
    return Replicated(scenario, "sim", found, [parse_expectation(text) for text in expect], looks, **more)


def test_the_summary_has_an_interval_for_every_metric() -> None:
    table = replicated(VALUES).summary()
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == SUMMARY
    assert table.metric.tolist() == ["delivery_latency_p99_s", "lost"]
    interval = t_interval(VALUES)
    assert table.iloc[0, 1:4].tolist() == [interval.mean, interval.low, interval.high]
    assert table.iloc[1].tolist() == ["lost", 0.0, 0.0, 0.0, 10]


def test_one_run_breaks_what_is_promised_of_every_run() -> None:
    found = replicated([*VALUES, 0.2], "max(delivery_latency) <= 100ms", "mean(delivery_latency) <= 150ms")
    slowest = found.rulings[0]
    assert (slowest.verdict, slowest.low, slowest.high) == ("fail", 0.078, 0.2)
    assert found.verdicts().why.tolist() == ["broken by 1 of 11 runs", ""]
    assert [r.verdict for r in found.rulings] == ["fail", "pass"]


SKEWED = [0.001] * 9 + [0.020]


def test_no_interval_reaches_to_where_the_number_cannot_be() -> None:
    table = replicated(SKEWED).summary().set_index("metric")
    assert t_interval(SKEWED).low < 0.0
    assert table.low["delivery_latency_p99_s"] == 0.0
    assert table.high["delivery_latency_p99_s"] == t_interval(SKEWED).high
    found = replicated(VALUES)
    for each, busy in zip(found.replications, [1.0] * 9 + [0.9], strict=True):
        # What is no number of a run may be anything.
        each.numbers.update(retries=round(1.0 - busy, 1), utilisation_max=busy, profit=busy - 1.0)
    table = found.summary().set_index("metric")
    assert (table.low["retries"], table.high["utilisation_max"]) == (0.0, 1.0)
    assert table.high["retries"] > 0.03
    assert table.low["utilisation_max"] < 0.97
    assert table.high["profit"] > 0.0
    assert table.low["profit"] < -0.03


def test_a_mean_lies_within_its_interval_wherever_it_is() -> None:
    found = replicated(VALUES, numbers={"utilisation_max": 1.0 + 1e-9})
    row = found.summary().set_index("metric").loc["utilisation_max"]
    assert row["low"] == row["mean"] == row["high"] > 1.0


def test_bounds_are_shown_where_the_number_can_be_and_judged_as_they_are() -> None:
    found = replicated(SKEWED)
    (ruling,) = found.rulings
    assert ruling.low < 0.0
    assert [found.verdicts().low[0], found.shown[0].low] == [0.0, 0.0]
    assert found.shown[0].high == ruling.high == found.verdicts().high[0]
    assert "bounds 0 s .. " in repr(found)
    assert "<td>0 s .. " in found._repr_html_()


def test_no_bound_is_shown_on_the_other_side_of_its_limit() -> None:
    found = replicated(SKEWED, "p99(delivery_latency) >= 0ms")
    assert found.verdict == "inconclusive"
    assert found.shown == found.rulings


@pytest.mark.parametrize(("messages", "needed"), [(298, 299), (299, 0)])
def test_a_quantile_of_too_few_messages_has_a_mean_and_no_interval(messages: int, needed: int) -> None:
    found = replicated(VALUES, numbers={"delivery_latency_count": float(messages), "delivery_latency_max_s": 0.2})
    row = found.estimates().iloc[0]
    assert (row.metric, row["mean"]) == ("delivery_latency_p99_s", pytest.approx(np.mean(VALUES)))
    assert row[["low", "high"]].isna().tolist() == [needed > 0] * 2
    assert (row.needed, row.n) == (needed, 10)
    assert found.summary().columns.tolist() == ["metric", "mean", "low", "high", "n"]
    assert found.needed("p99(delivery_latency)") == needed
    assert found.needed("delivery_latency_max_s") == found.needed("lost") == 0


def test_the_only_value_of_a_run_is_judged_as_its_quantile() -> None:
    found = replicated(VALUES, "p99(utilisation) <= 0.1", numbers={"utilisation_p99": 0.08, "utilisation_count": 1.0})
    assert found.needed("utilisation_p99") == 0
    assert [(ruling.verdict, ruling.why) for ruling in found.rulings] == [("pass", "")]


def test_what_never_came_is_infinite_however_few_there_are() -> None:
    found = replicated([inf, *VALUES], numbers={"delivery_latency_count": 20.0})
    row = found.summary().iloc[0]
    assert (row["mean"], row.low, row.high) == (inf, inf, inf)


def test_runs_without_a_message_make_no_quantile_one_of_too_few() -> None:
    found = replicated([nan, *VALUES], numbers={"delivery_latency_count": 500.0})
    found.replications[0].numbers["delivery_latency_count"] = 0.0
    assert found.needed("delivery_latency_p99_s") == 0


def test_a_replication_without_a_sample_is_no_replication_of_that_metric() -> None:
    table = replicated([nan, *VALUES]).summary()
    assert table.n.tolist() == [10, 11]
    assert replicated([nan] * 10).summary().metric.tolist() == ["lost"]


def test_what_was_never_delivered_is_shown() -> None:
    found = replicated([inf, *VALUES])
    assert found.summary().iloc[0].high == inf
    assert found.verdict == "fail"
    assert "infinite in 1 of 11" in repr(found)
    assert "infinite in 1 of 11" in found._repr_html_()
    assert found.verdicts().infinite.tolist() == [1]


def test_a_metric_goes_by_its_name_or_the_nearest_is_told() -> None:
    found = replicated(VALUES)
    np.testing.assert_array_equal(found.values("delivery_latency_p99_s"), VALUES)
    with pytest.raises(UsageError, match=r"did you mean delivery_latency_p99_s\?"):
        found.values("delivery_latency_p99")
    np.testing.assert_array_equal(found.values("p99(delivery_latency)"), VALUES)
    with pytest.raises(UsageError, match="no metric seed"):
        found.values("seed")


def test_numbers_that_rise_by_luck_have_an_interval_all_the_same() -> None:
    # A test that errs once in a million analyses does so here and there; a sweep has thousands.
    assert replicated(sorted(VALUES * 4)).summary().n.tolist() == [40, 40]


def test_a_precision_that_was_not_reached_is_shown_and_changes_no_verdict() -> None:
    found = replicated(VALUES)
    assert "precise" not in repr(found) + found._repr_html_()
    found.missed = (Missed("delivery_latency_p99_s", Precision(relative=0.0001), t_interval(VALUES), 0),)
    assert found.verdict == "pass"
    shown = repr(found).splitlines()
    at = shown.index("  imprecise    delivery_latency_p99_s")
    assert shown[at + 1] == "               1.95 % after 10 replications, where 0.01 % was asked for"
    assert "<p>not precise: delivery_latency_p99_s 1.95 % after 10 replications, where" in found._repr_html_()


@pytest.mark.parametrize("values", [sorted(VALUES * 4), [0.0] * 20 + [1.0] * 20])
def test_numbers_that_rise_by_luck_are_judged_all_the_same(values: list[float]) -> None:
    (ruling,) = replicated(values, "mean(delivery_latency) <= 2s").rulings
    assert (ruling.verdict, ruling.n) == ("pass", 40)


def test_it_comes_back_from_its_files(tmp_path: Path) -> None:
    found = replicated([inf, *VALUES])
    csv, parquet = found.to_csv(tmp_path / "r.csv"), found.to_parquet(tmp_path / "r.parquet")
    pd.testing.assert_frame_equal(pd.read_csv(csv), found.frame)
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), found.frame)
    with pytest.raises(UsageError, match=r"let the name end in \.parquet"):
        found.to_parquet(tmp_path / "r.csv")


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "pass"), (0.05, "fail"), (0.0187, "inconclusive")])
def test_a_verdict_has_three_values(shift: float, verdict: str) -> None:
    found = replicated([value + shift for value in VALUES])
    table = found.verdicts()
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == VERDICTS
    assert (found.verdict, table.verdict.tolist()) == (verdict, [verdict])
    assert (table.would_do[0] > 10) == (verdict == "inconclusive")


def test_one_replication_has_no_interval() -> None:
    one = Replicated("s", "sim", replicated(VALUES).replications[:1], [], Looks())
    with pytest.raises(UsageError, match="2 would do"):
        one.summary()


def test_it_reads_in_eighty_columns_and_runs_no_script() -> None:
    found = replicated(VALUES, LIMIT, LIMIT, scenario="<script>" + "x" * 90)
    lines = repr(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split(None, 1)[1] == LIMIT, "the promise is told whole, with its limit"
    assert "in the mean, bounds" in lines[2]
    assert lines[5].startswith("again: chatsim replicate scenario.yaml -n 10 --seed 7")
    assert "<script>" not in found._repr_html_()
    assert "10 replications from seed 7" in found._repr_html_()


@pytest.mark.parametrize(("messages", "verdict"), [(298, "inconclusive"), (299, "pass")])
def test_a_quantile_of_too_few_messages_passes_nothing(messages: int, verdict: str) -> None:
    found = replicated(VALUES, numbers={"delivery_latency_count": float(messages)})
    assert found.verdict == verdict
    row = found.verdicts().iloc[0]
    assert (row.would_do == inf) == (verdict == "inconclusive")
    told = "a quantile of 298 samples in a run, where 299 would do: make the runs longer"
    assert row.why == (told if verdict == "inconclusive" else "")
    for card in (repr(found), found._repr_html_()):
        assert ("298 of 299 samples" in card) == (verdict == "inconclusive")


def test_what_is_above_the_limit_with_few_messages_is_above_it_with_many() -> None:
    few = {"delivery_latency_count": 3.0}
    assert replicated([1.0 + value for value in VALUES], numbers=few).verdict == "fail"
    assert replicated([inf, *VALUES], numbers=few).verdict == "fail"


def test_the_fewest_messages_of_the_group_decide() -> None:
    limit = "p99(delivery_latency, group=web) <= 100ms"
    numbers = {"delivery_latency_count": 20.0, "delivery_latency_count{group=web}": 400.0}
    assert replicated(VALUES, limit, numbers=numbers).verdict == "pass"
    assert replicated(VALUES, limit, numbers={"delivery_latency_count{group=web}": 20.0}).verdict == "inconclusive"
    few = [Replication(n, n, {"delivery_latency_count": 298.0 if n == 4 else 5000.0}, [0.08]) for n in range(10)]
    looks = Looks(first=10, n_max=10)
    assert Replicated("s", "sim", few, [parse_expectation(LIMIT)], looks).rulings[0].samples == 298
    assert replicated(VALUES, "mean(delivery_latency) <= 100ms", numbers=numbers).verdict == "pass"


def test_the_card_says_the_seed_and_how_to_see_it_again() -> None:
    source = Source("s", "s.yaml", {"groups.g.users": 500})
    found = replicated(VALUES, source=source)
    assert found.again == "chatsim replicate s.yaml -n 10 --set groups.g.users=500 --seed 7"
    assert repr(found).splitlines()[0] == "PASS  s on sim, 10 replications from seed 7"
    assert repr(found).splitlines()[-1] == f"again: {found.again}"
    assert f"<code>{found.again}</code>" in found._repr_html_()
    until_decided = replicated(VALUES, source=source, looks=Looks(first=10, n_max=80))
    assert until_decided.again.startswith("chatsim replicate s.yaml -n auto ")
    unsaved = replicated(VALUES)
    assert unsaved.again == 'chatsim replicate s.yaml -n 10 --seed 7  # after cs.load(scenario).save("s.yaml")'


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    found: Any = replicated(VALUES)
    with pytest.raises(AttributeError, match=r"a replicated scenario has no sumary \(did you mean summary\?\)"):
        _ = found.sumary
