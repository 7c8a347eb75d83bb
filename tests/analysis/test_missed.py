"""What did not become precise is told as it was asked for."""

from __future__ import annotations

from math import inf

import pytest

from chatsim.analysis.intervals import Interval
from chatsim.analysis.missed import Missed
from chatsim.analysis.sequential import Precision


@pytest.mark.parametrize(
    ("metric", "asked", "interval", "reached_n", "text"),
    [
        (
            "ack_latency_mean_s",
            Precision(relative=0.0001),
            Interval(0.1, 0.0998, 0.1002, 1000),
            0,
            "0.2 % after 1000 replications, where 0.01 % was asked for",
        ),
        (
            "ack_latency_mean_s",
            Precision(absolute=0.0001),
            Interval(0.1, 0.0998, 0.1002, 9),
            0,
            "0.2 ms after 9 replications, where 0.1 ms was asked for",
        ),
        (
            "lost",
            Precision(relative=0.01, absolute=0.5),
            Interval(10.0, 9.0, 11.0, 9),
            0,
            "10 % or 1 after 9 replications, where 1 % or 0.5 was asked for",
        ),
        ("lost", Precision(), Interval(0.0, -1.0, 1.0, 9), 0, "1 after 9 replications, where 5 % was asked for"),
        (
            "utilisation_max",
            Precision(absolute=0.01),
            Interval(0.5, 0.48, 0.52, 9),
            0,
            "0.02 after 9 replications, where 0.01 was asked for",
        ),
        (
            "ack_latency_mean_s",
            Precision(),
            Interval(inf, inf, inf, 4, infinite=1),
            0,
            "infinite in 1 of 4 replications, where 5 % was asked for",
        ),
        (
            "lost",
            Precision(n_max=9),
            Interval(10.0, 9.7, 10.3, 9),
            7,
            "5 % as asked for at 7 replications, and not confirmed by 9",
        ),
    ],
)
def test_what_is_given_up_tells_what_was_asked_and_what_was_reached(
    metric: str, asked: Precision, interval: Interval, reached_n: int, text: str
) -> None:
    assert Missed(metric, asked, interval, reached_n).text == text


def test_a_share_of_no_mean_is_infinite() -> None:
    assert Missed("lost", Precision(), Interval(0.0, -1.0, 1.0, 9), 0).relative == inf
    assert Missed("lost", Precision(), Interval(-4.0, -5.0, -3.0, 9), 0).relative == 0.25
