"""Every promise has words, and what is said follows from the numbers."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path

import msgspec
import pytest

from chatsim.analysis.kept import Violated
from chatsim.analysis.report.sentences import (
    ADVICE,
    ASSUMED,
    COUNTERS,
    ELSEWHERE,
    METRICS,
    NOT_MODELLED,
    assumptions,
    meaning,
    sentence,
)
from chatsim.scenario import expectations
from chatsim.scenario.load import load
from chatsim.verdict.judge import Judged
from tests.analysis.report import kept

FILES = sorted((Path(__file__).parents[3] / "scenarios").rglob("*.yaml"))


def test_every_number_has_words() -> None:
    assert set(METRICS) == set(expectations.METRICS)
    assert set(COUNTERS) == set(expectations.COUNTERS)
    assert set(ADVICE) <= {*METRICS, *COUNTERS}
    assert set(ASSUMED) == set(NOT_MODELLED) == {"sim", "virtual", "live", ELSEWHERE}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lost == 0", "There are no messages acked and then lost without a word."),
        ("sent >= 10", "There are at least 10 messages that people meant to send."),
        (
            "p99.9(loop_lag) < 2s",
            "99.9 % of all values of the lag of the node's event loop are within a value that is less than 2 s.",
        ),
        (
            "max(reconnect_time, group=mobile) <= 5s",
            "The greatest value of the time from a lost connection to being joined again in the group mobile "
            "is at most 5 s.",
        ),
        ("count(drain_time) == 1", "There are exactly 1 samples of the time that a node takes to drain."),
        ("<script>", "<script>"),
    ],
)
def test_promises_in_words(text: str, words: str) -> None:
    assert sentence(text) == words


def test_a_limit_is_quoted_as_it_was_written() -> None:
    assert sentence("max(ack_latency) <= 57.190387ms").endswith("is at most 57.190387 ms.")


def test_what_breaks_its_limit_by_little_does_not_look_like_it() -> None:
    promises = [judged("p99(delivery_latency) <= 57.929682ms", 0.057929683, 0.057929682, "fail")]
    said = meaning(msgspec.structs.replace(kept.result(), expectations=promises))
    assert said[0] == "p99(delivery_latency) <= 57.929682ms fails: it is 57.929683 ms."


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_promise_has_a_sentence(path: Path) -> None:
    for expectation in load(path).expect:
        assert sentence(expectation.text).endswith(".")


def test_what_broke_is_said_with_what_decides_it() -> None:
    said = meaning(kept.result())
    assert said[0].startswith("p99(delivery_latency) <= 1ms fails: it is ")
    assert said[1] == ADVICE["delivery_latency"]
    assert said[2].startswith("max(drain_time) <= 1s fails: there was no sample")
    assert "chatsim replicate" in said[-1]


def judged(text: str, observed: float, limit: float, verdict: str = "pass") -> Judged:
    return Judged(text, observed, limit, verdict, 10, "s")  # type: ignore[arg-type]


def test_what_holds_names_what_is_nearest_to_its_limit() -> None:
    promises = [judged("p99(delivery_latency) <= 100ms", 0.03, 0.1), judged("max(ack_latency) <= 100ms", 0.09, 0.1)]
    said = meaning(msgspec.structs.replace(kept.result(), expectations=promises))
    assert said[:2] == [
        "Every promise holds in this run: 2 of 2.",
        "Nearest to its limit is max(ack_latency) <= 100ms: 90 ms, 90 % of it.",
    ]


def test_infinity_and_a_missing_sample_are_told() -> None:
    promises = [
        judged("max(delivery_latency) <= 1s", inf, 1.0, "fail"),
        judged("max(drain_time) <= 1s", nan, 1.0, "fail"),
    ]
    said = meaning(msgspec.structs.replace(kept.result(), expectations=promises))
    assert "it is inf (what was never delivered counts as infinity)" in said[0]


def test_an_invalid_run_concludes_nothing() -> None:
    said = meaning(msgspec.structs.replace(kept.result(), valid=False, why_invalid="the machine slept"))
    assert said[0] == "Nothing can be concluded from this run: the machine slept."
    assert len(said) == 2


@pytest.mark.parametrize("valid", [True, False])
def test_what_must_hold_and_does_not_is_told_first(valid: bool) -> None:
    broken = Violated("seq", "The messages are numbered.", 3.0, "s has 4 after 2.")
    said = meaning(msgspec.structs.replace(kept.result(), violations=[broken], valid=valid, why_invalid="it slept"))
    assert said[0] == "What must hold in every run does not: seq, at 3 s. The messages are numbered. s has 4 after 2."
    assert len(said) > 1


def test_the_world_of_the_scenario_is_told() -> None:
    said = assumptions(kept.result())
    assert "Group people: 6 users, network latency constant 5ms." in said
    assert "The handler's settings that are not at their defaults: rate_limit 30/min." in said
    assert any("from 5 s on, after the warm-up" in words for words in said)
    live = msgspec.structs.replace(kept.result(), wire="live")
    assert "The scenario was played 10 times as fast as it says." in assumptions(live)
