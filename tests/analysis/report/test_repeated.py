"""Many runs that were judged together are told with their bounds, and what is not decided is not told as held."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path

import msgspec
import pytest

from chatsim.analysis.kept import KeptRepeated, Ruled, Summed
from chatsim.analysis.report.build import facts, page
from chatsim.analysis.report.pdf import document
from chatsim.analysis.report.repeated import meaning, numbers, promises, shown, would_do
from tests.analysis.report import kept
from tests.analysis.report.kept import Page

WHY = "a quantile of 20 samples in a run, where 299 would do: make the runs longer"


def ruled(text: str, verdict: str, mean: float, low: float, high: float, **more: object) -> Ruled:
    words = {"limit": 0.1, "n": 10, "infinite": 0, "would_do": 0.0, "why": "", "unit": "s"} | more
    return msgspec.convert({"text": text, "verdict": verdict, "mean": mean, "low": low, "high": high} | words, Ruled)


def found(*expectations: Ruled, verdict: str = "inconclusive", auto: bool = False) -> KeptRepeated:
    return KeptRepeated(
        scenario="small",
        wire="sim",
        seed=3,
        verdict=verdict,  # type: ignore[arg-type]
        replications=10,
        auto=auto,
        expectations=list(expectations),
        numbers=[
            Summed("delivery_latency_p99_s", 0.02, nan, nan, 10, 299),
            Summed("sent", 30.0, 28.5, 31.5, 10, 0),
            Summed("drain_time_p99_s", 0.0, 0.0, 0.0, 10, 0),
            Summed("lost", 0.0, 0.0, 0.0, 10, 0),
        ],
        path=Path("/nowhere/small"),
        words={"description": "Are they quick?", "requirements": ["5.1"], "seed": 3},
        warmup_s=5.0,
    )


def test_of_the_one_node_no_quantile_is_told_for_which_no_run_is_long_enough() -> None:
    busy = [Summed(f"utilisation_{name}", 0.2, nan, nan, 10, 299) for name in ("p50", "p90", "p99")]
    made = msgspec.structs.replace(found(GOOD), numbers=[*busy, Summed("utilisation_mean", 0.2, 0.1, 0.3, 10, 0)])
    assert [row[0] for row in numbers(made).rows] == ["utilisation_mean"]
    asked = ruled("p99(utilisation) <= 50%", "inconclusive", 0.2, 0.1, 0.3, unit="share")
    made = msgspec.structs.replace(made, expectations=[asked])
    assert [row[0] for row in numbers(made).rows] == ["utilisation_p99", "utilisation_mean"]


GOOD = ruled("lost == 0", "pass", 0.0, 0.0, 0.0, limit=0.0, unit="")
BAD = ruled("p95(delivery_latency) <= 100ms", "fail", 0.12, 0.11, 0.13)
NEVER = ruled("max(delivery_latency) <= 100ms", "fail", inf, inf, inf, infinite=2)
EMPTY = ruled("max(drain_time) <= 100ms", "fail", nan, nan, nan)
CLOSE = ruled("p50(delivery_latency) <= 100ms", "inconclusive", 0.1, 0.09, 0.11, would_do=40.0)
SHORT = ruled("p99(delivery_latency) <= 100ms", "inconclusive", 0.02, 0.01, 0.03, would_do=inf, why=WHY)


def test_each_promise_stands_with_its_bounds_and_how_many_would_decide() -> None:
    rows = promises(found(GOOD, BAD, CLOSE, SHORT)).rows
    assert [row[0] for row in rows] == ["pass", "fail", "inconclusive", "inconclusive"]
    assert rows[1][3:] == ("120 ms", "110 ms", "130 ms", "100 ms", "10", "")
    assert [row[-1] for row in rows] == ["", "", "40", "no number"]
    assert [would_do(each) for each in (GOOD, CLOSE)] == ["", "40"]
    assert (shown(GOOD), shown(BAD)) == ("0", "120 ms (110 ms .. 130 ms)")


@pytest.mark.parametrize(
    ("each", "text"),
    [
        (BAD, "p95(delivery_latency) <= 100ms fails: its mean over 10 runs is 120 ms (110 ms .. 130 ms)."),
        (NEVER, "It was infinite in 2 of 10: what was never delivered counts as infinity."),
        (EMPTY, "max(drain_time) <= 100ms fails: in some of the 10 runs there was no sample to judge it by."),
        (CLOSE, "is 100 ms (90 ms .. 110 ms); 40 runs would probably decide it."),
        (SHORT, f"is 20 ms (10 ms .. 30 ms), but it is {WHY}."),
    ],
)
def test_what_it_means(each: Ruled, text: str) -> None:
    told = "\n".join(meaning(found(GOOD, each)))
    assert text in told
    assert "Every promise holds" not in told


def test_what_holds_and_what_rests_on_luck() -> None:
    held, luck = meaning(found(GOOD))
    assert held == "Every promise holds over these runs: 1 of 1."
    assert luck.startswith("10 runs are as many draws of luck.")


def test_a_number_without_an_interval_says_what_it_wants() -> None:
    table = numbers(found(ruled("max(delivery_latency) <= 1s", "pass", 0.1, 0.1, 0.1), GOOD))
    assert table.rows == [
        ("delivery_latency_p99_s", "20 ms", "", "299 samples a run would do", "10"),
        ("sent", "30", "28.5", "31.5", "10"),
        ("lost", "0", "0", "0", "10"),
    ]
    assert "drain_time_p99_s" in table.csv


def test_it_has_a_page_beside_those_of_single_runs() -> None:
    many = found(GOOD, CLOSE, auto=True)
    text = Page(page([many, kept.result()])).text
    assert "small on sim, 10 runs from seed 3: 1 of 2 promises hold, 1 not decided." in text
    assert "is not decided: its mean over 10 runs" in text
    assert "Latencies are judged from 5 s on" in text
    assert "chatsim run small.json --replications auto --seed 3" in text
    assert "runs beside each other" not in text
    alone = Page(page([many]))
    assert "svg" not in alone.tags
    assert "Pictures" not in alone.text
    assert "What was done to it" not in alone.text
    assert document([many]).startswith(b"%PDF")


def test_it_is_played_again_as_often() -> None:
    assert facts(found(GOOD))["again"] == "chatsim run small.json --replications 10 --seed 3"


def test_what_cannot_be_read_is_shown_as_it_is() -> None:
    odd = ruled("=cmd()", "fail", 1.0, 0.5, 2.0)
    assert meaning(found(odd))[0].startswith("=cmd() fails")
    assert promises(found(odd)).rows[0][2] == "=cmd()"
