"""One number per replication: what is said of a metric is said of those, infinities and empty runs included."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chatsim.analysis.intervals import t_interval
from chatsim.analysis.numbers import Replication
from chatsim.analysis.replicated import SUMMARY, VERDICTS, Replicated
from chatsim.analysis.slo import Looks
from chatsim.errors import UsageError
from chatsim.scenario.expectations import parse_expectation

LIMIT = "p99(delivery_latency) <= 100ms"
VALUES = [0.080, 0.085, 0.078, 0.083, 0.081, 0.079, 0.084, 0.082, 0.080, 0.081]


def replicated(values: list[float], *expect: str, scenario: str = "s") -> Replicated:
    expect = expect or (LIMIT,)
    found = [
        Replication(number, 7 + number, {"delivery_latency_p99_s": value, "lost": 0.0}, [value] * len(expect))
        for number, value in enumerate(values)
    ]
    looks = Looks(first=len(values), n_max=len(values), expectations=len(expect))
    return Replicated(scenario, "sim", found, [parse_expectation(text) for text in expect], looks)


def test_the_summary_has_an_interval_for_every_metric() -> None:
    table = replicated(VALUES).summary()
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == SUMMARY
    assert table.metric.tolist() == ["delivery_latency_p99_s", "lost"]
    interval = t_interval(VALUES)
    assert table.iloc[0, 1:4].tolist() == [interval.mean, interval.low, interval.high]
    assert table.iloc[1].tolist() == ["lost", 0.0, 0.0, 0.0, 10]


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
    # One in 3.6 million tens of independent numbers does; a sweep has thousands.
    assert replicated(sorted(VALUES)).summary().n.tolist() == [10, 10]


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
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert "<script>" not in found._repr_html_()
    assert "10 replications from seed 7" in found._repr_html_()
