"""Every spelling is worth what it says, and every refusal names its cure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.scenario import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("100ms", 0.1),
        ("30s", 30.0),
        ("5min", 300.0),
        ("2h", 7200.0),
        ("30d", 2_592_000.0),
        ("20us", 20e-6),
        (" 1.5 s ", 1.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds


@pytest.mark.parametrize("zero", [0, 0.0, "0", "0s"])
def test_a_bare_zero_is_a_duration(zero: object) -> None:
    assert units.duration(zero) == 0.0


@pytest.mark.parametrize(("text", "per_s"), [("60/min", 1.0), ("5/s", 5.0), ("36/h", 0.01), (0, 0.0)])
def test_rates(text: object, per_s: float) -> None:
    assert units.rate(text) == pytest.approx(per_s, abs=0)


def test_a_rate_keeps_its_window() -> None:
    assert units.count_per_window("600/min") == (600.0, 60.0)


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("100%", 1.0), (0.25, 0.25), (0, 0.0), ("0%", 0.0)])
def test_shares(text: object, share: float) -> None:
    assert units.share(text) == share


@pytest.mark.parametrize(
    ("text", "size"), [("64KiB", 65536), ("1MiB", 1048576), ("10kB", 10_000), (120, 120), ("7B", 7)]
)
def test_sizes(text: object, size: float) -> None:
    assert units.size(text) == size
    assert units.whole_bytes(text) == size


@pytest.mark.parametrize(("text", "bits"), [("5Mbit/s", 5e6), ("64kbit/s", 64e3), ("1Gbit/s", 1e9), ("9bit/s", 9.0)])
def test_bandwidths(text: str, bits: float) -> None:
    assert units.bandwidth(text) == bits


@pytest.mark.parametrize(
    ("read", "value", "cure"),
    [
        (units.duration, 30, "write 30s"),
        (units.duration, "30", "write 30s"),
        (units.duration, "30S", "did you mean s?"),
        (units.duration, "30 apples", "write one of"),
        (units.duration, "-1s", "0 or more"),
        (units.duration, None, "write 30s, 100ms"),
        (units.duration, True, "true is not a duration"),
        (units.duration, [1], "a list is not a duration"),
        (units.duration, "soon", "write 30s"),
        (units.duration, 10**400, "finite"),
        (units.duration, float("nan"), "finite"),
        (units.duration, "1e999s", "finite"),
        (units.duration, "1e308h", "finite"),
        (units.size, "1e308MiB", "finite"),
        (units.bandwidth, "1e308Mbit/s", "finite"),
        (units.rate, 60, "write 60/min"),
        (units.rate, "60/mn", "/min"),
        (units.rate, "60s", "write one of"),
        (units.rate, "-1/s", "0 or more"),
        (units.share, 10, "did you mean 10%?"),
        (units.share, "110%", "between 0% and 100%"),
        (units.share, "1s", "a share"),
        (units.size, "64kib", "did you mean KiB?"),
        (units.size, -1, "0 or more"),
        (units.whole_bytes, 1.5, "whole number of bytes"),
        (units.bandwidth, 5, "write 5Mbit/s"),
        (units.bandwidth, "0Mbit/s", "partition"),
        (units.bandwidth, "5MB/s", "write one of"),
        (units.number, "2s", "plain number"),
        (units.number, -2, "0 or more"),
    ],
)
def test_refusals_name_the_cure(read: Callable[[object], float], value: object, cure: str) -> None:
    with pytest.raises(ValueError, match=re.escape(cure)):
        read(value)


@given(st.floats(-1e9, 1e9))
def test_signed_durations_go_back_in_time(seconds: float) -> None:
    assert units.duration(f"{seconds!r}s", signed=True) == seconds


@given(st.floats(0, 1e9), st.sampled_from([*units.SECONDS, "S", "m", ""]))
def test_the_pattern_and_the_reader_accept_the_same(number: float, unit: str) -> None:
    text = f"{number!r}{unit}"
    matches = re.search(units.pattern([*units.SECONDS]), text) is not None
    try:
        units.duration(text)
        reads = True
    except ValueError:
        reads = False
    assert reads == (matches or (unit == "" and number == 0))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1, "s", "100 ms"),
        (0.1004, "s", "100.4 ms"),
        (39.9996, "s", "39.9996 s"),
        (0.0, "s", "0 s"),
        (0.25, "share", "25 %"),
        (3.0, "", "3"),
        (12.0, "count", "12"),
        (math.inf, "s", "inf"),
        (-math.inf, "", "-inf"),
        (math.nan, "s", "no sample"),
        (0.5, "", "0.5"),
        (0.99999999, "s", "1 s"),
        (1234567.8, "s", "1234568 s"),
        (1234567.8, "", "1234568"),
        (12345.678, "share", "1234568 %"),
        (1e-8, "s", "0.00001 ms"),
    ],
)
def test_quantities(value: float, unit: str, text: str) -> None:
    assert units.quantity(value, unit) == text


def test_a_value_just_over_its_limit_does_not_look_like_it() -> None:
    assert units.quantity(0.1001, "s") != units.quantity(0.1, "s")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *(("2", 2), ("9", 9), ("007", 7), ("0" * 5000 + "3", 3)),
        *((text, None) for text in ("1", "10", "7" * 5000, "", "-3", "+3", " 3", "3.0", "3_0", "x")),
        *((text, None) for text in ("\N{ARABIC-INDIC DIGIT SEVEN}", "\N{SUPERSCRIPT TWO}")),
    ],
    ids=lambda value: f"{value}"[-9:],
)
def test_whole_numbers_are_read_however_many_digits_there_are(text: str, found: int | None) -> None:
    assert units.whole(text, 2, 9) == found


def test_a_sentence_quotes_no_more_than_it_can_bear() -> None:
    assert units.shortened("x" * 40) == "x" * 40
    assert units.shortened("x" * 41) == "x" * 40 + "..."


def test_a_limit_is_quoted_as_it_was_written_and_one_that_is_computed_is_rounded() -> None:
    assert units.limited(units.duration("57.190387ms"), "s") == "57.190387 ms"
    assert units.limited(units.duration("1234567.25s"), "s", 3.0) == "1234567.25 s"
    assert units.limited(0.0512345678 * 1.1, "s", 0.06) == "56.358 ms"
    assert units.limited(1 / 3, "s", 0.3333333) == "333.33333 ms"


def test_a_mean_has_four_digits_and_more_where_that_decides() -> None:
    assert units.spread(0.0639577, 0.0584883, 0.0920224, 0.1, "s") == ("63.96 ms", "58.49 ms", "92.02 ms")
    assert units.spread(0.09, 0.08, 0.10000004, 0.1, "s") == ("90 ms", "80 ms", "100.00004 ms")
    assert units.spread(0.123456789, 0.123456789, 0.123456789, 0.1, "s") == ("123.457 ms",) * 3
    assert units.spread(math.nan, math.nan, math.nan, 0.1, "s") == ("no sample",) * 3


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=4), st.sampled_from(["s", "share", ""]))
def test_no_two_numbers_that_differ_look_alike(values: list[float], unit: str) -> None:
    assert len(set(units.apart(values, unit))) == len(set(values))


@given(st.floats(1e-6, 1e6), st.floats(-1e-6, 1e-6))
def test_what_is_over_its_limit_is_shown_over_it(limit: float, more: float) -> None:
    limit, observed = float(f"{limit:.9g}"), limit * (1 + more)
    shown = [float(text) for text in (units.beside(observed, limit, ""), units.limited(limit, "", observed))]
    assert (shown[0] > shown[1], shown[0] < shown[1]) == (observed > limit, observed < limit)


@pytest.mark.parametrize(
    ("runs", "text"),
    [(3, "3"), (99, "99"), (101, "110"), (1299.2, "1,300"), (10_000, "10,000"), (89129, "more than 10,000")],
)
def test_how_many_would_do_is_an_estimate(runs: float, text: str) -> None:
    assert units.about(runs) == text
