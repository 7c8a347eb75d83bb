"""Costs come from the shipped defaults, from zero, from a file, or by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatsim.scenario.costs import (
    COMMIT_BUSY,
    FINER,
    OF_COMMITS,
    PACE,
    SHIPPED,
    SPANS,
    WORDS,
    Collections,
    Costs,
    default,
    free,
    read_costs,
)
from chatsim.scenario.distributions import Constant, Exponential, Lognormal
from chatsim.scenario.faults import FaultsError, dotted
from chatsim.scenario.model import Scenario
from chatsim.store.calibration import read


def test_what_is_shipped_was_measured() -> None:
    """The costs of whoever says nothing are those of the published calibration, on which the published reports rest."""
    assert SHIPPED.read_bytes() == (Path(__file__).parents[2] / "results" / "calibration.json").read_bytes()
    document = read(SHIPPED)
    assert not document.quick
    assert document.journal
    made = read_costs("default")
    assert not made.is_free
    # Orders of magnitude of CPython 3.11: another machine is a few times faster or slower, and not a hundred times.
    for word, usual_s in zip(WORDS, [20e-6, 60e-6, 1e-3, 1e-6, 10e-6, 5e-6, 8e-6], strict=True):
        assert usual_s / 30 < getattr(made, word).mean < usual_s * 30


def test_the_default_is_a_file_that_is_shipped() -> None:
    words = json.loads(SHIPPED.read_text(encoding="utf-8"))["costs"]
    assert set(WORDS) <= set(words) <= {*WORDS, *FINER, *OF_COMMITS, *PACE, *SPANS, COMMIT_BUSY}
    assert read_costs(SHIPPED.name, SHIPPED.parent) == default() == read_costs("default")
    assert all(getattr(Costs(), word) == getattr(default(), word) for word in WORDS)
    assert (
        Scenario.of(
            {"name": "x", "duration": "1s", "groups": [{"name": "g", "users": 1}], "expect": ["lost == 0"]}
        ).costs
        == default()
    )


BESIDE = {
    "cold": {"wake": 0, "cold_after": "1ms"},
    "commit_cold": {"commit": 0, "commit_cold_after": "1ms"},
}
"""What words must stand beside others."""


@pytest.mark.parametrize("word", [*FINER, *OF_COMMITS])
def test_a_finer_word_is_told_apart_only_where_it_is_said(word: str) -> None:
    assert getattr(read_costs({"frame": "3us"}), word) is None
    made = read_costs({word: {"lognormal": {"mean": "3us", "cv": 0.5}}, **BESIDE.get(word, {})})
    assert isinstance(getattr(made, word), Lognormal)
    assert getattr(made, word).mean == pytest.approx(3e-6)
    assert made.frame == default().frame
    assert not made.is_free


def test_what_costs_nothing_is_free_however_finely_it_is_told() -> None:
    afters = dict.fromkeys(SPANS, "1ms")
    assert read_costs({**dict.fromkeys((*WORDS, *FINER, *OF_COMMITS), 0), **afters}).is_free


@pytest.mark.parametrize(
    ("algorithms", "verify_us"),
    [(("HS256",), 50), (("ES256",), 140), (("RS256", "ES256"), 140), (("HS256", "HS512"), 50), (("EdDSA",), 50)],
)
def test_a_token_of_es256_takes_its_own_time_where_the_handler_pins_it(
    algorithms: tuple[str, ...], verify_us: int
) -> None:
    costs = read_costs({"verify": "50us", "verify_es256": "140us"})
    assert costs.verifying(algorithms).verify.mean == pytest.approx(verify_us * 1e-6)
    untold = read_costs({"verify": "50us"})
    assert untold.verifying(algorithms) == untold


def test_over_tls_frames_and_writes_take_longer_in_the_mean() -> None:
    told = {
        "frame": "3us",
        "frame_ack": {"lognormal": {"mean": "2us", "cv": 0.5}},
        "write": {"exponential": {"mean": "1us"}},
    }
    plain = read_costs(told | {"tls_frame": "10us", "tls_write": "20us"})
    over = plain.over_tls()
    assert isinstance(over.frame, Constant)
    assert over.frame.mean == pytest.approx(13e-6)
    assert over.frame_ack is not None
    assert over.frame_ack.mean == pytest.approx(12e-6)
    assert over.frame_typing is None
    assert over.write.mean == pytest.approx(21e-6)
    assert over.write.variance == pytest.approx(plain.write.variance)
    assert read_costs(told).over_tls() == read_costs(told)


@pytest.mark.parametrize("zero", [0, 0.0])
def test_zero_makes_the_node_free(zero: object) -> None:
    made = read_costs(zero)
    assert made == free()
    assert made.is_free


def test_what_is_left_out_keeps_its_default() -> None:
    made = read_costs({"frame": "3us", "write": {"exponential": {"mean": "1us"}}, "ping": 0})
    assert made == Costs(frame=Constant(value=3e-6), write=Exponential(scale=1e-6), ping=Constant(value=0.0))


@pytest.mark.parametrize("text", ["frame: 3us\n", "costs:\n  frame: 3us\n", '{"costs": {"frame": "3us"}}'])
def test_a_file_beside_the_scenario(text: str, tmp_path: Path) -> None:
    (tmp_path / "costs.yaml").write_text(text)
    assert read_costs("costs.yaml", tmp_path).frame == Constant(value=3e-6)


@pytest.mark.parametrize(
    ("value", "path", "hint"),
    [
        (3, "", "0 for a free node"),
        (True, "", "default, 0"),
        (None, "", "default, 0"),
        ("defualt", "", "did you mean default?"),
        ({"frme": "1us"}, "frme", "did you mean frame?"),
        ({"frame": 1}, "frame", "write 1s"),
        ({"frame": {"gamma": {}}}, "frame.gamma", "takes"),
        ("wrong.yaml", "", "unknown cost 'frme'"),
        ("list.yaml", "", "should be a mapping"),
        ("broken.yaml", "", "is not YAML"),
        ("twice.yaml", "", "given twice"),
        ("other.yaml", "", "give one that `calibrate` wrote"),
        ("newer.yaml", "", "version 2 of its format, and 1 is read: calibrate again"),
        ("cut.yaml", "", "cut off, so calibrate again"),
        ({"frame_mesage": "1us"}, "frame_mesage", "unknown cost"),
        ({"wake": -1}, "wake", "write -1s"),
        ({"collect": {"every": 0, "pauses": ["1ms"]}}, "collect.every", "a whole number from 1"),
        ({"collect": {"every": 2, "first": 0, "pauses": ["1ms"]}}, "collect.first", "a whole number from 1"),
        ({"collect": {"every": 2}}, "collect", "pauses is missing: say both every and pauses"),
        ({"collect": {"pauses": "1ms", "every": 2}}, "collect.pauses", "a list of durations"),
        ({"collect": {"pauses": ["1ms", 2], "every": 2}}, "collect.pauses[1]", "write 2s"),
        ({"collect": {"pauses": ["1ms"], "evry": 2, "every": 2}}, "collect.evry", "did you mean every?"),
    ],
)
def test_refusals(value: Any, path: str, hint: str, tmp_path: Path) -> None:
    for name, text in {
        "wrong": "frme: 1us",
        "list": "[1]",
        "broken": "a: [",
        "twice": "frame: 1us\nframe: 2us",
        "other": "format: prices\ncosts: {}",
        "newer": "format: chatsim-calibration\nversion: 2\ncosts: {}",
        "cut": "format: chatsim-calibration\nversion: 1",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(FaultsError) as caught:
        read_costs(value, tmp_path)
    assert dotted(caught.value.found[0][0]) == path
    assert hint in caught.value.found[0][1]


def test_a_collector_is_told_by_its_pauses() -> None:
    collect = read_costs({"collect": {"every": 4, "pauses": ["2ms", "6ms"]}}).collect
    assert collect == Collections(every=4, pauses_s=(0.002, 0.006))
    assert collect.mean == pytest.approx(0.001)
    assert [collect.pause_s(number) for number in (0, 3, 4, 8, 12)] == [0.0, 0.0, 0.002, 0.006, 0.002]
    later = Collections(every=4, pauses_s=(0.002, 0.006), since=6)
    assert [later.pause_s(number) for number in (1, 2, 6, 10)] == [0.0, 0.006, 0.002, 0.006]
    assert not read_costs({"collect": {"every": 4, "pauses": ["2ms"]}} | dict.fromkeys(WORDS, 0)).is_free


def test_a_pace_is_a_number_and_is_held_for_a_time() -> None:
    made = read_costs({"pace": {"uniform": {"low": 0.5, "high": 1.5}}, "pace_hold": {"exponential": {"mean": "40ms"}}})
    assert made.pace is not None
    assert made.pace_hold is not None
    assert (made.pace.mean, made.pace_hold.mean) == (1.0, 0.04)
    assert made.frame == default().frame
    assert read_costs({**dict.fromkeys(WORDS, 0), "pace": 2, "pace_hold": "1s"}).is_free


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"cold": "2us", "wake": "1us"}, "cold: cold goes with cold_after: say both, or neither"),
        ({"cold": "2us", "cold_after": "1ms"}, "cold: cold goes with wake: say both, or neither"),
        ({"cold_after": "1ms"}, "cold_after: cold_after goes with cold: say both, or neither"),
        ({"commit": "2us", "commit_busy": 1.5}, "commit_busy: commit_busy is one share, from 0 to 1"),
        ({"commit_busy": 0.5}, "commit_busy: commit_busy goes with commit: say both, or neither"),
        (
            {"commit_cold": "2us", "commit": 0},
            "commit_cold: commit_cold goes with commit_cold_after: say both, or neither",
        ),
        (
            {"wake": 0, "cold": 0, "cold_after": 0},
            "cold_after: cold_after is 0 at all times: it is above 0",
        ),
        (
            {"wake": 0, "cold": 0, "cold_after": {"exponential": {"mean": "1ms"}}},
            "cold_after: cold_after is one duration, like 400us: nothing is drawn here",
        ),
        ({"pace": 2}, "pace: pace goes with pace_hold: say both, or neither"),
        ({"pace_hold": "1s"}, "pace_hold: pace_hold goes with pace: say both, or neither"),
        ({"pace": 2, "pace_hold": 0}, "pace_hold: pace_hold is 0 at all times: it is above 0 in the mean"),
        ({"pace": 0, "pace_hold": "1s"}, "pace: pace is 0 at all times: it is above 0 in the mean"),
        ({"pace": "2ms", "pace_hold": "1s"}, "pace: 2ms should be a plain number: leave 'ms' out"),
    ],
)
def test_words_that_go_together_are_said_together(words: dict[str, Any], said: str) -> None:
    with pytest.raises(FaultsError) as caught:
        read_costs(words)
    assert said in str(caught.value)
