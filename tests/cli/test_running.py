"""`run`, `check` and `demo`: what is run, what is printed where, and with which exit code it ends."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

import pytest

from chatsim.cli.doors import Wire
from chatsim.cli.main import main
from chatsim.cli.running import LIVE_DEMO
from chatsim.errors import HarnessError, UsageError
from chatsim.verdict.invariants.catalogue import Violation
from tests.cli.fakes import FakeJudged, FakeResult, Fakes, FakeScenario

Capture = pytest.CaptureFixture[str]


def failing(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
    judged = FakeJudged(observed=math.inf, verdict="fail")
    return FakeResult(scenario.name, on, 1, "fail", [judged])


def test_run_prints_a_table_and_passes(capsys: Capture) -> None:
    fakes = Fakes()
    assert main(["run", "steady.yaml"], fakes.doors()) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["scenario", "wire", "expectation", "observed", "limit", "verdict"]
    assert "p99(delivery_latency) <= 100ms" in out
    assert "42.1 ms" in out
    assert "pass" in err
    assert "steady (sim)" in err
    assert fakes.asked == [("steady", "sim", None, None)]


def test_flags_reach_the_runner(tmp_path: Path, capsys: Capture) -> None:
    fakes = Fakes()
    assert main(["run", "x.yaml", "--on", "live", "--seed", "9", "--out", str(tmp_path)], fakes.doors()) == 0
    assert fakes.asked == [("steady", "live", 9, tmp_path)]


def test_run_json_is_one_document_with_infinity_as_text(capsys: Capture) -> None:
    assert main(["run", "x.yaml", "--json"], Fakes(answer=failing).doors()) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "fail"
    assert document["expectations"][0]["observed"] == "inf"
    assert document["metrics"]["delivery_latency"]["max"] == "inf"


def test_check_json_has_all_runs_and_the_worst_verdict(capsys: Capture) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        return FakeResult(scenario.name, on, 1, "fail" if scenario.name == "b" else "pass")

    fakes = Fakes([FakeScenario("a"), FakeScenario("b"), FakeScenario("c")], answer=answer)
    assert main(["check", "folder", "--json"], fakes.doors()) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "fail"
    assert [run["scenario"] for run in document["runs"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("verdict", "valid", "code"),
    [("pass", True, 0), ("fail", True, 1), ("inconclusive", True, 2), ("invalid", False, 4), ("pass", False, 4)],
)
def test_exit_codes(verdict: str, valid: bool, code: int, capsys: Capture) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        return FakeResult(verdict=verdict, valid=valid, why_invalid="the generator was the bottleneck")

    assert main(["run", "x.yaml"], Fakes(answer=answer).doors()) == code
    assert ("bottleneck" in capsys.readouterr().out) is not valid


@pytest.mark.parametrize(
    ("verdict", "valid", "shown"),
    [("fail", True, ["fail", "fail"]), ("fail", False, ["fail", "fail", "invalid"])],
)
def test_a_broken_invariant_is_a_broken_promise_whatever_else_became_of_the_run(
    verdict: str, valid: bool, shown: list[str], tmp_path: Path, capsys: Capture
) -> None:
    broken = Violation("seq", 3.0, "s has 4 after 2.")

    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        judged = [FakeJudged(verdict="fail")]
        why = "" if valid else "the machine stood still"
        return FakeResult("steady", on, 1, verdict, judged, valid, why, violations=[broken])

    place = tmp_path / "out.json"
    assert main(["check", "x.yaml", "--json-file", f"{place}"], Fakes(answer=answer).doors()) == 1
    out, err = capsys.readouterr()
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("steady ")] == shown
    assert "invariant seq at 3 s: " in out
    assert f"invariant seq: does not hold at 3 s: {broken.sentence} s has 4 after 2, seed 1, on sim" in err
    counts = json.loads(place.read_text(encoding="utf-8"))["counts"]
    assert counts["fail"] == (2 if valid else 1)
    assert counts["error"] == (0 if valid else 1)


def busy(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
    return FakeResult(
        scenario.name, on, verdict="invalid", valid=False, why_invalid="the machine stood still", busy=True
    )


def pop(results: list[FakeResult], *_: object) -> FakeResult:
    return results.pop(0)


def test_a_run_that_a_busy_machine_spoilt_is_played_again(capsys: Capture) -> None:
    fakes = Fakes(answer=busy)
    assert main(["check", "x.yaml", "--on", "live", "--attempts", "3"], fakes.doors()) == 4
    assert len(fakes.asked) == 3
    out, err = capsys.readouterr()
    assert out.count("the machine stood still") == 1
    assert err.count("again: the machine stood still") == 2


def test_the_last_attempt_counts_and_a_broken_promise_is_final() -> None:
    for last, code in (("pass", 0), ("fail", 1)):
        results = [busy(FakeScenario(), "live", 1), FakeResult(verdict=last)]
        fakes = Fakes(answer=partial(pop, results))
        assert main(["run", "x.yaml", "--on", "live", "--attempts", "5"], fakes.doors()) == code
        assert len(fakes.asked) == 2


def test_without_being_told_nothing_is_played_again() -> None:
    fakes = Fakes(answer=busy)
    assert main(["run", "x.yaml", "--on", "live"], fakes.doors()) == 4
    assert len(fakes.asked) == 1


def test_what_is_not_valid_for_another_reason_is_not_played_again() -> None:
    fakes = Fakes(answer=lambda scenario, on, seed: FakeResult(verdict="invalid", valid=False, why_invalid="broken"))
    assert main(["run", "x.yaml", "--on", "live", "--attempts", "5"], fakes.doors()) == 4
    assert len(fakes.asked) == 1


def test_a_broken_run_does_not_hide_the_others(capsys: Capture) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        if scenario.name == "b":
            raise HarnessError("the server never came up")
        return FakeResult(scenario.name)

    fakes = Fakes([FakeScenario("a"), FakeScenario("b"), FakeScenario("c")], answer=answer)
    assert main(["check", "folder", "--json"], fakes.doors()) == 4
    document = json.loads(capsys.readouterr().out)
    assert [run["verdict"] for run in document["runs"]] == ["pass", "invalid", "pass"]
    assert document["runs"][1]["why_invalid"] == "the server never came up"


def test_run_json_of_a_run_that_failed_on_the_way_is_a_document_that_says_so(capsys: Capture) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        raise HarnessError("the server never came up")

    assert main(["run", "x.yaml", "--json"], Fakes(answer=answer).doors()) == 4
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["verdict"], document["valid"]) == ("invalid", False)
    assert document["why_invalid"] == "the server never came up"
    assert "chatsim: the server never came up" in err


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_report_says_what_was_done_and_to_how_many(command: str, capsys: Capture) -> None:
    done = [
        {"do": "drop", "at_s": 60.0, "users": 30, "whom": ["a"] * 30},
        {"do": "freeze", "at_s": 0.5, "users": 1, "whom": ["a"]},
        {"do": "log_outage", "at_s": 70.25, "users": 0, "whom": []},
    ]

    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        return FakeResult(events=done)

    assert main([command, "x.yaml"], Fakes(answer=answer).doors()) == 0
    lines = capsys.readouterr().out.splitlines()
    said = "events of steady (sim): drop at 60 s, 30 users; freeze at 500 ms, 1 user; log_outage at 70.25 s"
    assert said in lines
    assert main([command, "x.yaml"], Fakes().doors()) == 0
    assert "events" not in capsys.readouterr().out


def test_run_json_without_a_result_is_a_sentence_and_no_document(capsys: Capture) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        raise UsageError("crash_node needs two nodes: say nodes: 2")

    assert main(["run", "x.yaml", "--json"], Fakes(answer=answer).doors()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "chatsim: crash_node needs two nodes" in err


def test_run_without_a_result_is_a_sentence_and_no_table(capsys: Capture) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        raise UsageError("crash_node needs two nodes: say nodes: 2")

    assert main(["run", "x.yaml"], Fakes(answer=answer).doors()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "chatsim: crash_node needs two nodes" in err


@pytest.mark.parametrize(
    "argv",
    [["run", "x.yaml"], ["run", "x.yaml", "--json"], ["check", "x.yaml"], ["check", "x.yaml", "--json"], ["demo"]],
)
@pytest.mark.parametrize("inside", ["", "folder"])
def test_out_must_be_a_folder(argv: list[str], inside: str, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    fakes = Fakes()
    assert main([*argv, "--out", str(file / inside)], fakes.doors()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "--out" in err
    assert fakes.asked == []
    assert file.read_text(encoding="utf-8") == "mine"


def test_every_problem_is_said_and_nothing_is_run(capsys: Capture) -> None:
    fakes = Fakes(problems=["a.yaml:1:1: name: is missing", "b.yaml:2:3: seed: is no number"])
    assert main(["check", "folder"], fakes.doors()) == 3
    err = capsys.readouterr().err
    assert "a.yaml:1:1" in err
    assert "b.yaml:2:3" in err
    assert fakes.asked == []


def test_nothing_run_is_a_usage_error(capsys: Capture) -> None:
    assert main(["check", "folder"], Fakes(scenarios=[]).doors()) == 3
    assert "nothing to run" in capsys.readouterr().err


def test_check_without_a_path_takes_the_shipped_scenarios(capsys: Capture) -> None:
    fakes = Fakes()
    assert main(["check"], fakes.doors()) == 0
    assert (fakes.loads, fakes.paths) == (1, [])


def test_run_takes_no_folder_and_only_known_wires(tmp_path: Path, capsys: Capture) -> None:
    assert main(["run", str(tmp_path)], Fakes().doors()) == 3
    assert "is a folder" in capsys.readouterr().err
    assert main(["run", "x.yaml", "--on", "moon"], Fakes().doors()) == 3
    assert "say sim, virtual or live" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["check"], ["check", "--json"], ["run"], ["lint"], ["baseline", "save"]], ids=" ".join
)
def test_a_scenario_where_nobody_may_look_is_refused_in_a_sentence(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    # As in a folder without permission, which does not bind whoever may do all: it cannot even be asked for.
    for path, why in (
        ("x" * 300 + ".yaml", "cannot be read (File name too long): check the path and its permissions"),
        ("x" * 300 + ".json", "there is no "),
    ):
        assert main([*words, path]) == 3
        out, err = capsys.readouterr()
        assert why in out + err


@pytest.mark.parametrize("word", ["ws://127.0.0.1:1/[/x]", "[bold]", "a\\[/x]", ":smile:"])
def test_whatever_a_name_or_an_address_has_in_it_is_shown_as_it_is(word: str, capsys: Capture) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        return FakeResult(scenario.name, word)

    assert main(["check", "x.yaml"], Fakes([FakeScenario(word)], answer=answer).doors()) == 0
    out, err = capsys.readouterr()
    assert f"{word} ({word}) " in err
    assert out.splitlines()[1].split()[:2] == [word, word]


def test_the_demonstration_simulates_all_and_serves_one(capsys: Capture) -> None:
    fakes = Fakes([FakeScenario("steady"), FakeScenario(LIVE_DEMO)])
    assert main(["demo"], fakes.doors()) == 0
    asked = [(name, wire) for name, wire, _, _ in fakes.asked]
    assert asked == [("steady", "sim"), (LIVE_DEMO, "sim"), (LIVE_DEMO, "live")]


def test_the_paths_are_printed(tmp_path: Path, capsys: Capture) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        return FakeResult(scenario.name, path=tmp_path / scenario.name)

    assert main(["run", "x.yaml"], Fakes(answer=answer).doors()) == 0
    assert f"written to {tmp_path / 'steady'}" in capsys.readouterr().out
    several = Fakes([FakeScenario("a"), FakeScenario("b")], answer=answer)
    assert main(["check", "x", "--out", str(tmp_path)], several.doors()) == 0
    assert f"2 runs written below {tmp_path}" in capsys.readouterr().out


def test_a_file_for_json_is_told_how_it_is_written(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out.json"
    assert main(["check", "x.yaml", "--json", f"{out}"], Fakes().doors()) == 3
    assert f"--json-file {out} writes it" in " ".join(capsys.readouterr().err.split())
    out.write_text("{}")
    assert main(["check", f"{out}", "--json"], Fakes().doors()) == 0, (
        "whoever has a scenario of that name is asked no more"
    )


def test_the_last_lines_name_those_of_many_that_did_not_pass(capsys: Capture) -> None:
    def answer(scenario: FakeScenario, on: Wire, seed: int | None) -> FakeResult:
        return failing(scenario, on, seed) if scenario.name == "b" else FakeResult(scenario.name)

    assert main(["check", "x"], Fakes([FakeScenario(name) for name in "abc"], answer=answer).doors()) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "",
        "fail: b (sim): p99(delivery_latency) <= 100ms, observed inf",
    ]
    assert main(["check", "x"], Fakes([FakeScenario(name) for name in "ac"], answer=answer).doors()) == 0
    assert "fail" not in capsys.readouterr().out
    assert main(["check", "x"], Fakes([FakeScenario("b")], answer=answer).doors()) == 1
    assert "fail: b" not in capsys.readouterr().out


def test_a_fidelity_reaches_the_runner_as_a_wire_of_its_own(capsys: Capture) -> None:
    fakes = Fakes()
    assert main(["run", "x.yaml", "--fidelity", "flow"], fakes.doors()) == 0
    assert main(["check", "--fidelity", "flow"], fakes.doors()) == 0
    assert {wire for _, wire, _, _ in fakes.asked} == {"flow"}


@pytest.mark.parametrize("words", [["--fidelity", "half"], ["--fidelity", "flow", "--on", "live"]])
def test_a_fidelity_that_there_is_not_is_refused(words: list[str], capsys: Capture) -> None:
    fakes = Fakes()
    assert main(["run", "x.yaml", *words], fakes.doors()) == 3
    assert words[1] in capsys.readouterr().err
    assert fakes.asked == []


REAL = """
name: small
duration: 10s
groups: [{name: people, users: 4, session_size: 2, messages: {arrivals: poisson, rate: 30/min}}]
expect: [connections_peak == 4]
"""


def test_run_changes_words(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(REAL, encoding="utf-8")
    report = tmp_path / "report.json"
    words = ["run", f"{file}", "--out", f"{tmp_path}", "--json", "--json-file", f"{report}"]
    assert main([*words, "--set", "groups.people.users=6", "--set", "duration=20s"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["counters"]["connections_peak"], document["duration_s"]) == (6, 20.0)
    (finding,) = json.loads(report.read_text())["findings"]
    assert finding["again"].endswith("small.yaml --set groups.people.users=6 --set duration=20s --seed 1")
    assert main([*words, "--set", "groups.peple.users=6"]) == 3
    assert "did you mean people?" in capsys.readouterr().err
    assert main([*words, "--set", "users"]) == 3
    assert "write a path" in capsys.readouterr().err
    assert main(["run", f"{file}", "--out", f"{tmp_path}", "--replications", "2", "--set", "users=6"]) == 1
    assert "connections_peak == 4" in capsys.readouterr().out
