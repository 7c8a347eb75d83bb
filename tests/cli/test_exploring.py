"""`explore`: what is said of many seeds, of a failure, and with which exit code it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from chatsim.cli.exploring import Told
from chatsim.cli.main import main
from chatsim.explore import campaign, shrink
from chatsim.explore.campaign import Totals
from chatsim.explore.play import Played
from chatsim.scenario.load import load
from chatsim.scenario.model import Scenario
from chatsim.verdict.invariants.catalogue import INVARIANTS, Violation
from chatsim.verdict.sometimes import SOMETIMES
from tests.explore.seeds import answered_here

Capture = pytest.CaptureFixture[str]

PROGRAM = """
import signal
from chatsim.cli import exploring
from chatsim.cli.main import entry

# Whoever started the tests may ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
exploring.TOLD_EVERY_S = 0.0
entry()
"""


def failing(seed: int, wire: str) -> Played:
    broken = [Violation("seq", 3.0, "s has 4 after 2.")] if seed == 5 else []
    return Played(seed, "sim", "h", 10.0, 2, {"drop": 1}, [], broken)


def failing_alike(scenario: Scenario, wire: str, *, twice: bool = False) -> Played:
    """Whatever has a fault fails as that seed did."""
    return failing(5 if scenario.events else 4, wire)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test puts in the place of playing is played in its own process: another would not know of it."""
    monkeypatch.setattr(campaign, "answers", answered_here)


