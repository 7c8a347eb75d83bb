"""The limiter and the retries, as the people of a run had them."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from chatsim.analysis.pictures import limiter, retries
from chatsim.analysis.pictures.rules import ROWS_MAX, within
from chatsim.errors import UsageError
from tests.analysis.pictures import tables


def test_the_count_is_of_the_last_window() -> None:
    at, count = within(np.array([1.0, 2.0, 11.0]), 10.0)
    # The first leaves at the very moment at which the third comes, and there are never three.
    assert at.tolist() == [0.0, 1.0, 2.0, 11.0, 11.0, 12.0, 21.0]
    assert count.tolist() == [0, 1, 2, 1, 2, 1, 0]


def test_the_count_is_that_of_brute_force() -> None:
    moments = np.sort(np.random.default_rng(5).uniform(0, 100, 300))
    at, count = within(moments, 10.0)
    for now in np.random.default_rng(6).uniform(0, 110, 200):
        there = ((moments <= now) & (moments > now - 10.0)).sum()
        assert count[np.searchsorted(at, now, side="right") - 1] == there


def test_a_flooder_never_gets_more_than_the_limit() -> None:
    # At costs that waver an ack may be later than the next one, and the count above the limit for an instant.
    run = tables.played("limiter", costs=0)
    ax = limiter(run.messages, ax=tables.axes())
    assert ax.get_title(loc="left").startswith("flooders-")
    assert max(tables.line(ax, "accepted")[1]) == 60
    assert tables.line(ax, "limit")[1] == [60.0, 60.0]
    refused, _ = tables.line(ax, "refused")
    assert len(refused) == 500
    assert tables.labels(ax)[0] == "accepted in the last 60 s (180 in all)"
    assert ax.get_ylabel() == "accepted (messages in the last 60 s)"
    quiet = limiter(run.messages, sender="bystanders-0001", ax=tables.axes())
    assert not [told for told in tables.labels(quiet) if told.startswith("refused")]


def test_a_real_run_tries_four_times() -> None:
    ax = retries(tables.played("retries").attempts, ax=tables.axes())
    since, rows = tables.line(ax, "sent")
    assert {round(at) for at in since} == {0, 30, 60, 90}
    assert len(set(rows)) == 40
    assert {round(at) for at in tables.line(ax, "given up")[0]} == {120}
    assert ax.get_xlabel() == "time since it was first sent (s)"


def test_what_was_acked_and_what_waits_end_otherwise() -> None:
    table = tables.attempts(
        ("a", [5.0, 35.0], 36.0, "delivered"), ("b", [1.0, 31.0, 61.0], inf, "waiting"), ("c", [2.0], 2.1, "delivered")
    )
    ax = retries(table, ax=tables.axes())
    assert sorted(zip(*tables.line(ax, "sent"), strict=True)) == [
        (0.0, 0.0),
        (0.0, 1.0),
        (30.0, 0.0),
        (30.0, 1.0),
        (60.0, 0.0),
    ]
    assert tables.line(ax, "acked") == ([31.0], [1.0])
    assert tables.labels(ax) == ["sent", "acked (1)"]


def test_of_many_those_with_the_most_attempts_are_shown() -> None:
    rows = [(f"m{n}", [0.0, 30.0], 31.0, "delivered") for n in range(100)]
    ax = retries(tables.attempts(*rows, ("worst", [0.0, 30.0, 60.0], 120.0, "no_ack")), ax=tables.axes())
    assert len(set(tables.line(ax, "sent")[1])) == ROWS_MAX
    assert tables.line(ax, "given up")[1] == [0.0]
    assert "40 of 101" in ax.get_ylabel()


def test_nothing_says_so_and_wrong_names_are_refused() -> None:
    assert tables.words(limiter(tables.messages(), ax=tables.axes())) == ["no messages"]
    assert tables.words(retries(tables.attempts(), ax=tables.axes())) == ["nothing was sent twice"]
    once = tables.attempts(("m1", [0.0], 0.1, "delivered"), ("m2", [1.0], 1.1, "delivered"))
    assert tables.words(retries(once, ax=tables.axes())) == ["nothing was sent twice"]
    with pytest.raises(UsageError, match=r"no sender an \(did you mean ann\?\)"):
        limiter(tables.messages(0.1), sender="an")
    with pytest.raises(UsageError, match="longer than 0 s"):
        limiter(tables.messages(0.1), window_s=0)
    with pytest.raises(UsageError, match="no column outcome"):
        retries(tables.attempts().drop(columns="outcome"))


def test_who_said_nothing_for_long_has_no_empty_stretch() -> None:
    late = tables.messages(0.1, 0.1, 0.1, intended_at_s=[110.0, 120.0, 130.0])
    left, right = limiter(late, ax=tables.axes()).get_xlim()
    assert 100 < left < 110
    assert 130 < right < 132
    soon = tables.messages(0.1, 0.1, intended_at_s=[10.0, 130.0])
    assert limiter(soon, ax=tables.axes()).get_xlim()[0] == 0.0
    once = tables.messages(0.1, intended_at_s=[110.0])
    left, right = limiter(once, ax=tables.axes()).get_xlim()
    assert left < 110 < right


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match=r"window_s='1min' is no number: give one of seconds, 60$"):
        limiter(tables.messages(0.1), window_s="1min")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"limit='60' is no number: give one$"):
        limiter(tables.messages(0.1), limit="60")  # type: ignore[arg-type]
