"""What is told and kept of a seed that failed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from chatsim.cli.finds import tell
from chatsim.explore import scene, shrink
from chatsim.explore.afterwards import TRACE
from chatsim.explore.play import Played, words_of
from chatsim.scenario.load import load
from chatsim.verdict.invariants.catalogue import Violation

Capture = pytest.CaptureFixture[str]


def failed(*names: str) -> Played:
    found = [Violation(name, 3.0, f"{name} broke.") for name in names]
    return Played(21, "sim", "h", 10.0, 2, {}, [], found)


def test_every_invariant_that_broke_is_told_and_how_to_see_it_again(capsys: Capture, tmp_path: Path) -> None:
    assert not tell(failed("seq", "ledger"), tmp_path, shrink=False)
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("seed 21 on sim: seq at 3 s: ")
    assert told[1].startswith("  also ledger at 3 s: ")
    assert told[2:] == ["again: chatsim explore --seeds 1 --from 21 --on sim"]
    assert list(tmp_path.iterdir()) == []


def test_two_runs_that_differ_are_made_smaller_and_told_with_how_to_see_it(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(*_: object, **__: object) -> Played:
        return failed("same_again")

    monkeypatch.setattr(shrink, "play", differs)
    monkeypatch.setattr(scene, "play", differs)
    assert not tell(failed("same_again"), tmp_path, shrink=True)
    run = f"chatsim run {tmp_path}/same-again-21.yaml --on sim"
    out = capsys.readouterr().out
    assert f"shrunk: for time in 1 2; do {run} --json | grep trace_hash; done" in out
    small = load(tmp_path / "same-again-21.yaml")
    assert (small.events, len(small.groups), small.groups[0].users) == ((), 1, 1)
    assert "same_again at 3 s" in (tmp_path / "same-again-21.svg").read_text(encoding="utf-8")


def test_pictures_that_cannot_be_written_cost_nothing_else(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrink, "play", lambda *_, **__: failed("seq"))
    (tmp_path / "seq-21.svg").mkdir()
    assert not tell(failed("seq"), tmp_path, shrink=True)
    out, err = capsys.readouterr()
    assert f"shrunk: chatsim run {tmp_path}/seq-21.yaml --on sim" in out
    assert "its pictures cannot be written (" in err


def test_the_recorded_moments_of_a_find_are_kept_beside_it(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A find that is made no smaller, of a seed that has a group which writes at recorded moments."""
    recorded = next(seed for seed in range(1000) if shrink.named(words_of(seed, "sim")))
    monkeypatch.setattr(shrink, "play", lambda *_, **__: failed())
    one = msgspec.structs.replace(failed("seq"), seed=recorded)
    assert not tell(one, tmp_path, shrink=True)
    assert load(tmp_path / f"seq-{recorded}.yaml").name == f"seq-{recorded}"
    assert (tmp_path / TRACE.name).read_bytes() == TRACE.read_bytes()
    assert "shrunk: " in capsys.readouterr().out
