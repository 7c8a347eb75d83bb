"""A run that breaks on the way leaves what its cause is looked for in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatsim.core.handler import ChatHandler
from chatsim.errors import HarnessError
from chatsim.journal.lives import journals, steps
from chatsim.runner.run import run
from chatsim.scenario.model import Scenario


def scenario() -> Scenario:
    group = {"name": "g", "users": 2, "session_size": 2, "messages": {"arrivals": "periodic", "rate": "30/min"}}
    return Scenario.of({"name": "wreck", "duration": "20s", "groups": [group], "expect": ["lost == 0"]})


def breaks_at(monkeypatch: pytest.MonkeyPatch, broken_at: float, door: str = "receive") -> None:
    """A handler that raises at the first input through a door after a moment (s)."""
    whole = getattr(ChatHandler, door)

    def breaking(self: ChatHandler, now: float, *args: Any) -> Any:
        if now >= broken_at:
            raise IndexError("no such member")
        return whole(self, now, *args)

    monkeypatch.setattr(ChatHandler, door, breaking)


@pytest.mark.parametrize("wire", ["sim", "virtual"])
def test_what_raises_leaves_the_journal_the_reason_and_the_last_moments(
    wire: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks_at(monkeypatch, 10.0)
    with pytest.raises(HarnessError, match=r"calm at .*IndexError: no such member .*\(the run is kept in ") as told:
        run(scenario(), on=wire, out=tmp_path)
    [folder] = (tmp_path / "wreck").iterdir()
    assert f"{folder}" in f"{told.value}"
    assert {path.name for path in folder.iterdir()} == {"journal.jsonl", "run.json", "timeline.svg", "timeline.json"}
    last = list(steps(journals(folder)))[-1].now
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (document["verdict"], document["valid"], document["ended_at_s"]) == ("invalid", False, last)
    assert 5.0 < last <= 10.5
    assert f"{told.value}".startswith(document["why_invalid"])
    assert "Traceback" in document["traceback"]
    assert "the run broke" in (folder / "timeline.svg").read_text(encoding="utf-8")


def test_where_nothing_had_happened_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks_at(monkeypatch, 0.0, "connect")
    with pytest.raises(IndexError, match="no such member"):
        run(scenario(), out=tmp_path)
    assert list((tmp_path / "wreck").iterdir()) == []
