"""Findings: nothing is absent, the worst decides, and one line says it all."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isnan, nan
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from chatsim.errors import UsageError
from chatsim.findings.finding import FIELDS, Findings, Play, relative, to_dict, unreadable
from chatsim.scenario.load import Problem
from chatsim.scenario.model import Scenario
from chatsim.verdict.invariants.catalogue import Violation
from chatsim.verdict.judge import Judged
from tests.findings.examples import finding, play


@dataclass
class Result:
    """A run that was played to its end."""

    expectations: list[Judged] = field(default_factory=list)
    seed: int = 1
    valid: bool = True
    why_invalid: str = ""
    violations: list[Violation] = field(default_factory=list)
    scenario: str = "steady"
    wire: str = "sim"
    verdict: str = "pass"
    path: Path | None = None


@dataclass
class Ruling:
    """A verdict over replications."""

    verdict: Literal["pass", "fail", "inconclusive"] = "fail"
    mean: float = 0.104
    low: float = 0.101
    high: float = 0.107
    n: int = 10
    would_do: float = 0
    why: str = ""


def test_a_failure_is_one_line_with_everything_in_it() -> None:
    assert finding().sentence == (
        "scenarios/steady.yaml:17: p99(delivery_latency) <= 100ms: observed 104 ms, limit 100 ms, n 4384, seed 1, "
        "on sim; again: chatsim run scenarios/steady.yaml --seed 1"
    )


@pytest.mark.parametrize(
    ("observed", "shown"), [(0.10000000008, "100.0000001 ms"), (0.10000000000000002, "100.00000000000001 ms")]
)
def test_what_was_observed_is_told_from_the_limit_that_it_breaks(observed: float, shown: str) -> None:
    told = finding(observed=observed).sentence
    assert f"observed {shown}, limit " in told
    assert f"observed {shown}, limit {shown}" not in told


def test_a_metric_without_a_sample_says_so() -> None:
    assert "no sample, limit 100 ms, n 0" in finding(observed=nan, n=0).sentence


def test_an_interval_is_told_where_there_are_replications() -> None:
    told = finding(low=0.101, high=0.107, n=10, replications=10).sentence
    assert "observed 104 ms in the mean, between 101 ms and 107 ms, limit 100 ms, n 10 replications, seed 1" in told


def test_a_mean_is_told_with_no_more_digits_than_it_takes() -> None:
    wide = {"low": 0.0584883, "high": 0.0920224, "n": 10, "replications": 10}
    told = finding(observed=0.0639577, **wide).sentence
    assert "observed 63.96 ms in the mean, between 58.49 ms and 92.02 ms, limit 100 ms" in told
    assert (
        "between 99.9998 ms and 100.0001 ms, limit 100 ms"
        in finding(observed=0.0999999, **wide | {"low": 0.0999998, "high": 0.1000001}).sentence
    )


def test_a_limit_is_quoted_as_it_was_written() -> None:
    assert "observed 104 ms, limit 57.190387 ms" in finding(limit=0.057190387).sentence


@pytest.mark.parametrize("verdict", ["error", "skipped"])
def test_what_was_not_judged_gives_its_reason_in_one_line(verdict: Literal["error", "skipped"]) -> None:
    told = finding(verdict=verdict, why="the machine\nstood still").sentence
    assert told.startswith(
        f"scenarios/steady.yaml:17: p99(delivery_latency) <= 100ms: {verdict}: the machine stood still"
    )
    assert "observed" not in told


def test_a_run_is_a_finding_for_each_expectation() -> None:
    judged = [
        Judged("p99(delivery_latency) <= 100ms", 0.104, 0.1, "fail", 30, "s"),
        Judged("lost == 0", 0.0, 0.0, "pass", 1, ""),
    ]
    found = play().judged(Result(judged), took_s=2.0)
    assert [(f.expectation, f.verdict, f.observed, f.n, f.line, f.took_s) for f in found] == [
        ("p99(delivery_latency) <= 100ms", "fail", 0.104, 30, 5, 2.0),
        ("lost == 0", "pass", 0.0, 1, 6, 2.0),
    ]
    assert {(f.scenario, f.wire, f.file, f.seed) for f in found} == {("small", "sim", "small.yaml", 1)}


def test_a_run_that_is_not_valid_is_in_error_whatever_its_expectations_say() -> None:
    judged = [Judged("a", 0.0, 0.0, "pass", 1, ""), Judged("b", 0.0, 0.0, "pass", 1, "")]
    found = play().judged(Result(judged, valid=False, why_invalid="the machine stood still"))
    assert [(f.verdict, f.why) for f in found] == [("error", "the machine stood still")] * 2
    assert all(isnan(f.observed) for f in found)


BROKEN = Violation("given_up", 90.4, "u1 gave m2 up after 2 retries.")
LINE = f"does not hold at 90.4 s: {BROKEN.sentence} u1 gave m2 up after 2 retries"


def test_a_broken_invariant_is_a_failure_of_its_own_beside_what_is_expected() -> None:
    judged = [
        Judged("p99(delivery_latency) <= 100ms", 0.104, 0.1, "fail", 30, "s"),
        Judged("lost == 0", 0.0, 0.0, "pass", 1, ""),
    ]
    found = play(seed=7).judged(Result(judged, violations=[BROKEN]))
    assert [(f.expectation, f.verdict, f.is_invariant) for f in found] == [
        ("p99(delivery_latency) <= 100ms", "fail", False),
        ("lost == 0", "pass", False),
        ("invariant given_up", "fail", True),
    ]
    assert found[2].line == found[2].n == 0
    assert found[2].sentence == (
        f"small.yaml: invariant given_up: {LINE}, seed 7, on sim; again: chatsim run small.yaml --seed 7"
    )
    assert Findings(found).told == [found[0], found[2]]


def test_a_broken_invariant_stands_where_the_scenario_has_its_name() -> None:
    made = play()
    words = {"name": "small", "duration": "30s", "groups": [{"name": "people", "users": 2}], "expect": ["lost == 0"]}
    scenario = Scenario.of(words, path=Path("small.yaml"), lines={("name",): 3, ("expect", 0): 9})
    (found,) = msgspec.structs.replace(made, scenario=scenario).broken([(1, BROKEN)])
    assert found.where == "small.yaml:3"


def test_a_run_that_is_not_valid_hides_no_broken_invariant() -> None:
    judged = [Judged("a", 0.0, 0.0, "pass", 1, ""), Judged("b", 0.0, 0.0, "pass", 1, "")]
    found = play().judged(Result(judged, valid=False, why_invalid="the machine stood still", violations=[BROKEN]))
    assert [f.verdict for f in found] == ["error", "error", "fail"]
    assert Findings(found).verdict == "fail"


def test_the_command_of_a_broken_invariant_plays_the_run_that_broke_it() -> None:
    compared = play(wire="virtual", replications=5, command=("baseline", "compare"), options=("--attempts", "3"))
    (found,) = compared.broken([(9, BROKEN)])
    assert (found.seed, found.again) == (9, "chatsim run small.yaml --on virtual --seed 9")


def test_all_invariants_together_are_one_finding() -> None:
    judged = [Judged("a", 1.0, 0.0, "fail", 1, ""), Judged("b", 0.0, 0.0, "pass", 1, "")]
    made = play()
    for violations, verdict, why in (
        ([], "pass", "all of them hold"),
        ([BROKEN, Violation("seq", 3.0, "s.")], "fail", f"invariant given_up {LINE}; invariant seq does not hold at"),
    ):
        found = made.held(made.judged(Result(judged, violations=violations)))
        assert (found.expectation, found.verdict) == ("invariants", verdict)
        assert found.why.startswith(why)


@pytest.mark.parametrize("verdict", ["error", "skipped"])
def test_of_what_was_not_judged_it_is_not_known_whether_invariants_hold(verdict: Literal["error", "skipped"]) -> None:
    made = play()
    found = made.held(made.unjudged("the machine stood still", verdict=verdict))
    assert (found.verdict, found.why) == (verdict, "the machine stood still")


def test_replications_are_a_finding_for_each_expectation() -> None:
    found = play(replications="auto", seed=7).ruled([Ruling(), Ruling("inconclusive", 1.0, 0.0, 2.0, 10, 40)])
    assert [(f.verdict, f.n, f.replications, f.low, f.high, f.limit) for f in found] == [
        ("fail", 10, 10, 0.101, 0.107, 0.1),
        ("inconclusive", 10, 10, 0.0, 2.0, 0.0),
    ]
    assert found[0].again == "chatsim replicate small.yaml -n auto --seed 7"
    assert "40 replications would probably decide" in found[1].sentence
    far = play().ruled([Ruling("inconclusive", would_do=3.8e10), Ruling()])
    assert "more than 10,000 replications would probably decide" in far[0].sentence
    short = Ruling("inconclusive", would_do=inf, why="a quantile of 20 samples in a run")
    assert "a quantile of 20 samples in a run" in play().ruled([short, Ruling()])[0].sentence
    assert "would probably" not in play().ruled([Ruling("inconclusive", would_do=inf), Ruling()])[0].sentence


@pytest.mark.parametrize(
    ("wire", "more", "command"),
    [
        ("sim", {}, "chatsim run small.yaml --seed 1"),
        ("live", {"seed": 9}, "chatsim run small.yaml --on live --seed 9"),
        ("virtual", {"file": "my chats/a.yaml"}, "chatsim run 'my chats/a.yaml' --on virtual --seed 1"),
        ("flow", {}, "chatsim run small.yaml --fidelity flow --seed 1"),
        # A word with a dash before it is an option.
        ("sim", {"file": "-x.yaml"}, "chatsim run ./-x.yaml --seed 1"),
        (
            "sim",
            {"command": ("baseline", "compare"), "options": ("--fail-if", "lost > +0")},
            "chatsim baseline compare small.yaml --fail-if 'lost > +0' --seed 1",
        ),
    ],
)
def test_the_command_that_plays_it_again(wire: str, more: dict[str, object], command: str) -> None:
    assert play(wire=wire, **more).again == command


def test_a_flow_is_judged_by_what_is_promised_in_virtual_time() -> None:
    live = play("lost == 0", "sent >= 1").scenario.with_(live={"expect": ["lost == 0"]})
    promised = {wire: len(Play(scenario=live, wire=wire).expect) for wire in ("sim", "virtual", "flow", "live")}
    assert promised == {"sim": 2, "virtual": 2, "flow": 2, "live": 1}


def test_a_fault_of_a_file_stands_where_the_file_has_it() -> None:
    found = unreadable(Problem("bad.yaml", 3, 5, "groups.0.users", "should be a number"))
    assert (found.scenario, found.verdict, found.where) == ("bad", "error", "bad.yaml:3:5")
    assert found.sentence == "bad.yaml:3:5: groups.0.users: should be a number"
    assert unreadable(Problem("bad.yaml", 1, 1, "", "is empty")).sentence == "bad.yaml:1:1: is empty"
    assert unreadable(UsageError("nothing to run")).sentence == "chatsim: nothing to run"


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        ((), "invalid"),
        (("skipped",), "invalid"),
        (("pass", "error"), "invalid"),
        # What could not be judged hides no broken promise.
        (("pass", "error", "fail"), "fail"),
        (("skipped", "inconclusive", "error", "fail"), "fail"),
        (("inconclusive", "error"), "invalid"),
        (("pass", "fail", "inconclusive"), "fail"),
        (("pass", "inconclusive"), "inconclusive"),
        (("pass", "skipped"), "pass"),
        (("pass",), "pass"),
    ],
)
def test_the_worst_decides_and_nothing_judged_is_no_success(verdicts: tuple[str, ...], word: str) -> None:
    assert Findings(finding(verdict=verdict) for verdict in verdicts).verdict == word


def test_a_run_of_which_nothing_was_judged_is_no_success_beside_one_that_passed() -> None:
    passed, skipped = finding(verdict="pass"), finding(verdict="skipped", scenario="other")
    assert Findings([passed, finding(verdict="skipped")]).verdict == "pass"
    assert Findings([passed, skipped]).verdict == "invalid"
    assert Findings([finding(), skipped]).verdict == "fail"


def test_what_was_skipped_is_bad_where_nothing_else_became_of_its_run() -> None:
    partly = [finding(verdict="pass"), finding(verdict="skipped")]
    wholly = [finding(verdict="skipped", scenario="other", line=line) for line in (1, 2)]
    found = Findings([*partly, *wholly])
    assert found.bad == wholly
    assert found.told == wholly[:1]


def test_what_has_gone_is_told_last_and_makes_nothing_better_or_worse() -> None:
    gone = finding(verdict="skipped", scenario="other", gone=True)
    for verdict, word in (("pass", "pass"), ("inconclusive", "inconclusive"), ("fail", "fail"), ("error", "invalid")):
        assert Findings([gone, finding(verdict=verdict)]).verdict == word
    assert Findings([gone]).verdict == "invalid"
    found = Findings([gone, finding()])
    assert found.bad == [finding()]
    assert found.told == [finding(), gone]


def test_a_reason_that_a_run_shares_is_told_once_and_a_broken_promise_always() -> None:
    spoilt = [finding(verdict="error", why="it stood still", line=line) for line in (1, 2)]
    other = finding(verdict="error", why="it stood still", wire="live")
    another = finding(verdict="error", why="it fell", wire="live")
    failed = [finding(), finding()]
    faults = [finding(verdict="error", why="is no number", expectation="", wire="", line=line) for line in (3, 4)]
    assert Findings([*spoilt, other, another, *failed, *faults]).told == [spoilt[0], other, another, *failed, *faults]


def test_what_is_bad_comes_first_in_its_order() -> None:
    found = Findings(
        finding(verdict=verdict, line=line) for line, verdict in enumerate(["pass", "fail", "error", "fail", "skipped"])
    )
    assert [(f.verdict, f.line) for f in found.worst_first] == [
        ("fail", 1),
        ("fail", 3),
        ("error", 2),
        ("skipped", 4),
        ("pass", 0),
    ]
    assert [f.line for f in found.bad] == [1, 2, 3]
    assert sum(found.counts.values()) == 5


def test_those_of_a_run_stand_together() -> None:
    found = Findings([finding(line=1), finding(line=2), finding(wire="live"), finding(scenario="other")])
    assert [(key, len(run)) for key, run in found.runs()] == [
        (("steady", "sim"), 2),
        (("steady", "live"), 1),
        (("other", "sim"), 1),
    ]


def test_a_document_has_every_field_but_how_long_it_took() -> None:
    document = Findings([finding(took_s=3.0)]).to_dict()
    assert document["verdict"] == "fail"
    assert document["counts"]["fail"] == 1
    assert tuple(document["findings"][0]) == FIELDS
    assert to_dict(finding(took_s=1.0)).keys() == to_dict(finding(took_s=2.0)).keys()
    assert "took_s" not in FIELDS


def test_paths_are_told_from_where_people_stand(tmp_path: Path) -> None:
    assert relative(tmp_path / "a" / "b.yaml", tmp_path) == "a/b.yaml"
    assert relative(tmp_path / "b.yaml", tmp_path / "a") == f"{tmp_path / 'b.yaml'}"
    for name, leads_to in (("nowhere", "gone"), ("round", "round")):
        (tmp_path / f"{name}.yaml").symlink_to(f"{leads_to}.yaml")
        assert relative(tmp_path / f"{name}.yaml", tmp_path) == f"{name}.yaml"


def test_the_command_says_what_was_changed() -> None:
    made = play(file="small.yaml")
    changed = msgspec.structs.replace(made, scenario=made.scenario.with_(users=6))
    assert changed.again == "chatsim run small.yaml --set users=6 --seed 1"
