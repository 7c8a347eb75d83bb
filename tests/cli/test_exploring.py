"""`explore`: what is said of many seeds, of a failure, and with which exit code it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.cli.main import main
from chatsim.explore import campaign, play, shrink
from chatsim.explore.play import Played
from chatsim.verdict.invariants.catalogue import INVARIANTS, Violation
from chatsim.verdict.sometimes import SOMETIMES

Capture = pytest.CaptureFixture[str]


def failing(seed: int, wire: str) -> Played:
    broken = [Violation("seq", 3.0, "s has 4 after 2.")] if seed == 5 else []
    return Played(seed, "sim", "h", 10.0, 2, {"drop": 1}, [], broken)


def test_seeds_that_hold_end_with_0(capsys: Capture, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "explore.md"
    words = ["explore", "--seeds", "3", "--from", "1", "--jobs", "1", "--on", "sim", "--report", str(page)]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("3 seeds, ")
    assert "never reached: " in out
    assert "| seeds run | 3 |" in page.read_text(encoding="utf-8")


def test_a_failure_is_told_with_all_that_it_takes_to_see_it_again(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "play_seed", failing)
    monkeypatch.setattr(shrink, "play", lambda scenario, wire: play.play(scenario, wire))
    words = ["explore", "--seeds", "20", "--jobs", "1", "--on", "sim", "--out", str(tmp_path)]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert f"seed 5 on sim: seq at 3 s: {INVARIANTS['seq']} s has 4 after 2." in out
    assert "again: chatsim explore --seeds 1 --from 5 --on sim" in out
    assert f"shrunk: chatsim run {tmp_path}/seq-5.yaml --on sim" in out
    assert f"its last moments: {tmp_path}/seq-5.svg and {tmp_path}/seq-5.json" in out
    assert {path.suffix for path in tmp_path.iterdir()} == {".yaml", ".svg", ".json"}


def test_what_two_thousand_seeds_never_reach_is_a_failure(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def reaching(seed: int, wire: str) -> Played:
        return Played(seed, "sim", "h", 10.0, 2, {}, [name for name in SOMETIMES if name != "retried"], [])

    monkeypatch.setattr(campaign, "play_seed", reaching)
    words = ["explore", "--jobs", "1", "--on", "sim", "--seeds"]
    assert main([*words, "1999"]) == 0
    assert main([*words, "2000"]) == 1
    assert "never reached: retried" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--on", "live"], ["--for", "10"], ["--seeds", "0"]])
def test_what_cannot_be_meant_is_refused(words: list[str], capsys: Capture) -> None:
    assert main(["explore", *words]) == 3
    assert "chatsim: " in capsys.readouterr().err