@pytest.fixture
def finds(here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is something to find."""
    monkeypatch.setattr(campaign, "play_seed", failing)
    monkeypatch.setattr(shrink, "play", failing_alike)


def test_seeds_that_hold_end_with_0(capsys: Capture, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "explore.md"
    words = ["explore", "--seeds", "3", "--from", "1", "--jobs", "1", "--on", "sim", "--report", str(page)]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("3 seeds, ")
    assert "never reached: " in out
    assert "time was up" not in out
    assert "| seeds run | 3 |" in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("finds")
def test_a_failure_is_told_with_all_that_it_takes_to_see_it_again(capsys: Capture, tmp_path: Path) -> None:
    words = ["explore", "--seeds", "20", "--jobs", "1", "--on", "sim", "--out", str(tmp_path)]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert f"seed 5 on sim: seq at 3 s: {INVARIANTS['seq']} s has 4 after 2." in out
    assert "again: chatsim explore --seeds 1 --from 5 --on sim" in out
    assert f"shrunk: chatsim run {tmp_path}/seq-5.yaml --on sim" in out
    assert f"its last moments: {tmp_path}/seq-5.svg and {tmp_path}/seq-5.json" in out
    assert {path.suffix for path in tmp_path.iterdir()} == {".yaml", ".svg", ".json"}
    assert len(load(tmp_path / "seq-5.yaml").events) == 1
    assert "500 runs and 90 s at most" in err
    assert re.search(r"shrunk in \d+ runs and [\d.]+ s, nothing simpler fails: \d events to 1, ", out)


@pytest.mark.usefixtures("finds")
def test_a_find_that_cannot_be_written_any_more_is_printed(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, report = tmp_path / "found", tmp_path / "pages" / "explore.md"

    def filling(seed: int, wire: str) -> Played:
        """While it plays, somebody puts files where the folders were to be."""
        out.write_text("taken")
        report.parent.write_text("taken")
        return failing(seed, wire)

    monkeypatch.setattr(campaign, "play_seed", filling)
    words = ["explore", "--seeds", "9", "--jobs", "1", "--on", "sim", "--out", str(out), "--report", str(report)]
    assert main(words) == 1
    told, err = capsys.readouterr()
    assert f"chatsim: {out}/seq-5.yaml cannot be written (" in err
    assert "put what follows into a file, and run that" in err
    scenario = told[told.index("name: seq-5") : told.index("# Exploring")]
    printed = tmp_path / "seq-5.yaml"
    printed.write_text(scenario)
    assert load(printed).name == "seq-5"
    assert f"chatsim: {report} cannot be written (" in err
    assert "| seeds run | 6 |" in told


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("flag", ["--out", "--report"])
def test_what_cannot_be_written_is_refused_before_anything_is_played(
    flag: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played: list[int] = []
    monkeypatch.setattr(campaign, "play_seed", lambda seed, wire: played.append(seed))
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert main(["explore", "--jobs", "1", flag, str(taken / "below")]) == 3
    out, err = capsys.readouterr()
    assert (out, played) == ("", [])
    assert re.fullmatch(rf"chatsim: cannot write to .*below \(.+\): name another (file|folder) with {flag}\n", err)


@pytest.mark.usefixtures("here")
def test_an_interrupt_tells_what_was_played_by_then(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seed: int, wire: str) -> Played:
        if seed == 7:
            raise KeyboardInterrupt
        return failing(0, wire)

    monkeypatch.setattr(campaign, "play_seed", interrupted)
    assert main(["explore", "--jobs", "1", "--on", "sim", "--seeds", "20"]) == 130
    out, err = capsys.readouterr()
    assert re.match(r"7 seeds, 0\.0 simulated hours, 14 messages, 7 faults, .*: \d+ simulated seconds a second", out)
    assert out.splitlines()[1:] == ["interrupted after 7 of 20 seeds, in the midst of seed 7"]
    assert err == "chatsim: interrupted\n"


@pytest.mark.usefixtures("finds")
def test_an_interrupt_while_a_find_is_made_smaller_keeps_what_is_reached(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = count()

    def interrupted(scenario: Scenario, wire: str, *, twice: bool = False) -> Played:
        if next(tries) == 9:
            raise KeyboardInterrupt
        return failing_alike(scenario, wire)

    monkeypatch.setattr(shrink, "play", interrupted)
    assert main(["explore", "--jobs", "1", "--on", "sim", "--seeds", "20", "--out", str(tmp_path)]) == 130
    out = capsys.readouterr().out
    assert "then you interrupted it" in out
    assert f"shrunk: chatsim run {tmp_path}/seq-5.yaml --on sim" in out
    assert load(tmp_path / "seq-5.yaml").events


@pytest.mark.usefixtures("here")
def test_a_seed_without_an_answer_is_named_with_what_to_do(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(seed: int, wire: str) -> Played:
        if seed == 7:
            raise ValueError("no such lot")
        return failing(0, wire)

    monkeypatch.setattr(campaign, "play_seed", broken)
    assert main(["explore", "--jobs", "1", "--on", "sim", "--seeds", "20"]) == 4
    out, err = capsys.readouterr()
    assert out.startswith("7 seeds, ")
    assert err == (
        "chatsim: seed 7 has no answer, it could not be drawn or played (ValueError: no such lot): see it by itself "
        "with `chatsim explore --seeds 1 --from 7 --jobs 1 --on sim`, or try all of them with fewer --jobs\n"
    )


def test_ctrl_c_ends_the_one_who_plays_with_130() -> None:
    words = ["explore", "--jobs", "1", "--on", "sim", "--seeds", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    assert process.stderr is not None
    while "of 100000 seeds" not in process.stderr.readline():
        assert process.poll() is None
    # As a terminal does it: everybody in front hears it, who plays as well.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted after " in out
    assert err.endswith("chatsim: interrupted\n")
    assert "Traceback" not in err


def test_time_that_is_up_is_told_and_what_few_seeds_never_reach_is_no_failure(capsys: Capture) -> None:
    assert main(["explore", "--jobs", "1", "--on", "sim", "--for", "1us"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[1] == (
        "time was up after 1 of 200 seeds: too few to call it a failure that something was never reached"
    )
    assert told[2].startswith("never reached: ")


def test_without_a_terminal_a_line_comes_now_and_then(capsys: Capture) -> None:
    moments = iter((0.0, 8.0, 10.0, 10.0, 11.0, 19.9, 20.0, 20.0))
    told = Told(50, None, lambda: next(moments))
    for _ in range(5):
        told(Totals(seeds=4, simulated_s=400.0, wall_s=8.0))
    assert next(moments, None) is None
    assert capsys.readouterr().err.splitlines() == ["4 of 50 seeds, 0.5/s, 50 simulated s/s"] * 2


@pytest.mark.usefixtures("here")
def test_what_two_thousand_seeds_never_reach_is_a_failure(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def reaching(seed: int, wire: str) -> Played:
        return Played(seed, "sim", "h", 10.0, 2, {}, [name for name in SOMETIMES if name != "retried"], [])

    monkeypatch.setattr(campaign, "play_seed", reaching)
    words = ["explore", "--jobs", "1", "--on", "sim", "--seeds"]
    assert main([*words, "1999"]) == 0
    assert main([*words, "2000"]) == 1
    assert "never reached on sim: retried" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--on", "live"], ["--for", "10"], ["--seeds", "0"]])
def test_what_cannot_be_meant_is_refused(words: list[str], capsys: Capture) -> None:
    assert main(["explore", *words]) == 3
    assert "chatsim: " in capsys.readouterr().err


def test_one_scenario_is_played_on_the_wire_that_is_named_or_on_all(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "few.yaml"
    text = "name: few\nduration: 20s\ngroups: [{name: g, users: 3, messages: {arrivals: poisson, rate: 20/min}}]\n"
    file.write_text(f"{text}expect: [lost == 0]\n", encoding="utf-8")
    assert main(["explore", "--scenario", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": every invariant holds")[0] for line in lines] == [
        f"{file} on {wire}" for wire in ("sim", "virtual", "agreement")
    ]
    monkeypatch.setattr("chatsim.explore.play.play", lambda scenario, wire: failing(5, wire))
    assert main(["explore", "--scenario", str(file), "--on", "agreement"]) == 1
    assert capsys.readouterr().out.startswith(f"{file} on agreement: seq at 3 s: ")
    assert main(["explore", "--scenario", str(tmp_path / "none.yaml")]) == 3
    assert "none.yaml" in capsys.readouterr().err


def test_what_is_not_compared_of_a_scenario_is_told_with_the_reason_and_is_no_broken_rule(
    capsys: Capture, tmp_path: Path
) -> None:
    """In a session of so many, more acks come at once than a server tells of at once."""
    file = tmp_path / "many.yaml"
    text = "name: many\nduration: 20s\ngroups: [{name: g, users: 160, session_size: 160, arrive_over: 8s, "
    text += "messages: {arrivals: periodic, rate: 0.4/min}, network: {latency: {constant: 5ms}}}]\n"
    file.write_text(f"{text}expect: [lost == 0]\n", encoding="utf-8")
    assert main(["explore", "--scenario", str(file), "--on", "agreement"]) == 0
    holds, left_out = capsys.readouterr().out.splitlines()
    assert holds.startswith(f"{file} on agreement: every invariant holds, ")
    assert re.fullmatch(
        rf"{re.escape(str(file))} on agreement: not compared from [\d.]+ s on, for over 32 notices of delivery within "
        r"50 ms: a server lets them wait for company, and what is drawn for one may then hold up the frame behind it",
        left_out,
    )


def test_what_a_wire_cannot_play_is_said_in_a_sentence(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "signed.yaml"
    text = "name: signed\nduration: 5s\nhandler: {algorithms: [ES256]}\ngroups: [{name: g, users: 1}]\n"
    file.write_text(f"{text}expect: [lost == 0]\n", encoding="utf-8")
    assert main(["explore", "--scenario", str(file), "--on", "agreement"]) == 3
    assert capsys.readouterr().err == "chatsim: The crowd signs with HS256: let handler.algorithms name it.\n"
