"""Every point has the same rows, and a value of the grid stands there as it was given."""

from __future__ import annotations

import sys
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chatsim.analysis.numbers import Replication
from chatsim.analysis.replicated import Replicated
from chatsim.analysis.slo import Looks
from chatsim.analysis.swept import Sweep, shown, swept
from chatsim.errors import UsageError


def found(*values: float, name: str = "a_s") -> Replicated:
    runs = [Replication(number, number, {name: value, "lost": 0.0}, []) for number, value in enumerate(values)]
    return Replicated("s", "sim", runs, [], Looks(first=2, n_max=2))


def table() -> Sweep:
    points = [{"users": 4, "rate": "60/min"}, {"users": 8, "rate": "1/s"}]
    return swept(points, [found(1.0, 3.0), found(nan, inf)])


def test_it_is_a_full_rectangle() -> None:
    made = table()
    assert made.columns.tolist() == ["users", "rate", "metric", "mean", "low", "high", "n", "needed"]
    assert made.metric.tolist() == ["a_s", "lost"] * 2
    assert made.n.tolist() == [2, 2, 1, 2]
    assert made["mean"].tolist()[:2] == [2.0, 0.0]
    assert np.isnan(made["mean"][2])


def test_a_point_with_too_few_messages_for_a_quantile_has_no_interval() -> None:
    runs = [Replication(n, n, {"ack_latency_p95_s": 1.0 + n, "ack_latency_count": 58.0 + n}, []) for n in range(3)]
    short, enough = (Replicated("s", "sim", part, [], Looks(first=2, n_max=2)) for part in (runs[:2], runs[1:]))
    made = swept([{"users": 4}, {"users": 8}], [short, enough], ["ack_latency_p95_s"])
    assert made["mean"].tolist() == [1.5, 2.5]
    assert made.low.isna().tolist() == made.high.isna().tolist() == [True, False]
    assert made.needed.tolist() == [59, 0]


def test_what_never_came_is_infinite() -> None:
    assert swept([{"users": 4}], [found(1.0, inf)])["mean"].tolist() == [inf, 0.0]


def test_a_number_that_one_point_alone_has_is_nan_elsewhere() -> None:
    made = swept([{"x": 1}, {"x": 2}], [found(1.0, 2.0), found(1.0, 2.0, name="b_s")])
    assert made.groupby("metric").n.apply(list).to_dict() == {"a_s": [2, 0], "lost": [2, 2], "b_s": [0, 2]}


@pytest.mark.parametrize(
    ("values", "kind", "column"),
    [
        ([1, 2], "int64", [1, 2]),
        ([1, 2.5], "float64", [1.0, 2.5]),
        ([True, False], "bool", [True, False]),
        ([0, "60/min"], "string", ["0", "60/min"]),
        ([None, "30s"], "string", ["null", "30s"]),
        ([{"exponential": {"mean": "5ms"}}, [1, True]], "string", ["{exponential: {mean: 5ms}}", "[1, true]"]),
    ],
)
def test_a_value_stands_as_it_was_given(values: list[Any], kind: str, column: list[Any]) -> None:
    made = swept([{"x": value} for value in values], [found(1.0, 2.0)] * 2, ["lost"])
    assert str(made.x.dtype) == kind
    assert made.x.tolist() == column


def test_a_value_is_shown_as_a_file_says_it() -> None:
    assert [shown(value) for value in (1, 0.5, "30s", True, None)] == ["1", "0.5", "30s", "true", "null"]


def test_what_is_selected_is_a_plain_table() -> None:
    made = table()
    assert isinstance(made, pd.DataFrame)
    assert type(made[made.n == 2]) is pd.DataFrame
    assert len(pd.concat([made, made])) == 8


def test_it_comes_back_from_parquet_and_says_what_that_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = table()
    made.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), pd.DataFrame(made), check_dtype=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"chatsim\[parquet\]"):
        made.to_parquet(tmp_path / "u.parquet")
